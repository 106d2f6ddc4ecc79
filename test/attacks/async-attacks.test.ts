// Hostile guests around suspension: stacks that are used up where the host waits, loops of calls that wait, and what is
// tried while a guest is suspended.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { CallContext, Plugin } from "../../src/index.ts";
import { aborter, endOf, open, settle, watchCall } from "../host/opened.ts";

const soon = async (): Promise<number> => 5;
const never = (): Promise<number> => new Promise(() => {});

async function loopTurns(call: Promise<unknown>): Promise<number> {
  let done = false;
  void call.catch(() => {}).finally(() => (done = true));
  let count = 0;
  // oxlint-disable-next-line no-unmodified-loop-condition -- a reaction of the promise above modifies it
  for (; !done; count++) await new Promise((resolve) => setImmediate(resolve));
  return count;
}

describe("A guest that calls a function that waits in a tight loop", () => {
  const LOOP = `(module (import "host" "ask" (func $ask (result i32))) (func (export "attack") (loop (drop (call $ask)) (br 0))) (func (export "ok") (drop (call $ask))))`;

  it("does not keep the event loop, though its promises are settled already", async () => {
    let now = 0;
    const plugin = await open(LOOP, { ask: soon }, { clock: () => ++now, limits: { timeoutMs: 400 } });
    let timers = 0;
    const timer = setInterval(() => timers++, 0);
    const turns = await loopTurns(plugin.call("attack"));
    clearInterval(timer);
    // 400 ms of the fake clock in slices of 4.
    assert.ok(turns >= 20, `${turns} turns`);
    assert.ok(timers > 0);
    assert.deepEqual(plugin.stats().errors, { MORTISE_TIMEOUT: 1 });
  });

  it("does not get more than limits.cpuShare allows by waiting before its slice is over", async () => {
    let now = 0;
    const plugin = await open(LOOP, { ask: soon }, { clock: () => (now += 0.25), limits: { timeoutMs: 100, cpuShare: 0.001 } });
    const { signal, abort } = aborter();
    const call = watchCall(plugin.call("attack", "", { signal }));
    for (let turn = 0; turn < 20; turn++) await settle(1);
    // It has had its slice, and now rests for a thousand times as long.
    assert.ok(now < 50, `${now} ms`);
    assert.equal(call.state, "pending");
    abort();
    await settle();
    assert.equal(call.state, "MORTISE_ABORTED");
  });

  it("ends for want of fuel, and holds on to nothing meanwhile", async () => {
    const plugin = await open(LOOP, { ask: soon }, { limits: { fuel: 20_000_000, timeoutMs: 60_000 } });
    const before = process.memoryUsage().heapUsed;
    assert.equal(await endOf(plugin.call("attack")), "MORTISE_FUEL");
    // More than 100,000 suspensions.
    assert.ok(process.memoryUsage().heapUsed - before < 200e6);
    assert.equal(await endOf(plugin.call("ok")), "");
    assert.ok(!process.getActiveResourcesInfo().includes("Immediate"));
  });
});

describe("A guest that uses up the stack around a function that waits", () => {
  // Each frame on the way back from where the stack was full asks again, so that it asks at every depth near the limit.
  const everywhere = (
    what: string,
  ): string => `(module (import "host" "ask" (func $ask (result i32))) (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (memory 1) (table 1 funcref) (global $asked (mut i32) (i32.const 0))
    (func $down (try (do (call $down)) (catch_all))
      (if (i32.lt_u (global.get $asked) (i32.const 400)) (then (global.set $asked (i32.add (global.get $asked) (i32.const 1))) (try (do ${what}) (catch_all)))))
    (func (export "attack") (global.set $asked (i32.const 0)) (call $down))
    (func (export "ok") (drop (call $ask))))`;
  const ways: readonly (readonly [what: string, code: string])[] = [
    ["asking", `(drop (call $ask))`],
    ["asking, in a loop", `(loop (drop (call $ask)) (br_if 0 (i32.rem_u (call $ask) (i32.const 5))))`],
    ["working until the budget is used up", `(local.set $i (i32.const 0)) (loop (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000))))`],
    ["growing a memory and asking", `(drop (memory.grow (i32.const 1))) (drop (call $ask))`],
    ["growing a table and asking", `(drop (table.grow (ref.null func) (i32.const 1))) (drop (call $ask))`],
    ["allocating and asking", `(drop (call $alloc (i64.const 5000))) (drop (call $ask))`],
    ["asking, and then for ever", `(drop (call $ask)) (loop (br 0))`],
  ]; // prettier-ignore
  for (const [what, code] of ways) {
    it(`and catches what is thrown there, by ${what}, ends with a code or has done no harm`, async () => {
      const text = everywhere(code).replace("(func $down (try", code.includes("$i") ? "(func $down (local $i i32) (try" : "(func $down (try");
      const plugin = await open(text, { ask: async () => (await Promise.resolve(), 5) }, { limits: { fuel: 30_000_000, timeoutMs: 60_000 } });
      for (let time = 0; time < 3; time++) {
        const end = await endOf(plugin.call("attack"));
        assert.ok(["", "MORTISE_STACK_OVERFLOW", "MORTISE_FUEL", "MORTISE_MEMORY_LIMIT"].includes(end), end);
        assert.equal(await endOf(plugin.call("ok")), "", `after ${end}`);
      }
      await plugin.close();
    });
  }

  it("never gets the answer to an earlier call", async () => {
    // Where it did not come to wait for an answer, the answer must not go to a later call of the same instance.
    const text = `(module (import "host" "ask" (func $ask (result i32))) (import "host" "see" (func $see (param i32)))
      (func $down (try (do (call $down)) (catch_all)) (try (do (drop (call $ask))) (catch_all)))
      (func (export "attack") (call $down)) (func (export "ok") (call $see (call $ask))))`;
    const seen: number[] = [];
    let call = 0;
    let answer = 0;
    const plugin = await open(
      text,
      { ask: async () => (await settle(1), answer), see: (_context: CallContext, value: number) => void seen.push(value) },
      { limits: { fuel: 300_000, timeoutMs: 60_000 } },
    );
    for (; call < 5; call++) {
      answer = -1;
      await endOf(plugin.call("attack"));
      answer = call;
      assert.equal(await endOf(plugin.call("ok")), "");
    }
    assert.deepEqual(seen, [0, 1, 2, 3, 4]);
  });
});

describe("A guest that is suspended", () => {
  const GUEST = `(module (import "host" "ask" (func $ask (result i64)))
    (import "extism:host/env" "length" (func $length (param i64) (result i64))) (import "extism:host/env" "output_set" (func $out (param i64 i64)))
    (global $inside (mut i32) (i32.const 0))
    (func (export "attack") (local $at i64) (if (global.get $inside) (then unreachable)) (global.set $inside (i32.const 1))
      (local.set $at (call $ask)) (global.set $inside (i32.const 0)) (call $out (local.get $at) (call $length (local.get $at))))
    (func (export "other") (if (global.get $inside) (then unreachable))))`;

  it("is not entered through another export, whoever tries", async () => {
    const answer = Promise.withResolvers<bigint>();
    const plugin = await open(GUEST, { ask: () => answer.promise });
    const running = endOf(plugin.call("attack"));
    const waiting = endOf(plugin.call("other"));
    assert.throws(() => plugin.callSync("other"), { code: "MORTISE_REENTRANT", details: { plugin: "guest", function: "other", running: "attack" } });
    await settle();
    answer.resolve(0n);
    assert.deepEqual([await running, await waiting], ["", ""]);
  });

  it("does not get more memory through its host function than limits.memoryBytes", async () => {
    let made = 0;
    const plugin: Plugin = await open(
      GUEST,
      {
        ask: async (context: CallContext) => {
          await settle(1);
          for (;;) {
            context.alloc(100_000);
            made++;
          }
        },
      },
      { limits: { memoryBytes: 2 << 20 } },
    );
    assert.equal(await endOf(plugin.call("attack")), "MORTISE_MEMORY_LIMIT");
    assert.ok(made < 21, `${made} blocks`);
    assert.ok(plugin.stats().memory.peak <= 2 << 20);
    assert.equal(await endOf(plugin.call("other")), "");
  });

  it("finds nothing in its memory that a host function stored for a call which was ended", async () => {
    let stored = 0n;
    let fails = true;
    const plugin = await open(
      GUEST,
      {
        ask: async (context: CallContext) => {
          stored = context.store("secret of the first");
          await settle(1);
          return fails ? never() : 256n;
        },
      },
      { limits: { timeoutMs: 60_000 } },
    );
    const controller = new AbortController();
    const first = endOf(plugin.call("attack", "", { signal: controller.signal }));
    await settle();
    controller.abort();
    assert.equal(await first, "MORTISE_ABORTED");
    fails = false;
    // The first block of the next call has the address of the first block of the last.
    assert.equal(await endOf(plugin.call("other")), "");
    assert.equal(stored, 256n);
    const after = await plugin.call("attack", "input");
    assert.equal(after.text(), "input");
  });
});
