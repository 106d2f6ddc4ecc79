// The time that reading a source may take, and the caller's signal, as one.

import { MortiseError } from "../api/errors.ts";

/** Longest time that a timer takes; more would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** Ends the reading of one source. */
export interface Deadline extends Disposable {
  /** Aborted when the time is over or the caller aborts. */
  readonly signal: AbortSignal;
  /**
   * Settles as the work does, or rejects when the deadline comes first.
   *
   * @param source what is being read, for the message
   * @throws MortiseError MORTISE_SOURCE_TIMEOUT or MORTISE_SOURCE_ABORTED
   */
  readonly race: <T>(source: string, work: PromiseLike<T>) => Promise<T>;
}

/** Starts the clock; dispose it to stop the timer. */
export function startDeadline(timeoutMs: number, caller: AbortSignal | undefined): Deadline {
  const controller = new AbortController();
  const { signal } = controller;
  const onAbort = (): void => controller.abort();
  const timer = timeoutMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(onAbort, Math.min(timeoutMs, MAX_TIMER_MS));
  if (caller?.aborted === true) onAbort();
  caller?.addEventListener("abort", onAbort, { once: true });
  const failure = (source: string): MortiseError =>
    caller?.aborted === true
      ? new MortiseError("MORTISE_SOURCE_ABORTED", { source }, caller.reason)
      : new MortiseError("MORTISE_SOURCE_TIMEOUT", { source, limit: timeoutMs });

  return {
    signal,
    async race(source, work) {
      const stopped = Promise.withResolvers<never>();
      const stop = (): void => stopped.reject(failure(source));
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop, { once: true });
      try {
        return await Promise.race([stopped.promise, work]);
      } catch (error) {
        // Work that heard of the abort first fails in its own words.
        throw signal.aborted ? failure(source) : error;
      } finally {
        signal.removeEventListener("abort", stop);
      }
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      caller?.removeEventListener("abort", onAbort);
    },
  };
}
