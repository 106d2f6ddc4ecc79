// The cache of plugins: what is dropped, when, and whose.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import type { ServiceTable } from "../../src/api/services.ts";
import { CacheMemory } from "../../src/services/cache-memory.ts";
import { createServices } from "../../src/services/create-services.ts";
import { bytes, failure, now, text } from "./calls.ts";

const OVERHEAD = 96;
const permissions = { cache: "read-write" } as const;
/** Bytes of the value of an entry with a key of one byte, so that it counts 1000. */
const VALUE = 1000 - OVERHEAD - 1;

function keysOf(table: ServiceTable, keys: string): string {
  return Array.from(keys)
    .filter((key) => now(table, "cache_exists", key) === 1)
    .join("");
}

describe("cache", () => {
  it("cache_get gives what cache_set wrote, a copy of it each time", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions });
    const value = bytes("abc");
    now(table, "cache_set", "k", value, 0n);
    value[0] = 0;
    const first = now(table, "cache_get", "k") as Uint8Array;
    first[1] = 0;
    assert.equal(text(now(table, "cache_get", "k")), "abc");
    assert.deepEqual([now(table, "cache_delete", "k"), now(table, "cache_delete", "k")], [1, 0]);
    assert.equal(now(table, "cache_get", "k"), undefined);
  });

  it("cache_set drops what was used longest ago, and never fails", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions, quotas: { cacheBytes: 3000 } });
    for (const key of "abc") now(table, "cache_set", key, new Uint8Array(VALUE), 0n);
    now(table, "cache_get", "a");
    now(table, "cache_set", "d", new Uint8Array(VALUE), 0n);
    assert.equal(keysOf(table, "abcd"), "acd");
    now(table, "cache_set", "e", new Uint8Array(VALUE + 1), 0n); // needs the room of two
    assert.equal(keysOf(table, "acde").length, 2);
  });

  it("cache_set keeps nothing of a value that alone is too large, not even the old one", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions, quotas: { cacheBytes: 3000 } });
    now(table, "cache_set", "a", bytes("old"), 0n);
    now(table, "cache_set", "b", bytes("x"), 0n);
    now(table, "cache_set", "a", new Uint8Array(3000), 0n);
    assert.equal(keysOf(table, "ab"), "b");
  });

  it("cache entries without a value count, so that their number is bounded", () => {
    const memory = new CacheMemory({ maxBytes: 10_000, defaultTtlMs: 1, now: () => 0 });
    const cache = memory.of("p", 1000);
    for (let index = 0; index < 1000; index++) cache.set(`${index}`, bytes(""), 0);
    assert.ok(cache.bytes <= 1000 && cache.bytes > 800);
    assert.equal(Array.from({ length: 1000 }, (_unused, index) => cache.get(`${index}`)).filter((value) => value !== undefined).length, 10);
  });

  it("cache_set of one plugin pushes nothing out that another holds, as long as it holds less", async () => {
    await using services = createServices({ cacheBytes: 10_000 });
    const small = services.forPlugin({ plugin: "small", permissions });
    const large = services.forPlugin({ plugin: "large", permissions });
    for (const key of "abc") now(small, "cache_set", key, new Uint8Array(VALUE), 0n);
    for (let index = 0; index < 100; index++) now(large, "cache_set", `${index}`, new Uint8Array(VALUE), 0n);
    assert.equal(keysOf(small, "abc"), "abc");
  });

  it("cache_get finds nothing of another plugin", async () => {
    await using services = createServices();
    const one = services.forPlugin({ plugin: "one", permissions });
    const two = services.forPlugin({ plugin: "two", permissions });
    now(one, "cache_set", "k", bytes("1"), 0n);
    assert.equal(now(two, "cache_get", "k"), undefined);
    assert.equal(now(two, "cache_delete", "k"), 0);
    assert.equal(now(one, "cache_exists", "k"), 1);
  });

  it("cache entries expire after their own time, or the default", async () => {
    let time = 0;
    await using services = createServices({ monotonicClock: () => time, cacheTtlMs: 100 });
    const table = services.forPlugin({ plugin: "p", permissions });
    now(table, "cache_set", "a", bytes("1"), 0n);
    now(table, "cache_set", "b", bytes("1"), 50n);
    now(table, "cache_set", "c", bytes("1"), 200n);
    time = 50;
    assert.equal(keysOf(table, "abc"), "ac");
    time = 100;
    assert.equal(keysOf(table, "abc"), "c");
    time = 200;
    assert.equal(now(table, "cache_delete", "c"), 0);
  });

  it("cache functions refuse wrong arguments", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions });
    await failure(() => now(table, "cache_get", ""), "MORTISE_SERVICE_ARGUMENT");
    await failure(() => now(table, "cache_set", "k".repeat(513), bytes(""), 0n), "MORTISE_SERVICE_ARGUMENT");
    await failure(() => now(table, "cache_set", "k", "text", 0n), "MORTISE_SERVICE_ARGUMENT");
    await failure(() => now(table, "cache_set", "k", bytes(""), -1n), "MORTISE_SERVICE_ARGUMENT");
  });

  it("CacheMemory counts exactly what it holds, and stays within all bounds", () => {
    const step = fc.record({
      plugin: fc.constantFrom("a", "b", "c"),
      key: fc.constantFrom("1", "22", "é"),
      size: fc.integer({ min: 0, max: 600 }),
      kind: fc.constantFrom("set", "get", "delete", "forget", "wait"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let time = 0;
        const memory = new CacheMemory({ maxBytes: 1500, defaultTtlMs: 10, now: () => time });
        const model = new Map<string, Uint8Array>();
        for (const { plugin, key, size, kind } of steps) {
          const cache = memory.of(plugin, 800);
          const name = `${plugin}/${key}`;
          if (kind === "set") {
            const value = new Uint8Array(size).fill(size);
            cache.set(key, value, 0);
            model.set(name, value);
          } else if (kind === "delete") {
            cache.delete(key);
            model.delete(name);
          } else if (kind === "forget") memory.forget(plugin);
          else if (kind === "wait") time += 3;
          else {
            // It may have been dropped; it is never another value.
            const found = cache.get(key);
            if (found !== undefined) assert.deepEqual(found, model.get(name));
          }
          const sum = ["a", "b", "c"].reduce((total, each) => total + memory.of(each, 800).bytes, 0);
          assert.equal(memory.bytes, sum);
          assert.ok(memory.bytes <= 1500 && ["a", "b", "c"].every((each) => memory.of(each, 800).bytes <= 800));
        }
      }),
    );
  });
});
