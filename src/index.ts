// Door `mortise`: load plugins and call them.

export { ERRORS, type ErrorCode, type ErrorDetails, type ErrorEntry, MortiseError, isMortiseError, printable } from "./api/errors.ts";
export type { Limits } from "./api/limits.ts";
export { PluginOutput } from "./api/output.ts";
export type { AbiName, CallContext, HostFunction, HostFunctions, HostValue, LogLevel, Logger } from "./abi/guest.ts";
export { instanceCount, setInstanceCap } from "./host/instance-cap.ts";
export type { HttpSettings, Permissions, PluginOptions } from "./host/options.ts";
export type { CallOptions, CloseOptions, Isolation, Plugin, PluginInput, PluginStats } from "./host/plugin.ts";
export type { PoolOptions, PoolStats } from "./host/pool.ts";
export { type IsolationLimits, configureIsolation } from "./isolation/places.ts";
export { loadPlugin } from "./loader/load-plugin.ts";
export type { Manifest, ManifestMemory, ManifestModule, ManifestSource as PluginSource } from "./manifest/manifest.ts";
export type { PathGrant, WasiClock, WasiOptions } from "./wasi/options.ts";
export type { LiveInput } from "./wasi/streams.ts";
