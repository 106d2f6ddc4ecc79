// How much of the services a plugin may use.

import { invalidOption } from "../api/limits.ts";
import type { PluginQuotas } from "../api/services.ts";
import { KV_LIMITS, type KvLimits } from "./kv.ts";
import { METRIC_LIMITS, type MetricLimits } from "./metric-registry.ts";

export type { PluginQuotas };

/** Quotas with every default filled in, by service. */
export interface ResolvedQuotas {
  readonly kv: KvLimits;
  readonly cacheBytes: number;
  readonly metrics: MetricLimits;
}

const DEFAULTS: Required<PluginQuotas> = {
  kvKeys: KV_LIMITS.maxKeys,
  kvBytes: KV_LIMITS.maxBytes,
  kvValueBytes: KV_LIMITS.maxValueBytes,
  kvKeyBytes: KV_LIMITS.maxKeyBytes,
  cacheBytes: 4 << 20,
  metrics: METRIC_LIMITS.maxNames,
  metricSeries: METRIC_LIMITS.maxSeries,
};

/** Fills in defaults. @throws MortiseError MORTISE_INVALID_OPTION */
export function resolveQuotas(quotas: PluginQuotas = {}): ResolvedQuotas {
  const resolved = { ...DEFAULTS };
  for (const [name, value] of Object.entries(quotas) as [keyof PluginQuotas, number | undefined][]) {
    if (!Object.hasOwn(DEFAULTS, name)) throw invalidOption(`quotas.${name}`, "unknown", `one of ${Object.keys(DEFAULTS).join(", ")}`);
    if (value === undefined) continue;
    if (!(Number.isSafeInteger(value) && value >= 0)) throw invalidOption(`quotas.${name}`, String(value), "a whole number, not negative");
    resolved[name] = value;
  }
  const { kvKeys, kvBytes, kvValueBytes, kvKeyBytes, cacheBytes, metrics, metricSeries } = resolved;
  return Object.freeze({
    kv: { maxKeys: kvKeys, maxBytes: kvBytes, maxValueBytes: kvValueBytes, maxKeyBytes: kvKeyBytes },
    cacheBytes,
    metrics: { ...METRIC_LIMITS, maxNames: metrics, maxSeries: metricSeries },
  });
}
