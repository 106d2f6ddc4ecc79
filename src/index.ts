// Door `mortise`: load plugins and call them, or give an application hooks that plugins take part in.

// errors and results
export { ERRORS, type ErrorCode, type ErrorDetails, type ErrorEntry, MortiseError, isMortiseError, printable } from "./api/errors.ts";
export type { Limits } from "./api/limits.ts";
export { didYouMean } from "./api/near-names.ts";
export { PluginOutput } from "./api/output.ts";
// plugins
export type { AbiName, CallContext, HostFunction, HostFunctions, HostValue } from "./abi/guest.ts";
export type { LogLevel, Logger } from "./api/guest-log.ts";
export type { PathGrant, Permissions } from "./api/permissions.ts";
export { instanceCount, setInstanceCap } from "./host/instance-cap.ts";
export type { ConfigValue, HttpSettings, PluginOptions } from "./host/options.ts";
export type { CallOptions, CloseOptions, Declared, Isolation, Plugin, PluginInput, PluginStats } from "./host/plugin.ts";
export type { PoolOptions, PoolStats } from "./host/pool.ts";
export { type IsolationLimits, configureIsolation } from "./isolation/places.ts";
export { loadPlugin } from "./loader/load-plugin.ts";
export type { Manifest, ManifestMemory, ManifestModule, ManifestSource as PluginSource } from "./manifest/manifest.ts";
export type { WasiClock, WasiOptions } from "./wasi/options.ts";
export type { LiveInput } from "./wasi/streams.ts";
// hooks
export { RequestContext, type RequestOptions, isRequestContext } from "./api/request.ts";
export type { BracketEnd, Ending } from "./hooks/bracket-wire.ts";
export type { Check, StandardSchema } from "./hooks/check.ts";
export type { AttributeChanges, ChainDecision, Decision, FirstDecision, Rejection } from "./hooks/decision.ts";
export { type FailurePolicy, type HookDefinitions, hook } from "./hooks/definition.ts";
export type { HookFailure } from "./hooks/failure.ts";
export type { Filter, FilterTests, FilterValue } from "./hooks/filters.ts";
export type { AllFunction, BracketFunction, ChainFunction, FirstFunction, HookFunctions, HookRunOptions, OpenBracket } from "./hooks/host-hooks.ts";
export { standardHooks } from "./hooks/standard/standard-hooks.ts";
export type {
  HttpRequest,
  HttpResponse,
  JsonObject,
  LlmError,
  LlmRequest,
  LlmResult,
  StreamChunk as HttpStreamChunk,
} from "./hooks/standard/bifrost-types.ts";
export type * from "./hooks/standard/helios-types.ts";
export { type Host, type HostOptions, createHost } from "./manager/create-host.ts";
export type { BreakerDescription, BreakerOptions } from "./manager/breaker.ts";
export type { PluginCallOptions, PluginLookup } from "./manager/plugin-calls/options.ts";
export type { HostPlugin, PluginDescription, VersionDescription } from "./manager/describe.ts";
export type { HostLimits } from "./manager/host-limits.ts";
export type { HostPlugins, PluginWatch, ReloadOptions, UnloadOptions } from "./manager/host-plugins.ts";
export type { LoadOptions, Probe } from "./manager/load-options.ts";
export type { PastVersion, VersionFailure } from "./manager/managed.ts";
export type { StateChange, VersionState } from "./manager/state.ts";
// services
export type { PluginQuotas, ServiceCall, ServiceFunction, ServiceProvider, ServiceTable } from "./api/services.ts";
export type { Store, StoreQuota, StoreUsage, WriteOptions } from "./api/store.ts";
export { type Services, type ServicesOptions, createServices } from "./services/create-services.ts";
export type { Database, DatabaseLimits } from "./services/databases.ts";
export { writePrometheus } from "./services/prometheus.ts";
export { type MemoryStoreOptions, createMemoryStore } from "./services/store/memory-store.ts";
export { type RedisStoreOptions, createRedisStore } from "./services/store/redis-store.ts";
export { type SqliteStoreOptions, createSqliteStore } from "./services/store/sqlite-store.ts";
// options of Query
export { resolveQueryOptions } from "./config/query-options.ts";
// providers of language models
export * from "./providers/index.ts";
