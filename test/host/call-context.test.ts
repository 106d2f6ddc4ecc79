// What a host function may do with the call it serves after it has waited: contexts and their signals.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { CallContext, Plugin, PluginOptions } from "../../src/index.ts";
import { aborter, endOf, open, settle } from "./opened.ts";

/** Hands its input's address to the host and outputs the block whose address it gets back. */
const REFLECTOR = `(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "host" "work" (func $work (param i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "f") (local $block i64)
    (local.set $block (call $work (call $input_offset)))
    (call $output_set (local.get $block) (call $length (local.get $block))))
  (func (export "grow") (local $block i64)
    (drop (memory.grow (i32.const 3)))
    (i32.store (i32.const 200000) (i32.const 0x6b6f))
    (local.set $block (call $work (call $input_offset)))
    (if (i32.ne (i32.load (i32.const 200000)) (i32.const 0x6b6f)) (then unreachable))
    (if (i32.lt_s (memory.grow (i32.const 5)) (i32.const 4)) (then unreachable))
    (call $output_set (local.get $block) (call $length (local.get $block)))))`;

describe("CallContext", () => {
  it("reads, stores, allocates, frees, and holds variables and the error after an await as before it", async () => {
    const plugin = await open(REFLECTOR, {
      work: async (context: CallContext, address: bigint) => {
        await settle(1);
        const text = context.readText(address);
        assert.deepEqual([context.plugin, context.context, context.length(address)], ["guest", "mine", text.length]);
        await settle(1);
        const blank = context.alloc(10);
        assert.deepEqual(context.read(blank), new Uint8Array(10));
        context.free(blank);
        assert.equal(context.length(blank), 0);
        await settle(1);
        context.setVariable("seen", `${new TextDecoder().decode(context.getVariable("seen"))}${text} `);
        return context.store(`<${text}>`);
      },
    });
    assert.equal((await plugin.call("f", "one", { context: "mine" })).text(), "<one>");
    assert.equal((await plugin.call("f", "three", { context: "mine" })).text(), "<three>");
    assert.deepEqual(plugin.stats().variables, { count: 1, bytes: 4 + 48 + 10 });
    const failing = await open(REFLECTOR, {
      work: async (context: CallContext) => {
        await settle(1);
        context.setError("said later");
        return 0n;
      },
    });
    await assert.rejects(failing.call("f"), { code: "MORTISE_GUEST_ERROR", message: /said later$/ });
  });

  it("may make the memory grow while the guest is suspended, which has grown its own", async () => {
    const plugin = await open(REFLECTOR, {
      work: async (context: CallContext, address: bigint) => {
        const before = context.store("before");
        await settle(1);
        const large = context.store("x".repeat(3_000_000));
        await settle(1);
        assert.equal(context.readText(before), "before");
        assert.equal(context.readText(address), "input");
        return large;
      },
    });
    assert.equal((await plugin.call("grow", "input")).text(), "x".repeat(3_000_000));
    assert.equal((await plugin.call("f", "input")).length, 3_000_000);
  });

  it("charges for what is done after an await as for what is done before it", async () => {
    const fuelOf = async (work: (context: CallContext) => unknown): Promise<number> => {
      const plugin = await open(REFLECTOR, { work });
      await plugin.call("f", new Uint8Array(160_000));
      return plugin.stats().fuel.last;
    };
    const nothing = await fuelOf(async () => 0n);
    const read = (context: CallContext): bigint => (context.read(256), 0n);
    const later = async (context: CallContext): Promise<bigint> => {
      await settle(1);
      return read(context);
    };
    assert.deepEqual([(await fuelOf(read)) - nothing, (await fuelOf(later)) - nothing], [10_000, 10_000]);
  });

  it("ends a guest whose fuel is used up by what is done for it after an await", async () => {
    const work = async (context: CallContext): Promise<bigint> => {
      await settle(1);
      for (let turn = 0; turn < 100; turn++) context.read(256);
      return 0n;
    };
    const plugin = await open(REFLECTOR, { work }, { limits: { fuel: 500_000 } });
    assert.equal(await endOf(plugin.call("f", new Uint8Array(160_000))), "MORTISE_FUEL");
    assert.equal(await endOf(plugin.call("f", "x")), "");
  });

  it("is of no use once its call is over, whoever kept it", async () => {
    const kept: CallContext[] = [];
    const plugin = await open(REFLECTOR, {
      work: async (context: CallContext, address: bigint) => {
        kept.push(context);
        await settle(1);
        return address;
      },
    });
    await plugin.call("f", "first");
    const [first] = kept;
    assert.ok(first !== undefined);
    const uses: readonly (() => unknown)[] = [
      () => first.read(256),
      () => first.readText(256),
      () => first.store("x"),
      () => first.length(256),
      () => first.alloc(1),
      () => first.free(256),
      () => first.setError("x"),
      () => first.getVariable("x"),
      () => first.setVariable("x", "y"),
      () => first.signal,
    ];
    const refused = (): void => {
      for (const use of uses) assert.throws(use, { code: "MORTISE_STALE_CONTEXT" });
    };
    refused();
    // Nor while another call has the same instance.
    const second = plugin.call("f", "second");
    refused();
    assert.equal((await second).text(), "second");
    refused();
    assert.deepEqual(plugin.stats().variables, { count: 0, bytes: 0 });
  });
});

describe("CallContext.signal", () => {
  const withSignal = async (
    work: (signal: AbortSignal) => Promise<bigint>,
    options: PluginOptions = {},
  ): Promise<{ plugin: Plugin; signals: AbortSignal[] }> => {
    const signals: AbortSignal[] = [];
    const keep = (context: CallContext): Promise<bigint> => {
      signals.push(context.signal);
      assert.equal(context.signal, signals.at(-1));
      return work(context.signal);
    };
    return { plugin: await open(REFLECTOR, { work: keep }, options), signals };
  };

  it("is aborted when the call is over, and not before", async () => {
    const { plugin, signals } = await withSignal(async (signal) => {
      await settle(1);
      assert.equal(signal.aborted, false);
      return 0n;
    });
    await plugin.call("f");
    await plugin.call("f");
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, true],
    );
    assert.notEqual(signals[0], signals[1]);
  });

  it("is aborted at once when the caller aborts or the plugin is closed, with the error as its reason", async () => {
    const never = (): Promise<bigint> => new Promise(() => {});
    const { plugin, signals } = await withSignal(never);
    const { signal, abort } = aborter();
    const aborted = endOf(plugin.call("f", "", { signal }));
    abort();
    assert.equal(signals[0]?.aborted, true);
    assert.equal((signals[0].reason as { code?: string }).code, "MORTISE_ABORTED");
    assert.equal(await aborted, "MORTISE_ABORTED");
    const closed = endOf(plugin.call("f"));
    await settle();
    const closing = plugin.close({ abort: true });
    assert.equal(signals[1]?.aborted, true);
    assert.deepEqual([await closed, await closing], ["MORTISE_CLOSED", undefined]);
  });

  it("is aborted at the deadline, so that the function's own work can end", async () => {
    const ended = Promise.withResolvers<string>();
    const { plugin } = await withSignal(
      (signal) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => (ended.resolve("told"), reject(new Error("told"))))),
      { limits: { timeoutMs: 5 } },
    );
    await assert.rejects(plugin.call("f"), { code: "MORTISE_TIMEOUT", message: /deadline of 5 ms$/ });
    assert.equal(await ended.promise, "told");
  });
});
