// The way by which plugins came to call each other: how long it may be, and that it never comes back.

import type { Caller } from "../../api/caller.ts";
import { MortiseError } from "../../api/errors.ts";

/** Function of a plugin that is to be called. */
export interface Target {
  readonly plugin: string;
  readonly function: string;
}

/** Why a call is refused before it is made. */
export type Refusal = "unknown" | "cycle" | "depth" | "pending" | "deadlock" | "initialiser";

/** The error for a call that is not made. */
export function callRefused(caller: Target, called: Target, kind: Refusal, reason: string): MortiseError {
  const { plugin, function: fn } = caller;
  return new MortiseError("MORTISE_PLUGIN_CALL_REFUSED", {
    plugin,
    function: fn,
    called: called.plugin,
    calledFunction: called.function,
    kind,
    reason,
  });
}

/**
 * Refuses a call to a plugin that is on the way already, and one too deep.
 *
 * @throws MortiseError MORTISE_PLUGIN_CALL_REFUSED
 */
export function checkPath(caller: Caller, called: Target, maxDepth: number): void {
  let depth = 1;
  for (let at: Caller | undefined = caller; at !== undefined; at = at.caller) {
    if (at.plugin === called.plugin)
      throw callRefused(caller, called, "cycle", `plugins would call each other in a circle: ${pathOf(caller, called)}`);
    depth++;
  }
  if (depth > maxDepth)
    throw callRefused(caller, called, "depth", `it would be call ${depth} inside of one another, but maxDepth allows ${maxDepth}`);
}

function pathOf(caller: Caller, called: Target): string {
  const path: string[] = [];
  for (let at: Caller | undefined = caller; at !== undefined; at = at.caller) path.unshift(`${at.plugin}:${at.function}`);
  return [...path, `${called.plugin}:${called.function}`].join(" → ");
}
