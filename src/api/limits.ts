// The limits of a plugin, as the user gives them and as the host uses them.

import { MortiseError } from "./errors.ts";

/** Limits of a plugin; each is enforced, and each has an error code of its own. */
export interface Limits {
  /** Milliseconds that a call may take, host functions included. @default 1000 */
  readonly timeoutMs?: number;
  /** Milliseconds that start function and initialisers of a new instance may take. @default timeoutMs */
  readonly initTimeoutMs?: number;
  /** Milliseconds that `call` may hold the thread at once; then other work gets its turn. @default 4 */
  readonly sliceMs?: number;
  /** Part of the time, more than 0 and up to 1, that a long call may hold the thread. @default 1 */
  readonly cpuShare?: number;
  /** Cost units that a call may use; about one for each instruction. @default unlimited */
  readonly fuel?: number | undefined;
  /** Bytes of all memories together: the plugin's own and the one that holds input, output and blocks. @default 64 MiB */
  readonly memoryBytes?: number;
  /** Entries of all tables together. @default 1,000,000 */
  readonly tableEntries?: number;
  /** Bytes of one output. @default 16 MiB */
  readonly outputBytes?: number;
  /** Bytes of all variables together, each counted with its name and 48 bytes; 0 forbids them. @default 1 MiB */
  readonly varBytes?: number;
  /** Bytes of log text for each call; what is more is dropped, with one notice. @default 64 KiB */
  readonly logBytes?: number;
  /** Bytes of the module. @default 128 MiB */
  readonly moduleBytes?: number;
  /** Bytes of one function body. @default 1 MiB */
  readonly functionBytes?: number;
  /** Live values (locals and operands) at each branch and merge of one function, added up: what compiling it costs. @default 2 million */
  readonly functionComplexity?: number;
  /** Memories and tables that a module may have. @default 8 and 64 */
  readonly memories?: number;
  readonly tables?: number;
}

/** Limits with every default filled in. */
export interface ResolvedLimits {
  readonly timeoutMs: number;
  readonly initTimeoutMs: number;
  readonly sliceMs: number;
  readonly cpuShare: number;
  readonly fuel: number;
  readonly memoryBytes: number;
  readonly tableEntries: number;
  readonly outputBytes: number;
  readonly varBytes: number;
  readonly logBytes: number;
  readonly moduleBytes: number;
  readonly functionBytes: number;
  readonly functionComplexity: number;
  readonly memories: number;
  readonly tables: number;
}

export const DEFAULT_LIMITS: ResolvedLimits = {
  timeoutMs: 1000,
  initTimeoutMs: 1000,
  sliceMs: 4,
  cpuShare: 1,
  fuel: Number.POSITIVE_INFINITY,
  memoryBytes: 64 << 20,
  tableEntries: 1_000_000,
  outputBytes: 16 << 20,
  varBytes: 1 << 20,
  logBytes: 64 << 10,
  moduleBytes: 128 << 20,
  functionBytes: 1 << 20,
  functionComplexity: 2_000_000,
  memories: 8,
  tables: 64,
};

/** Fills in defaults and refuses what is not a number of the right kind. */
export function resolveLimits(limits: Limits = {}): ResolvedLimits {
  const resolved: Record<string, number> = { ...DEFAULT_LIMITS };
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) throw invalidOption(`limits.${name}`, "unknown", `one of ${Object.keys(DEFAULT_LIMITS).join(", ")}`);
    if (value === undefined) continue;
    if (name === "cpuShare") {
      if (!(typeof value === "number" && value > 0 && value <= 1))
        throw invalidOption("limits.cpuShare", String(value), "more than 0, and 1 at most");
      resolved[name] = value;
      continue;
    }
    const whole = typeof value === "number" && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY);
    const milliseconds = name.endsWith("Ms") && typeof value === "number" && value > 0;
    if (!(whole && value >= 0) && !milliseconds) throw invalidOption(`limits.${name}`, String(value), "a whole number, not negative");
    if (name.endsWith("Ms") && value <= 0) throw invalidOption(`limits.${name}`, String(value), "more than 0 milliseconds");
    resolved[name] = value;
  }
  if (limits.timeoutMs !== undefined && limits.initTimeoutMs === undefined) resolved["initTimeoutMs"] = limits.timeoutMs;
  return Object.freeze(resolved) as unknown as ResolvedLimits;
}

/** The error for a bad option. */
export function invalidOption(option: string, found: string, wanted: string): MortiseError {
  return new MortiseError("MORTISE_INVALID_OPTION", { option, found, wanted });
}
