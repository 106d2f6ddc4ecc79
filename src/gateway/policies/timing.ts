// Time and chance, as policies see them: tests give their own.

/** What policies know of time; all of it in milliseconds. */
export interface Timing {
  /** Never goes back. */
  readonly clock: () => number;
  /** From 0, below 1. */
  readonly random: () => number;
  /** Waits; ends early, without an error, when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Runs something later; gives what calls it off. */
  readonly after: (ms: number, run: () => void) => () => void;
}

/** Longest time of a timer of the platform; longer ones would run at once. */
const MAX_TIMER_MS = 2_147_483_647;

const after: Timing["after"] = (ms, run) => {
  const timer = setTimeout(run, Math.min(ms, MAX_TIMER_MS));
  return () => clearTimeout(timer);
};

/** Time as it is. Its timers keep a process alive, since somebody waits for what they end. */
export const REAL_TIME: Timing = {
  clock: () => performance.now(),
  random: Math.random,
  after,
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = after(ms, done);
      signal.addEventListener("abort", done);
    }),
};
