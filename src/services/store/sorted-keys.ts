// Keys in the order of their UTF-8 bytes, in short arrays, so that adding one never moves many.

/** Keys of one array; it is split when it has more. */
const CHUNK = 256;

export class SortedKeys {
  /** Never holds an empty array. Keys are kept as {@link toSortable} makes them. */
  readonly #chunks: string[][] = [];

  add(key: string): void {
    const sortable = toSortable(key);
    const place = Math.max(0, this.#chunkOf(sortable));
    const chunk = this.#chunks[place];
    if (chunk === undefined) {
      this.#chunks.push([sortable]);
      return;
    }
    const index = firstAtLeast(chunk, sortable);
    if (chunk[index] === sortable) return;
    chunk.splice(index, 0, sortable);
    if (chunk.length > CHUNK) this.#chunks.splice(place + 1, 0, chunk.splice(CHUNK / 2));
  }

  delete(key: string): void {
    const sortable = toSortable(key);
    const place = this.#chunkOf(sortable);
    const chunk = this.#chunks[place];
    if (chunk === undefined) return;
    const index = firstAtLeast(chunk, sortable);
    if (chunk[index] !== sortable) return;
    chunk.splice(index, 1);
    if (chunk.length === 0) this.#chunks.splice(place, 1);
  }

  /** Keys with a prefix, from the first one that is not less than `from`. */
  *range(prefix: string, from: string): Generator<string, void> {
    const start = toSortable(prefix);
    const least = toSortable(from);
    const first = start > least ? start : least;
    let place = Math.max(0, this.#chunkOf(first));
    let index = firstAtLeast(this.#chunks[place] ?? [], first);
    for (; place < this.#chunks.length; place++, index = 0) {
      const chunk = this.#chunks[place] as string[];
      for (; index < chunk.length; index++) {
        const sortable = chunk[index] as string;
        if (!sortable.startsWith(start)) return;
        yield fromSortable(sortable);
      }
    }
  }

  /** The last array that begins at or before a key, -1 if it sorts before all. */
  #chunkOf(sortable: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (((this.#chunks[middle] as string[])[0] as string) <= sortable) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

function firstAtLeast(chunk: readonly string[], sortable: string): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((chunk[middle] as string) < sortable) low = middle + 1;
    else high = middle;
  }
  return low;
}

const ABOVE = /[\ud800-\uffff]/;
const UNITS_ABOVE = /[\ud800-\uffff]/g;

/**
 * JavaScript compares UTF-16 units, in which surrogates, the parts of the largest characters, come before U+E000 to
 * U+FFFF; in UTF-8 it is the other way round. With the two ranges swapped, both orders are the same.
 */
function toSortable(key: string): string {
  return ABOVE.test(key) ? key.replace(UNITS_ABOVE, (unit) => moved(unit, 0xe000, 0x2000, 0x800)) : key;
}

function fromSortable(sortable: string): string {
  return ABOVE.test(sortable) ? sortable.replace(UNITS_ABOVE, (unit) => moved(unit, 0xf800, 0x800, 0x2000)) : sortable;
}

/** A unit below `border` goes up, one above it down. */
function moved(unit: string, border: number, up: number, down: number): string {
  const code = unit.charCodeAt(0);
  return String.fromCharCode(code < border ? code + up : code - down);
}
