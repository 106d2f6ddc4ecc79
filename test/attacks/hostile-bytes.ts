// Writes guests of millions of entries, which an assembler or a builder of small lists would not hold.

/** Bytes that grow at the end. */
export class Bytes {
  #buffer = new Uint8Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#buffer.length) return;
    const next = new Uint8Array(Math.max(this.#buffer.length * 2, this.#length + size));
    next.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = next;
  }

  add(code: ArrayLike<number> | Bytes, times = 1): this {
    const source = code instanceof Bytes ? code.view() : code;
    this.#reserve(source.length * times);
    for (let time = 0; time < times; time++) {
      this.#buffer.set(source, this.#length);
      this.#length += source.length;
    }
    return this;
  }

  view(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }
}

/** An unsigned LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

/** A name: its length and UTF-8 bytes. */
export function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [...unsigned(bytes.length), ...bytes];
}

const SECTION_ORDER = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];
/** The three types that every guest has: () -> (), (i64) -> i64 and (i64, i64) -> (). */
const VOID = 0;
const TYPES: readonly (readonly number[])[] = [
  [0x60, 0, 0],
  [0x60, 1, 0x7e, 1, 0x7e],
  [0x60, 2, 0x7e, 0x7e, 0],
];
/** Index of `alloc`. */
const ALLOC = 0;
/** Index of the first function of the guest's own: `ok`. */
export const FIRST = 3;
const OK = [1, 1, 0x7e, 0x42, 8, 0x10, ALLOC, 0x21, 0, 0x20, 0, 0x42, 0xef, 0xd6, 0x01, 0x10, 1, 0x20, 0, 0x42, 2, 0x10, 2, 0x0b];

/** A guest with an export `ok` that outputs "ok", and whatever is added. */
export class Guest {
  readonly #entries = new Map<number, { count: number; bytes: Bytes }>();
  readonly #custom = new Bytes();
  #functions = FIRST;

  constructor() {
    for (const type of TYPES) this.entry(1, type);
    for (const [name, type] of [
      ["alloc", 1],
      ["store_u64", 2],
      ["output_set", 2],
    ] as const) {
      this.entry(2, [...text("extism:host/env"), ...text(name), 0, type]);
    }
    this.#function(VOID, new Bytes().add(OK));
    this.export("ok", FIRST);
  }

  /** Adds entries to a section. */
  entry(section: number, code: ArrayLike<number> | Bytes, times = 1): this {
    let found = this.#entries.get(section);
    if (found === undefined) this.#entries.set(section, (found = { count: 0, bytes: new Bytes() }));
    found.count += times;
    found.bytes.add(code, times);
    return this;
  }

  #function(type: number, body: Bytes): number {
    this.entry(3, unsigned(type));
    this.entry(10, new Bytes().add(unsigned(body.length)).add(body));
    return this.#functions++;
  }

  /** Adds a function () -> () and returns its index; `groups` are its local groups, and the closing `end` is added. */
  function(body: ArrayLike<number> | Bytes, groups: ArrayLike<number> = [0]): number {
    return this.#function(VOID, new Bytes().add(groups).add(body).add([0x0b]));
  }

  export(name: string, index: number): this {
    return this.entry(7, [...text(name), 0, ...unsigned(index)]);
  }

  custom(name: string, content: Bytes): this {
    const title = text(name);
    this.#custom.add([0, ...unsigned(title.length + content.length), ...title]).add(content);
    return this;
  }

  /** Exports `attack` with this body, and writes the module. */
  attack(body: ArrayLike<number> | Bytes, groups?: ArrayLike<number>): Uint8Array<ArrayBuffer> {
    this.export("attack", this.function(body, groups));
    return this.build();
  }

  build(): Uint8Array<ArrayBuffer> {
    const out = new Bytes().add([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    for (const id of SECTION_ORDER) {
      const entries = this.#entries.get(id);
      if (entries === undefined) continue;
      const count = unsigned(entries.count);
      out.add([id, ...unsigned(count.length + entries.bytes.length), ...count]).add(entries.bytes);
    }
    return out.add(this.#custom).view().slice();
  }
}
