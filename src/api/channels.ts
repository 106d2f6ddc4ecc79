// What Mortise publishes of its plugins, on channels of `node:diagnostics_channel`: one object for each event, and none
// where nobody subscribes. No event holds inputs, outputs, configuration or secrets.

import { channel } from "node:diagnostics_channel";

import type { ErrorCode } from "./errors.ts";
import type { LogLevel } from "./guest-log.ts";

/** Names of the channels. */
export const CHANNELS = {
  begin: "mortise:begin",
  call: "mortise:call",
  run: "mortise:run",
  failure: "mortise:hook",
  decision: "mortise:decision",
  lifecycle: "mortise:lifecycle",
  service: "mortise:service",
  http: "mortise:http",
  log: "mortise:log",
} as const;

/** What a call or a run of a hook is about to do, on `mortise:begin`: what it does runs in the stores that are bound to the channel. */
export interface BeginEvent {
  readonly kind: "call" | "run";
  /** Of a call; a run of a hook has only the hook. */
  readonly plugin?: string;
  readonly version?: string;
  readonly function?: string;
  readonly hook?: string;
  /** Name of the request, and the W3C trace context that it came with. */
  readonly request?: string;
  readonly traceparent?: string;
}

/** A call of a plugin's function that has ended, on `mortise:call`; those that were refused are among them. */
export interface CallEvent {
  readonly plugin: string;
  readonly version: string;
  readonly function: string;
  /** Hook and request that it was made for, if it was. */
  readonly hook?: string;
  readonly request?: string;
  /** Milliseconds from the call to its end, and those of them that it waited for an instance. */
  readonly durationMs: number;
  readonly queueMs: number;
  /** Cost units; 0 where nothing ran. */
  readonly fuel: number;
  /** Bytes of the instance's memories at the end of the call; 0 where nothing ran. */
  readonly memoryBytes: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** Why it failed. */
  readonly error?: ErrorCode;
}

/** A run of a hook with all its plugins that has ended, on `mortise:run`. */
export interface RunEvent {
  readonly hook: string;
  readonly request: string;
  readonly durationMs: number;
  /** Why it failed; what the work of a bracket throws has no code. */
  readonly error?: ErrorCode | "UNKNOWN";
}

/** What a plugin decided in a hook, on `mortise:decision`: everything but leaving it as it is. */
export interface DecisionEvent {
  readonly hook: string;
  readonly plugin: string;
  readonly version: string;
  /** SHA-256 of its module, in hexadecimal; empty if it is not known. */
  readonly digest: string;
  readonly function: string;
  readonly request: string;
  /** `continue` is here only if attributes of the request were changed. */
  readonly action: "replace" | "answer" | "reject" | "continue";
  /** Why it rejected, in the plugin's words: safe to print, and cut at 300 characters. */
  readonly reason?: string;
  /** Where an answer of `route` leads. */
  readonly target?: string;
  /** Names of the members that `replace` changed, 16 at most. */
  readonly changed?: readonly string[];
  /** Names of the attributes that were set or removed. */
  readonly attributes?: readonly string[];
}

/** What one version of a plugin can be in; see docs/manager.md. */
export type VersionState = "loading" | "ready" | "degraded" | "open" | "half-open" | "failed" | "draining" | "unloaded";

/** A change of state, on `mortise:lifecycle`. */
export interface LifecycleEvent {
  readonly plugin: string;
  readonly version: string;
  readonly digest: string;
  /** Undefined for a version that is new. */
  readonly from: VersionState | undefined;
  readonly to: VersionState;
  readonly reason: string;
}

/** A service that a plugin used, on `mortise:service`. */
export interface ServiceEvent {
  readonly plugin: string;
  readonly service: string;
  readonly durationMs: number;
  readonly error?: ErrorCode;
}

/** An HTTP request that a plugin made, on `mortise:http`; those that were refused are among them. */
export interface HttpEvent {
  readonly plugin: string;
  /** Name and port of the URL, never path or query; empty if the URL was none. */
  readonly host: string;
  readonly method: string;
  readonly status?: number;
  /** Milliseconds until the response was complete, or its body was given up. */
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly error?: ErrorCode;
}

/** A log line of a plugin, on `mortise:log`: safe to print, without secrets, within the plugin's log limit. */
export interface LogEvent {
  readonly plugin: string;
  readonly level: LogLevel;
  readonly message: string;
}

/** A channel for one kind of event. What a subscriber throws ends the process. */
export interface EventChannel<Event> {
  readonly name: string;
  /** Whether anybody listens: if not, events are not to be built. */
  readonly hasSubscribers: boolean;
  publish(event: Event): void;
  /** Publishes, and does some work in the stores that subscribers have bound. */
  runStores<Result>(event: Event, work: () => Result): Result;
}

const open = <Event>(name: string): EventChannel<Event> => channel(name) as unknown as EventChannel<Event>;

/** The channels. Failures of hooks, on `mortise:hook`, are `HookFailure`s. */
export const begins: EventChannel<BeginEvent> = open(CHANNELS.begin);
export const calls: EventChannel<CallEvent> = open(CHANNELS.call);
export const runs: EventChannel<RunEvent> = open(CHANNELS.run);
export const decisions: EventChannel<DecisionEvent> = open(CHANNELS.decision);
export const lifecycles: EventChannel<LifecycleEvent> = open(CHANNELS.lifecycle);
export const services: EventChannel<ServiceEvent> = open(CHANNELS.service);
export const httpRequests: EventChannel<HttpEvent> = open(CHANNELS.http);
export const logLines: EventChannel<LogEvent> = open(CHANNELS.log);
