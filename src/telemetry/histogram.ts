// A log-linear histogram: 64 equal buckets for each power of two, so that every value is known to 0.8 %.

/** Values are exact to this part of themselves, between {@link LEAST} and {@link MOST}. */
export const RELATIVE_ERROR: number = 1 / 128;

const MANTISSA_BITS = 6;
const IN_OCTAVE = 1 << MANTISSA_BITS;
/** Powers of two between which values are told apart: in milliseconds, from 61 ns to 4.6 hours. */
const FIRST_OCTAVE = -14;
const OCTAVES = 38;
const BIAS = 1023;
export const LEAST: number = 2 ** FIRST_OCTAVE;
export const MOST: number = 2 ** (FIRST_OCTAVE + OCTAVES);

const scratch = new DataView(new ArrayBuffer(8));

/**
 * Counts values without keeping them. Values up to {@link LEAST} are counted as that, those above {@link MOST} as that;
 * both ends of what is reported are exact. Memory: 512 bytes for each power of two in which there is a value, 20 KiB at most.
 */
export class Histogram {
  /** Buckets by octave; `[n]` holds values above `2 ** (FIRST_OCTAVE + n)` and up to twice that. */
  readonly #octaves: (Float64Array | undefined)[] = Array.from({ length: OCTAVES });
  /** How many values each octave has. */
  readonly #inOctave = new Float64Array(OCTAVES);
  /** Values up to {@link LEAST}. */
  #tiny = 0;
  count = 0;
  sum = 0;
  min: number = Number.POSITIVE_INFINITY;
  max = 0;

  /** Takes a value in; what is no number, or negative, counts as 0. */
  record(value: number): void {
    const known = value > 0 ? value : 0;
    this.count++;
    this.sum += known;
    if (known < this.min) this.min = known;
    if (known > this.max) this.max = known;
    if (known <= LEAST) {
      this.#tiny++;
      return;
    }
    const index = indexOf(Math.min(known, MOST));
    const octave = index >> MANTISSA_BITS;
    const buckets = (this.#octaves[octave] ??= new Float64Array(IN_OCTAVE));
    const at = index & (IN_OCTAVE - 1);
    buckets[at] = (buckets[at] as number) + 1;
    this.#inOctave[octave] = (this.#inOctave[octave] as number) + 1;
  }

  /**
   * The smallest value that at least this part of all values does not exceed, to {@link RELATIVE_ERROR}; 0 if there are none.
   *
   * @param part from 0 to 1, such as 0.99
   */
  quantile(part: number): number {
    if (this.count === 0) return 0;
    const rank = Math.min(Math.max(Math.ceil(part * this.count), 1), this.count);
    let before = this.#tiny;
    if (rank <= before) return Math.min(LEAST, this.max);
    for (const [octave, buckets] of this.#octaves.entries()) {
      const inOctave = this.#inOctave[octave] as number;
      if (buckets === undefined || rank > before + inOctave) {
        before += inOctave;
        continue;
      }
      for (const [at, count] of buckets.entries()) {
        before += count;
        if (count > 0 && rank <= before) return Math.min(Math.max(middleOf(octave, at), this.min), this.max);
      }
    }
    return this.max;
  }

  /** How many values do not exceed `2 ** power`, exactly, for whole powers within the range. */
  countUpTo(power: number): number {
    let count = this.#tiny;
    for (let octave = 0; octave < Math.min(power - FIRST_OCTAVE, OCTAVES); octave++) count += this.#inOctave[octave] as number;
    return count;
  }

  /** Adds what another one has counted. */
  add(other: Histogram): void {
    this.count += other.count;
    this.sum += other.sum;
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
    this.#tiny += other.#tiny;
    for (const [octave, from] of other.#octaves.entries()) {
      if (from === undefined) continue;
      const to = (this.#octaves[octave] ??= new Float64Array(IN_OCTAVE));
      for (const [at, count] of from.entries()) to[at] = (to[at] as number) + count;
      this.#inOctave[octave] = (this.#inOctave[octave] as number) + (other.#inOctave[octave] as number);
    }
  }
}

/** Number of the bucket of a value between LEAST, excluded, and MOST: its exponent and the first bits of its mantissa. */
function indexOf(value: number): number {
  scratch.setFloat64(0, value);
  let high = scratch.getUint32(0);
  // A bucket's upper end belongs to it: a value is taken for the next smaller one.
  if (scratch.getUint32(4) === 0) high--;
  return (high >>> (20 - MANTISSA_BITS)) - ((BIAS + FIRST_OCTAVE) << MANTISSA_BITS);
}

function middleOf(octave: number, at: number): number {
  return 2 ** (FIRST_OCTAVE + octave) * (1 + (at + 0.5) / IN_OCTAVE);
}
