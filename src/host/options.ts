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

/** Options with every default filled in. */
export interface ResolvedOptions {
  readonly name: string;
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
export function resolveOptions(options: PluginOptions, defaultName: string): ResolvedOptions {
  for (const key of Object.keys(options))
    if (!Object.hasOwn(KNOWN, key)) throw invalidOption(key, "unknown", `one of ${Object.keys(KNOWN).join(", ")}`);
  const { abi, config = {}, hostFunctions = {}, logger, logLevel = "info" } = options;
  if (abi !== undefined && abi !== "extism") throw invalidOption("abi", String(abi), `"extism"`);
  const level = LOG_LEVELS.indexOf(logLevel);
  if (level < 0) throw invalidOption("logLevel", String(logLevel), `one of ${LOG_LEVELS.join(", ")}`);
  for (const [key, value] of Object.entries(config)) {
    if (typeof value !== "string") throw invalidOption(`config.${key}`, typeof value, "a string");
  }
  for (const [module, functions] of Object.entries(hostFunctions)) {
    for (const [name, value] of Object.entries(functions)) {
      if (typeof value !== "function") throw invalidOption(`hostFunctions.${module}.${name}`, typeof value, "a function");
    }
  }
  return Object.freeze({
    name: options.name ?? defaultName,
    limits: resolveLimits(options.limits),
    config: new Map(Object.entries(config)),
    hostFunctions,
    logger,
    logLevel: level,
    clock: options.clock ?? (() => performance.now()),
  });
}
