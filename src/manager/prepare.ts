// Makes a version ready to serve: fetched, checked, compiled, instantiated and probed, before anybody sees it.

import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import { DEFAULT_LIMITS, invalidOption } from "../api/limits.ts";
import { didYouMean } from "../api/near-names.ts";
import type { HookDefinitions } from "../hooks/definition.ts";
import { functionNames } from "../hooks/function-names.ts";
import type { Roster } from "../hooks/roster.ts";
import type { PluginOptions } from "../host/options.ts";
import type { Plugin } from "../host/plugin.ts";
import type { ManifestSource } from "../manifest/manifest.ts";
import { redactionOf } from "../services/redaction.ts";
import type { Governor } from "./governor.ts";
import { type HostedOptions, type Probe, withDefaults } from "./load-options.ts";
import { Version } from "./version.ts";

/** What versions are made with; the same for all of a host. */
export interface Workshop {
  readonly definitions: HookDefinitions;
  readonly roster: Roster;
  readonly governor: Governor;
  readonly defaults: Omit<PluginOptions, "name" | "signal" | "clock">;
  /** Part of the thread's time that each plugin may have. */
  readonly cpuShare: number;
  readonly clock: () => number;
  /** Loads a plugin; `loadPlugin`. */
  readonly load: (source: ManifestSource, options: PluginOptions) => Promise<Plugin>;
}

/** A version that is to be made. */
export interface Order {
  readonly source: ManifestSource;
  /** Name of the plugin, as far as it is known. */
  readonly name: string;
  readonly version: string;
  readonly reason: string;
  readonly options: HostedOptions;
  /** Hooks for which it must have a function, if its options name none. */
  readonly inherits: readonly string[];
  /** Last checks, after which it is ready; what follows happens in the same moment. */
  readonly check: (version: Version) => void;
  /** Puts it into service. */
  readonly commit: (version: Version) => void;
  /** Told of one that failed. */
  readonly onFailure: (version: Version, error: unknown) => void;
}

/**
 * Makes a version and puts it into service. If anything is wrong with it, nothing of it is left.
 *
 * @throws MortiseError why it cannot be used
 */
export async function prepareVersion(workshop: Workshop, order: Order): Promise<Version> {
  const { options, name } = order;
  const { governor, clock } = workshop;
  const version = new Version({
    plugin: name,
    version: order.version,
    reason: order.reason,
    breaker: options.breaker,
    cpuShare: workshop.cpuShare,
    clock,
    onCalled: governor.countsMemory ? (called) => governor.called(called) : undefined,
  });
  let plugin: Plugin | undefined;
  try {
    const settings = withDefaults(options.own, workshop.defaults, workshop.cpuShare);
    plugin = await workshop.load(order.source, { ...settings, version: order.version, clock });
    version.loaded(plugin);
    governor.adopt(version);
    const { requires = order.inherits } = options;
    checkRequired(workshop.definitions, plugin, requires);
    version.seating = workshop.roster.seatingOf({
      plugin: version,
      order: options.order,
      ...(options.onFailure !== undefined && { onFailure: options.onFailure }),
      ...(options.filters && { filters: options.filters }),
      ownFilters: plugin.declared.filters,
      ...(settings.permissions?.attributes && { attributes: settings.permissions.attributes }),
      timeoutMs: settings.limits?.timeoutMs ?? DEFAULT_LIMITS.timeoutMs,
    });
    if (options.probe !== undefined) await passProbe(plugin, options.probe);
    order.check(version);
    version.machine.enter("ready", "loaded");
    // Whoever was told of that may have unloaded the plugin, or closed the host.
    order.check(version);
    order.commit(version);
    return version;
  } catch (cause) {
    const error = withoutSecrets(cause, options.own.secrets ?? workshop.defaults.secrets);
    const { machine } = version;
    machine.enter(machine.state === "loading" ? "failed" : "draining", messageOf(error));
    order.onFailure(version, error);
    await plugin?.close({ abort: true });
    governor.release(version);
    if (machine.state === "draining") machine.enter("unloaded", messageOf(error));
    throw error;
  }
}

/** What went wrong, as one line. */
export function messageOf(error: unknown): string {
  return isMortiseError(error) ? error.message : printable(error instanceof Error ? error.message : error);
}

/** What a plugin says while it is loaded may hold what it was configured with. Options that nobody has checked may be anything. */
function withoutSecrets(error: unknown, secrets: unknown): unknown {
  const texts = Array.isArray(secrets) ? secrets.filter((each): each is string => typeof each === "string") : [];
  return redactionOf(texts)?.error(error) ?? error;
}

function checkRequired(definitions: HookDefinitions, plugin: Plugin, requires: readonly string[]): void {
  for (const hook of requires) {
    const definition = Object.hasOwn(definitions, hook) ? definitions[hook] : undefined;
    if (definition === undefined) throw invalidOption("requires", hook, `hooks of the host${didYouMean(hook, Object.keys(definitions))}`);
    const { names, postNames } = functionNames(hook, definition);
    const all = [...names, ...postNames];
    if (all.some((name) => plugin.has(name))) continue;
    throw new MortiseError("MORTISE_HOOK_MISSING", { plugin: plugin.name, hook, names: all.map((name) => `"${name}"`).join(" or ") });
  }
}

/** @throws MortiseError MORTISE_PROBE_FAILED */
async function passProbe(plugin: Plugin, { function: fn, input }: Probe): Promise<void> {
  try {
    await plugin.call(fn, input);
  } catch (error) {
    const { name, version } = plugin;
    const code = isMortiseError(error) ? error.code : "MORTISE_INTERNAL";
    throw new MortiseError("MORTISE_PROBE_FAILED", { plugin: name, version, function: fn, code, reason: messageOf(error) }, error);
  }
}
