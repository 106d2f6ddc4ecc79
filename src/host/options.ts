// Options of loadPlugin: what a user gives, checked once and completed.

import { type Limits, type ResolvedLimits, invalidOption, resolveLimits } from "../api/limits.ts";
import { type AbiName, type HostFunctions, LOG_LEVELS, type LogLevel, type Logger } from "../abi/guest.ts";

/** Options of {@link loadPlugin}; nothing is granted that is not named here. */
export interface PluginOptions {
  /** Name in errors, logs and statistics. @default the file's name without `.wasm` */
  readonly name?: string;
  /** Interface that the plugin speaks. @default detected */
  readonly abi?: AbiName;
  /** What the plugin may use of time, fuel, memory and the rest. */
  readonly limits?: Limits;
  /** Configuration that the plugin may read, text by text. @default empty */
  readonly config?: Readonly<Record<string, string>>;
  /** Functions that the plugin may import, by module and name. @default none */
  readonly hostFunctions?: HostFunctions;
  /** Receives the plugin's log lines. @default none */
  readonly logger?: Logger;
  /** Least severe level that reaches the logger. @default "info" */
  readonly logLevel?: LogLevel;
  /** Monotonic clock in milliseconds, for tests. @default performance.now */
  readonly clock?: () => number;
}

/** Options with every default filled in but the name, which comes from the source. */
export interface ResolvedOptions {
  readonly limits: ResolvedLimits;
  readonly config: ReadonlyMap<string, string>;
  readonly hostFunctions: HostFunctions;
  readonly logger: Logger | undefined;
  readonly logLevel: number;
  readonly clock: () => number;
}

const KNOWN: Record<keyof PluginOptions, true> = {
  name: true,
  abi: true,
  limits: true,
  config: true,
  hostFunctions: true,
  logger: true,
  logLevel: true,
  clock: true,
};

/**
 * Checks options and fills in defaults.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function resolveOptions(options: PluginOptions): ResolvedOptions {
  checkKinds(options);
  for (const key of Object.keys(options))
    if (!Object.hasOwn(KNOWN, key)) throw invalidOption(key, "unknown", `one of ${Object.keys(KNOWN).join(", ")}`);
  const { abi, config = {}, hostFunctions = {}, logger, logLevel = "info" } = options;
  if (abi !== undefined && abi !== "extism") throw invalidOption("abi", String(abi), `"extism"`);
  const level = LOG_LEVELS.indexOf(logLevel);
  if (level < 0) throw invalidOption("logLevel", logLevel, `one of ${LOG_LEVELS.join(", ")}`);
  for (const [key, value] of Object.entries(config)) {
    if (typeof value !== "string") throw invalidOption(`config.${key}`, typeof value, "a string");
  }
  for (const [module, functions] of Object.entries(hostFunctions)) {
    for (const [name, value] of Object.entries(functions)) {
      if (typeof value !== "function") throw invalidOption(`hostFunctions.${module}.${name}`, typeof value, "a function");
    }
  }
  return Object.freeze({
    limits: resolveLimits(options.limits),
    config: new Map(Object.entries(config)),
    hostFunctions,
    logger,
    logLevel: level,
    clock: options.clock ?? (() => performance.now()),
  });
}

/** Refuses values of the wrong kind, which would fail later and elsewhere. */
function checkKinds(options: PluginOptions): void {
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
  if (clock !== undefined && typeof clock !== "function") throw invalidOption("clock", kindOf(clock), "a function");
  if (logger === undefined) return;
  if (typeof logger !== "object" || logger === null)
    throw invalidOption("logger", kindOf(logger), "an object with the methods trace, debug, info, warn and error");
  const methods: Partial<Logger> = logger;
  for (const level of LOG_LEVELS)
    if (typeof methods[level] !== "function") throw invalidOption(`logger.${level}`, kindOf(methods[level]), "a method");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  // A Map would look like an object without entries.
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return value instanceof Map ? "a Map" : typeof value;
}
