// Plugins that plugins register by name and call by number. Each belongs to the plugin that registered it, which alone knows
// its number, and goes with it.

import { randomBytes } from "node:crypto";

import { type ErrorDetails, MortiseError, printable } from "../../api/errors.ts";
import type { PluginCallProvider, ServiceCall } from "../../api/services.ts";
import type { ManifestSource } from "../../manifest/manifest.ts";
import type { RegisteredOptions, RegisteredPlugin } from "./load-registered.ts";
import type { ResolvedPluginCalls } from "./options.ts";

/** Plugins registered by one plugin of the host's, and by those in turn. */
export interface RegisteredCount {
  count: number;
}

/** Loads a plugin within what its host allows; `loadRegistered`. */
export type LoadRegistered = (source: ManifestSource, options: RegisteredOptions) => Promise<RegisteredPlugin>;

/** Cost units of a registration, which the plugin is charged before anything is read. */
const REGISTRATION_COST = 1_000_000;

/** The plugins that one plugin has registered. */
export class Registry {
  readonly #options: ResolvedPluginCalls;
  readonly #registered: RegisteredCount;
  readonly #nested: PluginCallProvider;
  readonly #load: LoadRegistered;
  readonly #plugins = new Map<bigint, RegisteredPlugin>();
  #closed = false;

  /**
   * @param registered shared by all that count together
   * @param nested what registered plugins call plugins with
   */
  constructor(options: ResolvedPluginCalls, registered: RegisteredCount, nested: PluginCallProvider, load: LoadRegistered) {
    this.#options = options;
    this.#registered = registered;
    this.#nested = nested;
    this.#load = load;
  }

  /**
   * Loads the plugin of a name for the calling plugin alone, and gives its number.
   *
   * @throws MortiseError MORTISE_PLUGIN_REGISTRATION
   */
  async register(call: ServiceCall, name: string): Promise<bigint> {
    const { plugin, function: fn, signal } = call;
    const refused = (kind: string, reason: string, cause?: unknown): MortiseError =>
      refusal({ plugin, function: fn }, `register "${name}"`, kind, reason, cause);
    const { lookup, maxRegistered, registered } = this.#options;
    const counted = this.#registered;
    if (counted.count >= maxRegistered)
      throw refused("limit", `${counted.count} plugins are registered already, which is as many as maxRegistered allows`);
    call.caller?.charge(REGISTRATION_COST);
    counted.count++;
    try {
      const source = await lookup?.(name);
      if (source === undefined) throw refused("unknown", "there is no plugin of that name");
      const made = await this.#load(source, { ...registered, name: `${plugin}/${name}`, calls: this.#nested, signal });
      if (this.#closed) {
        void made.close({ abort: true });
        throw refused("closed", "the plugin is closed");
      }
      const id = this.#newId();
      this.#plugins.set(id, made);
      return id;
    } catch (error) {
      counted.count--;
      if (error instanceof MortiseError && error.code === "MORTISE_PLUGIN_REGISTRATION") throw error;
      throw refused("load", error instanceof Error ? error.message : printable(error), error);
    }
  }

  /** The plugin of a number. @throws MortiseError MORTISE_PLUGIN_REGISTRATION */
  find(call: ServiceCall, id: bigint): RegisteredPlugin {
    const found = this.#plugins.get(id);
    if (found === undefined) throw refusal(call, `use plugin ${id}`, "unknown", "it has registered none of that number");
    return found;
  }

  /** Frees the plugin of a number, after the calls that run. @throws MortiseError MORTISE_PLUGIN_REGISTRATION */
  free(call: ServiceCall, id: bigint): void {
    const found = this.find(call, id);
    this.#drop(id);
    void found.close();
  }

  /** Frees all plugins at once. */
  close(): void {
    this.#closed = true;
    for (const [id, plugin] of this.#plugins) {
      this.#drop(id);
      void plugin.close({ abort: true });
    }
  }

  #drop(id: bigint): void {
    this.#plugins.delete(id);
    this.#registered.count--;
  }

  /** Positive, and not to be guessed. */
  #newId(): bigint {
    for (;;) {
      const id = BigInt.asUintN(63, randomBytes(8).readBigUInt64LE());
      if (id !== 0n && !this.#plugins.has(id)) return id;
    }
  }
}

function refusal(
  who: { readonly plugin: string; readonly function: string },
  what: string,
  kind: string,
  reason: string,
  cause?: unknown,
): MortiseError {
  const details: ErrorDetails = { plugin: who.plugin, function: who.function, what, kind, reason };
  return new MortiseError("MORTISE_PLUGIN_REGISTRATION", details, cause);
}
