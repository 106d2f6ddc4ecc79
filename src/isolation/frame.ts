// Packets as bytes, for a pipe. All numbers are 32 bits, little-endian:
//
//   header length · number of sections · length of each section · header (UTF-8 JSON) · the sections
//
// Not `node:v8` serialisation: what comes out of that is decided by whoever wrote the bytes, classes and shared buffers
// included, while this gives JSON and bytes, whatever is put in.

import { MAX_HEADER_BYTES, MAX_SECTIONS, type Packet, ProtocolError, type Section } from "./protocol.ts";

const PREFIX = 8;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The pieces of a packet in the order in which they are written; sections are not copied. */
export function toFrame(header: object, sections: readonly Section[]): Uint8Array[] {
  const json = Buffer.from(JSON.stringify(header), "utf8");
  const head = Buffer.allocUnsafe(PREFIX + sections.length * 4 + json.length);
  head.writeUInt32LE(json.length, 0);
  head.writeUInt32LE(sections.length, 4);
  for (const [index, { length }] of sections.entries()) head.writeUInt32LE(length, PREFIX + index * 4);
  json.copy(head, PREFIX + sections.length * 4);
  return [head, ...sections];
}

/** Puts packets together from the bytes of a pipe. Holds no more than one packet of the size that is allowed. */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #maxHeaderBytes: number;
  /** The piece that is being read: first the prefix, then lengths and header, then each section. */
  #target: Section = new Uint8Array(PREFIX);
  #filled = 0;
  #headerBytes = 0;
  #sectionCount = -1;
  #header: unknown;
  #lengths: number[] | undefined;
  #sections: Section[] = [];

  /** @param maxBytes bytes of all sections of one packet */
  constructor(maxBytes: number, maxHeaderBytes: number = MAX_HEADER_BYTES) {
    this.#maxBytes = maxBytes;
    this.#maxHeaderBytes = maxHeaderBytes;
  }

  /**
   * Takes bytes and calls `found` with each packet that they complete.
   *
   * @throws ProtocolError what a packet cannot be
   */
  push(chunk: Uint8Array, found: (packet: Packet<unknown>) => void): void {
    let at = 0;
    // A piece without bytes is complete at once.
    while (at < chunk.length || this.#filled === this.#target.length) {
      const count = Math.min(this.#target.length - this.#filled, chunk.length - at);
      this.#target.set(chunk.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled < this.#target.length) return;
      const packet = this.#finishPiece();
      if (packet !== undefined) found(packet);
    }
  }

  #finishPiece(): Packet<unknown> | undefined {
    const piece = this.#target;
    if (this.#sectionCount < 0) {
      const view = new DataView(piece.buffer);
      this.#headerBytes = view.getUint32(0, true);
      const count = view.getUint32(4, true);
      if (this.#headerBytes > this.#maxHeaderBytes || count > MAX_SECTIONS) throw new ProtocolError("a packet is too large");
      this.#sectionCount = count;
      return this.#next(count * 4 + this.#headerBytes);
    }
    if (this.#lengths === undefined) {
      this.#readHeader(piece);
    } else this.#sections.push(piece);
    const lengths = this.#lengths ?? [];
    const length = lengths[this.#sections.length];
    if (length !== undefined) return this.#next(length);
    const packet = { header: this.#header, sections: this.#sections };
    this.#sections = [];
    this.#sectionCount = -1;
    this.#lengths = undefined;
    this.#header = undefined;
    this.#next(PREFIX);
    return packet;
  }

  #readHeader(piece: Section): void {
    const view = new DataView(piece.buffer);
    const lengths: number[] = [];
    let total = 0;
    for (let index = 0; index < this.#sectionCount; index++) {
      const length = view.getUint32(index * 4, true);
      total += length;
      lengths.push(length);
    }
    if (total > this.#maxBytes) throw new ProtocolError(`a packet has ${total} bytes, but ${this.#maxBytes} are the most`);
    this.#lengths = lengths;
    try {
      this.#header = JSON.parse(decoder.decode(piece.subarray(this.#sectionCount * 4)));
    } catch {
      throw new ProtocolError("the header of a packet is not JSON");
    }
  }

  #next(length: number): undefined {
    this.#target = new Uint8Array(length);
    this.#filled = 0;
  }
}
