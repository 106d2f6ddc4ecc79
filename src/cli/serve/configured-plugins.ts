// The plugins of a configuration in a host that runs: what another configuration says of them takes their place as a whole, or not at all.

import { isDeepStrictEqual } from "node:util";

import { loadOrder } from "../../config/apply-config.ts";
import type { Config, PluginConfig } from "../../config/config.ts";
import { type PluginLoad, toPluginOptions } from "../../config/plugin-options.ts";
import { type SecretSources, resolveSecrets } from "../../config/resolve-secrets.ts";
import type { GatewayHost } from "../../gateway/index.ts";
import { pluginFault } from "./load-notes.ts";

/** What came of a change, by names of plugins. */
export interface PluginChanges {
  readonly loaded: readonly string[];
  readonly replaced: readonly string[];
  readonly unloaded: readonly string[];
}

/** A change that is prepared: new versions are loaded, and nothing has changed for requests yet but that new plugins take part. */
export interface PreparedChange {
  readonly secrets: readonly string[];
  /** Lets the new versions serve, from the next request on, and takes out what is no longer there. */
  commit(): PluginChanges;
  /** Takes back what was prepared. */
  abandon(): Promise<void>;
}

/** Plugins, as they were loaded last. */
export class ConfiguredPlugins {
  readonly #plugins: GatewayHost["plugins"];
  readonly #onFailure: (error: unknown) => void;
  #loads: ReadonlyMap<string, PluginLoad> = new Map();

  /** @param onFailure is told of plugins that could not be taken out in order */
  constructor({ plugins }: GatewayHost, onFailure: (error: unknown) => void) {
    this.#plugins = plugins;
    this.#onFailure = onFailure;
  }

  /**
   * Loads what is new or different. If anything cannot be loaded, nothing has changed.
   *
   * @param all also what is the same, since its file may be another one
   * @throws MortiseError as `host.plugins.load`, or MORTISE_SECRET_MISSING; MORTISE_CONFIG_INVALID for what a plugin refuses
   */
  async prepare(config: Config, sources: SecretSources, { all = false }: { readonly all?: boolean } = {}): Promise<PreparedChange> {
    const secrets: string[] = [];
    const wanted = new Map<string, PluginLoad>();
    const configured = new Map(config.plugins.map((plugin) => [plugin.name, plugin]));
    let loading: PluginConfig | undefined;
    for (const plugin of loadOrder(config.plugins)) {
      const resolved = await resolveSecrets(plugin, sources); // oxlint-disable-line no-await-in-loop -- in order, so that the first that fails is always the same
      secrets.push(...resolved.secrets);
      wanted.set(plugin.name, toPluginOptions(plugin, resolved, config.native));
    }
    const loaded: string[] = [];
    const staged = new Map<string, string>();
    const abandon = async (): Promise<void> => {
      for (const [name, version] of staged) await this.#plugins.unload(name, { version }); // oxlint-disable-line no-await-in-loop -- dependents first
      for (const name of loaded.toReversed()) await this.#plugins.unload(name); // oxlint-disable-line no-await-in-loop -- dependents first
    };
    try {
      for (const [name, load] of wanted) {
        loading = configured.get(name);
        const before = this.#loads.get(name);
        if (before === undefined) {
          await this.#plugins.load(load.source, load.options); // oxlint-disable-line no-await-in-loop -- those that others need come first
          loaded.push(name);
        } else if (all || !isDeepStrictEqual(before, load)) {
          const { version } = await this.#plugins.stage(name, load.source, replacing(before, load)); // oxlint-disable-line no-await-in-loop -- as above
          staged.set(name, version);
        }
      }
    } catch (error) {
      await abandon();
      throw loading === undefined ? error : pluginFault(error, loading);
    }
    const commit = (): PluginChanges => {
      for (const [name, version] of staged) this.#plugins.switchTo(name, version);
      const gone = [...this.#loads.keys()].filter((name) => !wanted.has(name)).toReversed();
      this.#loads = wanted;
      // What still uses them may take long; it is not waited for.
      for (const name of gone) this.#plugins.unload(name).catch(this.#onFailure);
      return { loaded, replaced: [...staged.keys()], unloaded: gone };
    };
    return { secrets, commit, abandon };
  }
}

/** Options in place of those before: what those have and these have not is gone. */
function replacing(before: PluginLoad, { options }: PluginLoad): PluginLoad["options"] {
  const gone = Object.keys(before.options).filter((key) => !Object.hasOwn(options, key));
  return { ...(Object.fromEntries(gone.map((key) => [key, undefined])) as object), ...options };
}
