// What a plugin of a configuration is loaded with.

import type { ConfigValue as LoadedValue, HttpSettings, PluginOptions } from "../host/options.ts";
import type { Filter } from "../hooks/filters.ts";
import type { NativeGrant, PluginConfig, WasiOptions } from "./config.ts";
import type { ResolvedSecrets } from "./resolve-secrets.ts";

/** Options of `host.plugins.load`: those of `loadPlugin`, and what the host itself takes. */
export interface LoadOptions extends Omit<PluginOptions, "clock"> {
  readonly name: string;
  readonly order: number;
  readonly onFailure?: NonNullable<PluginConfig["onFailure"]>;
  readonly filters: Readonly<Record<string, Filter>>;
  readonly requires?: readonly string[];
  readonly dependsOn?: readonly string[];
  readonly watch?: boolean;
  readonly probe?: NonNullable<PluginConfig["probe"]>;
  readonly breaker?: PluginConfig["breaker"];
}

/** What {@link toPluginOptions} gives. */
export interface PluginLoad {
  /** Path or URL. */
  readonly source: string;
  readonly options: LoadOptions;
}

/**
 * What a plugin is loaded with. Hosts and folders that a manifest asks for count for nothing: what the configuration does
 * not grant is denied.
 *
 * @param native `native` of the configuration
 */
export function toPluginOptions(plugin: PluginConfig, resolved: ResolvedSecrets, native: readonly NativeGrant[] = []): PluginLoad {
  const { name, abi, onFailure, permissions, digest, version, probe, breaker } = plugin;
  const { ca: _references, ...httpSettings } = plugin.http;
  const { env: _variables, ...wasiOptions } = plugin.wasi;
  const http: HttpSettings = { ...httpSettings, ...(resolved.ca === undefined ? {} : { ca: resolved.ca }) };
  const wasi: WasiOptions = { ...wasiOptions, ...(resolved.env === undefined ? {} : { env: resolved.env }) };
  return {
    source: plugin.source,
    options: {
      name,
      ...(abi === undefined ? {} : { abi }),
      ...(digest === undefined ? {} : { digest }),
      ...(native.length === 0 ? {} : { native }),
      order: plugin.order,
      ...(onFailure === undefined ? {} : { onFailure }),
      isolation: plugin.isolation,
      stateless: plugin.stateless,
      logLevel: plugin.logLevel,
      limits: plugin.limits,
      permissions: { ...permissions, hosts: permissions.hosts ?? [], paths: permissions.paths ?? {} },
      pool: plugin.pool,
      http,
      wasi,
      config: resolved.config as Readonly<Record<string, LoadedValue>>,
      secrets: resolved.secrets,
      quotas: plugin.quotas,
      // The schema leaves out what is not given.
      filters: plugin.filters as Readonly<Record<string, Filter>>,
      // A plugin that names none must, when it is reloaded, have those that it had before.
      ...(plugin.requires.length === 0 ? {} : { requires: plugin.requires }),
      ...(version === undefined ? {} : { version }),
      ...(plugin.dependsOn.length === 0 ? {} : { dependsOn: plugin.dependsOn }),
      ...(plugin.watch ? { watch: true } : {}),
      ...(probe === undefined ? {} : { probe }),
      ...(breaker !== false && Object.keys(breaker).length === 0 ? {} : { breaker }),
    },
  };
}
