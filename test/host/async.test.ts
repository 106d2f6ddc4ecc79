// Host functions that answer with promises: results, failures, and where in a guest they may be called.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { runInNewContext } from "node:vm";

import { type CallContext, type Plugin, type PluginOptions, isMortiseError, loadPlugin } from "../../src/index.ts";
import { assembleText } from "../wasm/assemble.ts";
import { assemble } from "../wasm/corpus.ts";
import { type AnyFunctions, aborter, deepest, endOf, madeAndDiscarded, open, settle, watchCall } from "./opened.ts";

/** Asks the host once for each type, and shows it the bits of the answer; `calls` counts what this instance did. */
const CONVERTER = `(module
  (import "host" "ask" (func $i32 (result i32))) (import "host" "ask64" (func $i64 (result i64)))
  (import "host" "askf32" (func $f32 (result f32))) (import "host" "askf64" (func $f64 (result f64)))
  (import "host" "asknothing" (func $nothing)) (import "host" "see" (func $see (param i64)))
  (global $calls (mut i64) (i64.const 0))
  (func (export "i32") (call $see (i64.extend_i32_u (call $i32))))
  (func (export "i64") (call $see (call $i64)))
  (func (export "f32") (call $see (i64.extend_i32_u (i32.reinterpret_f32 (call $f32)))))
  (func (export "f64") (call $see (i64.reinterpret_f64 (call $f64))))
  (func (export "nothing") (call $nothing) (call $see (i64.const 7)))
  (func (export "caught") (try (do (drop (call $i32))) (catch_all (call $see (i64.const -1)))) (call $see (i64.const 1)))
  (func (export "calls") (global.set $calls (i64.add (global.get $calls) (i64.const 1))) (call $see (global.get $calls))))`;

interface Converter {
  readonly plugin: Plugin;
  readonly seen: bigint[];
}

async function openConverter(ask: (context: CallContext) => unknown, options: PluginOptions = {}): Promise<Converter> {
  const seen: bigint[] = [];
  const see = (_context: CallContext, bits: bigint): void => void seen.push(BigInt.asUintN(64, bits));
  return { plugin: await open(CONVERTER, { ask, ask64: ask, askf32: ask, askf64: ask, asknothing: ask, see }, options), seen };
}

describe("A promise of a host function", () => {
  const results: readonly (readonly [fn: string, value: unknown, bits: bigint])[] = [
    ["i32", 0, 0n], ["i32", 5, 5n], ["i32", -1, 0xffff_ffffn], ["i32", -0x8000_0000, 0x8000_0000n], ["i32", 0x7fff_ffff, 0x7fff_ffffn],
    ["i32", 0xffff_ffff, 0xffff_ffffn], ["i32", 2 ** 32 + 3, 3n], ["i32", -3.7, 0xffff_fffdn], ["i32", Number.NaN, 0n],
    ["i64", 0n, 0n], ["i64", -1n, 2n ** 64n - 1n], ["i64", 2n ** 63n - 1n, 2n ** 63n - 1n], ["i64", -(2n ** 63n), 2n ** 63n],
    ["i64", 2n ** 64n - 1n, 2n ** 64n - 1n], ["i64", 2n ** 64n + 9n, 9n], ["i64", -5, 2n ** 64n - 5n],
    ["f32", 1.5, 0x3fc0_0000n], ["f32", -0, 0x8000_0000n], ["f32", 1e300, 0x7f80_0000n], ["f32", Number.NaN, 0x7fc0_0000n], ["f32", 0.1, 0x3dcc_cccdn],
    ["f64", -2.5, 0xc004_0000_0000_0000n], ["f64", Number.NEGATIVE_INFINITY, 0xfff0_0000_0000_0000n], ["f64", Number.NaN, 0x7ff8_0000_0000_0000n],
    ["f64", Number.MIN_VALUE, 1n], ["f64", -0, 0x8000_0000_0000_0000n],
    ["nothing", undefined, 7n], ["nothing", "ignored", 7n],
  ]; // prettier-ignore
  for (const [fn, value, bits] of results) {
    const shown = typeof value === "bigint" ? `${value}n` : Object.is(value, -0) ? "-0" : String(value);
    it(`gives the guest ${shown} as ${fn}, as the value itself does`, async () => {
      const at = await openConverter(() => value);
      await at.plugin.call(fn);
      const later = await openConverter(async () => {
        await settle(1);
        return value;
      });
      await later.plugin.call(fn);
      assert.deepEqual([at.seen, later.seen], [[bits], [bits]]);
    });
  }

  const wrong: readonly (readonly [fn: string, value: unknown])[] = [
    ["i32", "5"], ["i32", 5n], ["i32", undefined], ["i32", null], ["i32", {}], ["i64", 0.5], ["i64", 2 ** 53], ["i64", "1"], ["i64", undefined],
    ["f32", 1n], ["f64", "1"], ["f64", undefined], ["f64", []],
  ]; // prettier-ignore
  for (const [fn, value] of wrong) {
    it(`of ${typeof value} ${String(value)} for ${fn} ends the call with MORTISE_HOST_RESULT`, async () => {
      const { plugin, seen } = await openConverter(async () => value);
      await assert.rejects(plugin.call(fn), { code: "MORTISE_HOST_RESULT" });
      assert.deepEqual(seen, []);
      assert.deepEqual(madeAndDiscarded(plugin), [1, 1]);
    });
  }

  for (const fn of ["i32", "i64", "f32", "f64", "nothing", "caught"]) {
    it(`that is rejected ends ${fn} with MORTISE_HOST_FUNCTION; the guest cannot catch it`, async () => {
      const cause = new Error("out\u001b[2J of paper");
      const { plugin, seen } = await openConverter(async () => {
        await settle(1);
        throw cause;
      });
      await assert.rejects(plugin.call(fn), (error: unknown) => {
        assert.ok(isMortiseError(error));
        assert.equal(error.code, "MORTISE_HOST_FUNCTION");
        assert.equal(error.cause, cause);
        assert.match(error.message, /failed: out\\u001b\[2J of paper$/);
        assert.deepEqual([error.details["plugin"], error.details["function"]], ["guest", fn]);
        return true;
      });
      assert.deepEqual(seen, []);
      await plugin.call("calls");
      assert.deepEqual(seen, [1n]);
      assert.deepEqual(madeAndDiscarded(plugin), [2, 1]);
    });
  }

  it("that is rejected with the context's own error ends the call with its code", async () => {
    const { plugin } = await openConverter(
      async (context) => {
        await settle(1);
        context.setVariable("large", new Uint8Array(100));
      },
      { limits: { varBytes: 10 } },
    );
    await assert.rejects(plugin.call("nothing"), { code: "MORTISE_VAR_LIMIT" });
  });

  it("may come from another realm, or be anything with a method `then`", async () => {
    const answers: readonly (() => unknown)[] = [
      () => runInNewContext("Promise.resolve(5)") as unknown,
      // oxlint-disable-next-line unicorn/no-thenable -- objects that only look like promises are the subject
      () => ({ then: (resolve: (value: number) => void) => resolve(5) }),
      // oxlint-disable-next-line unicorn/no-thenable
      () => ({ then: (resolve: (value: number) => void) => setImmediate(() => (resolve(5), resolve(6))) }),
      () => Promise.resolve(Promise.resolve(5)),
      // oxlint-disable-next-line unicorn/no-thenable
      async () => ({ then: (resolve: (value: number) => void) => resolve(5) }),
    ];
    for (const answer of answers) {
      const { plugin, seen } = await openConverter(answer);
      await plugin.call("i32");
      assert.deepEqual(seen, [5n]);
    }
  });

  it("whose method `then` throws ends the call with MORTISE_HOST_FUNCTION", async () => {
    const cause = new Error("no");
    // oxlint-disable-next-line unicorn/no-thenable
    const { plugin } = await openConverter(() => ({ then: () => { throw cause; } })); // prettier-ignore
    await assert.rejects(plugin.call("i32"), { code: "MORTISE_HOST_FUNCTION", cause });
  });

  it("leaves the process alone if it is rejected after the guest was stopped, or refused", async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", note);
    try {
      const failing = async (context: CallContext): Promise<number> => {
        context.read(256);
        await settle(1);
        throw new Error("nobody hears this");
      };
      // The fuel is used up by what the function does first, so that the guest never comes to wait for it.
      const poor = await openConverter(failing, { limits: { fuel: 500 } });
      assert.equal(await endOf(poor.plugin.call("i32", new Uint8Array(100_000))), "MORTISE_FUEL");
      let closing: Promise<void> | undefined;
      const closer: Converter = await openConverter((context) => {
        closing = closer.plugin.close({ abort: true });
        return failing(context);
      });
      await assert.rejects(closer.plugin.call("i32"), { code: "MORTISE_CLOSED" });
      await closing;
      const sync = await openConverter(failing);
      assert.throws(() => sync.plugin.callSync("i32"), { code: "MORTISE_ASYNC_HOST_FUNCTION" });
      const late = await openConverter(failing, { limits: { timeoutMs: 5 } });
      const { signal, abort } = aborter();
      const aborted = late.plugin.call("i32", "", { signal });
      abort();
      await assert.rejects(aborted, { code: "MORTISE_ABORTED" });
      await settle(5);
      assert.deepEqual(unhandled, []);
    } finally {
      process.off("unhandledRejection", note);
    }
  });
});

describe("A guest that is suspended", () => {
  it("a thousand times in one call gets every answer in its place", async () => {
    const text = `(module (import "host" "ask" (func $ask (param i32) (result i32))) (func (export "f") (result i32) (local $i i32) (local $sum i32)
      (loop (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $i) (call $ask (local.get $i)))))
        (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
      (i32.sub (local.get $sum) (i32.const 998501000))))`;
    // The sum of i * 3 i over 0 to 999 is 998,500,500.
    const plugin = await open(text, { ask: async (_context: CallContext, i: number) => (i % 3 === 0 ? await settle(1) : undefined, i * 3) });
    await assert.rejects(plugin.call("f"), { code: "MORTISE_RETURN_CODE", details: { plugin: "guest", function: "f", returnCode: -500 } });
  });

  it("between answers that are promises and answers that are not gets both", async () => {
    const text = `(module (import "host" "ask" (func $ask (result i32))) (import "host" "see" (func $see (param i32)))
      (func (export "f") (local $i i32) (loop (call $see (call $ask)) (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 6))))))`;
    const seen: number[] = [];
    let turn = 0;
    const plugin = await open(text, {
      ask: () => (++turn % 2 === 0 ? Promise.resolve(turn) : turn),
      see: (_context: CallContext, value: number) => void seen.push(value),
    });
    await plugin.call("f");
    assert.deepEqual(seen, [1, 2, 3, 4, 5, 6]);
  });

  const DEEP = `(module (import "host" "ask" (func $ask (param i32) (result i32))) (import "host" "depth" (func $depth (result i32)))
    (import "host" "see" (func $see (param i32)))
    (func $down (param $left i32) (result i32)
      (if (result i32) (i32.eqz (local.get $left)) (then (call $ask (i32.const 0)))
        (else (i32.add (call $down (i32.sub (local.get $left) (i32.const 1))) (if (result i32) (i32.rem_u (local.get $left) (i32.const 100)) (then (i32.const 1)) (else (call $ask (i32.const 1))))))))
    (func (export "f") (call $see (call $down (call $depth)))))`;
  for (const depth of [0, 1, 100, 3000]) {
    it(`${depth} calls deep, and on the way back, unwinds as it went`, async () => {
      const seen: number[] = [];
      const plugin = await open(DEEP, {
        ask: async (_context: CallContext, value: number) => (await settle(1), value),
        depth: () => depth,
        see: (_context: CallContext, value: number) => void seen.push(value),
      });
      await plugin.call("f", "", { timeoutMs: Number.POSITIVE_INFINITY });
      assert.deepEqual(seen, [depth]);
    });
  }

  it("inside try and catch_all goes on inside it", async () => {
    const text = `(module (tag $mine) (import "host" "ask" (func $ask (result i32))) (import "host" "see" (func $see (param i32)))
      (func (export "f")
        (try (do (call $see (call $ask)) (throw $mine)) (catch $mine (call $see (call $ask))))
        (try (do (try (do (throw $mine)) (catch_all (call $see (call $ask)) (rethrow 0)))) (catch_all (call $see (i32.const 9))))))`;
    const imports = text.replace(`(tag $mine) `, "").replace("(func (export", "(tag $mine) (func (export");
    const seen: number[] = [];
    let turn = 0;
    const plugin = await open(imports, {
      ask: async () => (await settle(1), ++turn),
      see: (_context: CallContext, value: number) => void seen.push(value),
    });
    await plugin.call("f");
    assert.deepEqual(seen, [1, 2, 3, 9]);
  });

  it("traps afterwards with the frames of the whole stack", async () => {
    const text = `(module (import "host" "ask" (func $ask)) (func $inner (call $ask) unreachable) (func $outer (call $inner) nop) (func (export "f") (call $outer) nop))`;
    const plugin = await open(text, { ask: () => settle(1) });
    await assert.rejects(plugin.call("f"), (error: unknown) => {
      assert.ok(isMortiseError(error));
      assert.equal(error.code, "MORTISE_TRAP");
      const { trace } = error.details as { trace: { function: string }[] };
      assert.deepEqual(
        trace.map((frame) => frame.function),
        ["inner", "outer", "f"],
      );
      return true;
    });
  });

  it("one of 200 gets its own answer, whatever the order they come in", async () => {
    const pending: (() => void)[] = [];
    const text = `(module (import "host" "ask" (func $ask (result i32))) (func (export "f") (result i32) (call $ask)))`;
    const bytes = await assemble(text);
    const plugins = await Promise.all(
      Array.from({ length: 200 }, (_unused, index) =>
        loadPlugin(bytes, {
          name: `p${index}`,
          hostFunctions: { host: { ask: () => new Promise<number>((resolve) => pending.push(() => resolve(index + 1))) } },
        }),
      ),
    );
    const codes = plugins.map((plugin) =>
      plugin.call("f", "", { timeoutMs: 60_000 }).then(
        () => 0,
        (error: { details: { returnCode: number } }) => error.details.returnCode,
      ),
    );
    assert.equal(pending.length, 200);
    for (const [at, answer] of pending.toReversed().entries()) {
      answer();
      if (at % 7 === 0) await settle(1);
    }
    assert.deepEqual(
      await Promise.all(codes),
      plugins.map((_plugin, index) => index + 1),
    );
    await Promise.all(plugins.map((plugin) => plugin.close()));
  });
});

describe("A function that waits is reached", () => {
  const ways: readonly (readonly [how: string, body: string])[] = [
    ["by a call", `(func (export "f") (drop (call $ask)))`],
    ["by a call of a call", `(func $g (result i32) (call $ask)) (func (export "f") (drop (call $g)))`],
    ["by a tail call", `(func $g (result i32) (return_call $ask)) (func (export "f") (drop (call $g)))`],
    ["through a table", `(table 1 funcref) (elem (i32.const 0) $ask) (func (export "f") (drop (call_indirect (result i32) (i32.const 0))))`],
    ["through a table by a tail call", `(table 1 funcref) (elem (i32.const 0) $ask) (func $g (result i32) (return_call_indirect (result i32) (i32.const 0))) (func (export "f") (drop (call $g)))`],
    ["through a table that is set", `(table 1 funcref) (elem declare func $ask) (func (export "f") (table.set (i32.const 0) (ref.func $ask)) (drop (call_indirect (result i32) (i32.const 0))))`],
    ["through a table that exports the import", `(table (export "t") 1 funcref) (export "again" (func $ask)) (func (export "f") (table.set (i32.const 0) (ref.func $ask)) (drop (call_indirect (result i32) (i32.const 0))))`],
  ]; // prettier-ignore
  for (const [how, body] of ways) {
    it(how, async () => {
      const plugin = await open(`(module (import "host" "ask" (func $ask (result i32))) ${body})`, { ask: async () => (await settle(1), 5) });
      await plugin.call("f");
      assert.throws(() => plugin.callSync("f"), { code: "MORTISE_ASYNC_HOST_FUNCTION" });
    });
  }

  it("through a reference", async () => {
    const text = `;; assembler: binaryen
      (module (type $t (func (result i32))) (import "host" "ask" (func $ask (type $t))) (elem declare func $ask)
        (func (export "f") (drop (call_ref $t (ref.func $ask)))))`;
    const plugin = await loadPlugin(await assembleText("reference", text), { hostFunctions: { host: { ask: async () => (await settle(1), 5) } } });
    await plugin.call("f");
  });
});

describe("A host function that answers with a promise", () => {
  const declared: readonly (readonly [what: string, ask: () => unknown])[] = [
    ["declared async", async () => 5],
    ["not declared async", () => Promise.resolve(5)],
  ];
  for (const [what, ask] of declared) {
    it(`ends callSync with MORTISE_ASYNC_HOST_FUNCTION (${what})`, async () => {
      const { plugin, seen } = await openConverter(ask);
      assert.throws(() => plugin.callSync("i32"), {
        code: "MORTISE_ASYNC_HOST_FUNCTION",
        message: /^Stopped function "i32" of plugin "guest": "ask" has to wait/,
      });
      assert.throws(() => plugin.callSync("caught"), { code: "MORTISE_ASYNC_HOST_FUNCTION" });
      assert.deepEqual(seen, []);
      await plugin.call("i32");
      assert.deepEqual(seen, [5n]);
    });
  }

  for (const [what, text] of [
    ["a start function", `(module (import "host" "ask" (func $ask)) (start $ask) (func (export "f")))`],
    ["an initialiser", `(module (import "host" "ask" (func $ask)) (func (export "_initialize") (call $ask)) (func (export "f")))`],
  ] as const) {
    it(`ends ${what} with MORTISE_ASYNC_HOST_FUNCTION`, async () => {
      await assert.rejects(open(text, { ask: async () => {} }), { code: "MORTISE_ASYNC_HOST_FUNCTION" });
    });
  }
});

const run = promisify(execFile);
const WITHOUT = fileURLToPath(new URL("without-suspension.ts", import.meta.url));
const COUNTING = fileURLToPath(new URL("counting-promising.ts", import.meta.url));

describe("An engine that cannot suspend", () => {
  it("gives MORTISE_NO_SUSPENSION, and runs everything else", async () => {
    const { stdout } = await run(process.execPath, ["--conditions=source", WITHOUT]);
    assert.deepEqual(JSON.parse(stdout), {
      call: "MORTISE_NO_SUSPENSION",
      callSync: "MORTISE_NO_SUSPENSION",
      plain: "",
      long: "",
      timeout: "MORTISE_TIMEOUT",
    });
  });
});

describe("The engine's promise integration", () => {
  it("is used for exports that may come to wait, and for no others", async () => {
    const { stdout } = await run(process.execPath, ["--conditions=source", COUNTING]);
    assert.deepEqual(JSON.parse(stdout), { plain: 0, kernel: 0, variables: 0, waits: 1, waitsAgain: 1, tail: 2, table: 3, sync: 3 });
  });
});

/** Goes `depth` calls down, and there calls a function that waits. */
const EDGE = (bottom: string): string => `(module (import "host" "ask" (func $ask (result i32))) (import "host" "depth" (func $depth (result i32)))
  (import "host" "see" (func $see (param i32)))
  (func $down (param $left i32) (if (local.get $left) (then (call $down (i32.sub (local.get $left) (i32.const 1)))) (else ${bottom})))
  (func (export "f") (try (do (call $down (call $depth))) (catch_all (call $see (i32.const -2)))))
  (func (export "uncaught") (call $down (call $depth)))
  (func (export "ok") (call $see (call $ask))))`;

describe("A stack that is used up around a function that waits", () => {
  const bottoms: readonly (readonly [what: string, bottom: string])[] = [
    ["and is not caught there", `(call $see (call $ask))`],
    ["and is caught there", `(try (do (call $see (call $ask))) (catch_all))`],
    ["and is caught there until there is an answer", `(block (loop (try (do (call $see (call $ask)) (br 2)) (catch_all)) (br 0)))`],
  ];
  for (const [what, bottom] of bottoms) {
    it(`${what}, at every depth near the limit, ends the call with a code or an answer`, async () => {
      let depth = 0;
      const seen: number[] = [];
      const functions: AnyFunctions = {
        ask: async () => (await Promise.resolve(), 5),
        depth: () => depth,
        see: (_context: CallContext, value: number) => void seen.push(value),
      };
      const plugin = await open(EDGE(bottom), functions, { limits: { fuel: 1e9, timeoutMs: 60_000 } });
      const codes = new Set<string>();
      const attempt = async (fn: string, at: number): Promise<string> => {
        depth = at;
        seen.length = 0;
        const end = await endOf(plugin.call(fn));
        assert.ok(["", "MORTISE_STACK_OVERFLOW", "MORTISE_FUEL"].includes(end), `at depth ${at}: ${end}`);
        for (const value of seen) assert.ok(value === 5 || value === -2, `the guest saw ${value}`);
        codes.add(end);
        seen.length = 0;
        assert.equal(await endOf(plugin.call("ok")), "", `after depth ${at}`);
        assert.deepEqual(seen, [5]);
        return end;
      };
      const limit = await deepest(async (at) => (await attempt("uncaught", at)) !== "MORTISE_STACK_OVERFLOW");
      codes.clear();
      for (let at = limit - 60; at < limit + 30; at++) for (const fn of ["f", "uncaught"]) await attempt(fn, at);
      assert.ok(codes.has("MORTISE_STACK_OVERFLOW") && codes.has(""), Array.from(codes).join());
      await plugin.close();
    });
  }

  it("of the caller ends call with an answer or MORTISE_STACK_OVERFLOW, and the next call works", async () => {
    const { plugin, seen } = await openConverter(async () => 5);
    const calls: ReturnType<typeof watchCall>[] = [];
    const down = (left: number): void => {
      if (left > 0) return down(left - 1);
      calls.push(watchCall(plugin.call("i32")));
    };
    const depths = (low: number, high: number): number => {
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        try {
          ((left: number): void => {
            const deeper = (n: number): void => {
              if (n > 0) deeper(n - 1);
            };
            deeper(left);
          })(middle);
          low = middle;
        } catch {
          high = middle;
        }
      }
      return low;
    };
    const limit = depths(1, 1 << 20);
    for (let at = Math.max(limit - 400, 1); at < limit; at += 5) {
      try {
        down(at);
      } catch (error) {
        assert.ok(error instanceof RangeError);
      }
      await settle(2);
      assert.equal(await endOf(plugin.call("i32")), "");
    }
    const states = new Set(calls.map(({ state }) => state));
    for (const state of states) assert.ok(["", "MORTISE_STACK_OVERFLOW"].includes(state), state);
    assert.ok(seen.every((bits) => bits === 5n));
  });
});
