// How often a request is tried, what is waited in between, and when another target is asked.

import type { Failure, FailureKind } from "../types.ts";
import { checkKeys, checkMs, checkWhole, invalidOption, withDefaults } from "./check-options.ts";

/** What another target may be asked for: a kind of failure, or a status. */
export type FallbackCondition = FailureKind | number;

export interface AttemptOptions {
  /** Times that one target is asked again; 0 for never. @default 2 */
  readonly retries?: number | undefined;
  /** Times that targets are asked, all together. @default 8 */
  readonly maxAttempts?: number | undefined;
  /** Longest wait before the first time that a target is asked again; twice that before the second, and so on. The wait is anything up to it. @default 250 */
  readonly backoffMs?: number | undefined;
  /** What these waits grow to at most. @default 8000 */
  readonly maxBackoffMs?: number | undefined;
  /** Longest wait that a target itself may ask for; one that asks for more is not asked again. @default 10,000 */
  readonly maxRetryAfterMs?: number | undefined;
  /** For one attempt, until it gives something: the whole answer, or the beginning of a stream. @default 300,000 */
  readonly attemptTimeoutMs?: number | undefined;
  /** For all attempts and what is waited. @default 600,000 */
  readonly totalTimeoutMs?: number | undefined;
  /** Failures for which the next target is asked. @default all that are not the request's own fault */
  readonly fallbackOn?: readonly FallbackCondition[] | undefined;
}

/** Options with every default filled in. */
export type AttemptPolicy = { readonly [Name in keyof AttemptOptions]-?: NonNullable<AttemptOptions[Name]> };

/** Every kind, and whether another target is asked for it unless options say otherwise. */
const KINDS: Readonly<Record<FailureKind, boolean>> = {
  invalid_request: false,
  authentication: true,
  permission: true,
  not_found: false,
  too_large: false,
  rate_limited: true,
  quota: true,
  blocked: false,
  cancelled: false,
  timeout: true,
  overloaded: true,
  upstream: true,
  internal: true,
};

const DEFAULTS: AttemptPolicy = {
  retries: 2,
  maxAttempts: 8,
  backoffMs: 250,
  maxBackoffMs: 8000,
  maxRetryAfterMs: 10_000,
  attemptTimeoutMs: 300_000,
  totalTimeoutMs: 600_000,
  fallbackOn: (Object.keys(KINDS) as FailureKind[]).filter((kind) => KINDS[kind]),
};

/** Fills in defaults. @throws MortiseError MORTISE_INVALID_OPTION */
export function resolveAttemptPolicy(options: AttemptOptions = {}, option = "attempts"): AttemptPolicy {
  checkKeys(options, option, Object.keys(DEFAULTS));
  const policy = withDefaults(DEFAULTS, options as Partial<AttemptPolicy>);
  checkWhole(policy.retries, `${option}.retries`, 0, 100);
  checkWhole(policy.maxAttempts, `${option}.maxAttempts`, 1, 1000);
  for (const name of ["backoffMs", "maxBackoffMs", "maxRetryAfterMs"] as const) checkMs(policy[name], `${option}.${name}`, { zero: true });
  for (const name of ["attemptTimeoutMs", "totalTimeoutMs"] as const) checkMs(policy[name], `${option}.${name}`);
  if (!Array.isArray(policy.fallbackOn)) throw invalidOption(`${option}.fallbackOn`, typeof policy.fallbackOn, "a list");
  for (const [index, condition] of policy.fallbackOn.entries())
    if (!(typeof condition === "number" ? Number.isSafeInteger(condition) && condition >= 400 && condition <= 599 : Object.hasOwn(KINDS, condition)))
      throw invalidOption(
        `${option}.fallbackOn[${index}]`,
        String(condition),
        `a status from 400 to 599, or one of ${Object.keys(KINDS).join(", ")}`,
      );
  return Object.freeze(policy);
}

/** Whether another target is asked after a failure. */
export function fallsBack({ fallbackOn }: AttemptPolicy, { kind, status, allowFallbacks }: Failure): boolean {
  return allowFallbacks && fallbackOn.some((condition) => condition === kind || condition === status);
}

/**
 * Milliseconds to wait before a target is asked again; undefined if it asks for more than is waited. Full jitter: anything from
 * 0 to the limit, so that those who failed together do not come back together.
 *
 * @param retry times that it was asked again before
 */
export function waitBeforeRetry(policy: AttemptPolicy, retry: number, { retryAfterMs = 0 }: Failure, random: () => number): number | undefined {
  if (retryAfterMs > policy.maxRetryAfterMs) return undefined;
  const limit = Math.min(policy.maxBackoffMs, policy.backoffMs * 2 ** Math.min(retry, 30));
  return Math.max(retryAfterMs, random() * limit);
}
