// How plugins may use each other: options as a user gives them, checked once and completed.

import { printable } from "../../api/errors.ts";
import { invalidOption } from "../../api/limits.ts";
import type { PluginOptions } from "../../host/options.ts";
import type { ManifestSource } from "../../manifest/manifest.ts";
import { folderLookup } from "./folder-lookup.ts";

/** Finds what a plugin registers by name; undefined if there is no such plugin. */
export type PluginLookup = (name: string) => ManifestSource | undefined | Promise<ManifestSource | undefined>;

/** Options for calls from plugin to plugin. */
export interface PluginCallOptions {
  /** Calls inside of one another, the first of the embedding program's own included. 64 at most. @default 16 */
  readonly maxDepth?: number;
  /** Calls of one plugin to others that wait at a time. @default 64 */
  readonly maxPending?: number;
  /**
   * Where `register_plugin` of `extism:host/user` finds plugins: a folder of modules, or a function. Without it there are no
   * functions to register and call plugins by number.
   *
   * @default none
   */
  readonly lookup?: string | PluginLookup;
  /** Plugins that one plugin may have registered at a time, those that they register in turn included. @default 16 */
  readonly maxRegistered?: number;
  /** Options that registered plugins are loaded with. @default limits.memoryBytes of 5 pages (327,680 bytes) and no permission */
  readonly registered?: Omit<PluginOptions, "name" | "signal" | "calls">;
}

/** Options with every default filled in. */
export interface ResolvedPluginCalls {
  readonly maxDepth: number;
  readonly maxPending: number;
  readonly lookup: PluginLookup | undefined;
  readonly maxRegistered: number;
  readonly registered: PluginOptions;
}

/** Most calls that are let inside of one another: each takes some of the thread's stack. */
const MOST_DEPTH = 64;
/** Bytes of all memories of a registered plugin: the 5 pages of the interface that it comes from. */
const REGISTERED_BYTES = 5 * 65_536;

const KNOWN: Record<keyof PluginCallOptions, true> = { maxDepth: true, maxPending: true, lookup: true, maxRegistered: true, registered: true };

/** Checks options and fills in defaults. @throws MortiseError MORTISE_INVALID_OPTION */
export function resolvePluginCalls(options: PluginCallOptions = {}): ResolvedPluginCalls {
  if (typeof options !== "object" || options === null) throw invalidOption("pluginCalls", printable(options), "an object");
  for (const key of Object.keys(options))
    if (!Object.hasOwn(KNOWN, key)) throw invalidOption(`pluginCalls.${key}`, "unknown", `one of ${Object.keys(KNOWN).join(", ")}`);
  const { maxDepth = 16, maxPending = 64, lookup, maxRegistered = 16, registered = {} } = options;
  checkNumber("maxDepth", maxDepth, MOST_DEPTH);
  checkNumber("maxPending", maxPending, Number.MAX_SAFE_INTEGER);
  checkNumber("maxRegistered", maxRegistered, Number.MAX_SAFE_INTEGER);
  if (lookup !== undefined && typeof lookup !== "string" && typeof lookup !== "function")
    throw invalidOption("pluginCalls.lookup", typeof lookup, "the path of a folder, or a function");
  if (typeof registered !== "object" || registered === null) throw invalidOption("pluginCalls.registered", printable(registered), "an object");
  return Object.freeze({
    maxDepth,
    maxPending,
    lookup: typeof lookup === "string" ? folderLookup(lookup) : lookup,
    maxRegistered,
    registered: { ...registered, limits: { memoryBytes: REGISTERED_BYTES, ...registered.limits } },
  });
}

function checkNumber(name: string, value: unknown, most: number): void {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= most) return;
  const wanted = most === Number.MAX_SAFE_INTEGER ? "a whole number, 1 or more" : `a whole number from 1 to ${most}`;
  throw invalidOption(`pluginCalls.${name}`, printable(value), wanted);
}
