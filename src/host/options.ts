// Options of loadPlugin: what a user gives, checked once and completed.

import { printable } from "../api/errors.ts";
import type { HttpService } from "../api/http.ts";
import { now } from "../wasm/meter.ts";
import { type Limits, type ResolvedLimits, invalidOption, resolveLimits } from "../api/limits.ts";
import { type AbiName, type HostFunctions, LOG_LEVELS, type LogLevel, type Logger } from "../abi/guest.ts";
import type { Permissions } from "../api/permissions.ts";
import type { PluginCallProvider, PluginQuotas, ServiceProvider } from "../api/services.ts";
import type { WasmAbi } from "../wasm/detect.ts";
import type { WasiOptions } from "../wasi/options.ts";
import type { Isolation } from "./plugin.ts";
import type { PoolOptions, ResolvedPool } from "./pool.ts";

export type { Permissions };

/** HTTP for guests, apart from where it may go. */
export interface HttpSettings {
  /** Lets guests see the headers of responses. @default true */
  readonly responseHeaders?: boolean;
  /** Performs the requests in place of what `permissions.hosts` and these settings would make; closed with the plugin. */
  readonly service?: HttpService;
  /** Carries the requests instead of node:http; then addresses cannot be checked. @default none */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Allows `http:` as well as `https:`. @default true */
  readonly allowHttp?: boolean;
  /** Bytes of a response's body. @default 50 MiB */
  readonly maxResponseBytes?: number;
  /** Bytes of a request's body. @default 16 MiB */
  readonly maxRequestBytes?: number;
  /** Bytes of the headers of a request, and of those of a response. @default 16 KiB */
  readonly maxHeaderBytes?: number;
  /** Redirects that are followed. @default 10 */
  readonly maxRedirects?: number;
  /** Requests at a time. @default 64 */
  readonly maxConcurrent?: number;
  /** Milliseconds for one request. @default 30,000 */
  readonly timeoutMs?: number;
  /** Certificates of authorities in PEM that are trusted instead of Node's own. @default Node's */
  readonly ca?: string | readonly string[];
}

/** A value of a plugin's configuration: what JSON can hold. */
export type ConfigValue = string | number | boolean | null | readonly ConfigValue[] | { readonly [key: string]: ConfigValue };

/** Options of {@link loadPlugin}; nothing is granted that is not named here. */
export interface PluginOptions {
  /** Name in errors, logs and statistics. @default the file's name without `.wasm` */
  readonly name?: string;
  /** Name of this version in what is published of it. @default what the plugin declares, else "1" */
  readonly version?: string;
  /** Interface that the plugin speaks. @default detected */
  readonly abi?: AbiName | undefined;
  /**
   * Files that may be loaded as native plugins, which run without a sandbox: ES modules and Node-API addons, each by path
   * and SHA-256.
   *
   * @default none
   */
  readonly native?: readonly { readonly path: string; readonly digest: string }[];
  /** What the plugin may use of time, fuel, memory and the rest. */
  readonly limits?: Limits;
  /**
   * Configuration that the plugin may read: text by text, and as one JSON object where the interface has it so. Values are
   * what JSON can hold; one that is no text is read as JSON text.
   *
   * @default empty
   */
  readonly config?: Readonly<Record<string, ConfigValue>>;
  /** Values of the configuration that are never printed, neither in logs nor in errors, if they have 8 characters. @default none */
  readonly secrets?: readonly string[];
  /** How much of the services the plugin may use. */
  readonly quotas?: PluginQuotas;
  /** SHA-256 that the module, or the native plugin, must have: 64 hexadecimal digits, `sha256:` in front or not. @default any */
  readonly digest?: string;
  /**
   * Services that the plugin may use as `permissions` say; `createServices` makes them for all plugins of a host.
   *
   * @default services of the plugin's own, kept in memory as long as it is loaded
   */
  readonly services?: ServiceProvider;
  /** Lets the plugin call other plugins, as `permissions.call` says; `createHost` gives it to all that it loads. @default none */
  readonly calls?: PluginCallProvider;
  /** Functions that the plugin may import, by module and name. @default none */
  readonly hostFunctions?: HostFunctions;
  /** Receives the plugin's log lines. @default none */
  readonly logger?: Logger;
  /** Least severe level that reaches the logger. @default "info" */
  readonly logLevel?: LogLevel;
  /** What the plugin may reach. @default nothing */
  readonly permissions?: Permissions;
  /** How HTTP requests are made; where they may go is up to `permissions.hosts`. */
  readonly http?: HttpSettings;
  /** Arguments, environment, streams and files in memory for WASI programs. @default none */
  readonly wasi?: WasiOptions;
  /** Where the plugin runs: in this thread, in a worker thread, or in a process of its own. @default "inline" */
  readonly isolation?: Isolation;
  /** The plugin keeps nothing between calls, so that several instances may serve it. @default false */
  readonly stateless?: boolean;
  /** How many instances there are, and when they are replaced. */
  readonly pool?: PoolOptions;
  /** Ends the loading. */
  readonly signal?: AbortSignal;
  /** Monotonic clock in milliseconds, for tests. @default performance.now */
  readonly clock?: () => number;
}

/** Options with every default filled in but the name, which comes from the source. */
export interface ResolvedOptions {
  readonly limits: ResolvedLimits;
  readonly abi: WasmAbi | undefined;
  readonly hostFunctions: HostFunctions;
  readonly logger: Logger | undefined;
  readonly logLevel: number;
  readonly isolation: Isolation;
  readonly pool: ResolvedPool;
  readonly clock: () => number;
}

const KNOWN: Record<keyof PluginOptions, true> = {
  name: true,
  version: true,
  abi: true,
  native: true,
  limits: true,
  config: true,
  secrets: true,
  quotas: true,
  digest: true,
  services: true,
  calls: true,
  hostFunctions: true,
  logger: true,
  logLevel: true,
  permissions: true,
  http: true,
  wasi: true,
  isolation: true,
  stateless: true,
  pool: true,
  signal: true,
  clock: true,
};

/**
 * Checks options and fills in defaults.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function resolveOptions(options: PluginOptions): ResolvedOptions {
  checkOptions(options);
  for (const key of Object.keys(options))
    if (!Object.hasOwn(KNOWN, key)) throw invalidOption(key, "unknown", `one of ${Object.keys(KNOWN).join(", ")}`);
  const { abi, config = {}, hostFunctions = {}, logger, logLevel = "info" } = options;
  if (abi !== undefined && !(WASM_ABIS as readonly unknown[]).includes(abi))
    throw invalidOption("abi", printable(abi), `one of ${WASM_ABIS.join(", ")}`);
  const level = LOG_LEVELS.indexOf(logLevel);
  if (level < 0) throw invalidOption("logLevel", logLevel, `one of ${LOG_LEVELS.join(", ")}`);
  for (const [key, value] of Object.entries(config)) checkJson(`config.${key}`, value, 0);
  for (const [module, functions] of Object.entries(hostFunctions)) {
    for (const [name, value] of Object.entries(functions)) {
      if (typeof value !== "function") throw invalidOption(`hostFunctions.${module}.${name}`, typeof value, "a function");
    }
  }
  return Object.freeze({
    limits: resolveLimits(options.limits),
    abi: abi as WasmAbi | undefined,
    hostFunctions,
    logger,
    logLevel: level,
    isolation: resolveIsolation(options.isolation),
    pool: resolvePool(options.pool, options.stateless),
    clock: options.clock ?? now,
  });
}

const WASM_ABIS: readonly WasmAbi[] = ["extism", "querymt", "bifrost", "helios"];
const MAX_CONFIG_DEPTH = 32;

/** Refuses what JSON cannot hold. */
function checkJson(option: string, value: unknown, depth: number): void {
  const wanted = "text, a finite number, true, false, null, or an array or plain object of those";
  if (depth > MAX_CONFIG_DEPTH) throw invalidOption(option, "nested too deeply", `${MAX_CONFIG_DEPTH} levels at most`);
  if (typeof value === "string" || typeof value === "boolean" || value === null || Number.isFinite(value)) return;
  if (Array.isArray(value)) for (const [index, item] of value.entries()) checkJson(`${option}[${index}]`, item, depth + 1);
  else if (isRecord(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    for (const [key, item] of Object.entries(value)) checkJson(`${option}.${key}`, item, depth + 1);
  } else throw invalidOption(option, kindOf(value), wanted);
}

const ISOLATIONS: readonly Isolation[] = ["inline", "thread", "process"];

function resolveIsolation(isolation: Isolation = "inline"): Isolation {
  if (!ISOLATIONS.includes(isolation)) throw invalidOption("isolation", printable(isolation), `one of ${ISOLATIONS.join(", ")}`);
  return isolation;
}

const POOL: Record<keyof PoolOptions, number> = {
  maxInstances: 8,
  recycleCalls: Number.POSITIVE_INFINITY,
  recycleBytes: Number.POSITIVE_INFINITY,
  idleMs: Number.POSITIVE_INFINITY,
};

function resolvePool(pool: PoolOptions = {}, stateless: boolean = false): ResolvedPool {
  if (!isRecord(pool)) throw invalidOption("pool", kindOf(pool), "an object");
  if (typeof stateless !== "boolean") throw invalidOption("stateless", typeof stateless, "true or false");
  const resolved = { ...POOL };
  for (const [name, value] of Object.entries(pool) as [keyof PoolOptions, number | undefined][]) {
    if (!Object.hasOwn(POOL, name)) throw invalidOption(`pool.${name}`, "unknown", `one of ${Object.keys(POOL).join(", ")}`);
    if (value === undefined) continue;
    const bounded = Number.isSafeInteger(value) || (value === Number.POSITIVE_INFINITY && name !== "maxInstances");
    if (!(typeof value === "number" && value >= 1 && bounded)) throw invalidOption(`pool.${name}`, String(value), "a whole number, 1 or more");
    resolved[name] = value;
  }
  if (!stateless) {
    if ((pool.maxInstances ?? 1) > 1) throw invalidOption("pool.maxInstances", String(pool.maxInstances), "1 unless the plugin is stateless");
    resolved.maxInstances = 1;
  }
  return Object.freeze(resolved);
}

const PERMISSIONS: Record<keyof Permissions, true> = {
  hosts: true,
  paths: true,
  kv: true,
  cache: true,
  metrics: true,
  clock: true,
  crypto: true,
  databases: true,
  call: true,
  attributes: true,
};

/** Refuses values of the wrong kind, which would fail later and elsewhere. */
export function checkOptions(options: PluginOptions): void {
  if (!isRecord(options)) throw invalidOption("options", kindOf(options), "an object");
  const { name, limits, config, hostFunctions, logger, clock } = options;
  if (name !== undefined && (typeof name !== "string" || name === "")) throw invalidOption("name", name === "" ? "empty" : kindOf(name), "text");
  if (limits !== undefined && !isRecord(limits)) throw invalidOption("limits", kindOf(limits), "an object");
  if (config !== undefined && !isRecord(config)) throw invalidOption("config", kindOf(config), "an object of strings");
  if (hostFunctions !== undefined && !isRecord(hostFunctions))
    throw invalidOption("hostFunctions", kindOf(hostFunctions), "functions by module and name");
  for (const [module, functions] of Object.entries(hostFunctions ?? {})) {
    if (!isRecord(functions)) throw invalidOption(`hostFunctions.${module}`, kindOf(functions), "functions by name");
  }
  for (const key of ["permissions", "http", "wasi"] as const) {
    if (options[key] !== undefined && !isRecord(options[key])) throw invalidOption(key, kindOf(options[key]), "an object");
  }
  if (options.services !== undefined && typeof (options.services as Partial<ServiceProvider> | null)?.forPlugin !== "function")
    throw invalidOption("services", kindOf(options.services), "what createServices gives");
  const { secrets, quotas, digest, version } = options;
  if (version !== undefined && (typeof version !== "string" || version === ""))
    throw invalidOption("version", version === "" ? "empty" : kindOf(version), "text");
  if (secrets !== undefined && !(Array.isArray(secrets) && secrets.every((secret) => typeof secret === "string")))
    throw invalidOption("secrets", kindOf(secrets), "a list of texts");
  if (quotas !== undefined && !isRecord(quotas)) throw invalidOption("quotas", kindOf(quotas), "an object");
  if (digest !== undefined && !(typeof digest === "string" && /^(sha256:)?[0-9a-f]{64}$/i.test(digest)))
    throw invalidOption("digest", printable(digest), "a SHA-256 of 64 hexadecimal digits");
  checkNative(options.native);
  checkPermissions(options.permissions ?? {});
  if (options.signal !== undefined && !(options.signal instanceof AbortSignal))
    throw invalidOption("signal", kindOf(options.signal), "an AbortSignal");
  if (clock !== undefined && typeof clock !== "function") throw invalidOption("clock", kindOf(clock), "a function");
  if (logger === undefined) return;
  if (typeof logger !== "object" || logger === null)
    throw invalidOption("logger", kindOf(logger), "an object with the methods trace, debug, info, warn and error");
  const methods: Partial<Logger> = logger;
  for (const level of LOG_LEVELS)
    if (typeof methods[level] !== "function") throw invalidOption(`logger.${level}`, kindOf(methods[level]), "a method");
}

function checkNative(native: unknown): void {
  if (native === undefined) return;
  const fits = (grant: unknown): boolean =>
    isRecord(grant) && "path" in grant && typeof grant.path === "string" && "digest" in grant && typeof grant.digest === "string";
  if (!Array.isArray(native) || !native.every(fits)) throw invalidOption("native", kindOf(native), "a list of { path, digest }");
}

const ACCESS: ReadonlySet<unknown> = new Set(["read", "read-write"]);
/** A plugin and, after the last colon, one of its functions or all of them. */
const CALL_GRANT = /^.+:[^:]+$/s;

function checkPermissions(permissions: Permissions): void {
  for (const key of Object.keys(permissions))
    if (!Object.hasOwn(PERMISSIONS, key)) throw invalidOption(`permissions.${key}`, "unknown", `one of ${Object.keys(PERMISSIONS).join(", ")}`);
  const { databases, attributes, call } = permissions;
  for (const key of ["kv", "cache"] as const) checkAccess(`permissions.${key}`, permissions[key]);
  for (const key of ["metrics", "clock", "crypto"] as const) {
    const value: unknown = permissions[key];
    if (value !== undefined && typeof value !== "boolean") throw invalidOption(`permissions.${key}`, printable(value), "true or false");
  }
  for (const [key, value] of [
    ["databases", databases],
    ["attributes", attributes],
  ] as const) {
    if (value !== undefined && !isRecord(value)) throw invalidOption(`permissions.${key}`, kindOf(value), "an object");
  }
  if (call !== undefined && !(Array.isArray(call) && call.every((entry) => typeof entry === "string" && CALL_GRANT.test(entry))))
    throw invalidOption("permissions.call", kindOf(call), `a list of "plugin:function" or "plugin:*"`);
  for (const [name, access] of Object.entries(databases ?? {})) checkAccess(`permissions.databases.${name}`, access);
  for (const [name, patterns] of Object.entries(attributes ?? {})) {
    const option = `permissions.attributes.${name}`;
    if (name !== "read" && name !== "write") throw invalidOption(option, "unknown", "one of read, write");
    const fits = Array.isArray(patterns) && patterns.every((pattern) => typeof pattern === "string");
    if (patterns !== undefined && !fits) throw invalidOption(option, kindOf(patterns), "a list of names");
  }
}

function checkAccess(option: string, access: unknown): void {
  if (access !== undefined && !ACCESS.has(access)) throw invalidOption(option, printable(access), `"read" or "read-write"`);
}

function isRecord(value: unknown): value is object {
  // A Map would look like an object without entries.
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return value instanceof Map ? "a Map" : typeof value;
}
