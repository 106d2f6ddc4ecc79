// Counts events; nothing that a subscriber does may throw.

import type { CallEvent, DecisionEvent, HttpEvent, LifecycleEvent, LogEvent, ServiceEvent } from "../api/channels.ts";
import { BoundedMap, OTHERS } from "./bounded-map.ts";
import { type HookCounts, type PluginCounts, type UseCounts, type VersionCounts, movePlugin, moveVersion, newPlugin, tally } from "./counts.ts";

/** How much is told apart; what passes a bound is counted together, as `(others)`. */
export interface RecorderLimits {
  readonly maxPlugins: number;
  /** Versions of one plugin; the oldest are counted together, as `(older)`. */
  readonly maxVersions: number;
  readonly maxHooks: number;
  readonly maxHosts: number;
  /** Hooks of all versions of all plugins together. */
  readonly maxSeries: number;
}

/** Versions that are no longer told apart. */
export const OLDER = "(older)";

/** Codes of requests that a server refused are statuses, which come in hundreds. */
const statusOf = (status: number): string => `${Math.floor(status / 100)}xx`;

/** Counts by plugin, version and hook. */
export class Recorder {
  readonly plugins: BoundedMap<PluginCounts>;
  readonly #limits: RecorderLimits;

  constructor(limits: RecorderLimits) {
    this.#limits = limits;
    const counted = { ...limits, room: { left: limits.maxSeries } };
    this.plugins = new BoundedMap(limits.maxPlugins, () => newPlugin(counted));
  }

  call({ plugin, version, hook = "", durationMs, queueMs, fuel, memoryBytes, inputBytes, outputBytes, error }: CallEvent): void {
    const known = this.#version(plugin, version);
    const counts = known.hooks.get(hook);
    known.memoryPeak = Math.max(known.memoryPeak, memoryBytes);
    counts.calls++;
    counts.fuel += fuel;
    counts.inputBytes += inputBytes;
    counts.outputBytes += outputBytes;
    counts.duration.record(durationMs);
    counts.queue.record(queueMs);
    if (error !== undefined) tally(counts.errors, error);
  }

  decision({ plugin, version, hook, action }: DecisionEvent): void {
    tally(this.#hook(plugin, version, hook).decisions, action);
  }

  /** A plugin failed in a hook, whose policy is closed or open. */
  failure({ plugin, policy }: { readonly plugin: string; readonly policy: string }): void {
    tally(this.plugins.get(plugin).failures, policy);
  }

  /** @returns name of a plugin that is no longer told apart, if one had to make room */
  lifecycle({ plugin, version, from, to }: LifecycleEvent): string | undefined {
    const gone = from === undefined ? this.#makeRoom(plugin) : undefined;
    const known = this.#version(plugin, version);
    if (isNews(known.state, from, to)) known.state = to;
    tally(known.changes, to);
    return gone;
  }

  service({ plugin, service, durationMs, error }: ServiceEvent): void {
    use(this.plugins.get(plugin).services.get(service), durationMs, error);
  }

  http({ plugin, host, status, durationMs, requestBytes, responseBytes, error }: HttpEvent): void {
    const counts = this.plugins.get(plugin).hosts.get(host);
    use(counts, durationMs, error);
    counts.sentBytes += requestBytes;
    counts.receivedBytes += responseBytes;
    if (status !== undefined) tally(counts.statuses, statusOf(status));
  }

  log({ plugin, level }: LogEvent): void {
    tally(this.plugins.get(plugin).logLines, level);
  }

  #hook(plugin: string, version: string, hook: string): HookCounts {
    return this.#version(plugin, version).hooks.get(hook);
  }

  #version(plugin: string, version: string): VersionCounts {
    const { versions } = this.plugins.get(plugin);
    const known = versions.peek(version);
    if (known !== undefined) return known;
    const added = versions.get(version);
    this.#mergeOldest(versions, version);
    return added;
  }

  /** Makes room for a plugin that comes, by one of which nothing is left: plugins that register others must not crowd it out. */
  #makeRoom(plugin: string): string | undefined {
    if (!this.plugins.isFull || this.plugins.peek(plugin) !== undefined) return undefined;
    const gone = Array.from(this.plugins.entries()).find(([name, counts]) => name !== OTHERS && isGone(counts));
    if (gone === undefined) return undefined;
    const [name, counts] = gone;
    this.plugins.delete(name);
    movePlugin(this.plugins.others, counts, OLDER);
    return name;
  }

  /** Makes room: versions that are unloaded go first, then those that came first. */
  #mergeOldest(versions: PluginCounts["versions"], added: string): void {
    const others = Array.from(versions.entries()).filter(([name]) => name !== OLDER && name !== added);
    if (others.length < this.#limits.maxVersions) return;
    const oldest = others.find(([, { state }]) => state === "unloaded" || state === "failed") ?? others[0];
    if (oldest === undefined) return;
    const [name, counts] = oldest;
    versions.delete(name);
    moveVersion(versions.get(OLDER), counts);
  }
}

/** True for a plugin that was loaded, and of which no version is left. */
function isGone({ versions }: PluginCounts): boolean {
  const states = Array.from(versions.entries(), ([name, { state }]) => (name === OLDER ? "unloaded" : state));
  return states.length > 0 && states.every((state) => state === "unloaded" || state === "failed");
}

/** States of a version that serves, or may. */
const LIVE: ReadonlySet<string> = new Set(["ready", "degraded", "open", "half-open"]);

/**
 * Whether a change concerns the present one of several versions of one name: one may be on its way out when the next one comes,
 * and one that is there is not gone because another could not be loaded.
 */
function isNews(known: string, from: string | undefined, to: string): boolean {
  if (to === "loading") return !LIVE.has(known);
  return known === "" || from === known || (from === "loading" && to === "ready");
}

function use(counts: UseCounts, durationMs: number, error: string | undefined): void {
  counts.uses++;
  counts.duration.record(durationMs);
  if (error !== undefined) tally(counts.errors, error);
}
