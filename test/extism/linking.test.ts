// Plugins of several modules: what they may take from each other, in which order they begin, and that they are one guest.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { type CallContext, type ErrorCode, type MortiseError, type PluginOptions, isMortiseError, loadPlugin } from "../../src/index.ts";
import { instrument } from "../../src/wasm/index.ts";
import { assembleText } from "../wasm/assemble.ts";
import { CALL_LIB, type Modules, SEE, codeOf, openLinked, refusalOf, seeing } from "./linked.ts";

/** What a plugin shows the host in one call of `f`. */
async function shown(modules: Modules, options: PluginOptions = {}): Promise<number[]> {
  const { seen, host } = seeing();
  await using plugin = await openLinked(modules, host, options);
  plugin.callSync("f");
  return seen;
}

describe("Modules of a plugin", () => {
  it("call each other's functions with every type of value", async () => {
    const modules = {
      lib: `(module (func (export "swap") (param i32 i64 f32 f64) (result f64 f32 i64 i32) (local.get 3) (local.get 2) (local.get 1) (local.get 0)))`,
      main: `(module ${SEE} (import "lib" "swap" (func $swap (param i32 i64 f32 f64) (result f64 f32 i64 i32))) (func (export "f") (local i32 i64 f32 f64)
        (call $swap (i32.const -7) (i64.const 1234567890123) (f32.const 1.5) (f64.const -2.25))
        (local.set 0) (local.set 1) (local.set 2) (local.set 3)
        (call $see (local.get 0)) (call $see (i64.eq (local.get 1) (i64.const 1234567890123)))
        (call $see (f32.eq (local.get 2) (f32.const 1.5))) (call $see (f64.eq (local.get 3) (f64.const -2.25)))))`,
    };
    assert.deepEqual(await shown(modules), [-7, 1, 1, 1]);
  });

  it("are each there once, however many import them", async () => {
    const count = (name: string): string =>
      `(module (import "counter" "next" (func $next (result i32))) (func (export "${name}") (result i32) (call $next)))`;
    const modules = {
      counter: `(module (global $n (mut i32) (i32.const 0)) (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))`,
      left: count("l"),
      right: count("r"),
      main: `(module ${SEE} (import "left" "l" (func $l (result i32))) (import "right" "r" (func $r (result i32))) (import "counter" "next" (func $n (result i32)))
        (func (export "f") (call $see (call $l)) (call $see (call $r)) (call $see (call $n)) (call $see (call $l))))`,
    };
    assert.deepEqual(await shown(modules), [1, 2, 3, 4]);
  });

  it("that nobody imports are not there", async () => {
    const modules = {
      unused: `(module (import "nowhere" "nothing" (func)) (memory 60000) (func $f unreachable) (start $f))`,
      main: `(module ${SEE} (func (export "f") (call $see (i32.const 1))))`,
    };
    assert.deepEqual(await shown(modules), [1]);
  });

  it("are main and others: only functions of main can be called", async () => {
    const plugin = await openLinked({
      lib: `(module (func (export "theirs")) (func (export "both")))`,
      main: `(module (import "lib" "both" (func)) (export "again" (func 0)) (func (export "mine")))`,
    });
    assert.deepEqual(plugin.exports, ["mine"]);
    for (const name of ["theirs", "both"]) assert.equal(await codeOf(() => plugin.callSync(name)), "MORTISE_UNKNOWN_FUNCTION");
    assert.equal(await codeOf(() => plugin.callSync("again")), "MORTISE_BAD_SIGNATURE");
  });

  it("may stand in any order in the manifest", async () => {
    const lib = `(module (func (export "one") (result i32) (i32.const 1)))`;
    const main = `(module ${SEE} (import "lib" "one" (func $one (result i32))) (func (export "f") (call $see (call $one))))`;
    assert.deepEqual([await shown({ main, lib }), await shown({ lib, main })], [[1], [1]]);
  });

  it("may need functions of each other, main's included", async () => {
    const modules = {
      // Each adds a digit and passes on, until there are enough.
      a: `(module (import "b" "b" (func $b (param i32) (result i32))) (func (export "a") (param i32) (result i32)
        (if (result i32) (i32.gt_u (local.get 0) (i32.const 99999)) (then (local.get 0)) (else (call $b (i32.add (i32.mul (local.get 0) (i32.const 10)) (i32.const 1)))))))`,
      b: `(module (import "main" "m" (func $m (param i32) (result i32))) (func (export "b") (param i32) (result i32) (call $m (i32.add (i32.mul (local.get 0) (i32.const 10)) (i32.const 2)))))`,
      main: `(module ${SEE} (import "a" "a" (func $a (param i32) (result i32)))
        (func (export "m") (param i32) (result i32) (call $a (i32.add (i32.mul (local.get 0) (i32.const 10)) (i32.const 3))))
        (func (export "f") (call $see (call $a (i32.const 0)))))`,
    };
    assert.deepEqual(await shown(modules), [123_123]);
  });

  it("share memories, tables and globals that they import", async () => {
    const modules = {
      state: `(module (memory (export "memory") 1 4) (global (export "g") (mut i64) (i64.const 5)) (global (export "constant") i32 (i32.const 40))
        (table (export "t") 4 funcref) (func $seven (result i32) (i32.const 7)) (elem (i32.const 0) $seven)
        (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0))))`,
      main: `(module ${SEE} (import "state" "memory" (memory 1 4)) (import "state" "g" (global $g (mut i64))) (import "state" "constant" (global $c i32))
        (import "state" "t" (table 4 funcref)) (import "state" "at" (func $at (param i32) (result i32)))
        (func $nine (result i32) (i32.const 9)) (elem (i32.const 1) $nine) (data (i32.const 60) "*")
        (func (export "f")
          (i32.store8 (i32.const 50) (i32.const 33)) (call $see (call $at (i32.const 50))) (call $see (call $at (i32.const 60)))
          (global.set $g (i64.add (global.get $g) (i64.const 1))) (call $see (i32.wrap_i64 (global.get $g))) (call $see (global.get $c))
          (call $see (call_indirect (result i32) (i32.const 0))) (call $see (call_indirect (result i32) (i32.const 1)))
          (call $see (memory.grow (i32.const 2))) (call $see (memory.size)) (i32.store8 (i32.const 180000) (i32.const 3)) (call $see (call $at (i32.const 180000)))))`,
    };
    assert.deepEqual(await shown(modules), [33, 42, 6, 40, 7, 9, 1, 3, 3]);
  });

  it("catch each other's exceptions through a shared tag", async () => {
    const modules = {
      lib: `(module (tag $t (export "t") (param i32)) (func (export "throw") (throw $t (i32.const 11))))`,
      main: `(module ${SEE} (import "lib" "t" (tag $t (param i32))) (import "lib" "throw" (func $throw))
        (func (export "f") (try (do (call $throw)) (catch $t (call $see)))))`,
    };
    assert.deepEqual(await shown(modules), [11]);
  });
});

describe("Linking", () => {
  const use = (item: string): string => `(module (import "lib" "x" ${item}) (func (export "f")))`;
  const rows: readonly (readonly [what: string, modules: Modules, code: ErrorCode, message: RegExp])[] = [
    ["an export that is missing", { lib: `(module (func (export "xx")))`, main: use("(func)") }, "MORTISE_MISSING_IMPORT",
      /imports function "lib" "x", which nothing provides; the linked module "lib" has no such export; did you mean "xx"/],
    ["an export of another kind", { lib: `(module (memory (export "x") 1))`, main: use("(func)") }, "MORTISE_MISSING_IMPORT", /the linked module "lib" exports a memory of that name$/],
    ["a function where a global is", { lib: `(module (global (export "x") i32 (i32.const 0)))`, main: use("(func)") }, "MORTISE_MISSING_IMPORT", /exports a global of that name$/],
    ["a function of another type", { lib: `(module (func (export "x") (param i64)))`, main: use("(func (param i32))") }, "MORTISE_IMPORT_TYPE",
      /imports "lib" "x" as \(i32\) -> \(\), but it must be \(i64\) -> \(\)$/],
    ["a function with another result", { lib: `(module (func (export "x") (result i32) (i32.const 0)))`, main: use("(func)") }, "MORTISE_IMPORT_TYPE", /must be \(\) -> i32$/],
    ["two modules that take memories from each other", {
      lib: `(module (import "main" "m" (memory 1)) (memory 1) (export "x" (memory 1)))`,
      main: `(module (import "lib" "x" (memory 1)) (memory 1) (export "m" (memory 1)) (func (export "f")))`,
    }, "MORTISE_LINK_CYCLE", /modules "(main|lib)", "(main|lib)" import memories, tables or globals of each other in a circle$/],
    ["a circle of three by way of a table and a global", {
      a: `(module (import "b" "g" (global i32)) (table (export "t") 1 funcref))`,
      b: `(module (import "main" "t" (table 1 funcref)) (global (export "g") i32 (i32.const 0)))`,
      main: `(module (import "a" "t" (table 1 funcref)) (export "t" (table 0)) (func (export "f")))`,
    }, "MORTISE_LINK_CYCLE", /"a"/],
    ["a memory that is smaller than what is imported", { lib: `(module (memory (export "x") 1))`, main: use("(memory 5)") }, "MORTISE_INSTANCE_FAILED", /Cannot create an instance of plugin "guest": .*"x"|memory/],
    ["a global of another type", { lib: `(module (global (export "x") i32 (i32.const 0)))`, main: use("(global i64)") }, "MORTISE_INSTANCE_FAILED", /global/],
    ["a data segment outside of an imported memory", {
      lib: `(module (memory (export "x") 1))`, main: `(module (import "lib" "x" (memory 1)) (data (i32.const 65536) "x") (func (export "f")))`,
    }, "MORTISE_INSTANCE_FAILED", /./],
    ["a module under the name of the host's environment", { "extism:host/env": `(module (func (export "var_set") (param i64 i64)))`, main: `(module (func (export "f")))` },
      "MORTISE_MANIFEST_INVALID", /plugin "guest": a module cannot be named "extism:host\/env"$/],
    ["a module under the name of WASI", { wasi_snapshot_preview1: `(module)`, main: `(module (func (export "f")))` }, "MORTISE_MANIFEST_INVALID", /cannot be named "wasi_snapshot_preview1"$/],
  ]; // prettier-ignore
  for (const [what, modules, code, message] of rows) {
    it(`refuses ${what} with ${code}`, async () => {
      const error: MortiseError = await refusalOf(modules);
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
    });
  }

  it("lets a module take the place of host functions of the same name, all of them", async () => {
    const main = `(module ${SEE} (import "user" "x" (func $x (result i32))) (func (export "f") (call $see (call $x))))`;
    const { seen, host } = seeing();
    const user = { x: () => 1, y: () => 2 };
    (await openLinked({ main }, { ...host, user })).callSync("f");
    (await openLinked({ user: `(module (func (export "x") (result i32) (i32.const 3)))`, main }, { ...host, user })).callSync("f");
    assert.deepEqual(seen, [1, 3]);
    const error = await refusalOf({ user: `(module (func (export "z") (result i32) (i32.const 3)))`, main }, { ...host, user });
    assert.equal(error.code, "MORTISE_MISSING_IMPORT");
  });

  it("leaves host functions alone that are imported from the module's own name", async () => {
    const main = `(module ${SEE} (import "main" "x" (func $x (result i32))) (func (export "x") (result i32) (i32.const 0)) (func (export "f") (call $see (call $x))))`;
    const { seen, host } = seeing();
    (await openLinked({ main }, { ...host, main: { x: () => 5 } })).callSync("f");
    const lib = `(module (import "lib" "x" (func $x (result i32))) (func (export "y") (result i32) (call $x)))`;
    const both = `(module ${SEE} (import "lib" "y" (func $y (result i32))) (import "main" "x" (func $x (result i32))) (func (export "f") (call $see (call $y)) (call $see (call $x))))`;
    (await openLinked({ lib, main: both }, { ...host, main: { x: () => 5 }, lib: { x: () => 6 } })).callSync("f");
    assert.deepEqual(seen, [5, 6, 5]);
    assert.equal((await refusalOf({ main }, host)).code, "MORTISE_MISSING_IMPORT");
  });

  it("shows no module what was added to another, not even by its name", async () => {
    const instrumented = instrument(await assembleText("x", "(module (memory 1) (func $f) (start $f))"));
    const wanted: readonly (readonly [item: string, key: Parameters<typeof instrumented.hiddenName>[0]])[] = [
      ["(global (mut i32))", "budget"], ["(global (mut i32))", "pagesLeft"], ["(global (mut i32))", "reason"], ["(table 5 5 funcref)", "ticks"],
      ["(memory 1)", "memory"], ["(func)", "start"], ["(func)", "enter:finish"], ["(func (param i64) (result i64))", "enter:env:alloc"],
    ]; // prettier-ignore
    for (const [item, key] of wanted) {
      const name = instrumented.hiddenName(key);
      const error = await refusalOf({
        spy: `(module (import "main" "${name}" ${item}) (func (export "x")))`,
        main: `(module (import "spy" "x" (func $x)) (memory 1) (func $s) (start $s) (func (export "f") (call $x)))`,
      });
      assert.equal(error.code, "MORTISE_MISSING_IMPORT", key);
      assert.ok(!error.message.includes("did you mean"), error.message);
    }
  });
});

const LIB_ENV = `(import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load8 (param i64) (result i32)))
  (import "extism:host/env" "load_u64" (func $load64 (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store64 (param i64 i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input8 (param i64) (result i32)))
  (import "extism:host/env" "input_load_u64" (func $input64 (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error (param i64)))
  (import "extism:host/env" "config_get" (func $config (param i64) (result i64)))
  (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (import "extism:host/env" "log_info" (func $log (param i64)))`;

describe("A linked module", () => {
  it("reads the input, allocates, and sets the output of the one plugin", async () => {
    const lib = `(module ${LIB_ENV} (func (export "run") (local $at i64) (local $i i64)
      (local.set $at (call $alloc (i64.add (call $input_length) (i64.const 9))))
      (call $free (call $alloc (i64.const 500)))
      (call $store64 (local.get $at) (call $input64 (i64.const 0)))
      (loop (call $store8 (i64.add (local.get $at) (local.get $i)) (i32.xor (i32.const 32) (call $input8 (local.get $i))))
        (br_if 0 (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (call $input_length))))
      (call $store8 (i64.add (local.get $at) (local.get $i)) (call $load8 (call $input_offset)))
      (call $store64 (i64.add (local.get $at) (i64.add (local.get $i) (i64.const 1))) (call $load64 (call $input_offset)))
      (call $output (local.get $at) (call $length (local.get $at)))))`;
    const plugin = await openLinked({ lib, main: CALL_LIB });
    assert.equal(plugin.callSync("f", "twelvebytes!").text(), "TWELVEBYTES\u0001ttwelveby");
    assert.equal((await plugin.call("f", "ABCDEFGH")).text(), "abcdefghAABCDEFGH");
  });

  it("reads configuration, keeps variables, writes logs and sets the error of the one plugin", async () => {
    const block = (text: string): string => {
      const stores = Array.from(
        text,
        (char, index) => `(call $store8 (i64.add (local.get $b) (i64.const ${index})) (i32.const ${char.charCodeAt(0)}))`,
      );
      return `(local.set $b (call $alloc (i64.const ${text.length}))) ${stores.join(" ")}`;
    };
    const lib = `(module ${LIB_ENV} (func (export "run") (local $b i64) (local $c i64)
      ${block("key")} (local.set $c (call $config (local.get $b))) (call $log (local.get $c))
      ${block("key")} (local.set $c (call $config (local.get $b)))
      ${block("kept")} (call $var_set (local.get $b) (local.get $c))
      ${block("kept")} (call $error (call $var_get (local.get $b)))))`;
    const lines: string[] = [];
    const keep = (line: string): void => void lines.push(line);
    const logger = { trace: keep, debug: keep, info: keep, warn: keep, error: keep };
    const plugin = await openLinked({ lib, main: CALL_LIB }, {}, { config: { key: "value" }, logger });
    await assert.rejects(plugin.call("f"), { code: "MORTISE_GUEST_ERROR", message: /value$/ });
    assert.deepEqual([lines, plugin.stats().variables], [["value"], { count: 1, bytes: 48 + 4 + 5 }]);
  });

  it("has a memory of its own for WASI", async () => {
    const clock = `(import "wasi_snapshot_preview1" "clock_res_get" (func $clock (param i32 i32) (result i32)))`;
    const modules = {
      lib: `(module ${SEE} ${clock} (memory (export "memory") 1) (func (export "run") (call $see (call $clock (i32.const 1) (i32.const 800))) (call $see (i64.ne (i64.load (i32.const 800)) (i64.const 0)))))`,
      main: `(module ${SEE} ${clock} (import "lib" "run" (func $run)) (memory (export "memory") 1) (func (export "f") (call $run) (call $see (i64.ne (i64.load (i32.const 800)) (i64.const 0)))))`,
    };
    assert.deepEqual(await shown(modules), [0, 1, 0]);
  });

  it("ends the call by exiting, with its code", async () => {
    const exit = (code: number): string =>
      `(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1) (func (export "run") (try (do (call $exit (i32.const ${code}))) (catch_all)) (loop (br 0))))`;
    const plugin = await openLinked({ lib: exit(3), main: CALL_LIB });
    await assert.rejects(plugin.call("f"), { code: "MORTISE_EXIT", message: /exited with code 3$/ });
    assert.equal(await codeOf(async () => (await (await openLinked({ lib: exit(0), main: CALL_LIB })).call("f")).text()), "");
  });

  it("calls host functions, which may suspend the guest, directly, through stubs, and through each other's exports", async () => {
    const seen: number[] = [];
    const functions = {
      host: {
        see: (_context: CallContext, value: number) => void seen.push(value),
        ask: async (_context: CallContext, value: number) => (await turn(), value + 1),
      },
    };
    const ask = `(import "host" "ask" (func $ask (param i32) (result i32)))`;
    const modules = {
      // It exports the host function itself, and calls main, which comes later.
      lib: `(module ${ask} (import "main" "back" (func $back (param i32) (result i32))) (export "ask" (func $ask))
        (func (export "run") (param i32) (result i32) (call $back (call $ask (local.get 0)))))`,
      main: `(module ${SEE} ${ask} (import "lib" "run" (func $run (param i32) (result i32))) (import "lib" "ask" (func $again (param i32) (result i32)))
        (table 2 funcref) (elem (i32.const 0) $again $run)
        (func (export "back") (param i32) (result i32) (call $ask (i32.mul (local.get 0) (i32.const 10))))
        (func (export "f") (call $see (call $run (i32.const 1))) (call $see (call $again (i32.const 5)))
          (call $see (call_indirect (param i32) (result i32) (i32.const 7) (i32.const 0)))
          (call $see (call_indirect (param i32) (result i32) (i32.const 2) (i32.const 1)))))`,
    };
    const plugin = await openLinked(modules, functions);
    await plugin.call("f");
    assert.deepEqual(seen, [21, 6, 8, 31]);
    assert.equal(await codeOf(() => plugin.callSync("f")), "MORTISE_ASYNC_HOST_FUNCTION");
  });

  it("may suspend the guest though main knows it by a table alone", async () => {
    const seen: number[] = [];
    const functions = { host: { see: (_context: CallContext, value: number) => void seen.push(value), ask: async () => (await turn(), 8) } };
    const modules = {
      lib: `(module (import "host" "ask" (func $ask (result i32))) (table (export "t") 1 funcref) (func $f (result i32) (call $ask)) (elem (i32.const 0) $f))`,
      main: `(module ${SEE} (import "lib" "t" (table 1 funcref)) (global $got (mut i32) (i32.const 0))
        (func (export "f") (global.set $got (call_indirect (result i32) (i32.const 0)))) (func (export "show") (call $see (global.get $got))))`,
    };
    const plugin = await openLinked(modules, functions);
    await plugin.call("f");
    await plugin.call("show");
    assert.deepEqual(seen, [8]);
  });

  it("whose host function fails ends the call, and catches nothing", async () => {
    const fails = async (): Promise<number> => {
      await turn();
      throw new Error("no paper");
    };
    const { seen, host } = seeing();
    const modules = {
      lib: `(module (import "host" "fails" (func $fails (result i32))) ${SEE} (func (export "run") (try (do (drop (call $fails))) (catch_all)) (call $see (i32.const 1))))`,
      main: `(module ${SEE} (import "lib" "run" (func $run)) (func (export "f") (try (do (call $run)) (catch_all)) (call $see (i32.const 2))))`,
    };
    const plugin = await openLinked(modules, { host: { ...host.host, fails } });
    await assert.rejects(plugin.call("f"), { code: "MORTISE_HOST_FUNCTION", message: /no paper$/ });
    assert.deepEqual(seen, []);
  });

  it("is replaced with the others when an instance is discarded", async () => {
    const { seen, host } = seeing();
    const modules = {
      lib: `(module (global $n (mut i32) (i32.const 0)) (func (export "next") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)) (func (export "trap") unreachable))`,
      main: `(module ${SEE} (import "lib" "next" (func $next (result i32))) (import "lib" "trap" (func $trap)) (func (export "f") (call $see (call $next))) (func (export "trap") (call $trap)))`,
    };
    const plugin = await openLinked(modules, host);
    plugin.callSync("f");
    plugin.callSync("f");
    assert.equal(await codeOf(() => plugin.callSync("trap")), "MORTISE_TRAP");
    plugin.callSync("f");
    assert.deepEqual([seen, plugin.stats().instances.created, plugin.stats().instances.discarded], [[1, 2, 1], 2, 1]);
  });

  it("is named in the trace of a trap, with offsets in its own module", async () => {
    const lib = `(module (import "main" "deeper" (func $deeper)) (func $inner (export "inner") (call $deeper) nop))`;
    const main = `(module (import "lib" "inner" (func $inner)) (func $deeper (export "deeper") unreachable) (func $outer (export "f") (call $inner) nop))`;
    const plugin = await openLinked({ lib, main });
    const error: unknown = await plugin.call("f").catch((cause: unknown) => cause);
    assert.ok(isMortiseError(error));
    assert.equal(error.code, "MORTISE_TRAP");
    const { trace } = error.details as { trace: { function: string; module?: string; offset: number }[] };
    assert.deepEqual(
      trace.map((frame) => `${frame.module ?? "?"}.${frame.function}`),
      ["main.deeper", "lib.inner", "main.outer"],
    );
    const bytes = { lib: await assembleText("lib", lib), main: await assembleText("main", main) };
    const at = trace.map(({ module, offset }) => bytes[module as "lib" | "main"][offset]);
    assert.deepEqual(at, [0x00, 0x10, 0x10]);
  });
});

describe("Modules begin", () => {
  it("with start functions in the order of instantiation, then initialisers, those of main last", async () => {
    const see = (value: number): string => `(call $see (i32.const ${value}))`;
    const { seen, host } = seeing();
    const modules = {
      main: `(module ${SEE} (import "b" "x" (func $x)) (func $s ${see(3)}) (start $s) (func (export "_initialize") ${see(13)}) (func (export "f") (call $x)))`,
      b: `(module ${SEE} (import "a" "x" (func $x)) (func $s ${see(2)}) (start $s) (func (export "__wasm_call_ctors") ${see(12)}) (func (export "x") (call $x)))`,
      a: `(module ${SEE} (func $s ${see(1)}) (start $s) (func (export "_initialize") ${see(10)}) (func (export "hs_init") (param i32 i32) ${see(11)}) (func (export "x")))`,
    };
    const plugin = await openLinked(modules, host);
    assert.deepEqual(seen, [1, 2, 3, 10, 11, 12, 13]);
    plugin.callSync("f");
    assert.equal(seen.length, 7);
  });

  it("with the initialisers of main last, though main had to be there first", async () => {
    const { seen, host } = seeing();
    await openLinked(
      {
        lib: `(module ${SEE} (import "main" "memory" (memory 1)) (func $s (call $see (i32.load8_u (i32.const 0)))) (start $s) (func (export "_initialize") (call $see (i32.const 10))) (func (export "run")))`,
        main: `(module ${SEE} (import "lib" "run" (func $run)) (memory (export "memory") 1) (data (i32.const 0) "*") (func $s (call $see (i32.const 1))) (start $s) (func (export "_initialize") (call $see (i32.const 11))) (func (export "f") (call $run)))`,
      },
      host,
    );
    assert.deepEqual(seen, [1, 42, 10, 11]);
  });

  for (const [what, item] of [
    ["start function", `(func $s (loop (br 0))) (start $s)`],
    ["initialiser", `(func (export "_initialize") (loop (br 0)))`],
  ] as const) {
    it(`under the plugin's limits: a ${what} of a linked module that never ends`, async () => {
      const modules = { lib: `(module (func (export "run")) ${item})`, main: CALL_LIB };
      assert.equal((await refusalOf(modules, {}, { limits: { fuel: 1_000_000 } })).code, "MORTISE_FUEL");
      let now = 0;
      assert.equal((await refusalOf(modules, {}, { limits: { timeoutMs: 50 }, clock: () => ++now })).code, "MORTISE_TIMEOUT");
    });
  }
});

describe("loadPlugin", () => {
  it("takes a single module for main, whatever it is called, and links nothing", async () => {
    const data = await assembleText("x", `(module (func (export "f")))`);
    for (const name of ["extism:host/env", "wasi_snapshot_preview1", "other"]) {
      await using plugin = await loadPlugin({ wasm: [{ name, data }] });
      assert.equal(plugin.callSync("f").text(), "");
    }
  });
});
