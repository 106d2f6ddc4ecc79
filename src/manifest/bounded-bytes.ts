// Bytes that come in pieces, from a file or the network, up to what their kind may have.

import { constants } from "node:buffer";

import { MortiseError } from "../api/errors.ts";
import { manifestFault } from "./place.ts";

/** Bytes that the text of a manifest may have beside the modules embedded in it. */
export const MAX_TEXT_BYTES: number = 1 << 20;

/** How much may be read of a module, and of anything else, which may be a manifest. */
export interface ByteLimits {
  readonly moduleBytes: number;
  readonly otherBytes: number;
  /** Bytes of the modules before, which count towards the same limit. */
  readonly spentBytes: number;
}

/** Limits where a manifest may stand instead of a module: its text, and base64 of the modules in it. */
export function manifestLimits(maxBytes: number): ByteLimits {
  const otherBytes = MAX_TEXT_BYTES + Math.ceil(maxBytes / 3) * 4;
  return { moduleBytes: maxBytes, otherBytes: Math.min(otherBytes, constants.MAX_STRING_LENGTH), spentBytes: 0 };
}

/** The error for a module that is too large, by itself or with those before it; `size` is undefined if nobody knows it. */
export function tooLarge(source: string, size: number | undefined, { moduleBytes, spentBytes }: ByteLimits): MortiseError {
  const limit = moduleBytes + spentBytes;
  return new MortiseError("MORTISE_MODULE_LIMIT", {
    source: spentBytes === 0 ? source : `${source} with the modules before it`,
    size: size === undefined ? `more than ${limit}` : size + spentBytes,
    limit,
  });
}

/** A module begins with a zero byte, and no text does. */
function limitFor(firstByte: number | undefined, { moduleBytes, otherBytes }: ByteLimits): number {
  return firstByte === 0 ? moduleBytes : otherBytes;
}

/**
 * Refuses so many bytes of what begins with `firstByte`.
 *
 * @param known the whole size, if it is known
 * @throws MortiseError MORTISE_MODULE_LIMIT, or MORTISE_MANIFEST_INVALID for what is no module
 */
export function checkSize(source: string, size: number, firstByte: number | undefined, limits: ByteLimits, known: number | undefined): void {
  const limit = limitFor(firstByte, limits);
  if (size <= limit) return;
  if (limit === limits.moduleBytes) throw tooLarge(source, known, limits);
  const reason = `it has ${known ?? `more than ${limit}`} bytes, but a manifest may have ${MAX_TEXT_BYTES} and what base64 of limits.moduleBytes takes`;
  throw manifestFault(source, reason);
}

/** Memory taken before the first piece has shown of what kind the bytes are. */
const FIRST_BYTES = 4096;

/** Collects pieces. */
export class BoundedBytes {
  readonly #source: string;
  readonly #limits: ByteLimits;
  readonly #stated: number;
  /** Pieces are copied here. */
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST_BYTES);
  #length = 0;

  /** @param stated bytes that there will be, by what a file system or server says; 0 if it does not */
  constructor(source: string, limits: ByteLimits, stated: number) {
    this.#source = source;
    this.#limits = limits;
    this.#stated = stated;
  }

  /** Room to write the next piece to; {@link BoundedBytes.wrote} takes what was written. */
  room(): Uint8Array<ArrayBuffer> {
    if (this.#length === this.#buffer.length) this.#grow(this.#length + 1);
    return this.#buffer.subarray(this.#length);
  }

  /** @throws MortiseError MORTISE_MODULE_LIMIT, or MORTISE_MANIFEST_INVALID for what is no module */
  wrote(count: number): void {
    const isFirst = this.#length === 0;
    this.#length += count;
    if (isFirst && count > 0) this.#refuse(this.#stated, this.#stated);
    this.#refuse(this.#length, undefined);
  }

  /** Adds a piece. */
  add(piece: Uint8Array): void {
    for (let at = 0; at < piece.length;) {
      const room = this.room();
      const part = piece.subarray(at, at + room.length);
      room.set(part);
      this.wrote(part.length);
      at += part.length;
    }
  }

  /** What has come; further pieces must not be added. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  #refuse(size: number, known: number | undefined): void {
    checkSize(this.#source, size, this.#buffer[0], this.#limits, known);
  }

  /** To what was stated, which was found to be within the limit, and from there by doubling; one more shows the end without growing. */
  #grow(needed: number): void {
    const size = Math.min(Math.max(this.#stated + 1, this.#buffer.length * 2), limitFor(this.#buffer[0], this.#limits) + 1);
    const grown = new Uint8Array(Math.max(needed, size));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
