// What is counted: for each plugin, for each of its versions, and there for each hook.

import { BoundedMap, type Room } from "./bounded-map.ts";
import { Histogram } from "./histogram.ts";

/** Counts by a key, such as an error code. */
export type Tally = Map<string, number>;

/** Adds to a count. */
export function tally(counts: Tally, key: string, by: number = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function addTally(to: Tally, from: Tally): void {
  for (const [key, count] of from) tally(to, key, count);
}

/** Calls for one hook, or, with an empty name, for none. */
export interface HookCounts {
  calls: number;
  readonly errors: Tally;
  readonly decisions: Tally;
  /** Milliseconds of whole calls, and of their waiting for an instance. */
  readonly duration: Histogram;
  readonly queue: Histogram;
  fuel: number;
  inputBytes: number;
  outputBytes: number;
}

/** One version of a plugin. */
export interface VersionCounts {
  readonly hooks: BoundedMap<HookCounts>;
  /** Most bytes that one instance had at the end of a call. */
  memoryPeak: number;
  /** Present state, and how often it was entered from another one; empty as long as nothing was said of it. */
  state: string;
  readonly changes: Tally;
}

/** What is used besides calls: a service, or HTTP to one host. */
export interface UseCounts {
  uses: number;
  readonly errors: Tally;
  readonly statuses: Tally;
  readonly duration: Histogram;
  sentBytes: number;
  receivedBytes: number;
}

/** One plugin. */
export interface PluginCounts {
  readonly versions: BoundedMap<VersionCounts>;
  readonly services: BoundedMap<UseCounts>;
  readonly hosts: BoundedMap<UseCounts>;
  readonly logLines: Tally;
  /** Failures in hooks, by what the policy did. */
  readonly failures: Tally;
}

/** How much is told apart of one plugin. */
export interface CountLimits {
  readonly maxHooks: number;
  readonly maxHosts: number;
  /** Hooks of all versions of all plugins together. */
  readonly room: Room;
}

/** Names of services are the host's own: there are not many. */
const MAX_SERVICES = 256;

export function newPlugin({ maxHooks, maxHosts, room }: CountLimits): PluginCounts {
  return {
    // Versions are bounded by whoever adds one, who merges the oldest.
    versions: new BoundedMap(Number.POSITIVE_INFINITY, () => newVersion(maxHooks, room)),
    services: new BoundedMap(MAX_SERVICES, newUse),
    hosts: new BoundedMap(maxHosts, newUse),
    logLines: new Map(),
    failures: new Map(),
  };
}

function newVersion(maxHooks: number, room: Room): VersionCounts {
  return { hooks: new BoundedMap(maxHooks, newHook, room), memoryPeak: 0, state: "", changes: new Map() };
}

function newHook(): HookCounts {
  return {
    calls: 0,
    errors: new Map(),
    decisions: new Map(),
    duration: new Histogram(),
    queue: new Histogram(),
    fuel: 0,
    inputBytes: 0,
    outputBytes: 0,
  };
}

function newUse(): UseCounts {
  return { uses: 0, errors: new Map(), statuses: new Map(), duration: new Histogram(), sentBytes: 0, receivedBytes: 0 };
}

/** Moves what one version counted to another one, so that sums over all versions never go down. */
export function moveVersion(to: VersionCounts, from: VersionCounts): void {
  to.memoryPeak = Math.max(to.memoryPeak, from.memoryPeak);
  addTally(to.changes, from.changes);
  const hooks = Array.from(from.hooks.entries());
  from.hooks.clear();
  for (const [hook, counts] of hooks) addHook(to.hooks.get(hook), counts);
}

/** Moves what one plugin counted to another one, where its versions are counted together as `version`. */
export function movePlugin(to: PluginCounts, from: PluginCounts, version: string): void {
  for (const [, counts] of from.versions.entries()) moveVersion(to.versions.get(version), counts);
  for (const [name, counts] of from.services.entries()) addUse(to.services.get(name), counts);
  for (const [name, counts] of from.hosts.entries()) addUse(to.hosts.get(name), counts);
  addTally(to.logLines, from.logLines);
  addTally(to.failures, from.failures);
}

function addUse(to: UseCounts, from: UseCounts): void {
  to.uses += from.uses;
  to.sentBytes += from.sentBytes;
  to.receivedBytes += from.receivedBytes;
  addTally(to.errors, from.errors);
  addTally(to.statuses, from.statuses);
  to.duration.add(from.duration);
}

function addHook(to: HookCounts, from: HookCounts): void {
  to.calls += from.calls;
  to.fuel += from.fuel;
  to.inputBytes += from.inputBytes;
  to.outputBytes += from.outputBytes;
  addTally(to.errors, from.errors);
  addTally(to.decisions, from.decisions);
  to.duration.add(from.duration);
  to.queue.add(from.queue);
}
