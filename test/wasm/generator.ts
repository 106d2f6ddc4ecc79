// Random modules: valid ones by construction, from a seed; or, on request, ones with a single index that is wrong.
import { END, EXTERNREF, F32, F64, FUNCREF, I32, i32Const, I64, i64Const, ModuleBuilder, text, unsigned, V128 } from "./builder.ts";
import { BodyGenerator, type IndexSpace, type Signature, type Surroundings } from "./generator-code.ts";
import { Random } from "./random.ts";

export interface GeneratorOptions {
  /** Ends every run after this many calls and loop iterations; `undefined` leaves runs unbounded. */
  readonly steps?: number | undefined;
  /** Which of the emitted indexes is replaced by a wrong one; counted from 1. */
  readonly sabotage?: { readonly emission: number; readonly by: number } | undefined;
  /** Allows structs, arrays, and function types in groups or with subtypes. */
  readonly heap?: boolean;
}

export interface GeneratedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Exported functions that JavaScript can call, with arguments for them. */
  readonly calls: readonly { readonly name: string; readonly args: readonly unknown[] }[];
  /** How many indexes were emitted: the places a sabotage can strike. */
  readonly indexes: number;
}

const NUMBERS: readonly number[] = [I32, I64, F32, F64];
const MAX_STEPS = 200;

/** Makes the module of a seed. */
export function generateModule(seed: number, options: GeneratorOptions = {}): GeneratedModule {
  return new ModuleGenerator(seed, options).generate();
}

class ModuleGenerator {
  readonly #random: Random;
  readonly #builder = new ModuleBuilder();
  readonly #options: GeneratorOptions;
  #indexes = 0;

  constructor(seed: number, options: GeneratorOptions) {
    this.#random = new Random(seed);
    this.#options = options;
  }

  generate(): GeneratedModule {
    const random = this.#random;
    const types = this.#types();
    const heap = this.#options.heap === true && random.oneIn(4) ? this.#heapTypes() : undefined;
    const functions = this.#importFunctions(types);
    const imported = functions.length;
    const own = 1 + random.below(5);
    for (let at = 0; at < own; at++) functions.push(random.pick(types));
    const startType = this.#builder.type([], []);
    const hasStart = random.oneIn(5);
    if (hasStart) functions.push({ params: [], results: [], type: startType });
    const memories = this.#memories();
    const tables = this.#tables(functions.length);
    const tags = this.#tags(types);
    const steps = this.#options.steps === undefined ? undefined : 0;
    const globals = this.#globals();
    const surroundings: Surroundings = {
      functions,
      types: startType < types.length ? types : [...types, { params: [], results: [], type: startType }],
      globals,
      memories,
      tables,
      tags,
      elements: [FUNCREF, FUNCREF, FUNCREF, EXTERNREF],
      dataCount: memories.length === 0 ? 0 : 2,
      exceptions: random.pick(["none", "none", "legacy", "new"] as const),
      simd: random.oneIn(3),
      heap,
      tailCalls: random.oneIn(2),
      steps,
      index: (space, index, count) => this.#index(space, index, count),
    };
    this.#segments(functions.length, memories, tables);
    for (const fn of functions.slice(imported)) {
      this.#builder.declare(fn.type);
      const body = new BodyGenerator(random, surroundings, fn, 30 + random.below(60));
      const code = body.generate();
      this.#builder.body(
        body.locals.map((local) => [local]),
        code,
      );
    }
    if (hasStart) this.#builder.start(functions.length - 1);
    this.#exports(imported, functions.length, memories.length, tables.length, globals.length);
    if (random.oneIn(10)) this.#builder.custom("name", [1, 1, 0]);
    return { bytes: this.#builder.build(), calls: this.#calls(functions, imported), indexes: this.#indexes };
  }

  #index(space: IndexSpace, index: number, count: number): number[] {
    const { sabotage } = this.#options;
    this.#indexes++;
    if (sabotage?.emission === this.#indexes) {
      const wrong = sabotage.by >= 0 ? count + sabotage.by : 0xffffffff;
      return space === "lane" || space === "field" ? [...unsigned(wrong & 0xff)] : unsigned(wrong);
    }
    const padded = space !== "lane" && this.#random.oneIn(150);
    return unsigned(index, padded ? 2 + this.#random.below(4) : 0);
  }

  #types(): Signature[] {
    const random = this.#random;
    const types: Signature[] = [];
    for (let left = 2 + random.below(4); left > 0; left--) {
      const params = this.#values(random.below(4));
      const results = this.#values(random.oneIn(5) ? 2 + random.below(2) : random.below(2));
      const type = this.#functionType(params, results);
      if (!types.some((known) => known.type === type)) types.push({ params, results, type });
    }
    return types;
  }

  /** A function type: plain, or open to subtypes, or in a group, which makes it differ from a plain one alike. */
  #functionType(params: readonly number[], results: readonly number[]): number {
    if (this.#options.heap !== true || !this.#random.oneIn(6)) return this.#builder.type(params, results);
    const plain = [0x60, params.length, ...params, results.length, ...results];
    if (this.#random.oneIn(2)) return this.#builder.rawType([0x50, 0, ...plain]);
    return this.#builder.rawType([0x4e, 2, ...plain, 0x60, 0, 0], 2);
  }

  #values(count: number): number[] {
    return Array.from({ length: count }, () => this.#random.pick(NUMBERS));
  }

  #heapTypes(): { struct: number; bytes: number; ints: number } {
    const mutable = 1;
    return {
      struct: this.#builder.rawType([0x5f, 2, I32, mutable, I64, mutable]),
      bytes: this.#builder.rawType([0x5e, 0x78, mutable]),
      ints: this.#builder.rawType([0x5e, I32, mutable]),
    };
  }

  #importFunctions(types: readonly Signature[]): Signature[] {
    const functions: Signature[] = [];
    for (let left = this.#random.below(3); left > 0; left--) {
      const type = this.#random.pick(types);
      const name = type.results.map(nameOfType).join("_") || "nothing";
      this.#builder.importEntity("stub", name, "function", unsigned(type.type));
      functions.push(type);
    }
    return functions;
  }

  #memories(): { wide: boolean }[] {
    const random = this.#random;
    const count = random.pick([0, 1, 1, 1, 2, 3]);
    return Array.from({ length: count }, () => {
      const wide = random.oneIn(6);
      const bounded = random.oneIn(2) ? 1 : 0;
      this.#builder.memory([bounded + (wide ? 4 : 0), random.below(3), ...(bounded === 1 ? [3] : [])]);
      return { wide };
    });
  }

  #tables(functions: number): { wide: boolean; type: number }[] {
    const random = this.#random;
    const count = random.pick([1, 1, 2, 3]);
    return Array.from({ length: count }, (_, at) => {
      const type = at === 1 ? EXTERNREF : FUNCREF;
      const wide = random.oneIn(8);
      const limits = [wide ? 5 : 1, 4 + random.below(4), 12];
      if (at === 2 && functions > 0) {
        this.#builder.table([0x40, 0x00, type, ...limits, 0xd2, ...this.#index("function", 0, functions), END]);
      } else this.#builder.table([type, ...limits]);
      return { wide, type };
    });
  }

  #tags(types: readonly Signature[]): Signature[] {
    const random = this.#random;
    const fitting = types.filter((type) => type.results.length === 0);
    if (fitting.length === 0) return [];
    return Array.from({ length: random.below(3) }, () => {
      const type = random.pick(fitting);
      this.#builder.tag(type.type);
      return type;
    });
  }

  #globals(): { type: number; mutable: boolean }[] {
    const globals: { type: number; mutable: boolean }[] = [];
    if (this.#options.steps !== undefined) {
      this.#builder.global([I32], true, i32Const(this.#options.steps));
      globals.push({ type: I32, mutable: true });
    }
    const zero: Record<number, number[]> = {
      [I32]: i32Const(3),
      [I64]: i64Const(5n),
      [F32]: [0x43, 0, 0, 0x80, 0x3f],
      [F64]: [0x44, 0, 0, 0, 0, 0, 0, 0, 0x40],
      [V128]: [0xfd, 12, ...Array.from({ length: 16 }, () => 1)],
      [FUNCREF]: [0xd0, FUNCREF],
    };
    for (let left = this.#random.below(6); left > 0; left--) {
      const type = this.#random.pick([...NUMBERS, V128, FUNCREF]);
      const mutable = !this.#random.oneIn(4);
      this.#builder.global([type], mutable, zero[type] ?? []);
      globals.push({ type, mutable });
    }
    return globals;
  }

  #segments(functions: number, memories: readonly { wide: boolean }[], tables: readonly { wide: boolean }[]): void {
    const builder = this.#builder;
    const random = this.#random;
    const fn = (): number[] => this.#index("function", random.below(functions), functions);
    builder.element([0, ...offset(tables[0]?.wide, random.below(2)), 2, ...fn(), ...fn()]);
    builder.element([1, 0, 3, ...fn(), ...fn(), ...fn()]);
    const declared = Array.from({ length: functions }, (_, at) => at);
    builder.element([3, 0, ...unsigned(functions), ...declared.flatMap((index) => unsigned(index))]);
    builder.element([5, EXTERNREF, 1, 0xd0, EXTERNREF, END]);
    if (memories.length === 0) return;
    builder.dataCount();
    builder.data([1, ...text("passive!")]);
    const target = random.below(memories.length);
    // An empty one: some of the memories have no page.
    builder.data([2, ...this.#index("memory", target, memories.length), ...offset(memories[target]?.wide, 0), 0]);
  }

  #exports(imported: number, functions: number, memories: number, tables: number, globals: number): void {
    const builder = this.#builder;
    for (let at = imported; at < functions; at++) builder.exportEntity(`f${at}`, "function", at);
    if (imported > 0 && this.#random.oneIn(3)) builder.exportEntity("reexported", "function", 0);
    for (let at = 0; at < memories; at++) builder.exportEntity(`m${at}`, "memory", at);
    for (let at = 0; at < tables; at++) builder.exportEntity(`t${at}`, "table", at);
    for (let at = 0; at < globals; at++) builder.exportEntity(`g${at}`, "global", at);
  }

  #calls(functions: readonly Signature[], imported: number): GeneratedModule["calls"] {
    return functions.flatMap((fn, at) => (at < imported ? [] : [{ name: `f${at}`, args: fn.params.map((type) => this.#argument(type)) }]));
  }

  #argument(type: number): unknown {
    const random = this.#random;
    if (type === I64) return BigInt(random.next()) - 1_000n;
    return type === I32 ? random.below(100) - 10 : random.below(1000) / 8;
  }
}

/** Where an active segment goes, in the address type of its memory or table. */
function offset(wide: boolean | undefined, at: number): number[] {
  return [...(wide === true ? i64Const(BigInt(at)) : i32Const(at)), END];
}

function nameOfType(type: number): string {
  return type === I32 ? "i32" : type === I64 ? "i64" : type === F32 ? "f32" : "f64";
}

/** Imports for any generated module: each function ignores its arguments and returns fixed values of its types. */
export function stubImports(module: WebAssembly.Module): WebAssembly.Imports {
  const stub: Record<string, () => unknown> = {};
  for (const { name } of WebAssembly.Module.imports(module)) {
    const results = name === "nothing" ? [] : name.split("_").map((type, at) => (type === "i64" ? BigInt(at + 2) : at + 2));
    stub[name] = () => (results.length === 0 ? undefined : results.length === 1 ? results[0] : results);
  }
  return { stub };
}

/** Runs of generated modules end after this many steps. */
export const defaultSteps: number = MAX_STEPS;
