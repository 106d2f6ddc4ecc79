// What is published of hooks: their runs, and what plugins decide. Nothing is built where nobody subscribes.

import { isDeepStrictEqual } from "node:util";

import { type DecisionEvent, begins, decisions, runs } from "../api/channels.ts";
import { isMortiseError, printable } from "../api/errors.ts";
import type { RequestContext } from "../api/request.ts";
import type { Decision } from "./decision.ts";
import type { HookPlugin } from "./plugin-entry.ts";
import type { HookState } from "./roster.ts";

/** Names in an event, and characters of each. */
const MAX_NAMES = 16;
const MAX_NAME_CHARS = 64;
const ROUTE_FUNCTION = "route";

/** One decision, and what it is about. */
export interface Decided {
  readonly hook: HookState;
  readonly plugin: HookPlugin;
  readonly function: string;
  readonly request: RequestContext;
  /** Value that the plugin was sent. */
  readonly given: unknown;
  readonly decision: Decision<unknown, unknown>;
}

/** Publishes a decision, unless it leaves everything as it is. */
export function publishDecision({ hook, plugin, function: fn, request, given, decision }: Decided): void {
  if (!decisions.hasSubscribers) return;
  const { attributes } = decision;
  if (decision.action === "continue" && attributes === undefined) return;
  const safe = (text: string, maxChars?: number): string => printable(plugin.redact?.(text) ?? text, maxChars);
  const names = (all: readonly string[]): string[] => all.slice(0, MAX_NAMES).map((name) => safe(name, MAX_NAME_CHARS));
  // In a hook that ends with the first value, what takes the place of the input is the answer.
  const isAnswer = decision.action === "answer" || (decision.action === "replace" && hook.definition.kind === "first");
  const changed = decision.action === "replace" && !isAnswer ? changedMembers(given, decision.value) : undefined;
  const target = isAnswer && fn === ROUTE_FUNCTION ? targetOf(decision.value) : undefined;
  const event: DecisionEvent = {
    hook: hook.name,
    plugin: plugin.name,
    version: plugin.version ?? "1",
    digest: plugin.digest ?? "",
    function: fn,
    request: request.id,
    action: isAnswer ? "answer" : decision.action,
    ...(decision.action === "reject" && { reason: safe(decision.reason) }),
    ...(target !== undefined && { target: safe(target) }),
    ...(changed !== undefined && { changed: names(changed) }),
    ...(attributes !== undefined && { attributes: names(Object.keys(attributes)) }),
  };
  decisions.publish(event);
}

/** Names of members that are not the same in both; undefined if these are no objects. */
function changedMembers(given: unknown, value: unknown): string[] | undefined {
  if (!isPlain(given) || !isPlain(value)) return undefined;
  const names = new Set([...Object.keys(given), ...Object.keys(value)]);
  return Array.from(names).filter((name) => !isDeepStrictEqual(given[name], value[name]));
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Where a route leads: a text, or `to` with the node or branch that it names. */
function targetOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!isPlain(value) || typeof value["to"] !== "string") return undefined;
  return typeof value["target"] === "string" ? `${value["to"]} ${value["target"]}` : value["to"];
}

/** Runs a hook, and publishes how that began and ended. */
export function watchRun<R>(hook: string, request: RequestContext, clock: () => number, work: () => R | Promise<R>): R | Promise<R> {
  if (!runs.hasSubscribers && !begins.hasSubscribers) return work();
  const began = clock();
  const ended = (error?: unknown): void => {
    const event = { hook, request: request.id, durationMs: clock() - began };
    if (error === undefined) runs.publish(event);
    else runs.publish({ ...event, error: isMortiseError(error) ? error.code : "UNKNOWN" });
  };
  const failed = (error: unknown): never => {
    ended(error ?? "unknown");
    throw error;
  };
  const watched = (): R | Promise<R> => {
    let result: R | Promise<R>;
    try {
      result = work();
    } catch (error) {
      return failed(error);
    }
    if (!(result instanceof Promise)) {
      ended();
      return result;
    }
    return result.then((value) => {
      ended();
      return value;
    }, failed);
  };
  const { id, traceparent } = request;
  const event = { kind: "run", hook, request: id, ...(traceparent !== undefined && { traceparent }) } as const;
  return begins.hasSubscribers ? begins.runStores(event, watched) : watched();
}
