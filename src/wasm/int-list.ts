// A growing list of 32-bit integers: what the scanner notes by the hundred thousand.

/** Grows by doubling; `data` may be longer than `length`. */
export class IntList {
  data: Int32Array = new Int32Array(1024);
  length = 0;

  push(value: number): number {
    if (this.length === this.data.length) this.#grow();
    this.data[this.length] = value;
    return this.length++;
  }

  /** Inserts before `at`, moving the few items behind it. */
  insert(at: number, value: number): void {
    if (this.length === this.data.length) this.#grow();
    this.data.copyWithin(at + 1, at, this.length);
    this.data[at] = value;
    this.length++;
  }

  get(index: number): number {
    return this.data[index] as number;
  }

  #grow(): void {
    const next = new Int32Array(this.data.length * 2);
    next.set(this.data);
    this.data = next;
  }
}
