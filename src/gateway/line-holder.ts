// Hands bytes on line by line: the beginning of a line waits for its end, for as long as the line is not too long.

const NEWLINE = 0x0a;
/** Bytes of a line that are held until it is complete. */
const MAX_HELD_BYTES = 1 << 20;
const NOTHING = new Uint8Array(0);

/** Holds the beginning of a line. */
export class LineHolder {
  /** Has room for more than is held. */
  #held: Uint8Array = NOTHING;
  #heldBytes = 0;

  /** What can be handed on, with what was held before it; empty if nothing can. */
  push(bytes: Uint8Array): Uint8Array {
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    if (end === 0 && this.#heldBytes + bytes.length < MAX_HELD_BYTES) {
      this.#hold(bytes);
      return NOTHING;
    }
    if (end === 0 || end === bytes.length) return this.#with(bytes);
    const whole = this.#with(bytes.subarray(0, end));
    this.#hold(bytes.subarray(end));
    return whole;
  }

  /** What is held, at the end. */
  rest(): Uint8Array {
    return this.#with(NOTHING);
  }

  #with(bytes: Uint8Array): Uint8Array {
    const held = this.#held.subarray(0, this.#heldBytes);
    this.#held = NOTHING;
    this.#heldBytes = 0;
    return held.length === 0 ? bytes : Buffer.concat([held, bytes]);
  }

  #hold(bytes: Uint8Array): void {
    const length = this.#heldBytes + bytes.length;
    // The first piece is held as it came. Room grows twofold, so that a line of many small pieces is not copied for each.
    if (this.#heldBytes === 0) this.#held = bytes;
    else if (length > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(2 * length);
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = grown;
    }
    if (this.#heldBytes > 0) this.#held.set(bytes, this.#heldBytes);
    this.#heldBytes = length;
  }
}
