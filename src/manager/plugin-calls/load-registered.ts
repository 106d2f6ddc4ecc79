// A plugin that another one registers: within what the plugins of its host may have, like any other.

import type { PluginOptions } from "../../host/options.ts";
import type { CloseOptions, Plugin } from "../../host/plugin.ts";
import type { ManifestSource } from "../../manifest/manifest.ts";
import { withDefaults } from "../load-options.ts";
import type { Workshop } from "../prepare.ts";
import { Version } from "../version.ts";
import type { Callee } from "./call-plugin.ts";

/** A plugin that is called by whoever registered it. */
export interface RegisteredPlugin extends Callee {
  /** Frees it, after the calls that run, or at once if `abort` is set. */
  close(options?: CloseOptions): Promise<void>;
}

/** Options of a registered plugin; it has a name. */
export type RegisteredOptions = PluginOptions & { readonly name: string };

/**
 * Loads a plugin for another one.
 *
 * @throws MortiseError why it cannot be loaded; MORTISE_HOST_LIMIT
 */
export async function loadRegistered(
  { governor, cpuShare, clock, load }: Omit<Workshop, "definitions" | "roster" | "defaults">,
  source: ManifestSource,
  options: RegisteredOptions,
): Promise<RegisteredPlugin> {
  const onCalled = governor.countsMemory ? (called: Version): void => governor.called(called) : undefined;
  const { name, version: label = "1" } = options;
  const version = new Version({ plugin: name, version: label, reason: "registered", breaker: undefined, cpuShare, clock, onCalled });
  const { machine } = version;
  let plugin: Plugin | undefined;
  try {
    plugin = await load(source, { ...withDefaults(options, {}, cpuShare), clock });
    version.loaded(plugin);
    governor.adopt(version);
  } catch (error) {
    machine.enter("failed", "could not be loaded"); // whoever registers it is told why
    await plugin?.close({ abort: true });
    governor.release(version);
    throw error;
  }
  machine.enter("ready", "registered");
  let closed: Promise<void> | undefined;
  const end = async (how: CloseOptions | undefined): Promise<void> => {
    machine.enter("draining", "freed");
    await version.close(how);
    governor.release(version);
    machine.enter("unloaded", "freed");
  };
  return {
    name,
    startFor: (caller, fn, input) => version.startFor(caller, fn, input),
    close: (how) => (closed ??= end(how)),
  };
}
