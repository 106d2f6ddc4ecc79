// Whole answers, ready to be sent.

import { isMortiseError } from "mortise";

import type { Exchange } from "./exchange.ts";
import { failureOf } from "./failure.ts";
import type { Whole } from "./given.ts";
import { baseHeaders, errorHeaders } from "./respond.ts";
import type { Asked, Turn } from "./turn.ts";
import type { Completion } from "./types.ts";

/** A whole answer. Headers are names and values in turn, without the length. */
export interface Reply {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Uint8Array | string;
}

/** Sends a reply. */
export function sendReply(exchange: Exchange, { status, headers, body }: Reply): void {
  exchange.send(status, headers, body);
}

/** The answer of a model: as it came, or in the client's interface. @throws MortiseError MORTISE_GATEWAY_UPSTREAM */
export function replyOf(turn: Turn, { request }: Asked, { bytes, result }: Whole): Reply {
  const headers = answerHeaders(turn);
  if (bytes !== undefined) return { status: 200, headers, body: bytes };
  return { status: 200, headers, body: JSON.stringify(turn.codec.response(result as Completion, request)) };
}

/** Headers of an answer of a model. */
export function answerHeaders({ id, upstreamId, headers: own }: Turn, type?: string): string[] {
  const headers = [...baseHeaders(id, type), ...own];
  if (upstreamId !== undefined) headers.push("x-upstream-request-id", upstreamId);
  return headers;
}

/** Why there is no answer, in the words of the client's interface. */
export function errorReply(turn: Turn, error: unknown): Reply {
  const failure = failureOf(error);
  const headers = [...errorHeaders(turn.id, failure), ...turn.headers, ...ownHeaders(error)];
  return { status: failure.status, headers, body: JSON.stringify(turn.codec.error(failure, turn.id)) };
}

/** Headers that an error brings with it, such as those of a rate limit. */
function ownHeaders(error: unknown): string[] {
  const headers = isMortiseError(error) && error.code === "MORTISE_GATEWAY_RATE_LIMIT" ? error.details["headers"] : undefined;
  return Object.entries((headers ?? {}) as Readonly<Record<string, string>>).flat();
}
