// Asks targets until one answers: keys, gates and breakers of their providers, retries, fallbacks and deadlines come together here.

import { MortiseError } from "mortise";

import { failureOf, isOfProvider } from "../failure.ts";
import type { Failure } from "../types.ts";
import { type AttemptPolicy, fallsBack, waitBeforeRetry } from "./attempt-policy.ts";
import type { Attempt } from "./attempt.ts";
import type { Gate, Pass } from "./gate.ts";
import type { KeyChoice, KeyRing } from "./key-ring.ts";
import { type BreakerTicket, type ProviderBreaker, isUnwell } from "./provider-breaker.ts";
import type { Target } from "./router.ts";
import { AttemptSignal, RunningAttempt } from "./running-attempt.ts";
import { REAL_TIME, type Timing } from "./timing.ts";

/** What stands before a provider; each may be missing. */
export interface Guards {
  readonly keys?: KeyRing | undefined;
  readonly gate?: Gate | undefined;
  readonly breaker?: ProviderBreaker | undefined;
}

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

const NO_GUARDS: Guards = {};

/** One request on its way through its targets. */
class Run<T> {
  readonly #plan: AttemptPlan;
  readonly #attempt: (attempt: Attempt) => Promise<T>;
  readonly #timing: Timing;
  readonly #endsAt: number;
  /** Attempts so far. */
  #count = 0;
  /** Something was sent to the client. */
  #committed = false;

  constructor(plan: AttemptPlan, attempt: (attempt: Attempt) => Promise<T>) {
    this.#plan = plan;
    this.#attempt = attempt;
    const { clock = REAL_TIME.clock, random = REAL_TIME.random, sleep = REAL_TIME.sleep, after = REAL_TIME.after } = plan;
    this.#timing = { clock, random, sleep, after };
    this.#endsAt = clock() + plan.policy.totalTimeoutMs;
  }

  get #timeLeftMs(): number {
    return this.#endsAt - this.#timing.clock();
  }

  /** Asks one target, several times if that can help. */
  async ask(target: Target, isLast: () => boolean): Promise<Outcome<T>> {
    const { policy, signal } = this.#plan;
    const guards = this.#plan.guards?.(target) ?? NO_GUARDS;
    for (let retry = 0; ; retry++) {
      const early = this.#over();
      if (early !== undefined) return { ok: false, error: early, fallback: false };
      const index = this.#count;
      const found = await this.#try(target, guards, retry);
      if (found.ok) return found;
      const error = this.#over(found.error) ?? found.error;
      const failure = failureOf(error, { provider: target.provider });
      const waitMs = this.#waitMs(failure, found, { target, guards, retry });
      const last = isLast();
      const next = waitMs !== undefined ? "retry" : !last && this.#mayGoOn() && fallsBack(policy, failure) ? "fallback" : "none";
      this.#plan.onFailed?.({ target, key: found.key?.name, index, retry, failure, error, next, waitMs: waitMs ?? 0 });
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
    const { attemptTimeoutMs, totalTimeoutMs } = this.#plan.policy;
    const [what, limit, option] = whole ? ["the request", totalTimeoutMs, "totalTimeoutMs"] : ["an attempt", attemptTimeoutMs, "attemptTimeoutMs"];
    return new MortiseError("MORTISE_GATEWAY_DEADLINE", { what, limit, option, whole }, cause);
  }

  #mayGoOn(): boolean {
    return !this.#committed && this.#count < this.#plan.policy.maxAttempts && this.#timeLeftMs > 0;
  }

  /** Milliseconds until the same target is asked again; undefined if it is not. */
  #waitMs(
    failure: Failure,
    { began, key, concernsKey }: Miss,
    { target, guards, retry }: { readonly target: Target; readonly guards: Guards; readonly retry: number },
  ): number | undefined {
    const { policy, signal } = this.#plan;
    // What the provider's own guards refuse is not asked for again: they would refuse again.
    if (!began || signal.aborted || retry >= policy.retries || !this.#mayGoOn()) return undefined;
    const restsMs = key !== undefined && guards.keys !== undefined && concernsKey ? restOf(guards.keys, target.model, key) : undefined;
    if (restsMs === 0) return 0;
    const waitMs = failure.retryable ? waitBeforeRetry(policy, retry, failure, this.#timing.random) : undefined;
    if (waitMs === undefined || (restsMs ?? 0) > policy.maxRetryAfterMs) return undefined;
    const longest = Math.max(waitMs, restsMs ?? 0);
    return longest >= this.#timeLeftMs ? undefined : longest;
  }

  async #try(target: Target, { gate, keys, breaker }: Guards, retry: number): Promise<(Outcome<T> & { readonly ok: true }) | Miss> {
    let pass: Pass | undefined;
    let key: KeyChoice | undefined;
    let ticket: BreakerTicket | undefined;
    try {
      if (gate !== undefined) {
        const { client, signal } = this.#plan;
        pass = gate.enterNow() ?? (await gate.enter({ client, signal, waitMs: this.#timeLeftMs }));
        const over = this.#over();
        if (over !== undefined) throw over;
      }
      key = keys?.choose(target.model);
      // Last, since whoever it lets in must begin.
      ticket = breaker?.enter();
    } catch (error) {
      pass?.leave();
      return { ok: false, error, began: false, key: undefined, concernsKey: false };
    }
    const timeLeftMs = this.#timeLeftMs;
    const whole = timeLeftMs <= this.#plan.policy.attemptTimeoutMs;
    const deadline = new AttemptSignal(
      this.#plan.signal,
      Math.min(timeLeftMs, this.#plan.policy.attemptTimeoutMs),
      () => this.#late(whole),
      this.#timing,
    );
    const asked = new RunningAttempt({ target, key, index: this.#count++, retry, deadline, committed: () => (this.#committed = true) });
    const tell = (error: unknown): Failure => {
      const failure = failureOf(error, { provider: target.provider });
      if (key !== undefined) keys?.failed(key, target.model, failure);
      return failure;
    };
    try {
      const value = await this.#attempt(asked);
      const blamed = asked.blamed === undefined || asked.hasLeft ? undefined : tell(asked.blamed.error);
      if (ticket !== undefined) breaker?.ended(ticket, asked.hasLeft ? NEITHER : blamed);
      asked.done((error) => {
        pass?.leave();
        if (error === undefined || asked.hasLeft || !isOfProvider(error)) return;
        const failure = tell(error);
        // That it began well was said when it did; a stream that breaks is one more request, which failed.
        if (ticket !== undefined && isUnwell(failure)) breaker?.ended(ticket, failure);
      });
      return { ok: true, value };
    } catch (error) {
      const isLate = !this.#plan.signal.aborted && deadline.lateError !== undefined;
      const meant = isLate ? deadline.lateError : error;
      // What is left of the time of a request may be too little for anybody.
      const isFair = !this.#plan.signal.aborted && !(isLate && whole && asked.index > 0);
      const theirs = asked.blamed?.error ?? (isFair && isOfProvider(meant) ? meant : undefined);
      const blamed = theirs === undefined || asked.hasLeft ? undefined : tell(theirs);
      if (ticket !== undefined) breaker?.ended(ticket, blamed ?? NEITHER);
      asked.fail();
      pass?.leave();
      return { ok: false, error: meant, began: true, key, concernsKey: blamed !== undefined && isOfKey(blamed) };
    }
  }
}

/** An attempt that gave nothing. */
interface Miss {
  readonly ok: false;
  readonly error: unknown;
  /** The target was asked. */
  readonly began: boolean;
  readonly key: KeyChoice | undefined;
  /** It says something of the key. */
  readonly concernsKey: boolean;
}

/** An end that says nothing of a provider. */
const NEITHER: Failure = { kind: "cancelled", status: 499, message: "", retryable: false, allowFallbacks: false };

/** Failures that are about the key, so that another one may do. */
function isOfKey({ kind }: Failure): boolean {
  return kind === "authentication" || kind === "permission" || kind === "quota" || kind === "rate_limited";
}

/** Milliseconds until there is a key to ask again with: 0 if that is another one, and else a little more than none. */
function restOf(keys: KeyRing, model: string, key: KeyChoice): number {
  return keys.hasOther(model, key) ? 0 : Math.max(1, keys.readyInMs(model));
}
