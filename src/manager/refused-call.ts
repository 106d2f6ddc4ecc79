// Calls that a plugin never hears of: its breaker is open, or they gave up waiting for its share of the thread's time.

import { type CallSubject, areCallsWatched, watchCall } from "../host/watched-call.ts";

/** Publishes such a call as one that was refused; nothing is built where nobody subscribes. */
export function publishRefusal(subject: Omit<CallSubject, "clock">, error: unknown, beganMs: number, endedMs: number): void {
  if (!areCallsWatched()) return;
  const times = [beganMs];
  const clock = (): number => times.pop() ?? endedMs;
  const refuse = (): never => {
    throw error;
  };
  try {
    void watchCall({ ...subject, clock }, refuse);
  } catch {
    // It is thrown by whoever refused.
  }
}
