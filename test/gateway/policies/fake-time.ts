// Time that passes when it is told to.

import { setImmediate as turn } from "node:timers/promises";

import type { Timing } from "../../../src/gateway/policies/timing.ts";

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

export class FakeTime implements Timing {
  now = 0;
  /** What `random` gives, in turn; then the last one for ever. */
  readonly #chances: number[];
  readonly #timers = new Set<Timer>();
  /** What was waited for by `sleep`. */
  readonly slept: number[] = [];

  constructor(...chances: number[]) {
    this.#chances = chances.length === 0 ? [0.5] : chances;
  }

  readonly clock = (): number => this.now;
  readonly random = (): number => (this.#chances.length > 1 ? this.#chances.shift() : this.#chances[0]) ?? 0;

  readonly after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.now + ms, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  readonly sleep = (ms: number, signal: AbortSignal): Promise<void> => {
    this.slept.push(ms);
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        resolve();
      };
      const cancel = this.after(ms, done);
      if (signal.aborted) done();
      else signal.addEventListener("abort", done, { once: true });
    });
  };

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Passes time, and runs what is due, in order. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (let next = this.#next(); next !== undefined && next.at <= until; next = this.#next()) this.#fire(next);
    this.now = until;
  }

  /** Passes time, and lets happen what each timer sets off before the next one. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    await turn();
    for (let next = this.#next(); next !== undefined && next.at <= until; next = this.#next()) {
      this.#fire(next);
      await turn();
    }
    this.now = until;
  }

  /** Passes as much time as a promise needs. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const watch = async (): Promise<void> => {
      await Promise.allSettled([promise]);
      settled = true;
    };
    void watch();
    for (;;) {
      // Everything that does not need time has happened after a turn.
      await turn();
      if (settled) return promise;
      const next = this.#next();
      if (next === undefined) throw new Error("nothing will ever happen: there is no timer");
      this.#fire(next);
    }
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.at < next.at) next = timer;
    return next;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    this.now = Math.max(this.now, timer.at);
    timer.run();
  }
}
