// What a host says of its plugins, as plain data.

import type { AbiName } from "../abi/guest.ts";
import type { SeatCounts, Seating } from "../hooks/roster.ts";
import type { BreakerDescription } from "./breaker.ts";
import { type Dependent, dependentsOf } from "./dependencies.ts";
import { fileOf } from "./load-options.ts";
import type { Managed, PastVersion, VersionFailure } from "./managed.ts";
import type { StateChange, VersionState } from "./state.ts";
import type { Version } from "./version.ts";

/** What a host says of one of its plugins in a list. */
export interface HostPlugin {
  readonly name: string;
  readonly abi: AbiName;
  /** Version that serves, or most of the requests; its state. */
  readonly version: string;
  readonly state: VersionState;
  /** False: no hook and no other plugin calls it. */
  readonly enabled: boolean;
  readonly order: number;
  /** Hooks that it takes part in. None: it is loaded, but nothing ever calls it. */
  readonly hooks: readonly string[];
  /** What happened to the version, by hook. */
  readonly counts: Readonly<Record<string, Readonly<SeatCounts>>>;
}

/** One version of a plugin. */
export interface VersionDescription {
  readonly version: string;
  /** SHA-256 of its module in hexadecimal; empty if it is not known. */
  readonly digest: string;
  readonly abi: AbiName;
  readonly state: VersionState;
  /** Why it is in this state. */
  readonly reason: string;
  /** The last 50 changes of its state. */
  readonly history: readonly StateChange[];
  /** Part of the requests that it serves; 0 for one that waits, or that served before. */
  readonly percent: number;
  readonly hooks: readonly string[];
  readonly counts: Readonly<Record<string, Readonly<SeatCounts>>>;
  /** Undefined for a plugin without a breaker. */
  readonly breaker: BreakerDescription | undefined;
  readonly instances: number;
  readonly idleInstances: number;
  readonly memoryBytes: number;
}

/** Everything that a host says of one plugin. */
export interface PluginDescription extends HostPlugin {
  /** The file that the version with the greatest share comes from, if it is one; and whether the plugin is reloaded when that changes. */
  readonly file: string | undefined;
  readonly watched: boolean;
  /** What the versions that serve depend on; and those that depend on it. */
  readonly dependsOn: readonly string[];
  readonly dependents: readonly string[];
  /** Versions that are loaded, the oldest first. */
  readonly versions: readonly VersionDescription[];
  /** Versions that are draining, unloaded or failed: the last 10. */
  readonly past: readonly PastVersion[];
  /** The last version that could not be used; undefined once a later one could. */
  readonly lastFailure: VersionFailure | undefined;
}

/** A plugin in a list. */
export function listed({ name, enabled, main }: Managed): HostPlugin {
  const { version, state, plugin, seating } = main;
  return { name, abi: plugin.abi, version, state, enabled, order: seating?.order ?? 0, hooks: hooksOf(seating), counts: countsOf(seating) };
}

/** Everything of one plugin. */
export function described(managed: Managed, all: Iterable<Dependent>): PluginDescription {
  return {
    ...listed(managed),
    file: fileOf(managed.origin.source),
    watched: managed.watch !== undefined,
    dependsOn: managed.dependsOn,
    dependents: dependentsOf(managed.name, all),
    versions: Array.from(managed.versions.values(), (version) => versionOf(version, managed)),
    past: managed.past,
    lastFailure: managed.lastFailure,
  };
}

function versionOf(version: Version, { shares }: Managed): VersionDescription {
  const { plugin, seating, state } = version;
  const { instances, idle, memoryBytes } = plugin.holdings;
  return {
    version: version.version,
    digest: version.digest,
    abi: plugin.abi,
    state,
    reason: version.machine.reason,
    history: version.history,
    percent: shares.find((share) => share.version === version)?.percent ?? 0,
    hooks: hooksOf(seating),
    counts: countsOf(seating),
    breaker: version.describeBreaker(),
    instances,
    idleInstances: idle,
    memoryBytes,
  };
}

function hooksOf(seating: Seating | undefined): string[] {
  return [...(seating?.seats.keys() ?? [])];
}

function countsOf(seating: Seating | undefined): Record<string, Readonly<SeatCounts>> {
  return Object.fromEntries(Array.from(seating?.seats ?? [], ([hook, { counts }]) => [hook, { ...counts }]));
}
