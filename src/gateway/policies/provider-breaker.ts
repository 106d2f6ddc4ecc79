// The circuit breaker of a provider: who fails again and again is not asked for a while, and then tried again.

import { type BreakerOptions, MortiseError } from "mortise";

import type { Failure, FailureKind } from "../types.ts";
import { checkKeys, checkMs, checkWhole, invalidOption, withDefaults } from "./check-options.ts";
import { REAL_TIME, type Timing } from "./timing.ts";

/** Options with every default filled in; they are those of a plugin's breaker. */
export type ResolvedProviderBreaker = Required<BreakerOptions>;

const DEFAULTS: ResolvedProviderBreaker = { failures: 10, windowMs: 10_000, share: 0.5, openMs: 5000, probes: 3 };

/** Fills in defaults; undefined for a provider without a breaker. @throws MortiseError MORTISE_INVALID_OPTION */
export function resolveProviderBreaker(options: BreakerOptions | false = {}, option = "breaker"): ResolvedProviderBreaker | undefined {
  if (options === false) return undefined;
  checkKeys(options, option, Object.keys(DEFAULTS));
  const resolved = withDefaults(DEFAULTS, options);
  checkWhole(resolved.failures, `${option}.failures`, 1, 10_000);
  checkWhole(resolved.probes, `${option}.probes`, 1, 10_000);
  checkMs(resolved.windowMs, `${option}.windowMs`);
  checkMs(resolved.openMs, `${option}.openMs`);
  if (!(typeof resolved.share === "number" && resolved.share >= 0 && resolved.share <= 1))
    throw invalidOption(`${option}.share`, String(resolved.share), "a number from 0 to 1");
  return Object.freeze(resolved);
}

/** States: asks, does not ask, asks one request at a time to see. */
export type BreakerState = "closed" | "open" | "half-open";

/** What says that a provider is unwell. Keys and limits are the key ring's business, and what is wrong with a request is the client's. */
const UNWELL: ReadonlySet<FailureKind> = new Set<FailureKind>(["timeout", "overloaded", "upstream", "internal"]);

/** True for a failure that counts. */
export function isUnwell({ kind }: Failure): boolean {
  return UNWELL.has(kind);
}

/** What a request is let in with, and gives back when it has ended: those of an earlier time say nothing of the present one. */
export type BreakerTicket = number;

/** What a breaker says of itself. */
export interface ProviderBreakerDescription {
  readonly state: BreakerState;
  /** The last failure that counted. */
  readonly lastFailure: string | undefined;
  /** Milliseconds until an open breaker lets a request through; 0 where it is not open. */
  readonly retryInMs: number;
}

/** Counts how requests to a provider end. */
export class ProviderBreaker {
  readonly #provider: string;
  readonly #options: ResolvedProviderBreaker;
  readonly #clock: () => number;
  readonly #changed: ((state: BreakerState, reason: string) => void) | undefined;
  #state: BreakerState = "closed";
  /** The last failures, as many as open it: when, and how many requests had ended before; the oldest first. */
  #failures: { readonly at: number; readonly ended: number }[] = [];
  #ended = 0;
  #last: string | undefined;
  /** Grows whenever the state changes. */
  #epoch = 0;
  #openedAt = 0;
  #probing = false;
  #probedAt = 0;
  #passed = 0;

  /** @param changed is told of each change of state */
  constructor(
    provider: string,
    options: ResolvedProviderBreaker,
    timing: Pick<Timing, "clock"> = REAL_TIME,
    changed?: (state: BreakerState, reason: string) => void,
  ) {
    this.#provider = provider;
    this.#options = options;
    this.#clock = timing.clock;
    this.#changed = changed;
  }

  /** Lets a request in; `ended` must be called for each. @throws MortiseError MORTISE_GATEWAY_SUSPENDED */
  enter(): BreakerTicket {
    if (this.#state === "open") {
      if (this.#clock() - this.#openedAt < this.#options.openMs) throw this.#suspended();
      this.#become("half-open", `${this.#options.openMs} ms have passed`);
      this.#passed = 0;
    }
    if (this.#state === "half-open") {
      // A probe that takes long, or never says how it ended, must not keep everybody out.
      if (this.#probing && this.#clock() - this.#probedAt < this.#options.openMs) throw this.#suspended();
      this.#probing = true;
      this.#probedAt = this.#clock();
    }
    return this.#epoch;
  }

  #suspended(): MortiseError {
    const { retryInMs } = this.describe();
    return new MortiseError("MORTISE_GATEWAY_SUSPENDED", {
      provider: this.#provider,
      lastFailure: this.#last,
      state: this.#state,
      ...(retryInMs > 0 && { retryAfterMs: Math.ceil(retryInMs) }),
    });
  }

  /** A request has ended: well, or with a failure. */
  ended(ticket: BreakerTicket, failure?: Failure): void {
    this.#ended++;
    if (ticket !== this.#epoch) return;
    const failed = failure !== undefined && isUnwell(failure);
    if (failed) this.#last = `${failure.kind} (${failure.status})`;
    if (this.#state === "half-open") {
      this.#probing = false;
      if (failed) this.#open("a probe failed");
      // A client that leaves says nothing of the provider.
      else if (failure?.kind !== "cancelled" && ++this.#passed >= this.#options.probes) this.#close();
    } else if (failed) {
      this.#failed();
    }
  }

  #failed(): void {
    const { failures, windowMs, share } = this.#options;
    const at = this.#clock();
    this.#failures.push({ at, ended: this.#ended });
    if (this.#failures.length > failures) this.#failures.shift();
    const [oldest] = this.#failures;
    if (oldest === undefined || this.#failures.length < failures || at - oldest.at > windowMs) return;
    const seen = this.#ended - oldest.ended + 1;
    if (failures >= share * seen) this.#open(`${failures} of ${seen} requests failed within ${windowMs} ms`);
  }

  #open(why: string): void {
    this.#openedAt = this.#clock();
    this.#become("open", `${why}, the last with ${this.#last}`);
  }

  #close(): void {
    this.#failures = [];
    this.#become("closed", `${this.#options.probes} requests in a row went well`);
  }

  #become(state: BreakerState, reason: string): void {
    this.#epoch++;
    this.#probing = false;
    this.#state = state;
    this.#changed?.(state, reason);
  }

  describe(): ProviderBreakerDescription {
    const left = this.#state === "open" ? Math.max(0, this.#openedAt + this.#options.openMs - this.#clock()) : 0;
    return { state: this.#state, lastFailure: this.#last, retryInMs: left };
  }
}
