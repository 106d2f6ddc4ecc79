// Functions that the host offers to plugins of every interface, and how they are called.

import type { Caller } from "./caller.ts";
import type { LogLevel, Logger } from "./guest-log.ts";
import type { HttpCall, HttpResponse } from "./http.ts";
import type { Permissions } from "./permissions.ts";
import type { Awaitable } from "./store.ts";

/** Import module of the services. */
export const SERVICES_MODULE = "mortise:host";

/**
 * What crosses: `text` is UTF-8 and `bytes` any bytes, as a block or as pointer and length, whichever the plugin's
 * interface has; i64 is a bigint, i32 and f64 are numbers.
 */
export type ServiceParam = "text" | "bytes" | "i32" | "i64" | "f64";
/** `bytes` may be undefined, which guests see as 0, like bytes of length 0. */
export type ServiceResult = "bytes" | "i32" | "i64" | "f64" | "none";
/** A value of a {@link ServiceParam} or {@link ServiceResult}. */
export type ServiceValue = string | Uint8Array | number | bigint | undefined;

/** The call of a plugin that a service works for. */
export interface ServiceCall {
  readonly plugin: string;
  readonly function: string;
  /** Milliseconds that are left of the call, and that it had in all. */
  readonly timeoutMs: number;
  readonly statedMs: number;
  /** Aborted when the call is over or was stopped. */
  readonly signal: AbortSignal;
  /** Value that the plugin's caller passed along; a {@link RequestContext} in hooks. */
  readonly context: unknown;
  /** The call as other plugins see it that it calls; undefined where it can call none, as while an instance is initialised. */
  readonly caller?: Caller | undefined;
}

/**
 * One function. What it throws, a {@link MortiseError}, stops the plugin's call with that error: a service that is
 * denied, broken or out of quota never looks like one that has nothing.
 */
export interface ServiceFunction {
  readonly params: readonly ServiceParam[];
  readonly result: ServiceResult;
  /** Answers with a promise where it has to wait for something outside; see {@link waits}. */
  run(call: ServiceCall, ...values: ServiceValue[]): Awaitable<ServiceValue>;
  /** It only reads `bytes`, and only until it has answered: it may be given the plugin's own memory and no copy. @default false */
  readonly borrows?: boolean;
  /** False if it never answers with a promise: guests that use nothing else need no suspension. */
  readonly waits: boolean;
}

/** The functions of one plugin, by name; permissions are settled when they are called. */
export type ServiceTable = Readonly<Record<string, ServiceFunction>>;

/** What the services of one plugin are made from. */
export interface ServiceScope {
  readonly plugin: string;
  readonly permissions: Permissions;
  readonly config: ReadonlyMap<string, string>;
  readonly logger: Logger | undefined;
  /** Least severe level that reaches the logger. */
  readonly logLevel: LogLevel;
  /** Bytes of log text for each call. */
  readonly logBytes: number;
  /** HTTP as the operator grants it. */
  readonly http: ServiceHttp | undefined;
  /** Texts that must never be printed. */
  readonly secrets: readonly string[];
  readonly quotas: PluginQuotas;
  /** Told of each log line that is dropped. */
  readonly onDroppedLog: () => void;
}

/** How much of the services a plugin may use. */
export interface PluginQuotas {
  /** Keys that it may keep. @default 1024 */
  readonly kvKeys?: number;
  /** Bytes of all kept keys and values together. @default 4 MiB */
  readonly kvBytes?: number;
  /** Bytes of one kept value. @default 64 KiB */
  readonly kvValueBytes?: number;
  /** Bytes of one key. @default 512 */
  readonly kvKeyBytes?: number;
  /** Bytes of what it has cached; each entry counts 96 besides key and value. @default 4 MiB */
  readonly cacheBytes?: number;
  /** Names of metrics. @default 64 */
  readonly metrics?: number;
  /** Label sets of one metric. @default 100 */
  readonly metricSeries?: number;
}

/** HTTP as an operator grants it to a plugin. */
export interface ServiceHttp {
  /** Performs the request that a guest states as JSON. @throws MortiseError why it was refused or failed */
  request(json: string, body: Uint8Array | undefined, call: HttpCall): Promise<HttpResponse>;
  /** Whether guests may see the headers of responses. */
  readonly showsHeaders: boolean;
}

/** What a plugin gets to call others with. */
export interface PluginCalls {
  /** Functions beside the services. */
  readonly services: ServiceTable;
  /** Functions of other import modules, by module; for plugins whose interface has blocks. */
  readonly modules: Readonly<Record<string, ServiceTable>>;
  /** Frees what it holds of other plugins. */
  close(): void;
}

/** Lets plugins call each other; `createHost` has one. */
export interface PluginCallProvider {
  forPlugin(scope: Pick<ServiceScope, "plugin" | "permissions">): PluginCalls;
}

/** Makes the services of plugins; `createServices` gives one. */
export interface ServiceProvider {
  forPlugin(scope: ServiceScope): ServiceTable;
}
