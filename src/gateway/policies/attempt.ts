// One attempt to get an answer from one target: who is asked, with which key, and for how long.

import type { KeyChoice } from "./key-ring.ts";
import type { Target } from "./router.ts";

/** What an attempt is given. */
export interface Attempt {
  readonly target: Target;
  /** Who is asked: the target, unless the attempt has moved. */
  readonly asks: Target;
  /** The key of the provider that is asked, if it has keys. */
  readonly key: KeyChoice | undefined;
  /** Attempts before this one, of all targets. */
  readonly index: number;
  /** Attempts before this one, of this target. */
  readonly retry: number;
  /** Aborted when the client leaves, or the attempt or the whole request takes too long. The attempt must end then. */
  readonly signal: AbortSignal;
  /** Milliseconds that the attempt may still take, for those who set a deadline of their own and do without `signal`. */
  readonly timeoutMs: number;
  /** Something has been sent to the client: whatever fails from now on is not tried again. */
  commit(): void;
  /** What the provider failed with, where plugins make something else of it: key and breaker are told of that, not of how the attempt ends. */
  blame(error: unknown): void;
  /**
   * Asks another model than the target's: what stands before that one's provider holds as for a target, and is told how the
   * attempt ends.
   *
   * @throws MortiseError MORTISE_GATEWAY_BUSY, MORTISE_GATEWAY_NO_KEY, MORTISE_GATEWAY_SUSPENDED
   */
  moveTo(asks: Target): Promise<void>;
  /**
   * Keeps what the attempt holds, its place in the provider's gate above all, beyond the end of the attempt, for a stream:
   * until the function that this gives is called, once, with the error that ended the stream if there is one. Deadlines end with
   * the attempt; `signal` goes on to follow the client.
   */
  hold(): (error?: unknown) => void;
}
