// What a plugin of a host is loaded with: options of `loadPlugin`, and its part in the host.

import { basename, extname, resolve } from "node:path";

import { printable } from "../api/errors.ts";
import { DEFAULT_LIMITS, invalidOption } from "../api/limits.ts";
import type { FailurePolicy } from "../hooks/definition.ts";
import type { Filter } from "../hooks/filters.ts";
import type { PluginOptions } from "../host/options.ts";
import type { PluginInput } from "../host/plugin.ts";
import type { ManifestSource } from "../manifest/manifest.ts";
import { nameSource } from "../manifest/source-kind.ts";
import { type BreakerOptions, type ResolvedBreaker, resolveBreaker } from "./breaker.ts";

/** A call that a new version must pass before it serves. */
export interface Probe {
  readonly function: string;
  /** @default nothing */
  readonly input?: PluginInput;
}

/** Options of `host.plugins.load`: what the plugin may use and reach, and its part in the hooks. */
export interface LoadOptions extends Omit<PluginOptions, "clock"> {
  /** Plugins with lower numbers come first in every hook; of the same number, by name. @default 0 */
  readonly order?: number;
  /** What the plugin's failures do, for all hooks or by hook, in the place of the hooks' own policies. @default the hooks' */
  readonly onFailure?: FailurePolicy | Readonly<Record<string, FailurePolicy>>;
  /** Inputs that the plugin is called for, by hook. @default all */
  readonly filters?: Readonly<Record<string, Filter>>;
  /** Hooks for which the plugin must have a function. @default those of the version before, for a plugin's first version none */
  readonly requires?: readonly string[];
  /** Takes the place of the plugin of the same name, if there is one, of which nothing is kept. @default false */
  readonly replace?: boolean;
  /** Plugins of the host that this one needs: they must be loaded before it, and are not unloaded while it is there. @default none */
  readonly dependsOn?: readonly string[];
  /** When a version that fails again and again is no longer called; `false` for never. @default the defaults of each option */
  readonly breaker?: BreakerOptions | false;
  /** A call that every version must pass before it serves. @default none */
  readonly probe?: Probe;
  /** Reloads the plugin whenever its file has changed. @default false */
  readonly watch?: boolean;
}

/** Options of `reload` and `stage`: those of the version that serves hold where they say nothing. */
export type ReloadOptions = Omit<LoadOptions, "name" | "replace" | "watch">;

/** Options for a further version. Some of those before were for that version alone. */
export function furtherOptions(
  { version: _version, replace: _replace, requires: _requires, signal: _signal, ...before }: LoadOptions,
  options: ReloadOptions,
): LoadOptions {
  return { ...before, ...options };
}

/** Options, taken apart and checked as far as the host uses them. */
export interface HostedOptions {
  /** What `loadPlugin` is given. */
  readonly own: Omit<PluginOptions, "clock">;
  readonly order: number;
  readonly onFailure: LoadOptions["onFailure"];
  readonly filters: LoadOptions["filters"];
  readonly requires: readonly string[] | undefined;
  readonly dependsOn: readonly string[];
  readonly breaker: ResolvedBreaker | undefined;
  readonly probe: Probe | undefined;
}

/**
 * Takes options apart. Those of `loadPlugin` are checked there.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function hostedOptions(options: LoadOptions): HostedOptions {
  const { order = 0, onFailure, filters, requires, replace: _replace, watch: _watch, dependsOn = [], breaker, probe, ...own } = options;
  if (!Array.isArray(dependsOn) || dependsOn.some((name) => typeof name !== "string" || name === ""))
    throw invalidOption("dependsOn", printable(dependsOn), "names of plugins");
  if (probe !== undefined && (typeof probe !== "object" || probe === null || typeof probe.function !== "string"))
    throw invalidOption("probe", printable(probe), "an object with the name of a function");
  return { own, order, onFailure, filters, requires, dependsOn, breaker: resolveBreaker(breaker), probe };
}

/** A plugin's options; where they say nothing, the host's, limits and permissions one by one. No plugin has more than `cpuShare`. */
export function withDefaults(own: PluginOptions, defaults: PluginOptions, cpuShare: number): PluginOptions {
  const limits = (own.limits ?? defaults.limits) && { ...defaults.limits, ...own.limits };
  return {
    ...defaults,
    ...own,
    ...(limits && { limits }),
    ...(cpuShare < 1 && {
      limits: { ...limits, cpuShare: Math.min(limits?.cpuShare ?? DEFAULT_LIMITS.cpuShare, cpuShare / instancesOf(own, defaults)) },
    }),
    ...((own.permissions ?? defaults.permissions) && { permissions: { ...defaults.permissions, ...own.permissions } }),
  };
}

/** Instances of a stateless plugin of whose number nothing is said. */
const STANDARD_INSTANCES = 8;

/** Instances that run at the same time share what the plugin may have. */
function instancesOf(own: PluginOptions, defaults: PluginOptions): number {
  const pool = own.pool ?? defaults.pool;
  return pool?.maxInstances ?? ((own.stateless ?? defaults.stateless) === true ? STANDARD_INSTANCES : 1);
}

/** The absolute path of a source that is a file of this machine. */
export function fileOf(source: ManifestSource): string | undefined {
  if (source instanceof Promise) return undefined;
  try {
    const named = nameSource(source);
    return named.kind === "file" ? resolve(named.path) : undefined;
  } catch {
    return undefined; // loading it says why
  }
}

/** What a source will be called if nobody says otherwise, as far as can be known before it is read. */
export function likelyName(source: ManifestSource): string {
  const path = fileOf(source);
  return path === undefined ? "plugin" : basename(path, extname(path));
}
