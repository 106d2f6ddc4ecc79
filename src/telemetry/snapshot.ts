// What was counted, as plain data.

import type { PluginStats } from "../host/plugin.ts";
import type { HookCounts, PluginCounts, Tally, UseCounts, VersionCounts } from "./counts.ts";
import type { Histogram } from "./histogram.ts";
import type { Recorder } from "./recorder.ts";

/** Milliseconds of many calls; quantiles are right to 0.8 %. */
export interface LatencySnapshot {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
}

/** Calls of one version for one hook. */
export interface HookSnapshot {
  /** Empty for calls that were made for no hook. */
  readonly hook: string;
  readonly calls: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Decisions by action. */
  readonly decisions: Readonly<Record<string, number>>;
  readonly durationMs: LatencySnapshot;
  /** Of this, the time that calls waited for an instance. */
  readonly queueMs: LatencySnapshot;
  readonly fuel: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/** One version of a plugin. */
export interface VersionSnapshot {
  readonly version: string;
  /** As the manager last said; empty for plugins that no manager loaded. */
  readonly state: string;
  /** How often each state was entered. */
  readonly changes: Readonly<Record<string, number>>;
  /** Most bytes that the memories of one instance had at the end of a call. */
  readonly memoryPeakBytes: number;
  readonly hooks: readonly HookSnapshot[];
}

/** Use of a service, or of HTTP to one host. */
export interface UseSnapshot {
  readonly name: string;
  readonly uses: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly statuses: Readonly<Record<string, number>>;
  readonly durationMs: LatencySnapshot;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** One plugin. */
export interface PluginSnapshot {
  readonly plugin: string;
  readonly versions: readonly VersionSnapshot[];
  readonly services: readonly UseSnapshot[];
  readonly hosts: readonly UseSnapshot[];
  /** Log lines by level. */
  readonly logLines: Readonly<Record<string, number>>;
  /** Failures in hooks, by what the policy did: `closed` or `open`. */
  readonly hookFailures: Readonly<Record<string, number>>;
}

/** A loaded plugin, whose instances are looked at when somebody asks; `Plugin` fits. */
export interface LoadedPlugin {
  readonly name: string;
  readonly version: string;
  stats(): Pick<PluginStats, "instances" | "memory">;
}

/** What a loaded plugin has at the moment. */
export interface InstanceSnapshot {
  readonly plugin: string;
  readonly version: string;
  readonly instances: PluginStats["instances"];
  readonly memory: PluginStats["memory"];
}

/** All counts as plain data, in the order in which plugins were first heard of. */
export function snapshotOf({ plugins }: Recorder): PluginSnapshot[] {
  return Array.from(plugins.entries(), ([plugin, counts]) => pluginSnapshot(plugin, counts));
}

/** The instances of loaded plugins; several of the same name and version are several. */
export function instancesOf(loaded: Iterable<LoadedPlugin>): InstanceSnapshot[] {
  return Array.from(loaded, (plugin) => {
    const { instances, memory } = plugin.stats();
    return { plugin: plugin.name, version: plugin.version, instances, memory };
  });
}

function pluginSnapshot(plugin: string, { versions, services, hosts, logLines, failures }: PluginCounts): PluginSnapshot {
  return {
    plugin,
    versions: Array.from(versions.entries(), ([version, counts]) => versionSnapshot(version, counts)),
    services: Array.from(services.entries(), ([name, counts]) => useSnapshot(name, counts)),
    hosts: Array.from(hosts.entries(), ([name, counts]) => useSnapshot(name, counts)),
    logLines: plain(logLines),
    hookFailures: plain(failures),
  };
}

function versionSnapshot(version: string, { hooks, memoryPeak, state, changes }: VersionCounts): VersionSnapshot {
  return {
    version,
    state,
    changes: plain(changes),
    memoryPeakBytes: memoryPeak,
    hooks: Array.from(hooks.entries(), ([hook, counts]) => hookSnapshot(hook, counts)),
  };
}

function hookSnapshot(hook: string, counts: HookCounts): HookSnapshot {
  const { calls, errors, decisions, duration, queue, fuel, inputBytes, outputBytes } = counts;
  return {
    hook,
    calls,
    errors: plain(errors),
    decisions: plain(decisions),
    durationMs: latency(duration),
    queueMs: latency(queue),
    fuel,
    inputBytes,
    outputBytes,
  };
}

function useSnapshot(name: string, { uses, errors, statuses, duration, sentBytes, receivedBytes }: UseCounts): UseSnapshot {
  return { name, uses, errors: plain(errors), statuses: plain(statuses), durationMs: latency(duration), sentBytes, receivedBytes };
}

function latency(histogram: Histogram): LatencySnapshot {
  const { count, sum, max } = histogram;
  return {
    count,
    sum,
    min: count === 0 ? 0 : histogram.min,
    max,
    p50: histogram.quantile(0.5),
    p90: histogram.quantile(0.9),
    p99: histogram.quantile(0.99),
    p999: histogram.quantile(0.999),
  };
}

/** Without a prototype: keys are codes and names, some of which others choose. */
function plain(counts: Tally): Readonly<Record<string, number>> {
  return Object.assign(Object.create(null) as Record<string, number>, Object.fromEntries(counts));
}
