// The part of the thread's time that one plugin may have: whoever has used it up waits, however many short calls it was.

import { MortiseError } from "../api/errors.ts";

/** Milliseconds of the thread that a plugin may use at once after it has rested. */
const BURST_MS = 100;

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

  /**
   * Waits for the plugin's turn and time; gives what is left of the call's own.
   *
   * @throws MortiseError MORTISE_TIMEOUT, MORTISE_ABORTED
   */
  async wait(call: Waiting): Promise<number> {
    const began = this.#clock();
    this.#queued++;
    const before = this.#queue;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#queue = promise;
    try {
      await before;
      for (let left = this.#refill(); left <= 0; left = this.#refill()) {
        const leftMs = timeLeft(call, this.#clock() - began);
        await pause(Math.min(-left / this.#share + 1, leftMs), call.signal);
      }
      return timeLeft(call, this.#clock() - began);
    } finally {
      this.#queued--;
      resolve();
    }
  }
}

function timeLeft({ plugin, function: fn, timeoutMs, signal }: Waiting, waitedMs: number): number {
  if (signal?.aborted === true) throw new MortiseError("MORTISE_ABORTED", { plugin, function: fn }, signal.reason);
  const left = timeoutMs - waitedMs;
  if (left <= 0) throw new MortiseError("MORTISE_TIMEOUT", { plugin, function: fn, limit: timeoutMs });
  return left;
}

/** Waits, or until a signal is aborted. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}
