// What a write may make of a namespace, and the error for one that would make too much.

import { MortiseError } from "../../api/errors.ts";
import { invalidOption } from "../../api/limits.ts";
import type { StoreQuota, StoreUsage } from "../../api/store.ts";

/** A limit that a write would pass. */
export interface Excess {
  /** What would hold too much. */
  readonly what: string;
  readonly size: number;
  readonly unit: "keys" | "bytes";
  readonly limit: number;
}

/** What is wrong with the usage that a write would leave, if anything. */
export function excessOver(quota: StoreQuota | undefined, { keys, bytes }: StoreUsage): Excess | undefined {
  if (quota === undefined) return undefined;
  if (keys > quota.maxKeys) return { what: "the namespace", size: keys, unit: "keys", limit: quota.maxKeys };
  if (bytes > quota.maxBytes) return { what: "the namespace", size: bytes, unit: "bytes", limit: quota.maxBytes };
  return undefined;
}

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkQuota(quota: StoreQuota | undefined): void {
  if (quota === undefined) return;
  for (const name of ["maxKeys", "maxBytes"] as const) {
    // Not a number would let everything pass.
    if (!(typeof quota[name] === "number" && quota[name] >= 0)) throw invalidOption(`quota.${name}`, String(quota[name]), "a number, not negative");
  }
}

/** The error for a write that was not done. */
export function quotaError(store: string, namespace: string, key: string, { what, size, unit, limit }: Excess): MortiseError {
  return new MortiseError("MORTISE_STORE_QUOTA", { store, namespace, key, what, size, unit, limit });
}
