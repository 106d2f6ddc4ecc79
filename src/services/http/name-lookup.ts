// Looks names up, and lets through only addresses that the permission covers.

import type { LookupAddress } from "node:dns";

import { type AddressKind, addressKind } from "./addresses.ts";

/** Finds the addresses of a name. */
export type NameLookup = (hostname: string) => Promise<readonly LookupAddress[]>;

/** Names that are being looked up at a time: the system's lookups cannot be stopped and share few threads. */
const MAX_PENDING = 64;
/** Addresses of a name that are considered. */
const MAX_ADDRESSES = 16;

/** What became of a name: addresses to connect to, or why there are none. */
export type NameAnswer = { readonly addresses: readonly LookupAddress[] } | { readonly refused: string };

/** A lookup that asks once for a name at a time, and refuses when too many answers are outstanding. */
export function sharedLookup(lookup: NameLookup): NameLookup {
  const pending = new Map<string, Promise<readonly LookupAddress[]>>();
  return (hostname) => {
    const known = pending.get(hostname);
    if (known !== undefined) return known;
    if (pending.size >= MAX_PENDING) return Promise.reject(Object.assign(new Error("Too many lookups"), { code: "EBUSY" }));
    const asked = lookup(hostname).finally(() => pending.delete(hostname));
    pending.set(hostname, asked);
    return asked;
  };
}

/** The addresses of a name that may be connected to. */
export async function permittedAddresses(lookup: NameLookup, hostname: string, kinds: ReadonlySet<AddressKind>): Promise<NameAnswer> {
  const found = (await lookup(hostname)).slice(0, MAX_ADDRESSES);
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
