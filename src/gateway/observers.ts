// Tells whoever wants to know that a request is over: plugins of the hook `completed`, and the log.

import type { Completed } from "./completed.ts";
import { failureOf } from "./failure.ts";
import type { Outcome } from "./serve-model.ts";
import type { Turn } from "./turn.ts";

/** Nobody waits for it, and it never throws. */
export function tellObservers(turn: Turn, outcome: Outcome): void {
  const { host, logger } = turn.core;
  if (!host.hooks.completed.isIdle && outcome.asked !== undefined) tellPlugins(turn, outcome);
  if (logger === undefined) return;
  const { id, client, api, provider, model, attempts } = turn;
  const fields = {
    request_id: id,
    client,
    api,
    provider,
    model,
    attempts,
    status: outcome.status,
    tokens: outcome.tokens,
    duration_ms: durationOf(turn),
  };
  if (outcome.error === undefined) logger.info(fields, "request");
  else {
    const { kind, code, message } = failureOf(outcome.error);
    logger.warn({ ...fields, kind, code }, message);
  }
}

function tellPlugins(turn: Turn, { asked, completion, error }: Outcome): void {
  if (asked === undefined) return;
  const { id, client, api, provider, model, attempts, core } = turn;
  const told: Completed = {
    request_id: id,
    client: client ?? null,
    api,
    provider,
    model,
    stream: asked.request.stream,
    request: asked.request.llm,
    response: completion ?? null,
    error: error === undefined ? null : errorOf(error),
    usage: completion?.usage ?? null,
    attempts,
    duration_ms: durationOf(turn),
  };
  // The request itself may be over in every sense: observers have time of their own.
  const attributes = Object.fromEntries(turn.context.attributes);
  const request = core.host.request({ id, attributes });
  core.host.hooks.completed(told, { request }).catch((failure: unknown) => core.logger?.error({ request_id: id }, String(failure)));
}

function errorOf(error: unknown): Completed["error"] {
  const { kind, message, code, status } = failureOf(error);
  return { kind, message, status, ...(code !== undefined && { code }) };
}

function durationOf({ core, beganMs }: Turn): number {
  return Math.round((core.clock() - beganMs) * 1000) / 1000;
}
