// One call from plugin to plugin: checked, made, and what comes of it.

import type { Caller } from "../../api/caller.ts";
import { MortiseError, isMortiseError, printable } from "../../api/errors.ts";
import type { PluginOutput } from "../../api/output.ts";
import type { ServiceCall } from "../../api/services.ts";
import type { Awaitable } from "../../api/store.ts";
import { type Target, callRefused, checkPath } from "./call-path.ts";

/** A plugin that others call. */
export interface Callee {
  readonly name: string;
  startFor(caller: Caller, fn: string, input: Uint8Array): PluginOutput | Promise<PluginOutput>;
}

/** What bounds the calls of one plugin. */
export interface CallBounds {
  readonly maxDepth: number;
  readonly maxPending: number;
  /** Calls that wait now. */
  pending: number;
}

/**
 * Calls a function of another plugin for a call of this one.
 *
 * @throws MortiseError MORTISE_PLUGIN_CALL_REFUSED, MORTISE_PLUGIN_CALL_FAILED
 */
export function callPlugin(call: ServiceCall, callee: Callee, fn: string, input: Uint8Array, bounds: CallBounds): Awaitable<Uint8Array> {
  const { caller } = call;
  const called: Target = { plugin: callee.name, function: fn };
  if (caller === undefined) throw callRefused(call, called, "initialiser", "no plugin may be called while an instance is initialised");
  checkPath(caller, called, bounds.maxDepth);
  if (bounds.pending >= bounds.maxPending)
    throw callRefused(call, called, "pending", `${bounds.pending} calls of the plugin to others wait already, which is as many as maxPending allows`);
  let result: PluginOutput | Promise<PluginOutput>;
  try {
    result = callee.startFor(caller, fn, input);
  } catch (error) {
    throw callFailed(call, called, error);
  }
  return result instanceof Promise ? settle(call, called, result, bounds) : result.bytes();
}

async function settle(call: ServiceCall, called: Target, result: Promise<PluginOutput>, bounds: CallBounds): Promise<Uint8Array> {
  // Later nobody can be asked: the call may be over.
  const { plugin, function: fn } = call;
  bounds.pending++;
  try {
    return (await result).bytes();
  } catch (error) {
    throw callFailed({ plugin, function: fn }, called, error);
  } finally {
    bounds.pending--;
  }
}

/** The error for a call that failed, with the names of both plugins; the other one's own is its cause. */
function callFailed(caller: Target, called: Target, error: unknown): MortiseError {
  const code = isMortiseError(error) ? error.code : "MORTISE_INTERNAL";
  if (code === "MORTISE_REENTRANT")
    return callRefused(caller, called, "deadlock", "every instance of it waits, directly or through others, for what this call holds");
  const reason = error instanceof Error ? error.message : printable(error);
  const { plugin, function: fn } = caller;
  const details = { plugin, function: fn, called: called.plugin, calledFunction: called.function, code, reason };
  return new MortiseError("MORTISE_PLUGIN_CALL_FAILED", details, error);
}
