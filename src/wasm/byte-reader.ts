// Reads the primitives of the binary format (WebAssembly core specification, section 5.2) with strict bounds.

import { MortiseError } from "../api/errors.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A cursor over a module; every failure is MORTISE_WASM_MALFORMED with the byte offset. */
export class ByteReader {
  readonly bytes: Uint8Array;
  /** Names the module in messages. */
  readonly source: string;
  position: number;
  /** First offset that may not be read. */
  end: number;

  constructor(bytes: Uint8Array, source: string) {
    this.bytes = bytes;
    this.source = source;
    this.position = 0;
    this.end = bytes.length;
  }

  fail(reason: string, offset: number = this.position): never {
    throw new MortiseError("MORTISE_WASM_MALFORMED", { source: this.source, reason, offset });
  }

  unsupported(reason: string, offset: number): never {
    throw new MortiseError("MORTISE_WASM_UNSUPPORTED", { source: this.source, reason, offset });
  }

  byte(): number {
    if (this.position >= this.end) this.fail("unexpected end");
    return this.bytes[this.position++] as number;
  }

  /** An unsigned 32-bit LEB128 of at most five bytes. */
  u32(): number {
    const { bytes } = this;
    let position = this.position;
    if (position >= this.end) this.fail("unexpected end");
    let byte = bytes[position++] as number;
    let value = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (position >= this.end) this.fail("unexpected end", position);
      byte = bytes[position++] as number;
      if (shift === 28 && byte > 0x0f) this.fail("integer too large for 32 bits", position - 1);
      value += (byte & 0x7f) * 2 ** shift;
    }
    this.position = position;
    return value;
  }

  /** An unsigned 64-bit LEB128 of at most ten bytes. */
  u64(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      if (shift === 63n && byte > 1) this.fail("integer too large for 64 bits", this.position - 1);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** Skips a LEB128 of at most `max` bytes; whether its value fits is the engine's business. */
  skipLeb(max: number): void {
    const { bytes } = this;
    for (let count = 0; count < max; count++) {
      if (this.position >= this.end) this.fail("unexpected end");
      if ((bytes[this.position++] as number) < 0x80) return;
    }
    this.fail("integer encoding too long", this.position - 1);
  }

  /** A signed 33-bit LEB128, as block types and heap types have. */
  s33(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; ; count++) {
      const byte = this.byte();
      if (count === 4) {
        const top = byte & 0x7f;
        if (byte >= 0x80 || (top > 0x0f && top < 0x70)) this.fail("integer too large for 33 bits", this.position - 1);
      }
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return (byte & 0x40) === 0 ? value : value - scale;
    }
  }

  /** Takes `length` bytes without copying them. */
  take(length: number): Uint8Array {
    if (length > this.end - this.position) this.fail(`length ${length} passes the end`);
    const start = this.position;
    this.position += length;
    return this.bytes.subarray(start, this.position);
  }

  /** A name: a length and UTF-8 bytes. */
  name(): string {
    const start = this.position;
    const raw = this.take(this.u32());
    try {
      return decoder.decode(raw);
    } catch {
      return this.fail("name is not valid UTF-8", start);
    }
  }

  /** A count of items that take at least one byte each, so that a huge count costs nothing. */
  count(what: string, limit: number = Number.POSITIVE_INFINITY): number {
    const start = this.position;
    const value = this.u32();
    if (value > this.end - this.position) this.fail(`${value} ${what} do not fit into the ${this.end - this.position} bytes that follow`, start);
    if (value > limit) this.fail(`${value} ${what}, at most ${limit} are allowed`, start);
    return value;
  }
}
