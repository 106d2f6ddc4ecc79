// Errors of providers, as QueryMT states them, as failures.

import { type ErrorPayload, type MortiseError, printable } from "mortise";

import type { ClientApi, Failure, FailureKind } from "./types.ts";

/** Longest text that a client is told, in UTF-16 units. */
export const MAX_MESSAGE_CHARS = 2000;

/** What a status of a model's server means. */
function kindOfStatus(status: number): FailureKind {
  if (status === 499) return "cancelled";
  return STATUS_KINDS[status] ?? (status >= 500 || status < 400 ? "upstream" : "invalid_request");
}

/** What statuses say, whoever gives them. */
export const STATUS_KINDS: Readonly<Record<number, FailureKind>> = {
  401: "authentication",
  402: "quota",
  403: "permission",
  404: "not_found",
  408: "timeout",
  413: "too_large",
  429: "rate_limited",
  503: "overloaded",
  504: "timeout",
  529: "overloaded",
};

type PayloadRule = readonly [kind: FailureKind, status: number];
type Kind = NonNullable<Extract<ErrorPayload, { readonly type: "provider_error" }>["kind"]>;

/** For payloads without a status. */
const PAYLOADS: Readonly<Record<Exclude<ErrorPayload["type"], "http_status" | "provider_error">, PayloadRule>> = {
  generic_error: ["upstream", 502],
  auth_error: ["authentication", 401],
  tool_config_error: ["invalid_request", 400],
  plugin_error: ["upstream", 502],
  invalid_request: ["invalid_request", 400],
  http_error: ["upstream", 502],
  not_implemented: ["invalid_request", 400],
  json_error: ["upstream", 502],
  invalid_url: ["upstream", 502],
  io_error: ["upstream", 502],
  remote_stream_disconnected: ["upstream", 502],
  remote_stream_reconnected: ["upstream", 502],
  response_format_error: ["upstream", 502],
  rate_limited: ["rate_limited", 429],
  transport: ["upstream", 502],
  cancelled: ["cancelled", 499],
};

/** Kinds that say more than the status does. */
const KINDS: Readonly<Partial<Record<Kind, PayloadRule>>> = {
  server_overloaded: ["overloaded", 503],
  rate_limited: ["rate_limited", 429],
  quota_exceeded: ["quota", 429],
  context_window_exceeded: ["invalid_request", 400],
  authentication: ["authentication", 401],
  invalid_request: ["invalid_request", 400],
  unsupported_operation: ["invalid_request", 400],
};

/** The status that a model's server answered with, where the error has it. */
function statusOf(payload: ErrorPayload, response: unknown): number | undefined {
  const own = isResponse(response) ? response.status : undefined;
  const stated = payload.type === "http_status" ? payload.status_code : payload.type === "provider_error" ? Number(payload.code) : undefined;
  return [own, stated].find((status) => status !== undefined && Number.isSafeInteger(status) && status >= 400 && status <= 599);
}

/** Undefined for a type that is not known: another copy of the package may have made the error. */
function payloadRule(type: keyof typeof PAYLOADS): PayloadRule | undefined {
  return Object.hasOwn(PAYLOADS, type) ? PAYLOADS[type] : undefined;
}

function ruleOf(payload: ErrorPayload, status: number | undefined): PayloadRule {
  const byStatus: PayloadRule | undefined = status === undefined ? undefined : [kindOfStatus(status), status];
  if (payload.type === "http_status") return byStatus ?? ["upstream", 502];
  if (payload.type === "transport" && payload.kind === "timeout") return ["timeout", 504];
  if (payload.type !== "provider_error") return byStatus ?? payloadRule(payload.type) ?? ["upstream", 502];
  const stated = payload.kind === undefined ? undefined : KINDS[payload.kind];
  if (stated === undefined) return byStatus ?? ["upstream", 502];
  const [kind, usual] = stated;
  // 403 is "authentication" to providers; the difference matters for how long a key rests.
  if (kind === "authentication" && status === 403) return ["permission", 403];
  return [kind, status !== undefined && status >= 500 === usual >= 500 ? status : usual];
}

/** The failure that a MORTISE_PROVIDER_ERROR is; `api` is the interface of `details.response`. */
export function providerFailure({ message, details, code }: MortiseError, api: ClientApi | undefined): Failure {
  const { payload: stated, response, retryAfterSecs, retryable } = details;
  const payload = (typeof stated === "object" && stated !== null ? stated : { type: "generic_error", message }) as ErrorPayload;
  const [kind, status] = ruleOf(payload, statusOf(payload, response));
  const said = "message" in payload && payload.message !== "" ? payload.message : message;
  const theirs = payload.type === "provider_error" && payload.code !== undefined && !/^\d+$/.test(payload.code) ? payload.code : undefined;
  const upstream = isResponse(response) ? upstreamOf(response, api) : undefined;
  return {
    kind,
    status,
    // Servers quote the key that they refuse.
    message: kind === "authentication" ? "The model's server refused the key of the gateway" : printable(said, MAX_MESSAGE_CHARS),
    code: theirs === undefined ? code : printable(theirs),
    ...(typeof retryAfterSecs === "number" && retryAfterSecs >= 0 && { retryAfterMs: retryAfterSecs * 1000 }),
    retryable: retryable === true,
    allowFallbacks: kind !== "cancelled",
    ...(upstream !== undefined && { upstream }),
  };
}

/** `details.response` of a provider that passed a request through. */
interface UpstreamResponse {
  readonly status: number;
  readonly body: Uint8Array;
  readonly api?: unknown;
}

function isResponse(value: unknown): value is UpstreamResponse {
  return (
    typeof value === "object" &&
    value !== null &&
    "status" in value &&
    typeof value.status === "number" &&
    "body" in value &&
    value.body instanceof Uint8Array
  );
}

const CLIENT_API: Readonly<Record<string, ClientApi>> = {
  "openai.chat": "chat",
  "openai.responses": "responses",
  "openai.embeddings": "embeddings",
  "anthropic.messages": "messages",
};

function upstreamOf({ status, body, api: named }: UpstreamResponse, known: ClientApi | undefined): Failure["upstream"] {
  const api = known ?? (typeof named === "string" ? CLIENT_API[named] : undefined);
  return api === undefined ? undefined : { api, status, body };
}
