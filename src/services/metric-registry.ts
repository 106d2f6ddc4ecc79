// Counters, gauges and histograms of all plugins of a host, within bounds.

import { type ReadLabels, readLabels } from "./metric-labels.ts";
import { type MetricKind, type MetricSnapshot, type Series, newSeries, record, snapshotOf } from "./metric-series.ts";
import { writePrometheus } from "./prometheus.ts";

/** How many metrics a plugin may have. */
export interface MetricLimits {
  /** Names of metrics. */
  readonly maxNames: number;
  /** Label sets of one metric. */
  readonly maxSeries: number;
  /** Label sets of all metrics together. */
  readonly maxPluginSeries: number;
}

/** How many metrics a plugin may have unless its operator says otherwise. */
export const METRIC_LIMITS: MetricLimits = { maxNames: 64, maxSeries: 100, maxPluginSeries: 1000 };

/** Why a sample was not taken. */
export type SampleProblem =
  | { readonly kind: "argument"; readonly argument: "name" | "labels" | "value"; readonly reason: string }
  /** It was dropped and counted; `first` for the first time that this bound is passed. */
  | { readonly kind: "limit"; readonly what: string; readonly limit: string; readonly first: boolean };

/** Longest JSON of labels that is remembered, in UTF-16 units. */
const MAX_READ_CHARS = 1024;
const NAME = /^[a-z_][a-z0-9_]{0,63}$/;

/** What {@link Metrics.snapshot} gives. */
export interface MetricsSnapshot {
  readonly metrics: readonly MetricSnapshot[];
  /** Samples that were dropped because of bounds, by plugin. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** The metrics of a host's plugins. */
export class Metrics {
  readonly #plugins = new Map<string, PluginMetrics>();

  /** Metrics of a plugin, the same for the same name. */
  of(plugin: string, limits: MetricLimits = METRIC_LIMITS): PluginMetrics {
    let metrics = this.#plugins.get(plugin);
    if (metrics === undefined) this.#plugins.set(plugin, (metrics = new PluginMetrics(plugin)));
    metrics.limits = limits;
    return metrics;
  }

  /** Drops the metrics of a plugin. */
  forget(plugin: string): void {
    this.#plugins.delete(plugin);
  }

  /** Everything as plain data, by plugin and name. */
  snapshot(): MetricsSnapshot {
    const plugins = Array.from(this.#plugins.values()).toSorted((a, b) => (a.plugin < b.plugin ? -1 : 1));
    return {
      metrics: plugins.flatMap((plugin) => plugin.snapshot()),
      dropped: Object.fromEntries(plugins.filter(({ dropped }) => dropped > 0).map(({ plugin, dropped }) => [plugin, dropped])),
    };
  }

  /** Everything in Prometheus's text format. */
  prometheus(): string {
    return writePrometheus(this.snapshot());
  }
}

interface Metric {
  readonly kind: MetricKind;
  readonly series: Map<string, Series>;
  /** Series by the JSON of their labels, as far as it was read already. */
  readonly read: Map<string, Series>;
}

/** The metrics of one plugin. */
export class PluginMetrics {
  readonly plugin: string;
  limits = METRIC_LIMITS;
  /** Samples that were dropped. */
  dropped = 0;
  readonly #metrics = new Map<string, Metric>();
  readonly #passed = new Set<string>();
  #series = 0;
  /** Label sets that are remembered by their JSON. */
  #read = 0;

  constructor(plugin: string) {
    this.plugin = plugin;
  }

  /** Takes a sample; what is wrong with it, if anything. */
  sample(kind: MetricKind, stated: string, labels: string, value: number): SampleProblem | undefined {
    // The same counter with and without the suffix that it is exported with.
    const name = kind === "counter" && stated.endsWith("_total") ? stated.slice(0, -"_total".length) : stated;
    const metric = this.#metrics.get(name);
    if (metric !== undefined && metric.kind !== kind) {
      return argument("name", `is "${stated}", which is a ${metric.kind} and cannot be a ${kind}`);
    }
    if (kind === "counter" && value < 0) return argument("value", `is ${value}, but a counter only goes up`);
    const known = metric?.read.get(labels);
    if (known !== undefined) {
      record(known, kind, value);
      return undefined;
    }
    return this.#newLabels({ kind, name, metric, json: labels, value });
  }

  /** The metrics as plain data, by name. */
  snapshot(): MetricSnapshot[] {
    const sorted = Array.from(this.#metrics).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([name, { kind, series }]) => ({ plugin: this.plugin, name, kind, series: Array.from(series.values(), snapshotOf) }));
  }

  #newLabels(sample: { kind: MetricKind; name: string; metric: Metric | undefined; json: string; value: number }): SampleProblem | undefined {
    const { kind, name, json, value, metric } = sample;
    const read: ReadLabels = readLabels(json);
    if ("wrong" in read) return argument("labels", read.wrong);
    if (metric === undefined && !NAME.test(name))
      return argument("name", `is "${name}", but must match [a-z_][a-z0-9_]* and have 64 characters at most`);
    if ("over" in read) return this.#drop(read.over.what, read.over.limit);
    let series = metric?.series.get(read.key);
    if (series === undefined) {
      const { maxNames, maxSeries, maxPluginSeries } = this.limits;
      if (metric === undefined && this.#metrics.size >= maxNames) return this.#drop("another metric", `${maxNames} metrics`);
      if (metric !== undefined && metric.series.size >= maxSeries) return this.#drop("another label set", `${maxSeries} label sets for each metric`);
      if (this.#series >= maxPluginSeries) return this.#drop("another label set", `${maxPluginSeries} label sets in all`);
      series = newSeries(kind, read.labels);
      this.#series++;
    }
    const target = metric ?? { kind, series: new Map(), read: new Map() };
    if (metric === undefined) this.#metrics.set(name, target);
    target.series.set(read.key, series);
    // There are countless ways to write the same labels; the first few, and short ones, are those of real plugins.
    if (json.length <= MAX_READ_CHARS && this.#read < this.limits.maxPluginSeries * 2) {
      target.read.set(json, series);
      this.#read++;
    }
    record(series, kind, value);
    return undefined;
  }

  #drop(what: string, limit: string): SampleProblem {
    this.dropped++;
    const first = !this.#passed.has(limit);
    this.#passed.add(limit);
    return { kind: "limit", what, limit, first };
  }
}

function argument(name: "name" | "labels" | "value", reason: string): SampleProblem {
  return { kind: "argument", argument: name, reason };
}
