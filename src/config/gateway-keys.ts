// The numbers of `[gateway]`, by the names that the options of a gateway have.

import { HTTP_KEYS, type NumberKeys, kib, mib, ms, whole } from "./number-keys.ts";

const MAX_PORT = 65_535;
const DAY_MS = 86_400_000;
const MANY = 1_000_000;

/** Numbers of `[gateway]` itself. */
export const GATEWAY_KEYS: NumberKeys<"port" | "metricsPort" | "drainMs"> = {
  port: whole("port", "Port that clients connect to; 0 is any that is free.", { standard: 8080, most: MAX_PORT }),
  metricsPort: whole("metrics_port", "Port of metrics, on this machine alone; any that is free if absent.", { most: MAX_PORT }),
  drainMs: ms("drain_ms", "Milliseconds that requests under way have when the gateway stops.", { standard: 25_000, least: 1, most: DAY_MS }),
};

/** `[gateway.limits]`. */
export const GATEWAY_LIMIT_KEYS: NumberKeys<"bodyBytes" | "pendingBodyBytes" | "headerBytes" | "requests" | "timeoutMs"> = {
  bodyBytes: mib("body_mb", "MiB of a request's body.", { standard: 16, least: 1 / 1024, most: 1024 }),
  pendingBodyBytes: mib(
    "pending_body_mb",
    "MiB of the bodies of all requests under way together, no less than body_mb; others are answered with 503.",
    {
      standard: 1024,
      least: 1 / 1024,
      most: 1 << 20,
    },
  ),
  headerBytes: kib("header_kb", "KiB of a request's headers.", { standard: 16, least: 1, most: 1024 }),
  requests: whole("requests", "Requests at a time; others are answered with 503.", { standard: 16_384, least: 1 }),
  timeoutMs: whole("timeout_ms", "Milliseconds for one request with all its attempts, to the end of its answer, without what its body takes.", {
    standard: 600_000,
    least: 1,
    unlimited: true,
  }),
};

/** Numbers of `[gateway.attempts]`. */
export const ATTEMPT_KEYS: NumberKeys<
  "retries" | "maxAttempts" | "backoffMs" | "maxBackoffMs" | "maxRetryAfterMs" | "attemptTimeoutMs" | "totalTimeoutMs"
> = {
  retries: whole("retries", "Times that one model is asked again; 0 for never.", { standard: 2, most: 100 }),
  maxAttempts: whole("max_attempts", "Times that models are asked, all together.", { standard: 8, least: 1, most: 1000 }),
  backoffMs: ms("backoff_ms", "Longest wait in milliseconds before a model is asked again; twice that before the next time, and so on.", {
    standard: 250,
    most: DAY_MS,
  }),
  maxBackoffMs: ms("max_backoff_ms", "What these waits grow to at most.", { standard: 8000, most: DAY_MS }),
  maxRetryAfterMs: ms("max_retry_after_ms", "Longest wait that a model's server itself may ask for.", { standard: 10_000, most: DAY_MS }),
  attemptTimeoutMs: ms("attempt_timeout_ms", "Milliseconds until an attempt gives something: the answer, or the beginning of a stream.", {
    standard: 300_000,
    least: 1,
    most: DAY_MS,
  }),
  totalTimeoutMs: ms("total_timeout_ms", "Milliseconds for all attempts, and the waits between them.", {
    standard: 600_000,
    least: 1,
    most: DAY_MS,
  }),
};

/** Of a gate: `[gateway.client_concurrency]`, `[gateway.providers.concurrency]`. */
export const GATE_KEYS: NumberKeys<"limit" | "queue" | "queueMs"> = {
  limit: whole("limit", "Requests under way at a time.", { least: 1, most: MANY }),
  queue: whole("queue", "Requests that wait at most; 0 for none.", { standard: 1000, most: MANY }),
  queueMs: ms("queue_ms", "Milliseconds that one waits at most.", { standard: 10_000, least: 1, most: DAY_MS }),
};

/** Of a rate: `[[gateway.rates]]`, `[[gateway.clients.rates]]`. */
export const RATE_KEYS: NumberKeys<"requests" | "tokens" | "windowMs"> = {
  requests: whole("requests", "Requests in one window.", { most: 1e12 }),
  tokens: whole("tokens", "Tokens of input and output together in one window.", { most: 1e12 }),
  windowMs: whole("window_ms", "Milliseconds of a window.", { standard: 60_000, least: 1, most: 31 * DAY_MS }),
};

/** `[gateway.providers.key_rest]`. */
export const KEY_REST_KEYS: NumberKeys<"refusedRestMs" | "limitedRestMs" | "maxRestMs"> = {
  refusedRestMs: ms("refused_ms", "Milliseconds that a key rests that was refused.", { standard: 300_000, least: 1, most: DAY_MS }),
  limitedRestMs: ms("limited_ms", "Milliseconds that a key rests for a model after a 429 that says no time.", {
    standard: 5000,
    least: 1,
    most: DAY_MS,
  }),
  maxRestMs: ms("max_ms", "Longest rest in milliseconds that a 429 can ask for.", { standard: 600_000, least: 1, most: DAY_MS }),
};

/** Numbers of `[[gateway.providers]]` itself. */
export const PROVIDER_KEYS: NumberKeys<"requestTimeoutMs" | "streamTimeoutMs" | "maxInstances" | "maxLineBytes"> = {
  requestTimeoutMs: ms("request_timeout_ms", "Milliseconds for one request, all that it takes.", { standard: 120_000, least: 1, most: DAY_MS }),
  streamTimeoutMs: ms("stream_timeout_ms", "Milliseconds for one stream, to its end.", { standard: 600_000, least: 1, most: DAY_MS }),
  maxInstances: whole("max_instances", "Instances for calls at a time; with 1 a provider that keeps something between calls has all of it in one.", {
    standard: 8,
    least: 1,
    most: 10_000,
  }),
  maxLineBytes: kib("max_line_kb", "KiB of one line of a stream.", { standard: 1024, least: 1, most: 1 << 20 }),
};

/** `[gateway.providers.http]`: the numbers of `[plugins.http]` with the defaults of providers, and those of streams. */
export const PROVIDER_HTTP_KEYS: NumberKeys<keyof typeof HTTP_KEYS | "maxStreamBytes" | "idleTimeoutMs"> = {
  ...HTTP_KEYS,
  maxResponseBytes: { ...HTTP_KEYS.maxResponseBytes, standard: 8192 },
  // What bounds requests to a provider is its `concurrency`.
  maxConcurrent: { ...HTTP_KEYS.maxConcurrent, standard: 10_000 },
  timeoutMs: {
    ...HTTP_KEYS.timeoutMs,
    description: "Milliseconds until a response is complete, or until the head of one that streams is there.",
    standard: 120_000,
  },
  maxStreamBytes: mib("max_stream_mb", "MiB of a response that streams.", { standard: 1024, least: 1, most: 1 << 20 }),
  idleTimeoutMs: whole("idle_timeout_ms", "Milliseconds between two pieces of a response that streams.", {
    standard: 60_000,
    least: 1,
    most: DAY_MS,
  }),
};
