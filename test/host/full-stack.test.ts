// Calls that run out of stack in the host's own code, at every depth near the limit: nothing of a plugin may be lost.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type CallContext, type Plugin, isMortiseError, loadPlugin } from "../../src/index.ts";
import { assembleText } from "../wasm/assemble.ts";

/** Recurses as deep as its input is long, then calls a host function that uses another plugin. */
const DEEP = `(module (import "extism:host/user" "use" (func $use (param i64) (result i64)))
  (import "extism:host/env" "input_length" (func $length (result i64)))
  (func $down (param $n i64) (result i64) (if (result i64) (i64.eqz (local.get $n))
    (then (call $use (i64.const 0)))
    (else (i64.add (i64.const 1) (call $down (i64.sub (local.get $n) (i64.const 1)))))))
  (func (export "go") (drop (call $down (call $length)))))`;

const VICTIM = `(module (import "extism:host/user" "ask" (func $ask (param i64) (result i64)))
  (func (export "plain")) (func (export "trap") unreachable) (func (export "ask") (drop (call $ask (i64.const 0)))))`;

async function deepPlugin(use: () => void): Promise<Plugin> {
  const hostFunctions = { "extism:host/user": { use: () => (use(), 0n) } };
  return loadPlugin(await assembleText("deep", DEEP), { name: "deep", hostFunctions, limits: { timeoutMs: 60_000 } });
}

/** Calls at depths around the deepest that still reaches the host function. */
async function nearTheLimit(deep: Plugin, reached: () => boolean, check: (depth: number) => Promise<void>): Promise<void> {
  const goes = (depth: number): boolean => {
    try {
      deep.callSync("go", new Uint8Array(depth));
    } catch (error) {
      assert.ok(isMortiseError(error), String(error));
    }
    return reached();
  };
  for (let warm = 0; warm < 500; warm++) goes(3000);
  let [low, high] = [10, 100_000];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (goes(middle)) low = middle;
    else high = middle;
  }
  for (let depth = low + 2; depth > low - 150; depth--) {
    goes(depth);
    await check(depth);
  }
}

describe("A plugin that is called where the stack is nearly full", () => {
  for (const how of ["callSync", "call"] as const) {
    for (const fn of ["plain", "trap"]) {
      it(`serves the next call, after ${how} of "${fn}"`, async () => {
        const hostFunctions = { "extism:host/user": { ask: () => 0n } };
        await using victim = await loadPlugin(await assembleText("victim", VICTIM), { name: "victim", hostFunctions, limits: { timeoutMs: 60_000 } });
        let reached = false;
        await using deep = await deepPlugin(() => {
          reached = true;
          if (how === "callSync") victim.callSync(fn);
          else victim.call(fn).catch(() => {});
        });
        const wasReached = (): boolean => {
          const was = reached;
          reached = false;
          return was;
        };
        await nearTheLimit(deep, wasReached, async (depth) => {
          assert.equal((await victim.call("plain")).length, 0, `at depth ${depth}`);
          assert.equal(victim.stats().instances.busy, 0, `at depth ${depth}`);
        });
      });
    }
  }
});

describe("A block that the host allocates", () => {
  it("never gives host and guest the same block, also if the guest is suspended while its block is cleared", async () => {
    const text = `(module (import "extism:host/user" "kick" (func $kick))
      (import "extism:host/user" "show" (func $show (param i64 i64)))
      (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
      (import "extism:host/env" "length" (func $length (param i64) (result i64)))
      (func (export "fill") (drop (call $alloc (i64.const 33554432))))
      (func (export "run") (local $a i64) (call $kick)
        (local.set $a (call $alloc (i64.const 33554432))) (call $show (local.get $a) (call $length (local.get $a)))))`;
    let now = 0;
    let hostBlock = 0n;
    let guestBlock: readonly bigint[] = [];
    await using plugin = await loadPlugin(await assembleText("clearing", text), {
      // Every look at the clock ends a slice.
      clock: () => (now += 5),
      limits: { timeoutMs: 1_000_000, memoryBytes: 256 << 20 },
      hostFunctions: {
        "extism:host/user": {
          kick: (context: CallContext) => void setImmediate(() => (hostBlock = context.store("host text"))),
          show: (_context: CallContext, address: bigint, length: bigint) => void (guestBlock = [address, length]),
        },
      },
    });
    await plugin.call("fill");
    await plugin.call("run");
    assert.notEqual(hostBlock, 0n, "the host had no chance to allocate");
    assert.equal(guestBlock[1], 33_554_432n);
    assert.notEqual(hostBlock, guestBlock[0]);
  });

  it("gives zeros, also where a block was freed, and refuses sizes that no block can have", async () => {
    const hostFunctions = {
      "extism:host/user": {
        ask: (context: CallContext) => {
          const secret = context.store("secret!!");
          context.free(secret);
          assert.deepEqual(context.read(context.alloc(8)), new Uint8Array(8));
          assert.throws(() => context.alloc(2 ** 32 + 5), { code: "MORTISE_MEMORY_LIMIT" });
          return 0n;
        },
      },
    };
    await using plugin = await loadPlugin(await assembleText("victim", VICTIM), { hostFunctions });
    plugin.callSync("ask");
  });
});

describe("A trap", () => {
  it("keeps its code where the program's prepareStackTrace gives no text", async () => {
    const hostFunctions = { "extism:host/user": { ask: () => 0n } };
    await using plugin = await loadPlugin(await assembleText("victim", VICTIM), { hostFunctions });
    const before = Object.getOwnPropertyDescriptor(Error, "prepareStackTrace");
    Error.prepareStackTrace = (_error, sites) => sites;
    try {
      assert.throws(() => plugin.callSync("trap"), { code: "MORTISE_TRAP" });
    } finally {
      if (before === undefined) Reflect.deleteProperty(Error, "prepareStackTrace");
      else Object.defineProperty(Error, "prepareStackTrace", before);
    }
  });
});
