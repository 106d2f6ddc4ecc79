// Errors of providers, from whatever stopped them.

import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import { codeOf } from "../services/http/failures.ts";
import { withoutHidden } from "./hidden-key.ts";
import { type ErrorPayload, type TransportKind, isRetryable, readErrorText, retryAfterOf } from "./payload.ts";
import type { Giver } from "./shapes.ts";

/** A MORTISE_PROVIDER_ERROR with the payload, whether trying again can help, and after how long. */
export function providerError(giver: Giver, payload: ErrorPayload, cause?: unknown): MortiseError {
  const message = "message" in payload ? payload.message : "";
  const retryAfterSecs = retryAfterOf(payload);
  const details = {
    plugin: giver.plugin,
    function: giver.function,
    reason: message === "" ? payload.type : `${payload.type}: ${printable(message)}`,
    payload,
    retryable: isRetryable(payload),
    ...(retryAfterSecs === undefined ? {} : { retryAfterSecs }),
  };
  return new MortiseError("MORTISE_PROVIDER_ERROR", details, cause);
}

/** The error without what {@link hiddenOf} gives, wherever a server, or a plugin after it, repeats it. */
export function hideIn(error: unknown, hidden: readonly string[]): unknown {
  const payload = payloadOf(error);
  if (payload === undefined || !isMortiseError(error)) return error;
  const told = Object.fromEntries(
    Object.entries(payload).map(([name, value]) => [name, typeof value === "string" ? withoutHidden(value, hidden) : value]),
  );
  if (Object.entries(payload).every(([name, value]) => told[name] === value)) return error;
  const { plugin, function: fn } = error.details;
  // Without what it came from, which has it too.
  return providerError({ plugin: String(plugin), function: String(fn) }, told as ErrorPayload);
}

/** The payload of an error of {@link providerError}. */
export function payloadOf(error: unknown): ErrorPayload | undefined {
  return isMortiseError(error) && error.code === "MORTISE_PROVIDER_ERROR" ? (error.details["payload"] as ErrorPayload) : undefined;
}

/** True for a provider that says it does not do something. */
export function isNotImplemented(error: unknown): boolean {
  return payloadOf(error)?.type === "not_implemented";
}

/**
 * What an error of a call or a request becomes: errors that plugin or network mean become provider errors; those of
 * permissions, limits and deadlines stay what they are.
 */
export function translated(giver: Giver, error: unknown): unknown {
  if (!isMortiseError(error)) return error;
  switch (error.code) {
    case "MORTISE_GUEST_ERROR": {
      const { reason, returnCode } = error.details;
      return providerError(giver, readErrorText(String(reason), typeof returnCode === "number" ? returnCode : 0), error);
    }
    case "MORTISE_RETURN_CODE":
      return providerError(giver, { type: "plugin_error", message: error.message }, error);
    case "MORTISE_HOST_FUNCTION":
      // One of ours, which gave it its code.
      return isMortiseError(error.cause) ? translated(giver, error.cause) : error;
    case "MORTISE_HTTP_FAILED":
    case "MORTISE_HTTP_TIMEOUT":
    case "MORTISE_HTTP_IDLE":
      return providerError(giver, transportPayload(error), error);
    default:
      return error;
  }
}

/** Errors of connections by the code that Node gives them. */
const KINDS: Readonly<Record<string, TransportKind>> = {
  ECONNREFUSED: "connection_refused",
  ECONNRESET: "connection_reset",
  UND_ERR_SOCKET: "connection_reset",
  EPIPE: "connection_closed",
  ETIMEDOUT: "timeout",
  ENOTFOUND: "dns",
  EAI_AGAIN: "dns",
  EBUSY: "dns",
};
const TLS = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS|EPROTO/;

/** An error of HTTP as QueryMT states it. */
export function transportPayload(error: MortiseError): ErrorPayload {
  return { type: "transport", kind: error.code === "MORTISE_HTTP_FAILED" ? kindOf(error.cause) : "timeout", message: error.message };
}

function kindOf(cause: unknown): TransportKind {
  const code = codeOf(cause) ?? codeOf(cause instanceof Error ? cause.cause : undefined) ?? "";
  const known = Object.hasOwn(KINDS, code) ? KINDS[code] : undefined;
  return known ?? (TLS.test(code) ? "tls" : "other");
}
