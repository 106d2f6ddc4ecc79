// Failures as plugins see them, and errors of plugins as failures.

import { type JsonObject, type LlmError, type LlmRequest, MortiseError } from "mortise";

import { MAX_MESSAGE_CHARS, STATUS_KINDS } from "./provider-failure.ts";
import type { Failure, FailureKind } from "./types.ts";

const BLOCKED = /block|denied|policy|guard|filter|unsafe/i;
const MAX_RETRY_AFTER_MS = 86_400_000;

/** A failure in the form that `post_hook` gets. */
export function llmErrorOf(failure: Failure, { provider, model, request_type }: LlmRequest): LlmError & JsonObject {
  const { kind, status, message, code, param, allowFallbacks } = failure;
  return {
    is_bifrost_error: failure.upstream === undefined,
    status_code: status,
    type: kind,
    error: { message, type: kind, ...(code !== undefined && { code }), ...(param !== undefined && { param }) },
    allow_fallbacks: allowFallbacks,
    extra_fields: { provider, original_model_requested: model, request_type },
  };
}

/** The error for an error that a plugin answered with. */
export function answered(error: LlmError & JsonObject, provider: string): MortiseError {
  const { code, type = error.type, param } = error.error;
  const status = error.status_code ?? (error.is_bifrost_error === true ? 500 : 400);
  const message = error.error.message.slice(0, MAX_MESSAGE_CHARS);
  const failure: Failure = {
    kind: kindOf(status, `${type ?? ""} ${typeof code === "string" ? code : ""}`),
    status,
    message,
    ...(typeof code === "string" && code !== "" && { code }),
    ...(typeof param === "string" && param !== "" && { param }),
    retryable: false,
    allowFallbacks: error.allow_fallbacks !== false,
    provider,
    ...retryAfter(error),
  };
  return new MortiseError("MORTISE_GATEWAY_ANSWERED", { reason: message, failure, ...retryWith(error) });
}

function kindOf(status: number, words: string): FailureKind {
  if (status === 403 && BLOCKED.test(words)) return "blocked";
  return STATUS_KINDS[status] ?? (status >= 500 ? "upstream" : BLOCKED.test(words) ? "blocked" : "invalid_request");
}

/** When a client may come again, as a plugin says; a day at most. */
function retryAfter({ extra_fields: extra }: JsonObject): { readonly retryAfterMs?: number } {
  const { retry_after_ms: ms } = (typeof extra === "object" && extra !== null ? extra : {}) as JsonObject;
  return typeof ms === "number" && ms >= 0 ? { retryAfterMs: Math.min(Math.ceil(ms), MAX_RETRY_AFTER_MS) } : {};
}

/** Messages with which a plugin wants the model asked once more. */
function retryWith(error: JsonObject): { readonly retryWith?: readonly unknown[] } {
  const extra = error["extra_fields"];
  if (typeof extra !== "object" || extra === null) return {};
  const { retry_with: messages } = extra as JsonObject;
  return Array.isArray(messages) && messages.length > 0 ? { retryWith: messages as readonly unknown[] } : {};
}
