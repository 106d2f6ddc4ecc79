// What a metric holds: kinds, label sets, and the buckets of histograms.

/** Kinds of metrics. */
export type MetricKind = "counter" | "gauge" | "histogram";

/** Labels by name. */
export type MetricLabels = Readonly<Record<string, string>>;

/** One label set of a metric, as plain data. */
export interface SeriesSnapshot {
  readonly labels: MetricLabels;
  /** Of a counter or gauge; the sum of what was observed for a histogram. */
  readonly value: number;
  /** Observations of a histogram. */
  readonly count?: number;
  /** How many observations were not above each bound of {@link BUCKET_BOUNDS}, and how many there were in all. */
  readonly buckets?: readonly number[];
}

/** One metric of one plugin, as plain data. */
export interface MetricSnapshot {
  readonly plugin: string;
  readonly name: string;
  readonly kind: MetricKind;
  readonly series: readonly SeriesSnapshot[];
}

/** Upper bounds of the buckets: each power of ten from 0.001 to 10^9, and quarters of it above. */
export const BUCKET_BOUNDS: readonly number[] = Object.freeze([
  ...Array.from({ length: 12 }, (_unused, decade) => [1, 2.5, 5, 7.5].map((step) => Number(`${step}e${decade - 3}`))).flat(),
  1e9,
]);

/** One label set, as it is counted. */
export interface Series {
  readonly labels: MetricLabels;
  value: number;
  count: number;
  /** Observations in each bucket, those above the last bound at the end. */
  readonly buckets: Float64Array | undefined;
}

/** A label set that nothing was counted for yet. */
export function newSeries(kind: MetricKind, labels: MetricLabels): Series {
  return { labels, value: 0, count: 0, buckets: kind === "histogram" ? new Float64Array(BUCKET_BOUNDS.length + 1) : undefined };
}

/** Takes one value in. Sums stay finite: what would be infinite is the largest number there is. */
export function record(series: Series, kind: MetricKind, value: number): void {
  series.value = kind === "gauge" ? value : finiteSum(series.value, value);
  if (series.buckets === undefined) return;
  series.count++;
  const bucket = bucketOf(value);
  series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
}

/** A copy of what was counted. */
export function snapshotOf({ labels, value, count, buckets }: Series): SeriesSnapshot {
  if (buckets === undefined) return { labels, value };
  let total = 0;
  return { labels, value, count, buckets: Array.from(buckets, (inBucket) => (total += inBucket)) };
}

function finiteSum(a: number, b: number): number {
  const sum = a + b;
  return Number.isFinite(sum) ? sum : Math.sign(sum) * Number.MAX_VALUE;
}

/** The first bucket whose bound is not below the value. */
function bucketOf(value: number): number {
  let low = 0;
  let high = BUCKET_BOUNDS.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value <= (BUCKET_BOUNDS[middle] as number)) high = middle;
    else low = middle + 1;
  }
  return low;
}
