// Keys and values that may be dropped: cache_get and the rest, in a namespace of the plugin's own.

import { type Permissions, permissionDenied } from "../api/permissions.ts";
import type { ServiceCall, ServiceTable } from "../api/services.ts";
import type { PluginCache } from "./cache-memory.ts";
import { immediate } from "./define-service.ts";
import { MAX_TTL_MS } from "./kv.ts";
import { argumentsOf } from "./service-arguments.ts";

/** Bytes of one key. */
const MAX_KEY_BYTES = 512;

/** The functions `cache_*`. Writing never fails for lack of room. */
export function cacheServices({ cache, access }: { readonly cache: PluginCache; readonly access: Permissions["cache"] }): ServiceTable {
  const mayRead = (call: ServiceCall, service: string): void => {
    if (access === undefined) throw permissionDenied(call.plugin, call.function, service, "cache", '"read"');
  };
  const mayWrite = (call: ServiceCall, service: string): void => {
    if (access !== "read-write") throw permissionDenied(call.plugin, call.function, service, "cache", '"read-write"');
  };
  const get = argumentsOf("cache_get");
  const exists = argumentsOf("cache_exists");
  const set = argumentsOf("cache_set");
  const remove = argumentsOf("cache_delete");
  return {
    cache_get: immediate(["text"], "bytes", (call, key) => {
      mayRead(call, "cache_get");
      return cache.get(get.name(call, "key", key, MAX_KEY_BYTES))?.slice();
    }),
    cache_exists: immediate(["text"], "i32", (call, key) => {
      mayRead(call, "cache_exists");
      return cache.get(exists.name(call, "key", key, MAX_KEY_BYTES)) === undefined ? 0 : 1;
    }),
    cache_set: immediate(["text", "bytes", "i64"], "none", (call, key, value, ttl) => {
      mayWrite(call, "cache_set");
      const name = set.name(call, "key", key, MAX_KEY_BYTES);
      const bytes = set.bytes(call, "value", value, Number.POSITIVE_INFINITY);
      cache.set(name, bytes, set.long(call, "ttl_ms", ttl, [0, MAX_TTL_MS]));
      return undefined;
    }),
    cache_delete: immediate(["text"], "i32", (call, key) => {
      mayWrite(call, "cache_delete");
      return cache.delete(remove.name(call, "key", key, MAX_KEY_BYTES)) ? 1 : 0;
    }),
  };
}
