// Puts a configuration to work: opens what its plugins share, and loads them into a host.

import { isMortiseError } from "../api/errors.ts";
import { didYouMean } from "../api/near-names.ts";
import type { Store } from "../api/store.ts";
import type { UntypedHook } from "../hooks/definition.ts";
import type { Plugin } from "../host/plugin.ts";
import { type Services, createServices } from "../services/create-services.ts";
import { createMemoryStore } from "../services/store/memory-store.ts";
import { valueAt } from "./check-shape.ts";
import type { Config, PluginConfig } from "./config.ts";
import { type LoadOptions, toPluginOptions } from "./plugin-options.ts";
import { configError, problemAt } from "./problems.ts";
import { type SecretSources, resolveSecrets, resolveStoreUrl } from "./resolve-secrets.ts";

/** Services of a configuration, with the store and databases that it names. */
export interface ConfiguredServices extends Services {
  /** Ends queries, and closes the store as well. */
  close(): Promise<void>;
}

/**
 * Opens the store and the databases of a configuration, and makes the services.
 *
 * @throws MortiseError MORTISE_STORE_UNAVAILABLE if the store cannot be reached, MORTISE_SECRET_MISSING
 */
export async function openServices(config: Config, sources: SecretSources): Promise<ConfiguredServices> {
  const store = await openStore(config, sources);
  try {
    const services = createServices({ ...config.services, databases: config.databases, store });
    const close = async (): Promise<void> => {
      await services.close();
      await store.close();
    };
    return { ...services, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function openStore(config: Config, sources: SecretSources): Promise<Store> {
  const { store } = config;
  if (store.kind === "memory") {
    const { kind: _kind, ...options } = store;
    return createMemoryStore(options);
  }
  // What a server does not use it need not load.
  if (store.kind === "sqlite") {
    const { kind: _kind, ...options } = store;
    const { createSqliteStore } = await import("../services/store/sqlite-store.ts");
    return createSqliteStore(options);
  }
  const { kind: _kind, url: _secret, ...options } = store;
  const { createRedisStore } = await import("../services/store/redis-store.ts");
  const url = await resolveStoreUrl(config, sources);
  return createRedisStore({ ...options, ...(url === undefined ? {} : { url }) });
}

/** A host that plugins are loaded into; `createHost` gives one. */
export interface PluginTarget {
  readonly plugins: {
    load(source: string, options: LoadOptions): Promise<Plugin>;
    unload(name: string): Promise<void>;
  };
}

/**
 * Loads the enabled plugins of a configuration into a host, in their order, and after those that they depend on. Secrets are read for each plugin when its turn
 * comes. If one cannot be loaded, those before it are unloaded again.
 *
 * @throws MortiseError why a plugin cannot be loaded, or MORTISE_SECRET_MISSING
 */
export async function loadConfigured(host: PluginTarget, config: Config, sources: SecretSources): Promise<Plugin[]> {
  const loaded: Plugin[] = [];
  try {
    for (const plugin of loadOrder(config.plugins)) {
      const { source, options } = toPluginOptions(plugin, await resolveSecrets(plugin, sources), config.native);
      loaded.push(await host.plugins.load(source, options));
    }
    return loaded;
  } catch (error) {
    // Those that depend on others were loaded after them.
    for (const { name } of loaded.toReversed()) {
      // Why the loading failed is what its caller has to hear.
      await host.plugins.unload(name).catch((after: unknown) => {
        if (!isMortiseError(after)) throw after;
      });
    }
    throw error;
  }
}

/** The plugins that are enabled: those that others depend on before these; otherwise by their order. */
export function loadOrder(plugins: readonly PluginConfig[]): PluginConfig[] {
  const sorted = plugins.filter(({ enabled }) => enabled).toSorted((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
  const ordered = new Set<PluginConfig>();
  const visiting = new Set<PluginConfig>();
  const visit = (plugin: PluginConfig): void => {
    // A circle is refused where its last plugin is loaded.
    if (visiting.has(plugin)) return;
    visiting.add(plugin);
    for (const needed of sorted) if (plugin.dependsOn.includes(needed.name)) visit(needed);
    ordered.add(plugin);
  };
  for (const plugin of sorted) visit(plugin);
  return [...ordered];
}

/**
 * Hook definitions with what the operator says of them in `[hooks.NAME]`: failure policies and times.
 *
 * @throws MortiseError MORTISE_CONFIG_INVALID for a hook that there is no definition of: what it says would hold for none
 */
export function withConfiguredHooks<D extends Readonly<Record<string, UntypedHook>>>(
  definitions: D,
  { hooks, documents }: Pick<Config, "hooks" | "documents">,
): D {
  const known = Object.keys(definitions);
  const problems = Object.keys(hooks)
    .filter((name) => !known.includes(name))
    .flatMap((name) => {
      const place = ["hooks", name];
      const file = documents.find(({ value }) => valueAt(value, place) !== undefined);
      const reason = `is no hook of the host${didYouMean(name, known) || `, which has ${known.join(", ") || "none"}`}`;
      return file === undefined ? [] : [problemAt(file.origin, { place, reason })];
    });
  if (problems.length > 0) throw configError(problems);
  const changed = Object.entries(definitions).map(([name, definition]) => {
    const { onFailure, timeoutMs } = (Object.hasOwn(hooks, name) ? hooks[name] : undefined) ?? {};
    return [name, { ...definition, ...(onFailure === undefined ? {} : { onFailure }), ...(timeoutMs === undefined ? {} : { timeoutMs }) }];
  });
  return Object.fromEntries(changed) as D;
}
