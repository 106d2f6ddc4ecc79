// The memory behind the cache service: least recently used entries make room, for each plugin and in all.

/** Bytes that an entry counts besides key and value. */
const ENTRY_OVERHEAD = 96;

/** Limits of the cache memory. */
export interface CacheLimits {
  /** Bytes of all plugins together. */
  readonly maxBytes: number;
  /** Time to live of entries that state none, in milliseconds. */
  readonly defaultTtlMs: number;
  /** Monotonic clock in milliseconds. */
  readonly now: () => number;
}

interface Entry {
  readonly value: Uint8Array;
  readonly bytes: number;
  readonly endsAt: number;
}

/** Caches of all plugins of a host. */
export class CacheMemory {
  readonly #limits: CacheLimits;
  readonly #caches = new Map<string, PluginCache>();
  #bytes = 0;

  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  /** Bytes that all entries count. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The cache of a plugin, the same for the same name; `maxBytes` is its part. */
  of(plugin: string, maxBytes: number): PluginCache {
    let cache = this.#caches.get(plugin);
    if (cache === undefined) {
      cache = new PluginCache(this.#limits, (change) => this.#account(change));
      this.#caches.set(plugin, cache);
    }
    cache.maxBytes = Math.min(maxBytes, this.#limits.maxBytes);
    return cache;
  }

  /** Drops what a plugin has cached. */
  forget(plugin: string): void {
    this.#caches.get(plugin)?.clear();
    this.#caches.delete(plugin);
  }

  /** Where all together have too much, the one that has most gives: nobody can push the others out. */
  #account(change: number): void {
    this.#bytes += change;
    if (change <= 0) return;
    while (this.#bytes > this.#limits.maxBytes) {
      let largest: PluginCache | undefined;
      for (const cache of this.#caches.values()) if (largest === undefined || cache.bytes > largest.bytes) largest = cache;
      if (largest?.evict() !== true) return;
    }
  }
}

/** What one plugin has cached. */
export class PluginCache {
  /** Bytes that the plugin's entries may count. */
  maxBytes = 0;
  readonly #limits: CacheLimits;
  readonly #account: (change: number) => void;
  /** In the order of their use: a map keeps the order in which keys came. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(limits: CacheLimits, account: (change: number) => void) {
    this.#limits = limits;
    this.#account = account;
  }

  /** Bytes that the entries count, expired ones that nobody has asked for included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The value itself, not a copy. */
  get(key: string): Uint8Array | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.endsAt <= this.#limits.now()) {
      this.#change(-entry.bytes);
      return undefined;
    }
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Keeps a copy of a value, or nothing if it alone is too large. `ttlMs` of 0 is the default. */
  set(key: string, value: Uint8Array, ttlMs: number): void {
    this.delete(key);
    const bytes = Buffer.byteLength(key) + value.length + ENTRY_OVERHEAD;
    if (bytes > this.maxBytes) return;
    while (this.#bytes + bytes > this.maxBytes) this.evict();
    const endsAt = this.#limits.now() + (ttlMs === 0 ? this.#limits.defaultTtlMs : ttlMs);
    this.#entries.set(key, { value: value.slice(), bytes, endsAt });
    this.#change(bytes);
  }

  /** True if there was such an entry. */
  delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    this.#change(-entry.bytes);
    return entry.endsAt > this.#limits.now();
  }

  /** Drops the entry whose last use is longest ago; false if there is none. */
  evict(): boolean {
    for (const [key, { bytes }] of this.#entries) {
      this.#entries.delete(key);
      this.#change(-bytes);
      return true;
    }
    return false;
  }

  clear(): void {
    this.#entries.clear();
    this.#change(-this.#bytes);
  }

  #change(by: number): void {
    this.#bytes += by;
    this.#account(by);
  }
}
