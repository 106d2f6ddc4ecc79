// What a response without success means, where the plugin does not say.

import type { HttpResponse } from "../api/http.ts";
import { withoutHidden } from "./hidden-key.ts";
import { MAX_ERROR_BYTES, jsonAt } from "./http-wire.ts";
import type { ErrorPayload, ProviderErrorKind } from "./payload.ts";
import { retryAfterSecs } from "./retry-after.ts";

const MAX_MESSAGE_CHARS = 4096;

/** What a response is judged with. */
export interface StatusContext {
  /** Milliseconds since 1970, for dates in headers. */
  readonly nowMs: number;
  /** Kept out of what the error says. */
  readonly hidden: readonly string[];
}

/** For conversations. */
export function chatStatusError(response: HttpResponse, { nowMs, hidden }: StatusContext): ErrorPayload {
  const { status } = response;
  if (status === 499) return { type: "cancelled" };
  const after = retryAfterSecs(response, nowMs);
  const wait = after === undefined ? {} : { retry_after_secs: after };
  return { type: "provider_error", message: messageOf(response, hidden), kind: kindOf(status), code: String(status), ...wait };
}

function kindOf(status: number): ProviderErrorKind {
  if (status === 429) return "rate_limited";
  if (status === 401 || status === 403) return "authentication";
  if (status === 400 || status === 422) return "invalid_request";
  return status === 408 || status === 425 || status >= 500 ? "unknown_transient" : "unknown_permanent";
}

/** For everything else: embeddings, lists of models. */
export function statusError(response: HttpResponse, { nowMs, hidden }: StatusContext): ErrorPayload {
  const { status } = response;
  const message = messageOf(response, hidden);
  const retry_after_secs = retryAfterSecs(response, nowMs) ?? null;
  if (status === 499) return { type: "cancelled" };
  if (status === 401 || status === 403) return { type: "auth_error", message };
  if (status === 429) return { type: "rate_limited", message, retry_after_secs };
  if (status === 400) return { type: "invalid_request", message };
  if (status >= 500) return { type: "http_status", status_code: status, message, retry_after_secs };
  return { type: "provider_error", message, ...(retry_after_secs === null ? {} : { retry_after_secs }) };
}

/** What the body says, or the status. */
function messageOf({ status, body }: HttpResponse, hidden: readonly string[]): string {
  const stated = jsonAt(body, "error", "message");
  const text = typeof stated === "string" ? stated : new TextDecoder().decode(body.subarray(0, MAX_ERROR_BYTES)).trim();
  // Before it is cut, which could leave a part of one.
  return text === "" ? `HTTP ${status}` : withoutHidden(text, hidden).slice(0, MAX_MESSAGE_CHARS);
}
