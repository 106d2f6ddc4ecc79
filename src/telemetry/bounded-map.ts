// A map that makes its values itself, of which it keeps so many: what comes after that shares one.

/** The key of what found no room. */
export const OTHERS = "(others)";

/** Room that several maps share. */
export interface Room {
  left: number;
}

/** A key that comes when `limit` are known, or no room is left, is answered with the value of {@link OTHERS}. */
export class BoundedMap<Value> {
  readonly #values = new Map<string, Value>();
  readonly #limit: number;
  readonly #make: (key: string) => Value;
  readonly #room: Room;
  /** How often there was no room. */
  overflows = 0;

  /** @param room what all maps of a kind may hold together, the values of {@link OTHERS} not counted; given back by {@link clear} */
  constructor(limit: number, make: (key: string) => Value, room: Room = { left: Number.POSITIVE_INFINITY }) {
    this.#limit = limit;
    this.#room = room;
    this.#make = make;
  }

  get(key: string): Value {
    const known = this.#values.get(key);
    if (known !== undefined) return known;
    if (!this.isFull && this.#room.left > 0) {
      this.#room.left--;
      return this.#add(key);
    }
    this.overflows++;
    return this.others;
  }

  /** Whether as many keys are known as may be, {@link OTHERS} not counted. */
  get isFull(): boolean {
    return this.#values.size - (this.#values.has(OTHERS) ? 1 : 0) >= this.#limit;
  }

  /** The value of {@link OTHERS}. */
  get others(): Value {
    return this.#values.get(OTHERS) ?? this.#add(OTHERS);
  }

  #add(key: string): Value {
    const value = this.#make(key);
    this.#values.set(key, value);
    return value;
  }

  /** A value that there is already. */
  peek(key: string): Value | undefined {
    return this.#values.get(key);
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  /** Forgets everything, and gives its room back. */
  clear(): void {
    this.#room.left += this.#values.size - (this.#values.has(OTHERS) ? 1 : 0);
    this.#values.clear();
  }

  get size(): number {
    return this.#values.size;
  }

  /** Keys and values, in the order in which they came. */
  entries(): IterableIterator<[string, Value]> {
    return this.#values.entries();
  }
}
