// Counters, gauges and histograms: metric_add, metric_set, metric_observe.

import { MortiseError } from "../api/errors.ts";
import { type Logger, writeLine } from "../api/guest-log.ts";
import { permissionDenied } from "../api/permissions.ts";
import type { ServiceFunction, ServiceTable } from "../api/services.ts";
import { immediate } from "./define-service.ts";
import type { PluginMetrics } from "./metric-registry.ts";
import type { MetricKind } from "./metric-series.ts";
import { argumentsOf } from "./service-arguments.ts";

/** What the metric services of one plugin work with. */
export interface MetricScope {
  readonly metrics: PluginMetrics;
  readonly granted: boolean;
  /** Is told once for each bound that the plugin passes. */
  readonly logger: Logger | undefined;
}

/**
 * The functions `metric_*`. A sample beyond the bounds is dropped, and does not stop the call: label values often come from
 * requests, and nobody shall be able to switch a plugin off by inventing some.
 */
export function metricServices(scope: MetricScope): ServiceTable {
  return {
    metric_add: sampler(scope, "metric_add", "counter"),
    metric_set: sampler(scope, "metric_set", "gauge"),
    metric_observe: sampler(scope, "metric_observe", "histogram"),
  };
}

/** Bytes of names and labels that are looked at. */
const MAX_NAME_BYTES = 1024;
const MAX_LABELS_BYTES = 64 << 10;

function sampler({ metrics, granted, logger }: MetricScope, service: string, kind: MetricKind): ServiceFunction {
  const checks = argumentsOf(service);
  return immediate(["text", "text", "f64"], "none", (call, name, labels, value) => {
    if (!granted) throw permissionDenied(call.plugin, call.function, service, "metrics", "true");
    const stated = checks.text(call, "name", name, MAX_NAME_BYTES);
    const json = checks.text(call, "labels", labels, MAX_LABELS_BYTES);
    const problem = metrics.sample(kind, stated, json, checks.finite(call, "value", value));
    if (problem?.kind === "argument") throw checks.wrong(call, problem.argument, problem.reason);
    if (problem?.first === true && logger !== undefined) {
      const { plugin } = call;
      const notice = new MortiseError("MORTISE_METRIC_LIMIT", { plugin, name: stated, what: problem.what, limit: problem.limit });
      writeLine(logger, "warn", `${notice.code}: ${notice.message}`);
    }
    return undefined;
  });
}
