// What the rewriter adds to a module: types, functions, globals, a table, memories and hidden exports. Everything is
// appended, so that no index of the original module moves.

import type { ParsedModule, ValueType } from "./module-reader.ts";
import { CodeBuilder, type NumberType, VALUE_TYPE, leb } from "./code-builder.ts";

/** Encoded value types. */
export type EncodedType = readonly number[];

/** A function to add. */
export interface InjectedFunction {
  /** Type index, where the exact type of the original matters: for what stands in for one of its functions. */
  readonly typeIndex?: number;
  readonly params: readonly EncodedType[];
  readonly results: readonly EncodedType[];
  readonly locals: readonly EncodedType[];
  readonly code: CodeBuilder;
}

/** Temporaries that inline sequences may use: one i32 and two i64 locals of the surrounding function. */
export const TEMPORARY = { i32: 0x100, first64: 0x101, second64: 0x102 } as const;

/** An inline sequence; the values of {@link TEMPORARY} stand for the LEB128 of that local's index. */
export type InlineSequence = readonly number[];

/** Encodes a value type. */
export function encodeType(type: ValueType | NumberType): EncodedType {
  if (typeof type === "string") return [VALUE_TYPE[type]];
  if (type.heap === undefined) return [type.code];
  const out = [type.code];
  // s33: negative abstract heap types take one byte, type indexes are non-negative.
  if (type.heap < 0) out.push(type.heap + 0x80);
  else {
    let rest = type.heap;
    while (rest > 0x3f) {
      out.push((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    out.push(rest);
  }
  return out;
}

/** Keys of hidden exports. Every instrumented module has them, but "memory" and "start" where there is none, and "inHost" unless it is linked. */
export type HiddenKey = "budget" | "reason" | "pagesLeft" | "entriesLeft" | "inHost" | "meter" | "ticks" | "start" | "memory";

/**
 * Slots of the table of host functions. Each takes the meter last, so that all instances share the same functions:
 * `tick` (budget) gives a new budget or a verdict; `wait` () suspends the guest and then gives a budget or a verdict;
 * `take` (bits) gives the bits of a result that arrived meanwhile, or those it was given; `pages` and `entries` (count)
 * give 1 if the memories or tables may grow by that much, and note it in the guest's own counter.
 */
export const SLOT = { tick: 0, wait: 1, take: 2, pages: 3, entries: 4 } as const;
/** Slots in all. */
export const TICK_SLOTS = 5;
/** Verdicts of `tick` and `wait`: trap; call `wait`. Anything else is a budget. */
export const VERDICT = { stop: -1, wait: -2 } as const;

/** Collects additions and knows the indexes they will have. */
export class Injection {
  readonly functions: InjectedFunction[] = [];
  readonly types: { params: readonly EncodedType[]; results: readonly EncodedType[] }[] = [];
  readonly globals: { type: NumberType | "externref"; initial: number }[] = [];
  readonly memories: { minimum: number; maximum: number }[] = [];
  readonly inlines: InlineSequence[] = [];
  readonly exports: { name: string; kind: number; index: number }[] = [];
  /** Index of the table that holds the host's tick. */
  readonly tickTable: number;
  readonly budget: number;
  readonly reason: number;
  readonly inHost: number;
  /** Whether the tick was asked and has not answered. */
  readonly inTick: number;
  readonly pagesLeft: number;
  readonly entriesLeft: number;
  /** What the host's functions are handed to know whom they serve. */
  readonly meter: number;
  /** Function that asks the host for more budget, or traps. */
  readonly refill: number;
  /** Function that takes units from the budget and checks it. */
  readonly settle: number;
  readonly #module: ParsedModule;
  readonly #nonce: string;
  readonly #typeIndexes = new Map<string, number>();

  constructor(module: ParsedModule, nonce: string) {
    this.#module = module;
    this.#nonce = nonce;
    this.tickTable = module.tables.length;
    this.budget = this.global("i32", 0);
    this.reason = this.global("i32", 0);
    this.inHost = this.global("i32", 0);
    this.inTick = this.global("i32", 0);
    this.pagesLeft = this.global("i32", 0);
    this.entriesLeft = this.global("i32", 0);
    this.meter = this.global("externref", 0);
    this.hide("budget", 3, this.budget);
    this.hide("reason", 3, this.reason);
    this.hide("pagesLeft", 3, this.pagesLeft);
    this.hide("entriesLeft", 3, this.entriesLeft);
    this.hide("meter", 3, this.meter);
    this.hide("ticks", 1, this.tickTable);
    this.refill = this.#defineRefill();
    this.settle = this.define(["i32"], [], [], (code) => {
      this.chargeTop(code.get(0), 0);
    });
  }

  /** Gives back the code and the names once they are written; inline sequences and types are still needed for traces. */
  release(): void {
    this.functions.length = 0;
    this.exports.length = 0;
  }

  /** Full name of a hidden export. */
  name(key: string): string {
    return `${this.#nonce}${key}`;
  }

  hide(key: HiddenKey | `enter:${string}`, kind: number, index: number): void {
    this.exports.push({ name: this.name(key), kind, index });
  }

  global(type: NumberType | "externref", initial: number): number {
    return this.#module.globals.length + this.globals.push({ type, initial }) - 1;
  }

  memory(minimum: number, maximum: number): number {
    return this.#module.memories.length + this.memories.push({ minimum, maximum }) - 1;
  }

  inline(sequence: InlineSequence): number {
    return this.inlines.push(sequence) - 1;
  }

  type(params: readonly EncodedType[], results: readonly EncodedType[]): number {
    const key = `${params.join(";")}>${results.join(";")}`;
    let index = this.#typeIndexes.get(key);
    if (index === undefined) {
      index = this.#module.types.length + this.types.push({ params, results }) - 1;
      this.#typeIndexes.set(key, index);
    }
    return index;
  }

  typeIndexOf(fn: InjectedFunction): number {
    return fn.typeIndex ?? this.type(fn.params, fn.results);
  }

  function(fn: InjectedFunction): number {
    this.typeIndexOf(fn);
    return this.#module.functionTypes.length + this.functions.push(fn) - 1;
  }

  /** A function over number types, written as a builder callback. */
  define(params: readonly NumberType[], results: readonly NumberType[], locals: readonly NumberType[], build: (code: CodeBuilder) => void): number {
    const code = new CodeBuilder();
    build(code);
    return this.function({ params: params.map(encodeType), results: results.map(encodeType), locals: locals.map(encodeType), code });
  }

  /** Takes the units on the stack from the budget and checks it. */
  chargeTop(code: CodeBuilder, temporary: number): CodeBuilder {
    return code
      .set(temporary)
      .globalGet(this.budget)
      .get(temporary)
      .op("i32.sub")
      .globalSet(this.budget)
      .globalGet(this.budget)
      .i32(0)
      .op("i32.lt_s")
      .if()
      .call(this.refill)
      .op("end");
  }

  /** Stops the guest for a reason the host reads afterwards. */
  stop(code: CodeBuilder, reason: number): CodeBuilder {
    return code.i32(reason).globalSet(this.reason).op("unreachable");
  }

  /**
   * Crosses into the host and counts the crossings that have not come back. One that never does ran out of stack in
   * JavaScript, and the guest caught the exception: the count stays, and tells the host not to use the instance again.
   */
  crossing(code: CodeBuilder, outer: number, cross: (code: CodeBuilder) => void): void {
    code.globalGet(this.inHost).tee(outer).i32(1).op("i32.add").globalSet(this.inHost);
    cross(code);
    code.get(outer).globalSet(this.inHost);
  }

  /** Calls a function of the host with the operands on the stack and the meter. */
  callHost(code: CodeBuilder, slot: keyof typeof SLOT): CodeBuilder {
    const value = encodeType(slot === "take" ? "i64" : "i32");
    const type = this.type([value, [VALUE_TYPE.externref]], [value]);
    return code.globalGet(this.meter).i32(SLOT[slot]).callIndirect(type, this.tickTable);
  }

  /** Stops the guest unless `left`, a global, covers the units in a local, or the host grants them. */
  need(code: CodeBuilder, units: () => CodeBuilder, left: number, slot: "pages" | "entries", refuse: () => void): void {
    units().globalGet(left).op("i32.gt_u").if();
    this.callHost(units(), slot).op("i32.eqz").if();
    refuse();
    code.op("end", "end");
  }

  #defineRefill(): number {
    return this.define([], [], ["i32"], (code) => {
      // If the last tick never came back, the stack is too full for it and the guest caught that: only a trap is left,
      // or a loop at that depth could never be stopped.
      code.globalGet(this.inTick).if();
      this.stop(code, STOP.hostUnreachable).op("end").i32(1).globalSet(this.inTick);
      this.callHost(code.globalGet(this.budget), "tick").set(0);
      code.i32(0).globalSet(this.inTick);
      // The host works with the instance while it is suspended, which may well ask for a tick.
      code.get(0).i32(VERDICT.wait).op("i32.eq").if();
      this.callHost(code.i32(0), "wait").set(0).op("end");
      // The tick returns a verdict and never throws: a trap is the only thing that catch_all does not catch.
      code.get(0).i32(0).op("i32.lt_s").if();
      this.stop(code, STOP.tick).op("end").get(0).globalSet(this.budget);
    });
  }
}

/** Values of the reason global. */
export const STOP = { none: 0, tick: 1, memory: 2, table: 3, hostUnreachable: 4 } as const;

/** Encodes an injected function's body with its size. */
export function encodeBody(fn: InjectedFunction): number[] {
  const locals: number[] = [];
  for (const local of fn.locals) locals.push(1, ...local);
  const body = [...leb(fn.locals.length), ...locals, ...fn.code.bytes, 0x0b];
  return [...leb(body.length), ...body];
}
