// One request and its answer, apart from how they travel: the server and `inject` both make exchanges.

import type { BodyRoom } from "./pending-bodies.ts";

/** A request of a client, and the way back to it. */
export interface Exchange {
  readonly method: string;
  /** The path as it came, without the query. */
  readonly path: string;
  /** What stands behind the question mark; empty without one. */
  readonly query: string;
  /** Headers by name in lower case; values of a repeated name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** The names of the headers as the client wrote them. */
  readonly headerNames: () => readonly string[];
  /** Aborted when the client is gone before its answer is complete. */
  readonly signal: AbortSignal;
  /** True once the client is gone. */
  readonly isGone: boolean;
  /**
   * The whole body; it can be read once.
   *
   * @param room is taken as soon as it is known how much it takes; the caller gives it back
   * @throws MortiseError MORTISE_GATEWAY_BODY_LIMIT, MORTISE_GATEWAY_FULL, or MORTISE_GATEWAY_CANCELLED if the client went away
   */
  body(maxBytes: number, room: BodyRoom): Promise<Uint8Array>;
  /** Answers with a whole body. Headers are names and values in turn. */
  send(status: number, headers: readonly string[], body: Uint8Array | string): void;
  /** Begins an answer whose body comes in pieces. */
  begin(status: number, headers: readonly string[]): void;
  /** Sends a piece; false if the client should be waited for. */
  write(piece: Uint8Array | string): boolean;
  /** Settled when the client has taken what was sent, or is gone. */
  drained(): Promise<void>;
  /** The end of a body that came in pieces. */
  end(): void;
  /** Breaks the answer off: the client must not take it for complete. */
  destroy(): void;
}
