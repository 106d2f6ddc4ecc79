// Options of calls, and calls as runners take them.

import type { Caller } from "../api/caller.ts";
import { printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import type { CallOptions, PluginInput } from "./plugin-types.ts";
import type { RunnerCall } from "./runner.ts";

/** Throws if a call that has waited must not begin any more. */
export type MayBegin = (() => void) | undefined;

/** Options of a call that may be made for another plugin. */
export interface StartOptions extends CallOptions {
  readonly caller?: Caller;
}

/** A call as runners take it; all are made alike. */
export function callOf(
  entry: string,
  input: PluginInput,
  context: unknown,
  timeoutMs: number,
  statedMs: number,
  caller: Caller | undefined,
): RunnerCall {
  return { entry, input, context, timeoutMs, statedMs, fuel: caller === undefined ? Number.POSITIVE_INFINITY : caller.fuelLeft, caller };
}

export const NO_OPTIONS: CallOptions = Object.freeze({});
const CALL_OPTIONS: Record<keyof CallOptions, true> = { signal: true, context: true, timeoutMs: true, waitMs: true, hook: true };

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkCallOptions(options: CallOptions): void {
  if (typeof options !== "object" || options === null) throw invalidOption("options", options === null ? "null" : typeof options, "an object");
  for (const key of Object.keys(options))
    if (!Object.hasOwn(CALL_OPTIONS, key)) throw invalidOption(key, "unknown", `one of ${Object.keys(CALL_OPTIONS).join(", ")}`);
  const { signal, timeoutMs, waitMs } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidOption("signal", typeof signal, "an AbortSignal");
  if (timeoutMs !== undefined && !(typeof timeoutMs === "number" && timeoutMs > 0))
    throw invalidOption("timeoutMs", printable(timeoutMs), "more than 0 milliseconds");
  if (waitMs !== undefined && !(typeof waitMs === "number" && waitMs >= 0))
    throw invalidOption("waitMs", printable(waitMs), "0 milliseconds or more");
}
