// What a native plugin is loaded with, and what its functions get.

import type { RequestContext } from "../api/request.ts";
import type { ServiceTable, ServiceValue } from "../api/services.ts";
import type { Logger, PluginState } from "../abi/guest.ts";
import type { NativeGrant } from "./grants.ts";

/** What a native plugin needs of {@link PluginState}. */
export interface NativeState extends Pick<PluginState, "name" | "limits" | "config" | "logger" | "logLevel" | "clock" | "droppedLogs"> {
  /** Services that the host offers to this plugin. @default none */
  readonly services?: ServiceTable | undefined;
}

/** Options of {@link compileNative}; nothing is allowed that is not named here. */
export interface NativeOptions {
  /** Files that may run without a sandbox. */
  readonly allow: readonly NativeGrant[];
  /** What the plugin's calls share. */
  readonly state: NativeState;
  /** SHA-256 that the file must have besides, as for a WebAssembly module. @default any that is allowed */
  readonly digest?: string | undefined;
}

/** A function that a native plugin exports. What it throws fails the call with its message. */
export type NativeFunction = (input: Uint8Array, context: NativeContext) => NativeResult | PromiseLike<NativeResult>;

/** What it returns: text, bytes, or nothing. */
// oxlint-disable-next-line no-invalid-void-type -- a function without a return statement is a fine one
export type NativeResult = string | Uint8Array | undefined | void;

/** What the host hands to each call. Frozen; services end with the call. */
export interface NativeContext {
  /** Name of the plugin. */
  readonly plugin: string;
  /** The request that the call serves; undefined outside of hooks. */
  readonly request: Pick<RequestContext, "id" | "traceparent"> | undefined;
  /** The plugin's own configuration. */
  readonly config: Readonly<Record<string, string>>;
  /**
   * The functions of `mortise:host` by name, such as `kv_get`: text is a string, bytes are a Uint8Array, an i64 is a bigint
   * or a whole number. What one of them throws ends the call with that error, whoever catches it.
   */
  readonly services: Readonly<Record<string, NativeService>>;
  /** Log functions by level. */
  readonly log: Logger;
  /** Aborted when the call is over or was stopped. */
  readonly signal: AbortSignal;
}

/** A service as a native plugin calls it. */
export type NativeService = (...values: ServiceValue[]) => ServiceValue | Promise<ServiceValue>;

/** What all calls of one plugin share. */
export interface NativePlugin {
  readonly state: NativeState;
  readonly functions: ReadonlyMap<string, NativeFunction>;
  /** The plugin's configuration, frozen. */
  readonly config: NativeContext["config"];
}

export const NO_SERVICES: NativeContext["services"] = Object.freeze({});
