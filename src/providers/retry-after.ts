// How long a server asks to wait.

import type { HttpResponse } from "../api/http.ts";
import { jsonAt } from "./http-wire.ts";

/** Longest wait that is passed on: a week. */
const MAX_SECS = 604_800;
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001, µs: 0.001, ns: 0.000_001 };
const DURATION = /^(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs|ns))+$/;

/**
 * Whole seconds, rounded up, from the headers `retry-after` (seconds or a date), `retry-after-ms` and
 * `x-ratelimit-reset-requests` (such as `6m0s`), or from the body's `error.retry_after[_secs]` or `retry_after[_secs]`:
 * the first of these that can be read.
 *
 * @param nowMs milliseconds since 1970
 */
export function retryAfterSecs({ headers, body }: Pick<HttpResponse, "headers" | "body">, nowMs: number): number | undefined {
  const header = (name: string): string => (Object.hasOwn(headers, name) ? (headers[name] ?? "").trim() : "");
  const ms =
    secondsMs(header("retry-after")) ??
    dateMs(header("retry-after"), nowMs) ??
    numberMs(header("retry-after-ms"), 1) ??
    durationMs(header("x-ratelimit-reset-requests")) ??
    [["error", "retry_after"], ["error", "retry_after_secs"], ["retry_after"], ["retry_after_secs"]]
      .map((path) => jsonAt(body, ...path))
      .filter((value) => typeof value === "number" && Number.isFinite(value) && value >= 0)
      .map((value) => (value as number) * 1000)[0];
  return ms === undefined ? undefined : Math.min(Math.ceil(ms / 1000), MAX_SECS);
}

function secondsMs(text: string): number | undefined {
  return numberMs(text, 1000);
}

function numberMs(text: string, unitMs: number): number | undefined {
  return /^\d{1,12}(?:\.\d{1,9})?$/.test(text) ? Number(text) * unitMs : undefined;
}

function dateMs(text: string, nowMs: number): number | undefined {
  // The three forms of RFC 9110 begin with a weekday; anything else that Date takes is no date of HTTP.
  const time = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : Math.max(0, time - nowMs);
}

function durationMs(text: string): number | undefined {
  if (text.length > 64 || !DURATION.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)([a-zµ]+)/g)) ms += Number(amount) * (UNIT_MS[unit] ?? 0);
  return ms;
}
