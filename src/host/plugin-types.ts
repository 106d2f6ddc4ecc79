// What a plugin is made from, what its calls take, and what it tells of itself.

import type { AbiName, ExportTable, PluginState } from "../abi/guest.ts";
import type { ErrorCode } from "../api/errors.ts";
import type { PoolStats, ResolvedPool } from "./pool.ts";
import type { RunnerFactory } from "./runner.ts";

/** What a call takes: text as UTF-8, bytes, or nothing. */
export type PluginInput = string | Uint8Array | undefined;

/** Where a plugin runs. */
export type Isolation = "inline" | "thread" | "process";

/** Options of one call. */
export interface CallOptions {
  /**
   * Ends the call: while it waits for its turn, while it is suspended for a promise, or at the end of its slice of time.
   * A first call that holds the thread sees it only before it begins.
   */
  readonly signal?: AbortSignal;
  /** Handed to host functions as `context.context`. */
  readonly context?: unknown;
  /** Milliseconds for this call, waiting included. @default limits.timeoutMs */
  readonly timeoutMs?: number;
  /** Milliseconds that it may besides wait for an instance, which others have: they do not count towards `timeoutMs`. @default 0 */
  readonly waitMs?: number;
  /** Hook that the call is made for, as it is published. @default none */
  readonly hook?: string;
}

/** Options of {@link Plugin.close}. */
export interface CloseOptions {
  /** Ends what runs and what waits with MORTISE_CLOSED, instead of letting it come to an end. @default false */
  readonly abort?: boolean;
}

/** Counters of a plugin since it was loaded. */
export interface PluginStats {
  /** Calls that were made, and those of them that failed or were refused. */
  readonly calls: number;
  readonly failures: number;
  /** Failures by error code. */
  readonly errors: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Cost units of the last call and of all calls. */
  readonly fuel: { readonly last: number; readonly total: number };
  /** Bytes of all memories of the present instances, and the most that one instance ever had. */
  readonly memory: { readonly bytes: number; readonly peak: number };
  /** Instances and the calls that wait for them. */
  readonly instances: PoolStats;
  /** Bytes passed in and out by calls that succeeded. */
  readonly bytes: { readonly input: number; readonly output: number };
  /** Variables kept between calls, and the bytes they count. */
  readonly variables: { readonly count: number; readonly bytes: number };
  /** Log lines dropped because of limits.logBytes. */
  readonly droppedLogs: number;
}

/** What a plugin says of itself: in its custom section `mortise`, or in a manifest of HeliosProxy's. Nothing of it grants anything. */
export interface Declared {
  /** Filters by the name of the hook or function: inputs that do not fit are not for the plugin. */
  readonly filters: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Functions that its manifest names as hooks; undefined if it names none. */
  readonly hooks?: readonly string[];
  /** Permissions that its manifest asks for, as they would be granted in mortise.toml. */
  readonly requests?: readonly string[];
  readonly version?: string;
  readonly description?: string;
}

/** What a plugin is made of. */
export interface PluginParts {
  readonly abi: AbiName;
  /** Name of this version. @default what the plugin declares, else "1" */
  readonly version?: string | undefined;
  /** SHA-256 of the module in hexadecimal. @default "" */
  readonly digest?: string;
  /** What the plugin says of itself. @default nothing */
  readonly declared?: Declared;
  readonly state: PluginState;
  readonly exports: ExportTable;
  readonly runners: RunnerFactory;
  readonly pool: ResolvedPool;
  readonly isolation: Isolation;
  /** Frees what the plugin's instances share. */
  readonly release: () => void;
}
