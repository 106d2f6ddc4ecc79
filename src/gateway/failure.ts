// What stopped a request, as a failure: its kind, what a client may be told, and whether asking again can help.

import { type ErrorCode, type MortiseError, isMortiseError, printable } from "mortise";

import { MAX_MESSAGE_CHARS, providerFailure } from "./provider-failure.ts";
import type { ClientApi, Failure, FailureKind } from "./types.ts";

/** What clients are told of things that are none of their business. */
const DEFECT = "Something went wrong inside the gateway";

/** What is known besides the error itself. */
export interface FailureContext {
  /** The provider that was asked. */
  readonly provider?: string;
  /** The interface of the server's answer in `details.response`, where the error does not say it. */
  readonly api?: ClientApi;
}

/** The failure that an error is. Never throws; what is no error of Mortise is `internal`, and its text is kept back. */
export function failureOf(error: unknown, context: FailureContext = {}): Failure {
  if (!isMortiseError(error)) return withProvider(strangerFailure(error), context);
  const stated = error.details["failure"];
  if (isFailure(stated)) return stated;
  if (error.code === "MORTISE_PROVIDER_ERROR") return withProvider(providerFailure(error, context.api), context);
  const entry: Rule | undefined = RULES[error.code];
  const rule = entry ?? { kind: "internal", status: 500, allowFallbacks: true };
  const { param, reason, retryAfterMs, retryInMs } = error.details;
  const wait = [retryAfterMs, retryInMs].find((value) => typeof value === "number" && Number.isFinite(value) && value >= 0);
  const says = rule.says === "reason" && typeof reason === "string" ? reason : rule.says === "nothing" ? DEFECT : error.message;
  const failure: Failure = {
    kind: rule.kind,
    status: rule.status ?? error.status,
    message: printable(says, MAX_MESSAGE_CHARS),
    code: error.code,
    ...(typeof param === "string" && { param: printable(param) }),
    ...(typeof wait === "number" && { retryAfterMs: wait }),
    retryable: rule.retryable === true,
    allowFallbacks: rule.allowFallbacks === true,
  };
  return withProvider(refined(failure, error), context);
}

/**
 * True for an error that says something of the provider that was asked, or of the key that it was asked with: not for one of a
 * plugin of the hooks, of the request, or of the gateway itself.
 */
export function isOfProvider(error: unknown): boolean {
  if (!isMortiseError(error)) return error instanceof Error && error.name === "TimeoutError";
  const { code } = error;
  if (code === "MORTISE_GATEWAY_UPSTREAM" || code === "MORTISE_GATEWAY_DEADLINE") return true;
  return !/^MORTISE_(?:GATEWAY|HOOK|STORE|HOST|AUDIT|CONFIG)_/.test(code) && code !== "MORTISE_ABORTED" && code !== "MORTISE_INTERNAL";
}

function withProvider(failure: Failure, { provider }: FailureContext): Failure {
  return provider === undefined ? failure : { ...failure, provider };
}

function isFailure(value: unknown): value is Failure {
  return typeof value === "object" && value !== null && "kind" in value && "status" in value && "allowFallbacks" in value;
}

/** Errors of the platform: those of signals say what they are. */
function strangerFailure(error: unknown): Failure {
  const name = error instanceof Error ? error.name : "";
  if (name === "TimeoutError") return { kind: "timeout", status: 504, message: "The request took too long", retryable: true, allowFallbacks: true };
  if (name === "AbortError") return { kind: "cancelled", status: 499, message: "The request was cancelled", retryable: false, allowFallbacks: false };
  return { kind: "internal", status: 500, message: DEFECT, code: "MORTISE_INTERNAL", retryable: false, allowFallbacks: true };
}

/** How a code becomes a failure. */
interface Rule {
  readonly kind: FailureKind;
  /** @default that of the code */
  readonly status?: number;
  /** What a client is told. @default the whole message */
  readonly says?: "reason" | "nothing";
  readonly retryable?: true;
  readonly allowFallbacks?: true;
}

const another = { allowFallbacks: true } as const;
const again = { retryable: true, allowFallbacks: true } as const;

/** Codes without a rule are `internal`: they do not concern the client. */
const RULES: Readonly<Partial<Record<ErrorCode, Rule>>> = {
  MORTISE_GATEWAY_REQUEST: { kind: "invalid_request" },
  MORTISE_GATEWAY_KEY: { kind: "authentication" },
  MORTISE_GATEWAY_PATH: { kind: "not_found" },
  MORTISE_GATEWAY_METHOD: { kind: "invalid_request" },
  MORTISE_GATEWAY_MOVED: { kind: "internal" },
  MORTISE_GATEWAY_BODY_LIMIT: { kind: "too_large" },
  MORTISE_GATEWAY_BODY_TYPE: { kind: "invalid_request" },
  MORTISE_GATEWAY_NAME: { kind: "invalid_request" },
  MORTISE_GATEWAY_CANCELLED: { kind: "cancelled" },
  MORTISE_GATEWAY_NO_MODEL: { kind: "not_found" },
  MORTISE_GATEWAY_RATE_LIMIT: { kind: "rate_limited" },
  MORTISE_GATEWAY_FULL: { kind: "overloaded" },
  MORTISE_GATEWAY_BUSY: { kind: "overloaded", ...another },
  MORTISE_GATEWAY_NO_KEY: { kind: "upstream", ...another },
  MORTISE_GATEWAY_SUSPENDED: { kind: "overloaded", ...another },
  MORTISE_GATEWAY_DEADLINE: { kind: "timeout", ...again },
  MORTISE_GATEWAY_UPSTREAM: { kind: "upstream", ...again },
  // hooks: what plugins decide, and what becomes of them
  MORTISE_HOOK_REJECTED: { kind: "blocked", says: "reason" },
  MORTISE_HOOK_INPUT: { kind: "invalid_request" },
  MORTISE_HOOK_FAILED: { kind: "internal", status: 500 },
  MORTISE_HOOK_OUTPUT: { kind: "internal", status: 500 },
  // providers' guests, and what they ask for
  MORTISE_ABORTED: { kind: "cancelled" },
  MORTISE_TIMEOUT: { kind: "timeout", ...another },
  MORTISE_FUEL: { kind: "timeout", ...another },
  MORTISE_INPUT_LIMIT: { kind: "too_large" },
  MORTISE_PROVIDER_OUTPUT: { kind: "upstream", ...another },
  MORTISE_OUTPUT_LIMIT: { kind: "upstream", ...another },
  MORTISE_HTTP_TIMEOUT: { kind: "timeout", ...again },
  MORTISE_HTTP_IDLE: { kind: "timeout", ...again },
  MORTISE_HTTP_FAILED: { kind: "upstream", ...again },
  MORTISE_HTTP_LIMIT: { kind: "upstream", ...another },
  MORTISE_HTTP_INVALID: { kind: "upstream", ...another },
  MORTISE_HTTP_DENIED: { kind: "upstream", status: 502, ...another },
  MORTISE_PLUGIN_SUSPENDED: { kind: "overloaded", ...another },
  MORTISE_HOST_LIMIT: { kind: "overloaded", ...again },
  MORTISE_INSTANCE_CAP: { kind: "overloaded", ...again },
  MORTISE_WORKER_LIMIT: { kind: "overloaded", ...again },
  // what the gateway stands on
  MORTISE_STORE_UNAVAILABLE: { kind: "internal", status: 503, says: "nothing" },
  MORTISE_HOST_CLOSED: { kind: "overloaded", status: 503 },
  MORTISE_INTERNAL: { kind: "internal", says: "nothing", ...another },
};

/** What a code alone does not say. */
function refined(failure: Failure, { code, details }: MortiseError): Failure {
  // Keys that rest for having asked too often: to the client it is that, and nothing worse.
  if (code === "MORTISE_GATEWAY_NO_KEY" && details["kind"] === "rate_limited") return { ...failure, kind: "rate_limited", status: 429 };
  // Once the whole request is late there is no time for anything else.
  if (code === "MORTISE_GATEWAY_DEADLINE" && details["whole"] === true) return { ...failure, retryable: false, allowFallbacks: false };
  if (code === "MORTISE_GATEWAY_UPSTREAM" && details["error"] !== undefined) return streamFailure(failure, details["error"]);
  return failure;
}

/** Words of both vendors for errors inside streams. */
const STREAM_KINDS: readonly (readonly [words: RegExp, kind: FailureKind, status: number])[] = [
  [/overloaded/, "overloaded", 529],
  [/insufficient_quota|billing/, "quota", 429],
  [/rate_limit/, "rate_limited", 429],
  [/invalid_request|context_length/, "invalid_request", 400],
  [/authentication|invalid_api_key/, "authentication", 401],
  [/timeout/, "timeout", 504],
];

function streamFailure(failure: Failure, error: unknown): Failure {
  const { type, code } = typeof error === "object" && error !== null ? (error as { readonly type?: unknown; readonly code?: unknown }) : {};
  const words = `${String(type)} ${String(code)}`;
  const [, kind, status] = STREAM_KINDS.find(([pattern]) => pattern.test(words)) ?? [undefined, failure.kind, failure.status];
  return { ...failure, kind, status, retryable: isPassing(kind) };
}

/** Kinds that may be over soon. */
function isPassing(kind: FailureKind): boolean {
  return kind === "rate_limited" || kind === "overloaded" || kind === "timeout" || kind === "upstream";
}
