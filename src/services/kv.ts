// Keys and values that are kept: kv_get and the rest, over a store, in a namespace of the plugin's own.

import type { Permissions } from "../api/permissions.ts";
import { permissionDenied } from "../api/permissions.ts";
import type { ServiceCall, ServiceTable, ServiceValue } from "../api/services.ts";
import type { Awaitable, Store, StoreQuota, WriteOptions } from "../api/store.ts";
import { andThen, waiting } from "./define-service.ts";
import { type ArgumentChecks, argumentsOf } from "./service-arguments.ts";

/** What a plugin may keep. */
export interface KvLimits extends StoreQuota {
  /** Bytes of one value. */
  readonly maxValueBytes: number;
  /** Bytes of one key. */
  readonly maxKeyBytes: number;
}

/** What a plugin may keep unless its operator says otherwise. */
export const KV_LIMITS: KvLimits = { maxKeys: 1024, maxBytes: 4 << 20, maxValueBytes: 64 << 10, maxKeyBytes: 512 };

/** Longest time to live: ten years. */
export const MAX_TTL_MS = 10 * 366 * 86_400_000;
/** Keys that kv_list gives at once. */
const MAX_LISTED = 1000;
/** Times that a value is read again because somebody changed it in between. */
const MAX_TRIES = 4;
const NO_BYTES = new Uint8Array();
const encoder = new TextEncoder();

/** What the services of one plugin work with. */
export interface KvScope {
  readonly store: Store;
  readonly plugin: string;
  readonly access: Permissions["kv"];
  readonly limits: KvLimits;
}

/** The namespace of a plugin in the store; whatever else uses that store has other names. */
export function kvNamespace(plugin: string): string {
  return `kv:${plugin}`;
}

/** True for a store that never answers with a promise. */
export function answersAtOnce({ kind }: Store): boolean {
  return kind === "memory" || kind === "sqlite";
}

/** The functions `kv_*`. */
export function kvServices({ store, plugin, access, limits }: KvScope): ServiceTable {
  const namespace = kvNamespace(plugin);
  const waits = !answersAtOnce(store);
  const { maxKeys, maxBytes } = limits;
  const quota: StoreQuota = { maxKeys, maxBytes };
  // Making a call's signal costs more than a look into this process's memory, which nothing can end anyway.
  const signalOf = (call: ServiceCall): AbortSignal | undefined => (waits ? call.signal : undefined);
  const forGood: WriteOptions = { quota };
  const writeOptions = (call: ServiceCall, ttlMs: number): WriteOptions =>
    !waits && ttlMs === 0 ? forGood : { quota, ttlMs: ttlMs === 0 ? undefined : ttlMs, signal: signalOf(call) };

  const keyOf = (call: ServiceCall, checks: ArgumentChecks, service: string, key: ServiceValue, writes: boolean): string => {
    if (access === undefined || (writes && access !== "read-write"))
      throw permissionDenied(call.plugin, call.function, service, "kv", writes ? '"read-write"' : '"read"');
    return checks.name(call, "key", key, limits.maxKeyBytes);
  };

  const get = argumentsOf("kv_get");
  const exists = argumentsOf("kv_exists");
  const set = argumentsOf("kv_set");
  const remove = argumentsOf("kv_delete");
  const list = argumentsOf("kv_list");
  const swap = argumentsOf("kv_compare_and_set");
  const increment = argumentsOf("kv_increment");

  return {
    kv_get: waiting(["text"], "bytes", waits, (call, key) => store.get(namespace, keyOf(call, get, "kv_get", key, false), signalOf(call))),
    kv_exists: waiting(["text"], "i32", waits, (call, key) =>
      andThen(store.get(namespace, keyOf(call, exists, "kv_exists", key, false), signalOf(call)), (value) => (value === undefined ? 0 : 1)),
    ),
    kv_set: waiting(["text", "bytes", "i64"], "none", waits, (call, key, value, ttl) => {
      const name = keyOf(call, set, "kv_set", key, true);
      const bytes = set.bytes(call, "value", value, limits.maxValueBytes);
      return store.set(namespace, name, bytes, writeOptions(call, set.long(call, "ttl_ms", ttl, [0, MAX_TTL_MS]))) as Awaitable<undefined>;
    }),
    kv_delete: waiting(["text"], "i32", waits, (call, key) =>
      andThen(store.delete(namespace, keyOf(call, remove, "kv_delete", key, true), signalOf(call)), Number),
    ),
    kv_list: waiting(["text", "text", "i32"], "bytes", waits, (call, prefix, after, limit) => {
      if (access === undefined) throw permissionDenied(call.plugin, call.function, "kv_list", "kv", '"read"');
      const options = {
        prefix: list.text(call, "prefix", prefix, limits.maxKeyBytes),
        after: list.text(call, "after", after, limits.maxKeyBytes),
        limit: list.whole(call, "limit", limit, [1, MAX_LISTED]),
        signal: signalOf(call),
      };
      return andThen(store.list(namespace, withoutEmpty(options)), (keys) => encoder.encode(JSON.stringify(keys)));
    }),
    kv_compare_and_set: waiting(["text", "bytes", "bytes", "i64"], "i32", waits, (call, key, expected, value, ttl) => {
      const name = keyOf(call, swap, "kv_compare_and_set", key, true);
      const old = swap.bytes(call, "expected", expected, limits.maxValueBytes);
      const bytes = swap.bytes(call, "value", value, limits.maxValueBytes);
      const options = writeOptions(call, swap.long(call, "ttl_ms", ttl, [0, MAX_TTL_MS]));
      if (old.length > 0) return andThen(store.compareAndSet(namespace, name, old, bytes, options), Number);
      return andThen(setIfEmpty({ store, namespace, key: name }, bytes, options, MAX_TRIES), Number);
    }),
    kv_increment: waiting(["text", "i64", "i64"], "i64", waits, (call, key, delta, ttl) => {
      const name = keyOf(call, increment, "kv_increment", key, true);
      const by = increment.integer(call, "delta", delta);
      return store.increment(namespace, name, by, writeOptions(call, increment.long(call, "ttl_ms", ttl, [0, MAX_TTL_MS])));
    }),
  };
}

interface KeyPlace {
  readonly store: Store;
  readonly namespace: string;
  readonly key: string;
}

/**
 * Writes a value where there is none, or an empty one. Which of the two it is can change between looking and writing, by
 * somebody else's doing; then it looks again, since giving up would say that there was a value.
 */
function setIfEmpty(place: KeyPlace, value: Uint8Array, options: WriteOptions, tries: number): Awaitable<boolean> {
  const { store, namespace, key } = place;
  return andThen(store.get(namespace, key, options.signal), (found): Awaitable<boolean> => {
    if (found !== undefined && found.length > 0) return false;
    const expected = found === undefined ? undefined : NO_BYTES;
    return andThen(store.compareAndSet(namespace, key, expected, value, options), (done): Awaitable<boolean> => {
      if (done || tries <= 1) return done;
      return setIfEmpty(place, value, options, tries - 1);
    });
  });
}

type ListOptions = { readonly prefix: string; readonly after: string; readonly limit: number; readonly signal: AbortSignal | undefined };

function withoutEmpty({ prefix, after, ...rest }: ListOptions): Parameters<Store["list"]>[1] {
  return { ...rest, ...(prefix === "" ? {} : { prefix }), ...(after === "" ? {} : { after }) };
}
