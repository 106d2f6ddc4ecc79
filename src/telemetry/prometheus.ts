// The text format of Prometheus, version 0.0.4.

import { printable } from "../api/errors.ts";
import type { HookCounts, PluginCounts, Tally, VersionCounts } from "./counts.ts";
import type { Histogram } from "./histogram.ts";
import type { Recorder } from "./recorder.ts";
import type { InstanceSnapshot } from "./snapshot.ts";

/** Labels as they are written, without braces. */
type Labels = string;
type Kind = "counter" | "gauge" | "histogram" | "summary";

/** Bounds of buckets are whole powers of two in milliseconds, at which counts are exact: 16 µs to 16 s. */
const FIRST_POWER = -6;
const LAST_POWER = 14;
const QUANTILES: readonly number[] = [0.5, 0.9, 0.99, 0.999];
const SECOND_MS = 1000;
const MAX_LABEL_CHARS = 128;

/** States of which each plugin has one, as samples of 0 and 1. */
const STATES: readonly string[] = ["loading", "ready", "degraded", "open", "half-open", "failed", "draining", "unloaded"];

/** Writes everything that was counted. */
export function writeExposition(recorder: Recorder, instances: readonly InstanceSnapshot[], droppedLines: (plugin: string) => number): string {
  const text = new Exposition();
  for (const [plugin, counts] of recorder.plugins.entries()) writePlugin(text, plugin, counts, droppedLines(plugin));
  for (const each of instances) writeInstances(text, each);
  text.sample("mortise_telemetry_overflow_total", "", recorder.plugins.overflows);
  return text.toString();
}

/** What a metric is, and what it means. */
export const FAMILIES: Readonly<Record<string, readonly [kind: Kind, help: string]>> = {
  mortise_calls_total: ["counter", "Calls of plugin functions that ended."],
  mortise_call_errors_total: ["counter", "Calls that failed or were refused, by error code."],
  mortise_call_duration_seconds: ["histogram", "Time from a call to its end."],
  mortise_call_latency_seconds: ["summary", "Quantiles of the same time since the start, right to 0.8 %."],
  mortise_call_queue_seconds: ["summary", "Time that a call waited for an instance."],
  mortise_fuel_units_total: ["counter", "Cost units that calls used."],
  mortise_input_bytes_total: ["counter", "Bytes handed to plugins."],
  mortise_output_bytes_total: ["counter", "Bytes that plugins gave back."],
  mortise_decisions_total: ["counter", "Decisions of plugins in hooks, by action."],
  mortise_hook_failures_total: ["counter", "Failures of plugins in hooks, by what the policy did."],
  mortise_memory_peak_bytes: ["gauge", "Most bytes of memory that an instance had at the end of a call."],
  mortise_plugin_state: ["gauge", "1 for the state that a version is in."],
  mortise_plugin_state_changes_total: ["counter", "How often a state was entered."],
  mortise_service_calls_total: ["counter", "Uses of services of the host."],
  mortise_service_errors_total: ["counter", "Uses of services that failed, by error code."],
  mortise_service_duration_seconds: ["summary", "Time that services took."],
  mortise_http_requests_total: ["counter", "HTTP requests of plugins that ended."],
  mortise_http_responses_total: ["counter", "Responses to them, by class of status."],
  mortise_http_errors_total: ["counter", "HTTP requests that failed or were refused, by error code."],
  mortise_http_duration_seconds: ["summary", "Time that HTTP requests took."],
  mortise_http_sent_bytes_total: ["counter", "Bytes of request bodies."],
  mortise_http_received_bytes_total: ["counter", "Bytes of response bodies."],
  mortise_log_lines_total: ["counter", "Log lines of plugins, by level."],
  mortise_log_lines_dropped_total: ["counter", "Kept log lines that later ones displaced."],
  mortise_instances: ["gauge", "Instances, by what they do."],
  mortise_instances_created_total: ["counter", "Instances made."],
  mortise_instances_discarded_total: ["counter", "Instances discarded after a failure."],
  mortise_instances_recycled_total: ["counter", "Instances replaced or freed as the options say."],
  mortise_calls_waiting: ["gauge", "Calls that wait for an instance now."],
  mortise_memory_bytes: ["gauge", "Bytes of the memories of all instances."],
  mortise_telemetry_overflow_total: ["counter", "Events of plugins for which there was no room, counted as (others)."],
};

function writePlugin(text: Exposition, plugin: string, counts: PluginCounts, droppedLines: number): void {
  const mine = label("plugin", plugin);
  for (const [version, each] of counts.versions.entries()) writeVersion(text, `${mine},${label("version", version)}`, each);
  text.tallies("mortise_hook_failures_total", mine, "policy", counts.failures);
  text.tallies("mortise_log_lines_total", mine, "level", counts.logLines);
  if (counts.logLines.size > 0) text.sample("mortise_log_lines_dropped_total", mine, droppedLines);
  for (const [service, { uses, errors, duration }] of counts.services.entries()) {
    const labels = `${mine},${label("service", service)}`;
    text.sample("mortise_service_calls_total", labels, uses);
    text.tallies("mortise_service_errors_total", labels, "code", errors);
    text.summary("mortise_service_duration_seconds", labels, duration);
  }
  for (const [host, { uses, errors, statuses, duration, sentBytes, receivedBytes }] of counts.hosts.entries()) {
    const labels = `${mine},${label("host", host)}`;
    text.sample("mortise_http_requests_total", labels, uses);
    text.tallies("mortise_http_responses_total", labels, "status", statuses);
    text.tallies("mortise_http_errors_total", labels, "code", errors);
    text.summary("mortise_http_duration_seconds", labels, duration);
    text.sample("mortise_http_sent_bytes_total", labels, sentBytes);
    text.sample("mortise_http_received_bytes_total", labels, receivedBytes);
  }
}

function writeVersion(text: Exposition, labels: Labels, { hooks, memoryPeak, state, changes }: VersionCounts): void {
  for (const [hook, counts] of hooks.entries()) writeHook(text, `${labels},${label("hook", hook)}`, counts);
  text.sample("mortise_memory_peak_bytes", labels, memoryPeak);
  if (state !== "") for (const each of STATES) text.sample("mortise_plugin_state", `${labels},${label("state", each)}`, each === state ? 1 : 0);
  text.tallies("mortise_plugin_state_changes_total", labels, "state", changes);
}

function writeHook(text: Exposition, labels: Labels, counts: HookCounts): void {
  text.sample("mortise_calls_total", labels, counts.calls);
  text.tallies("mortise_call_errors_total", labels, "code", counts.errors);
  text.histogram("mortise_call_duration_seconds", labels, counts.duration);
  text.summary("mortise_call_latency_seconds", labels, counts.duration);
  text.summary("mortise_call_queue_seconds", labels, counts.queue);
  text.sample("mortise_fuel_units_total", labels, counts.fuel);
  text.sample("mortise_input_bytes_total", labels, counts.inputBytes);
  text.sample("mortise_output_bytes_total", labels, counts.outputBytes);
  text.tallies("mortise_decisions_total", labels, "action", counts.decisions);
}

function writeInstances(text: Exposition, { plugin, version, instances, memory }: InstanceSnapshot): void {
  const labels = `${label("plugin", plugin)},${label("version", version)}`;
  text.sample("mortise_instances", `${labels},state="busy"`, instances.busy);
  text.sample("mortise_instances", `${labels},state="idle"`, instances.live - instances.busy);
  text.sample("mortise_instances_created_total", labels, instances.created);
  text.sample("mortise_instances_discarded_total", labels, instances.discarded);
  text.sample("mortise_instances_recycled_total", labels, instances.recycled);
  text.sample("mortise_calls_waiting", labels, instances.waiting);
  text.sample("mortise_memory_bytes", labels, memory.bytes);
}

/** Samples, brought together by family. A label set that comes twice is added up: the format allows it once. */
class Exposition {
  readonly #families = new Map<string, Map<string, number>>();

  sample(family: string, labels: Labels, value: number): void {
    add(this.#samples(family), labels === "" ? family : `${family}{${labels}}`, value);
  }

  tallies(family: string, labels: Labels, name: string, counts: Tally): void {
    for (const [key, count] of counts) this.sample(family, `${labels},${label(name, key)}`, count);
  }

  histogram(family: string, labels: Labels, histogram: Histogram): void {
    const samples = this.#samples(family);
    const start = `${family}_bucket{${labels},le="`;
    for (let power = FIRST_POWER; power <= LAST_POWER; power++) add(samples, `${start}${2 ** power / SECOND_MS}"}`, histogram.countUpTo(power));
    add(samples, `${start}+Inf"}`, histogram.count);
    addTotals(samples, family, labels, histogram);
  }

  summary(family: string, labels: Labels, histogram: Histogram): void {
    const samples = this.#samples(family);
    for (const quantile of QUANTILES) add(samples, `${family}{${labels},quantile="${quantile}"}`, histogram.quantile(quantile) / SECOND_MS);
    addTotals(samples, family, labels, histogram);
  }

  #samples(family: string): Map<string, number> {
    let samples = this.#families.get(family);
    if (samples === undefined) this.#families.set(family, (samples = new Map()));
    return samples;
  }

  toString(): string {
    const lines: string[] = [];
    for (const [family, [kind, help]] of Object.entries(FAMILIES)) {
      const samples = this.#families.get(family);
      if (samples === undefined) continue;
      lines.push(`# HELP ${family} ${help}`, `# TYPE ${family} ${kind}`);
      for (const [name, value] of samples) lines.push(`${name} ${value}`);
    }
    return `${lines.join("\n")}\n`;
  }
}

function add(samples: Map<string, number>, name: string, value: number): void {
  samples.set(name, (samples.get(name) ?? 0) + value);
}

function addTotals(samples: Map<string, number>, family: string, labels: Labels, { sum, count }: Histogram): void {
  add(samples, `${family}_sum{${labels}}`, sum / SECOND_MS);
  add(samples, `${family}_count{${labels}}`, count);
}

/** One label. Its value is cut, without control characters, and with those characters escaped that have a meaning. */
function label(name: string, value: string): Labels {
  const safe = printable(value.toWellFormed(), MAX_LABEL_CHARS);
  return `${name}="${safe.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
