// Keys and values in the memory of this process, under one cap. Every operation answers at once.

import { invalidOption } from "../../api/limits.ts";
import type { Store, StoreQuota, StoreUsage, WriteOptions } from "../../api/store.ts";
import { type ListOptions, checkList, checkName, checkNamespace, checkValue, expiryAt } from "./arguments.ts";
import { addDecimal, notANumber } from "./decimal.ts";
import { ExpiryHeap, type Expiring } from "./expiry-heap.ts";
import { type Excess, checkQuota, excessOver, quotaError } from "./quota.ts";
import { SortedKeys } from "./sorted-keys.ts";
import { closedStore } from "./unavailable.ts";

/** Options of {@link createMemoryStore}. */
export interface MemoryStoreOptions {
  /** Bytes of all namespaces together; each key counts {@link ENTRY_BYTES} besides its own and its value's. @default 64 MiB */
  readonly maxBytes?: number;
  /** Clock in milliseconds that never goes back, for tests. @default performance.now */
  readonly clock?: () => number;
}

/** A store in memory; all of its answers come at once. */
export interface MemoryStore extends Store {
  get(namespace: string, key: string): Uint8Array<ArrayBuffer> | undefined;
  set(namespace: string, key: string, value: Uint8Array, options?: WriteOptions): void;
  delete(namespace: string, key: string): boolean;
  list(namespace: string, options: ListOptions): string[];
  compareAndSet(namespace: string, key: string, expected: Uint8Array | undefined, value: Uint8Array | undefined, options?: WriteOptions): boolean;
  increment(namespace: string, key: string, delta: bigint, options?: WriteOptions): bigint;
  usage(namespace: string): StoreUsage;
  clear(namespace: string): void;
  /** What is held in all, as `maxBytes` counts it. */
  readonly heldBytes: number;
}

const DEFAULT_BYTES = 64 << 20;
/** What a key takes besides its bytes and its value's: measured, rounded up. */
export const ENTRY_BYTES = 512;
/** Expired keys that every write removes. */
const WRITE_SWEEP = 32;
/** Expired keys that are removed at a time when room is needed, and by the timer. */
const ROOM_SWEEP = 1024;
/** Milliseconds after which the timer removes what expired. */
const SWEEP_MS = 1000;

interface Entry extends Expiring {
  readonly space: Space;
  readonly key: string;
  readonly keyBytes: number;
  value: Uint8Array<ArrayBuffer>;
}

interface Space {
  readonly name: string;
  readonly entries: Map<string, Entry>;
  readonly order: SortedKeys;
  bytes: number;
}

/**
 * Makes a store in memory. It has no timer that keeps the process alive.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const { maxBytes = DEFAULT_BYTES, clock = (): number => performance.now() } = options;
  if (!(typeof maxBytes === "number" && maxBytes >= 0)) throw invalidOption("maxBytes", String(maxBytes), "a number, not negative");
  return new Memory(maxBytes, clock);
}

class Memory implements MemoryStore {
  readonly kind = "memory";
  readonly #maxBytes: number;
  readonly #clock: () => number;
  readonly #spaces = new Map<string, Space>();
  #expiring = new ExpiryHeap<Entry>();
  #held = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(maxBytes: number, clock: () => number) {
    this.#maxBytes = maxBytes;
    this.#clock = clock;
  }

  get heldBytes(): number {
    return this.#held;
  }

  get(namespace: string, key: string): Uint8Array<ArrayBuffer> | undefined {
    checkName(namespace, key);
    return this.#live(namespace, key)?.value.slice();
  }

  set(namespace: string, key: string, value: Uint8Array, { ttlMs, quota }: WriteOptions = {}): void {
    checkName(namespace, key);
    checkValue(value);
    this.#write(namespace, key, value, expiryAt(this.#clock(), ttlMs), quota);
  }

  delete(namespace: string, key: string): boolean {
    checkName(namespace, key);
    const entry = this.#live(namespace, key);
    this.#sweep(WRITE_SWEEP);
    if (entry === undefined) return false;
    this.#drop(entry);
    return true;
  }

  list(namespace: string, options: ListOptions): string[] {
    checkNamespace(namespace);
    const { prefix, from, limit } = checkList(options);
    this.#checkOpen();
    const keys: string[] = [];
    const space = this.#spaces.get(namespace);
    if (space === undefined || limit === 0) return keys;
    const now = this.#clock();
    for (const key of space.order.range(prefix, from)) {
      if ((space.entries.get(key)?.expiresAt ?? 0) <= now) continue;
      if (keys.push(key) === limit) break;
    }
    return keys;
  }

  compareAndSet(
    namespace: string,
    key: string,
    expected: Uint8Array | undefined,
    value: Uint8Array | undefined,
    { ttlMs, quota }: WriteOptions = {},
  ): boolean {
    checkName(namespace, key);
    if (value !== undefined) checkValue(value);
    const entry = this.#live(namespace, key);
    const same = entry === undefined || expected === undefined ? entry === expected : Buffer.compare(entry.value, expected) === 0;
    if (!same) return false;
    if (value !== undefined) this.#write(namespace, key, value, expiryAt(this.#clock(), ttlMs), quota);
    else if (entry !== undefined) this.#drop(entry);
    return true;
  }

  increment(namespace: string, key: string, delta: bigint, { ttlMs, quota }: WriteOptions = {}): bigint {
    checkName(namespace, key);
    const entry = this.#live(namespace, key);
    const sum = addDecimal(entry?.value, delta);
    if (typeof sum === "string") throw notANumber(this.kind, namespace, key, sum);
    const expiry = expiryAt(this.#clock(), ttlMs);
    this.#write(namespace, key, Buffer.from(String(sum)), entry === undefined ? expiry : entry.expiresAt, quota);
    return sum;
  }

  usage(namespace: string): StoreUsage {
    checkNamespace(namespace);
    this.#checkOpen();
    this.#sweep(Number.POSITIVE_INFINITY);
    const space = this.#spaces.get(namespace);
    return { keys: space?.entries.size ?? 0, bytes: space?.bytes ?? 0 };
  }

  clear(namespace: string): void {
    checkNamespace(namespace);
    this.#checkOpen();
    const space = this.#spaces.get(namespace);
    if (space === undefined) return;
    for (const entry of space.entries.values()) this.#expiring.remove(entry);
    this.#held -= space.bytes + space.entries.size * ENTRY_BYTES;
    this.#spaces.delete(namespace);
  }

  close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#spaces.clear();
    this.#expiring = new ExpiryHeap();
    this.#held = 0;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw closedStore(this.kind);
  }

  #live(namespace: string, key: string): Entry | undefined {
    this.#checkOpen();
    const entry = this.#spaces.get(namespace)?.entries.get(key);
    return entry === undefined || this.#isExpired(entry) ? undefined : entry;
  }

  #isExpired({ expiresAt }: Entry): boolean {
    return expiresAt !== Number.POSITIVE_INFINITY && expiresAt <= this.#clock();
  }

  #write(namespace: string, key: string, value: Uint8Array, expiresAt = Number.POSITIVE_INFINITY, quota?: StoreQuota): void {
    this.#checkOpen();
    checkQuota(quota);
    this.#sweep(WRITE_SWEEP);
    const keyBytes = Buffer.byteLength(key);
    for (;;) {
      const excess = this.#excess(namespace, key, keyBytes + value.length, quota);
      if (excess === undefined) break;
      // What expired does not count; it is removed as far as room is needed.
      if (this.#sweep(ROOM_SWEEP) === 0) throw quotaError(this.kind, namespace, key, excess);
    }
    // The bytes are copied: whoever gave them goes on using them.
    this.#put(this.#entry(namespace, key, keyBytes), new Uint8Array(value), expiresAt);
  }

  #excess(namespace: string, key: string, size: number, quota: StoreQuota | undefined): Excess | undefined {
    const space = this.#spaces.get(namespace);
    const old = space?.entries.get(key);
    const added = old === undefined ? 1 : 0;
    const grown = size - (old === undefined ? 0 : old.keyBytes + old.value.length);
    const usage = { keys: (space?.entries.size ?? 0) + added, bytes: (space?.bytes ?? 0) + grown };
    const held = this.#held + grown + added * ENTRY_BYTES;
    if (held > this.#maxBytes) return { what: "the store", size: held, unit: "bytes", limit: this.#maxBytes };
    return excessOver(quota, usage);
  }

  /** The entry of a key, made with an empty value if there is none. */
  #entry(namespace: string, key: string, keyBytes: number): Entry {
    let space = this.#spaces.get(namespace);
    if (space === undefined) this.#spaces.set(namespace, (space = { name: namespace, entries: new Map(), order: new SortedKeys(), bytes: 0 }));
    let entry = space.entries.get(key);
    if (entry !== undefined) return entry;
    entry = { space, key, keyBytes, value: new Uint8Array(), expiresAt: Number.POSITIVE_INFINITY, slot: -1 };
    space.entries.set(key, entry);
    space.order.add(key);
    space.bytes += keyBytes;
    this.#held += keyBytes + ENTRY_BYTES;
    return entry;
  }

  #put(entry: Entry, value: Uint8Array<ArrayBuffer>, expiresAt: number): void {
    const grown = value.length - entry.value.length;
    entry.space.bytes += grown;
    this.#held += grown;
    entry.value = value;
    entry.expiresAt = expiresAt;
    this.#expiring.place(entry);
    if (this.#expiring.size > 0) this.#timer ??= this.#sweepLater(SWEEP_MS);
  }

  #drop(entry: Entry): void {
    const { space, key } = entry;
    const bytes = entry.keyBytes + entry.value.length;
    space.bytes -= bytes;
    this.#held -= bytes + ENTRY_BYTES;
    space.entries.delete(key);
    space.order.delete(key);
    this.#expiring.remove(entry);
    if (space.entries.size === 0) this.#spaces.delete(space.name);
  }

  /** Removes keys that expired, and tells how many it removed. */
  #sweep(most: number): number {
    let removed = 0;
    for (let entry = this.#expiring.first; entry !== undefined && removed < most; entry = this.#expiring.first) {
      if (!this.#isExpired(entry)) break;
      this.#drop(entry);
      removed++;
    }
    return removed;
  }

  /** Removes what expires while nobody writes, a part at a time. */
  #sweepLater(delayMs: number): NodeJS.Timeout {
    const run = (): void => {
      const more = this.#sweep(ROOM_SWEEP) === ROOM_SWEEP;
      this.#timer = this.#expiring.size === 0 ? undefined : this.#sweepLater(more ? 1 : SWEEP_MS);
    };
    return setTimeout(run, delayMs).unref();
  }
}
