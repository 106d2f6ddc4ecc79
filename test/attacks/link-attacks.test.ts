// Hostile plugins of several modules: what one module may try to gain from being two.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { CallContext } from "../../src/index.ts";
import { type Modules, codeOf, openLinked, refusalOf } from "../extism/linked.ts";
import { deepest, endOf, settle } from "../host/opened.ts";

const RUN = `(import "lib" "run" (func $run))`;

describe("A plugin of several modules", () => {
  it("gets no more fuel by passing control on before a budget is used up", async () => {
    // Each goes on for a little and calls the other, for ever: neither ever uses up what it was given.
    const little = `(local $i i32) (loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 500))))`;
    const modules: Modules = {
      lib: `(module (func (export "run") ${little}))`,
      main: `(module ${RUN} (func $work ${little}) (func (export "attack") (loop (call $run) (call $work) (br 0))) (func (export "ok")))`,
    };
    for (const fuel of [5000, 100_000, 2_000_000]) {
      const plugin = await openLinked(modules, {}, { limits: { fuel, timeoutMs: 60_000 } });
      assert.equal(await codeOf(() => plugin.callSync("attack")), "MORTISE_FUEL");
      const { last } = plugin.stats().fuel;
      assert.ok(last >= fuel && last < fuel + 5000, `${last} of ${fuel}`);
    }
  });

  it("gets no more fuel from what an earlier call left over in a linked module", async () => {
    const modules: Modules = {
      lib: `(module (func (export "run") (param $turns i32) (local $i i32) (loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $turns))))))`,
      main: `(module (import "lib" "run" (func $run (param i32))) (func (export "small") (call $run (i32.const 3000))) (func (export "large") (call $run (i32.const 12000))))`,
    };
    const measured = await openLinked(modules);
    measured.callSync("large");
    const fuel = measured.stats().fuel.last;
    const plugin = await openLinked(modules, {}, { limits: { fuel: fuel - 2000 } });
    for (let time = 0; time < 5; time++) assert.equal(await codeOf(() => plugin.callSync("small").text()), "");
    assert.equal(await codeOf(() => plugin.callSync("large")), "MORTISE_FUEL");
    const enough = await openLinked(modules, {}, { limits: { fuel } });
    for (let time = 0; time < 5; time++) assert.equal(await codeOf(() => enough.callSync("small").text()), "");
    const counts = new Set<number>();
    for (let time = 0; time < 5; time++) {
      assert.equal(await codeOf(() => enough.callSync("large").text()), "");
      counts.add(enough.stats().fuel.last);
    }
    assert.deepEqual([...counts], [fuel]);
  });

  it("cannot starve itself of pages for good by asking for what its memory cannot have", async () => {
    const modules: Modules = {
      lib: `(module (memory 1 3) (func (export "run") (local $i i32)
        (loop (drop (memory.grow (i32.add (i32.const 3) (local.get $i)))) (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))))`,
      main: `(module ${RUN} (memory 1) (func (export "attack") (call $run)) (func (export "ok") (if (i32.lt_s (memory.grow (i32.const 1)) (i32.const 1)) (then unreachable))))`,
    };
    const plugin = await openLinked(modules, {}, { limits: { memoryBytes: 20 * 65_536 } });
    plugin.callSync("attack");
    assert.equal(plugin.stats().memory.bytes, 3 * 65_536);
    for (let pages = 0; pages < 4; pages++) plugin.callSync("ok");
    assert.equal(plugin.stats().memory.bytes, 7 * 65_536);
  });

  it("that grows in one module is refused in all, and the next call has a new instance", async () => {
    const modules: Modules = {
      lib: `(module (memory 1) (func (export "run") (loop (drop (memory.grow (i32.const 1))) (br 0))))`,
      main: `(module ${RUN} (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64))) (func (export "attack") (try (do (call $run)) (catch_all)))
        (func (export "ok") (if (i64.eqz (call $alloc (i64.const 300000))) (then unreachable))))`,
    };
    const plugin = await openLinked(modules, {}, { limits: { memoryBytes: 10 * 65_536 } });
    assert.equal(await codeOf(() => plugin.callSync("attack")), "MORTISE_MEMORY_LIMIT");
    assert.equal(await codeOf(() => plugin.callSync("ok").text()), "");
    assert.ok(plugin.stats().memory.peak <= 10 * 65_536);
  });

  it("cannot make the host work for one module on another's account", async () => {
    let reads = 0;
    const read = async (context: CallContext): Promise<void> => {
      reads++;
      context.read(256);
      await settle(1);
      context.read(256);
    };
    const modules: Modules = {
      lib: `(module (import "host" "read" (func $read)) (func (export "run") (loop (try (do (call $read)) (catch_all)) (br 0))))`,
      main: `(module ${RUN} (func (export "attack") (call $run)))`,
    };
    const plugin = await openLinked(modules, { host: { read } }, { limits: { fuel: 100_000, timeoutMs: 60_000 } });
    assert.equal(await endOf(plugin.call("attack", new Uint8Array(160_000))), "MORTISE_FUEL");
    assert.ok(reads <= 6, `${reads} reads`);
  });

  const full: readonly (readonly [what: string, work: string])[] = [
    ["calls the host", `(call $touch)`],
    ["waits", `(drop (call $ask))`],
    ["grows", `(drop (memory.grow (i32.const 1)))`],
    ["works until its budget is used up", `(loop (br_if 0 (i32.lt_u (global.get $n) (global.get $n))) (global.set $m (i32.add (global.get $m) (i32.const 1))) (br_if 0 (i32.rem_u (global.get $m) (i32.const 20000))))`],
    ["allocates", `(drop (call $alloc (i64.const 9000)))`],
  ]; // prettier-ignore
  for (const [what, work] of full) {
    it(`that catches what a full stack throws while a linked module ${what} ends with a code or has done no harm`, async () => {
      const modules: Modules = {
        lib: `(module (import "host" "touch" (func $touch)) (import "host" "ask" (func $ask (result i32))) (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
          (import "main" "down" (func $main)) (memory 1) (global $n (mut i32) (i32.const 0)) (global $m (mut i32) (i32.const 0))
          (func (export "reset") (global.set $n (i32.const 0)))
          (func (export "run") (try (do (call $main)) (catch_all))
            (if (i32.lt_u (global.get $n) (i32.const 300)) (then (global.set $n (i32.add (global.get $n) (i32.const 1))) (try (do ${work}) (catch_all))))))`,
        main: `(module ${RUN} (import "lib" "reset" (func $reset)) (import "host" "ask" (func $ask (result i32))) (func (export "down") (call $run)) (func (export "attack") (call $reset) (call $run))
          (func (export "ok") (drop (call $ask))))`,
      };
      const functions = { host: { touch: () => {}, ask: async () => (await Promise.resolve(), 5) } };
      const plugin = await openLinked(modules, functions, { limits: { fuel: 30_000_000, timeoutMs: 60_000 } });
      for (let time = 0; time < 3; time++) {
        const end = await endOf(plugin.call("attack"));
        assert.ok(["", "MORTISE_STACK_OVERFLOW", "MORTISE_FUEL", "MORTISE_MEMORY_LIMIT"].includes(end), end);
        assert.equal(await endOf(plugin.call("ok")), "", `after ${end}`);
      }
      await plugin.close();
    });
  }

  it("is not kept after a linked module has caught that the host ran out of stack", async () => {
    // The host function needs more stack than the guest: it is what runs out of it.
    const hungry = (): void => {
      const deeper = (left: number): number => (left === 0 ? 0 : 1 + deeper(left - 1));
      deeper(200);
    };
    const modules: Modules = {
      lib: `(module (import "host" "touch" (func $touch)) (func $down (call $down) nop)
        (func $edge (try (do (call $edge)) (catch_all)) (try (do (call $touch)) (catch_all))) (func (export "run") (call $edge)))`,
      main: `(module ${RUN} (func (export "attack") (call $run)) (func (export "ok")))`,
    };
    const plugin = await openLinked(modules, { host: { touch: hungry } }, { limits: { fuel: 1e9, timeoutMs: 60_000 } });
    const end = await codeOf(() => plugin.callSync("attack").text());
    assert.equal(end, "MORTISE_STACK_OVERFLOW");
    assert.equal(plugin.stats().instances.discarded, 1);
    assert.equal(plugin.callSync("ok").text(), "");
  });

  it("is not kept where a linked module has caught that a call of the host did not begin", async () => {
    // At the right depth the stack is enough for the guest, and not for entering the host function.
    const modules: Modules = {
      lib: `(module (import "host" "touch" (func $touch)) (global $caught (mut i32) (i32.const 0))
        (func $down (param i32) (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1)))) (else (try (do (call $touch)) (catch_all (global.set $caught (i32.const 1)))))))
        (func (export "run") (param i32) (call $down (local.get 0))) (func (export "caught") (result i32) (global.get $caught)))`,
      main: `(module (import "lib" "run" (func $run (param i32))) (import "lib" "caught" (func $caught (result i32))) (import "host" "depth" (func $depth (result i32)))
        (func (export "attack") (call $run (call $depth))) (func (export "caught") (result i32) (call $caught)))`,
    };
    let depth = 1;
    const plugin = await openLinked(modules, { host: { touch: () => {}, depth: () => depth } }, { limits: { timeoutMs: 60_000 } });
    const attack = (at: number): Promise<unknown> => {
      depth = at;
      return codeOf(() => plugin.callSync("attack").text());
    };
    const limit = await deepest(async (at) => (await attack(at)) === "");
    const ends = new Set<unknown>();
    for (let at = limit - 40; at < limit + 40; at++) {
      const end = await attack(at);
      ends.add(end);
      assert.ok(end === "" || end === "MORTISE_STACK_OVERFLOW", String(end));
      assert.equal(await codeOf(() => plugin.callSync("caught").text()), "", `an instance that caught it was kept at depth ${at}`);
    }
    assert.equal(ends.size, 2);
  });

  it("cannot put a module in the kernel's place", async () => {
    const forged = `(module (func (export "alloc") (param i64) (result i64) (i64.const 0)) (func (export "var_get") (param i64) (result i64) (i64.const 0)) (func (export "http_request") (param i64 i64) (result i64) (i64.const 0)))`;
    for (const name of ["extism:host/env", "wasi_snapshot_preview1"]) {
      const error = await refusalOf({
        [name]: forged,
        main: `(module (import "extism:host/env" "var_get" (func $v (param i64) (result i64))) (func (export "attack") (drop (call $v (i64.const 0)))))`,
      });
      assert.equal(error.code, "MORTISE_MANIFEST_INVALID");
    }
  });

  it("cannot reach another plugin's modules by their names", async () => {
    const lib = `(module (global (export "secret") (mut i32) (i32.const 42)) (func (export "run")))`;
    await openLinked({ lib, main: `(module ${RUN} (func (export "ok") (call $run)))` }, {}, { name: "first" });
    const error = await refusalOf({ main: `(module (import "lib" "secret" (global (mut i32))) (func (export "ok")))` }, {}, { name: "second" });
    assert.deepEqual([error.code, error.details["plugin"]], ["MORTISE_MISSING_IMPORT", "second"]);
  });

  it("links sixty modules in a chain, and in a knot, in no time", async () => {
    const count = 60;
    const chain: Record<string, string> = {};
    const knot: Record<string, string> = {};
    for (let n = 0; n < count; n++) {
      const next = n + 1 < count ? `(import "m${n + 1}" "x" (func $x (result i32)))` : `(func $x (result i32) (i32.const 7))`;
      chain[`m${n}`] = `(module ${next} (func (export "x") (result i32) (call $x)))`;
      const all = Array.from({ length: count }, (_unused, other) => (other === n ? "" : `(import "m${other}" "x" (func (result i32)))`)).join(" ");
      knot[`m${n}`] = `(module ${all} (func (export "x") (result i32) (i32.const ${n})))`;
    }
    const main = `(module (import "m0" "x" (func $x (result i32))) (func (export "ok") (result i32) (call $x)))`;
    for (const [modules, expected] of [[chain, 7], [knot, 0]] as const) {
      const plugin = await openLinked({ ...modules, main });
      const end = await plugin.call("ok").then(() => 0, (error: { details: { returnCode: number } }) => error.details.returnCode);
      assert.equal(end, expected);
      await plugin.close();
    } // prettier-ignore
  });
});
