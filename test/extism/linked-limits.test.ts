// Limits of a plugin of several modules: one fuel, one deadline, and sums over all of them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import type { CallContext, ErrorCode, PluginOptions } from "../../src/index.ts";
import { CALL_LIB, type Modules, SEE, codeOf, openLinked, refusalOf, seeing } from "./linked.ts";

describe("The limits of a plugin of several modules", () => {
  const sized = (memories: string): Modules => ({ lib: `(module ${memories} (func (export "run")))`, main: CALL_LIB });
  const rows: readonly (readonly [what: string, modules: Modules, options: PluginOptions, code: ErrorCode | undefined])[] = [
    ["memories that start with the limit in all", sized("(memory 9)"), { limits: { memoryBytes: 10 * 65_536 } }, undefined],
    ["memories that start with more than the limit in all", sized("(memory 10)"), { limits: { memoryBytes: 10 * 65_536 } }, "MORTISE_INITIAL_MEMORY"],
    ["tables that start with the limit in all", sized("(table 7 funcref) (table 3 funcref)"), { limits: { tableEntries: 10 } }, undefined],
    ["tables that start with more than the limit in all", sized("(table 7 funcref) (table 4 funcref)"), { limits: { tableEntries: 10 } }, "MORTISE_INITIAL_TABLE"],
  ]; // prettier-ignore
  for (const [what, modules, options, code] of rows) {
    it(`hold for ${what}`, async () => {
      if (code === undefined) await openLinked(modules, {}, options);
      else assert.equal((await refusalOf(modules, {}, options)).code, code);
    });
  }

  it("count memories and tables over all modules, those that are imported once", async () => {
    const many = (count: number, item: string): string => Array.from({ length: count }, () => item).join(" ");
    const main = (items: string): string => `(module (import "lib" "run" (func $run)) ${items} (func (export "f") (call $run)))`;
    const lib = (items: string): string => `(module ${items} (func (export "run")))`;
    assert.equal((await refusalOf({ lib: lib(many(5, "(memory 0)")), main: main(many(4, "(memory 0)")) })).code, "MORTISE_TOO_MANY_MEMORIES");
    assert.equal(
      (await refusalOf({ lib: lib(many(40, "(table 0 funcref)")), main: main(many(25, "(table 0 funcref)")) })).code,
      "MORTISE_TOO_MANY_TABLES",
    );
    await openLinked({
      lib: `(module (memory (export "m") 6) (func (export "run")))`,
      main: `(module (import "lib" "m" (memory 6)) (import "lib" "run" (func $run)) (func (export "f") (call $run)))`,
    }, {}, { limits: { memoryBytes: 7 * 65_536 } }); // prettier-ignore
  });

  const GROW = `(module (memory 1) (table 1 funcref) (func (export "pages") (param i32) (result i32) (memory.grow (local.get 0))) (func (export "entries") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))`;
  const grower = (name: string, kind: "pages" | "entries"): string => `(import "${name}" "${kind}" (func $${name}_${kind} (param i32) (result i32)))`;
  const MAIN_GROW = `(module ${SEE} ${grower("a", "pages")} ${grower("b", "pages")} ${grower("a", "entries")} ${grower("b", "entries")} (memory 1)
    (func (export "f") (call $see (call $a_pages (i32.const 3))) (call $see (call $b_pages (i32.const 3))) (call $see (memory.grow (i32.const 1))))
    (func (export "a") (drop (call $a_pages (i32.const 1)))) (func (export "b") (drop (call $b_pages (i32.const 1)))) (func (export "m") (drop (memory.grow (i32.const 1))))
    (func (export "tables") (call $see (call $a_entries (i32.const 30))) (call $see (call $b_entries (i32.const 10))))
    (func (export "ta") (drop (call $a_entries (i32.const 1)))) (func (export "tb") (drop (call $b_entries (i32.const 1)))))`;

  it("hold for the growth of all memories together, whichever grows", async () => {
    for (const last of ["a", "b", "m"]) {
      const { seen, host } = seeing();
      // Four memories of one page, the host's included, and seven more.
      const plugin = await openLinked({ a: GROW, b: GROW, main: MAIN_GROW }, host, { limits: { memoryBytes: 11 * 65_536 } });
      plugin.callSync("f");
      assert.deepEqual([seen, plugin.stats().memory.bytes], [[1, 1, 1], 11 * 65_536]);
      assert.equal(await codeOf(() => plugin.callSync(last)), "MORTISE_MEMORY_LIMIT");
    }
  });

  it("hold for the growth of all tables together, whichever grows", async () => {
    for (const last of ["ta", "tb"]) {
      const { seen, host } = seeing();
      const plugin = await openLinked({ a: GROW, b: GROW, main: MAIN_GROW }, host, { limits: { tableEntries: 42 } });
      plugin.callSync("tables");
      assert.deepEqual(seen, [1, 1]);
      assert.equal(await codeOf(() => plugin.callSync(last)), "MORTISE_TABLE_LIMIT");
    }
  });

  it("are one fuel: what is used in one module is missing in the other, and it is counted alike", async () => {
    const loop = (turns: number): string =>
      `(local $i i32) (loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${turns}))))`;
    const fuelOf = async (here: number, there: number): Promise<number> => {
      const plugin = await openLinked({
        lib: `(module (func (export "run") ${loop(there)}))`,
        main: `(module (import "lib" "run" (func $run)) (func (export "f") (call $run)) (func (export "g") ${loop(here)} (call $run)))`,
      });
      plugin.callSync("g");
      return plugin.stats().fuel.last;
    };
    const [small, large] = [await fuelOf(1000, 1000), await fuelOf(1000, 101_000)];
    assert.equal((await fuelOf(101_000, 1000)) - small, large - small);
    const plugin = await openLinked({ lib: `(module (func (export "run") ${loop(90_000)}))`, main: `(module (import "lib" "run" (func $run)) (func (export "f") (call $run) (call $run)))` }, {}, { limits: { fuel: 1_000_000 } }); // prettier-ignore
    assert.equal(await codeOf(() => plugin.callSync("f")), "MORTISE_FUEL");
  });

  it("are one deadline, also while a linked module is suspended, and one slice of time", async () => {
    const spin = { lib: `(module (func (export "run") (loop (br 0))))`, main: CALL_LIB };
    let now = 0;
    const plugin = await openLinked(spin, {}, { limits: { timeoutMs: 50 }, clock: () => ++now });
    assert.equal(await codeOf(() => plugin.callSync("f")), "MORTISE_TIMEOUT");
    assert.equal(await codeOf(() => plugin.call("f")), "MORTISE_TIMEOUT");
    const never = await openLinked(
      { lib: `(module (import "host" "ask" (func $ask)) (func (export "run") (call $ask)))`, main: CALL_LIB },
      { host: { ask: () => new Promise(() => {}) } },
    );
    assert.equal(await codeOf(() => never.call("f", "", { timeoutMs: 5 })), "MORTISE_TIMEOUT");
    const long = await openLinked(spin, {}, { clock: () => ++now });
    const controller = new AbortController();
    const call = codeOf(() => long.call("f", "", { timeoutMs: 1e9, signal: controller.signal }));
    await turn();
    controller.abort();
    assert.equal(await call, "MORTISE_ABORTED");
  });

  it("hold for what the host does for a linked module", async () => {
    // Each read costs the fuel of 160,000 bytes, which the linked module's own budget would not notice.
    let reads = 0;
    const lib = `(module (import "host" "read" (func $read)) (func (export "run") (loop (call $read) (br 0))))`;
    const read = (context: CallContext): void => {
      reads++;
      context.read(256);
    };
    const plugin = await openLinked({ lib, main: CALL_LIB }, { host: { read } }, { limits: { fuel: 100_000 } });
    assert.equal(await codeOf(() => plugin.callSync("f", new Uint8Array(160_000))), "MORTISE_FUEL");
    assert.equal(reads, 10);
  });

  it("hold for functions of several modules that call each other to death", async () => {
    // f0 calls g1 twice, g1 calls f2 twice, and so on: 2^60 calls, and no loop.
    const half = (mine: string, theirs: string, parity: number): string => {
      const items: string[] = [];
      for (let n = parity; n < 60; n += 2) {
        items.push(`(import "${theirs}" "n${n + 1}" (func $i${n}))`);
      }
      const functions: string[] = [];
      for (let n = parity; n < 60; n += 2) functions.push(`(func (export "n${n}") (call $i${n}) (call $i${n}))`);
      const last = parity === 0 ? `(func (export "n60"))` : "";
      const entry = mine === "main" ? `(func (export "f") (call $i0))` : "";
      return `(module ${items.join(" ")} ${functions.join(" ")} ${last} ${entry})`;
    };
    const plugin = await openLinked({ lib: half("lib", "main", 1), main: half("main", "lib", 0) }, {}, { limits: { fuel: 1_000_000 } });
    assert.equal(await codeOf(() => plugin.callSync("f")), "MORTISE_FUEL");
    let now = 0;
    const timed = await openLinked(
      { lib: half("lib", "main", 1), main: half("main", "lib", 0) },
      {},
      { limits: { timeoutMs: 50 }, clock: () => ++now },
    );
    assert.equal(await codeOf(() => timed.callSync("f")), "MORTISE_TIMEOUT");
  });

  it("hold for functions of several modules that call each other without end", async () => {
    const modules = {
      lib: `(module (import "main" "b" (func $b)) (func (export "run") (call $b)))`,
      main: `(module (import "lib" "run" (func $run)) (func (export "b") (call $run)) (func (export "f") (call $run)))`,
      tails: `(module)`,
    };
    const plugin = await openLinked(modules, {}, { limits: { fuel: 1e9, timeoutMs: 60_000 } });
    assert.equal(await codeOf(() => plugin.callSync("f")), "MORTISE_STACK_OVERFLOW");
    assert.equal(await codeOf(() => plugin.call("f")), "MORTISE_STACK_OVERFLOW");
    const tails = {
      lib: `(module (import "main" "b" (func $b)) (func (export "run") (return_call $b)))`,
      main: `(module (import "lib" "run" (func $run)) (func (export "b") (return_call $run)) (func (export "f") (call $run)))`,
    };
    const forever = await openLinked(tails, {}, { limits: { fuel: 1_000_000 } });
    // Stubs are no tail calls: either end is right, and there is one.
    assert.ok(["MORTISE_FUEL", "MORTISE_STACK_OVERFLOW"].includes((await codeOf(() => forever.callSync("f"))) as string));
  });
});
