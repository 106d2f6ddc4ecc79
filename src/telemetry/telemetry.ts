// Counts what plugins do, and keeps what they log.

import { CHANNELS } from "../api/channels.ts";
import { invalidOption } from "../api/limits.ts";
import { LogBook, type LogLine } from "./log-book.ts";
import { writeExposition } from "./prometheus.ts";
import { Recorder } from "./recorder.ts";
import { type InstanceSnapshot, type LoadedPlugin, type PluginSnapshot, instancesOf, snapshotOf } from "./snapshot.ts";
import { subscribeAll } from "./subscriptions.ts";

/** Options of {@link createTelemetry}. */
export interface TelemetryOptions {
  /** Plugins whose instances, memory and queues are reported, looked at when somebody asks. @default none */
  readonly plugins?: () => Iterable<LoadedPlugin>;
  /** Metrics that plugins keep themselves, to be exported too; `services.metrics` is one. @default none */
  readonly pluginMetrics?: { prometheus(): string };
  /** Plugins that are told apart. @default 256 */
  readonly maxPlugins?: number;
  /** Versions of one plugin that are told apart; the others are counted together. @default 8 */
  readonly maxVersions?: number;
  /** Hooks of one version that are told apart. @default 64 */
  readonly maxHooks?: number;
  /** Hosts of one plugin's HTTP requests that are told apart. @default 64 */
  readonly maxHosts?: number;
  /** Sets of plugin, version and hook that are told apart in all. @default 1000 */
  readonly maxSeries?: number;
  /** Log lines that are kept of one plugin. @default 1000 */
  readonly logLines?: number;
  /** Bytes of the lines of one plugin, counted as two for each character and 64 for each line. @default 256 KiB */
  readonly logBytes?: number;
  /** Bytes of all lines. @default 16 MiB */
  readonly allLogBytes?: number;
  /** Time of day in milliseconds since 1970, for tests. @default Date.now */
  readonly clock?: () => number;
}

/** What was counted and kept. */
export interface Telemetry {
  /** Counts and quantiles as plain data. */
  snapshot(): { readonly plugins: readonly PluginSnapshot[]; readonly instances: readonly InstanceSnapshot[] };
  /** Everything in Prometheus's text format, version 0.0.4. */
  prometheus(): string;
  /** The last log lines of a plugin, the oldest first. */
  logs(plugin: string, options?: { readonly last?: number }): LogLine[];
  /** Counts no more; what was counted stays. */
  close(): void;
  [Symbol.dispose](): void;
}

const NUMBERS = {
  maxPlugins: 256,
  maxVersions: 8,
  maxHooks: 64,
  maxHosts: 64,
  maxSeries: 1000,
  logLines: 1000,
  logBytes: 256 << 10,
  allLogBytes: 16 << 20,
} as const;

/**
 * Begins to count what all plugins of this process do, within bounds. Plugins without a logger log for it from now on; those
 * in threads and processes only if they are loaded afterwards.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function createTelemetry(options: TelemetryOptions = {}): Telemetry {
  const limits = resolveLimits(options);
  const { plugins: loaded, pluginMetrics, clock = Date.now } = options;
  const recorder = new Recorder(limits);
  const book = new LogBook(limits, clock);
  const unsubscribe = subscribeAll({
    [CHANNELS.call]: (event) => recorder.call(event),
    [CHANNELS.decision]: (event) => recorder.decision(event),
    [CHANNELS.failure]: (event) => recorder.failure(event),
    [CHANNELS.lifecycle]: (event) => {
      const gone = recorder.lifecycle(event);
      if (gone !== undefined) book.forget(gone);
    },
    [CHANNELS.service]: (event) => recorder.service(event),
    [CHANNELS.http]: (event) => recorder.http(event),
    [CHANNELS.log]: (event) => {
      recorder.log(event);
      book.add(event);
    },
  });
  const instances = (): InstanceSnapshot[] => instancesOf(loaded?.() ?? []);
  return {
    snapshot: () => ({ plugins: snapshotOf(recorder), instances: instances() }),
    prometheus: () => writeExposition(recorder, instances(), (plugin) => book.dropped(plugin)) + (pluginMetrics?.prometheus() ?? ""),
    logs: (plugin, { last } = {}) => book.lines(plugin, last),
    close: unsubscribe,
    [Symbol.dispose]: unsubscribe,
  };
}

function resolveLimits(options: TelemetryOptions): Record<keyof typeof NUMBERS, number> {
  const known = [...Object.keys(NUMBERS), "plugins", "pluginMetrics", "clock"];
  for (const key of Object.keys(options)) if (!known.includes(key)) throw invalidOption(key, "unknown", `one of ${known.join(", ")}`);
  const resolved: Record<keyof typeof NUMBERS, number> = { ...NUMBERS };
  for (const name of Object.keys(NUMBERS) as (keyof typeof NUMBERS)[]) {
    const value = options[name] ?? NUMBERS[name];
    if (!(Number.isSafeInteger(value) && value >= 1)) throw invalidOption(name, String(value), "a whole number, 1 or more");
    resolved[name] = value;
  }
  return resolved;
}
