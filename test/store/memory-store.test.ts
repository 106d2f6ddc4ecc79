import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { ENTRY_BYTES, createMemoryStore } from "../../src/services/store/memory-store.ts";
import { storeConformance } from "./store.conformance.ts";

storeConformance("memory", false, () => {
  let now = 0;
  const store = createMemoryStore({ clock: () => now, maxBytes: 256 << 20 });
  return Promise.resolve({ store, other: store, advance: (ms: number) => void (now += ms), close: () => store.close() });
});

const one = Buffer.from("1");

test("createMemoryStore() answers at once, never with a promise", () => {
  const store = createMemoryStore();
  const answers = [
    store.set("space", "n", one),
    store.get("space", "n"),
    store.increment("space", "n", 1n),
    store.compareAndSet("space", "n", one, one),
    store.list("space", { limit: 1 }),
    store.usage("space"),
    store.delete("space", "n"),
    store.clear("space"),
  ];
  for (const answer of answers) assert.ok(!(answer instanceof Promise));
});

test("createMemoryStore() refuses a cap that is none", () => {
  for (const maxBytes of [-1, Number.NaN, "1" as unknown as number])
    assert.throws(() => createMemoryStore({ maxBytes }), { code: "MORTISE_INVALID_OPTION" });
});

test("createMemoryStore() holds all namespaces together under maxBytes, what each key takes included", () => {
  let now = 0;
  const store = createMemoryStore({ maxBytes: 10 * (ENTRY_BYTES + 10), clock: () => now });
  const value = Buffer.alloc(9);
  for (let index = 0; index < 10; index++) store.set(`space ${index}`, "k", value, { ttlMs: 1000 });
  assert.equal(store.heldBytes, 10 * (ENTRY_BYTES + 10));
  assert.throws(() => store.set("another", "", Buffer.alloc(0)), {
    code: "MORTISE_STORE_QUOTA",
    message: /the store would hold \d+ bytes/,
  });
  assert.throws(() => store.set("space 0", "k", Buffer.alloc(10)), { code: "MORTISE_STORE_QUOTA" });
  assert.throws(() => store.increment("another", "n", 1n), { code: "MORTISE_STORE_QUOTA" });
  store.set("space 0", "k", Buffer.alloc(8), { ttlMs: 1000 });
  now = 1001;
  store.set("another", "k", Buffer.alloc(9 * ENTRY_BYTES));
  assert.equal(store.heldBytes, 10 * ENTRY_BYTES + 1);
  store.clear("another");
  assert.equal(store.heldBytes, 0);
});

test("createMemoryStore() removes what expired while others write, so that it does not pile up", () => {
  let now = 0;
  const store = createMemoryStore({ clock: () => now });
  let most = 0;
  for (let index = 0; index < 20_000; index++) {
    now++;
    store.set("space", `key ${index}`, one, { ttlMs: 100 });
    most = Math.max(most, store.heldBytes);
  }
  assert.ok(most < 110 * (ENTRY_BYTES + 20), String(most));
});

test("createMemoryStore() keeps one place for a key whose expiry is set again and again", () => {
  let now = 0;
  const store = createMemoryStore({ clock: () => now });
  for (let index = 0; index < 1000; index++) {
    now++;
    store.set("space", `key ${index % 10}`, one, { ttlMs: 100 + ((index * 7919) % 50) });
  }
  for (let index = 0; index < 10; index++) assert.ok(store.get("space", `key ${index}`) !== undefined);
  now += 200;
  assert.deepEqual(store.usage("space"), { keys: 0, bytes: 0 });
  assert.equal(store.heldBytes, 0);
});

test("createMemoryStore() removes what expired while nobody does anything", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  const store = createMemoryStore({ clock: () => now });
  for (let index = 0; index < 3000; index++) store.set("space", `key ${index}`, one, { ttlMs: 5000 });
  now = 5000;
  context.mock.timers.tick(1000);
  assert.ok(store.heldBytes > 0, "a part at a time");
  for (let turn = 0; turn < 3; turn++) context.mock.timers.tick(1);
  assert.equal(store.heldBytes, 0);
});

test("createMemoryStore() does not keep the process alive", () => {
  const module = new URL("../../src/services/store/memory-store.ts", import.meta.url).href;
  const code = `import { createMemoryStore } from ${JSON.stringify(module)};
    createMemoryStore().set("space", "key", Buffer.from("1"), { ttlMs: 1e9 });`;
  execFileSync(process.execPath, ["--conditions=source", "--input-type=module", "-e", code], { timeout: 60_000 });
});

test("createMemoryStore() sorts many keys that come in any order, and forgets those that go", () => {
  const store = createMemoryStore();
  const keys = Array.from({ length: 5000 }, (_, index) => `k${String((index * 7919) % 5000).padStart(4, "0")}`);
  for (const key of keys) store.set("space", key, one);
  for (const key of keys.filter((_, index) => index % 3 === 0)) store.delete("space", key);
  const left = keys.filter((_, index) => index % 3 !== 0).toSorted();
  assert.deepEqual(store.list("space", { limit: 10_000 }), left);
  const paged: string[] = [];
  for (let after: string | undefined; ;) {
    const page = store.list("space", { limit: 77, ...(after === undefined ? {} : { after }) });
    paged.push(...page);
    after = page.at(-1);
    if (page.length < 77) break;
  }
  assert.deepEqual(paged, left);
});
