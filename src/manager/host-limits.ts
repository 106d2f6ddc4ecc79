// What all plugins of a host may have together, as the user gives it and as the host uses it.

import { invalidOption } from "../api/limits.ts";

/** What all plugins of a host may have together. */
export interface HostLimits {
  /** Plugins, by name. @default unlimited */
  readonly plugins?: number;
  /** Instances of all plugins and their versions. @default unlimited */
  readonly instances?: number;
  /** Bytes of the memories of all instances. What is idle is freed to keep within; a call that runs may pass it within its own limit. @default unlimited */
  readonly memoryBytes?: number;
  /** Part of the thread's time, more than 0 and up to 1, that each plugin may have. @default 1 */
  readonly cpuShare?: number;
  /** Earlier versions of a plugin that stay loaded for a rollback, without instances. @default 1 */
  readonly versions?: number;
}

/** Limits with every default filled in. */
export type ResolvedHostLimits = Required<HostLimits>;

const INFINITY = Number.POSITIVE_INFINITY;
const DEFAULTS: ResolvedHostLimits = { plugins: INFINITY, instances: INFINITY, memoryBytes: INFINITY, cpuShare: 1, versions: 1 };

/** Fills in defaults. @throws MortiseError MORTISE_INVALID_OPTION */
export function resolveHostLimits(limits: HostLimits = {}): ResolvedHostLimits {
  if (typeof limits !== "object" || limits === null) throw invalidOption("limits", String(limits), "an object");
  const resolved: Record<string, number> = { ...DEFAULTS };
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(DEFAULTS, name)) throw invalidOption(`limits.${name}`, "unknown", `one of ${Object.keys(DEFAULTS).join(", ")}`);
    if (value === undefined) continue;
    if (name === "cpuShare" && !(typeof value === "number" && value > 0 && value <= 1))
      throw invalidOption("limits.cpuShare", String(value), "more than 0, and 1 at most");
    const isWhole = Number.isSafeInteger(value) || value === INFINITY;
    if (name !== "cpuShare" && !(isWhole && value >= 0)) throw invalidOption(`limits.${name}`, String(value), "a whole number, not negative");
    resolved[name] = value;
  }
  return Object.freeze(resolved) as unknown as ResolvedHostLimits;
}
