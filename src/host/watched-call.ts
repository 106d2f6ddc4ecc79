// What is published of calls: nothing is noted where nobody subscribes.

import { type BeginEvent, type CallEvent, begins, calls } from "../api/channels.ts";
import { type ErrorCode, isMortiseError } from "../api/errors.ts";
import { isRequestContext } from "../api/request.ts";
import type { Runner } from "./runner.ts";

/** What is noted of one call while it runs. */
export interface CallNotes {
  /** When it was called, and when it had an instance; both on the plugin's clock. */
  readonly beganMs: number;
  startedMs: number | undefined;
  fuel: number;
  memoryBytes: number;
  inputBytes: number;
  outputBytes: number;
}

/** A call that is about to be made. */
export interface CallSubject {
  readonly plugin: string;
  readonly version: string;
  readonly function: string;
  readonly hook: string | undefined;
  /** Value that the caller passed along. */
  readonly context: unknown;
  readonly clock: () => number;
}

/** Whether anybody wants to know of calls. */
export function areCallsWatched(): boolean {
  return calls.hasSubscribers || begins.hasSubscribers;
}

/** Makes a call, and publishes how it began and ended. */
export function watchCall<Result>(subject: CallSubject, make: (notes: CallNotes) => Result | Promise<Result>): Result | Promise<Result> {
  const work = (): Result | Promise<Result> => {
    // What subscribers do with the beginning is no part of the call.
    const notes: CallNotes = { beganMs: subject.clock(), startedMs: undefined, fuel: 0, memoryBytes: 0, inputBytes: 0, outputBytes: 0 };
    const failed = (error: unknown): never => {
      publishCall(subject, notes, isMortiseError(error) ? error.code : "MORTISE_INTERNAL");
      throw error;
    };
    let result: Result | Promise<Result>;
    try {
      result = make(notes);
    } catch (error) {
      return failed(error);
    }
    if (!(result instanceof Promise)) {
      publishCall(subject, notes);
      return result;
    }
    return result.then((value) => {
      publishCall(subject, notes);
      return value;
    }, failed);
  };
  return begins.hasSubscribers ? begins.runStores(beginOf(subject), work) : work();
}

/** Notes what a call has used. */
export function noteEnd(notes: CallNotes, runner: Runner, outputBytes: number): void {
  notes.fuel = runner.fuelUsed;
  notes.memoryBytes = runner.memoryBytes;
  notes.inputBytes = runner.inputBytes;
  notes.outputBytes = outputBytes;
}

function beginOf({ plugin, version, function: fn, hook, context }: CallSubject): BeginEvent {
  const event = { kind: "call", plugin, version, function: fn, ...(hook !== undefined && { hook }) } as const;
  if (!isRequestContext(context)) return event;
  const { id: request, traceparent } = context;
  return traceparent === undefined ? { ...event, request } : { ...event, request, traceparent };
}

function publishCall({ plugin, version, function: fn, hook, context, clock }: CallSubject, notes: CallNotes, error?: ErrorCode): void {
  if (!calls.hasSubscribers) return;
  const endedMs = clock();
  const { beganMs, startedMs, fuel, memoryBytes, inputBytes, outputBytes } = notes;
  const event: CallEvent = {
    plugin,
    version,
    function: fn,
    ...(hook !== undefined && { hook }),
    ...(isRequestContext(context) && { request: context.id }),
    durationMs: endedMs - beganMs,
    // One that never had an instance did nothing but wait.
    queueMs: (startedMs ?? endedMs) - beganMs,
    fuel,
    memoryBytes,
    inputBytes,
    outputBytes,
    ...(error !== undefined && { error }),
  };
  calls.publish(event);
}
