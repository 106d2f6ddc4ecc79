// What a remote place has to know of a plugin, and how its places are kept.

import type { WasmAbi } from "../wasm/detect.ts";
import type { GuestHttp, PluginState } from "../abi/guest.ts";
import type { PathGrant, WasiOptions } from "../wasi/options.ts";

/** A plugin, as it is before it is loaded anywhere. */
export interface PluginBlueprint {
  /** Shared by all places of the plugin: its variables live here, its host functions and its logger are called here. */
  readonly state: Omit<PluginState, "wasi">;
  readonly abi: WasmAbi;
  /** `main` is the module whose functions can be called. */
  readonly modules: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  readonly http?: GuestHttp | undefined;
  readonly wasi?: WasiOptions;
  /** Host folders that the plugin may use, by path. */
  readonly paths?: Readonly<Record<string, PathGrant>>;
}

/** How many places a plugin has, and how they are watched. */
export interface RemotePool {
  /** Places at once; more than 1 for a plugin without state only. @default 1 */
  readonly maxInstances?: number;
  /** Milliseconds that a place may take to stop a guest after its deadline, before it is ended. @default 100 */
  readonly graceMs?: number;
  /** Milliseconds that a place may take to start, and to load the plugin. @default 30000 */
  readonly startMs?: number;
  /** Milliseconds that a place may take for an operation that a host function waits for. @default 250 */
  readonly stallMs?: number;
  /** Bytes of the JavaScript heap of a place. @default 128 MiB */
  readonly heapBytes?: number;
}

/** {@link RemotePool} with every default filled in. */
export interface ResolvedRemotePool {
  readonly maxInstances: number;
  readonly graceMs: number;
  readonly startMs: number;
  readonly stallMs: number;
  readonly heapBytes: number;
}

export const DEFAULT_REMOTE_POOL: ResolvedRemotePool = {
  maxInstances: 1,
  graceMs: 100,
  startMs: 30_000,
  stallMs: 250,
  heapBytes: 128 << 20,
};
