// Whether a client may be served now: how many of its requests are under way, and what it has used.

import type { Pass } from "./policies/gate.ts";
import { CHARS_PER_TOKEN } from "./tally.ts";
import type { Turn } from "./turn.ts";

/** A request that was let in. */
export interface Admitted {
  /** Counts what all answers took together, in place of the estimate; once. */
  settle(tokens: number): void;
}

/** One that is not counted. */
export const UNCOUNTED: Admitted = { settle: () => {} };

/**
 * Lets a request in among those of its client, at once where it need not wait; undefined where clients may have any number.
 * Nothing of a request that waits has been read.
 *
 * @throws MortiseError MORTISE_GATEWAY_BUSY
 */
export function enterGate(turn: Turn): Pass | undefined | Promise<Pass> {
  const { core, exchange, client = "" } = turn;
  const gate = core.clientGates?.of(client);
  return gate?.enterNow() ?? gate?.enter({ signal: exchange.signal, waitMs: turn.timeLeftMs });
}

/** Counts a request. @throws MortiseError MORTISE_GATEWAY_RATE_LIMIT, MORTISE_STORE_UNAVAILABLE */
export async function admit({ core, exchange, client = "", headers }: Turn, bodyBytes: number): Promise<Admitted> {
  const admission = await core.rates?.admit(client, { tokens: Math.ceil(bodyBytes / CHARS_PER_TOKEN), signal: exchange.signal });
  if (admission === undefined) return UNCOUNTED;
  for (const [name, value] of Object.entries(admission.headers)) headers.push(name, value);
  return { settle: (tokens) => void admission.settle(tokens) };
}
