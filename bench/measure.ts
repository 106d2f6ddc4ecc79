// Times several cases against each other: short slices in turn, so that what disturbs the machine disturbs all of them.

/** Something to time: does its work `times` times. */
export interface Case {
  readonly name: string;
  readonly run: (times: number) => void | Promise<void>;
}

/** How long and how often to time. */
export interface Effort {
  readonly rounds: number;
  /** Slices of each case in a round. */
  readonly slices: number;
  /** Milliseconds of a slice, roughly: short, so that most of them run without a switch to another process. */
  readonly sliceMs: number;
  /** Milliseconds that each case runs before the first round. */
  readonly warmUpMs: number;
}

/** Median, smallest and largest of some values. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Microseconds a repetition took: one value a round. */
export type Samples = readonly number[];

const WARM_UP_TURNS = 4;

/**
 * Runs slices of all cases in turn. A round's value is the median of its slices; the result holds one list a case, in
 * the same order.
 */
export async function interleave(cases: readonly Case[], effort: Effort): Promise<Samples[]> {
  const times = cases.map(() => 1);
  for (let turn = 0; turn < WARM_UP_TURNS; turn++) {
    for (const [index, item] of cases.entries()) times[index] = await calibrate(item, effort, times[index] as number);
  }
  return inRounds(
    cases.map((item, index) => {
      const count = times[index] as number;
      return async () => ((await timeMs(() => item.run(count))) * 1000) / count;
    }),
    effort,
    (slices) => spread(slices).median,
  );
}

/** Takes values from all sources in turn, several a round; `combine` makes them the round's value. */
export async function inRounds(
  sources: readonly (() => Promise<number>)[],
  { rounds, slices }: Pick<Effort, "rounds" | "slices">,
  combine: (values: readonly number[]) => number,
): Promise<Samples[]> {
  const samples: number[][] = sources.map(() => []);
  for (let round = 0; round < rounds; round++) {
    const values: number[][] = sources.map(() => []);
    for (let slice = 0; slice < slices; slice++) {
      for (const [index, source] of sources.entries()) values[index]?.push(await source());
    }
    for (const [index, list] of values.entries()) samples[index]?.push(combine(list));
  }
  return samples;
}

/** Runs a case for its share of the warm-up; returns how many repetitions fill a slice. */
async function calibrate(item: Case, { sliceMs, warmUpMs }: Effort, from: number): Promise<number> {
  let times = from;
  let spent = 0;
  let last = 0;
  do {
    last = await timeMs(() => item.run(times));
    spent += last;
    if (last < sliceMs / 2) times *= 2;
  } while (spent < warmUpMs / WARM_UP_TURNS);
  return Math.max(1, Math.round((times * sliceMs) / Math.max(last, sliceMs / 4)));
}

/** Milliseconds that some work takes. */
export async function timeMs(work: () => unknown): Promise<number> {
  const began = performance.now();
  const pending = work();
  if (pending instanceof Promise) await pending;
  return performance.now() - began;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
  const middle = sorted.length % 2 === 1 ? at(0.5) : ((sorted[sorted.length / 2 - 1] as number) + at(0.5)) / 2;
  return { median: middle, min: at(0), max: at(1) };
}

/** The ratio of two cases, round by round. */
export function ratioOf(above: Samples, below: Samples): Spread {
  return spread(above.map((value, round) => value / (below[round] as number)));
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Collects garbage, so that a row does not pay for the one before it. */
export function collectGarbage(): void {
  globalThis.gc?.();
}
