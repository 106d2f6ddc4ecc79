// Answers of the gateway's own: JSON, and errors in the words of the client's interface.

import type { JsonObject } from "mortise";

import type { Exchange } from "./exchange.ts";
import type { Failure } from "./types.ts";

const JSON_TYPE = "application/json";

/** Headers that every answer has. */
export function baseHeaders(requestId: string, type: string = JSON_TYPE): string[] {
  return ["content-type", type, "x-request-id", requestId];
}

/** Sends JSON. */
export function sendJson(exchange: Exchange, requestId: string, status: number, body: JsonObject): void {
  exchange.send(status, baseHeaders(requestId), JSON.stringify(body));
}

/** Headers of an error. */
export function errorHeaders(requestId: string, { retryAfterMs }: Failure): string[] {
  const headers = baseHeaders(requestId);
  if (retryAfterMs !== undefined) headers.push("retry-after", String(Math.max(1, Math.ceil(retryAfterMs / 1000))));
  return headers;
}
