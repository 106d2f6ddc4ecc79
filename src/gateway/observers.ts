// Tells whoever wants to know that a request is over: plugins of the hooks `completed` and `used`, and the log.

import type { JsonObject } from "mortise";

import type { Completed, Used } from "./completed.ts";
import { failureOf } from "./failure.ts";
import type { Outcome } from "./serve-model.ts";
import type { Asked, Turn } from "./turn.ts";
import type { Completion } from "./types.ts";

/** Nobody waits for it, and it never throws. */
export function tellObservers(turn: Turn, outcome: Outcome): void {
  const { host, logger } = turn.core;
  const { completed, used } = host.hooks;
  if (outcome.asked !== undefined && !(completed.isIdle && used.isIdle)) tellPlugins(turn, outcome.asked, outcome);
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
    tokens: turn.tally.answers === 0 || turn.tally.isEstimated ? undefined : turn.tally.total,
    duration_ms: durationOf(turn),
  };
  if (outcome.error === undefined) logger.info(fields, "request");
  else {
    const { kind, code, message } = failureOf(outcome.error);
    logger.warn({ ...fields, kind, code }, message);
  }
}

/** The request itself may be over in every sense: observers have time of their own. */
function tellPlugins(turn: Turn, asked: Asked, outcome: Outcome): void {
  const { id, context, core } = turn;
  const { completed, used } = core.host.hooks;
  const request = core.host.request({ id, attributes: context.attributes });
  const common = commonOf(turn, asked, outcome);
  if (!used.isIdle) {
    const { tokens } = turn.tally;
    core.reports.used.add({ ...common, answered: tokens !== undefined, usage: tokens ?? null }, request, 0);
  }
  if (completed.isIdle) return;
  const { completion } = outcome;
  const { error, attempts, duration_ms, ...who } = common;
  const told: Completed = {
    gateway: core.state.run,
    number: ++core.state.told,
    ...who,
    request: asked.request.llm,
    response: completion ?? null,
    error,
    usage: usageOf(turn, completion),
    attempts,
    duration_ms,
  };
  core.reports.completed.add(told, request, asked.body.bytes.length + (outcome.answerBytes ?? 0));
}

function commonOf(turn: Turn, { request }: Asked, { error }: Outcome): Omit<Used, "answered" | "usage"> {
  const { id, client, api, provider, model, attempts } = turn;
  return {
    request_id: id,
    client: client ?? null,
    api,
    provider,
    model,
    stream: request.stream,
    error: error === undefined ? null : errorOf(error),
    attempts,
    duration_ms: durationOf(turn),
  };
}

function errorOf(error: unknown): Completed["error"] {
  const { kind, message, code, status } = failureOf(error);
  return { kind, message, status, ...(code !== undefined && { code }) };
}

/** What the request took; with all that the answer says of it, if it was the only one. */
function usageOf({ tally }: Turn, completion: Completion | undefined): Completed["usage"] {
  const isAll = tally.answers === 1 && !tally.isEstimated;
  return (isAll ? completion?.usage : undefined) ?? (tally.tokens as JsonObject | undefined) ?? null;
}

function durationOf({ core, beganMs }: Turn): number {
  return Math.round((core.clock() - beganMs) * 1000) / 1000;
}
