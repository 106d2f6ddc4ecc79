// Writes metrics in Prometheus's text format, version 0.0.4.

import type { MetricsSnapshot } from "./metric-registry.ts";
import { BUCKET_BOUNDS, type MetricLabels, type MetricSnapshot, type SeriesSnapshot } from "./metric-series.ts";

/** Names of gauges that would look like a sample of another kind. */
const MISLEADING = /_(?:total|bucket|sum|count)(?:_value)*$/;

/**
 * Writes a snapshot. The plugin is a label; names begin with `plugin_`, and those of counters end in `_total`, so that no
 * metric of one plugin can be taken for a metric of another.
 */
export function writePrometheus({ metrics, dropped }: MetricsSnapshot): string {
  const families = new Map<string, { kinds: Set<string>; lines: string[] }>();
  const familyOf = (name: string, kind: string): string[] => {
    let family = families.get(name);
    if (family === undefined) families.set(name, (family = { kinds: new Set(), lines: [] }));
    family.kinds.add(kind);
    return family.lines;
  };
  for (const metric of metrics) {
    const name = exportedName(metric);
    const lines = familyOf(name, metric.kind);
    for (const series of metric.series) for (const line of linesOf(name, metric, series)) lines.push(line);
  }
  const droppedLines = Object.entries(dropped).map(([plugin, count]) => sample("mortise_metric_samples_dropped_total", { plugin }, count));
  if (droppedLines.length > 0) familyOf("mortise_metric_samples_dropped_total", "counter").push(...droppedLines);
  let text = "";
  for (const [name, { kinds, lines }] of Array.from(families).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    // A family has one type; where plugins mean different things by one name, it has none.
    const [kind] = kinds;
    if (kinds.size === 1) text += `# TYPE ${name} ${kind}\n`;
    text += `${lines.join("\n")}\n`;
  }
  return text;
}

function exportedName({ name, kind }: MetricSnapshot): string {
  if (kind === "counter") return `plugin_${name}_total`;
  return `plugin_${name}${kind === "gauge" && MISLEADING.test(name) ? "_value" : ""}`;
}

function linesOf(name: string, { plugin, kind }: MetricSnapshot, { labels, value, count = 0, buckets = [] }: SeriesSnapshot): string[] {
  const all = { plugin, ...labels };
  if (kind !== "histogram") return [sample(name, all, value)];
  const bounds = [...BUCKET_BOUNDS.map(String), "+Inf"];
  return [
    ...bounds.map((le, index) => sample(`${name}_bucket`, { ...all, le }, buckets[index] ?? count)),
    sample(`${name}_sum`, all, value),
    sample(`${name}_count`, all, count),
  ];
}

function sample(name: string, labels: MetricLabels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}{${pairs.join(",")}} ${value}`;
}

/** Backslash, quote and line break are escaped; nothing else has a meaning. */
function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
