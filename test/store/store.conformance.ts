// What every store has to do, run by each of them.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { type ErrorCode, isMortiseError } from "../../src/api/errors.ts";
import type { Store } from "../../src/api/store.ts";
import { checkSteps } from "./store-steps.ts";

/** A store to test. */
export interface Subject {
  readonly store: Store;
  /** Another way to the same data, as another process would have it. */
  readonly other: Store;
  /** Lets time pass. */
  readonly advance: (ms: number) => void | Promise<void>;
  readonly close: () => Promise<void>;
}

const HOUR = 3_600_000;
const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const textOf = (value: Uint8Array | undefined): string | undefined => (value === undefined ? undefined : Buffer.from(value).toString());

/** Names that separators, globs, patterns, quoting or encodings could mistake. */
const HOSTILE = [
  "a",
  "A",
  "a:b",
  "a:v",
  ":v:a",
  "a}",
  "{a}",
  "a{b}c",
  "*",
  "[a-z]*",
  "%",
  "%61",
  "_",
  "a%",
  "a_",
  "'; DROP TABLE entries; --",
  "a\0",
  "a\0b",
  "\n",
  "é",
  "e\u0301",
  "\u{1f4a5}",
  "\uffff",
  "x".repeat(1000),
];

async function rejects(code: ErrorCode, work: () => unknown): Promise<void> {
  await assert.rejects(
    async () => work(),
    (error: unknown) => isMortiseError(error) && error.code === code,
  );
}

/** Registers the tests for one kind of store. */
export function storeConformance(name: string, skip: string | false, setUp: () => Promise<Subject>): void {
  let made: Promise<Subject> | undefined;
  let count = 0;
  /** The store, and a namespace that no other test uses. */
  const fresh = async (): Promise<Subject & { readonly space: string }> => ({ ...(await (made ??= setUp())), space: `space ${++count}` });
  const check = (title: string, work: () => Promise<void>): void => {
    test(`${name}: ${title}`, { skip }, work);
  };
  after(async () => (await made)?.close());

  check("set() keeps a copy, and get() gives one", async () => {
    const { store, space } = await fresh();
    const given = Buffer.from("value");
    await store.set(space, "key", given);
    given.fill(0);
    const first = await store.get(space, "key");
    assert.deepEqual(first, bytes("value"));
    assert.equal(first?.constructor, Uint8Array);
    first?.fill(0);
    assert.deepEqual(await store.get(space, "key"), bytes("value"));
    assert.equal(await store.get(space, "other"), undefined);
  });

  check("set() keeps any bytes: none, all values, many", async () => {
    const { store, space } = await fresh();
    for (const value of [new Uint8Array(), Uint8Array.from({ length: 256 }, (_, index) => index), new Uint8Array(1 << 20).fill(0xff)]) {
      await store.set(space, "key", value);
      assert.deepEqual(await store.get(space, "key"), value);
    }
  });

  check("namespaces and keys are what they are, whatever they are called", async () => {
    const { store, space } = await fresh();
    const names = HOSTILE.flatMap((hostile) => [`${space} ${hostile}`, hostile]);
    for (const namespace of names) {
      for (const key of ["", ...HOSTILE]) await store.set(namespace, key, bytes(JSON.stringify([namespace, key])));
    }
    const sorted = ["", ...HOSTILE].toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
    for (const namespace of names) {
      for (const key of sorted) assert.equal(textOf(await store.get(namespace, key)), JSON.stringify([namespace, key]));
      assert.deepEqual(await store.list(namespace, { limit: 100 }), sorted);
    }
    const [cleared = "", ...rest] = names;
    await store.clear(cleared);
    assert.deepEqual(await store.list(cleared, { limit: 100 }), []);
    for (const namespace of rest) {
      assert.equal((await store.usage(namespace)).keys, sorted.length);
      for (const key of sorted) assert.equal(await store.delete(namespace, key), true);
      assert.deepEqual(await store.usage(namespace), { keys: 0, bytes: 0 });
    }
  });

  check("a namespace and a key do not run into each other", async () => {
    const { store, space } = await fresh();
    for (const between of [":", "}:v:", ":v:", "\0", "/", "%7D%3Av%3A"]) {
      await store.set(space, `a${between}b`, bytes("1"));
      assert.equal(await store.get(`${space}${between}a`, "b"), undefined);
      assert.deepEqual(await store.usage(`${space}${between}a`), { keys: 0, bytes: 0 });
      await store.set(`${space}}:v:a`, "b", bytes("2"));
      assert.equal(textOf(await store.get(space, `a${between}b`)), "1");
      await store.clear(`${space}}:v:a`);
      assert.equal(textOf(await store.get(space, `a${between}b`)), "1");
    }
  });

  check("a key may be long, but not without end", async () => {
    const { store, space } = await fresh();
    const long = `${"k".repeat(65_530)}ééé`;
    await store.set(space, long, bytes("1"));
    await store.set(space, `${long.slice(0, -1)}e`, bytes("2"));
    assert.equal(textOf(await store.get(space, long)), "1");
    assert.deepEqual(await store.usage(space), { keys: 2, bytes: 65_536 + 65_535 + 2 });
    await rejects("MORTISE_INVALID_OPTION", () => store.set(space, `${long}k`, bytes("3")));
  });

  check("what cannot be kept is refused, and changes nothing", async () => {
    const { store, space } = await fresh();
    const one = bytes("1");
    const bad: readonly (readonly [title: string, work: () => unknown])[] = [
      ["key with a lone surrogate", () => store.set(space, "\ud800", one)],
      ["key to get", () => store.get(space, "\udfff")],
      ["key to delete", () => store.delete(space, "a\ud800b")],
      ["key to add to", () => store.increment(space, "\ud800", 1n)],
      ["key to compare", () => store.compareAndSet(space, "\ud800", undefined, one)],
      ["namespace with a lone surrogate", () => store.set("\ud800", "key", one)],
      ["empty namespace", () => store.set("", "key", one)],
      ["long namespace", () => store.usage("n".repeat(1025))],
      ["prefix with a lone surrogate", () => store.list(space, { prefix: "\ud83d", limit: 1 })],
      ["start with a lone surrogate", () => store.list(space, { after: "\ud83d", limit: 1 })],
      ["limit below zero", () => store.list(space, { limit: -1 })],
      ["limit that is no whole number", () => store.list(space, { limit: 1.5 })],
      ["limit that is too large", () => store.list(space, { limit: 10_001 })],
      ["value that is text", () => store.set(space, "key", "1" as unknown as Uint8Array)],
      ["value that is too large", () => store.set(space, "key", new Uint8Array((64 << 20) + 1))],
      ["time of zero", () => store.set(space, "key", one, { ttlMs: 0 })],
      ["time before now", () => store.increment(space, "key", 1n, { ttlMs: -5 })],
      ["time that is no number", () => store.compareAndSet(space, "key", undefined, one, { ttlMs: Number.NaN })],
      ["quota that is no number", () => store.set(space, "key", one, { quota: { maxKeys: Number.NaN, maxBytes: 1 } })],
    ];
    for (const [, work] of bad) await rejects("MORTISE_INVALID_OPTION", work);
    assert.deepEqual(await store.usage(space), { keys: 0, bytes: 0 });
  });

  check("delete() tells whether there was such a key", async () => {
    const { store, space } = await fresh();
    await store.set(space, "key", bytes("1"));
    assert.equal(await store.delete(space, "key"), true);
    assert.equal(await store.delete(space, "key"), false);
    assert.equal(await store.get(space, "key"), undefined);
  });

  check("a key that expired is not there for any operation", async () => {
    const { store, space, advance } = await fresh();
    for (const key of ["get", "delete", "compare", "increment", "list"]) await store.set(space, key, bytes("5"), { ttlMs: HOUR });
    await store.set(space, "stays", bytes("5"));
    await advance(HOUR - 60_000);
    assert.equal(textOf(await store.get(space, "get")), "5");
    assert.equal((await store.usage(space)).keys, 6);
    await advance(60_001);
    assert.equal(await store.get(space, "get"), undefined);
    assert.equal(await store.delete(space, "delete"), false);
    assert.equal(await store.compareAndSet(space, "compare", bytes("5"), bytes("6")), false);
    assert.equal(await store.compareAndSet(space, "compare", undefined, bytes("6")), true);
    assert.equal(await store.increment(space, "increment", 1n), 1n);
    assert.deepEqual(await store.list(space, { limit: 10 }), ["compare", "increment", "stays"]);
    assert.deepEqual(await store.usage(space), { keys: 3, bytes: "compare".length + "increment".length + "stays".length + 3 });
  });

  check("set() replaces the expiry too: another one, or none", async () => {
    const { store, space, advance } = await fresh();
    await store.set(space, "longer", bytes("1"), { ttlMs: HOUR });
    await store.set(space, "longer", bytes("2"), { ttlMs: 3 * HOUR });
    await store.set(space, "shorter", bytes("1"), { ttlMs: 3 * HOUR });
    await store.set(space, "shorter", bytes("2"), { ttlMs: HOUR });
    await store.set(space, "for good", bytes("1"), { ttlMs: HOUR });
    await store.set(space, "for good", bytes("2"));
    await store.set(space, "compared", bytes("1"), { ttlMs: HOUR });
    await store.compareAndSet(space, "compared", bytes("1"), bytes("2"));
    await advance(2 * HOUR);
    // A write gives the store occasion to remove what expired.
    await store.set(space, "new", bytes("1"));
    assert.deepEqual(await store.list(space, { limit: 10 }), ["compared", "for good", "longer", "new"]);
    await advance(2 * HOUR);
    await store.delete(space, "new");
    assert.deepEqual(await store.list(space, { limit: 10 }), ["compared", "for good"]);
  });

  check("a key that is written again after it expired lives anew", async () => {
    const { store, space, advance } = await fresh();
    await store.set(space, "a", bytes("old"), { ttlMs: HOUR });
    await store.set(space, "b", bytes("9"), { ttlMs: HOUR });
    await advance(2 * HOUR);
    await store.set(space, "a", bytes("new"));
    await store.increment(space, "b", 1n);
    await advance(100 * HOUR);
    await store.set(space, "c", bytes("1"));
    assert.equal(textOf(await store.get(space, "a")), "new");
    assert.equal(textOf(await store.get(space, "b")), "1");
    assert.deepEqual(await store.usage(space), { keys: 3, bytes: 3 + 3 + 1 + 1 });
  });

  check("increment() gives a new key its time, and leaves an old one's as it is", async () => {
    const { store, space, advance } = await fresh();
    assert.equal(await store.increment(space, "new", 2n, { ttlMs: HOUR }), 2n);
    await store.set(space, "for good", bytes("1"));
    assert.equal(await store.increment(space, "for good", 1n, { ttlMs: HOUR }), 2n);
    await advance(HOUR / 2);
    assert.equal(await store.increment(space, "new", 3n, { ttlMs: HOUR }), 5n);
    assert.equal(await store.increment(space, "new", 1n), 6n);
    await advance(HOUR / 2 + 1);
    assert.equal(await store.get(space, "new"), undefined);
    assert.equal(textOf(await store.get(space, "for good")), "2");
  });

  const MOST = 2n ** 63n - 1n;
  const LEAST = -(2n ** 63n);
  check("increment() adds over the whole range of 64 bits", async () => {
    const { store, space } = await fresh();
    const cases: readonly (readonly [before: string | undefined, delta: bigint, sum: bigint])[] = [
      [undefined, 0n, 0n],
      [undefined, MOST, MOST],
      [undefined, LEAST, LEAST],
      ["0", -1n, -1n],
      ["9007199254740992", 1n, 9_007_199_254_740_993n],
      [String(MOST), -1n, MOST - 1n],
      [String(MOST), LEAST, -1n],
      [String(LEAST), MOST, -1n],
      [String(LEAST), 1n, LEAST + 1n],
    ];
    for (const [before, delta, sum] of cases) {
      await store.delete(space, "n");
      if (before !== undefined) await store.set(space, "n", bytes(before));
      assert.equal(await store.increment(space, "n", delta), sum);
      assert.equal(textOf(await store.get(space, "n")), String(sum));
      assert.deepEqual(await store.usage(space), { keys: 1, bytes: 1 + String(sum).length });
    }
  });

  check("increment() refuses what is no number, and sums that do not fit, and leaves them", async () => {
    const { store, space } = await fresh();
    const values = [
      "",
      " ",
      "x",
      "1 ",
      " 1",
      "+1",
      "-0",
      "007",
      "1.5",
      "1e3",
      "0x10",
      "--1",
      "-",
      "9".repeat(30),
      String(MOST + 1n),
      String(LEAST - 1n),
    ];
    for (const value of values) {
      await store.set(space, "n", bytes(value));
      await rejects("MORTISE_STORE_NOT_A_NUMBER", () => store.increment(space, "n", 0n));
      assert.equal(textOf(await store.get(space, "n")), value);
    }
    const sums: readonly (readonly [before: bigint, delta: bigint])[] = [
      [MOST, 1n],
      [LEAST, -1n],
      [MOST, MOST],
      [LEAST, LEAST],
      [0n, MOST + 1n],
      [0n, LEAST - 1n],
    ];
    for (const [before, delta] of sums) {
      await store.set(space, "n", bytes(String(before)));
      await rejects("MORTISE_STORE_NOT_A_NUMBER", () => store.increment(space, "n", delta));
      assert.equal(textOf(await store.get(space, "n")), String(before));
    }
  });

  check("compareAndSet() writes and deletes only what is as expected", async () => {
    const { store, space } = await fresh();
    const cases: readonly (readonly [before: string | undefined, expected: string | undefined, value: string | undefined, done: boolean])[] = [
      [undefined, undefined, "new", true],
      [undefined, "", "new", false],
      [undefined, "old", "new", false],
      [undefined, undefined, undefined, true],
      [undefined, "old", undefined, false],
      ["old", "old", "new", true],
      ["old", "old", "old", true],
      ["old", undefined, "new", false],
      ["old", "ol", "new", false],
      ["old", "old ", "new", false],
      ["old", "old", undefined, true],
      ["old", undefined, undefined, false],
      ["old", "other", undefined, false],
      ["", "", "new", true],
      ["", undefined, "new", false],
    ];
    for (const [before, expected, value, done] of cases) {
      await store.delete(space, "key");
      if (before !== undefined) await store.set(space, "key", bytes(before));
      const given = [expected, value].map((text) => (text === undefined ? undefined : bytes(text)));
      assert.equal(await store.compareAndSet(space, "key", given[0], given[1]), done, JSON.stringify([before, expected, value]));
      assert.equal(textOf(await store.get(space, "key")), done ? value : before);
    }
  });

  check("a quota counts keys, and their bytes with those of values; an overwrite counts the difference", async () => {
    const { store, space, advance } = await fresh();
    const quota = { maxKeys: 2, maxBytes: 10 };
    await store.set(space, "aa", bytes("123"), { quota });
    await store.set(space, "bb", bytes("123"), { quota });
    await rejects("MORTISE_STORE_QUOTA", () => store.set(space, "c", bytes(""), { quota }));
    await rejects("MORTISE_STORE_QUOTA", () => store.set(space, "bb", bytes("1234"), { quota }));
    await rejects("MORTISE_STORE_QUOTA", () => store.compareAndSet(space, "c", undefined, bytes(""), { quota }));
    await rejects("MORTISE_STORE_QUOTA", () => store.compareAndSet(space, "bb", bytes("123"), bytes("1234"), { quota }));
    await rejects("MORTISE_STORE_QUOTA", () => store.increment(space, "c", 1n, { quota }));
    await rejects("MORTISE_STORE_QUOTA", () => store.increment(space, "bb", 1000n, { quota }));
    assert.equal(await store.compareAndSet(space, "c", bytes("x"), bytes("y"), { quota }), false);
    assert.deepEqual(await store.usage(space), { keys: 2, bytes: 10 });
    assert.equal(textOf(await store.get(space, "bb")), "123");
    assert.deepEqual(await store.list(space, { limit: 10 }), ["aa", "bb"]);

    await store.set(space, "aa", bytes("12"), { quota });
    await store.set(space, "bb", bytes("1234"), { quota, ttlMs: HOUR });
    assert.equal(await store.increment(space, "bb", 1n, { quota }), 1235n);
    await store.delete(space, "aa");
    await store.set(space, "c", bytes("123"), { quota });
    await rejects("MORTISE_STORE_QUOTA", () => store.set(space, "d", bytes(""), { quota }));
    await advance(2 * HOUR);
    await store.set(space, "d", bytes("12345"), { quota });
    assert.deepEqual(await store.usage(space), { keys: 2, bytes: 10 });
  });

  check("an increment that the quota refuses leaves value and expiry as they were", async () => {
    const { store, space, advance } = await fresh();
    await store.set(space, "n", bytes("99"), { ttlMs: HOUR });
    await rejects("MORTISE_STORE_QUOTA", () => store.increment(space, "n", 1n, { quota: { maxKeys: 1, maxBytes: 3 } }));
    assert.equal(textOf(await store.get(space, "n")), "99");
    await advance(HOUR + 1);
    assert.equal(await store.get(space, "n"), undefined);
    assert.deepEqual(await store.usage(space), { keys: 0, bytes: 0 });
  });

  check("however many keys expired, they leave room for others", async () => {
    const { store, space, advance } = await fresh();
    const quota = { maxKeys: 2501, maxBytes: 50_000 };
    for (let index = 0; index < 2500; index++) await store.set(space, `old ${index}`, bytes("1"), { ttlMs: HOUR, quota });
    await store.set(space, "last", bytes("1"), { ttlMs: HOUR + 1000, quota });
    await rejects("MORTISE_STORE_QUOTA", () => store.set(space, "new", bytes("1"), { quota }));
    await advance(HOUR + 2000);
    assert.equal(await store.delete(space, "last"), false, "it is among many that were not removed yet");
    await store.set(space, "new", new Uint8Array(49_997), { quota });
    assert.deepEqual(await store.list(space, { limit: 10 }), ["new"]);
    assert.deepEqual(await store.usage(space), { keys: 1, bytes: 50_000 });
    await rejects("MORTISE_STORE_QUOTA", () => store.set(space, "one more", bytes(""), { quota }));
  });

  check("list() goes by bytes, with prefix, start and limit", async () => {
    const { store, space } = await fresh();
    const keys = ["", "a", "a\0", "ab", "abc", "abd", "b", "z", "é", "ÿ", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}"];
    for (const key of keys.toReversed()) await store.set(space, key, bytes("1"));
    const list = (options: { prefix?: string; after?: string; limit?: number }): string[] | Promise<string[]> =>
      store.list(space, { limit: 100, ...options });
    assert.deepEqual(await list({}), keys);
    assert.deepEqual(await list({ limit: 0 }), []);
    assert.deepEqual(await list({ limit: 2 }), ["", "a"]);
    assert.deepEqual(await list({ after: "" }), keys.slice(1));
    assert.deepEqual(await list({ prefix: "a" }), ["a", "a\0", "ab", "abc", "abd"]);
    assert.deepEqual(await list({ prefix: "ab", after: "ab" }), ["abc", "abd"]);
    assert.deepEqual(await list({ prefix: "ab", after: "a" }), ["ab", "abc", "abd"]);
    assert.deepEqual(await list({ prefix: "ab", after: "b" }), []);
    assert.deepEqual(await list({ after: "a", limit: 1 }), ["a\0"]);
    assert.deepEqual(await list({ after: "\uffff" }), ["\u{10000}", "\u{10ffff}"]);
    assert.deepEqual(await list({ prefix: "\u{10ffff}" }), ["\u{10ffff}"]);
    assert.deepEqual(await list({ prefix: "\u{10ffff}", after: "\u{10ffff}" }), []);
    assert.deepEqual(await list({ prefix: "*" }), []);
  });

  check("list() finds the keys that did not expire among thousands that did", async () => {
    const { store, space, advance } = await fresh();
    for (let index = 0; index < 3000; index++) await store.set(space, `k${String(index).padStart(4, "0")}`, bytes("1"), { ttlMs: HOUR });
    await store.set(space, "k2999", bytes("1"));
    await advance(HOUR + 1);
    assert.deepEqual(await store.list(space, { limit: 1 }), ["k2999"]);
  });

  check("two ways to the same data lose no update", async () => {
    const { store, other, space } = await fresh();
    const stores = [store, other];
    const adding = Array.from({ length: 200 }, async (_, index) => stores[index % 2]?.increment(space, "sum", BigInt(index)));
    const appending = Array.from({ length: 20 }, async (_, index) => {
      const at = stores[index % 2] as Store;
      for (;;) {
        const old = await at.get(space, "list");
        if (await at.compareAndSet(space, "list", old, Buffer.concat([old ?? new Uint8Array(), Buffer.of(index)]))) return;
      }
    });
    await Promise.all([...adding, ...appending]);
    assert.equal(textOf(await other.get(space, "sum")), String((199 * 200) / 2));
    const listed = Array.from((await other.get(space, "list")) ?? []);
    assert.deepEqual(
      listed.toSorted((one, another) => one - another),
      Array.from({ length: 20 }, (_, index) => index),
    );
  });

  check("concurrent writes together do not pass a quota", async () => {
    const { store, other, space } = await fresh();
    const quota = { maxKeys: 10, maxBytes: 1000 };
    const written = await Promise.allSettled(
      Array.from({ length: 50 }, async (_, index) => (index % 2 === 0 ? store : other).set(space, `k${index}`, bytes("1"), { quota })),
    );
    assert.equal(written.filter(({ status }) => status === "fulfilled").length, 10);
    assert.equal((await store.usage(space)).keys, 10);
  });

  check("it does what a simple model does, step by step", async () => {
    await checkSteps(fresh);
  });

  check("close() may be called twice, and ends all operations with a code", async () => {
    const { store, other, close } = await setUp();
    try {
      for (const at of [store, other]) {
        await at.set("space", "key", bytes("1"));
        await at.close();
        await at.close();
        await at[Symbol.asyncDispose]();
        const operations = [
          () => at.get("space", "key"),
          () => at.set("space", "key", bytes("1")),
          () => at.delete("space", "key"),
          () => at.list("space", { limit: 1 }),
          () => at.compareAndSet("space", "key", undefined, undefined),
          () => at.increment("space", "key", 1n),
          () => at.usage("space"),
          () => at.clear("space"),
        ];
        for (const operation of operations) await rejects("MORTISE_STORE_UNAVAILABLE", operation);
        if (at === other) break;
      }
    } finally {
      await close();
    }
  });
}
