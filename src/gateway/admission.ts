// Whether a client may be served now: how many of its requests are under way, and what it has used.

import type { Pass } from "./policies/gate.ts";
import type { Turn } from "./turn.ts";

/** Characters of JSON that are taken for a token until the answer says how many there were. */
const CHARS_PER_TOKEN = 4;

/** A request that was let in. */
export interface Admitted {
  /** Counts what the request took; undefined for "not known", when it is what the characters of request and answer make. */
  settle(tokens: number | undefined, answerChars?: number): void;
  leave(): void;
}

const FREE: Admitted = { settle: () => {}, leave: () => {} };

/**
 * Lets a request in, at once where nothing has to be waited for.
 *
 * @throws MortiseError MORTISE_GATEWAY_RATE_LIMIT, MORTISE_GATEWAY_BUSY, MORTISE_STORE_UNAVAILABLE
 */
export function admit(turn: Turn, bodyBytes: number): Admitted | Promise<Admitted> {
  const { rates, clientGates } = turn.core;
  return rates === undefined && clientGates === undefined ? FREE : admitCounted(turn, bodyBytes);
}

async function admitCounted(turn: Turn, bodyBytes: number): Promise<Admitted> {
  const { core, exchange, client = "" } = turn;
  const { signal } = exchange;
  const gate = core.clientGates?.of(client);
  const pass: Pass | undefined = gate && (gate.enterNow() ?? (await gate.enter({ signal, waitMs: turn.timeLeftMs })));
  try {
    const estimate = Math.ceil(bodyBytes / CHARS_PER_TOKEN);
    const admission = await core.rates?.admit(client, { tokens: estimate, signal });
    for (const [name, value] of Object.entries(admission?.headers ?? {})) turn.headers.push(name, value);
    return {
      settle: (tokens, answerChars = 0) => void admission?.settle(tokens ?? estimate + Math.ceil(answerChars / CHARS_PER_TOKEN)),
      leave: () => pass?.leave(),
    };
  } catch (error) {
    pass?.leave();
    throw error;
  }
}
