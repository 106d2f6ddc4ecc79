// A growing list of 32-bit integers: what the scanner notes by the hundred thousand.

/** Grows by doubling; `data` may be longer than `length`. */
export class IntList {
  data: Int32Array;
  length = 0;

  constructor(capacity: number = 1024) {
    this.data = new Int32Array(capacity);
  }

  push(value: number): number {
    if (this.length === this.data.length) this.#grow();
    this.data[this.length] = value;
    return this.length++;
  }

  /** Inserts before `at`, moving the few items behind it. */
  insert(at: number, value: number): void {
    if (this.length === this.data.length) this.#grow();
    const { data } = this;
    // A few items at most: a loop beats the call of copyWithin.
    for (let index = this.length; index > at; index--) data[index] = data[index - 1] as number;
    data[at] = value;
    this.length++;
  }

  get(index: number): number {
    return this.data[index] as number;
  }

  /** Gives back what is not used. */
  trim(): void {
    this.data = this.data.slice(0, this.length);
  }

  #grow(): void {
    const next = new Int32Array(Math.max(this.data.length * 2, 16));
    next.set(this.data);
    this.data = next;
  }
}
