// Where services keep what outlives a call: keys and values, by namespace, with expiry and quotas.

/** A value at once, or a promise of it: stores in this process answer at once, so that `callSync` can use them. */
export type Awaitable<T> = T | Promise<T>;

/** What one namespace may hold; checked by the store itself, in one step with the write. */
export interface StoreQuota {
  /** Keys that are not expired. */
  readonly maxKeys: number;
  /** Bytes of all keys and values together. */
  readonly maxBytes: number;
}

/** How a value is written. */
export interface WriteOptions {
  /** Milliseconds until the key expires; undefined keeps it for good, also where it expired before. */
  readonly ttlMs?: number | undefined;
  readonly quota?: StoreQuota | undefined;
  /** Ends the waiting for a store elsewhere; what was sent may have been done. */
  readonly signal?: AbortSignal | undefined;
}

/** What a namespace holds, expired keys left out. */
export interface StoreUsage {
  readonly keys: number;
  /** Bytes of all keys and values together. */
  readonly bytes: number;
}

/**
 * Keys and values. Namespaces do not see each other. Keys are text without lone surrogates; values are bytes, which
 * belong to whoever gets them. Each operation is atomic, also among processes that share the store. Any of them may
 * fail with MORTISE_STORE_UNAVAILABLE; then a write may or may not have been done.
 */
export interface Store {
  /** `memory`, `sqlite` or `redis`, for messages. */
  readonly kind: string;
  get(namespace: string, key: string, signal?: AbortSignal): Awaitable<Uint8Array<ArrayBuffer> | undefined>;
  /** @throws MortiseError MORTISE_STORE_QUOTA if the namespace would hold more than its quota; nothing is changed then */
  set(namespace: string, key: string, value: Uint8Array, options?: WriteOptions): Awaitable<void>;
  /** True if there was such a key. */
  delete(namespace: string, key: string, signal?: AbortSignal): Awaitable<boolean>;
  /** Keys with a prefix that sort after `after`, sorted by their UTF-8 bytes, `limit` at most. */
  list(
    namespace: string,
    options: { readonly prefix?: string; readonly after?: string; readonly limit: number; readonly signal?: AbortSignal | undefined },
  ): Awaitable<string[]>;
  /**
   * Writes `value`, or deletes the key if that is undefined, provided that the key has the value `expected`, or does not
   * exist if that is undefined. True if it did.
   *
   * @throws MortiseError MORTISE_STORE_QUOTA
   */
  compareAndSet(
    namespace: string,
    key: string,
    expected: Uint8Array | undefined,
    value: Uint8Array | undefined,
    options?: WriteOptions,
  ): Awaitable<boolean>;
  /**
   * Adds to a 64-bit signed integer, kept as decimal text, and gives the sum; a key that does not exist counts as 0. A key
   * that exists keeps its expiry.
   *
   * @throws MortiseError MORTISE_STORE_NOT_A_NUMBER if the value is none or the sum does not fit; MORTISE_STORE_QUOTA
   */
  increment(namespace: string, key: string, delta: bigint, options?: WriteOptions): Awaitable<bigint>;
  usage(namespace: string, signal?: AbortSignal): Awaitable<StoreUsage>;
  /** Deletes everything of a namespace. */
  clear(namespace: string, signal?: AbortSignal): Awaitable<void>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
