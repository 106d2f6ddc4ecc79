// The plugins of a host: loaded into its hooks, and taken out of them again.

import { MortiseError } from "../api/errors.ts";
import { DEFAULT_LIMITS, invalidOption } from "../api/limits.ts";
import { didYouMean } from "../api/near-names.ts";
import type { AbiName } from "../abi/guest.ts";
import type { FailurePolicy, HookDefinitions } from "../hooks/definition.ts";
import type { Filter } from "../hooks/filters.ts";
import { functionNames } from "../hooks/function-names.ts";
import type { PluginEntry } from "../hooks/plugin-entry.ts";
import type { Roster, SeatCounts } from "../hooks/roster.ts";
import type { PluginOptions } from "../host/options.ts";
import type { CloseOptions, Plugin } from "../host/plugin.ts";
import { loadPlugin } from "../loader/load-plugin.ts";
import type { ManifestSource } from "../manifest/manifest.ts";

/** Options of {@link HostPlugins.load}: what the plugin may use and reach, and its part in the hooks. */
export interface LoadOptions extends Omit<PluginOptions, "clock"> {
  /** Plugins with lower numbers come first in every hook; of the same number, by name. @default 0 */
  readonly order?: number;
  /** What the plugin's failures do, for all hooks or by hook, in the place of the hooks' own policies. @default the hooks' */
  readonly onFailure?: FailurePolicy | Readonly<Record<string, FailurePolicy>>;
  /** Inputs that the plugin is called for, by hook. @default all */
  readonly filters?: Readonly<Record<string, Filter>>;
  /** Hooks for which the plugin must have a function. @default none */
  readonly requires?: readonly string[];
  /** Takes the place of the plugin of the same name, if there is one. @default false */
  readonly replace?: boolean;
}

/** What a host says of one of its plugins. */
export interface HostPlugin {
  readonly name: string;
  readonly abi: AbiName;
  readonly order: number;
  /** Hooks that it takes part in. None: it is loaded, but nothing ever calls it. */
  readonly hooks: readonly string[];
  /** What happened to it, by hook. */
  readonly counts: Readonly<Record<string, Readonly<SeatCounts>>>;
}

/** What a host's plugins have in common. */
export interface HostPluginsOptions {
  readonly definitions: HookDefinitions;
  readonly defaults: Omit<PluginOptions, "name" | "signal" | "clock">;
  readonly clock: () => number;
}

interface Loaded {
  readonly plugin: Plugin;
  readonly order: number;
  readonly hooks: readonly string[];
}

/** The plugins of a host; `createHost` makes them. */
export class HostPlugins {
  readonly #roster: Roster;
  readonly #options: HostPluginsOptions;
  readonly #loaded = new Map<string, Loaded>();
  /** Plugins that are in no hook any more, and wait for the runs that still use them. */
  readonly #ending = new Map<Plugin, Promise<void>>();
  /** True once the host is closed. */
  closed = false;

  constructor(roster: Roster, options: HostPluginsOptions) {
    this.#roster = roster;
    this.#options = options;
  }

  /**
   * Loads a plugin into the host's hooks. If anything is wrong with it, nothing has changed.
   *
   * @param source path, URL, bytes or manifest
   * @throws MortiseError why it cannot be loaded; MORTISE_PLUGIN_EXISTS, MORTISE_HOOK_MISSING, MORTISE_FILTER_INVALID, MORTISE_HOST_CLOSED
   */
  async load(source: ManifestSource, options: LoadOptions = {}): Promise<Plugin> {
    const { order = 0, onFailure, filters, requires = [], replace = false, ...own } = options;
    this.#refuseClosed();
    // Whoever names it is told before the work is done, and not only after it.
    if (!replace && own.name !== undefined) this.#refuseTaken(own.name);
    const settings = withDefaults(own, this.#options.defaults);
    const plugin = await loadPlugin(source, settings);
    try {
      this.#refuseClosed();
      this.#checkRequired(plugin, requires);
      const entry: PluginEntry = {
        plugin,
        order,
        ...(onFailure !== undefined && { onFailure }),
        ...(filters && { filters }),
        ownFilters: plugin.declared.filters,
        ...(settings.permissions?.attributes && { attributes: settings.permissions.attributes }),
        timeoutMs: settings.limits?.timeoutMs ?? DEFAULT_LIMITS.timeoutMs,
      };
      this.#seat(entry, plugin, order, replace);
    } catch (error) {
      await plugin.close({ abort: true });
      throw error;
    }
    return plugin;
  }

  #seat(entry: PluginEntry, plugin: Plugin, order: number, replace: boolean): void {
    const before = this.#loaded.get(plugin.name);
    if (before === undefined || !replace) {
      const hooks = this.#roster.add(entry);
      this.#loaded.set(plugin.name, { plugin, order, hooks });
      return;
    }
    const { hooks, drained } = this.#roster.replace(entry);
    this.#loaded.set(plugin.name, { plugin, order, hooks });
    // Runs that began with the old one end with it; closing the host waits for them.
    void this.#end(before.plugin, drained);
  }

  #checkRequired(plugin: Plugin, requires: readonly string[]): void {
    const { definitions } = this.#options;
    for (const hook of requires) {
      const definition = Object.hasOwn(definitions, hook) ? definitions[hook] : undefined;
      if (definition === undefined) throw invalidOption("requires", hook, `hooks of the host${didYouMean(hook, Object.keys(definitions))}`);
      const { names, postNames } = functionNames(hook, definition);
      const all = [...names, ...postNames];
      if (all.some((name) => plugin.has(name))) continue;
      throw new MortiseError("MORTISE_HOOK_MISSING", { plugin: plugin.name, hook, names: all.map((name) => `"${name}"`).join(" or ") });
    }
  }

  /** A plugin by its name. */
  get(name: string): Plugin | undefined {
    return this.#loaded.get(name)?.plugin;
  }

  /** All plugins, in their order. */
  list(): HostPlugin[] {
    return Array.from(this.#loaded, ([name, { plugin, order, hooks }]) => ({
      name,
      abi: plugin.abi,
      order,
      hooks,
      counts: this.#roster.counts(name),
    })).toSorted((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
  }

  /**
   * Takes a plugin out of all hooks at once, and closes it when the runs that use it have ended, or ends its calls if
   * `abort` is set.
   *
   * @throws MortiseError MORTISE_UNKNOWN_PLUGIN
   */
  async unload(name: string, options: CloseOptions = {}): Promise<void> {
    const loaded = this.#loaded.get(name);
    if (loaded === undefined) throw new MortiseError("MORTISE_UNKNOWN_PLUGIN", { plugin: name, hint: didYouMean(name, this.#loaded.keys()) });
    await this.#remove(name, loaded, options);
  }

  #remove(name: string, { plugin }: Loaded, { abort = false }: CloseOptions): Promise<void> {
    this.#loaded.delete(name);
    const ended = this.#end(plugin, this.#roster.remove(name));
    if (abort) void plugin.close({ abort });
    return ended;
  }

  /** Closes a plugin when nothing uses it any more. */
  #end(plugin: Plugin, drained: Promise<void>): Promise<void> {
    const ended = drained.then(() => plugin.close()).finally(() => this.#ending.delete(plugin));
    this.#ending.set(plugin, ended);
    return ended;
  }

  /** Unloads all plugins; the host loads none any more. Closing twice is closing once. */
  async close(options: CloseOptions = {}): Promise<void> {
    this.closed = true;
    for (const [name, loaded] of this.#loaded) void this.#remove(name, loaded, options);
    if (options.abort === true) for (const plugin of this.#ending.keys()) void plugin.close(options);
    await Promise.all(this.#ending.values());
  }

  #refuseClosed(): void {
    if (this.closed) throw new MortiseError("MORTISE_HOST_CLOSED", { what: "load a plugin" });
  }

  #refuseTaken(name: string): void {
    if (this.#loaded.has(name)) throw new MortiseError("MORTISE_PLUGIN_EXISTS", { plugin: name });
  }
}

/** A plugin's options; where they say nothing, the host's, limits and permissions one by one. */
function withDefaults(own: PluginOptions, defaults: PluginOptions): PluginOptions {
  return {
    ...defaults,
    ...own,
    ...((own.limits ?? defaults.limits) && { limits: { ...defaults.limits, ...own.limits } }),
    ...((own.permissions ?? defaults.permissions) && { permissions: { ...defaults.permissions, ...own.permissions } }),
  };
}
