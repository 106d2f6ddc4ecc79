// Asks targets until one answers: keys, gates and breakers of their providers, retries, fallbacks and deadlines come together here.

import { MortiseError } from "mortise";

import { failureOf, isOfProvider } from "../failure.ts";
import type { Failure } from "../types.ts";
import { type AttemptPolicy, fallsBack, waitBeforeRetry } from "./attempt-policy.ts";
import type { Attempt } from "./attempt.ts";
import type { Target } from "./router.ts";
import { AttemptSignal, RunningAttempt } from "./running-attempt.ts";
import { type Guards, Seat } from "./seat.ts";
import { REAL_TIME, type Timing } from "./timing.ts";

/** What comes after an attempt that failed. */
export interface FailedAttempt {
  readonly target: Target;
  /** Name of the key; undefined if none was chosen. */
  readonly key: string | undefined;
  readonly index: number;
  readonly retry: number;
  readonly failure: Failure;
  readonly error: unknown;
  readonly next: "retry" | "fallback" | "none";
  /** Milliseconds until the next one. */
  readonly waitMs: number;
}

export interface AttemptPlan extends Partial<Timing> {
  /** Who is asked: the first, and if it fails the others, in this order. One at least; an attempt may change those after its own. */
  readonly targets: readonly Target[];
  readonly policy: AttemptPolicy;
  /** Milliseconds that the request may take, of which some may have passed, where that is less than the policy's. @default unlimited */
  readonly bound?: { readonly limitMs: number; readonly leftMs: number } | undefined;
  /** The client's: aborted when it leaves. */
  readonly signal: AbortSignal;
  /** Those who wait at a gate get in in turn among clients. @default "" */
  readonly client?: string | undefined;
  /** What stands before a target's provider. @default nothing */
  readonly guards?: ((target: Target) => Guards | undefined) | undefined;
  /** Is told of each failure, before what comes next is done. Must not throw. */
  readonly onFailed?: ((failed: FailedAttempt) => void) | undefined;
}

/**
 * Runs `attempt` until it gives something, and gives that. Throws what the last attempt that counts threw: where fallbacks were
 * tried and all of them failed, that of the first target.
 *
 * @throws MortiseError MORTISE_GATEWAY_DEADLINE, MORTISE_GATEWAY_CANCELLED, MORTISE_GATEWAY_BUSY, MORTISE_GATEWAY_NO_KEY,
 *   MORTISE_GATEWAY_SUSPENDED, or what `attempt` throws
 */
export async function runAttempts<T>(plan: AttemptPlan, attempt: (attempt: Attempt) => Promise<T>): Promise<T> {
  const run = new Run<T>(plan, attempt);
  let first: { readonly error: unknown } | undefined;
  for (const [index, target] of plan.targets.entries()) {
    const outcome = await run.ask(target, () => index === plan.targets.length - 1);
    if (outcome.ok) return outcome.value;
    first ??= outcome;
    if (!outcome.fallback) throw outcome.error;
  }
  throw first?.error ?? new MortiseError("MORTISE_INTERNAL", { reason: "a request without targets was to be sent" });
}

type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown; readonly fallback: boolean };

/** Part of the usual time that an attempt must have had for the provider to be held to it. */
const FAIR_SHARE = 0.9;
/** Milliseconds before a deadline in which a timer of somebody else may have fired for it. */
const SOON_MS = 2;

/** One request on its way through its targets. */
class Run<T> {
  readonly #plan: AttemptPlan;
  readonly #attempt: (attempt: Attempt) => Promise<T>;
  readonly #timing: Timing;
  readonly #endsAt: number;
  /** Milliseconds that an attempt has, unless others or waits have used them up. */
  readonly #usualMs: number;
  /** Attempts so far. */
  #count = 0;
  /** Something was sent to the client. */
  #committed = false;

  constructor(plan: AttemptPlan, attempt: (attempt: Attempt) => Promise<T>) {
    this.#plan = plan;
    this.#attempt = attempt;
    const { clock = REAL_TIME.clock, random = REAL_TIME.random, sleep = REAL_TIME.sleep, after = REAL_TIME.after } = plan;
    this.#timing = { clock, random, sleep, after };
    const { limitMs = Number.POSITIVE_INFINITY, leftMs = Number.POSITIVE_INFINITY } = plan.bound ?? {};
    const { attemptTimeoutMs, totalTimeoutMs } = plan.policy;
    this.#endsAt = clock() + Math.min(totalTimeoutMs, leftMs);
    this.#usualMs = Math.min(attemptTimeoutMs, totalTimeoutMs, limitMs);
  }

  get #timeLeftMs(): number {
    return this.#endsAt - this.#timing.clock();
  }

  /** Asks one target, several times if that can help. */
  async ask(target: Target, isLast: () => boolean): Promise<Outcome<T>> {
    const { policy, signal } = this.#plan;
    const guards = this.#plan.guards?.(target);
    for (let retry = 0; ; retry++) {
      const early = this.#over();
      if (early !== undefined) return { ok: false, error: early, fallback: false };
      const index = this.#count;
      const found = await this.#try(new Seat(target, guards), retry);
      if (found.ok) return found;
      const error = this.#over(found.error) ?? found.error;
      const { target: asked, key } = found.seat;
      const failure = failureOf(error, { provider: asked.provider });
      const waitMs = this.#waitMs(failure, found, retry);
      const last = isLast();
      const next = waitMs !== undefined ? "retry" : !last && this.#mayGoOn() && fallsBack(policy, failure) ? "fallback" : "none";
      this.#plan.onFailed?.({ target: asked, key: key?.name, index, retry, failure, error, next, waitMs: waitMs ?? 0 });
      if (waitMs === undefined) return { ok: false, error, fallback: next === "fallback" || (last && fallsBack(policy, failure)) };
      if (waitMs > 0) await this.#timing.sleep(waitMs, signal);
    }
  }

  /** Why nothing may be begun any more. */
  #over(cause?: unknown): MortiseError | undefined {
    if (this.#plan.signal.aborted) return new MortiseError("MORTISE_GATEWAY_CANCELLED", {}, cause ?? this.#plan.signal.reason);
    return this.#timeLeftMs > 0 ? undefined : this.#late(true, cause);
  }

  #late(whole: boolean, cause?: unknown): MortiseError {
    const { policy, bound } = this.#plan;
    if (!whole)
      return new MortiseError(
        "MORTISE_GATEWAY_DEADLINE",
        { what: "an attempt", limit: policy.attemptTimeoutMs, option: "attemptTimeoutMs", whole },
        cause,
      );
    const isBound = bound !== undefined && bound.limitMs < policy.totalTimeoutMs;
    const limit = isBound ? bound.limitMs : policy.totalTimeoutMs;
    const option = isBound ? "limits.timeoutMs" : "totalTimeoutMs";
    return new MortiseError("MORTISE_GATEWAY_DEADLINE", { what: "the request", limit, option, whole }, cause);
  }

  #mayGoOn(): boolean {
    return !this.#committed && this.#count < this.#plan.policy.maxAttempts && this.#timeLeftMs > 0;
  }

  /** Milliseconds until the same target is asked again; undefined if it is not. */
  #waitMs(failure: Failure, { began, seat, concernsKey }: Miss, retry: number): number | undefined {
    const { policy, signal } = this.#plan;
    // What the provider's own guards refuse is not asked for again: they would refuse again.
    if (!began || signal.aborted || retry >= policy.retries || !this.#mayGoOn()) return undefined;
    const restsMs = concernsKey ? seat.keyRestMs : undefined;
    if (restsMs === 0) return 0;
    const waitMs = failure.retryable ? waitBeforeRetry(policy, retry, failure, this.#timing.random) : undefined;
    if (waitMs === undefined || (restsMs ?? 0) > policy.maxRetryAfterMs) return undefined;
    const longest = Math.max(waitMs, restsMs ?? 0);
    return longest >= this.#timeLeftMs ? undefined : longest;
  }

  async #try(seat: Seat, retry: number): Promise<(Outcome<T> & { readonly ok: true }) | Miss> {
    const { client, signal, guards } = this.#plan;
    try {
      const entering = seat.enter(() => ({ client, signal, waitMs: this.#timeLeftMs }));
      if (entering !== undefined) {
        await entering;
        const over = this.#over();
        if (over !== undefined) throw over;
      }
      seat.begin();
    } catch (error) {
      seat.leave();
      return { ok: false, error, began: false, seat, concernsKey: false };
    }
    const timeLeftMs = this.#timeLeftMs;
    const whole = timeLeftMs <= this.#plan.policy.attemptTimeoutMs;
    const deadline = new AttemptSignal(
      this.#plan.signal,
      Math.min(timeLeftMs, this.#plan.policy.attemptTimeoutMs),
      () => this.#late(whole),
      this.#timing,
    );
    const committed = (): boolean => (this.#committed = true);
    const asked = new RunningAttempt({ target: seat.target, seat, index: this.#count++, retry, deadline, committed, client, guards });
    // What was left of the time of a request, by those who were asked or waited for before, may be too little for anybody.
    const isTooShort = (): boolean => deadline.timeLeftMs < SOON_MS && asked.grantedMs < FAIR_SHARE * this.#usualMs;
    try {
      const value = await this.#attempt(asked);
      asked.seat.ended(asked.blamed === undefined ? "well" : isTooShort() ? "neither" : asked.blamed);
      asked.done((error) => {
        asked.seat.leave();
        if (error !== undefined && isOfProvider(error)) asked.seat.broke(error);
      });
      return { ok: true, value };
    } catch (error) {
      const { aborted } = this.#plan.signal;
      const isLate = !aborted && deadline.lateError !== undefined;
      const meant = isLate ? deadline.lateError : error;
      const theirs = asked.blamed ?? (!aborted && isOfProvider(meant) ? { error: meant } : undefined);
      const told = asked.seat.ended(theirs === undefined || isTooShort() ? "neither" : theirs);
      asked.fail();
      asked.seat.leave();
      return { ok: false, error: meant, began: true, seat: asked.seat, concernsKey: told !== undefined && isOfKey(told) };
    }
  }
}

/** An attempt that gave nothing. */
interface Miss {
  readonly ok: false;
  readonly error: unknown;
  /** The target was asked. */
  readonly began: boolean;
  /** Before who was asked, or was to be. */
  readonly seat: Seat;
  /** It says something of the key. */
  readonly concernsKey: boolean;
}

/** Failures that are about the key, so that another one may do. */
function isOfKey({ kind }: Failure): boolean {
  return kind === "authentication" || kind === "permission" || kind === "quota" || kind === "rate_limited";
}
