// A growing list of bytes.

/** Grows by doubling; `data` may be longer than `length`. */
export class ByteList {
  data: Uint8Array<ArrayBuffer> = new Uint8Array(4096);
  length = 0;

  byte(value: number): void {
    if (this.length === this.data.length) {
      const next = new Uint8Array(this.data.length * 2);
      next.set(this.data);
      this.data = next;
    }
    this.data[this.length++] = value;
  }

  /** Unsigned LEB128. */
  leb(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }
}
