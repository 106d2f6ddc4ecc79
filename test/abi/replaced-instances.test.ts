// Instances that are replaced while a call is made, and functions of a guest that run for the host while it waits: neither
// gets around limits, nor serves a call half made.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";

import { type CallContext, type HostFunction, type Plugin, type PluginOptions, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

/** Parts of a plugin as text. */
interface Parts {
  readonly abi?: "bifrost" | "helios";
  readonly imports?: string;
  readonly pages?: number;
  /** Body of the allocator: (param $size i32) (result i32). */
  readonly allocate?: string;
  readonly more?: string;
  /** Body of "go", (param $at i32) (param $length i32) (result i64). */
  readonly go?: string;
}

/** Gives up to 1,024 bytes, and then no more. */
const LEAKING = `(if (i32.gt_u (i32.add (global.get $next) (local.get $size)) (i32.const 2048)) (then (return (i32.const 0))))
  (global.set $next (i32.add (global.get $next) (local.get $size))) (i32.sub (global.get $next) (local.get $size))`;
const NAMES = { bifrost: ["malloc", "free"], helios: ["alloc", "dealloc"] } as const;
/** Four bytes from address 0 as a result. */
const FIRST_WORD = "(i64.const 4)";
/** More than half of what the allocator has. */
const LARGE = "x".repeat(600);

function plugin({ abi = "bifrost", imports = "", pages = 1, allocate = LEAKING, more = "", go = FIRST_WORD }: Parts): string {
  const [allocator, freer] = NAMES[abi];
  return `(module ${imports}
    (memory (export "memory") ${pages})
    (global $next (mut i32) (i32.const 1024))
    (func $allocate (export "${allocator}") (param $size i32) (result i32) ${allocate})
    (func (export "${freer}") (param i32 i32))
    ${abi === "bifrost" ? `(func (export "get_name") (result i64) (i64.const 0))` : ""}
    (func (export "go") (param $at i32) (param $length i32) (result i64) ${go})
    ${more})`;
}

const init = (body: string): string => `(func (export "init") (param $at i32) (param $length i32) (result i32) ${body})`;
const imported = (name: string, type: string): string => `(import "app" "${name}" (func $${name} ${type}))`;

async function open(t: TestContext, parts: Parts, options: PluginOptions = {}): Promise<Plugin> {
  const opened = await loadPlugin(await assemble(plugin(parts)), { name: "leaky", ...options });
  t.after(() => opened.close({ abort: true }));
  return opened;
}

async function endOf(opened: Plugin, input: string, context?: unknown): Promise<string> {
  try {
    return Buffer.from((await opened.call("go", input, { context })).bytes()).toString("hex");
  } catch (error) {
    return (error as { code?: string }).code ?? `no code: ${String(error)}`;
  }
}

/** The two ways in which the host calls a plugin: at once, or, if a host function may have to wait, step by step. */
const WAYS = [
  { way: "at once", waits: "" },
  { way: "in steps", waits: "(if (i32.const 0) (then (call $wait)))" },
] as const;
const WAIT = imported("wait", "");
const wait = async (): Promise<void> => {};

describe("an instance that takes another one's place during a call", () => {
  it("is not replaced itself while it is initialised, however little its allocator has", async (t) => {
    let made = 0;
    const parts = { imports: imported("made", ""), allocate: "(i32.const 0)", more: init("(i32.const 0)") };
    const start = `(func $start (call $made)) (start $start)`;
    const options = { config: { a: "b" }, hostFunctions: { app: { made: () => void made++ } } };
    await assert.rejects(open(t, { ...parts, more: parts.more + start }, options), { code: "MORTISE_BAD_ALLOCATION" });
    assert.equal(made, 1);
  });

  for (const { way, waits } of WAYS) {
    it(`serves no call if its init failed (${way})`, async (t) => {
      let inits = 0;
      const count = (): number => inits++;
      const parts = {
        imports: imported("count", "(result i32)") + WAIT,
        more: init("(i32.store (i32.const 0) (i32.const 1)) (call $count)"),
        go: `${waits} ${FIRST_WORD}`,
      };
      const opened = await open(t, parts, { hostFunctions: { app: { count, wait } } });
      assert.equal(await endOf(opened, LARGE), "01000000");
      // The second instance is made during this call, and its init gives 1.
      assert.equal(await endOf(opened, LARGE), "MORTISE_RETURN_CODE");
      // What failed is not there for the next call either: another one is made, whose init gives 2.
      assert.equal(await endOf(opened, "x"), "MORTISE_RETURN_CODE");
      assert.equal(inits, 3);
    });

    it(`has the fuel that is left of the call, also if its program ends with code 0 (${way})`, async (t) => {
      const exit = `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`;
      const burn = `(local $left i32) (local.set $left (i32.const 20000)) (loop (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))`;
      const parts = {
        imports: exit + WAIT,
        more: `(func (export "_start") ${burn} (call $exit (i32.const 0)))`,
        go: `${burn} ${waits} ${FIRST_WORD}`,
      };
      const rich = await open(t, parts, { hostFunctions: { app: { wait } } });
      assert.equal(await endOf(rich, LARGE), "00000000");
      const alone = rich.stats().fuel.last;
      assert.equal(await endOf(rich, LARGE), "00000000");
      const both = rich.stats().fuel.last;
      // The program of the second instance is part of what the call costs, and of what it may cost.
      assert.ok(both > alone * 1.8, `${both} after ${alone}`);
      const poor = await open(t, parts, { hostFunctions: { app: { wait } }, limits: { fuel: Math.floor((alone + both) / 2) } });
      assert.deepEqual([await endOf(poor, LARGE), await endOf(poor, LARGE)], ["00000000", "MORTISE_FUEL"]);
    });
  }

  it("gets the context of its call for the function, and none for what initialises it", async (t) => {
    const seen: string[] = [];
    const note = ({ function: fn, context }: CallContext): void => void seen.push(`${fn}: ${String(context)}`);
    const parts: Parts = {
      abi: "helios",
      imports: imported("note", ""),
      more: `(func (export "_initialize") (call $note))`,
      go: `(call $note) ${FIRST_WORD}`,
    };
    const opened = await open(t, parts, { hostFunctions: { app: { note } } });
    for (const context of ["one", "two"]) await endOf(opened, "x", context);
    assert.deepEqual(seen, ["_initialize: undefined", "go: one", "_initialize: undefined", "go: two"]);
  });

  it("is not made for an input that the function cannot take, which costs no instance either", async (t) => {
    const more = `(func (export "pre_hook") (param i32 i32 i32 i32) (result i64) (i64.const 0))`;
    const opened = await open(t, { more });
    await assert.rejects(opened.call("pre_hook", "no JSON"), { code: "MORTISE_INVALID_INPUT" });
    assert.equal(opened.stats().instances.discarded, 0);
  });

  it("is not needed for inputs of calls that failed with a code: they are freed", async (t) => {
    let resets = 0;
    const more = `(func (export "fails") (param i32 i32) (result i32) (i32.const 1))
      (func (export "plugin_reset") (global.set $next (i32.const 1024)) (call $reset))`;
    const opened = await open(t, { imports: imported("reset", ""), more }, { hostFunctions: { app: { reset: () => void resets++ } } });
    for (let call = 0; call < 3; call++) await assert.rejects(opened.call("fails", LARGE), { code: "MORTISE_RETURN_CODE" });
    assert.deepEqual([resets, opened.stats().instances.discarded], [3, 0]);
  });
});

describe("the allocator of a plugin that waits for the host", () => {
  /** A plugin that waits for a host function which then needs room, which the allocator gives after `body`. */
  async function waiting(t: TestContext, body: string, app: Record<string, HostFunction>): Promise<Plugin> {
    const bytes = async (context: CallContext): Promise<bigint> => {
      await Promise.resolve();
      return context.store("abcd");
    };
    const parts = {
      imports: imported("bytes", "(result i64)") + imported("other", "") + imported("note", ""),
      allocate: `(if (i32.eq (local.get $size) (i32.const 4)) (then ${body})) ${LEAKING}`,
      go: "(i64.or (i64.shl (call $bytes) (i64.const 32)) (i64.const 4))",
    };
    return open(t, parts, { hostFunctions: { app: { bytes, other: () => {}, note: () => {}, ...app } } });
  }

  it("gives room, and may call the host", async (t) => {
    let calls = 0;
    const opened = await waiting(t, "(call $other)", { other: () => void calls++ });
    assert.equal(await endOf(opened, "x"), Buffer.from("abcd").toString("hex"));
    assert.equal(calls, 1);
  });

  it("cannot wait itself", async (t) => {
    const opened = await waiting(t, "(call $other)", { other: async () => {} });
    assert.equal(await endOf(opened, "x"), "MORTISE_ASYNC_HOST_FUNCTION");
  });

  it("does not go on after a host function that failed", async (t) => {
    let notes = 0;
    const fail = (): void => {
      throw new Error("denied");
    };
    const opened = await waiting(t, "(call $other) (call $note)", { other: fail, note: () => void notes++ });
    assert.equal(await endOf(opened, "x"), "MORTISE_HOST_FUNCTION");
    assert.equal(notes, 0);
  });
});
