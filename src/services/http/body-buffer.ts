// Collects a body of unknown length, within a limit.

/** Bytes of the first buffer: a stated length beyond the most of it is not believed before the bytes are there. */
const FIRST_BYTES = 16 << 10;
const MOST_FIRST_BYTES = 64 << 10;
/** A body in more pieces than this, of fewer bytes each on average, is an attack: each piece costs about two microseconds. */
const MANY_PIECES = 16_384;
const SMALL_BYTES = 32;

/** True for so many so small pieces that handling them is what they are for. */
export function tooManyPieces(pieces: number, bytes: number): boolean {
  return pieces > MANY_PIECES && bytes < pieces * SMALL_BYTES;
}

/** One body; see {@link BodyBuffer.add}. */
export class BodyBuffer {
  readonly #maxBytes: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;
  #pieces = 0;

  /** @param statedBytes length that the server states, if it does */
  constructor(maxBytes: number, statedBytes = FIRST_BYTES) {
    this.#maxBytes = maxBytes;
    this.#bytes = new Uint8Array(Math.min(statedBytes, MOST_FIRST_BYTES, maxBytes));
  }

  /** Copies a piece, so that the buffer which it is a part of can go. Says why it may not, if it may not. */
  add(piece: Uint8Array): "ok" | "too large" | "too many pieces" {
    const length = this.#length + piece.length;
    if (length > this.#maxBytes) return "too large";
    if (tooManyPieces(++this.#pieces, length)) return "too many pieces";
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(Math.max(length, this.#bytes.length * 2), this.#maxBytes));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
    return "ok";
  }

  /** The body. The buffer is not used after that. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#length === this.#bytes.length ? this.#bytes : new Uint8Array(this.#bytes.buffer.transfer(this.#length));
  }
}
