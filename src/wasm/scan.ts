// Reads the instructions of every function body once: checks what the rewriter relies on, prices straight runs of
// code, and notes where the emitter has to insert or replace something.
//
// A *segment* is a run of instructions that executes as a whole. Each segment either carries a check of its own, or
// is paid for by its *owner*: an earlier segment that control flow must have passed (the head of the enclosing loop,
// the function's entry, or a checked segment before it in an enclosing block).

import { COST, MERGE_COST, SEGMENT_COST } from "./cost.ts";
import { ByteReader } from "./byte-reader.ts";
import { IntList } from "./int-list.ts";
import { ENGINE_LIMITS, type ParsedModule, type ValueType, isReference, noteHazard, readHeapType, readValueType } from "./module-reader.ts";

/** What the emitter does at a noted place. */
export const EDIT = {
  /** Insert the check of segment `argument`, if it came out as checked. */
  check: 0,
  /** Replace the bytes by the LEB128 `argument`. */
  index: 1,
  /** Replace the instruction by a call of function `argument`. */
  call: 2,
  /** Replace the instruction by the inline sequence `argument`. */
  inline: 3,
  /** Insert a call of function `argument`. */
  insertCall: 4,
  /** Insert the settling of what loops have counted: control leaves the function here. */
  settle: 5,
} as const;

/** What happens to a call of an imported function. */
export interface ImportedCall {
  /** Function in the rewritten module that stands in for the import. */
  readonly target: number;
  /** Index of an inline sequence that replaces direct calls, if there is one. */
  readonly inline?: number;
  /** Units that a call is charged. */
  readonly cost: number;
  /** It neither throws nor leads back into the module, so that a loop may go on owing across it. */
  readonly leaf?: boolean;
}

/** Operations that injected functions perform in place of one instruction. */
export type HelperKind =
  | "memory.grow"
  | "memory.fill"
  | "memory.copy"
  | "memory.init"
  | "table.grow"
  | "table.fill"
  | "table.copy"
  | "table.init"
  | "array.charge";

/** What the scanner needs to know of its surroundings. */
export interface ScanOptions {
  /** Stand-ins for imported functions, by function index. */
  readonly imported: readonly ImportedCall[];
  /** Index of the injected function that performs an operation on the given memories, tables or segments. */
  readonly helper: (kind: HelperKind, first: number, second: number) => number;
}

/** Notes of one scan; lists run over the whole module, `functionEdits` and `functionSegments` delimit each body. */
export interface ScanResult {
  readonly editPosition: IntList;
  readonly editEnd: IntList;
  readonly editKind: IntList;
  readonly editArgument: IntList;
  /** First edit of each defined function, one more entry at the end. */
  readonly functionEdits: Int32Array;
  readonly segmentCost: IntList;
  /** The owner that pays for a segment unless it is cut out, or -1 for a segment with a check of its own. */
  readonly segmentOwner: IntList;
  /** First segment of each defined function (its entry), one more entry at the end. */
  readonly functionSegments: Int32Array;
  /** Direct calls to defined functions: segment and callee. */
  readonly callSegment: IntList;
  readonly callCallee: IntList;
  readonly functionCalls: Int32Array;
  /** Calls of imported functions: body and import, and 1 for each body that calls through a table or reference. */
  readonly importCallBody: IntList;
  readonly importCallCallee: IntList;
  readonly callsIndirectly: Uint8Array;
  /** Offset of the first instruction of each body, number of local groups, and number of locals with parameters. */
  readonly codeStart: Int32Array;
  readonly groupCount: Int32Array;
  readonly groupsStart: Int32Array;
  readonly localCount: Int32Array;
  /** 1 for each body that uses an inline sequence, which needs temporaries. */
  readonly usesInline: Uint8Array;
  /** 1 for each body with a loop, and for each body with a call. */
  readonly hasLoop: Uint8Array;
  readonly hasCall: Uint8Array;
  /** Of each body, the values that are live at its branches and merges, added up: what compiling it costs. */
  readonly complexity: Float64Array;
}

const BLOCK = 0;
const LOOP = 1;
const IF = 2;
const ELSE = 3;
const TRY = 4;
const CATCH = 5;
const CATCH_ALL = 6;
const TRY_TABLE = 7;

/** Number-typed locals that cost as much at a call as one at a branch does. */
const NUMBERS_AT_SAFEPOINT = 16;

/** Complexity that ordinary code stays below: real modules have 1 to 3 for each byte. */
const ORDINARY_COMPLEXITY = 1000;
const ORDINARY_COMPLEXITY_PER_BYTE = 16;
const MAX_COMPILATION = 1 << 28;
/** Large functions pay for their size at each call: a row of first calls would compile for long without a tick. */
const LARGE_FUNCTION = 16_384;
const LARGE_FUNCTION_BYTES_PER_UNIT = 8;

// Block types that are no type index.
const NO_RESULT = -1;
const ONE_RESULT = -2;

/** What a block costs the compiler apart from live values, in the same unit. */
const MERGE_BASE = 16;

// Classes of the instructions that the inner loop handles by itself.
const CONTROL = 0;
const PLAIN = 1;
const LOCAL = 2;
const CONSTANT = 3;
const MEMORY = 4;
const GLOBAL = 5;
const INSTRUCTION_CLASS = new Uint8Array(256).fill(CONTROL);
for (let code = 0x45; code <= 0xbf; code++) INSTRUCTION_CLASS[code] = PLAIN;
for (const code of [0x1a, 0x1b, 0xd1, 0xd3, 0xd4]) INSTRUCTION_CLASS[code] = PLAIN;
for (const code of [0x20, 0x21, 0x22]) INSTRUCTION_CLASS[code] = LOCAL;
for (const code of [0x23, 0x24]) INSTRUCTION_CLASS[code] = GLOBAL;
for (const code of [0x41, 0x42]) INSTRUCTION_CLASS[code] = CONSTANT;
for (let code = 0x28; code <= 0x3e; code++) INSTRUCTION_CLASS[code] = MEMORY;

// For the fast path: bytes of a simple instruction whose operands take one byte each, and masks that make the operand
// bytes of an instruction without operands 0.
const INSTRUCTION_LENGTH = new Uint8Array(256);
const FIRST_OPERAND = new Uint8Array(256);
const SECOND_OPERAND = new Uint8Array(256);
for (let code = 0; code < 256; code++) {
  const operands = { [PLAIN]: 0, [LOCAL]: 1, [CONSTANT]: 1, [GLOBAL]: 1, [MEMORY]: 2 }[INSTRUCTION_CLASS[code] as number] ?? 0;
  INSTRUCTION_LENGTH[code] = 1 + operands;
  FIRST_OPERAND[code] = operands > 0 ? 0xff : 0;
  SECOND_OPERAND[code] = operands > 1 ? 0xff : 0;
}

// What each simple instruction does to the operand stack, for the price of compiling it.
const STACK_EFFECT = new Int8Array(256);
const effect = (from: number, to: number, delta: number): void => {
  STACK_EFFECT.fill(delta, from, to + 1);
};
effect(0x1a, 0x1a, -1); // drop
effect(0x1b, 0x1b, -2); // select
effect(0x20, 0x20, 1); // local.get
effect(0x21, 0x21, -1); // local.set
effect(0x23, 0x23, 1); // global.get
effect(0x24, 0x24, -1); // global.set
effect(0x36, 0x3e, -2); // stores
effect(0x41, 0x44, 1); // constants
effect(0x46, 0x4f, -1); // comparisons
effect(0x51, 0x66, -1);
effect(0x6a, 0x78, -1); // integer arithmetic
effect(0x7c, 0x8a, -1);
effect(0x92, 0x98, -1); // floating point arithmetic
effect(0xa0, 0xa6, -1);
effect(0xd3, 0xd3, -1); // ref.eq

/** What the first operand byte of each instruction must be below to take the fast path; 0 keeps an instruction off it. */
function operandLimits(module: ParsedModule): Uint8Array {
  const limits = new Uint8Array(256);
  for (let code = 0; code < 256; code++) {
    const kind = INSTRUCTION_CLASS[code];
    if (kind === PLAIN) limits[code] = 1;
    else if (kind === CONSTANT) limits[code] = 0x80;
    else if (kind === GLOBAL) limits[code] = Math.min(module.globals.length, 0x80);
    else if (kind === MEMORY) limits[code] = module.memories.length > 0 ? 0x40 : 0;
  }
  return limits;
}

/** Scans all bodies of a module; adds what it meets to `module.features`, `module.hazards` and `module.reachable`. */
export function scanBodies(module: ParsedModule, options: ScanOptions): ScanResult {
  const hazards = module.hazards.length;
  const scanner = new Scanner(module, options, module.tags.length > 0);
  const result = scanner.run();
  if (!scanner.assumedTooLittle) return result;
  // A module without tags can still catch: start again, and settle before calls.
  module.hazards.length = hazards;
  return new Scanner(module, options, true).run();
}

/** Units for moving that many values. */
function moves(values: number): number {
  return Math.floor(values * COST.movedValue);
}

/** What each stand-in for an instruction does to the operand stack. */
const HELPER_EFFECT: Record<HelperKind, number> = {
  "memory.grow": 0,
  "memory.fill": -3,
  "memory.copy": -3,
  "memory.init": -3,
  "table.grow": -1,
  "table.fill": -3,
  "table.copy": -3,
  "table.init": -3,
  "array.charge": 0,
};

class Scanner {
  readonly #module: ParsedModule;
  readonly #options: ScanOptions;
  readonly #reader: ByteReader;
  readonly #result: ScanResult;
  /** Parameters and results of each type. */
  readonly #typeParams: Int32Array;
  readonly #typeResults: Int32Array;

  // control frames
  #frameKind = new Uint8Array(256);
  #frameOwner = new Int32Array(256);
  #frameMoves = new Int32Array(256);
  #frameHeight = new Int32Array(256);
  #frameParams = new Int32Array(256);
  #frameResults = new Int32Array(256);
  /** The last br_table that named a frame, to count it once. */
  #frameTable = new Int32Array(256);
  #tables = 0;
  #frameDead = new Uint8Array(256);
  #frameTargeted = new Uint8Array(256);
  #depth = 0;

  // the open segment
  #owner = 0;
  #cost = 0;
  #start = 0;
  #own = -1;
  #firstEdit = 0;
  #firstCall = 0;
  #dead = false;
  /** Operands on the stack; only as right as the code is valid. */
  #height = 0;
  /** What compiling the body costs: the values that are live at each branch and merge, added up. */
  #complexity = 0;
  #locals = 0;
  #referenceLocals = 0;
  /** Open try blocks. */
  #tries = 0;
  #bodyIndex = 0;
  /** Cost that each owner pays for others, by segment. */
  readonly #merged = new IntList();

  readonly #operandLimits: Uint8Array;

  /** Whether an exception may pass a frame, and with it what its loops have counted. */
  readonly #exceptions: boolean;
  #tryMet = false;

  constructor(module: ParsedModule, options: ScanOptions, exceptions: boolean) {
    this.#module = module;
    this.#exceptions = exceptions;
    this.#options = options;
    this.#operandLimits = operandLimits(module);
    this.#reader = new ByteReader(module.bytes, module.source);
    const count = module.bodies.length / 2;
    // Real modules have an edit for each 60 to 100 bytes.
    const expected = 1024 + Math.floor(module.bytes.length / 64);
    this.#result = {
      editPosition: new IntList(expected),
      editEnd: new IntList(expected),
      editKind: new IntList(expected),
      editArgument: new IntList(expected),
      functionEdits: new Int32Array(count + 1),
      segmentCost: new IntList(expected),
      segmentOwner: new IntList(expected),
      functionSegments: new Int32Array(count + 1),
      callSegment: new IntList(expected),
      callCallee: new IntList(expected),
      functionCalls: new Int32Array(count + 1),
      importCallBody: new IntList(16),
      importCallCallee: new IntList(16),
      callsIndirectly: new Uint8Array(count),
      codeStart: new Int32Array(count),
      groupCount: new Int32Array(count),
      groupsStart: new Int32Array(count),
      localCount: new Int32Array(count),
      usesInline: new Uint8Array(count),
      hasLoop: new Uint8Array(count),
      hasCall: new Uint8Array(count),
      complexity: new Float64Array(count),
    };
    const { types } = module;
    this.#typeParams = new Int32Array(types.length);
    this.#typeResults = new Int32Array(types.length);
    for (const [index, type] of types.entries()) {
      if (type.kind !== "function") continue;
      this.#typeParams[index] = type.params.length;
      this.#typeResults[index] = type.results.length;
    }
  }

  /** True if exceptions turned up that the scan did not expect. */
  get assumedTooLittle(): boolean {
    return this.#tryMet && !this.#exceptions;
  }

  run(): ScanResult {
    const result = this.#result;
    const { bodies, importedFunctions } = this.#module;
    const count = bodies.length / 2;
    for (let index = 0; index < count; index++) {
      result.functionEdits[index] = result.editPosition.length;
      result.functionSegments[index] = result.segmentCost.length;
      result.functionCalls[index] = result.callSegment.length;
      this.#body(index, importedFunctions + index, bodies[index * 2] as number, bodies[index * 2 + 1] as number);
      result.complexity[index] = this.#complexity;
      this.#chargeCompilation(index);
    }
    result.functionEdits[count] = result.editPosition.length;
    result.functionSegments[count] = result.segmentCost.length;
    result.functionCalls[count] = result.callSegment.length;
    return result;
  }

  /**
   * The engine compiles a function at its first call, and no tick can interrupt it. What ordinary code takes is small;
   * a function that is short to write and long to compile pays for that at every call, so that a row of them is seen.
   */
  #chargeCompilation(body: number): void {
    const { bodies } = this.#module;
    const size = (bodies[body * 2 + 1] as number) - (bodies[body * 2] as number);
    const entry = this.#result.functionSegments[body] as number;
    if (size > LARGE_FUNCTION) (this.#result.segmentCost.data[entry] as number) += Math.floor(size / LARGE_FUNCTION_BYTES_PER_UNIT);
    if (this.#complexity > ORDINARY_COMPLEXITY + size * ORDINARY_COMPLEXITY_PER_BYTE) {
      (this.#result.segmentCost.data[entry] as number) += Math.min(this.#complexity * COST.compilation, MAX_COMPILATION);
    }
  }

  #edit(kind: number, position: number, end: number, argument: number): void {
    const { editPosition, editEnd, editKind, editArgument } = this.#result;
    editPosition.push(position);
    editEnd.push(end);
    editKind.push(kind);
    editArgument.push(argument);
  }

  /** Makes a segment; its check stands before the edits that were noted since it began. */
  #segment(cost: number, owner: number): number {
    const { editPosition, editEnd, editKind, editArgument, segmentCost, segmentOwner } = this.#result;
    this.#merge(1);
    const segment = segmentCost.push(cost);
    segmentOwner.push(owner);
    this.#merged.push(0);
    editPosition.insert(this.#firstEdit, this.#start);
    editEnd.insert(this.#firstEdit, this.#start);
    editKind.insert(this.#firstEdit, EDIT.check);
    editArgument.insert(this.#firstEdit, segment);
    return segment;
  }

  #open(position: number): void {
    this.#start = position;
    this.#cost = 0;
    this.#own = -1;
    this.#firstEdit = this.#result.editPosition.length;
    this.#firstCall = this.#result.callSegment.length;
  }

  /** Begins a segment that has a check whatever it costs: a function's entry or a loop's head. */
  #openOwner(position: number): void {
    this.#open(position);
    this.#own = this.#segment(0, -1);
    this.#owner = this.#own;
  }

  /** Ends the open segment and decides who pays for it. */
  #close(): void {
    const { segmentCost, callSegment } = this.#result;
    const cost = this.#cost;
    if (this.#own >= 0) {
      (segmentCost.data[this.#own] as number) += cost;
      this.#attachCalls(this.#own);
      return;
    }
    const owner = this.#owner;
    const calls = callSegment.length > this.#firstCall;
    if (cost === 0 && !calls) return;
    const merged = this.#merged.get(owner) + cost;
    if (merged <= MERGE_COST) {
      this.#merged.data[owner] = merged;
      if (calls) this.#attachCalls(this.#segment(cost, owner));
      else (segmentCost.data[owner] as number) += cost;
      return;
    }
    const segment = this.#segment(cost, -1);
    this.#attachCalls(segment);
    this.#owner = segment;
  }

  #attachCalls(segment: number): void {
    const { callSegment } = this.#result;
    for (let call = this.#firstCall; call < callSegment.length; call++) callSegment.data[call] = segment;
  }

  #boundary(position: number): void {
    this.#close();
    this.#open(position);
  }

  /** Counts branches or merges: the baseline compiler looks at every live value for each. */
  #merge(count: number): void {
    if (!this.#dead) this.#complexity += count * (MERGE_BASE + this.#locals + Math.max(this.#height, 0));
  }

  /**
   * Counts an instruction at which the compiler notes where references lie, calls above all: it looks at every live
   * value, briefly at numbers, at length at references, and inside a try block at all of them for the handler.
   */
  #safepoint(): void {
    if (this.#dead) return;
    const operands = Math.max(this.#height, 0);
    this.#complexity += this.#tries > 0 ? this.#locals + operands : this.#locals / NUMBERS_AT_SAFEPOINT + this.#referenceLocals + operands;
  }

  #charge(units: number): void {
    if (!this.#dead) this.#cost += units;
  }

  /** Opens a frame; its parameters are on the stack already. */
  #push(kind: number, moved: number, params: number, results: number): void {
    if (this.#depth === this.#frameKind.length) this.#growFrames();
    const depth = this.#depth++;
    if (kind === TRY || kind === TRY_TABLE) this.#tries++;
    this.#frameKind[depth] = kind;
    this.#frameOwner[depth] = this.#owner;
    this.#frameMoves[depth] = moved;
    this.#frameHeight[depth] = this.#height - params;
    this.#frameParams[depth] = params;
    this.#frameResults[depth] = results;
    this.#frameTable[depth] = 0;
    this.#frameDead[depth] = this.#dead ? 1 : 0;
    this.#frameTargeted[depth] = 0;
  }

  #growFrames(): void {
    const size = this.#frameKind.length * 2;
    const bytes = (old: Uint8Array): Uint8Array<ArrayBuffer> => {
      const next = new Uint8Array(size);
      next.set(old);
      return next;
    };
    const ints = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const next = new Int32Array(size);
      next.set(old);
      return next;
    };
    this.#frameKind = bytes(this.#frameKind);
    this.#frameDead = bytes(this.#frameDead);
    this.#frameTargeted = bytes(this.#frameTargeted);
    this.#frameOwner = ints(this.#frameOwner);
    this.#frameMoves = ints(this.#frameMoves);
    this.#frameHeight = ints(this.#frameHeight);
    this.#frameParams = ints(this.#frameParams);
    this.#frameResults = ints(this.#frameResults);
    this.#frameTable = ints(this.#frameTable);
  }

  /** Notes a branch to a label and returns what its values cost to move. */
  #label(at: number): number {
    const label = this.#reader.u32();
    if (label >= this.#depth) this.#reader.fail(`label ${label} is out of range (there are ${this.#depth})`, at);
    const frame = this.#depth - 1 - label;
    this.#frameTargeted[frame] = 1;
    this.#merge(1);
    return this.#frameMoves[frame] as number;
  }

  #kill(position: number): void {
    this.#boundary(position);
    this.#dead = true;
    this.#height = this.#frameHeight[this.#depth - 1] as number;
  }

  /** Reads a block type; the result is its type index, or NO_RESULT or ONE_RESULT. */
  #blockType(): number {
    const reader = this.#reader;
    const { bytes } = reader;
    const first = bytes[reader.position] as number;
    if (first === 0x40) {
      reader.position++;
      return NO_RESULT;
    }
    if (first >= 0x7b && first <= 0x7f) {
      reader.position++;
      return ONE_RESULT;
    }
    const { types, features } = this.#module;
    if (first >= 0x40 && first < 0x80) {
      readValueType(reader, types.length, features);
      return ONE_RESULT;
    }
    const at = reader.position;
    const index = reader.s33();
    if (index < 0 || index >= types.length || types[index]?.kind !== "function") reader.fail(`block type ${index} is not a function type`, at);
    features.add("multi-value");
    return index;
  }

  /** Reads a block type and charges for the values it moves; to be called before the block's segment opens. */
  #enterBlock(): number {
    const type = this.#blockType();
    if (type >= 0) this.#charge(moves((this.#typeParams[type] as number) + (this.#typeResults[type] as number)));
    return type;
  }

  #pushBlock(kind: number, type: number): void {
    const params = type < 0 ? 0 : (this.#typeParams[type] as number);
    const results = type < 0 ? (type === NO_RESULT ? 0 : 1) : (this.#typeResults[type] as number);
    this.#push(kind, moves(kind === LOOP ? params : results), params, results);
  }

  #index(what: string, count: number): number {
    const reader = this.#reader;
    const at = reader.position;
    const index = reader.u32();
    if (index >= count) reader.fail(`${what} index ${index} is out of range (there are ${count})`, at);
    return index;
  }

  #tagType(): number {
    return this.#module.tags[this.#index("tag", this.#module.tags.length)] as number;
  }

  #typeIndex(): number {
    return this.#index("type", this.#module.types.length);
  }

  #memoryIndex(): number {
    return this.#index("memory", this.#module.memories.length);
  }

  #tableIndex(): number {
    return this.#index("table", this.#module.tables.length);
  }

  #functionTypeIndex(): number {
    const at = this.#reader.position;
    const index = this.#typeIndex();
    if (this.#module.types[index]?.kind !== "function") this.#reader.fail(`type ${index} is not a function type`, at);
    return index;
  }

  #memoryArgument(): void {
    const reader = this.#reader;
    const at = reader.position;
    const align = reader.u32();
    if (align >= 0x40) {
      if (align >= 0x80) reader.fail("alignment is too large", at);
      this.#memoryIndex();
    } else if (this.#module.memories.length === 0) reader.fail("memory access without a memory", at);
    reader.skipLeb(10);
  }

  #readLocals(body: number, functionIndex: number): number {
    const reader = this.#reader;
    const result = this.#result;
    const type = this.#module.types[this.#module.functionTypes[functionIndex] as number];
    let total = type?.kind === "function" ? type.params.length : 0;
    const params = total;
    this.#referenceLocals = type?.kind === "function" ? type.params.filter(isReference).length : 0;
    const groups = reader.count("local groups");
    result.groupCount[body] = groups;
    result.groupsStart[body] = reader.position;
    for (let group = 0; group < groups; group++) {
      const at = reader.position;
      const size = reader.u32();
      total += size;
      if (total > ENGINE_LIMITS.locals) reader.fail(`function ${functionIndex} has more than ${ENGINE_LIMITS.locals} locals`, at);
      const code = reader.bytes[reader.position] as number;
      if (code >= 0x7b && code <= 0x7f && reader.position < reader.end) {
        reader.position++;
        if (code === 0x7b) this.#module.features.add("simd");
      } else {
        readValueType(reader, this.#module.types.length, this.#module.features);
        this.#referenceLocals += size;
      }
    }
    result.localCount[body] = total;
    result.codeStart[body] = reader.position;
    this.#cost += Math.floor((total - params) * COST.local);
    return total;
  }

  #body(body: number, functionIndex: number, start: number, end: number): void {
    const module = this.#module;
    const reader = this.#reader;
    const { bytes } = reader;
    reader.position = start;
    reader.end = end;
    this.#bodyIndex = body;
    this.#depth = 0;
    this.#dead = false;
    this.#complexity = 0;
    this.#tries = 0;
    this.#height = 0;
    this.#cost = 0;
    const localCount = this.#readLocals(body, functionIndex);
    this.#locals = localCount;
    const localsCost = this.#cost;
    this.#openOwner(reader.position);
    this.#cost = localsCost;
    const resultType = module.types[module.functionTypes[functionIndex] as number];
    const results = resultType?.kind === "function" ? resultType.results.length : 0;
    this.#push(BLOCK, moves(results), 0, results);
    const globalCount = module.globals.length;

    const hasMemory = module.memories.length > 0;
    // The loops that every instruction passes keep their state in locals; what is rarer goes through #control.
    let position = reader.position;
    let cost = localsCost;
    let height = 0;
    let live = 1;
    const limits = this.#operandLimits;
    limits.fill(Math.min(localCount, 0x80), 0x20, 0x23);
    const fastEnd = end - 2;
    for (;;) {
      if (cost > SEGMENT_COST) {
        this.#cost = cost;
        this.#boundary(position);
        cost = 0;
      }
      // Simple instructions with operands of one byte, without a branch for each kind.
      // An instruction takes a byte at least, so that this many bytes stay within the segment's cost.
      const runEnd = Math.min(fastEnd, position + SEGMENT_COST + 1 - cost);
      while (position < runEnd) {
        const code = bytes[position] as number;
        const first = (bytes[position + 1] as number) & (FIRST_OPERAND[code] as number);
        const second = (bytes[position + 2] as number) & (SECOND_OPERAND[code] as number);
        if (first >= (limits[code] as number) || second > 0x7f) break;
        position += INSTRUCTION_LENGTH[code] as number;
        height += STACK_EFFECT[code] as number;
        cost += live;
      }
      if (position >= end) reader.fail(`function ${functionIndex} ends inside a block`, end);
      const at = position;
      const code = bytes[position++] as number;
      height += STACK_EFFECT[code] as number;
      switch (INSTRUCTION_CLASS[code]) {
        case PLAIN:
          cost += live;
          continue;
        case LOCAL:
        case GLOBAL: {
          let index = bytes[position] as number;
          if (index < 0x80 && position < end) position++;
          else {
            reader.position = position;
            index = reader.u32();
            position = reader.position;
          }
          const count = INSTRUCTION_CLASS[code] === LOCAL ? localCount : globalCount;
          if (index >= count) {
            reader.fail(`${INSTRUCTION_CLASS[code] === LOCAL ? "local" : "global"} index ${index} is out of range (there are ${count})`, at + 1);
          }
          cost += live;
          continue;
        }
        case CONSTANT:
          if ((bytes[position] as number) < 0x80 && position < end) position++;
          else {
            reader.position = position;
            reader.skipLeb(code === 0x41 ? 5 : 10);
            position = reader.position;
          }
          cost += live;
          continue;
        case MEMORY:
          if ((bytes[position] as number) < 0x40 && (bytes[position + 1] as number) < 0x80 && position + 1 < end && hasMemory) position += 2;
          else {
            reader.position = position;
            this.#memoryArgument();
            position = reader.position;
          }
          cost += live;
          continue;
        default:
          reader.position = position;
          this.#cost = cost;
          this.#height = height;
          this.#control(code, at);
          position = reader.position;
          height = this.#height;
          cost = this.#cost;
          live = this.#dead ? 0 : 1;
      }
      if (this.#depth === 0) break;
    }
    if (position !== end) reader.fail(`function ${functionIndex} has bytes after its end`, position);
  }

  #control(code: number, at: number): void {
    const reader = this.#reader;
    const module = this.#module;
    switch (code) {
      case 0x00: // unreachable
        this.#charge(1);
        return this.#kill(reader.position);
      case 0x01: // nop
        return;
      case 0x02: // block
        return this.#pushBlock(BLOCK, this.#enterBlock());
      case 0x03: {
        // loop
        const type = this.#enterBlock();
        this.#merge(1);
        this.#close();
        this.#pushBlock(LOOP, type);
        this.#result.hasLoop[this.#bodyIndex] = 1;
        this.#openOwner(reader.position);
        return this.#charge((this.#frameMoves[this.#depth - 1] as number) + 1);
      }
      case 0x04: {
        // if
        this.#charge(1);
        this.#height--;
        const type = this.#enterBlock();
        this.#merge(1);
        this.#close();
        this.#pushBlock(IF, type);
        return this.#open(reader.position);
      }
      case 0x05: // else
        return this.#alternative(at, "else", ELSE, 0, (kind) => kind === IF);
      case 0x06: // try
        module.features.add("exception-handling-legacy");
        this.#tryMet = true;
        this.#merge(1);
        return this.#pushBlock(TRY, this.#enterBlock());
      case 0x07: // catch
        return this.#alternative(at, "catch", CATCH, this.#typeParams[this.#tagType()] as number, (kind) => kind === TRY || kind === CATCH);
      case 0x19: // catch_all
        return this.#alternative(at, "catch_all", CATCH_ALL, 0, (kind) => kind === TRY || kind === CATCH);
      case 0x18: // delegate
        if (this.#frameKind[this.#depth - 1] !== TRY) reader.fail("delegate without try", at);
        this.#delegate();
        return this.#end(false);
      case 0x08: // throw
        this.#leave(at);
        this.#index("tag", module.tags.length);
        this.#charge(COST.throw);
        return this.#kill(reader.position);
      case 0x09: // rethrow
        this.#leave(at);
        this.#label(reader.position);
        this.#charge(COST.throw);
        return this.#kill(reader.position);
      case 0x0a: // throw_ref
        this.#leave(at);
        module.features.add("exception-handling");
        this.#charge(COST.throw);
        return this.#kill(reader.position);
      case 0x0b: // end
        return this.#end(true);
      case 0x0c: // br
        this.#charge(1 + this.#label(reader.position));
        return this.#kill(reader.position);
      case 0x0d: // br_if
      case 0xd5: // br_on_null
      case 0xd6: // br_on_non_null
        if (code === 0x0d) this.#height--;
        this.#charge(1 + this.#label(reader.position));
        if (code !== 0x0d) module.features.add("typed-function-references");
        return this.#boundary(reader.position);
      case 0x0e: // br_table
        return this.#branchTable(at);
      case 0x0f: // return
        this.#leave(at);
        this.#merge(1);
        this.#charge(1 + (this.#frameMoves[0] as number));
        return this.#kill(reader.position);
      case 0x10: // call
        return this.#call(at, false);
      case 0x12: // return_call
        module.features.add("tail-call");
        this.#leave(at);
        this.#call(at, true);
        return this.#kill(reader.position);
      case 0x11: // call_indirect
      case 0x13: // return_call_indirect
        this.#result.callsIndirectly[this.#bodyIndex] = 1;
        if (code === 0x11) this.#beforeCall(at);
        else this.#leave(at);
        this.#callEffect(this.#functionTypeIndex(), 1);
        this.#tableIndex();
        if (code === 0x11) return;
        module.features.add("tail-call");
        return this.#kill(reader.position);
      case 0x14: // call_ref
      case 0x15: // return_call_ref
        this.#result.callsIndirectly[this.#bodyIndex] = 1;
        if (code === 0x14) this.#beforeCall(at);
        else this.#leave(at);
        module.features.add("typed-function-references");
        this.#callEffect(this.#functionTypeIndex(), 1);
        if (code === 0x14) return;
        module.features.add("tail-call");
        return this.#kill(reader.position);
      case 0x1c: // select with types
        for (let left = reader.count("types of select"); left > 0; left--) this.#valueType();
        return this.#charge(1);
      case 0x1f: // try_table
        return this.#tryTable();
      case 0x25: // table.get
      case 0x26: // table.set
        this.#tableIndex();
        module.features.add("reference-types");
        this.#safepoint();
        if (code === 0x26) this.#height -= 2;
        return this.#charge(code === 0x25 ? 2 : COST.reference);
      case 0x3f: // memory.size
        this.#height++;
        this.#memoryIndex();
        return this.#charge(1);
      case 0x40: // memory.grow
        return this.#helper("memory.grow", at, this.#memoryIndex(), 0);
      case 0x43: // f32.const
        reader.take(4);
        return this.#charge(1);
      case 0x44: // f64.const
        reader.take(8);
        return this.#charge(1);
      case 0xc0: // sign extension
      case 0xc1:
      case 0xc2:
      case 0xc3:
      case 0xc4:
        module.features.add("sign-extension");
        return this.#charge(1);
      case 0xd0: // ref.null
        module.features.add("reference-types");
        readHeapType(reader, module.types.length, module.features);
        this.#height++;
        return this.#charge(1);
      case 0xd2: // ref.func
        return this.#functionReference();
      case 0xfb:
        return this.#heap(at);
      case 0xfc:
        return this.#bulk(at);
      case 0xfd:
        return this.#simd(at);
      case 0xfe:
        return this.#atomic(at);
      default:
        reader.unsupported(`instruction 0x${code.toString(16)}`, at);
    }
  }

  #valueType(): ValueType {
    return readValueType(this.#reader, this.#module.types.length, this.#module.features);
  }

  /** `values` are what a catch pushes. */
  #alternative(at: number, what: string, kind: number, values: number, fits: (frame: number) => boolean): void {
    const frame = this.#depth - 1;
    if (!fits(this.#frameKind[frame] as number)) this.#reader.fail(`${what} without its block`, at);
    this.#merge(1);
    this.#close();
    if (this.#frameKind[frame] === TRY) this.#tries--;
    this.#frameKind[frame] = kind;
    this.#height = (this.#frameHeight[frame] as number) + (kind === ELSE ? (this.#frameParams[frame] as number) : values);
    this.#owner = this.#frameOwner[frame] as number;
    this.#dead = this.#frameDead[frame] === 1;
    this.#open(this.#reader.position);
  }

  #delegate(): void {
    // The label counts from outside the try block; delegating to the function's own frame rethrows to the caller.
    const reader = this.#reader;
    const at = reader.position;
    const label = reader.u32();
    if (label >= this.#depth - 1) reader.fail(`label ${label} is out of range (there are ${this.#depth - 1})`, at);
  }

  #end(plain: boolean): void {
    const frame = this.#depth - 1;
    const kind = this.#frameKind[frame] as number;
    this.#depth = frame;
    if (kind === TRY || kind === TRY_TABLE) this.#tries--;
    this.#height = (this.#frameHeight[frame] as number) + (this.#frameResults[frame] as number);
    // Nothing branches to the end of this block: the straight run goes on.
    if (plain && (kind === BLOCK || kind === TRY_TABLE) && this.#frameTargeted[frame] === 0 && !this.#dead && frame > 0) return;
    this.#merge(1);
    this.#close();
    this.#owner = this.#frameOwner[frame] as number;
    this.#dead = this.#frameDead[frame] === 1;
    this.#open(this.#reader.position);
  }

  /** Charges a call and moves its values; `operands` are those it takes besides the parameters. */
  #callEffect(type: number, operands: number): void {
    const params = this.#typeParams[type] as number;
    const results = this.#typeResults[type] as number;
    this.#charge(COST.call + moves(params + results));
    this.#safepoint();
    this.#height += results - params - operands;
  }

  /**
   * Notes that control leaves the function at `at`: what it owes must be settled. Also where no loop came before, since
   * the entry of a function with a loop owes as well; the emitter drops the note in functions without one.
   */
  #leave(at: number): void {
    if (!this.#dead) this.#edit(EDIT.settle, at, at, 0);
  }

  /** Notes a call; an exception from the callee could pass this frame and lose what its loops have counted. */
  #beforeCall(at: number): void {
    this.#result.hasCall[this.#bodyIndex] = 1;
    if (this.#exceptions) this.#leave(at);
  }

  #branchTable(at: number): void {
    const reader = this.#reader;
    const { bytes } = reader;
    const count = reader.count("branch targets");
    if (count > ENGINE_LIMITS.branchTable) reader.fail(`br_table has ${count} targets, at most ${ENGINE_LIMITS.branchTable} are allowed`, at);
    const depth = this.#depth;
    this.#tables++;
    this.#height--;
    let moved = 0;
    let { position } = reader;
    for (let left = count; left >= 0; left--) {
      const labelAt = position;
      let label = bytes[position] as number;
      if (label < 0x80 && position < reader.end) position++;
      else {
        reader.position = position;
        label = reader.u32();
        position = reader.position;
      }
      if (label >= depth) reader.fail(`label ${label} is out of range (there are ${depth})`, labelAt);
      const frame = depth - 1 - label;
      this.#frameTargeted[frame] = 1;
      if (this.#frameTable[frame] !== this.#tables) {
        this.#frameTable[frame] = this.#tables;
        this.#merge(1);
      }
      if ((this.#frameMoves[frame] as number) > moved) moved = this.#frameMoves[frame] as number;
    }
    reader.position = position;
    this.#charge(2 + moved);
    this.#kill(position);
  }

  #call(at: number, tail: boolean): void {
    const reader = this.#reader;
    const module = this.#module;
    const operand = reader.position;
    const callee = this.#index("function", module.functionTypes.length);
    if (!tail && this.#options.imported[callee]?.leaf !== true) this.#beforeCall(at);
    this.#callEffect(module.functionTypes[callee] as number, 0);
    if (callee >= module.importedFunctions) {
      if (this.#dead) return;
      this.#result.callSegment.push(-1);
      this.#result.callCallee.push(callee);
      // A callee may add up to UNCHECKED_COST later; long rows of calls are split early to bound the sum.
      this.#cost += 1;
      return;
    }
    const stand = this.#options.imported[callee] as ImportedCall;
    if (stand.leaf !== true) {
      this.#result.importCallBody.push(this.#bodyIndex);
      this.#result.importCallCallee.push(callee);
    }
    this.#charge(stand.cost);
    if (stand.inline !== undefined && !tail && !this.#dead) {
      this.#merge(2);
      this.#edit(EDIT.inline, at, reader.position, stand.inline);
      this.#result.usesInline[this.#bodyIndex] = 1;
    } else this.#edit(EDIT.index, operand, reader.position, stand.target);
  }

  #functionReference(): void {
    const reader = this.#reader;
    const module = this.#module;
    const operand = reader.position;
    const index = this.#index("function", module.functionTypes.length);
    module.features.add("reference-types");
    module.reachable[index] = 1;
    this.#safepoint();
    this.#height++;
    this.#charge(COST.reference);
    if (index < module.importedFunctions) this.#edit(EDIT.index, operand, reader.position, (this.#options.imported[index] as ImportedCall).target);
  }

  #helper(kind: HelperKind, at: number, first: number, second: number): void {
    this.#charge(COST.call + COST.bulk);
    this.#safepoint();
    this.#height += HELPER_EFFECT[kind];
    this.#edit(EDIT.call, at, this.#reader.position, this.#options.helper(kind, first, second));
  }

  #tryTable(): void {
    const reader = this.#reader;
    const module = this.#module;
    module.features.add("exception-handling");
    this.#tryMet = true;
    this.#merge(1);
    const type = this.#enterBlock();
    for (let left = reader.count("catch clauses"); left > 0; left--) {
      const at = reader.position;
      const clause = reader.byte();
      if (clause > 3) reader.unsupported(`catch clause ${clause}`, at);
      if (clause < 2) this.#index("tag", module.tags.length);
      this.#label(reader.position);
    }
    this.#pushBlock(TRY_TABLE, type);
  }

  #arrayCharge(at: number): void {
    this.#edit(EDIT.insertCall, at, at, this.#options.helper("array.charge", 0, 0));
  }

  #heapAllocation(at: number): void {
    this.#safepoint();
    this.#charge(COST.reference);
    noteHazard(this.#module.hazards, { kind: "gc-heap", what: "an allocation of a struct or array", offset: at });
  }

  /** Instructions of the garbage collection proposal, prefix 0xfb. */
  #heap(at: number): void {
    const reader = this.#reader;
    const module = this.#module;
    module.features.add("gc");
    const code = reader.u32();
    switch (code) {
      case 0: // struct.new
      case 1: // struct.new_default
      {
        const type = module.types[this.#typeIndex()];
        this.#charge(Math.floor((type?.kind === "struct" ? type.fields.length : 0) * COST.movedValue));
        return this.#heapAllocation(at);
      }
      case 2: // struct.get, get_s, get_u, set
      case 3:
      case 4:
      case 5:
        this.#typeIndex();
        reader.u32();
        return this.#charge(1);
      case 6: // array.new
      case 7: // array.new_default
        this.#typeIndex();
        this.#arrayCharge(at);
        return this.#heapAllocation(at);
      case 8: // array.new_fixed
        this.#typeIndex();
        this.#charge(Math.floor(reader.u32() * COST.movedValue));
        return this.#heapAllocation(at);
      case 9: // array.new_data
        this.#typeIndex();
        this.#index("data segment", this.#module.dataCount ?? 0);
        this.#arrayCharge(at);
        return this.#heapAllocation(at);
      case 10: // array.new_elem
        this.#typeIndex();
        this.#index("element segment", module.elementSegments);
        this.#arrayCharge(at);
        return this.#heapAllocation(at);
      case 11: // array.get, get_s, get_u, set
      case 12:
      case 13:
      case 14:
        this.#typeIndex();
        return this.#charge(1);
      case 15: // array.len
        return this.#charge(1);
      case 16: // array.fill
        this.#typeIndex();
        this.#arrayCharge(at);
        return this.#charge(COST.bulk);
      case 17: // array.copy
        this.#typeIndex();
        this.#typeIndex();
        this.#arrayCharge(at);
        return this.#charge(COST.bulk);
      case 18: // array.init_data
        this.#typeIndex();
        this.#index("data segment", this.#module.dataCount ?? 0);
        this.#arrayCharge(at);
        return this.#charge(COST.bulk);
      case 19: // array.init_elem
        this.#typeIndex();
        this.#index("element segment", module.elementSegments);
        this.#arrayCharge(at);
        return this.#charge(COST.bulk);
      case 20: // ref.test, ref.cast
      case 21:
      case 22:
      case 23:
        readHeapType(reader, module.types.length, module.features);
        return this.#charge(4);
      case 24: // br_on_cast, br_on_cast_fail
      case 25:
        reader.byte();
        this.#charge(4 + this.#label(reader.position));
        readHeapType(reader, module.types.length, module.features);
        readHeapType(reader, module.types.length, module.features);
        return this.#boundary(reader.position);
      case 26: // any.convert_extern, extern.convert_any, ref.i31, i31.get_s, i31.get_u
      case 27:
      case 28:
      case 29:
      case 30:
        return this.#charge(1);
      default:
        reader.unsupported(`instruction 0xfb ${code}`, at);
    }
  }

  /** Saturating conversions and bulk operations, prefix 0xfc. */
  #bulk(at: number): void {
    const reader = this.#reader;
    const { features } = this.#module;
    const code = reader.u32();
    if (code < 8) {
      features.add("saturating-float-to-int");
      return this.#charge(1);
    }
    features.add("bulk-memory");
    switch (code) {
      case 8: {
        const segment = this.#index("data segment", this.#module.dataCount ?? 0);
        return this.#helper("memory.init", at, segment, this.#memoryIndex());
      }
      case 9:
        this.#index("data segment", this.#module.dataCount ?? 0);
        return this.#charge(1);
      case 10: {
        const to = this.#memoryIndex();
        return this.#helper("memory.copy", at, to, this.#memoryIndex());
      }
      case 11:
        return this.#helper("memory.fill", at, this.#memoryIndex(), 0);
      case 12: {
        const segment = this.#index("element segment", this.#module.elementSegments);
        return this.#helper("table.init", at, segment, this.#tableIndex());
      }
      case 13:
        this.#index("element segment", this.#module.elementSegments);
        return this.#charge(1);
      case 14: {
        const to = this.#tableIndex();
        return this.#helper("table.copy", at, to, this.#tableIndex());
      }
      case 15:
        return this.#helper("table.grow", at, this.#tableIndex(), 0);
      case 16:
        this.#tableIndex();
        this.#height++;
        return this.#charge(1);
      case 17:
        return this.#helper("table.fill", at, this.#tableIndex(), 0);
      default:
        reader.unsupported(`instruction 0xfc ${code}`, at);
    }
  }

  /** Vector instructions, prefix 0xfd. */
  #simd(at: number): void {
    const reader = this.#reader;
    const code = reader.u32();
    this.#module.features.add("simd");
    if (code > 0x113) reader.unsupported(`instruction 0xfd ${code}`, at);
    if (code > 0xff) this.#module.features.add("relaxed-simd");
    // What takes several operands is counted as if it took one: never below the real height.
    if (code <= 11 || code === 92 || code === 93) {
      this.#memoryArgument();
      if (code === 11) this.#height -= 2;
    } else if (code === 12 || code === 13) {
      reader.take(16);
      this.#height += code === 12 ? 1 : -1;
    } else if (code >= 21 && code <= 34) reader.byte();
    else if (code >= 84 && code <= 91) {
      this.#memoryArgument();
      reader.byte();
    }
    this.#charge(1);
  }

  /** Atomic instructions, prefix 0xfe; waiting would block the thread, so it is a hazard like a shared memory. */
  #atomic(at: number): void {
    const reader = this.#reader;
    const { features, hazards } = this.#module;
    features.add("threads");
    const code = reader.u32();
    if (code === 3) reader.byte();
    else if (code <= 2 || (code >= 0x10 && code <= 0x4e)) {
      if (code === 1 || code === 2) noteHazard(hazards, { kind: "shared-memory", what: "an atomic wait", offset: at });
      this.#memoryArgument();
    } else reader.unsupported(`instruction 0xfe ${code}`, at);
    this.#charge(4);
  }
}
