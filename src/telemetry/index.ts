// Door `mortise/telemetry`: what plugins do, as numbers, log lines, spans, and a record of their decisions.

export type {
  BeginEvent,
  CallEvent,
  DecisionEvent,
  HttpEvent,
  LifecycleEvent,
  LogEvent,
  RunEvent,
  ServiceEvent,
  VersionState,
} from "../api/channels.ts";
export { CHANNELS } from "../api/channels.ts";
export type { AuditProblem, AuditVerdict, VerifyOptions } from "./audit/chain-check.ts";
export { type Audit, type AuditFilter, type AuditOptions, type FileSinkOptions, type SqliteSinkOptions, createAudit } from "./audit/create-audit.ts";
export type { AuditDecision, AuditEntry, AuditKind, AuditLink, AuditNotice } from "./audit/entry.ts";
export { type ReadAuditOptions, readAudit } from "./audit/read-audit.ts";
export type { SinkStats } from "./audit/sink.ts";
export type { LogLine } from "./log-book.ts";
export { type MetricsServer, type MetricsServerOptions, metricsHandler, serveMetrics } from "./metrics-server.ts";
export type { OtelApi } from "./otel-api.ts";
export type { HookSnapshot, InstanceSnapshot, LatencySnapshot, LoadedPlugin, PluginSnapshot, UseSnapshot, VersionSnapshot } from "./snapshot.ts";
export { type Telemetry, type TelemetryOptions, createTelemetry } from "./telemetry.ts";
export { type Tracing, type TracingOptions, startTracing } from "./tracing.ts";
