// The numbers of a configuration: how each is written, in which unit, and what it is called where it is used.

import { DEFAULT_LIMITS, type Limits } from "../api/limits.ts";
import type { HttpSettings } from "../host/options.ts";
import type { DatabaseLimits } from "../services/databases.ts";
import type { PluginQuotas } from "../services/quotas.ts";
import type { MemoryStoreOptions } from "../services/store/memory-store.ts";
import type { RedisStoreOptions } from "../services/store/redis-store.ts";
import type { SqliteStoreOptions } from "../services/store/sqlite-store.ts";
import type { PoolOptions, WasiOptions } from "./config.ts";

const KIB = 1024;
const MIB = 1024 * 1024;

/** One number. */
export interface NumberKey {
  /** Name in a configuration, unit included. */
  readonly key: string;
  /** What one unit is where the number is used: bytes of a KiB or MiB, else 1. */
  readonly scale: number;
  /** Least value, in the unit of the key. */
  readonly least: number;
  /** Largest value, in the unit of the key. */
  readonly most: number;
  /** Only whole numbers. */
  readonly whole: boolean;
  /** What holds where nothing is said, in the unit of the key; Infinity is unlimited. */
  readonly standard: number | undefined;
  /** The text "unlimited" may stand for it. */
  readonly unlimited: boolean;
  readonly description: string;
}

/** Numbers by the names that they have where they are used. */
export type NumberKeys<Name extends string> = Readonly<Record<Name, NumberKey>>;

/** Bounds and default of a number. */
export type Shape = Partial<Pick<NumberKey, "least" | "most" | "unlimited" | "standard">>;

const BOUNDS = { least: 0, most: Number.MAX_SAFE_INTEGER, unlimited: false, standard: undefined } as const;
/** A whole number. */
export const whole = (key: string, description: string, shape: Shape = {}): NumberKey => ({
  ...BOUNDS,
  whole: true,
  scale: 1,
  key,
  description,
  ...shape,
});
/** Milliseconds. */
export const ms = (key: string, description: string, shape: Shape = {}): NumberKey => ({
  ...BOUNDS,
  whole: false,
  scale: 1,
  key,
  description,
  ...shape,
});
/** KiB, which are bytes where they are used. */
export const kib = (key: string, description: string, shape: Shape = {}): NumberKey => ({
  ...BOUNDS,
  whole: false,
  scale: KIB,
  most: Math.floor(Number.MAX_SAFE_INTEGER / KIB),
  key,
  description,
  ...shape,
});
/** MiB, which are bytes where they are used. */
export const mib = (key: string, description: string, shape: Shape = {}): NumberKey => ({
  ...BOUNDS,
  whole: false,
  scale: MIB,
  most: Math.floor(Number.MAX_SAFE_INTEGER / MIB),
  key,
  description,
  ...shape,
});

/** A limit that can be turned off, with the default that the host has. */
const limit = (name: keyof typeof DEFAULT_LIMITS, key: NumberKey, standard: number | undefined = DEFAULT_LIMITS[name] / key.scale): NumberKey => ({
  ...key,
  // A tenth of a microsecond is no less than no time, and is a time.
  least: name.endsWith("Ms") ? 1e-4 : key.least,
  unlimited: true,
  standard,
});

/** `[plugins.limits]`: every limit that there is. */
export const LIMIT_KEYS: NumberKeys<keyof Limits> = {
  timeoutMs: limit("timeoutMs", ms("timeout_ms", "Milliseconds that a call may take, host functions included.")),
  initTimeoutMs: {
    ...limit(
      "initTimeoutMs",
      ms("init_timeout_ms", "Milliseconds that the initialisation of an instance may take; timeout_ms if only that is given."),
    ),
  },
  sliceMs: limit("sliceMs", ms("slice_ms", "Milliseconds that a call may hold the thread at once; then other work gets its turn.")),
  cpuShare: {
    ...BOUNDS,
    key: "cpu_share",
    scale: 1,
    least: 1e-6,
    most: 1,
    whole: false,
    standard: DEFAULT_LIMITS.cpuShare,
    description: "Part of the time that a long call may hold the thread.",
  },
  fuel: limit("fuel", whole("fuel", "Cost units that a call may use; about one for each instruction.")),
  memoryBytes: limit("memoryBytes", mib("memory_mb", "MiB of all memories of an instance together.")),
  tableEntries: limit("tableEntries", whole("table_entries", "Entries of all tables of an instance together.")),
  outputBytes: limit("outputBytes", kib("output_kb", "KiB of one output.")),
  varBytes: limit("varBytes", kib("var_kb", "KiB of all variables of the plugin together; 0 forbids them.")),
  logBytes: limit("logBytes", kib("log_kb", "KiB of log text for each call; what is more is dropped, with one notice.")),
  moduleBytes: limit("moduleBytes", mib("module_mb", "MiB of the module.")),
  functionBytes: limit("functionBytes", kib("function_kb", "KiB of one function body; matters with isolation inline.")),
  functionComplexity: limit(
    "functionComplexity",
    whole("function_complexity", "Live values at branches of one function, added up: what compiling it costs."),
  ),
  memories: limit("memories", whole("memories", "Memories that a module may have.")),
  tables: limit("tables", whole("tables", "Tables that a module may have.")),
};

/** Numbers of `[plugins.breaker]`. */
export const BREAKER_KEYS: NumberKeys<"failures" | "windowMs" | "share" | "openMs" | "probes"> = {
  failures: whole("failures", "Failures within the window that open it.", { least: 1, most: 10_000, standard: 10 }),
  windowMs: whole("window_ms", "Milliseconds of the window.", { least: 1, standard: 10_000 }),
  share: {
    ...BOUNDS,
    key: "share",
    scale: 1,
    most: 1,
    whole: false,
    standard: 0.5,
    description: "Part of the calls since the first of these failures that must have failed.",
  },
  openMs: whole("open_ms", "Milliseconds that it stays open.", { least: 1, standard: 5000 }),
  probes: whole("probes", "Calls that must go well, one at a time, for it to close again.", { least: 1, most: 10_000, standard: 3 }),
};

/** `[plugins.pool]`. */
export const POOL_KEYS: NumberKeys<keyof PoolOptions> = {
  maxInstances: whole("max_instances", "Instances at most; a plugin that is not stateless has one.", { least: 1, standard: 8 }),
  recycleCalls: whole("recycle_calls", "Replace an instance after so many calls.", { least: 1, unlimited: true, standard: Number.POSITIVE_INFINITY }),
  recycleBytes: mib("recycle_mb", "Replace an instance whose memories have grown to so many MiB.", {
    least: 1 / 64,
    unlimited: true,
    standard: Number.POSITIVE_INFINITY,
  }),
  idleMs: whole("idle_ms", "Free instances that were not called for so many milliseconds.", {
    least: 1,
    unlimited: true,
    standard: Number.POSITIVE_INFINITY,
  }),
};

/** Names of the members that are numbers. */
export type NumberNames<T> = { [K in keyof T]-?: T[K] extends number | undefined ? K : never }[keyof T] & string;

/** Numbers of `[plugins.http]`. */
export const HTTP_KEYS: NumberKeys<NumberNames<HttpSettings>> = {
  maxResponseBytes: kib("max_response_kb", "KiB of a response's body.", { standard: 50 * KIB, most: 2 * MIB }),
  maxRequestBytes: kib("max_request_kb", "KiB of a request's body.", { standard: 16 * KIB, most: 2 * MIB }),
  maxHeaderBytes: kib("max_header_kb", "KiB of the headers of a request, and of those of a response.", { standard: 16, least: 0.25, most: 128 }),
  maxRedirects: whole("max_redirects", "Redirects that are followed; with 0 the plugin gets the redirect itself.", { standard: 10, most: 100 }),
  maxConcurrent: whole("max_concurrent", "Requests at a time; others wait for their turn.", { standard: 64, least: 1, most: 10_000 }),
  timeoutMs: whole("timeout_ms", "Milliseconds from a request to the last byte of its response.", { standard: 30_000, least: 1, most: 2 ** 31 - 1 }),
};

/** Numbers of `[plugins.wasi]`. */
export const WASI_KEYS: NumberKeys<NumberNames<WasiOptions>> = {
  outputBytes: kib("output_kb", "KiB that one call may write to standard output and standard error.", { standard: KIB }),
  fileBytes: kib("file_kb", "KiB that the plugin may add to the files in memory.", { standard: 16 * KIB }),
  descriptors: whole("descriptors", "Files and folders that may be open at once, besides those that are granted.", { standard: 64, most: 4096 }),
};

/** `[plugins.quotas]`. */
export const QUOTA_KEYS: NumberKeys<keyof PluginQuotas> = {
  kvKeys: whole("kv_keys", "Keys that the plugin may keep.", { standard: 1024 }),
  kvBytes: kib("kv_kb", "KiB of all kept keys and values together.", { standard: 4 * KIB }),
  kvKeyBytes: whole("kv_key_bytes", "Bytes of one key.", { standard: 512 }),
  kvValueBytes: kib("kv_value_kb", "KiB of one kept value.", { standard: 64 }),
  cacheBytes: kib("cache_kb", "KiB of what the plugin has cached.", { standard: 4 * KIB }),
  metrics: whole("metrics", "Names of metrics.", { standard: 64 }),
  metricSeries: whole("metric_series", "Label sets of one metric.", { standard: 100 }),
};

/** Numbers of `[services]` about databases. */
export const DATABASE_KEYS: NumberKeys<keyof DatabaseLimits> = {
  timeoutMs: ms("database_timeout_ms", "Milliseconds for one query.", { standard: 1000, least: 1 }),
  maxRows: whole("database_rows", "Rows of a result.", { standard: 1000, least: 1 }),
  maxResultBytes: kib("database_result_kb", "KiB of a result, as JSON.", { standard: KIB, least: 1 }),
  maxProcesses: whole("database_processes", "Processes that run SQLite.", { standard: 2, least: 1 }),
};

/** Other numbers of `[services]`. */
export const SERVICE_KEYS: NumberKeys<"cacheBytes" | "cacheTtlMs"> = {
  cacheBytes: mib("cache_mb", "MiB of all caches together.", { standard: 64 }),
  cacheTtlMs: whole("cache_ttl_ms", "Milliseconds that a cached value lives if the plugin states none.", { standard: 300_000, least: 1 }),
};

/** Numbers of `[store]`, by its kind. */
export const MEMORY_KEYS: NumberKeys<NumberNames<MemoryStoreOptions>> = {
  maxBytes: mib("max_mb", "MiB of all keys and values together.", { standard: 64 }),
};
export const SQLITE_KEYS: NumberKeys<NumberNames<SqliteStoreOptions>> = {
  busyTimeoutMs: ms("busy_timeout_ms", "Milliseconds that an operation waits for other processes, during which it holds the thread.", {
    standard: 1000,
  }),
};
export const REDIS_KEYS: NumberKeys<NumberNames<RedisStoreOptions>> = {
  timeoutMs: ms("timeout_ms", "Milliseconds that an operation may take.", { standard: 1000, least: 1 }),
  connectTimeoutMs: ms("connect_timeout_ms", "Milliseconds that connecting may take.", { standard: 5000, least: 1 }),
  maxPending: whole("max_pending", "Commands that may wait for an answer at a time; more fail at once.", { standard: 4096, least: 1 }),
};

/** Numbers of tables that have only one. */
export const FOLDER_BYTES: NumberKey = mib("max_mb", "MiB that the plugin may add; a file or folder counts 4 KiB besides its content.", {
  standard: 64,
});
export const DATABASE_BYTES: NumberKey = mib("max_file_mb", "MiB up to which plugins may make the file grow.", { standard: 1024 });
export const HOOK_TIMEOUT_MS: NumberKey = ms("timeout_ms", "Milliseconds for each plugin in this hook.", { least: 1 });

/** A number of a configuration in the unit of its use: whole bytes, milliseconds, or what it is. */
export function scaled({ scale }: NumberKey, value: number | "unlimited"): number {
  if (value === "unlimited") return Number.POSITIVE_INFINITY;
  return scale === 1 ? value : Math.floor(value * scale);
}

/** Numbers of a table of a configuration, by the names of their use. */
export function numbersOf<Name extends string>(keys: NumberKeys<Name>, table: Readonly<Record<string, unknown>> = {}): Partial<Record<Name, number>> {
  const numbers: Partial<Record<Name, number>> = {};
  for (const name of Object.keys(keys) as Name[]) {
    const value = table[keys[name].key];
    if (value !== undefined) numbers[name] = scaled(keys[name], value as number | "unlimited");
  }
  return numbers;
}
