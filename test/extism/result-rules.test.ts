// What a call amounts to, and what happens before the first one: the rules of the Extism runtime.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type ErrorCode, type HostFunctions, type Plugin, type PluginOptions, isMortiseError, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

const IMPORTS = `
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/user" "note" (func $note (param i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (func $text (param $eight i64) (result i64) (local $block i64)
    (local.set $block (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $block) (local.get $eight))
    (local.get $block))
  (func $output (call $output_set (call $text (i64.const 0x74757074754f2121)) (i64.const 8)))
  (func $error (call $error_set (call $text (i64.const 0x212164656c696166))))`;
/** What $output and $error leave. */
const OUTPUT = "!!Output";
const ERROR = "failed!!";

interface Guest extends AsyncDisposable {
  readonly plugin: Plugin;
  /** What the guest noted, in order. */
  readonly notes: number[];
  call(name: string, input?: string): { output?: string; code?: ErrorCode; details?: Readonly<Record<string, unknown>> };
}

async function openGuest(body: string, options: PluginOptions = {}): Promise<Guest> {
  const notes: number[] = [];
  const hostFunctions: HostFunctions = { "extism:host/user": { note: (_context, value: number) => void notes.push(value) } };
  const plugin = await loadPlugin(await assemble(`(module ${IMPORTS} ${body})`), { name: "guest", ...options, hostFunctions });
  return {
    plugin,
    notes,
    call: (name, input) => {
      try {
        return { output: plugin.callSync(name, input).text() };
      } catch (error) {
        if (!isMortiseError(error)) throw error;
        return { code: error.code, details: error.details };
      }
    },
    [Symbol.asyncDispose]: () => plugin.close(),
  };
}

/** Loads a guest that fails to load, and returns its error and what it noted until then. */
async function refused(body: string, options: PluginOptions = {}): Promise<{ code: ErrorCode; details: Readonly<Record<string, unknown>> }> {
  try {
    await openGuest(body, options);
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    return { code: error.code, details: error.details };
  }
  return assert.fail("it was loaded");
}

describe("A call's result", () => {
  const cases: readonly (readonly [
    what: string,
    body: string,
    expected: { output?: string; code?: ErrorCode; details?: Record<string, unknown> },
  ])[] = [
    ["is the output of a function without a result", "call $output", { output: OUTPUT }],
    ["is the output of a function that returns 0", "call $output i32.const 0", { output: OUTPUT }],
    ["is empty if nothing was set", "", { output: "" }],
    ["is a failure for a return code above 0", "call $output i32.const 7", { code: "MORTISE_RETURN_CODE", details: { returnCode: 7 } }],
    ["is a failure for a return code below 0", "i32.const -1", { code: "MORTISE_RETURN_CODE", details: { returnCode: -1 } }],
    ["is a failure for the smallest return code", "i32.const -2147483648", { code: "MORTISE_RETURN_CODE", details: { returnCode: -2_147_483_648 } }],
    ["is the guest's error before the output", "call $output call $error", { code: "MORTISE_GUEST_ERROR", details: { reason: ERROR, returnCode: undefined } }],
    ["is the guest's error though it returned 0", "call $error i32.const 0", { code: "MORTISE_GUEST_ERROR", details: { reason: ERROR, returnCode: undefined } }],
    ["is the guest's error before its return code", "call $error i32.const 3", { code: "MORTISE_GUEST_ERROR", details: { reason: ERROR, returnCode: 3 } }],
    ["is a trap", "call $output unreachable", { code: "MORTISE_TRAP", details: { reason: "unreachable" } }],
    ["is a division trap", "i32.const 1 i32.const 0 i32.div_u drop", { code: "MORTISE_TRAP", details: { reason: "divide by zero" } }],
    ["is the exit code that it left with", "call $output i32.const 3 call $proc_exit", { code: "MORTISE_EXIT", details: { exitCode: 3 } }],
    ["is the output after an exit with 0", "call $output i32.const 0 call $proc_exit unreachable", { output: OUTPUT }],
    ["is the guest's error before an exit with 0", "call $error i32.const 0 call $proc_exit", { code: "MORTISE_GUEST_ERROR" }],
    ["is the guest's error before a trap", "call $error unreachable", { code: "MORTISE_GUEST_ERROR", details: { reason: ERROR } }],
    ["is the guest's error before an exit", "call $error i32.const 3 call $proc_exit", { code: "MORTISE_GUEST_ERROR", details: { reason: ERROR } }],
  ]; // prettier-ignore
  for (const [what, body, { output, code, details = {} }] of cases) {
    it(what, async () => {
      const returns = /^(.* )?i32\.const -?\d+$/.test(body);
      await using guest = await openGuest(`(func (export "f") ${returns ? "(result i32)" : ""} ${body})`);
      const result = guest.call("f");
      assert.deepEqual({ output: result.output, code: result.code }, { output, code });
      for (const [name, value] of Object.entries(details)) assert.equal(result.details?.[name], value, `details.${name}`);
    });
  }

  it("ends at proc_exit: nothing after it runs, in whatever depth", async () => {
    await using guest = await openGuest(`
      (func $inner (call $proc_exit (i32.const 9)) (call $note (i32.const 1)))
      (func (export "f") (block (loop (call $inner) (call $note (i32.const 2)) (br 0))))`);
    assert.deepEqual(guest.call("f"), { code: "MORTISE_EXIT", details: { plugin: "guest", function: "f", exitCode: 9 } });
    assert.deepEqual(guest.notes, []);
  });

  it("keeps the instance after an error and a return code, and not after a trap or an exit", async () => {
    await using guest = await openGuest(`
      (global $calls (mut i32) (i32.const 0))
      (func $count (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (call $note (global.get $calls)))
      (func (export "code") (result i32) (call $count) (i32.const 1))
      (func (export "error") (call $count) (call $error))
      (func (export "trap") (call $count) unreachable)
      (func (export "exit") (call $count) (call $proc_exit (i32.const 1)))`);
    for (const name of ["code", "error", "trap", "code", "exit", "error", "error"]) guest.call(name);
    assert.deepEqual(guest.notes, [1, 2, 3, 1, 2, 1, 2]);
    assert.deepEqual(madeAndDiscarded(guest.plugin), [3, 2]);
  });

  it("names the frames of a trap by the guest's own names, innermost first", async () => {
    await using guest = await openGuest(`(func $deep unreachable) (func $middle (call $deep)) (func (export "f") (call $middle))`);
    const trace = guest.call("f").details?.["trace"] as { function: string; offset: number }[];
    assert.deepEqual(
      trace.map((frame) => frame.function),
      ["deep", "middle", "f"],
    );
  });
});

describe("A function that cannot be called", () => {
  const functions: readonly (readonly [name: string, type: string, found: string])[] = [
    ["param", "(func (export \"param\") (param i32))", "(i32) -> ()"],
    ["params", "(func (export \"params\") (param i64 f64) (result i32) i32.const 0)", "(i64, f64) -> i32"],
    ["two", "(func (export \"two\") (result i32 i32) i32.const 0 i32.const 0)", "() -> (i32, i32)"],
    ["wide", "(func (export \"wide\") (result i64) i64.const 0)", "() -> i64"],
    ["single", "(func (export \"single\") (result f32) f32.const 0)", "() -> f32"],
    ["reference", "(func (export \"reference\") (result funcref) ref.null func)", "() -> funcref"],
  ]; // prettier-ignore

  it("is refused with MORTISE_BAD_SIGNATURE and its type", async () => {
    await using guest = await openGuest(functions.map(([, text]) => text).join("\n"));
    assert.deepEqual(guest.plugin.exports, []);
    for (const [name, , found] of functions) {
      assert.equal(guest.plugin.has(name), false, name);
      assert.deepEqual(guest.call(name), {
        code: "MORTISE_BAD_SIGNATURE",
        details: { plugin: "guest", function: name, found: `a function of type ${found}` },
      });
    }
  });

  it("is refused with MORTISE_UNKNOWN_FUNCTION if it is no function, or nothing", async () => {
    await using guest = await openGuest(`(memory (export "memory") 1) (global (export "count") i32 (i32.const 0)) (func (export "counts"))`);
    for (const name of ["memory", "count", "missing", "", "toString", "__proto__"]) {
      assert.equal(guest.plugin.has(name), false, name);
      assert.equal(guest.call(name).code, "MORTISE_UNKNOWN_FUNCTION", name);
    }
    assert.throws(() => guest.plugin.callSync("count"), /there is no such export; did you mean "counts"\?$/);
  });

  it("is every export that the rewriter added", async () => {
    await using guest = await openGuest(`(func (export "f"))`);
    assert.deepEqual(guest.plugin.exports, ["f"]);
    for (const name of ["budget", "enter:call:f", "start", "enter:alloc"]) assert.equal(guest.call(name).code, "MORTISE_UNKNOWN_FUNCTION", name);
  });
});

describe("The initialisation of an instance", () => {
  const START = "(start $start) (func $start (call $note (i32.const 1)))";
  const HS_INIT = `(func (export "hs_init") (param $argc i32) (param $argv i32)
    (call $note (i32.or (i32.const 2) (i32.or (local.get $argc) (local.get $argv)))))`;
  const CTORS = `(func (export "__wasm_call_ctors") (call $note (i32.const 3)))`;
  const INITIALIZE = `(func (export "_initialize") (call $note (i32.const 4)))`;
  const RUN = `(func (export "_start") (call $note (i32.const 5)) (call $output)) (func (export "f") (call $note (i32.const 6)))`;
  const orders: readonly (readonly [what: string, body: string, notes: readonly number[]])[] = [
    ["is nothing for a plain module", "", []],
    ["runs the start function", START, [1]],
    ["runs _initialize after the start function", START + INITIALIZE, [1, 4]],
    ["prefers constructors to _initialize", INITIALIZE + CTORS, [3]],
    ["runs _initialize before hs_init", START + HS_INIT + INITIALIZE, [1, 4, 2]],
    ["runs hs_init alone", HS_INIT, [2]],
    ["leaves constructors to hs_init", CTORS + HS_INIT, [2]],
    ["leaves constructors to hs_init and _initialize", CTORS + HS_INIT + INITIALIZE, [4, 2]],
    ["passes over an _initialize with parameters", `(func (export "_initialize") (param i32) (call $note (i32.const 9)))`, []],
    ["passes over an _initialize with a result", `(func (export "_initialize") (result i32) (call $note (i32.const 9)) i32.const 0)`, []],
    ["passes over constructors with parameters and takes _initialize", INITIALIZE + `(func (export "__wasm_call_ctors") (param i32))`, [4]],
    ["passes over an hs_init without parameters", INITIALIZE + `(func (export "hs_init") (call $note (i32.const 9)))`, [4]],
    ["passes over an hs_init with a result", `(func (export "hs_init") (param i32 i32) (result i32) (call $note (i32.const 9)) i32.const 0)`, []],
    ["passes over an hs_init of other types", `(func (export "hs_init") (param i64 i32) (call $note (i32.const 9)))`, []],
  ];
  for (const [what, body, notes] of orders) {
    it(`${what}, once, before the first call`, async () => {
      await using guest = await openGuest(body + RUN);
      assert.deepEqual(guest.notes, notes);
      guest.call("f");
      guest.call("f");
      assert.deepEqual(guest.notes, [...notes, 6, 6]);
    });
  }

  it("never runs _start, which runs by name and leaves a fresh instance to the next call", async () => {
    await using guest = await openGuest(`${START} ${RUN} (global $calls (mut i32) (i32.const 10))
      (func (export "g") (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (call $note (global.get $calls)))`);
    assert.deepEqual(guest.notes, [1]);
    guest.call("g");
    guest.call("g");
    assert.deepEqual(guest.call("_start"), { output: OUTPUT });
    assert.deepEqual(guest.notes, [1, 11, 12, 5]);
    guest.call("g");
    assert.deepEqual(guest.notes, [1, 11, 12, 5, 1, 11]);
    assert.deepEqual(madeAndDiscarded(guest.plugin), [2, 1]);
    assert.equal(guest.plugin.stats().failures, 0);
  });

  it("may use the environment, of which nothing reaches the first call", async () => {
    await using guest = await openGuest(`
      (func (export "_initialize") (call $output) (call $error) (drop (call $alloc (i64.const 5000))))
      (func (export "f") (call $note (i32.wrap_i64 (call $length (i64.const 256)))) (call $note (i32.wrap_i64 (call $alloc (i64.const 8)))))`);
    assert.deepEqual(guest.call("f"), { output: "" });
    assert.deepEqual(guest.notes, [0, 256]);
  });

  const failures: readonly (readonly [what: string, action: string, code: ErrorCode, details?: Record<string, unknown>])[] = [
    ["traps", "unreachable", "MORTISE_TRAP"],
    ["exits", "(call $proc_exit (i32.const 4))", "MORTISE_EXIT", { exitCode: 4 }],
    ["never ends", "(loop (br 0))", "MORTISE_FUEL"],
    ["takes too much memory", "(drop (memory.grow (i32.const 100)))", "MORTISE_MEMORY_LIMIT"],
    ["exhausts the stack", "(call $recurse)", "MORTISE_STACK_OVERFLOW"],
  ];
  const limits = { fuel: 50_000_000, memoryBytes: 10 << 16 };
  for (const [what, action, code, details = {}] of failures) {
    for (const [place, body] of [
      ["start", `(start $go) (func $go ${action})`],
      ["_initialize", `(func (export "_initialize") ${action})`],
      ["__wasm_call_ctors", `(func (export "__wasm_call_ctors") ${action})`],
      ["hs_init", `(func (export "hs_init") (param i32 i32) ${action})`],
    ] as const) {
      it(`fails to load with ${code} where ${place} ${what}`, async () => {
        const failed = await refused(`(memory 1) (func $recurse (call $recurse)) ${body}`, { limits });
        assert.equal(failed.code, code);
        assert.equal(failed.details["function"], place);
        for (const [name, value] of Object.entries(details)) assert.equal(failed.details[name], value);
      });
    }
  }

  it("fails with MORTISE_TIMEOUT at limits.initTimeoutMs, by the clock", async () => {
    let now = 0;
    const clock = (): number => (now += 1);
    const failed = await refused(`(func (export "_initialize") (loop (br 0)))`, { clock, limits: { initTimeoutMs: 30, timeoutMs: 1e9 } });
    assert.deepEqual([failed.code, failed.details["limit"]], ["MORTISE_TIMEOUT", 30]);
    assert.ok(now >= 30 && now < 100, `the clock stood at ${now}`);
  });

  it("takes one deadline for start function and initialisers together", async () => {
    let now = 0;
    const work = `(local $turns i32) (loop (local.set $turns (i32.add (local.get $turns) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $turns) (i32.const 600000))))`;
    const body = `(start $go) (func $go ${work}) (func (export "_initialize") ${work})`;
    const needed = async (initTimeoutMs: number): Promise<string> => {
      now = 0;
      return openGuest(body, { clock: () => (now += 1), limits: { initTimeoutMs } }).then(
        () => "loaded",
        (error: unknown) => (isMortiseError(error) ? error.code : String(error)),
      );
    };
    assert.equal(await needed(1e6), "loaded");
    const spent = now;
    assert.equal(await needed(spent * 0.7), "MORTISE_TIMEOUT");
  });

  it("fails with MORTISE_INSTANCE_FAILED where a segment does not fit", async () => {
    const failed = await refused(`(memory 1) (data (i32.const 65536) "x")`);
    assert.equal(failed.code, "MORTISE_INSTANCE_FAILED");
    assert.match(String(failed.details["reason"]), /data segment/);
  });

  it("that fails after a discard fails the call, and the next call tries again", async () => {
    const notes: number[] = [];
    let broken = false;
    const text = `(module (import "extism:host/user" "broken" (func $broken (result i32)))
      (func (export "_initialize") (if (call $broken) (then unreachable)))
      (func (export "f")) (func (export "trap") unreachable))`;
    const hostFunctions = { "extism:host/user": { broken: () => (notes.push(0), broken ? 1 : 0) } };
    await using plugin = await loadPlugin(await assemble(text), { hostFunctions });
    assert.throws(() => plugin.callSync("trap"), { code: "MORTISE_TRAP" });
    broken = true;
    for (let turn = 0; turn < 2; turn++) {
      assert.throws(() => plugin.callSync("f"), { code: "MORTISE_TRAP", message: /"_initialize"/ });
      await assert.rejects(plugin.call("f"), { code: "MORTISE_TRAP" });
    }
    broken = false;
    assert.equal(plugin.callSync("f").length, 0);
    assert.equal((await plugin.call("f")).length, 0);
    assert.equal(notes.length, 6);
    assert.deepEqual(madeAndDiscarded(plugin), [6, 1]);
  });
});

describe("A discard", () => {
  it("takes guest globals and memory with it, and leaves the variables", async () => {
    await using guest = await openGuest(`
      (memory (export "memory") 1) (global $count (mut i32) (i32.const 0))
      (func (export "touch") (global.set $count (i32.const 7)) (i32.store (i32.const 0) (i32.const 8))
        (call $var_set (call $text (i64.const 1)) (call $text (i64.const 2))))
      (func (export "look") (call $note (global.get $count)) (call $note (i32.load (i32.const 0)))
        (call $note (i32.wrap_i64 (call $length (call $var_get (call $text (i64.const 1)))))))
      (func (export "trap") unreachable)`);
    for (const name of ["touch", "look", "trap", "look"]) guest.call(name);
    assert.deepEqual(guest.notes, [7, 8, 8, 0, 0, 8]);
    assert.deepEqual(guest.plugin.stats().variables, { count: 1, bytes: 48 + 8 + 8 });
  });

  it("keeps what a failed call set before it failed", async () => {
    await using guest = await openGuest(`
      (func (export "set_and_trap") (call $var_set (call $text (i64.const 1)) (call $text (i64.const 2))) unreachable)
      (func (export "look") (call $note (i32.wrap_i64 (call $length (call $var_get (call $text (i64.const 1)))))))`);
    guest.call("set_and_trap");
    guest.call("look");
    assert.deepEqual(guest.notes, [8]);
  });
});

function madeAndDiscarded(plugin: Plugin): [number, number] {
  const { created, discarded } = plugin.stats().instances;
  return [created, discarded];
}
