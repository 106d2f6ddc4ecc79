// Generates function bodies by type: every expression leaves one value of the type asked for, every statement leaves
// the stack as it was, so the module is valid by construction, unless one index is asked to be wrong.
import { EMPTY, END, EXTERNREF, F32, F64, float32, float64, FUNCREF, I32, I64, signed, unsigned, V128 } from "./builder.ts";
import type { Random } from "./random.ts";

export interface Signature {
  readonly params: readonly number[];
  readonly results: readonly number[];
  readonly type: number;
}

export type IndexSpace = "type" | "function" | "table" | "memory" | "global" | "tag" | "local" | "label" | "element" | "data" | "lane" | "field";

/** What the bodies of a module may refer to. */
export interface Surroundings {
  readonly functions: readonly Signature[];
  readonly types: readonly Signature[];
  readonly globals: readonly { readonly type: number; readonly mutable: boolean }[];
  readonly memories: readonly { readonly wide: boolean }[];
  readonly tables: readonly { readonly wide: boolean; readonly type: number }[];
  readonly tags: readonly Signature[];
  /** Type of each element segment's entries, and number of data segments. */
  readonly elements: readonly number[];
  readonly dataCount: number;
  readonly exceptions: "none" | "legacy" | "new";
  readonly simd: boolean;
  /** Indexes of a struct (i32, i64), a byte array and an i32 array type. */
  readonly heap: { readonly struct: number; readonly bytes: number; readonly ints: number } | undefined;
  readonly tailCalls: boolean;
  /** The global that counts steps down, so that every run ends; `undefined` leaves runs unbounded. */
  readonly steps: number | undefined;
  /** Emits an index of a space that has `count` entries; may emit a wrong one on purpose. */
  readonly index: (space: IndexSpace, index: number, count: number) => number[];
}

interface LabelTypes {
  readonly operands: readonly number[];
  readonly isLoop: boolean;
}

const NUMBERS = [I32, I64, F32, F64] as const;
const interesting32 = [0, 1, -1, 2, 7, 31, 64, 255, 256, 65_535, 65_536, 0x7fffffff, -0x80000000];
const interesting64 = [0n, 1n, -1n, 63n, 0xffffffffn, 0x100000000n, 0x7fffffffffffffffn, -0x8000000000000000n];
const interestingFloats = [0, -0, 1, -1.5, 0.1, 1e10, -2147483649, 4e9, 1e300, Infinity, -Infinity, NaN];

/** Stand-ins for operands while unreachable: sequences valid on a polymorphic stack that leave it empty. */
const deadSequences: readonly (readonly number[])[] = [
  [0x1a],
  [0x6a, 0x1a],
  [0x7c, 0x50, 0x1a],
  [0x1b, 0x1a],
  [0x00],
  [0x0f],
  [0x99, 0x9f, 0x1a],
  [0xa7, 0xac, 0x1a],
  [0x02, EMPTY, 0x01, END],
  [0x03, EMPTY, 0x0c, 0x00, END],
  [0x04, EMPTY, 0x01, 0x05, 0x00, END],
  [0x0c, 0x00],
  [0x02, I32, 0x00, 0x6a, END, 0x1a],
  [0x04, I64, 0x42, 0x00, 0x05, 0x42, 0x01, END, 0x1a],
  [0x03, EMPTY, 0x00, END],
  [0x41, 0x00, 0x6a, 0x45, 0x1a],
  [0x0d, 0x00],
  [0x0e, 0x01, 0x00, 0x00],
  [0x1c, 0x01, I32, 0x1a],
  [0xd1, 0x1a],
];

/** Number of locals of each type that a body has, and of counters for its loops. */
const localsOfEach = 2;
const loopCounters = 4;

export class BodyGenerator {
  readonly #random: Random;
  readonly #at: Surroundings;
  readonly #signature: Signature;
  readonly #labels: LabelTypes[] = [];
  readonly #locals: number[];
  readonly locals: readonly number[];
  #out: number[] = [];
  #budget: number;
  #freeCounters: number[] = [];
  /** Nesting of legacy catch blocks, as label depths from the outside. */
  readonly #catches: number[] = [];

  constructor(random: Random, surroundings: Surroundings, signature: Signature, budget: number) {
    this.#random = random;
    this.#at = surroundings;
    this.#signature = signature;
    this.#budget = budget;
    const kinds = [...NUMBERS, FUNCREF, EXTERNREF, ...(surroundings.simd ? [V128] : [])];
    const own = kinds.flatMap((kind) => Array.from({ length: localsOfEach }, () => kind));
    const firstCounter = signature.params.length + own.length;
    this.locals = [...own, ...Array.from({ length: loopCounters }, () => I32)];
    this.#locals = [...signature.params, ...own];
    for (let at = 0; at < loopCounters; at++) this.#freeCounters.push(firstCounter + at);
  }

  /** The code of the body, without its closing `end`. */
  generate(): number[] {
    this.#labels.push({ operands: this.#signature.results, isLoop: false });
    this.#guard();
    this.#statements(1 + this.#random.below(5));
    for (const type of this.#signature.results) this.#expression(type);
    return this.#out;
  }

  #emit(...bytes: number[]): void {
    for (const byte of bytes) this.#out.push(byte);
  }

  #index(space: IndexSpace, index: number, count: number): void {
    this.#emit(...this.#at.index(space, index, count));
  }

  /** Counts one step down and traps at the end of them. */
  #guard(): void {
    const { steps } = this.#at;
    if (steps === undefined) return;
    this.#emit(0x23, ...unsigned(steps), 0x41, 1, 0x6b, 0x24, ...unsigned(steps), 0x23, ...unsigned(steps));
    this.#emit(0x41, 0, 0x48, 0x04, EMPTY, 0x00, END);
  }

  #statements(count: number): void {
    for (let left = count; left > 0; left--) this.#statement();
  }

  #spend(): boolean {
    return --this.#budget > 0;
  }

  // Constants and leaves

  #constant(type: number): void {
    const random = this.#random;
    switch (type) {
      case I32:
        return this.#emit(0x41, ...signed(random.oneIn(3) ? random.next() | 0 : random.pick(interesting32)));
      case I64:
        return this.#emit(0x42, ...signed(random.oneIn(3) ? BigInt(random.next()) << 7n : random.pick(interesting64)));
      case F32:
        return this.#emit(0x43, ...float32(random.pick(interestingFloats)));
      case F64:
        return this.#emit(0x44, ...float64(random.pick(interestingFloats)));
      case V128:
        this.#emit(0xfd, 12);
        for (let at = 0; at < 4; at++) this.#emit(...float32(random.below(1000)));
        return;
      case FUNCREF:
        if (random.oneIn(2) && this.#at.functions.length > 0) return this.#functionReference();
        return this.#emit(0xd0, FUNCREF);
      default:
        return this.#emit(0xd0, type);
    }
  }

  #functionReference(): void {
    const count = this.#at.functions.length;
    this.#emit(0xd2);
    this.#index("function", this.#random.below(count), count);
  }

  #leaf(type: number): void {
    const locals = this.#localsOf(type);
    if (locals.length > 0 && !this.#random.oneIn(3)) {
      this.#emit(0x20);
      return this.#index("local", this.#random.pick(locals), this.#signature.params.length + this.locals.length);
    }
    const globals = this.#globalsOf(type, false);
    if (globals.length > 0 && this.#random.oneIn(2)) {
      this.#emit(0x23);
      return this.#index("global", this.#random.pick(globals), this.#at.globals.length);
    }
    this.#constant(type);
  }

  #localsOf(type: number): number[] {
    return this.#locals.flatMap((local, index) => (local === type ? [index] : []));
  }

  #globalsOf(type: number, mutable: boolean): number[] {
    const { globals, steps } = this.#at;
    return globals.flatMap((global, index) => (global.type === type && (!mutable || global.mutable) && index !== steps ? [index] : []));
  }

  // Expressions

  #expression(type: number): void {
    if (!this.#spend() || this.#random.oneIn(3)) return this.#leaf(type);
    const special = this.#random.below(10);
    if (special === 0) return this.#blockExpression(type);
    if (special === 1) return this.#ifExpression(type);
    if (special === 2) return this.#selectExpression(type);
    if (special === 3 && this.#callExpression(type)) return;
    if (special === 4) return this.#tee(type);
    switch (type) {
      case I32:
        return this.#i32();
      case I64:
        return this.#i64();
      case F32:
        return this.#float(F32, 0x8b, 0x92, 0x2a);
      case F64:
        return this.#float(F64, 0x99, 0xa0, 0x2b);
      case V128:
        return this.#vector();
      case FUNCREF:
        return this.#tableGet(FUNCREF);
      default:
        return this.#tableGet(type);
    }
  }

  #blockExpression(type: number): void {
    this.#emit(0x02, type);
    this.#labels.push({ operands: [type], isLoop: false });
    this.#statements(this.#random.below(3));
    this.#expression(type);
    if (this.#random.oneIn(3)) {
      this.#expression(I32);
      this.#emit(0x0d, 0x00);
    }
    this.#labels.pop();
    this.#emit(END);
  }

  #ifExpression(type: number): void {
    this.#expression(I32);
    this.#emit(0x04, type);
    this.#labels.push({ operands: [type], isLoop: false });
    this.#expression(type);
    this.#emit(0x05);
    this.#statements(this.#random.below(2));
    this.#expression(type);
    this.#labels.pop();
    this.#emit(END);
  }

  #selectExpression(type: number): void {
    this.#expression(type);
    this.#expression(type);
    this.#expression(I32);
    const reference = type === FUNCREF || type === EXTERNREF;
    if (reference || this.#random.oneIn(4)) this.#emit(0x1c, 1, type);
    else this.#emit(0x1b);
  }

  #callExpression(type: number): boolean {
    const fitting = this.#at.functions.flatMap((fn, index) => (fn.results.length === 1 && fn.results[0] === type ? [index] : []));
    if (fitting.length === 0) return false;
    this.#call(this.#random.pick(fitting));
    return true;
  }

  #tee(type: number): void {
    const locals = this.#localsOf(type);
    this.#expression(type);
    if (locals.length === 0) return;
    this.#emit(0x22);
    this.#index("local", this.#random.pick(locals), this.#signature.params.length + this.locals.length);
  }

  #i32(): void {
    const random = this.#random;
    const { memories, tables, simd, heap } = this.#at;
    switch (random.below(14)) {
      case 0:
        this.#expression(I32);
        return this.#emit(random.pick([0x45, 0x67, 0x68, 0x69, 0xc0, 0xc1]));
      case 1:
        this.#expression(I64);
        return this.#emit(random.pick([0x50, 0xa7]));
      case 2:
        return this.#binary(I64, random.pick([0x51, 0x52, 0x53, 0x54, 0x5a]));
      case 3:
        return this.#binary(random.oneIn(2) ? F32 : F64, 0);
      case 4:
        if (memories.length === 0) break;
        return this.#load(random.pick([0x28, 0x2c, 0x2d, 0x2e, 0x2f]));
      case 5:
        return this.#truncate(0);
      case 6:
        if (memories.length === 0) break;
        return this.#sizeOrGrow(false);
      case 7:
        if (tables.length === 0) break;
        return this.#tableSizeOrGrow(false);
      case 8:
        this.#expression(random.oneIn(2) ? FUNCREF : EXTERNREF);
        return this.#emit(0xd1);
      case 9:
        if (!simd) break;
        this.#expression(V128);
        return this.#vectorToNumber(
          [
            [0xfd, 27],
            [0xfd, 22],
            [0xfd, 21],
          ],
          4,
        );
      case 10:
        if (heap === undefined) break;
        return this.#heapExpression();
      case 11:
        if (!simd) break;
        this.#expression(V128);
        return this.#emit(0xfd, ...random.pick([[83], [100], [0x83, 0x01]]));
    }
    this.#binary(
      I32,
      random.oneIn(8)
        ? 0x6d + random.below(4)
        : random.pick([0x46, 0x48, 0x49, 0x4e, 0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78]),
    );
  }

  #i64(): void {
    const random = this.#random;
    const { memories, tables, simd } = this.#at;
    switch (random.below(9)) {
      case 0:
        this.#expression(I32);
        return this.#emit(random.pick([0xac, 0xad]));
      case 1:
        this.#expression(I64);
        return this.#emit(random.pick([0x79, 0x7a, 0x7b, 0xc2, 0xc3, 0xc4]));
      case 2:
        if (memories.length === 0) break;
        return this.#load(random.pick([0x29, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35]));
      case 3:
        return this.#truncate(4);
      case 4:
        if (memories.length === 0) break;
        return this.#sizeOrGrow(true);
      case 5:
        if (tables.length === 0) break;
        return this.#tableSizeOrGrow(true);
      case 6:
        if (!simd) break;
        this.#expression(V128);
        return this.#vectorToNumber([[0xfd, 29]], 2);
    }
    this.#binary(I64, random.oneIn(8) ? 0x7f + random.below(4) : random.pick([0x7c, 0x7d, 0x7e, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a]));
  }

  #binary(type: number, code: number): void {
    this.#expression(type);
    this.#expression(type);
    const comparison = type === F32 ? 0x5b : 0x61;
    this.#emit(code === 0 ? comparison + this.#random.below(6) : code);
  }

  #float(type: number, unary: number, binary: number, loadCode: number): void {
    const random = this.#random;
    switch (random.below(6)) {
      case 0:
        this.#expression(type);
        return this.#emit(unary + random.below(7));
      case 1:
        this.#expression(I32);
        return this.#emit((type === F32 ? 0xb2 : 0xb7) + random.below(2));
      case 2:
        this.#expression(I64);
        return this.#emit((type === F32 ? 0xb4 : 0xb9) + random.below(2));
      case 3:
        this.#expression(type === F32 ? F64 : F32);
        return this.#emit(type === F32 ? 0xb6 : 0xbb);
      case 4:
        if (this.#at.memories.length === 0) break;
        return this.#load(loadCode);
    }
    // Without copysign: the sign of a computed NaN is the engine's choice.
    return this.#binary(type, binary + random.below(6));
  }

  /** Float to integer; trapping ones rarely, or most calls would end there. */
  #truncate(first: number): void {
    const which = this.#random.below(4);
    this.#expression(which < 2 ? F32 : F64);
    if (this.#random.oneIn(5)) this.#emit((first === 0 ? 0xa8 : 0xae) + which);
    else this.#emit(0xfc, first + which);
  }

  #vectorToNumber(codes: readonly (readonly number[])[], lanes: number): void {
    this.#emit(...this.#random.pick(codes));
    this.#index("lane", this.#random.below(lanes), 16);
  }

  #vector(): void {
    const random = this.#random;
    switch (random.below(7)) {
      case 0:
        this.#expression(I32);
        return this.#emit(0xfd, random.pick([15, 16, 17]));
      case 1:
        this.#expression(I64);
        return this.#emit(0xfd, 18);
      case 2:
        if (this.#at.memories.length === 0) break;
        return this.#vectorLoad();
      case 3:
        this.#expression(V128);
        return this.#emit(0xfd, ...random.pick([[77], [96], [0xa1, 0x01], [0xc1, 0x01]]));
      case 4:
        this.#expression(V128);
        this.#expression(V128);
        this.#emit(0xfd, 13);
        for (let lane = 0; lane < 16; lane++) this.#index("lane", random.below(32), 32);
        return;
      case 5:
        this.#expression(V128);
        this.#expression(I32);
        return this.#emit(0xfd, ...random.pick([[0xab, 0x01], [107], [0xcb, 0x01]]));
    }
    this.#expression(V128);
    this.#expression(V128);
    this.#emit(
      0xfd,
      ...random.pick([
        [78],
        [80],
        [81],
        [110],
        [113],
        [0x8e, 0x01],
        [0x95, 0x01],
        [0xae, 0x01],
        [0xb5, 0x01],
        [0xce, 0x01],
        [0xd5, 0x01],
        [35],
        [57],
        [14],
      ]),
    );
  }

  #vectorLoad(): void {
    const [code, lane] = this.#random.pick([
      [0, false],
      [1, false],
      [7, false],
      [9, false],
      [92, false],
      [84, true],
      [86, true],
    ] as const);
    const memory = this.#address();
    if (lane) this.#expression(V128);
    this.#emit(0xfd, code);
    this.#memoryArgument(memory, 0);
    if (lane) this.#index("lane", this.#random.below(4), 16);
  }

  // Memory

  /** Emits an address, mostly a small one, and returns the memory it is for. */
  #address(memory = this.#random.below(this.#at.memories.length)): number {
    this.#small(this.#at.memories[memory]?.wide === true, 0x7fff);
    return memory;
  }

  /** A value that is mostly within `mask`, of the address type asked for. */
  #small(wide: boolean, mask: number): void {
    const random = this.#random;
    if (random.oneIn(12)) return this.#expression(wide ? I64 : I32);
    if (random.oneIn(2)) return this.#emit(wide ? 0x42 : 0x41, ...signed(random.below(mask + 1)));
    this.#expression(I32);
    this.#emit(0x41, ...signed(mask), 0x71);
    if (wide) this.#emit(0xad);
  }

  #memoryArgument(memory: number, align: number): void {
    const count = this.#at.memories.length;
    if (memory === 0 && !this.#random.oneIn(30)) this.#emit(align);
    else {
      this.#emit(align | 0x40);
      this.#index("memory", memory, count);
    }
    this.#emit(...unsigned(this.#random.oneIn(20) ? this.#random.next() : this.#random.below(200), this.#random.oneIn(40) ? 5 : 0));
  }

  #load(code: number): void {
    const memory = this.#address();
    this.#emit(code);
    this.#memoryArgument(memory, 0);
  }

  #store(): void {
    const random = this.#random;
    const memory = this.#address();
    const type = random.pick([I32, I64, F32, F64, V128]);
    if (type === V128 && this.#at.simd) {
      this.#expression(V128);
      this.#emit(0xfd, 11);
    } else if (type === F32 || type === F64) {
      // Constants only: the bits of a computed NaN are the engine's choice.
      this.#constant(type);
      this.#emit(type === F32 ? 0x38 : 0x39);
    } else if (type === I64) {
      this.#expression(I64);
      this.#emit(random.pick([0x37, 0x3c, 0x3d, 0x3e]));
    } else {
      this.#expression(I32);
      this.#emit(random.pick([0x36, 0x3a, 0x3b]));
    }
    this.#memoryArgument(memory, 0);
  }

  #sizeOrGrow(want64: boolean): void {
    const { memories } = this.#at;
    const memory = this.#random.below(memories.length);
    const wide = memories[memory]?.wide === true;
    if (this.#random.oneIn(3)) {
      this.#small(wide, 1);
      this.#emit(0x40);
    } else this.#emit(0x3f);
    this.#index("memory", memory, memories.length);
    this.#convert(wide, want64);
  }

  #convert(is64: boolean, want64: boolean): void {
    if (is64 && !want64) this.#emit(0xa7);
    if (!is64 && want64) this.#emit(0xad);
  }

  #bulkMemory(): void {
    const random = this.#random;
    const { memories, dataCount } = this.#at;
    const to = this.#address();
    const toWide = memories[to]?.wide === true;
    const which = random.below(dataCount > 0 ? 4 : 2);
    const long = random.oneIn(6) ? 0xffff : 0xff;
    if (which === 0) {
      const from = this.#address(random.oneIn(2) ? to : undefined);
      this.#small(toWide && memories[from]?.wide === true, long);
      this.#emit(0xfc, 10);
      this.#index("memory", to, memories.length);
      return this.#index("memory", from, memories.length);
    }
    if (which === 1) {
      this.#expression(I32);
      this.#small(toWide, long);
      this.#emit(0xfc, 11);
      return this.#index("memory", to, memories.length);
    }
    this.#small(false, 7);
    this.#small(false, 7);
    this.#emit(0xfc, 8);
    this.#index("data", random.below(dataCount), dataCount);
    this.#index("memory", to, memories.length);
    if (which === 2 || random.oneIn(2)) return;
    this.#emit(0xfc, 9);
    this.#index("data", random.below(dataCount), dataCount);
  }

  // Tables

  #tableOf(type: number): number | undefined {
    const fitting = this.#at.tables.flatMap((table, index) => (table.type === type ? [index] : []));
    return fitting.length === 0 ? undefined : this.#random.pick(fitting);
  }

  #tableGet(type: number): void {
    const table = this.#tableOf(type);
    if (table === undefined) return this.#leaf(type);
    this.#small(this.#at.tables[table]?.wide === true, 7);
    this.#emit(0x25);
    this.#index("table", table, this.#at.tables.length);
  }

  #tableSizeOrGrow(want64: boolean): void {
    const { tables } = this.#at;
    const table = this.#random.below(tables.length);
    const wide = tables[table]?.wide === true;
    if (this.#random.oneIn(3)) {
      this.#expression(tables[table]?.type ?? FUNCREF);
      this.#small(wide, 3);
      this.#emit(0xfc, 15);
    } else this.#emit(0xfc, 16);
    this.#index("table", table, tables.length);
    this.#convert(wide, want64);
  }

  #bulkTable(): void {
    const random = this.#random;
    const { tables, elements } = this.#at;
    const to = random.below(tables.length);
    const target = tables[to] ?? { wide: false, type: FUNCREF };
    this.#small(target.wide, 7);
    const which = random.below(4);
    if (which === 0) {
      const from = this.#tableOf(target.type) ?? to;
      const fromWide = tables[from]?.wide === true;
      this.#small(fromWide, 7);
      this.#small(target.wide && fromWide, 5);
      this.#emit(0xfc, 14);
      this.#index("table", to, tables.length);
      return this.#index("table", from, tables.length);
    }
    const segments = elements.flatMap((type, index) => (type === target.type ? [index] : []));
    if (which === 1 && segments.length > 0) {
      const segment = random.pick(segments);
      this.#small(false, 3);
      this.#small(false, 3);
      this.#emit(0xfc, 12);
      this.#index("element", segment, elements.length);
      this.#index("table", to, tables.length);
      if (random.oneIn(4)) {
        this.#emit(0xfc, 13);
        this.#index("element", segment, elements.length);
      }
      return;
    }
    this.#expression(target.type);
    if (which === 2) {
      this.#small(target.wide, 5);
      this.#emit(0xfc, 17);
    } else this.#emit(0x26);
    this.#index("table", to, tables.length);
  }

  // Garbage-collected heap

  #heapExpression(): void {
    const { heap } = this.#at;
    if (heap === undefined) return this.#leaf(I32);
    const typeCount = this.#at.types.length + 3;
    const type = (index: number): void => this.#index("type", index, typeCount);
    switch (this.#random.below(6)) {
      case 0: // a field of a new struct
        this.#expression(I32);
        this.#expression(I64);
        this.#emit(0xfb, 0);
        type(heap.struct);
        this.#emit(0xfb, 2);
        type(heap.struct);
        return this.#index("field", 0, 2);
      case 1: // an entry of a new array
        this.#expression(I32);
        this.#small(false, 63);
        this.#emit(0xfb, 6);
        type(heap.ints);
        this.#small(false, 63);
        this.#emit(0xfb, 11);
        return type(heap.ints);
      case 2: // length of an array of bytes
        this.#small(false, 255);
        this.#emit(0xfb, 7);
        type(heap.bytes);
        return this.#emit(0xfb, 15);
      case 3: // i31
        this.#expression(I32);
        return this.#emit(0xfb, 28, 0xfb, 29 + this.#random.below(2));
      case 4: // a type test
        this.#expression(I32);
        return this.#emit(0xfb, 28, 0xfb, 20 + this.#random.below(2), 0x6c);
      default: // a fixed array
        this.#expression(I32);
        this.#expression(I32);
        this.#emit(0xfb, 8);
        type(heap.ints);
        return this.#emit(2, 0xfb, 15);
    }
  }

  #heapBulk(): void {
    const { heap } = this.#at;
    if (heap === undefined) return;
    const count = this.#at.types.length + 3;
    this.#small(false, 255);
    this.#emit(0xfb, 7);
    this.#index("type", heap.bytes, count);
    this.#small(false, 31);
    if (this.#random.oneIn(2)) {
      this.#expression(I32);
      this.#small(false, 31);
      this.#emit(0xfb, 16);
      return this.#index("type", heap.bytes, count);
    }
    this.#small(false, 255);
    this.#emit(0xfb, 7);
    this.#index("type", heap.bytes, count);
    this.#small(false, 31);
    this.#small(false, 31);
    this.#emit(0xfb, 17);
    this.#index("type", heap.bytes, count);
    this.#index("type", heap.bytes, count);
  }

  // Calls

  #call(index: number): void {
    const callee = this.#at.functions[index];
    for (const type of callee?.params ?? []) this.#expression(type);
    if (callee !== undefined && this.#random.oneIn(8)) {
      // The same call by reference.
      this.#emit(0xd2);
      this.#index("function", index, this.#at.functions.length);
      this.#emit(0x14);
      return this.#index("type", callee.type, this.#typeCount());
    }
    this.#emit(0x10);
    this.#index("function", index, this.#at.functions.length);
  }

  #typeCount(): number {
    return this.#at.types.length + (this.#at.heap === undefined ? 0 : 3);
  }

  #callIndirect(tail: boolean): readonly number[] | undefined {
    const table = this.#tableOf(FUNCREF);
    const same = this.#at.types.filter((type) => !tail || type.results.join() === this.#signature.results.join());
    if (table === undefined || same.length === 0) return undefined;
    const type = this.#random.pick(same);
    for (const param of type.params) this.#expression(param);
    this.#small(this.#at.tables[table]?.wide === true, 7);
    this.#emit(tail ? 0x13 : 0x11);
    this.#index("type", type.type, this.#typeCount());
    this.#index("table", table, this.#at.tables.length);
    return type.results;
  }

  #drop(types: readonly number[]): void {
    for (let at = types.length - 1; at >= 0; at--) {
      const locals = this.#localsOf(types[at] ?? I32);
      if (locals.length > 0 && this.#random.oneIn(2)) {
        this.#emit(0x21);
        this.#index("local", this.#random.pick(locals), this.#signature.params.length + this.locals.length);
      } else this.#emit(0x1a);
    }
  }

  // Statements

  #statement(): void {
    if (!this.#spend()) return this.#emit(0x01);
    const random = this.#random;
    const { memories, tables, functions, exceptions } = this.#at;
    switch (random.below(15)) {
      case 0:
      case 1:
        if (memories.length > 0) return this.#store();
        break;
      case 2:
        return this.#setGlobal();
      case 3:
        return this.#conditional();
      case 4:
        return this.#block();
      case 5:
      case 6:
        return this.#loop();
      case 7:
        if (memories.length > 0) return this.#bulkMemory();
        break;
      case 8:
        if (tables.length > 0) return this.#bulkTable();
        break;
      case 9: {
        if (functions.length === 0) break;
        const index = random.below(functions.length);
        this.#call(index);
        return this.#drop(functions[index]?.results ?? []);
      }
      case 10: {
        const results = this.#callIndirect(false);
        return this.#drop(results ?? []);
      }
      case 11:
        if (exceptions === "none") break;
        return exceptions === "legacy" ? this.#tryLegacy() : this.#tryNew();
      case 12:
        return this.#switch();
      case 13:
        if (this.#at.heap !== undefined) return this.#heapBulk();
        return this.#guardedJump();
      case 14:
        return this.#guardedJump();
    }
    const type = random.pick(NUMBERS);
    this.#expression(type);
    this.#drop([type]);
  }

  #setGlobal(): void {
    const type = this.#random.pick(NUMBERS);
    const globals = this.#globalsOf(type, true);
    this.#expression(type);
    if (globals.length === 0) return this.#emit(0x1a);
    this.#emit(0x24);
    this.#index("global", this.#random.pick(globals), this.#at.globals.length);
  }

  #inside(operands: readonly number[], isLoop: boolean, body: () => void): void {
    this.#labels.push({ operands, isLoop });
    body();
    this.#labels.pop();
    this.#emit(END);
  }

  #conditional(): void {
    this.#expression(I32);
    this.#emit(0x04, EMPTY);
    this.#inside([], false, () => {
      this.#statements(1 + this.#random.below(2));
      if (!this.#random.oneIn(2)) return;
      this.#emit(0x05);
      this.#statements(this.#random.below(3));
    });
  }

  /** A block; sometimes with a function type, so that it takes and gives several values. */
  #block(): void {
    const random = this.#random;
    const types = this.#at.types;
    if (types.length === 0 || random.oneIn(2)) {
      this.#emit(0x02, EMPTY);
      return this.#inside([], false, () => this.#statements(1 + random.below(3)));
    }
    const type = random.pick(types);
    for (const param of type.params) this.#expression(param);
    this.#emit(0x02);
    this.#index("type", type.type, this.#typeCount());
    this.#inside(type.results, false, () => {
      this.#drop(type.params);
      this.#statements(random.below(2));
      for (const result of type.results) this.#expression(result);
    });
    this.#drop(type.results);
  }

  #loop(): void {
    const random = this.#random;
    const counter = this.#freeCounters.pop();
    if (counter === undefined) return this.#emit(0x01);
    const times = random.oneIn(4) ? random.below(60) : random.below(6);
    this.#emit(0x41, ...signed(times + 1), 0x21, ...unsigned(counter), 0x03, EMPTY);
    this.#inside([], true, () => {
      this.#guard();
      this.#statements(1 + random.below(3));
      this.#emit(0x20, ...unsigned(counter), 0x41, 1, 0x6b, 0x22, ...unsigned(counter), 0x0d, 0x00);
    });
    this.#freeCounters.push(counter);
  }

  #switch(): void {
    const random = this.#random;
    const arms = 1 + random.below(4);
    for (let arm = 0; arm <= arms; arm++) {
      this.#emit(0x02, EMPTY);
      this.#labels.push({ operands: [], isLoop: false });
    }
    this.#expression(I32);
    this.#emit(0x0e, ...unsigned(arms));
    for (let arm = 0; arm < arms; arm++) this.#index("label", random.below(arms + 1), this.#labels.length);
    this.#index("label", arms, this.#labels.length);
    this.#dead();
    for (let arm = 0; arm <= arms; arm++) {
      this.#labels.pop();
      this.#emit(END);
      if (random.oneIn(2)) this.#statement();
    }
  }

  /** A jump taken now and then, with code behind it that never runs. */
  #guardedJump(): void {
    this.#expression(I32);
    if (this.#random.oneIn(3)) this.#emit(0x41, 0, 0x71);
    this.#emit(0x04, EMPTY);
    this.#inside([], false, () => {
      this.#jump();
      this.#dead();
    });
  }

  #jump(): void {
    const random = this.#random;
    const { tags, exceptions, tailCalls, functions } = this.#at;
    switch (random.below(7)) {
      case 0:
        for (const type of this.#signature.results) this.#expression(type);
        return this.#emit(0x0f);
      case 1:
        return this.#emit(0x00);
      case 2:
        if (exceptions === "none" || tags.length === 0) break;
        return this.#throw();
      case 3: {
        if (!tailCalls) break;
        const same = functions.flatMap((fn, index) => (fn.results.join() === this.#signature.results.join() ? [index] : []));
        if (same.length === 0) break;
        const index = random.pick(same);
        for (const type of functions[index]?.params ?? []) this.#expression(type);
        this.#emit(0x12);
        return this.#index("function", index, functions.length);
      }
      case 4:
        if (tailCalls && this.#callIndirect(true) !== undefined) return;
        break;
      case 5: {
        const depth = this.#catches.at(-1);
        if (exceptions !== "legacy" || depth === undefined) break;
        this.#emit(0x09);
        return this.#index("label", this.#labels.length - depth, this.#labels.length);
      }
    }
    const depth = random.below(this.#labels.length);
    const label = this.#labels[this.#labels.length - 1 - depth];
    for (const type of label?.operands ?? []) this.#expression(type);
    this.#emit(0x0c);
    this.#index("label", depth, this.#labels.length);
  }

  #throw(): void {
    const { tags } = this.#at;
    const index = this.#random.below(tags.length);
    for (const type of tags[index]?.params ?? []) this.#expression(type);
    this.#emit(0x08);
    this.#index("tag", index, tags.length);
  }

  #dead(): void {
    for (let left = this.#random.below(4); left > 0; left--) {
      if (this.#random.oneIn(6)) this.#statement();
      else if (this.#labels.at(-1)?.operands.length === 0) this.#emit(...this.#random.pick(deadSequences));
    }
  }

  // Exceptions

  #tryLegacy(): void {
    const random = this.#random;
    const { tags } = this.#at;
    this.#emit(0x06, EMPTY);
    this.#labels.push({ operands: [], isLoop: false });
    this.#statements(1 + random.below(2));
    if (tags.length > 0 && random.oneIn(3)) this.#throw();
    if (random.oneIn(5)) {
      this.#labels.pop();
      this.#emit(0x18);
      return this.#index("label", random.below(this.#labels.length), this.#labels.length);
    }
    const depth = this.#labels.length;
    this.#catches.push(depth);
    if (tags.length > 0 && random.oneIn(2)) {
      const index = random.below(tags.length);
      this.#emit(0x07);
      this.#index("tag", index, tags.length);
      this.#drop(tags[index]?.params ?? []);
      this.#statements(random.below(2));
    }
    if (random.oneIn(2)) {
      this.#emit(0x19);
      this.#statements(random.below(2));
    }
    this.#catches.pop();
    this.#labels.pop();
    this.#emit(END);
  }

  /** block (result of the tag) try_table (catch to the block) … end; values of the same types; end; drop them. */
  #tryNew(): void {
    const random = this.#random;
    const { tags } = this.#at;
    const index = tags.length === 0 ? -1 : random.below(tags.length);
    const tag = tags[index];
    const all = tag === undefined || random.oneIn(3);
    const types = all ? [] : tag.params;
    if (!all && types.length > 1) return this.#tryNewPlain();
    this.#emit(0x02, types[0] ?? EMPTY);
    this.#labels.push({ operands: types, isLoop: false });
    this.#emit(0x1f, EMPTY, 1, all ? 2 : 0);
    if (!all) this.#index("tag", index, tags.length);
    this.#index("label", 0, this.#labels.length);
    this.#inside([], false, () => {
      this.#statements(1 + random.below(2));
      if (tags.length > 0 && random.oneIn(3)) {
        this.#throw();
        this.#dead();
      }
    });
    for (const type of types) this.#expression(type);
    this.#labels.pop();
    this.#emit(END);
    this.#drop(types);
  }

  #tryNewPlain(): void {
    this.#emit(0x1f, EMPTY, 0);
    this.#inside([], false, () => this.#statements(1));
  }
}
