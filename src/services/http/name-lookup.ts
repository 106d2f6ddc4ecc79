// Looks names up, and lets through only addresses that the permission covers.

import type { LookupAddress } from "node:dns";

import { type AddressKind, addressKind } from "./addresses.ts";
import type { Gate } from "./gate.ts";

/** Finds the addresses of a name. */
export type NameLookup = (hostname: string) => Promise<readonly LookupAddress[]>;

/** A lookup for one request, over at the latest when the request is. */
export type RequestLookup = (hostname: string, signal: AbortSignal) => Promise<readonly LookupAddress[]>;

/** Names of one service that wait for an answer. */
const MAX_PENDING = 64;
/** Addresses of a name that are considered. */
const MAX_ADDRESSES = 16;

/** What became of a name: addresses to connect to, or why there are none. */
export type NameAnswer = { readonly addresses: readonly LookupAddress[] } | { readonly refused: string };

/** A name that was asked for. */
interface Pending {
  readonly answer: Promise<readonly LookupAddress[]>;
  /** Requests that wait for the answer. */
  waiting: number;
  /** Forgets the name, unless it is being looked up already: then the next request for it gets the answer. */
  readonly drop: () => void;
}

/**
 * A lookup that asks once for a name at a time, and refuses when too many answers are outstanding. A name whose requests
 * have all ended before its turn came is not asked for.
 *
 * @param gates what a name has to pass, one after the other, before it is asked for
 */
export function sharedLookup(lookup: NameLookup, gates: readonly Gate[] = []): RequestLookup {
  const pending = new Map<string, Pending>();
  const begin = (hostname: string): Pending => {
    if (pending.size >= MAX_PENDING) throw Object.assign(new Error("Too many lookups"), { code: "EBUSY" });
    const dropped = new AbortController();
    let begun = false;
    const forget = (): void => {
      if (pending.get(hostname) === asked) pending.delete(hostname);
    };
    const look = async (): Promise<readonly LookupAddress[]> => {
      begun = true;
      return lookup(hostname);
    };
    const drop = (): void => {
      if (begun) return;
      forget();
      dropped.abort();
    };
    const answer = inTurn(gates, dropped.signal, look);
    const asked: Pending = { answer, waiting: 0, drop };
    pending.set(hostname, asked);
    // Those who wait get the error; there may be none.
    answer.then(forget, forget);
    return asked;
  };
  return async (hostname, signal) => {
    signal.throwIfAborted();
    const asked = pending.get(hostname) ?? begin(hostname);
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const end = (): void => {
      reject(signal.reason);
      if (--asked.waiting === 0) asked.drop();
    };
    asked.waiting++;
    signal.addEventListener("abort", end, { once: true });
    try {
      return await Promise.race([asked.answer, ended]);
    } finally {
      signal.removeEventListener("abort", end);
    }
  };
}

/** Does work when all gates have let it in. */
async function inTurn<Result>([gate, ...others]: readonly Gate[], signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  signal.throwIfAborted();
  if (gate === undefined) return work();
  const leave = await gate.enter(signal);
  try {
    return await inTurn(others, signal, work);
  } finally {
    leave();
  }
}

/** The addresses of a name that may be connected to. */
export async function permittedAddresses(
  lookup: RequestLookup,
  hostname: string,
  kinds: ReadonlySet<AddressKind>,
  signal: AbortSignal,
): Promise<NameAnswer> {
  const found = (await lookup(hostname, signal)).slice(0, MAX_ADDRESSES);
  const addresses = found.filter(({ address }) => kinds.has(addressKind(address)));
  if (addresses.length > 0) return { addresses };
  const [first] = found;
  if (first === undefined) throw Object.assign(new Error("No address"), { code: "ENOTFOUND" });
  const kind = addressKind(first.address);
  return { refused: `it resolves to ${first.address}, a ${kind} address; ${wayOut(hostname, kind)}` };
}

function wayOut(hostname: string, kind: AddressKind): string {
  const grantable = kind === "private" || kind === "loopback" || kind === "shared";
  return grantable ? `the entry "private:${hostname}" in hosts would grant it` : "such an address is never reached by name";
}
