// Door `mortise`: load plugins and call them.

export { ERRORS, type ErrorCode, type ErrorDetails, type ErrorEntry, MortiseError, isMortiseError, printable } from "./api/errors.ts";
export type { Limits } from "./api/limits.ts";
export { PluginOutput } from "./api/output.ts";
export type { AbiName, CallContext, HostFunction, HostFunctions, HostValue, LogLevel, Logger } from "./abi/guest.ts";
export type { PluginOptions } from "./host/options.ts";
export { type CallOptions, type Plugin, type PluginInput, type PluginStats, loadPlugin } from "./host/plugin.ts";
export type { PluginSource } from "./host/source.ts";
