// What a store does, as simply as it can be said: everything is computed anew from one list of keys.

import { MortiseError } from "../../src/api/errors.ts";
import type { StoreUsage, WriteOptions } from "../../src/api/store.ts";

interface Held {
  readonly value: Uint8Array;
  readonly expiresAt: number;
}

/** One namespace; the argument for it is ignored. */
export class ModelStore {
  #held = new Map<string, Held>();
  #now = 0;

  advance(ms: number): void {
    this.#now += ms;
    this.#held = new Map([...this.#held].filter(([, { expiresAt }]) => expiresAt > this.#now));
  }

  get(_space: string, key: string): Uint8Array | undefined {
    return this.#held.get(key)?.value;
  }

  set(_space: string, key: string, value: Uint8Array, { ttlMs, quota }: WriteOptions): void {
    this.#put(key, { value, expiresAt: this.#now + (ttlMs ?? Number.POSITIVE_INFINITY) }, quota);
  }

  delete(_space: string, key: string): boolean {
    return this.#held.delete(key);
  }

  list(_space: string, { prefix, after, limit }: { prefix: string; after?: string; limit: number }): string[] {
    const compare = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));
    const keys = [...this.#held.keys()].filter((key) => key.startsWith(prefix) && (after === undefined || compare(key, after) > 0));
    return keys.toSorted(compare).slice(0, limit);
  }

  compareAndSet(space: string, key: string, expected: Uint8Array | undefined, value: Uint8Array | undefined, options: WriteOptions): boolean {
    const found = this.get(space, key);
    if ((found === undefined ? undefined : String(found)) !== (expected === undefined ? undefined : String(expected))) return false;
    if (value === undefined) this.delete(space, key);
    else this.set(space, key, value, options);
    return true;
  }

  increment(_space: string, key: string, delta: bigint, { ttlMs, quota }: WriteOptions): bigint {
    const held = this.#held.get(key);
    const text = held === undefined ? "0" : Buffer.from(held.value).toString();
    if (!/^-?\d+$/.test(text)) throw new MortiseError("MORTISE_STORE_NOT_A_NUMBER");
    const sum = BigInt(text) + delta;
    if (sum !== BigInt.asIntN(64, sum)) throw new MortiseError("MORTISE_STORE_NOT_A_NUMBER");
    const expiresAt = held?.expiresAt ?? this.#now + (ttlMs ?? Number.POSITIVE_INFINITY);
    this.#put(key, { value: Buffer.from(String(sum)), expiresAt }, quota);
    return sum;
  }

  usage(_space: string): StoreUsage {
    return usageOf(this.#held);
  }

  clear(_space: string): void {
    this.#held.clear();
  }

  #put(key: string, held: Held, quota: WriteOptions["quota"]): void {
    const next = new Map(this.#held).set(key, held);
    const { keys, bytes } = usageOf(next);
    if (quota !== undefined && (keys > quota.maxKeys || bytes > quota.maxBytes)) throw new MortiseError("MORTISE_STORE_QUOTA");
    this.#held = next;
  }
}

function usageOf(held: ReadonlyMap<string, Held>): StoreUsage {
  let bytes = 0;
  for (const [key, { value }] of held) bytes += Buffer.byteLength(key) + value.length;
  return { keys: held.size, bytes };
}
