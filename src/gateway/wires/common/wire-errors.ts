// Failures in the words of each interface.

import type { JsonObject } from "mortise";

import type { ClientApi, Failure, FailureKind } from "../../types.ts";
import { isObject } from "./fields.ts";

/** OpenAI's `type` and `code` of an error. */
const OPENAI: Readonly<Record<FailureKind, readonly [type: string, code: string | null]>> = {
  invalid_request: ["invalid_request_error", null],
  authentication: ["authentication_error", "invalid_api_key"],
  permission: ["permission_error", "permission_denied"],
  not_found: ["invalid_request_error", "not_found"],
  too_large: ["invalid_request_error", "request_too_large"],
  rate_limited: ["rate_limit_error", "rate_limit_exceeded"],
  quota: ["insufficient_quota", "insufficient_quota"],
  blocked: ["invalid_request_error", "content_policy_violation"],
  cancelled: ["invalid_request_error", "request_cancelled"],
  timeout: ["server_error", "timeout"],
  overloaded: ["server_error", "overloaded"],
  upstream: ["server_error", "upstream_error"],
  internal: ["server_error", "internal_error"],
};

/** Anthropic's `type` of an error. */
const ANTHROPIC: Readonly<Record<FailureKind, string>> = {
  invalid_request: "invalid_request_error",
  authentication: "authentication_error",
  permission: "permission_error",
  not_found: "not_found_error",
  too_large: "request_too_large",
  rate_limited: "rate_limit_error",
  quota: "billing_error",
  blocked: "permission_error",
  cancelled: "invalid_request_error",
  timeout: "timeout_error",
  overloaded: "overloaded_error",
  upstream: "api_error",
  internal: "api_error",
};

/** What is inside OpenAI's `error`. */
export function openaiErrorObject({ kind, message, code, param }: Failure): JsonObject & { readonly message: string; readonly code: string | null } {
  const [type, usualCode] = OPENAI[kind];
  return { message, type, param: param ?? null, code: code ?? usualCode };
}

/** Body of an error of OpenAI's interfaces. */
export function openaiError(failure: Failure): JsonObject {
  return upstreamError(failure, (api) => api !== "messages") ?? { error: openaiErrorObject(failure) };
}

/** Body of an error of Anthropic's messages. */
export function anthropicError(failure: Failure, requestId: string): JsonObject {
  const own = { type: "error", error: { type: ANTHROPIC[failure.kind], message: failure.message }, request_id: requestId };
  const said = upstreamError(failure, (api) => api === "messages");
  return said === undefined ? own : { ...said, type: "error", request_id: requestId };
}

/** Statuses with which a server speaks about the client's request; others are about the gateway's keys, or about itself. */
const ABOUT_THE_REQUEST: ReadonlySet<number> = new Set([400, 404, 409, 413, 415, 422, 429]);
const MAX_ERROR_BYTES = 64 * 1024;

/** The server's own words, where they are in the client's interface and concern the client. */
function upstreamError({ upstream }: Failure, speaks: (api: ClientApi) => boolean): JsonObject | undefined {
  if (upstream === undefined || !speaks(upstream.api) || !ABOUT_THE_REQUEST.has(upstream.status)) return undefined;
  if (upstream.body.length > MAX_ERROR_BYTES) return undefined;
  try {
    const body: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(upstream.body));
    return isObject(body) && isObject(body["error"]) && typeof body["error"]["message"] === "string" ? body : undefined;
  } catch {
    return undefined;
  }
}
