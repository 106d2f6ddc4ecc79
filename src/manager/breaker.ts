// The circuit breaker of one version: what fails again and again is not called for a while, and then tried again.

import type { ErrorCode } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import type { StateMachine } from "./state.ts";

/** Options of a breaker. */
export interface BreakerOptions {
  /** Failures within the window that open it. @default 10 */
  readonly failures?: number;
  /** Milliseconds of the window. @default 10,000 */
  readonly windowMs?: number;
  /** Part of the calls since the first of these failures that must have failed, so that rare failures of a busy plugin do not open it. @default 0.5 */
  readonly share?: number;
  /** Milliseconds that it stays open. @default 5,000 */
  readonly openMs?: number;
  /** Calls that must go well, one at a time, for it to close again. @default 3 */
  readonly probes?: number;
}

/** Options with every default filled in. */
export type ResolvedBreaker = Required<BreakerOptions>;

const DEFAULTS: ResolvedBreaker = { failures: 10, windowMs: 10_000, share: 0.5, openMs: 5000, probes: 3 };
/** Failures are remembered one by one. */
const MOST_FAILURES = 10_000;

/** Fills in defaults; undefined for a plugin without a breaker. @throws MortiseError MORTISE_INVALID_OPTION */
export function resolveBreaker(options: BreakerOptions | false = {}): ResolvedBreaker | undefined {
  if (options === false) return undefined;
  if (typeof options !== "object" || options === null) throw invalidOption("breaker", String(options), "false, or an object");
  for (const key of Object.keys(options))
    if (!Object.hasOwn(DEFAULTS, key)) throw invalidOption(`breaker.${key}`, "unknown", `one of ${Object.keys(DEFAULTS).join(", ")}`);
  const resolved = { ...DEFAULTS, ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) };
  for (const key of ["failures", "probes"] as const) {
    const value = resolved[key];
    if (!(Number.isSafeInteger(value) && value >= 1 && value <= MOST_FAILURES))
      throw invalidOption(`breaker.${key}`, String(value), `a whole number from 1 to ${MOST_FAILURES}`);
  }
  for (const key of ["windowMs", "openMs"] as const)
    if (!(typeof resolved[key] === "number" && resolved[key] > 0))
      throw invalidOption(`breaker.${key}`, String(resolved[key]), "more than 0 milliseconds");
  if (!(typeof resolved.share === "number" && resolved.share >= 0 && resolved.share <= 1))
    throw invalidOption("breaker.share", String(resolved.share), "a number from 0 to 1");
  return Object.freeze(resolved);
}

/** What says that a plugin is unwell. What it says itself, and what the caller or the host is to blame for, is not among them. */
const FAILURES: ReadonlySet<ErrorCode> = new Set([
  "MORTISE_TIMEOUT",
  "MORTISE_FUEL",
  "MORTISE_MEMORY_LIMIT",
  "MORTISE_TABLE_LIMIT",
  "MORTISE_STACK_OVERFLOW",
  "MORTISE_TRAP",
  "MORTISE_UNCAUGHT_EXCEPTION",
  "MORTISE_EXIT",
  "MORTISE_BAD_POINTER",
  "MORTISE_BAD_ALLOCATION",
  "MORTISE_OUTPUT_LIMIT",
  "MORTISE_VAR_LIMIT",
  "MORTISE_HTTP_LIMIT",
  "MORTISE_ISOLATION_LOST",
] satisfies ErrorCode[]);

/** Calls that were ended from outside, or that never came to run: they say nothing of the plugin, and do not count at all. */
const NEITHER: ReadonlySet<ErrorCode> = new Set([
  "MORTISE_ABORTED",
  "MORTISE_CLOSED",
  "MORTISE_HOST_LIMIT",
  "MORTISE_INSTANCE_CAP",
  "MORTISE_INSTANCE_FAILED",
  "MORTISE_WORKER_LIMIT",
  "MORTISE_UNKNOWN_FUNCTION",
  "MORTISE_BAD_SIGNATURE",
  "MORTISE_INVALID_INPUT",
  "MORTISE_INPUT_LIMIT",
  "MORTISE_REENTRANT",
] satisfies ErrorCode[]);

/** What a call is let in with, and gives back when it has ended: those of an earlier time say nothing of the present one. */
export type Ticket = number;

/** A failure that counts: when it was, and how many calls had ended before it. */
interface Failure {
  readonly at: number;
  readonly ended: number;
}

/** What a breaker says of itself. */
export interface BreakerDescription {
  /** Failures in the window, as of the last call. */
  readonly failures: number;
  /** Code of the last failure. */
  readonly lastFailure: ErrorCode | undefined;
  /** Milliseconds until an open breaker lets a call through; 0 where it is not open. */
  readonly retryInMs: number;
}

/** Counts how the calls of a version end, and moves its state between `ready`, `degraded`, `open` and `half-open`. */
export class Breaker {
  readonly #options: ResolvedBreaker;
  readonly #machine: StateMachine;
  readonly #clock: () => number;
  /** The last failures, as many as open it; the oldest first. */
  #failures: Failure[] = [];
  #ended = 0;
  #lastCode: ErrorCode | undefined;
  /** Grows whenever it opens or closes, and with each probe. */
  #epoch = 0;
  #openedAt = 0;
  /** A call is on its way to see whether the plugin answers again: until when that is believed, and how many went well. */
  #probing = false;
  #probeEndsAt = 0;
  #passed = 0;

  constructor(options: ResolvedBreaker, machine: StateMachine, clock: () => number) {
    this.#options = options;
    this.#machine = machine;
    this.#clock = clock;
  }

  /**
   * Lets a call in, or not.
   *
   * @param bounds what the call is bound by, of which only probes are asked
   */
  enter(bounds: () => { readonly timeoutMs: number }): Ticket | undefined {
    const { state } = this.#machine;
    if (state === "open") {
      if (this.#clock() - this.#openedAt < this.#options.openMs) return undefined;
      this.#passed = 0;
      this.#machine.enter("half-open", `${this.#options.openMs} ms have passed`);
      return this.#probe(bounds());
    }
    if (state !== "half-open") return this.#epoch;
    // A probe that never says how it ended, for want of stack, must not keep everybody out.
    if (this.#probing && this.#clock() < this.#probeEndsAt) return undefined;
    return this.#probe(bounds());
  }

  /** Each probe has a ticket of its own: what becomes of one that was given up says nothing any more. */
  #probe({ timeoutMs }: { readonly timeoutMs: number }): Ticket {
    this.#probing = true;
    this.#probeEndsAt = this.#clock() + Math.max(timeoutMs, this.#options.openMs);
    return ++this.#epoch;
  }

  /** False for a call that was let in, but has to ask again if it has not begun: the breaker has opened, closed or given it up since. */
  isCurrent(ticket: Ticket): boolean {
    return ticket === this.#epoch;
  }

  /** A call has ended: well, or with a code. */
  ended(ticket: Ticket, code?: ErrorCode): void {
    if (ticket !== this.#epoch) return;
    const { state } = this.#machine;
    const failed = code !== undefined && FAILURES.has(code);
    const counts = code === undefined || !NEITHER.has(code);
    if (counts) this.#ended++;
    if (state === "half-open") {
      this.#probing = false;
      if (failed) this.#open(code, "a probe failed");
      else if (counts) this.#pass();
    } else if (state === "ready" || state === "degraded") {
      if (failed) this.#failed(code);
      else this.settle();
    }
  }

  #pass(): void {
    const { probes } = this.#options;
    if (++this.#passed < probes) return;
    this.#epoch++;
    this.#failures = [];
    this.#machine.enter("ready", `${probes} calls in a row went well`);
  }

  #failed(code: ErrorCode): void {
    const { failures, windowMs, share } = this.#options;
    const at = this.#clock();
    this.#lastCode = code;
    this.#failures.push({ at, ended: this.#ended });
    if (this.#failures.length > failures) this.#failures.shift();
    const [oldest] = this.#failures;
    const recent = this.#recent(at);
    const seen = this.#ended - (oldest?.ended ?? 0) + 1;
    if (recent === failures && failures >= share * seen) this.#open(code, `${failures} of ${seen} calls failed within ${windowMs} ms`);
    else if (this.#machine.state === "ready" && recent * 2 >= failures)
      this.#machine.enter("degraded", `${recent} calls failed within ${windowMs} ms, the last with ${code}`);
  }

  #open(code: ErrorCode, why: string): void {
    this.#epoch++;
    this.#lastCode = code;
    this.#openedAt = this.#clock();
    this.#machine.enter("open", `${why}, the last with ${code}`);
  }

  /** Failures of those remembered that are not older than the window. */
  #recent(now: number): number {
    return this.#failures.filter(({ at }) => now - at <= this.#options.windowMs).length;
  }

  /** Sees whether what was unwell is well again, for the passing of time alone. */
  settle(): void {
    if (this.#machine.state !== "degraded") return;
    const { failures, windowMs } = this.#options;
    if (this.#recent(this.#clock()) * 2 < failures) this.#machine.enter("ready", `fewer calls failed within ${windowMs} ms`);
  }

  describe(): BreakerDescription {
    const now = this.#clock();
    const { state } = this.#machine;
    const left = state === "open" ? Math.max(this.#openedAt + this.#options.openMs - now, 0) : 0;
    return { failures: this.#recent(now), lastFailure: this.#lastCode, retryInMs: left };
  }
}
