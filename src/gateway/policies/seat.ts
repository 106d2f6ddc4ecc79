// The place of a request before a provider: in its gate, with one of its keys, let in by its breaker.

import { failureOf } from "../failure.ts";
import type { Failure } from "../types.ts";
import type { Gate, Pass, Waiting } from "./gate.ts";
import type { KeyChoice, KeyRing } from "./key-ring.ts";
import { type BreakerTicket, type ProviderBreaker, isUnwell } from "./provider-breaker.ts";
import type { Target } from "./router.ts";

/** What stands before a provider; each may be missing. */
export interface Guards {
  readonly keys?: KeyRing | undefined;
  readonly gate?: Gate | undefined;
  readonly breaker?: ProviderBreaker | undefined;
}

/** How a request ended: well, with an error of the provider, or with what says nothing of it. */
type HowItEnded = "well" | "neither" | { readonly error: unknown };

const NO_GUARDS: Guards = {};
/** An end that says nothing of a provider. */
const NEITHER: Failure = { kind: "cancelled", status: 499, message: "", retryable: false, allowFallbacks: false };

/** One place. */
export class Seat {
  readonly #guards: Guards;
  #target: Target;
  #key: KeyChoice | undefined;
  #pass: Pass | undefined;
  #ticket: BreakerTicket | undefined;
  #hasEnded = false;

  constructor(target: Target, guards: Guards = NO_GUARDS) {
    this.#target = target;
    this.#guards = guards;
  }

  get target(): Target {
    return this.#target;
  }

  get key(): KeyChoice | undefined {
    return this.#key;
  }

  /** Passes the gate, at once where nobody waits. @throws MortiseError MORTISE_GATEWAY_BUSY, or the reason of the signal */
  enter(waiting: () => Waiting): undefined | Promise<void> {
    const { gate } = this.#guards;
    this.#pass = gate?.enterNow();
    return gate === undefined || this.#pass !== undefined ? undefined : this.#wait(gate, waiting());
  }

  async #wait(gate: Gate, waiting: Waiting): Promise<void> {
    this.#pass = await gate.enter(waiting);
  }

  /** Chooses a key, and asks the breaker. @throws MortiseError MORTISE_GATEWAY_NO_KEY, MORTISE_GATEWAY_SUSPENDED; it has been left then */
  begin(): void {
    try {
      this.#key = this.#guards.keys?.choose(this.#target.model);
      // Last, since whoever it lets in must begin.
      this.#ticket = this.#guards.breaker?.enter();
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  /** Another model of the same provider is asked. @throws MortiseError MORTISE_GATEWAY_NO_KEY */
  change(target: Target): void {
    this.#key = this.#guards.keys?.choose(target.model);
    this.#target = target;
  }

  /** Tells key and breaker how the request ended, once. @returns what they were told of an error */
  ended(how: HowItEnded): Failure | undefined {
    if (this.#hasEnded) return undefined;
    this.#hasEnded = true;
    const failure = typeof how === "object" ? this.#told(how.error) : undefined;
    if (this.#ticket !== undefined) this.#guards.breaker?.ended(this.#ticket, how === "neither" ? NEITHER : failure);
    return failure;
  }

  /** Tells that a stream broke, of which was told that it began well: that is one more request, which failed. */
  broke(error: unknown): void {
    const failure = this.#told(error);
    if (this.#ticket !== undefined && isUnwell(failure)) this.#guards.breaker?.ended(this.#ticket, failure);
  }

  #told(error: unknown): Failure {
    const { provider, model } = this.#target;
    const failure = failureOf(error, { provider });
    if (this.#key !== undefined) this.#guards.keys?.failed(this.#key, model, failure);
    return failure;
  }

  /** Milliseconds until there is a key to ask again with: 0 if that is another one, and else a little more than none; undefined without keys. */
  get keyRestMs(): number | undefined {
    const { keys } = this.#guards;
    const { model } = this.#target;
    if (keys === undefined || this.#key === undefined) return undefined;
    return keys.hasOther(model, this.#key) ? 0 : Math.max(1, keys.readyInMs(model));
  }

  /** Gives the place in the gate back; twice is once. */
  leave(): void {
    this.#pass?.leave();
  }
}
