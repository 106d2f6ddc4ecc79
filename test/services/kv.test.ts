// Keys and values that plugins keep, over each kind of store that answers at once, and over one that does not.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import type { Awaitable, Store } from "../../src/api/store.ts";
import { type PluginServiceOptions, createServices } from "../../src/services/create-services.ts";
import { MAX_TTL_MS, kvNamespace } from "../../src/services/kv.ts";
import { createMemoryStore } from "../../src/services/store/memory-store.ts";
import { createSqliteStore } from "../../src/services/store/sqlite-store.ts";
import { bytes, callOf, failure, now, run, runIn, text } from "./calls.ts";

const ALL = { kv: "read-write" } as const;

function tableOf(store: Store, options: Partial<PluginServiceOptions> = {}): ReturnType<ReturnType<typeof createServices>["forPlugin"]> {
  return createServices({ store }).forPlugin({ plugin: "p", permissions: ALL, ...options });
}

/** A store whose answers all take a turn of the event loop, as those of a server do. */
function slowly(store: Store): Store {
  const later = async <Value>(work: () => Awaitable<Value>): Promise<Value> => {
    await new Promise((resolve) => setImmediate(resolve));
    return work();
  };
  return {
    kind: "slow",
    get: (...given) => later(() => store.get(...given)),
    set: (...given) => later(() => store.set(...given)),
    delete: (...given) => later(() => store.delete(...given)),
    list: (...given) => later(() => store.list(...given)),
    compareAndSet: (...given) => later(() => store.compareAndSet(...given)),
    increment: (...given) => later(() => store.increment(...given)),
    usage: (...given) => later(() => store.usage(...given)),
    clear: (...given) => later(() => store.clear(...given)),
    close: () => store.close(),
    [Symbol.asyncDispose]: () => store.close(),
  };
}

interface Made {
  readonly store: Store;
  readonly atOnce: boolean;
  close(): Promise<void>;
}

const KINDS: Readonly<Record<string, () => Made>> = {
  memory: () => {
    const store = createMemoryStore();
    return { store, atOnce: true, close: () => store.close() };
  },
  sqlite: () => {
    const folder = mkdtempSync(join(tmpdir(), "services-kv-"));
    const store = createSqliteStore({ path: join(folder, "kv.db") });
    const close = async (): Promise<void> => {
      await store.close();
      rmSync(folder, { recursive: true });
    };
    return { store, atOnce: true, close };
  },
  slow: () => {
    const store = slowly(createMemoryStore());
    return { store, atOnce: false, close: () => store.close() };
  },
};

for (const [kind, make] of Object.entries(KINDS)) {
  describe(`kv over a store of kind ${kind}`, () => {
    const using = async (work: (made: Made) => Promise<void>): Promise<void> => {
      const made = make();
      try {
        await work(made);
      } finally {
        await made.close();
      }
    };

    it("kv_get gives what kv_set wrote, and kv_exists tells empty values from none", () =>
      using(async ({ store, atOnce }) => {
        const table = tableOf(store);
        const answer = run(table, "kv_set", "a", bytes("1"), 0n);
        assert.equal(answer instanceof Promise, !atOnce);
        await answer;
        await run(table, "kv_set", "empty", bytes(""), 0n);
        assert.equal(text(await run(table, "kv_get", "a")), "1");
        assert.equal(text(await run(table, "kv_get", "empty")), "");
        assert.equal(await run(table, "kv_get", "none"), undefined);
        assert.deepEqual([await run(table, "kv_exists", "empty"), await run(table, "kv_exists", "none")], [1, 0]);
        assert.deepEqual([await run(table, "kv_delete", "a"), await run(table, "kv_delete", "a")], [1, 0]);
      }));

    it("kv functions say that they wait exactly if the store can", () =>
      using(async ({ store, atOnce }) => {
        for (const [name, { waits }] of Object.entries(tableOf(store))) if (name.startsWith("kv_")) assert.equal(waits, !atOnce, name);
      }));

    it("kv_list gives sorted pages of the keys with a prefix", () =>
      using(async ({ store }) => {
        const table = tableOf(store);
        for (const key of ["b", "a:2", "a:1", 'a:"é']) await run(table, "kv_set", key, bytes("x"), 0n);
        assert.deepEqual(JSON.parse(text(await run(table, "kv_list", "a:", "", 10)) ?? ""), ['a:"é', "a:1", "a:2"]);
        assert.deepEqual(JSON.parse(text(await run(table, "kv_list", "a:", "a:1", 1)) ?? ""), ["a:2"]);
        assert.deepEqual(JSON.parse(text(await run(table, "kv_list", "", "a:2", 9)) ?? ""), ["b"]);
      }));

    it("kv_compare_and_set takes an empty expectation for no key or an empty one", () =>
      using(async ({ store }) => {
        const table = tableOf(store);
        const swap = async (expected: string, value: string): Promise<unknown> =>
          run(table, "kv_compare_and_set", "k", bytes(expected), bytes(value), 0n);
        assert.equal(await swap("", ""), 1); // there is no such key
        assert.equal(await swap("", "1"), 1); // it is empty
        assert.equal(await swap("", "2"), 0); // it is not
        assert.equal(await swap("0", "2"), 0);
        assert.equal(await swap("1", "2"), 1);
        assert.equal(text(await run(table, "kv_get", "k")), "2");
      }));

    it("kv_increment loses no update of concurrent calls, nor does kv_compare_and_set", () =>
      using(async ({ store }) => {
        const table = tableOf(store);
        await Promise.all(Array.from({ length: 100 }, async (_unused, index) => run(table, "kv_increment", "n", BigInt(index), 0n)));
        assert.equal(await run(table, "kv_increment", "n", 0n, 0n), 4950n);
        const addOne = async (): Promise<void> => {
          for (;;) {
            const old = text(await run(table, "kv_get", "c")) ?? "";
            if ((await run(table, "kv_compare_and_set", "c", bytes(old), bytes(String(Number(old) + 1)), 0n)) === 1) return;
          }
        };
        await Promise.all(Array.from({ length: 20 }, addOne));
        assert.equal(text(await run(table, "kv_get", "c")), "20");
      }));

    it("kv_set keeps to the plugin's quota, and other plugins have their own", () =>
      using(async ({ store }) => {
        const services = createServices({ store });
        const quotas = { kvKeys: 2, kvBytes: 100 };
        const one = services.forPlugin({ plugin: "one", permissions: ALL, quotas });
        const two = services.forPlugin({ plugin: "two", permissions: ALL, quotas });
        for (const table of [one, two]) for (const key of ["a", "b"]) await run(table, "kv_set", key, bytes("x"), 0n);
        await failure(() => run(one, "kv_set", "c", bytes("x"), 0n), "MORTISE_STORE_QUOTA");
        await failure(() => run(one, "kv_set", "a", new Uint8Array(99), 0n), "MORTISE_STORE_QUOTA");
        await failure(() => run(one, "kv_increment", "c", 1n, 0n), "MORTISE_STORE_QUOTA");
        await failure(() => run(one, "kv_compare_and_set", "c", bytes(""), bytes("x"), 0n), "MORTISE_STORE_QUOTA");
        assert.equal(text(await run(one, "kv_get", "a")), "x");
      }));

    it("kv keys of one plugin are out of another's reach, whatever they are", () =>
      using(async ({ store }) => {
        const services = createServices({ store });
        const tables = ["a", "a:b", "kv:a"].map((plugin) => services.forPlugin({ plugin, permissions: ALL }));
        const keys = ["x", "b:x", ":x", "kv:a:x", "../a/x", "\0x", "a\0x", "%", "*"];
        for (const [index, table] of tables.entries()) for (const key of keys) await run(table, "kv_set", key, bytes(`${index}`), 0n);
        for (const [index, table] of tables.entries()) {
          for (const key of keys) assert.equal(text(await run(table, "kv_get", key)), `${index}`, key);
          assert.equal((JSON.parse(text(await run(table, "kv_list", "", "", 100)) ?? "") as unknown[]).length, keys.length);
        }
        assert.equal(text(await store.get(kvNamespace("a"), "x")), "0");
      }));
  });
}

describe("kv", () => {
  it("kv_set makes keys expire, and 0 keeps them", async () => {
    let time = 0;
    await using store = createMemoryStore({ clock: () => time });
    const table = tableOf(store);
    await run(table, "kv_set", "short", bytes("x"), 10n);
    await run(table, "kv_set", "good", bytes("x"), 0n);
    await run(table, "kv_increment", "n", 1n, 10n);
    time = 11;
    assert.deepEqual(
      ["short", "good", "n"].map((key) => now(table, "kv_exists", key)),
      [0, 1, 0],
    );
  });

  it("kv_compare_and_set looks again when a key changes between none and empty", async () => {
    await using memory = createMemoryStore();
    // Somebody else writes an empty value between the first look and the try.
    const store: Store = {
      ...slowly(memory),
      get: async (namespace, key) => {
        const found = memory.get(namespace, key);
        if (found === undefined) memory.set(namespace, key, bytes(""));
        return found;
      },
    };
    assert.equal(await run(tableOf(store), "kv_compare_and_set", "k", bytes(""), bytes("1"), 0n), 1);
  });

  it("kv functions hand the call's signal to a store that has to wait", async () => {
    await using memory = createMemoryStore();
    const seen: unknown[] = [];
    const inner = slowly(memory);
    const store: Store = {
      ...inner,
      get: (namespace, key, signal) => (seen.push(signal), inner.get(namespace, key, signal)),
      set: (namespace, key, value, options) => (seen.push(options?.signal), inner.set(namespace, key, value, options)),
    };
    const call = callOf();
    await runIn(call, tableOf(store), "kv_get", "k");
    await runIn(call, tableOf(store), "kv_set", "k", bytes(""), 0n);
    assert.deepEqual(seen, [call.signal, call.signal]);
  });

  const WRONG: readonly (readonly [name: string, values: readonly (string | Uint8Array | number | bigint | undefined)[], argument: string])[] = [
    ["kv_get", [""], "key"],
    ["kv_get", ["k".repeat(513)], "key"],
    ["kv_get", ["é".repeat(257)], "key"],
    ["kv_get", ["\ud800"], "key"],
    ["kv_get", [7], "key"],
    ["kv_get", [], "key"],
    ["kv_set", ["k", new Uint8Array(65_537), 0n], "value"],
    ["kv_set", ["k", "text", 0n], "value"],
    ["kv_set", ["k", bytes(""), -1n], "ttl_ms"],
    ["kv_set", ["k", bytes(""), BigInt(MAX_TTL_MS) + 1n], "ttl_ms"],
    ["kv_set", ["k", bytes(""), 2n ** 63n - 1n], "ttl_ms"],
    ["kv_set", ["k", bytes(""), 5], "ttl_ms"],
    ["kv_list", ["", "", 0], "limit"],
    ["kv_list", ["", "", -1], "limit"],
    ["kv_list", ["", "", 1001], "limit"],
    ["kv_list", ["", "", 1.5], "limit"],
    ["kv_list", ["p".repeat(513), "", 1], "prefix"],
    ["kv_list", ["", "a".repeat(513), 1], "after"],
    ["kv_compare_and_set", ["k", new Uint8Array(65_537), bytes(""), 0n], "expected"],
    ["kv_compare_and_set", ["k", bytes(""), new Uint8Array(65_537), 0n], "value"],
    ["kv_increment", ["k", 1, 0n], "delta"],
    ["kv_delete", [""], "key"],
    ["kv_exists", [""], "key"],
  ];
  for (const [name, values, argument] of WRONG) {
    it(`${name} refuses a wrong ${argument}: ${JSON.stringify(values, (_key, value: unknown) => (typeof value === "bigint" ? `${value}` : value)).slice(0, 40)}`, async () => {
      await using store = createMemoryStore();
      const error = await failure(() => run(tableOf(store), name, ...values), "MORTISE_SERVICE_ARGUMENT");
      assert.deepEqual([error.details["service"], error.details["argument"]], [name, argument]);
      assert.ok(error.message.length < 300, error.message);
    });
  }

  it("kv accepts keys and values of exactly the limits", async () => {
    await using store = createMemoryStore();
    const table = tableOf(store);
    now(table, "kv_set", "é".repeat(256), new Uint8Array(65_536), BigInt(MAX_TTL_MS));
    assert.equal(run(table, "kv_exists", "é".repeat(256)), 1);
  });

  it("kv_increment refuses what is no number, and keeps it", async () => {
    await using store = createMemoryStore();
    const table = tableOf(store);
    now(table, "kv_set", "k", bytes("abc"), 0n);
    await failure(() => run(table, "kv_increment", "k", 1n, 0n), "MORTISE_STORE_NOT_A_NUMBER");
    now(table, "kv_increment", "n", 2n ** 63n - 1n, 0n);
    await failure(() => run(table, "kv_increment", "n", 1n, 0n), "MORTISE_STORE_NOT_A_NUMBER");
    assert.equal(text(run(table, "kv_get", "k")), "abc");
  });
});
