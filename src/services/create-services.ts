// What all plugins of a host share, and the table of functions that each of them gets.

import { printable } from "../api/errors.ts";
import { LOG_LEVELS, type LogLevel, type Logger } from "../api/guest-log.ts";
import { DEFAULT_LIMITS, invalidOption } from "../api/limits.ts";
import type { Permissions } from "../api/permissions.ts";
import type { ServiceTable } from "../api/services.ts";
import type { Store } from "../api/store.ts";
import { attributeServices, requestServices } from "./attributes.ts";
import { cacheServices } from "./cache.ts";
import { CacheMemory } from "./cache-memory.ts";
import { clockServices } from "./clock.ts";
import { cryptoServices, resolveHashes } from "./crypto.ts";
import { databaseServices } from "./database.ts";
import { type Database, type DatabaseLimits, Databases } from "./databases.ts";
import { type ServiceHttp, httpServices } from "./http-function.ts";
import { kvServices } from "./kv.ts";
import { logServices } from "./log.ts";
import { Metrics } from "./metric-registry.ts";
import { metricServices } from "./metrics.ts";
import { configServices } from "./plugin-config.ts";
import { publishServices } from "./published.ts";
import { type PluginQuotas, resolveQuotas } from "./quotas.ts";
import { redactServices, redactionOf } from "./redaction.ts";
import { createMemoryStore } from "./store/memory-store.ts";

/** Options of {@link createServices}. */
export interface ServicesOptions {
  /** Keeps keys and values; closed by whoever made it. @default a store in memory, closed with the services */
  readonly store?: Store;
  /** Databases by the names that permissions use. @default none */
  readonly databases?: Readonly<Record<string, Database>>;
  readonly databaseLimits?: DatabaseLimits;
  /** Bytes of all caches together. @default 64 MiB */
  readonly cacheBytes?: number;
  /** Milliseconds that a cached value lives if the plugin states none. @default 300,000 */
  readonly cacheTtlMs?: number;
  /** Time of day in milliseconds since 1970. @default Date.now */
  readonly clock?: () => number;
  /** Monotonic clock in milliseconds, for tests. @default performance.now */
  readonly monotonicClock?: () => number;
  /** Source of random bytes, for tests. @default node:crypto */
  readonly random?: (length: number) => Uint8Array;
  /** Hash algorithms that plugins may use; `sha1` and `md5` have to be listed. @default sha256, sha384, sha512 */
  readonly hashAlgorithms?: readonly string[];
}

/** What a plugin gets its services by. */
export interface PluginServiceOptions {
  /** Name of the plugin: its keys, cache and metrics belong to it. */
  readonly plugin: string;
  /** What it may reach; absent is denied. @default nothing */
  readonly permissions?: Permissions;
  /** Its own configuration, text by text. @default empty */
  readonly config?: ReadonlyMap<string, string>;
  /** Values of the configuration that must not be printed, where they have 8 or more characters. @default none */
  readonly secrets?: readonly string[];
  /** Receives its log lines. @default none */
  readonly logger?: Logger | undefined;
  /** Least severe level that reaches the logger. @default "info" */
  readonly logLevel?: LogLevel;
  /** Bytes of log text for each call. @default 64 KiB */
  readonly logBytes?: number;
  /** Told of each log line that is dropped. @default none */
  readonly onDroppedLog?: () => void;
  /** HTTP as it is granted to the plugin. @default none */
  readonly http?: ServiceHttp | undefined;
  readonly quotas?: PluginQuotas;
}

/** Services of a host. */
export interface Services {
  readonly store: Store;
  readonly metrics: Metrics;
  /**
   * The functions of a plugin. Made again under the same name, for a new version of it, they find the same keys, cache and
   * metrics.
   *
   * @throws MortiseError MORTISE_INVALID_OPTION
   */
  forPlugin(options: PluginServiceOptions): ServiceTable;
  /** Drops cache and metrics of a plugin that is gone for good; its keys stay. */
  forget(plugin: string): void;
  /** Ends queries, and closes the store if it was made here. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const CACHE_BYTES = 64 << 20;
const CACHE_TTL_MS = 300_000;
const MAX_PLUGIN_NAME_BYTES = 256;

/**
 * Makes what the plugins of a host share.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function createServices(options: ServicesOptions = {}): Services {
  const {
    clock = Date.now,
    monotonicClock: now = (): number => performance.now(),
    cacheBytes = CACHE_BYTES,
    cacheTtlMs = CACHE_TTL_MS,
    random,
  } = options;
  for (const [name, value] of Object.entries({ cacheBytes, cacheTtlMs }))
    if (!(Number.isSafeInteger(value) && value > 0)) throw invalidOption(name, String(value), "a whole number, 1 or more");
  const algorithms = resolveHashes(options.hashAlgorithms);
  const databases = new Databases(options.databases, options.databaseLimits);
  const caches = new CacheMemory({ maxBytes: cacheBytes, defaultTtlMs: cacheTtlMs, now });
  const metrics = new Metrics();
  const ownStore = options.store === undefined;
  const store = options.store ?? createMemoryStore();
  const close = async (): Promise<void> => {
    databases.close();
    if (ownStore) await store.close();
  };

  return {
    store,
    metrics,
    forPlugin(given) {
      const { plugin, permissions = {}, config = new Map(), secrets = [], logLevel = "info", logBytes = DEFAULT_LIMITS.logBytes } = given;
      checkName(plugin);
      const level = LOG_LEVELS.indexOf(logLevel);
      if (level < 0) throw invalidOption("logLevel", printable(logLevel), `one of ${LOG_LEVELS.join(", ")}`);
      const quotas = resolveQuotas(given.quotas);
      const redaction = redactionOf(secrets);
      databases.warm(Object.keys(permissions.databases ?? {}));
      const table: ServiceTable = {
        ...kvServices({ store, plugin, access: permissions.kv, limits: quotas.kv }),
        ...cacheServices({ cache: caches.of(plugin, quotas.cacheBytes), access: permissions.cache }),
        ...httpServices(given.http),
        ...logServices({
          get logger() {
            return given.logger;
          },
          logLevel: level,
          logBytes,
          redact: redaction?.text,
          onDropped: given.onDroppedLog,
        }),
        ...metricServices({ metrics: metrics.of(plugin, quotas.metrics), granted: permissions.metrics === true, logger: given.logger }),
        ...clockServices({ now: clock, granted: permissions.clock === true }),
        ...cryptoServices({ granted: permissions.crypto === true, algorithms, random }),
        ...configServices(config),
        ...databaseServices({ databases, granted: permissions.databases }),
        ...attributeServices(permissions.attributes),
        ...requestServices(),
      };
      const safe = publishServices(redaction === undefined ? table : redactServices(table, redaction));
      // Without a prototype no name means anything by itself.
      return Object.freeze(Object.assign(Object.create(null) as Record<string, never>, safe));
    },
    forget(plugin) {
      caches.forget(plugin);
      metrics.forget(plugin);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function checkName(plugin: string): void {
  const found =
    typeof plugin !== "string"
      ? typeof plugin
      : plugin === ""
        ? "empty"
        : !plugin.isWellFormed()
          ? "no valid text"
          : Buffer.byteLength(plugin) > MAX_PLUGIN_NAME_BYTES
            ? "too long"
            : undefined;
  if (found !== undefined) throw invalidOption("plugin", found, `text of 1 to ${MAX_PLUGIN_NAME_BYTES} bytes`);
}
