// The part of the thread's time that one plugin may have: whoever has used it up waits, however many short calls it was.

import { MortiseError } from "../api/errors.ts";

/** Milliseconds of the thread that a plugin may use at once after it has rested. */
const BURST_MS = 100;
/** The longest that a timer takes; one for more would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** A call that may have to wait. */
export interface Waiting {
  readonly plugin: string;
  readonly function: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** What one plugin has left of its share. */
export class CpuShare {
  readonly #share: number;
  readonly #clock: () => number;
  /** Milliseconds in hand; negative while it is in debt. */
  #leftMs = BURST_MS;
  #refilledAt: number;
  /** The calls that wait, one behind the other. */
  #queue: Promise<void> = Promise.resolve();
  #queued = 0;
  /** Wakes the first of them. */
  #wake: (() => void) | undefined;

  /** @param share more than 0, and less than 1 */
  constructor(share: number, clock: () => number) {
    this.#share = share;
    this.#clock = clock;
    this.#refilledAt = clock();
  }

  /** True if a call may begin now. */
  get isFree(): boolean {
    return this.#queued === 0 && this.#refill() > 0;
  }

  /** Counts time that the plugin has held the thread. */
  use(ms: number): void {
    this.#leftMs -= ms;
  }

  #refill(): number {
    const now = this.#clock();
    this.#leftMs = Math.min(this.#leftMs + (now - this.#refilledAt) * this.#share, BURST_MS);
    this.#refilledAt = now;
    return this.#leftMs;
  }

  /** Settled when every call that waits now has begun, or was given up. */
  get whenCalm(): Promise<void> {
    return this.#queue;
  }

  /** Lets those go that wait: their plugin refuses them. */
  open(): void {
    this.#leftMs = BURST_MS;
    this.#wake?.();
  }

  /**
   * Waits for the plugin's turn and time, and begins with what is left of the call's own.
   *
   * @throws MortiseError MORTISE_TIMEOUT, MORTISE_ABORTED: it has not begun
   */
  async wait<T>(call: Waiting, begin: (leftMs: number) => T | Promise<T>): Promise<T> {
    const began = this.#clock();
    this.#queued++;
    const before = this.#queue;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue = promise;
    const turn = { came: false };
    void before.then(() => (turn.came = true));
    let output: T | Promise<T>;
    try {
      for (let left = this.#refill(); !turn.came || left <= 0; left = this.#refill()) {
        const leftMs = timeLeft(call, this.#clock() - began);
        if (turn.came) await pause(Math.min(1 - left / this.#share, leftMs), call.signal, (wake) => (this.#wake = wake));
        else await pause(leftMs, call.signal, (wake) => void before.then(wake));
      }
      output = begin(timeLeft(call, this.#clock() - began));
    } finally {
      this.#queued--;
      // Whoever gives up does not let those through who stand behind.
      resolve(before);
    }
    return output;
  }
}

function timeLeft({ plugin, function: fn, timeoutMs, signal }: Waiting, waitedMs: number): number {
  if (signal?.aborted === true) throw new MortiseError("MORTISE_ABORTED", { plugin, function: fn }, signal.reason);
  const left = timeoutMs - waitedMs;
  if (left <= 0) throw new MortiseError("MORTISE_TIMEOUT", { plugin, function: fn, limit: timeoutMs });
  return left;
}

/** Waits, or until a signal is aborted or somebody wakes it. */
function pause(ms: number, signal: AbortSignal | undefined, sleep: (wake: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, Math.min(ms, MAX_TIMER_MS));
    signal?.addEventListener("abort", end);
    sleep(end);
  });
}
