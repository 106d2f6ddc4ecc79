// Errors as QueryMT states them: how they are read, and whether trying again can help.

import { isRecord, parseJson } from "./shapes.ts";

const WITH_MESSAGE = [
  "generic_error",
  "auth_error",
  "tool_config_error",
  "plugin_error",
  "invalid_request",
  "http_error",
  "not_implemented",
  "json_error",
  "invalid_url",
  "io_error",
  "remote_stream_disconnected",
  "remote_stream_reconnected",
] as const;

const PROVIDER_KINDS = [
  "server_overloaded",
  "rate_limited",
  "quota_exceeded",
  "context_window_exceeded",
  "authentication",
  "invalid_request",
  "unsupported_operation",
  "unknown_transient",
  "unknown_permanent",
] as const;
/** Kinds of errors of the server behind a provider. */
export type ProviderErrorKind = (typeof PROVIDER_KINDS)[number];

const TRANSPORT_KINDS = ["connection_refused", "connection_reset", "timeout", "connection_closed", "dns", "tls", "other"] as const;
/** Kinds of errors of the connection. */
export type TransportKind = (typeof TRANSPORT_KINDS)[number];

/** An error as QueryMT states it. */
export type ErrorPayload =
  | { readonly type: (typeof WITH_MESSAGE)[number]; readonly message: string }
  | {
      readonly type: "provider_error";
      readonly message: string;
      readonly kind?: ProviderErrorKind;
      readonly code?: string;
      readonly error_type?: string;
      readonly request_id?: string;
      readonly retry_after_secs?: number;
    }
  | { readonly type: "response_format_error"; readonly message: string; readonly raw_response: string }
  | { readonly type: "rate_limited"; readonly message: string; readonly retry_after_secs: number | null }
  | { readonly type: "http_status"; readonly status_code: number; readonly message: string; readonly retry_after_secs: number | null }
  | { readonly type: "transport"; readonly kind: TransportKind; readonly message: string }
  | { readonly type: "cancelled" };

/** The types of the second generation, by return code. */
const BY_CODE = [
  "generic_error",
  "provider_error",
  "auth_error",
  "invalid_request",
  "rate_limited",
  "http_error",
  "not_implemented",
  "cancelled",
] as const satisfies readonly ErrorPayload["type"][];

/**
 * The error that a plugin left as its error text. Code 1 belongs to both generations, so that the shape of the text decides;
 * what is in neither shape is a `plugin_error` with the text.
 */
export function readErrorText(text: string, returnCode: number): ErrorPayload {
  const value = parseJson(text);
  if (isRecord(value)) {
    const payload = readPayload(value["payload"]);
    if (payload !== undefined) return payload;
    if ("kind" in value && "data" in value) return readOldError(value["data"], returnCode);
  }
  return { type: "plugin_error", message: text };
}

function readOldError(data: unknown, returnCode: number): ErrorPayload {
  const type = BY_CODE[returnCode] ?? "generic_error";
  const message =
    typeof data === "string" ? data : isRecord(data) && typeof data["message"] === "string" ? data["message"] : (JSON.stringify(data) ?? "");
  const fields = isRecord(data) ? data : {};
  return readPayload({ ...fields, type, message }) ?? { type: "generic_error", message };
}

/** An error payload, with known fields of the right types only; undefined if it is none. */
export function readPayload(value: unknown): ErrorPayload | undefined {
  if (!isRecord(value)) return undefined;
  const { type } = value;
  if (type === "cancelled") return { type };
  const message = textOr(value["message"], undefined);
  if (message === undefined) return undefined;
  const retry_after_secs = secondsOf(value["retry_after_secs"]);
  switch (type) {
    case "provider_error":
      return {
        type,
        message,
        ...(value["kind"] === undefined || value["kind"] === null ? {} : { kind: known(PROVIDER_KINDS, value["kind"]) ?? "unknown_permanent" }),
        ...optionalTexts(value, ["code", "error_type", "request_id"]),
        ...(retry_after_secs === null ? {} : { retry_after_secs }),
      };
    case "response_format_error":
      return { type, message, raw_response: textOr(value["raw_response"], "") };
    case "rate_limited":
      return { type, message, retry_after_secs };
    case "http_status":
      return typeof value["status_code"] === "number" ? { type, status_code: value["status_code"], message, retry_after_secs } : undefined;
    case "transport":
      return { type, kind: known(TRANSPORT_KINDS, value["kind"]) ?? "other", message };
    default: {
      const plain = known(WITH_MESSAGE, type);
      return plain === undefined ? undefined : { type: plain, message };
    }
  }
}

function known<Name extends string>(names: readonly Name[], value: unknown): Name | undefined {
  return names.find((name) => name === value);
}

function textOr<Other>(value: unknown, other: Other): string | Other {
  return typeof value === "string" ? value : other;
}

function secondsOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

function optionalTexts(value: Record<string, unknown>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (typeof value[name] === "string" ? [[name, value[name]]] : [])));
}

const RETRYABLE: ReadonlySet<ErrorPayload["type"]> = new Set<ErrorPayload["type"]>([
  "transport",
  "http_error",
  "rate_limited",
  "io_error",
  "plugin_error",
]);
const RETRYABLE_KINDS: ReadonlySet<ProviderErrorKind | undefined> = new Set<ProviderErrorKind | undefined>([
  "server_overloaded",
  "rate_limited",
  "unknown_transient",
]);

/** Whether the same request may succeed later, as QueryMT decides it. */
export function isRetryable(payload: ErrorPayload): boolean {
  if (payload.type === "provider_error") return RETRYABLE_KINDS.has(payload.kind);
  if (payload.type === "http_status") return payload.status_code === 429 || payload.status_code >= 500;
  return RETRYABLE.has(payload.type);
}

/** What to wait before trying again, in seconds, where the payload says so. */
export function retryAfterOf(payload: ErrorPayload): number | undefined {
  return "retry_after_secs" in payload ? (payload.retry_after_secs ?? undefined) : undefined;
}
