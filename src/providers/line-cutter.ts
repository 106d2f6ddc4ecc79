// Cuts a stream of bytes at line ends, so that no line, and no letter of several bytes, is ever torn.

const NEWLINE = 0x0a;

/** One stream's cutter. */
export class LineCutter {
  #kept: Uint8Array[] = [];
  #keptBytes = 0;

  /** Bytes of the line that has begun and not ended. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Takes a piece, and gives all complete lines that are there now, the last newline included; undefined if there is none. */
  push(piece: Uint8Array): Uint8Array | undefined {
    const end = piece.lastIndexOf(NEWLINE) + 1;
    const tail = piece.subarray(end);
    if (end === 0) {
      this.#keep(tail);
      return undefined;
    }
    const whole = piece.subarray(0, end);
    const lines = this.#keptBytes === 0 ? whole : Buffer.concat([...this.#kept, whole]);
    this.#kept = [];
    this.#keptBytes = 0;
    this.#keep(tail);
    return lines;
  }

  /** At the end of the stream: the last line, with the newline that it lacks; undefined if there is none. */
  flush(): Uint8Array | undefined {
    return this.#keptBytes === 0 ? undefined : this.push(Uint8Array.of(NEWLINE));
  }

  #keep(tail: Uint8Array): void {
    if (tail.length === 0) return;
    this.#kept.push(tail);
    this.#keptBytes += tail.length;
  }
}

/** The lines of a text that ends with one, each with its newline; blank ones too. */
export function* linesOf(lines: Uint8Array): Iterable<Uint8Array> {
  for (let start = 0; start < lines.length;) {
    const end = lines.indexOf(NEWLINE, start) + 1;
    yield lines.subarray(start, end === 0 ? lines.length : end);
    if (end === 0) return;
    start = end;
  }
}
