// Injected functions that stand in for instructions whose cost depends on an operand: they charge before they work,
// split what is long, and keep memories and tables within their caps. Each keeps the instruction's semantics: a range
// out of bounds traps before anything is written.

import { MortiseError } from "../api/errors.ts";
import { BULK_SPLIT_BYTES, BULK_SPLIT_ENTRIES, COST } from "./cost.ts";
import { CodeBuilder, type NumberType, leb } from "./code-builder.ts";
import { type EncodedType, type Injection, STOP, encodeType } from "./injection.ts";
import type { ParsedModule } from "./module-reader.ts";
import type { HelperKind } from "./scan.ts";

const I32 = encodeType("i32");
/** Different memories, tables and segments that bulk operations may name: each needs a function of its own. */
const MAX_HELPERS = 1024;

/** Arithmetic in the address type of a memory or table. */
function arithmetic(address64: boolean) {
  const type: NumberType = address64 ? "i64" : "i32";
  return {
    type,
    constant: (code: CodeBuilder, value: number) => (address64 ? code.i64(value) : code.i32(value | 0)),
    add: (code: CodeBuilder) => code.op(address64 ? "i64.add" : "i32.add"),
    sub: (code: CodeBuilder) => code.op(address64 ? "i64.sub" : "i32.sub"),
    lessUnsigned: (code: CodeBuilder) => code.op(address64 ? "i64.lt_u" : "i32.lt_u"),
    greaterUnsigned: (code: CodeBuilder) => code.op(address64 ? "i64.gt_u" : "i32.gt_u"),
    isZero: (code: CodeBuilder) => code.op(address64 ? "i64.eqz" : "i32.eqz"),
    shiftRight: (code: CodeBuilder) => code.op(address64 ? "i64.shr_u" : "i32.shr_u"),
    narrow: (code: CodeBuilder) => (address64 ? code.op("i32.wrap_i64") : code),
  };
}

interface BulkShape {
  /** Address types of destination, source and length. */
  readonly to64: boolean;
  readonly from64: boolean | undefined;
  readonly length64: boolean;
  /** Memories that the ranges lie in, if they do. */
  readonly toMemory?: number;
  readonly fromMemory?: number;
  /** Encoded type of the value that a fill writes. */
  readonly value?: EncodedType;
  /** The instruction itself. */
  readonly instruction: readonly number[];
  readonly chunk: number;
  /** Source and destination may overlap: copy backwards if the destination is higher. */
  readonly overlaps: boolean;
  /** Puts the units for a length, of the length's type, on the stack. */
  readonly price: (code: CodeBuilder, length: number) => void;
}

interface GrowShape {
  /** Whether sizes are 64-bit numbers. */
  readonly wide: boolean;
  /** Most pages or entries that it may ever have. */
  readonly maximum: number;
  /** Global with what the host still allows. */
  readonly left: number;
  readonly slot: "pages" | "entries";
  readonly stop: number;
  /** Units for each page or entry. */
  readonly price: number;
  /** Instructions that put the size on the stack, and that grow. */
  readonly size: readonly number[];
  readonly grow: readonly number[];
  /** Type of the value that new entries get. */
  readonly value?: EncodedType;
}

/** Makes helpers on demand, one for each operation and operands. */
export class Helpers {
  readonly #module: ParsedModule;
  readonly #injection: Injection;
  readonly #made = new Map<string, number>();

  constructor(module: ParsedModule, injection: Injection) {
    this.#module = module;
    this.#injection = injection;
  }

  /** Function index of a helper. */
  get(kind: HelperKind, first: number, second: number): number {
    const key = `${kind}:${first}:${second}`;
    let index = this.#made.get(key);
    if (index === undefined) {
      if (this.#made.size >= MAX_HELPERS) {
        throw new MortiseError("MORTISE_WASM_TOO_LARGE", {
          source: this.#module.source,
          what: "the number of different bulk operations",
          size: this.#made.size + 1,
          limit: MAX_HELPERS,
        });
      }
      index = this.#make(kind, first, second);
      this.#made.set(key, index);
    }
    return index;
  }

  #make(kind: HelperKind, first: number, second: number): number {
    const memory64 = (index: number): boolean => this.#module.memories[index]?.address64 === true;
    const table64 = (index: number): boolean => this.#module.tables[index]?.address64 === true;
    const bytes = { chunk: BULK_SPLIT_BYTES, unit: Math.log2(COST.bulkBytesPerUnit) };
    switch (kind) {
      case "memory.grow":
        return this.#memoryGrow(first);
      case "table.grow":
        return this.#tableGrow(first);
      case "array.charge":
        return this.#arrayCharge();
      case "memory.fill":
        return this.#bulk({
          to64: memory64(first),
          from64: undefined,
          length64: memory64(first),
          value: I32,
          toMemory: first,
          instruction: [0xfc, 11, ...leb(first)],
          chunk: bytes.chunk,
          overlaps: false,
          price: this.#bytePrice(memory64(first)),
        });
      case "memory.copy":
        return this.#bulk({
          to64: memory64(first),
          from64: memory64(second),
          length64: memory64(first) && memory64(second),
          toMemory: first,
          fromMemory: second,
          instruction: [0xfc, 10, ...leb(first), ...leb(second)],
          chunk: bytes.chunk,
          overlaps: first === second,
          price: this.#bytePrice(memory64(first) && memory64(second)),
        });
      case "memory.init":
        return this.#bulk({
          to64: memory64(second),
          from64: false,
          length64: false,
          toMemory: second,
          instruction: [0xfc, 8, ...leb(first), ...leb(second)],
          chunk: bytes.chunk,
          overlaps: false,
          price: this.#bytePrice(false),
        });
      case "table.fill":
        return this.#bulk({
          to64: table64(first),
          from64: undefined,
          length64: table64(first),
          value: this.#elementType(first),
          instruction: [0xfc, 17, ...leb(first)],
          chunk: BULK_SPLIT_ENTRIES,
          overlaps: false,
          price: this.#entryPrice(table64(first)),
        });
      case "table.copy":
        return this.#bulk({
          to64: table64(first),
          from64: table64(second),
          length64: table64(first) && table64(second),
          instruction: [0xfc, 14, ...leb(first), ...leb(second)],
          chunk: BULK_SPLIT_ENTRIES,
          overlaps: first === second,
          price: this.#entryPrice(table64(first) && table64(second)),
        });
      case "table.init":
        return this.#bulk({
          to64: table64(second),
          from64: false,
          length64: false,
          instruction: [0xfc, 12, ...leb(first), ...leb(second)],
          chunk: BULK_SPLIT_ENTRIES,
          overlaps: false,
          price: this.#entryPrice(false),
        });
    }
  }

  #elementType(table: number): EncodedType {
    const element = this.#module.tables[table]?.element;
    if (element === undefined) throw new RangeError(`no table ${table}`); // the scanner has checked the index
    return encodeType(element);
  }

  #bytePrice(length64: boolean): (code: CodeBuilder, length: number) => void {
    const math = arithmetic(length64);
    return (code, length) => {
      code.get(length);
      math.constant(code, Math.log2(COST.bulkBytesPerUnit));
      math.shiftRight(code);
      math.narrow(code);
    };
  }

  #entryPrice(length64: boolean): (code: CodeBuilder, length: number) => void {
    const math = arithmetic(length64);
    return (code, length) => {
      code.get(length);
      math.narrow(code);
      code.i32(COST.bulkEntry).op("i32.mul");
    };
  }

  #bulk(shape: BulkShape): number {
    const to = arithmetic(shape.to64);
    const from = shape.from64 === undefined ? undefined : arithmetic(shape.from64);
    const length = arithmetic(shape.length64);
    // parameters: 0 destination, 1 source or value, 2 length; locals: 3 units, 4 part, 5 whether backwards
    const params: EncodedType[] = [encodeType(to.type), from === undefined ? (shape.value ?? I32) : encodeType(from.type), encodeType(length.type)];
    const code = new CodeBuilder();
    const [TO, FROM, LENGTH, UNITS, PART, BACKWARDS] = [0, 1, 2, 3, 4, 5];

    /** Puts `base + length` (or `base` for a value) on the stack. */
    const plusLength = (base: number, math: ReturnType<typeof arithmetic>, wide: boolean): void => {
      code.get(base).get(LENGTH);
      if (wide && !shape.length64) code.op("i64.extend_i32_u");
      math.add(code);
    };
    /** Whether the range passes the end of the address space, or ends with it though the memory is smaller. */
    const wraps = (base: number, math: ReturnType<typeof arithmetic>, wide: boolean, memory: number | undefined): void => {
      plusLength(base, math, wide);
      code.get(base);
      math.lessUnsigned(code);
      if (memory === undefined || wide) return;
      // A sum of 0: the range ends with the last byte of 4 GiB, which only a full memory has.
      plusLength(base, math, wide);
      code.op("i32.eqz").memorySize(memory).i32(ENGINE_PAGES_32).op("i32.eq", "i32.and", "i32.eqz", "i32.and");
    };
    const charge = (amount: number): void => {
      shape.price(code, amount);
      this.#injection.chargeTop(code, UNITS);
    };

    // Short, or so far out that the sum wraps: the instruction itself does it, or traps.
    code.get(LENGTH);
    length.constant(code, shape.chunk);
    length.greaterUnsigned(code);
    code.op("i32.eqz").if();
    charge(LENGTH);
    code
      .get(TO)
      .get(FROM)
      .get(LENGTH)
      .raw(...shape.instruction)
      .op("return", "end");
    wraps(TO, to, shape.to64, shape.toMemory);
    if (from !== undefined) {
      wraps(FROM, from, shape.from64 === true, shape.fromMemory);
      code.op("i32.or");
    }
    code
      .if()
      .get(TO)
      .get(FROM)
      .get(LENGTH)
      .raw(...shape.instruction)
      .op("return", "end");
    // Nothing of length zero at the far end: traps exactly if the whole range would.
    plusLength(TO, to, shape.to64);
    if (from === undefined) code.get(FROM);
    else plusLength(FROM, from, shape.from64 === true);
    length.constant(code, 0);
    code.raw(...shape.instruction);
    if (shape.overlaps) {
      code.get(TO).get(FROM);
      to.greaterUnsigned(code);
      code.set(BACKWARDS);
    }
    code.block().loop();
    code.get(LENGTH);
    length.isZero(code);
    code.brIf(1);
    // part = min(length, chunk)
    code.get(LENGTH);
    length.constant(code, shape.chunk);
    code.get(LENGTH);
    length.constant(code, shape.chunk);
    length.lessUnsigned(code);
    code.op("select").set(PART);
    charge(PART);
    code.get(LENGTH).get(PART);
    length.sub(code);
    code.set(LENGTH);
    if (shape.overlaps) {
      code.get(BACKWARDS).if();
      plusLength(TO, to, shape.to64);
      plusLength(FROM, from ?? to, shape.from64 === true);
      code
        .get(PART)
        .raw(...shape.instruction)
        .br(1)
        .op("end");
    }
    code
      .get(TO)
      .get(FROM)
      .get(PART)
      .raw(...shape.instruction);
    const advance = (base: number, math: ReturnType<typeof arithmetic>, wide: boolean): void => {
      code.get(base).get(PART);
      if (wide && !shape.length64) code.op("i64.extend_i32_u");
      math.add(code);
      code.set(base);
    };
    advance(TO, to, shape.to64);
    if (from !== undefined) advance(FROM, from, shape.from64 === true);
    code.br(0).op("end", "end");
    return this.#injection.function({ params, results: [], locals: [I32, encodeType(length.type), I32], code });
  }

  #memoryGrow(memory: number): number {
    const type = this.#module.memories[memory];
    const wide = type?.address64 === true;
    return this.#grow({
      wide,
      maximum: Math.min(type?.maximum ?? Number.POSITIVE_INFINITY, wide ? ENGINE_PAGES_64 : ENGINE_PAGES_32),
      left: this.#injection.pagesLeft,
      slot: "pages",
      stop: STOP.memory,
      price: COST.growPage,
      size: [0x3f, ...leb(memory)],
      grow: [0x40, ...leb(memory)],
    });
  }

  #tableGrow(table: number): number {
    const type = this.#module.tables[table];
    return this.#grow({
      wide: type?.address64 === true,
      maximum: Math.min(type?.maximum ?? Number.POSITIVE_INFINITY, ENGINE_TABLE_ENTRIES),
      left: this.#injection.entriesLeft,
      slot: "entries",
      stop: STOP.table,
      price: COST.bulkEntry,
      size: [0xfc, 16, ...leb(table)],
      grow: [0xfc, 15, ...leb(table)],
      value: this.#elementType(table),
    });
  }

  /**
   * memory.grow and table.grow: beyond the type's own maximum they fail as the instruction does; beyond what the host
   * allows they stop the guest. What is added is charged for, a memory's pages for their first touch.
   */
  #grow(shape: GrowShape): number {
    const math = arithmetic(shape.wide);
    const address = encodeType(math.type);
    const params = shape.value === undefined ? [address] : [shape.value, address];
    const delta = params.length - 1;
    const [units, result] = [delta + 1, delta + 2];
    const code = new CodeBuilder();
    const narrowDelta = (): CodeBuilder => math.narrow(code.get(delta));
    code.get(delta);
    math.isZero(code);
    code
      .if()
      .raw(...shape.size)
      .op("return", "end");
    // delta > maximum - size
    code.get(delta);
    math.constant(code, shape.maximum);
    code.raw(...shape.size);
    math.sub(code);
    math.greaterUnsigned(code);
    code.if();
    math.constant(code, -1);
    code.op("return", "end");
    this.#injection.need(code, narrowDelta, shape.left, shape.slot, () => this.#injection.stop(code, shape.stop));
    narrowDelta().i32(shape.price).op("i32.mul").i32(COST.grow).op("i32.add");
    this.#injection.chargeTop(code, units);
    for (const param of params.keys()) code.get(param);
    code.raw(...shape.grow).tee(result);
    math.constant(code, -1);
    code
      .op(shape.wide ? "i64.ne" : "i32.ne")
      .if()
      .globalGet(shape.left);
    narrowDelta().op("i32.sub").globalSet(shape.left).op("end").get(result);
    return this.#injection.function({ params, results: [address], locals: [I32, address], code });
  }

  /** Passes an array length through and charges for it. */
  #arrayCharge(): number {
    const code = new CodeBuilder();
    code.get(0).i32(2).op("i32.shr_u");
    this.#injection.chargeTop(code, 1).get(0);
    return this.#injection.function({ params: [I32], results: [I32], locals: [I32], code });
  }
}

/** Most pages that V8 gives a memory: 4 GiB, or 16 GiB with 64-bit addresses. */
const ENGINE_PAGES_32 = 65_536;
const ENGINE_PAGES_64 = 262_144;
/** Most entries that V8 gives a table. */
const ENGINE_TABLE_ENTRIES = 10_000_000;
