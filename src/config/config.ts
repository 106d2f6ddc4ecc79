// A configuration that was checked: what the rest of Mortise takes from it.

import type { Limits } from "../api/limits.ts";
import type { Permissions } from "../api/permissions.ts";
import type { HttpSettings, PluginOptions } from "../host/options.ts";
import type { Origin, Place } from "../manifest/place.ts";
import type { ServicesOptions } from "../services/create-services.ts";
import type { DatabaseLimits, SqliteDatabase } from "../services/databases.ts";
import type { PluginQuotas } from "../services/quotas.ts";
import type { MemoryStoreOptions } from "../services/store/memory-store.ts";
import type { RedisStoreOptions } from "../services/store/redis-store.ts";
import type { SqliteStoreOptions } from "../services/store/sqlite-store.ts";
import type { ConfigDocument } from "./config-text.ts";
import type { FilterCondition } from "./filter-schema.ts";
import type { GatewayConfig } from "./gateway-config.ts";
import type { ConfigProblem } from "./problems.ts";
import type { Secret } from "./secret.ts";

/** A value of a plugin's own configuration, as JSON has it, and secrets. */
export type ConfigValue = string | number | boolean | null | Secret | readonly ConfigValue[] | ConfigTable;
/** A table of such values; it has no prototype. */
export interface ConfigTable {
  readonly [key: string]: ConfigValue;
}

type Option<Name extends keyof PluginOptions> = NonNullable<PluginOptions[Name]>;
/** Where a plugin runs. */
export type Isolation = Option<"isolation">;
/** A level of log lines. */
export type LogLevel = Option<"logLevel">;
/** How many instances there are. */
export type PoolOptions = Option<"pool">;
/** What a plugin gets of WASI. */
export type WasiOptions = Option<"wasi">;

/** What a failure in a hook does. */
export type OnFailure = "closed" | "open";

/** Conditions by path in a hook's input, all of which must hold, by hook. */
export type ConfigFilters = Readonly<Record<string, Readonly<Record<string, FilterCondition>>>>;

/** HTTP settings, with certificates that may still have to be read. */
export type ConfigHttp = Omit<HttpSettings, "service" | "fetch" | "ca"> & { readonly ca?: readonly (string | Secret)[] };

/** WASI options, with variables that may still have to be read. */
export type ConfigWasi = Pick<WasiOptions, "args" | "clock" | "files" | "outputBytes" | "fileBytes" | "descriptors"> & {
  readonly env?: Readonly<Record<string, string | Secret>>;
};

/** Numbers of a breaker; those that are absent have their defaults. */
export type BreakerConfig = Readonly<Partial<Record<"failures" | "windowMs" | "share" | "openMs" | "probes", number>>>;

/** One plugin: defaults and ceilings of the configuration are in it already. */
export interface PluginConfig {
  readonly name: string;
  /** Absolute path or URL; relative paths start at the folder of the file that names them. */
  readonly source: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string | undefined;
  readonly abi: Option<"abi"> | undefined;
  readonly enabled: boolean;
  /** Lower comes first, then by name. */
  readonly order: number;
  /** For all hooks, or by hook. */
  readonly onFailure: OnFailure | Readonly<Record<string, OnFailure>> | undefined;
  readonly isolation: Isolation;
  readonly stateless: boolean;
  readonly logLevel: LogLevel;
  /** As it is written, with secrets that are not resolved. */
  readonly config: ConfigTable;
  readonly limits: Limits;
  readonly permissions: Permissions;
  readonly pool: PoolOptions;
  readonly http: ConfigHttp;
  readonly wasi: ConfigWasi;
  readonly filters: ConfigFilters;
  /** Hooks for which the plugin must have a function. */
  readonly requires: readonly string[];
  readonly quotas: PluginQuotas;
  /** Name of this version; undefined for one that is counted. */
  readonly version: string | undefined;
  /** Plugins that must be loaded before it. */
  readonly dependsOn: readonly string[];
  /** Reloads it when its file changes. */
  readonly watch: boolean;
  /** A call that every version must pass. */
  readonly probe: { readonly function: string; readonly input?: string } | undefined;
  /** When it is no longer called; false for never. */
  readonly breaker: BreakerConfig | false;
  /** Where it stands, for messages. */
  readonly origin: Origin;
  readonly place: Place;
}

/** Where plugins keep keys and values. */
export type StoreConfig =
  | ({ readonly kind: "memory" } & Omit<MemoryStoreOptions, "clock">)
  | ({ readonly kind: "sqlite" } & Omit<SqliteStoreOptions, "clock">)
  | ({ readonly kind: "redis"; readonly url: string | Secret } & Omit<RedisStoreOptions, "clock" | "client" | "url">);

/** What all services share. */
export interface ServicesConfig extends Pick<ServicesOptions, "cacheBytes" | "cacheTtlMs" | "hashAlgorithms"> {
  readonly databaseLimits: DatabaseLimits;
}

/** What the operator says of a hook. */
export interface HookConfig {
  readonly onFailure?: OnFailure;
  readonly timeoutMs?: number;
}

/** A native plugin that may be loaded. */
export interface NativeGrant {
  readonly path: string;
  readonly digest: string;
}

/** A whole configuration, of one file and those that it includes. */
export interface Config {
  /** Plugins in the order of the files, disabled ones included. */
  readonly plugins: readonly PluginConfig[];
  readonly store: StoreConfig;
  readonly services: ServicesConfig;
  readonly databases: Readonly<Record<string, SqliteDatabase>>;
  readonly hooks: Readonly<Record<string, HookConfig>>;
  readonly native: readonly NativeGrant[];
  /** `[gateway]`; undefined if there is none. */
  readonly gateway: GatewayConfig | undefined;
  /** The texts that were read, the main one first. */
  readonly documents: readonly ConfigFile[];
  /** What may be a mistake, but is none by itself. */
  readonly warnings: readonly ConfigProblem[];
}

/** One text of a configuration. */
export interface ConfigFile extends ConfigDocument {
  /** Absolute path; undefined for a text that is in no file. */
  readonly path: string | undefined;
  /** Folder that relative paths start from. */
  readonly folder: string;
}
