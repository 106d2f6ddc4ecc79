// A small interpreter for core modules that adds up the cost of what it executes. Clear before fast: it is the measure
// the meter is held against.
import {
  blockPrice,
  branchMoves,
  bytesPrice,
  callPrice,
  entriesPrice,
  entryPrice,
  GROW_ENTRY,
  GROW_PAGE,
  growPrice,
  loopPrice,
  plainPrice,
  returnPrice,
} from "./reference-cost.ts";
import { numeric, numericOperands, Trap, type Value } from "./reference-numerics.ts";
import type { Body, Constant, FunctionType, Instruction, ReferenceModule } from "./reference-reader.ts";

export { Trap, type Value } from "./reference-numerics.ts";
export { readReferenceModule } from "./reference-reader.ts";

/** The run executed more instructions than its caller was willing to wait for. */
export class TooManySteps extends Error {}

export type HostFunction = (...args: Value[]) => Value | undefined;

interface Label {
  /** Where a branch continues. */
  readonly target: number;
  readonly height: number;
  readonly arity: number;
  readonly block: Instruction | undefined;
}

interface Frame {
  readonly body: Body;
  readonly locals: Value[];
  readonly labels: Label[];
  readonly floor: number;
  at: number;
}

const PAGE = 65_536;
const NULL_CALL = "null function or function signature mismatch";
const TABLE_BOUNDS = "table index is out of bounds";
const MEMORY_BOUNDS = "memory access out of bounds";
/** V8 ends deep recursion with a RangeError at a depth of its own; tests stay well below both. */
const MAX_DEPTH = 2000;

function zeroOf(type: number): Value {
  if (type === 0x70 || type === 0x6f) return null;
  return type === 0x7e ? 0n : 0;
}

/** An instance; `executed` is the cost of everything that ran so far. */
export class ReferenceInstance {
  executed = 0;
  /** Places that may carry a check: function entries, loop iterations, branches, bulk operations. */
  checkpoints = 0;
  memory: Uint8Array<ArrayBuffer>;
  readonly table: (number | null)[];
  readonly globals: Value[];
  readonly #module: ReferenceModule;
  readonly #imports: readonly HostFunction[];
  readonly #droppedData = new Set<number>();
  readonly #droppedElements = new Set<number>();
  readonly #stack: Value[] = [];
  readonly #maxSteps: number;
  #steps: number;
  #depth = 0;

  constructor(module: ReferenceModule, imports: (module: string, name: string) => HostFunction, maxSteps = 1_000_000) {
    this.#module = module;
    this.#imports = module.importedFunctions.map((entry) => imports(entry.module, entry.name));
    this.#maxSteps = maxSteps;
    this.#steps = maxSteps;
    this.memory = new Uint8Array((module.memory?.minimum ?? 0) * PAGE);
    this.table = Array.from({ length: module.table?.minimum ?? 0 }, (): number | null => null);
    this.globals = [];
    for (const global of module.globals) this.globals.push(this.#constant(global));
    this.#fillSegments();
  }

  /** Runs the start function, if there is one. */
  start(): void {
    if (this.#module.start !== undefined) this.#enter(this.#module.start, []);
  }

  /** Calls an exported function; throws {@link Trap} or {@link TooManySteps}. */
  call(name: string, ...args: Value[]): Value[] {
    const exported = this.#module.exports.get(name);
    if (exported?.kind !== 0) throw new Error(`no function "${name}"`);
    this.#stack.length = 0;
    this.#depth = 0;
    this.#steps = this.#maxSteps;
    return this.#enter(exported.index, args);
  }

  #constant(constant: Constant): Value {
    if (constant.kind === "global") return this.globals[Number(constant.value)] ?? null;
    return constant.kind === "null" ? null : constant.value;
  }

  #fillSegments(): void {
    for (const [index, segment] of this.#module.elements.entries()) {
      if (segment.offset !== undefined) {
        const offset = Number(this.#constant(segment.offset)) >>> 0;
        for (const [at, item] of segment.items.entries()) this.table[offset + at] = this.#constant(item) as number | null;
      }
      if (segment.offset !== undefined || segment.declarative) this.#droppedElements.add(index);
    }
    for (const [index, segment] of this.#module.data.entries()) {
      if (segment.offset === undefined) continue;
      this.memory.set(segment.items, Number(this.#constant(segment.offset)) >>> 0);
      this.#droppedData.add(index);
    }
  }

  #typeOf(index: number): FunctionType {
    const imported = this.#module.importedFunctions;
    const type = imported[index]?.type ?? this.#module.bodies[index - imported.length]?.type;
    if (type === undefined) throw new Error(`no function ${index}`);
    return type;
  }

  /** Calls a function and everything it tail-calls. */
  #enter(index: number, args: Value[]): Value[] {
    if (++this.#depth > MAX_DEPTH) throw new TooManySteps("too deep");
    let next: { index: number; args: Value[] } | undefined = { index, args };
    let results: Value[] = [];
    while (next !== undefined) {
      const host = this.#imports[next.index];
      if (host !== undefined) {
        const result = host(...next.args);
        results = result === undefined ? [] : [result];
        break;
      }
      const outcome = this.#run(next.index, next.args);
      next = outcome.tail;
      results = outcome.results;
    }
    this.#depth--;
    return results;
  }

  #run(index: number, args: Value[]): { results: Value[]; tail?: { index: number; args: Value[] } } {
    const body = this.#module.bodies[index - this.#imports.length];
    if (body === undefined) throw new Error(`no function ${index}`);
    this.executed += entryPrice(body.locals.length, body.size);
    this.checkpoints++;
    const floor = this.#stack.length;
    const whole: Label = { target: body.code.length, height: floor, arity: body.type.results.length, block: undefined };
    const frame: Frame = { body, locals: [...args, ...body.locals.map(zeroOf)], labels: [whole], floor, at: 0 };
    while (frame.at < body.code.length) {
      const instruction = body.code[frame.at++];
      if (instruction === undefined) break;
      if (--this.#steps < 0) throw new TooManySteps("too many steps");
      const tail = this.#execute(instruction, frame);
      if (tail !== undefined) return { results: [], tail };
    }
    const results = this.#stack.splice(this.#stack.length - body.type.results.length);
    this.#stack.length = floor;
    return { results };
  }

  #pop(): Value {
    return this.#stack.pop() ?? null;
  }

  #popInt(): number {
    return Number(this.#stack.pop() ?? 0);
  }

  #popIndex(): number {
    return this.#popInt() >>> 0;
  }

  #execute(instruction: Instruction, frame: Frame): { index: number; args: Value[] } | undefined {
    const { code } = instruction;
    if (code >= 0x02 && code <= 0x05) {
      this.#structure(instruction, frame);
      return undefined;
    }
    if (code === 0x0b) {
      frame.labels.pop();
      return undefined;
    }
    if (code >= 0x0c && code <= 0x0f) {
      this.#branchKind(instruction, frame);
      return undefined;
    }
    if (code >= 0x10 && code <= 0x13) return this.#callKind(instruction, frame);
    this.executed += plainPrice(code);
    const operands = numericOperands(code);
    if (operands > 0) {
      const right = operands === 2 ? this.#pop() : null;
      this.#stack.push(numeric(code, this.#pop(), right));
    } else if (code >= 0x28 && code <= 0x3e) this.#access(instruction);
    else if (code === 0x40 || code >= 0xfc08) this.#bulk(instruction);
    else this.#simple(instruction, frame);
    return undefined;
  }

  #structure(instruction: Instruction, frame: Frame): void {
    const { code, block } = instruction;
    if (code === 0x05) {
      // Reached by falling off the first arm: continue behind the matching end.
      const label = frame.labels.pop();
      frame.at = (label?.block?.end ?? 0) + 1;
      return;
    }
    this.executed += blockPrice(instruction);
    const taken = code !== 0x04 || this.#popInt() !== 0;
    const params = block?.params.length ?? 0;
    const height = this.#stack.length - params;
    const isLoop = code === 0x03;
    const target = isLoop ? frame.at : instruction.end + 1;
    if (isLoop) this.#arriveAtLoop(instruction);
    if (code === 0x04) this.checkpoints++;
    frame.labels.push({ target, height, arity: isLoop ? params : (block?.results.length ?? 0), block: instruction });
    if (taken) return;
    if (instruction.otherwise >= 0) frame.at = instruction.otherwise + 1;
    else {
      frame.labels.pop();
      frame.at = instruction.end + 1;
    }
  }

  #arriveAtLoop(loop: Instruction): void {
    this.executed += loopPrice(loop);
    this.checkpoints++;
  }

  #labelPrice(depth: number, frame: Frame): number {
    const block = frame.labels.at(-1 - depth)?.block;
    return block === undefined ? returnPrice(frame.body.type) - 1 : branchMoves(block);
  }

  #branchKind(instruction: Instruction, frame: Frame): void {
    const { code, a, targets } = instruction;
    this.checkpoints++;
    if (code === 0x0e) {
      this.executed += 2 + Math.max(...[...targets, a].map((depth) => this.#labelPrice(depth, frame)));
      return this.#branch(targets[this.#popIndex()] ?? a, frame);
    }
    const depth = code === 0x0f ? frame.labels.length - 1 : a;
    this.executed += 1 + this.#labelPrice(depth, frame);
    if (code === 0x0d && this.#popInt() === 0) return;
    this.#branch(depth, frame);
  }

  #branch(depth: number, frame: Frame): void {
    const label = frame.labels[frame.labels.length - 1 - depth];
    if (label === undefined) throw new Error("no such label");
    const carried = label.arity === 0 ? [] : this.#stack.splice(this.#stack.length - label.arity);
    this.#stack.length = label.height;
    this.#stack.push(...carried);
    frame.at = label.target;
    const isLoop = label.block?.code === 0x03;
    frame.labels.length -= isLoop ? depth : depth + 1;
    if (isLoop && label.block !== undefined) this.#arriveAtLoop(label.block);
  }

  #callKind(instruction: Instruction, frame: Frame): { index: number; args: Value[] } | undefined {
    const { code, a } = instruction;
    const indirect = code === 0x11 || code === 0x13;
    const imported = a < this.#imports.length;
    const declared = indirect ? this.#module.types[a] : this.#typeOf(a);
    if (declared === undefined) throw new Error("no such type");
    this.executed += callPrice(declared, indirect ? "dynamic" : imported ? "imported" : "own");
    const index = indirect ? this.#lookUp(declared) : a;
    const args = this.#stack.splice(this.#stack.length - declared.params.length);
    if (code === 0x12 || code === 0x13) {
      this.#stack.length = frame.floor;
      return { index, args };
    }
    this.#stack.push(...this.#enter(index, args));
    return undefined;
  }

  #lookUp(declared: FunctionType): number {
    const slot = this.#popIndex();
    if (slot >= this.table.length) throw new Trap(TABLE_BOUNDS);
    const index = this.table[slot] ?? null;
    if (index === null) throw new Trap(NULL_CALL);
    if (JSON.stringify(this.#typeOf(index)) !== JSON.stringify(declared)) throw new Trap(NULL_CALL);
    return index;
  }

  #simple(instruction: Instruction, frame: Frame): void {
    const { code, a, wide } = instruction;
    const stack = this.#stack;
    switch (code) {
      case 0x00:
        throw new Trap("unreachable");
      case 0x01:
        return;
      case 0x1a:
        return void stack.pop();
      case 0x1b:
      case 0x1c: {
        const first = this.#popInt() !== 0;
        const right = this.#pop();
        const left = this.#pop();
        return void stack.push(first ? left : right);
      }
      case 0x20:
        return void stack.push(frame.locals[a] ?? null);
      case 0x21:
        frame.locals[a] = this.#pop();
        return;
      case 0x22:
        frame.locals[a] = stack.at(-1) ?? null;
        return;
      case 0x23:
        return void stack.push(this.globals[a] ?? null);
      case 0x24:
        this.globals[a] = this.#pop();
        return;
      case 0x25: {
        const slot = this.#popIndex();
        if (slot >= this.table.length) throw new Trap(TABLE_BOUNDS);
        return void stack.push(this.table[slot] ?? null);
      }
      case 0x26: {
        const entry = this.#pop() as number | null;
        const slot = this.#popIndex();
        if (slot >= this.table.length) throw new Trap(TABLE_BOUNDS);
        this.table[slot] = entry;
        return;
      }
      case 0x3f:
        return void stack.push(this.memory.length / PAGE);
      case 0x41:
      case 0x43:
      case 0x44:
      case 0xd2:
        return void stack.push(a);
      case 0x42:
        return void stack.push(wide);
      case 0xd0:
        return void stack.push(null);
      case 0xd1:
        return void stack.push(this.#pop() === null ? 1 : 0);
      default:
        throw new Error(`The reference interpreter knows no instruction 0x${code.toString(16)}`);
    }
  }

  #access(instruction: Instruction): void {
    const { code, a: offset } = instruction;
    const width = accessWidth[code - 0x28] ?? 1;
    const value = code >= 0x36 ? this.#pop() : null;
    const address = this.#popIndex() + offset;
    if (address + width > this.memory.length) throw new Trap(MEMORY_BOUNDS);
    const view = new DataView(this.memory.buffer, address, width);
    if (code < 0x36) this.#stack.push(load(view, code));
    else store(view, code, value);
  }

  #bulk(instruction: Instruction): void {
    const { code, a, b } = instruction;
    this.checkpoints++;
    switch (code) {
      case 0x40:
        return this.#growMemory();
      case 0xfc09:
        return void this.#droppedData.add(a);
      case 0xfc0d:
        return void this.#droppedElements.add(a);
      case 0xfc10:
        return void this.#stack.push(this.table.length);
      case 0xfc0f:
        return this.#growTable();
    }
    const [length, from, to] = [this.#popIndex(), this.#pop(), this.#popIndex()];
    const source = Number(from) >>> 0;
    const { memory, table } = this;
    const fits = (size: number, at: number, message: string): void => {
      if (at + length > size) throw new Trap(message);
    };
    if (code === 0xfc08) {
      const bytes = this.#droppedData.has(a) ? [] : (this.#module.data[a]?.items ?? []);
      fits(memory.length, to, MEMORY_BOUNDS);
      fits(bytes.length, source, MEMORY_BOUNDS);
      memory.set(bytes.slice(source, source + length), to);
    } else if (code === 0xfc0a) {
      fits(memory.length, to, MEMORY_BOUNDS);
      fits(memory.length, source, MEMORY_BOUNDS);
      memory.copyWithin(to, source, source + length);
    } else if (code === 0xfc0b) {
      fits(memory.length, to, MEMORY_BOUNDS);
      memory.fill(Number(from), to, to + length);
    } else if (code === 0xfc0c) {
      const items = this.#droppedElements.has(a) ? [] : (this.#module.elements[a]?.items ?? []);
      fits(table.length, to, TABLE_BOUNDS);
      fits(items.length, source, "element segment out of bounds");
      for (const [at, item] of items.slice(source, source + length).entries()) table[to + at] = this.#constant(item) as number | null;
    } else if (code === 0xfc0e) {
      fits(table.length, to, TABLE_BOUNDS);
      fits(table.length, source, TABLE_BOUNDS);
      table.copyWithin(to, source, source + length);
    } else if (code === 0xfc11) {
      fits(table.length, to, TABLE_BOUNDS);
      table.fill(from as number | null, to, to + length);
    } else throw new Error(`no bulk instruction ${code} ${b}`);
    // Only now: what trapped did no work.
    this.executed += code <= 0xfc0b ? bytesPrice(length) : entriesPrice(length);
  }

  #growMemory(): void {
    const delta = this.#popIndex();
    const size = this.memory.length / PAGE;
    const maximum = Math.min(this.#module.memory?.maximum ?? 0, PAGE);
    if (delta === 0 || size + delta > maximum) return void this.#stack.push(delta === 0 ? size : -1);
    this.executed += growPrice(delta, GROW_PAGE);
    const grown = new Uint8Array((size + delta) * PAGE);
    grown.set(this.memory);
    this.memory = grown;
    this.#stack.push(size);
  }

  #growTable(): void {
    const delta = this.#popIndex();
    const entry = this.#pop() as number | null;
    const size = this.table.length;
    const maximum = Math.min(this.#module.table?.maximum ?? 0, 10_000_000);
    if (delta === 0 || size + delta > maximum) return void this.#stack.push(delta === 0 ? size : -1);
    this.executed += growPrice(delta, GROW_ENTRY);
    for (let left = delta; left > 0; left--) this.table.push(entry);
    this.#stack.push(size);
  }
}

/** Bytes that each load and store touches, from opcode 0x28 on. */
const accessWidth: readonly number[] = [4, 8, 4, 8, 1, 1, 2, 2, 1, 1, 2, 2, 4, 4, 4, 8, 4, 8, 1, 2, 1, 2, 4];

function load(view: DataView, code: number): Value {
  switch (code) {
    case 0x28:
      return view.getInt32(0, true);
    case 0x29:
      return view.getBigInt64(0, true);
    case 0x2a:
      return view.getFloat32(0, true);
    case 0x2b:
      return view.getFloat64(0, true);
    case 0x2c:
      return view.getInt8(0);
    case 0x2d:
      return view.getUint8(0);
    case 0x2e:
      return view.getInt16(0, true);
    case 0x2f:
      return view.getUint16(0, true);
    case 0x30:
      return BigInt(view.getInt8(0));
    case 0x31:
      return BigInt(view.getUint8(0));
    case 0x32:
      return BigInt(view.getInt16(0, true));
    case 0x33:
      return BigInt(view.getUint16(0, true));
    case 0x34:
      return BigInt(view.getInt32(0, true));
    default:
      return BigInt(view.getUint32(0, true));
  }
}

function store(view: DataView, code: number, value: Value): void {
  const low = (): number => Number(BigInt.asIntN(32, BigInt(value ?? 0)));
  switch (code) {
    case 0x36:
      return view.setInt32(0, Number(value), true);
    case 0x37:
      return view.setBigInt64(0, BigInt(value ?? 0), true);
    case 0x38:
      return view.setFloat32(0, Number(value), true);
    case 0x39:
      return view.setFloat64(0, Number(value), true);
    case 0x3a:
      return view.setInt8(0, Number(value));
    case 0x3b:
      return view.setInt16(0, Number(value), true);
    case 0x3c:
      return view.setInt8(0, low());
    case 0x3d:
      return view.setInt16(0, low(), true);
    default:
      return view.setInt32(0, low(), true);
  }
}
