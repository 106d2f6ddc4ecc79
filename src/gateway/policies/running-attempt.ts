// An attempt while it runs: its deadline, and what it holds.

import type { MortiseError } from "mortise";

import { isOfProvider } from "../failure.ts";
import type { Attempt } from "./attempt.ts";
import type { KeyChoice } from "./key-ring.ts";
import type { Target } from "./router.ts";
import { type Guards, Seat } from "./seat.ts";
import type { Timing } from "./timing.ts";

/** Ends an attempt when the client leaves or time is over. */
export class AttemptSignal {
  readonly #client: AbortSignal;
  readonly #timing: Timing;
  readonly #timeoutMs: number;
  readonly #late: () => MortiseError;
  readonly #startedAt: number;
  #controller: AbortController | undefined;
  #cancel: (() => void) | undefined;
  #lateError: MortiseError | undefined;
  #over = false;

  /** @param late makes the error for the deadline; nothing is set up before somebody asks for `signal` */
  constructor(client: AbortSignal, timeoutMs: number, late: () => MortiseError, timing: Timing) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
    this.#late = late;
    this.#timing = timing;
    this.#startedAt = timing.clock();
  }

  get timeLeftMs(): number {
    return Math.max(0, this.#startedAt + this.#timeoutMs - this.#timing.clock());
  }

  get signal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal;
    const controller = new AbortController();
    this.#controller = controller;
    if (this.#client.aborted) controller.abort(this.#client.reason);
    else if (!this.#over) {
      this.#client.addEventListener("abort", this.#clientLeft);
      this.#cancel = this.#timing.after(this.timeLeftMs, this.#timeIsOver);
    }
    return controller.signal;
  }

  /** The error of the deadline, if it has passed while the attempt ran. */
  get lateError(): MortiseError | undefined {
    return this.#lateError;
  }

  readonly #clientLeft = (): void => this.#controller?.abort(this.#client.reason);

  readonly #timeIsOver = (): void => {
    this.#lateError = this.#late();
    this.#controller?.abort(this.#lateError);
  };

  /** The attempt is over: deadlines hold no more. */
  disarm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Nothing of it is needed any more. */
  close(): void {
    this.#over = true;
    this.disarm();
    if (this.#controller !== undefined) this.#client.removeEventListener("abort", this.#clientLeft);
  }
}

/** What an attempt is made of. */
interface AttemptParts extends Pick<Attempt, "target" | "index" | "retry"> {
  /** Before the provider of the target. */
  readonly seat: Seat;
  readonly deadline: AttemptSignal;
  readonly committed: () => void;
  readonly client: string | undefined;
  readonly guards: ((target: Target) => Guards | undefined) | undefined;
}

/** What an attempt is given, and what it holds. */
export class RunningAttempt implements Attempt {
  readonly target: Target;
  readonly index: number;
  readonly retry: number;
  readonly #parts: AttemptParts;
  readonly #deadline: AttemptSignal;
  #seat: Seat;
  #grantedMs: number;
  #release: ((error?: unknown) => void) | undefined;
  #held = false;
  #blamed: { readonly error: unknown } | undefined;
  /** The holder has let go before the attempt was over, with this error. */
  #letGo: { readonly error: unknown } | undefined;

  constructor(parts: AttemptParts) {
    this.target = parts.target;
    this.index = parts.index;
    this.retry = parts.retry;
    this.#parts = parts;
    this.#deadline = parts.deadline;
    this.#seat = parts.seat;
    this.#grantedMs = parts.deadline.timeLeftMs;
  }

  /** Milliseconds that there were when the provider that is asked let it in. */
  get grantedMs(): number {
    return this.#grantedMs;
  }

  /** Before the provider that is asked. */
  get seat(): Seat {
    return this.#seat;
  }

  get asks(): Target {
    return this.#seat.target;
  }

  get key(): KeyChoice | undefined {
    return this.#seat.key;
  }

  get signal(): AbortSignal {
    return this.#deadline.signal;
  }

  get timeoutMs(): number {
    return this.#deadline.timeLeftMs;
  }

  get blamed(): { readonly error: unknown } | undefined {
    return this.#blamed;
  }

  async moveTo(asks: Target): Promise<void> {
    const before = this.#seat;
    if (asks.provider === before.target.provider) return before.change(asks);
    before.ended(this.#blamed ?? "neither");
    this.#blamed = undefined;
    // Not both at a time: those who wait here for what others hold there would wait for each other.
    before.leave();
    const { guards, client } = this.#parts;
    const seat = new Seat(asks, guards?.(asks));
    await seat.enter(() => ({ client, signal: this.signal, waitMs: this.timeoutMs }));
    seat.begin();
    this.#seat = seat;
    this.#grantedMs = this.timeoutMs;
  }

  commit(): void {
    this.#parts.committed();
  }

  blame(error: unknown): void {
    if (isOfProvider(error)) this.#blamed = { error };
  }

  hold(): (error?: unknown) => void {
    this.#held = true;
    return (error) => {
      if (this.#letGo !== undefined) return;
      this.#letGo = { error };
      this.#deadline.close();
      this.#release?.(error);
    };
  }

  /** It gave something; `release` gives back what it holds, now or when the holder lets go. */
  done(release: (error?: unknown) => void): void {
    this.#deadline.disarm();
    if (this.#held && this.#letGo === undefined) {
      this.#release = release;
      return;
    }
    this.#deadline.close();
    release(this.#letGo?.error);
  }

  /** It failed: nothing is held any more, whoever wanted to. */
  fail(): void {
    this.#letGo ??= { error: undefined };
    this.#deadline.close();
  }
}
