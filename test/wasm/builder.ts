// Emits WebAssembly modules byte by byte: for tests that need encodings no assembler would write, and for generated modules.

/** A piece of a module: plain byte values, so that pieces can be spread into each other. */
export type Code = readonly number[];

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;
export const FUNCREF = 0x70;
export const EXTERNREF = 0x6f;
export const EMPTY = 0x40;

const scratch = new DataView(new ArrayBuffer(8));

/** An unsigned integer in LEB128, optionally padded to `width` bytes (an overlong encoding that is still valid up to 5). */
export function unsigned(value: number | bigint, width = 0): number[] {
  let rest = BigInt(value);
  if (rest < 128n && width <= 1) return [Number(rest)];
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n && bytes.length + 1 >= width ? low : low | 0x80);
  } while (rest !== 0n || bytes.length < width);
  return bytes;
}

/** A signed integer in LEB128. */
export function signed(value: number | bigint): number[] {
  if (typeof value === "number" && value >= -64 && value < 64) return [value & 0x7f];
  let rest = BigInt(value);
  const bytes: number[] = [];
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const done = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

export function float32(value: number): number[] {
  scratch.setFloat32(0, value, true);
  return [0, 1, 2, 3].map((at) => scratch.getUint8(at));
}

export function float64(value: number): number[] {
  scratch.setFloat64(0, value, true);
  return [0, 1, 2, 3, 4, 5, 6, 7].map((at) => scratch.getUint8(at));
}

export function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [...unsigned(bytes.length), ...bytes];
}

export function vector(items: readonly Code[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

export const i32Const = (value: number): number[] => [0x41, ...signed(value | 0)];
export const i64Const = (value: bigint): number[] => [0x42, ...signed(BigInt.asIntN(64, value))];
export const f32Const = (value: number): number[] => [0x43, ...float32(value)];
export const f64Const = (value: number): number[] => [0x44, ...float64(value)];
export const localGet = (index: number): number[] => [0x20, ...unsigned(index)];
export const localSet = (index: number): number[] => [0x21, ...unsigned(index)];
export const localTee = (index: number): number[] => [0x22, ...unsigned(index)];
export const call = (index: number): number[] => [0x10, ...unsigned(index)];
export const END = 0x0b;

export type ExternalKind = "function" | "table" | "memory" | "global" | "tag";

const kindByte: Record<ExternalKind, number> = { function: 0, table: 1, memory: 2, global: 3, tag: 4 };

/** Ids of the sections, in the order the format asks for (tag after memory, data count before code). */
const sectionOrder: readonly number[] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

/** Collects the entries of each section; `build` puts them in order. Imports have to be added before definitions. */
export class ModuleBuilder {
  readonly #entries = new Map<number, number[][]>();
  readonly #typeIndexes = new Map<string, number>();
  readonly #counts: Record<ExternalKind, number> = { function: 0, table: 0, memory: 0, global: 0, tag: 0 };
  readonly #trailing: number[][] = [];
  #typeCount = 0;
  #start: number | undefined;
  #withDataCount = false;

  #add(section: number, entry: number[]): number {
    const entries = this.#entries.get(section) ?? [];
    this.#entries.set(section, entries);
    entries.push(entry);
    return entries.length - 1;
  }

  /** The index of a function type; equal types share one. */
  type(params: Code, results: Code): number {
    const entry = [0x60, ...unsigned(params.length), ...params, ...unsigned(results.length), ...results];
    const key = entry.join();
    const known = this.#typeIndexes.get(key);
    if (known !== undefined) return known;
    const index = this.rawType(entry);
    this.#typeIndexes.set(key, index);
    return index;
  }

  /** Adds a type as it is: one index, or `types` of them for a group. */
  rawType(entry: Code, types = 1): number {
    this.#add(1, [...entry]);
    this.#typeCount += types;
    return this.#typeCount - types;
  }

  importEntity(module: string, name: string, kind: ExternalKind, description: Code): number {
    this.#add(2, [...text(module), ...text(name), kindByte[kind], ...description]);
    return this.#counts[kind]++;
  }

  /** Declares a function and its body: `locals` are value types, one each; the closing `end` is added. */
  func(type: number, locals: readonly Code[], body: Code): number {
    const index = this.declare(type);
    this.body(locals, body);
    return index;
  }

  /** Declares a function whose body follows later, in the same order, through `body`. */
  declare(type: number): number {
    this.#add(3, unsigned(type));
    return this.#counts.function++;
  }

  body(locals: readonly Code[], body: Code): void {
    const groups = vector(locals.map((local) => [1, ...local]));
    const size = groups.length + body.length + 1;
    this.#add(10, unsigned(size).concat(groups, body as number[], END));
  }

  table(description: Code): number {
    this.#add(4, [...description]);
    return this.#counts.table++;
  }

  memory(limits: Code): number {
    this.#add(5, [...limits]);
    return this.#counts.memory++;
  }

  tag(type: number): number {
    this.#add(13, [0, ...unsigned(type)]);
    return this.#counts.tag++;
  }

  global(type: Code, mutable: boolean, init: Code): number {
    this.#add(6, [...type, mutable ? 1 : 0, ...init, END]);
    return this.#counts.global++;
  }

  exportEntity(name: string, kind: ExternalKind, index: number): void {
    this.#add(7, [...text(name), kindByte[kind], ...unsigned(index)]);
  }

  start(index: number): void {
    this.#start = index;
  }

  /** Adds an element segment, given with its flags. */
  element(segment: Code): number {
    return this.#add(9, [...segment]);
  }

  /** Adds a data segment, given with its flags. */
  data(segment: Code): number {
    return this.#add(11, [...segment]);
  }

  /** Asks for a data count section, which `memory.init` and `data.drop` need. */
  dataCount(): void {
    this.#withDataCount = true;
  }

  /** Adds a custom section at the end of the module. */
  custom(name: string, bytes: Code): void {
    const body = [...text(name), ...bytes];
    this.#trailing.push([0, ...unsigned(body.length), ...body]);
  }

  build(): Uint8Array<ArrayBuffer> {
    const out: number[] = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
    for (const id of sectionOrder) {
      const body = this.#sectionBody(id);
      if (body === undefined) continue;
      out.push(id, ...unsigned(body.length));
      for (const byte of body) out.push(byte);
    }
    return Uint8Array.from(out.concat(...this.#trailing));
  }

  #sectionBody(id: number): number[] | undefined {
    if (id === 8) return this.#start === undefined ? undefined : unsigned(this.#start);
    if (id === 12) return this.#withDataCount ? unsigned(this.#entries.get(11)?.length ?? 0) : undefined;
    const entries = this.#entries.get(id);
    return entries === undefined ? undefined : unsigned(entries.length).concat(...entries);
  }
}
