// Host functions: what crosses, what is refused, and what their context can do.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type CallContext, type HostFunction, MortiseError, type Plugin, type PluginOptions, isMortiseError, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

const TYPES = ["i32", "i64", "f32", "f64"] as const;
type Type = (typeof TYPES)[number];

/** For each type: `pass_T` gives the host a value, `ask_T` takes one from it and shows it to the host again. */
const CONVERTER = `(module
  ${TYPES.map((type) => `(import "host" "give_${type}" (func $give_${type} (result ${type}))) (import "host" "see_${type}" (func $see_${type} (param ${type})))`).join("\n")}
  (import "host" "all" (func $all (param i32 i64 f32 f64) (result f64)))
  (import "host" "nothing" (func $nothing))
  ${TYPES.map((type) => `(func (export "ask_${type}") (call $see_${type} (call $give_${type})))`).join("\n")}
  (func (export "pass") (call $see_f64 (call $all (i32.const -1) (i64.const -2) (f32.const 1.5) (f64.const nan))))
  (func (export "extremes") (call $see_i32 (i32.const 0x80000000)) (call $see_i64 (i64.const 0x8000000000000000)) (call $see_f32 (f32.const inf)) (call $see_f64 (f64.const -0)))
  (func (export "ask_nothing") (call $nothing) (call $see_i32 (i32.const 1))))`;

/** A guest whose host functions answer with `answer()`. */
async function openConverter(answer: () => unknown): Promise<{ plugin: Plugin; seen: unknown[] }> {
  const seen: unknown[] = [];
  const give = ((): unknown => answer()) as HostFunction;
  const see = (_context: CallContext, ...values: never[]): void => void seen.push(...values);
  const functions: Record<string, HostFunction> = { nothing: give, all: (_context, ...values: never[]) => (seen.push(...values), 0.5) };
  for (const type of TYPES) {
    functions[`give_${type}`] = give;
    functions[`see_${type}`] = see;
  }
  return { plugin: await loadPlugin(await assemble(CONVERTER), { name: "guest", hostFunctions: { host: functions } }), seen };
}

const fail = (): void => {
  throw new Error("it failed");
};

describe("A host function's parameters", () => {
  it("come after the context, i64 as bigint and the others as numbers", async () => {
    const { plugin, seen } = await openConverter(() => 0);
    plugin.callSync("pass");
    assert.deepEqual(seen, [-1, -2n, 1.5, Number.NaN, 0.5]);
    seen.length = 0;
    plugin.callSync("extremes");
    assert.deepEqual(seen, [-2_147_483_648, -(2n ** 63n), Number.POSITIVE_INFINITY, -0]);
    assert.ok(Object.is(seen[3], -0));
  });
});

describe("A host function's result", () => {
  const good: Readonly<Record<Type, readonly (readonly [given: unknown, seen: unknown])[]>> = {
    i32: [[5, 5], [-1, -1], [2 ** 31, -(2 ** 31)], [2 ** 32 + 7, 7], [1.9, 1], [-1.9, -1], [Number.NaN, 0], [Number.POSITIVE_INFINITY, 0], [-0, 0]],
    i64: [[5n, 5n], [-1n, -1n], [5, 5n], [-7, -7n], [2n ** 63n, -(2n ** 63n)], [2n ** 64n - 1n, -1n], [2n ** 64n + 3n, 3n], [-(2n ** 63n) - 1n, 2n ** 63n - 1n], [Number.MAX_SAFE_INTEGER, 2n ** 53n - 1n]],
    f32: [[0.1, Math.fround(0.1)], [Number.NaN, Number.NaN], [1e300, Number.POSITIVE_INFINITY], [-0, -0]],
    f64: [[0.1, 0.1], [Number.NaN, Number.NaN], [Number.MIN_VALUE, Number.MIN_VALUE], [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY], [-0, -0]],
  }; // prettier-ignore
  for (const type of TYPES) {
    it(`for ${type} converts as WebAssembly does`, async () => {
      let answer: unknown;
      const { plugin, seen } = await openConverter(() => answer);
      for (const [given, expected] of good[type]) {
        answer = given;
        seen.length = 0;
        plugin.callSync(`ask_${type}`);
        assert.ok(Object.is(seen[0], expected), `${String(given)} became ${String(seen[0])}`);
      }
      assert.equal(plugin.stats().instances.created, 1);
    });

    it(`for ${type} of another type is refused with MORTISE_HOST_RESULT`, async () => {
      let answer: unknown;
      const { plugin, seen } = await openConverter(() => answer);
      const bad: [given: unknown, found: string][] = [
        [undefined, "undefined"],
        [null, "object"],
        ["5", "string"],
        [true, "boolean"],
        [{}, "object"],
        [[], "object"],
        [Symbol("x"), "symbol"],
        [() => 5, "function"],
        [{ valueOf: () => 5 }, "object"],
        ...(type === "i64" ? ([[1.5, "1.5"], [Number.NaN, "NaN"], [2 ** 53, "9007199254740992"], [Number.POSITIVE_INFINITY, "Infinity"]] as [unknown, string][]) : [[5n, "bigint"] as [unknown, string]]), // prettier-ignore
      ];
      for (const [given, found] of bad) {
        answer = given;
        assert.throws(
          () => plugin.callSync(`ask_${type}`),
          (error: unknown) => {
            assert.ok(isMortiseError(error));
            const { code, details } = error;
            assert.deepEqual(
              [code, details["found"], details["module"], details["name"], details["function"]],
              ["MORTISE_HOST_RESULT", found, "host", `give_${type}`, `ask_${type}`],
            );
            return true;
          },
          String(given),
        );
      }
      assert.deepEqual(seen, [], "nothing of it reached the guest");
      answer = type === "i64" ? 1n : 1;
      plugin.callSync(`ask_${type}`);
      assert.equal(seen.length, 1);
    });
  }

  it("is ignored where the import has none", async () => {
    let answer: unknown;
    const { plugin, seen } = await openConverter(() => answer);
    for (const given of [undefined, null, 5, 5n, "text", {}, Symbol("x")]) {
      answer = given;
      plugin.callSync("ask_nothing");
    }
    assert.equal(seen.length, 7);
  });

  it("that is a promise is refused by callSync with MORTISE_ASYNC_HOST_FUNCTION, and a rejection is not left unhandled", async () => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", listener);
    // oxlint-disable-next-line unicorn/no-thenable -- objects that only look like promises are the subject
    const promises: (() => unknown)[] = [async () => 5, () => Promise.reject(new Error("late")), () => ({ then: () => {} }), () => ({ then: (_done: unknown, refuse: (error: unknown) => void) => refuse(new Error("later")) })]; // prettier-ignore
    for (const give of promises) {
      const { plugin, seen } = await openConverter(give);
      for (const name of ["ask_i32", "ask_i64", "ask_f64", "ask_nothing"]) {
        assert.throws(() => plugin.callSync(name), {
          code: "MORTISE_ASYNC_HOST_FUNCTION",
          message: /has to wait for a promise, which neither callSync nor an initialiser can do; use call$/,
        });
      }
      assert.deepEqual(seen, []);
    }
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", listener);
    assert.deepEqual(unhandled, []);
  });
});

describe("A host function that throws", () => {
  const thrown: readonly (readonly [what: string, value: unknown, reason: string])[] = [
    ["an Error", new Error("out of paper"), "out of paper"],
    ["a TypeError", new TypeError("not a printer"), "not a printer"],
    ["text", "plain text", "plain text"],
    ["undefined", undefined, "undefined"],
    ["null", null, "null"],
    ["a number", 7, "7"],
    ["a symbol", Symbol("x"), "Symbol(x)"],
    ["text with control characters", new Error("a\u001b[2J\nb"), "a\u001b[2J\nb"],
  ];
  for (const [what, value, reason] of thrown) {
    it(`ends the call with MORTISE_HOST_FUNCTION for ${what}`, async () => {
      const { plugin, seen } = await openConverter(() => {
        throw value;
      });
      for (const name of ["ask_i32", "ask_i64", "ask_f32", "ask_f64", "ask_nothing"]) {
        assert.throws(
          () => plugin.callSync(name),
          (error: unknown) => {
            assert.ok(isMortiseError(error));
            assert.equal(error.code, "MORTISE_HOST_FUNCTION");
            assert.deepEqual(error.cause, value);
            assert.ok(!error.message.includes("\u001b") && !error.message.includes("\n"));
            assert.ok(error.message.endsWith(`failed: ${reason.replace("\u001b", "\\u001b").replace("\n", "\\n")}`), error.message);
            return true;
          },
        );
      }
      assert.deepEqual(seen, []);
    });
  }

  it("ends the call with MORTISE_HOST_FUNCTION for an error of Mortise too, which is the cause", async () => {
    const refusal = new MortiseError("MORTISE_PERMISSION", { what: "printing", plugin: "forged", function: "forged" });
    const { plugin } = await openConverter(() => {
      throw refusal;
    });
    assert.throws(() => plugin.callSync("ask_i32"), {
      code: "MORTISE_HOST_FUNCTION",
      cause: refusal,
      message: /^Stopped function "ask_i32" of plugin "guest": /,
    });
  });

  const odd: readonly (readonly [what: string, value: () => unknown])[] = [
    ["an object that cannot be printed", () => Object.create(null) as unknown],
    ["an object whose text throws", () => ({ toString() { throw new Error("no"); } })], // prettier-ignore
  ];
  for (const [what, value] of odd) {
    it(`ends the call with MORTISE_HOST_FUNCTION for ${what}`, async () => {
      const { plugin } = await openConverter(() => {
        throw value();
      });
      assert.throws(() => plugin.callSync("ask_i32"), { code: "MORTISE_HOST_FUNCTION" });
    });
  }

  it("with a trap of some other module ends the call with MORTISE_HOST_FUNCTION", async () => {
    const { plugin } = await openConverter(() => {
      throw new WebAssembly.RuntimeError("unreachable");
    });
    assert.throws(() => plugin.callSync("ask_i32"), { code: "MORTISE_HOST_FUNCTION" });
  });

  it("only when its result is looked at ends the call with MORTISE_HOST_FUNCTION", async () => {
    // oxlint-disable-next-line unicorn/no-thenable -- objects that only look like promises are the subject
    const { plugin } = await openConverter(() => Object.defineProperty({}, "then", { get: fail }));
    assert.throws(() => plugin.callSync("ask_i32"), { code: "MORTISE_HOST_FUNCTION" });
  });

  it("cannot be caught by the guest, which is discarded", async () => {
    const seen: number[] = [];
    let fails = true;
    const text = `(module (import "host" "fail" (func $fail)) (import "host" "see" (func $see (param i32)))
      (global $calls (mut i32) (i32.const 0))
      (func (export "f") (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (try (do (call $fail)) (catch_all (call $see (i32.const -1)))) (call $see (global.get $calls))))`;
    const failAtFirst = (): void => {
      if (fails) throw new Error("no");
    };
    await using plugin = await loadPlugin(await assemble(text), {
      hostFunctions: { host: { fail: failAtFirst, see: (_context, value: number) => void seen.push(value) } },
    });
    assert.throws(() => plugin.callSync("f"), { code: "MORTISE_HOST_FUNCTION" });
    assert.deepEqual(seen, []);
    fails = false;
    plugin.callSync("f");
    plugin.callSync("f");
    assert.deepEqual(seen, [1, 2]);
    assert.deepEqual(madeAndDiscarded(plugin), [2, 1]);
  });

  it("by exhausting the stack ends the call with MORTISE_STACK_OVERFLOW", async () => {
    const recurse = (): number => recurse() + 1;
    const { plugin } = await openConverter(recurse);
    assert.throws(() => plugin.callSync("ask_i32"), { code: "MORTISE_STACK_OVERFLOW" });
    assert.deepEqual(madeAndDiscarded(plugin), [1, 1]);
  });
});

/** A guest that hands its input's address to the host and outputs the block whose address it gets back. */
const REFLECTOR = `(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/user" "work" (func $work (param i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "f") (local $block i64)
    (local.set $block (call $work (call $input_offset)))
    (call $output_set (local.get $block) (call $length (local.get $block))))
  (func (export "trap") unreachable))`;

async function openReflector(work: (context: CallContext, address: bigint) => bigint, options: PluginOptions = {}): Promise<Plugin> {
  return loadPlugin(await assemble(REFLECTOR), { name: "guest", ...options, hostFunctions: { "extism:host/user": { work } } });
}

/** Fuel of one call in which the host does this work. */
const fuelOf = async (work: (context: CallContext, address: bigint) => unknown, input: Uint8Array): Promise<number> => {
  const plugin = await openReflector((context, address) => (work(context, address), 0n));
  plugin.callSync("f", input);
  await plugin.close();
  return plugin.stats().fuel.last;
};

describe("CallContext", () => {
  it("tells plugin and context of the call, each call its own", async () => {
    const seen: unknown[] = [];
    await using plugin = await openReflector((context) => (seen.push(context.plugin, context.context), 0n));
    const marker = { request: 1 };
    plugin.callSync("f", "", { context: marker });
    await plugin.call("f", "", { context: "text" });
    plugin.callSync("f");
    assert.deepEqual(seen, ["guest", marker, "guest", "text", "guest", undefined]);
    assert.equal(seen[1], marker);
  });

  it("read gives a copy of a block, and nothing for what is no block", async () => {
    const reads: Uint8Array[] = [];
    await using plugin = await openReflector((context, address) => {
      const first = context.read(address);
      reads.push(first, context.read(Number(address)));
      first.fill(0);
      for (const other of [
        0,
        0n,
        1,
        255,
        address + 1n,
        address + 8n,
        -1,
        -1n,
        1n << 32n,
        address + (1n << 32n),
        2n ** 64n,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        2 ** 53,
      ]) {
        reads.push(context.read(other));
        assert.equal(context.length(other), 0, String(other));
      }
      assert.equal(context.length(address), 12);
      return address;
    });
    assert.equal(plugin.callSync("f", "twelve bytes").text(), "twelve bytes");
    assert.deepEqual(
      reads.map((bytes) => bytes.length),
      [12, 12, ...Array<number>(14).fill(0)],
    );
    assert.equal(Buffer.from(reads[1] ?? []).toString(), "twelve bytes");
  });

  it("readText reads UTF-8, byte order mark included, and refuses what is none with MORTISE_BAD_TEXT", async () => {
    const texts: string[] = [];
    await using plugin = await openReflector((context, address) => (texts.push(context.readText(address)), address));
    plugin.callSync("f", "\ufeffgrößer 😀");
    plugin.callSync("f", "");
    assert.deepEqual(texts, ["\ufeffgrößer 😀", ""]);
    assert.throws(() => plugin.callSync("f", Uint8Array.of(0x61, 0xff)), { code: "MORTISE_BAD_TEXT", message: /a block is not valid UTF-8$/ });
  });

  it("store makes a block of bytes or text, and gives 0 for nothing", async () => {
    const stored: (string | Uint8Array)[] = ["größer", Uint8Array.of(1, 2, 3), "", new Uint8Array(0), "x".repeat(200_000)];
    for (const data of stored) {
      const addresses: bigint[] = [];
      await using plugin = await openReflector((context) => {
        addresses.push(context.store(data));
        assert.equal(context.length(addresses[0] ?? 0n), Buffer.from(data).length);
        return addresses[0] ?? 0n;
      });
      assert.deepEqual(plugin.callSync("f", "input").bytes(), Uint8Array.from(Buffer.from(data)));
      assert.equal(addresses[0] === 0n, data.length === 0);
    }
  });

  it("store keeps earlier reads and blocks as they are when the memory grows", async () => {
    await using plugin = await openReflector((context, address) => {
      const before = context.store("before");
      context.store("x".repeat(3_000_000));
      assert.equal(context.readText(before), "before");
      assert.equal(context.readText(address), "input");
      return before;
    });
    assert.equal(plugin.callSync("f", "input").text(), "before");
  });

  it("store beyond limits.memoryBytes stops the guest with MORTISE_MEMORY_LIMIT", async () => {
    await using plugin = await openReflector((context) => context.store(new Uint8Array(2 << 20)), { limits: { memoryBytes: 1 << 20 } });
    assert.throws(() => plugin.callSync("f"), { code: "MORTISE_MEMORY_LIMIT" });
    assert.throws(() => plugin.callSync("f"), { code: "MORTISE_MEMORY_LIMIT" });
  });

  it("store that failed and was caught leaves no trace in later failures", async () => {
    await using plugin = await openReflector(
      (context) => {
        try {
          return context.store(new Uint8Array(2 << 20));
        } catch {
          return 0n;
        }
      },
      { limits: { memoryBytes: 1 << 20 } },
    );
    assert.equal(plugin.callSync("f").length, 0);
    assert.throws(() => plugin.callSync("trap"), { code: "MORTISE_TRAP" });
  });

  it("free frees a block, and ignores what is none", async () => {
    await using plugin = await openReflector((context, address) => {
      const block = context.store("to be freed");
      for (const other of [0, 1, -1, address + 1n, Number.NaN]) context.free(other);
      assert.equal(context.length(block), 11);
      context.free(block);
      context.free(block);
      assert.equal(context.length(block), 0);
      return address;
    });
    assert.equal(plugin.callSync("f", "input").text(), "input");
  });

  it("free ignores addresses beyond 32 bits", async () => {
    await using plugin = await openReflector((context, address) => {
      context.free(address + (1n << 32n));
      return address;
    });
    assert.equal(plugin.callSync("f", "input").text(), "input");
  });

  it("getVariable and setVariable share the variables of the guest and their limit", async () => {
    const seen: unknown[] = [];
    await using plugin = await openReflector(
      (context, address) => {
        const step = context.readText(address);
        if (step === "set") context.setVariable("name", "text");
        if (step === "bytes") context.setVariable("name", Uint8Array.of(1, 2));
        if (step === "delete") context.setVariable("name", undefined);
        if (step === "large") context.setVariable("other", new Uint8Array(100));
        const value = context.getVariable("name");
        seen.push(value === undefined ? undefined : [...value]);
        value?.fill(0);
        return 0n;
      },
      { limits: { varBytes: 48 + 4 + 4 } },
    );
    for (const step of ["get", "set", "get", "bytes", "delete", "set"]) plugin.callSync("f", step);
    assert.deepEqual(seen, [undefined, [116, 101, 120, 116], [116, 101, 120, 116], [1, 2], undefined, [116, 101, 120, 116]]);
    assert.throws(() => plugin.callSync("f", "large"), {
      code: "MORTISE_VAR_LIMIT",
      message: /"other" would need 209 bytes in all, but limits\.varBytes allows 56$/,
    });
    assert.deepEqual(plugin.stats().variables, { count: 1, bytes: 56 });
  });

  it("setVariable copies what it is given", async () => {
    const value = Uint8Array.of(1, 2, 3);
    const seen: number[][] = [];
    await using plugin = await openReflector((context) => {
      if (seen.length === 0) context.setVariable("name", value);
      value.fill(9);
      seen.push([...(context.getVariable("name") ?? [])]);
      return 0n;
    });
    plugin.callSync("f");
    plugin.callSync("f");
    assert.deepEqual(seen, [
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it("is of no use once its call has ended", async () => {
    let kept: CallContext | undefined;
    await using plugin = await openReflector((context, address) => ((kept ??= context), address));
    plugin.callSync("f", "first");
    plugin.callSync("f", "the second caller's secret");
    let leaked = "";
    try {
      leaked = kept?.readText(256n) ?? "";
    } catch {
      // A refusal is as good as nothing.
    }
    assert.equal(leaked, "");
  });

  it("charges the guest for the bytes that it handles", async () => {
    const none = await fuelOf(() => 0n, new Uint8Array(1600));
    assert.equal((await fuelOf((context, address) => context.read(address), new Uint8Array(1600))) - none, 100);
    assert.equal((await fuelOf((context, address) => context.readText(address), new Uint8Array(1600))) - none, 100);
    assert.equal((await fuelOf((context, address) => context.read(address), new Uint8Array(15))) - none, 0);
    const short = await fuelOf((context) => context.store(new Uint8Array(16)), new Uint8Array(0));
    assert.equal((await fuelOf((context) => context.store(new Uint8Array(1616)), new Uint8Array(0))) - short, 100);
  });

  it("makes a guest that lets the host work for it run out of fuel", async () => {
    await using plugin = await openReflector(
      (context, address) => {
        for (let turn = 0; turn < 100; turn++) context.read(address);
        return 0n;
      },
      { limits: { fuel: 50_000 } },
    );
    assert.equal(plugin.callSync("f", new Uint8Array(1000)).length, 0);
    assert.throws(() => plugin.callSync("f", new Uint8Array(16_000)), { code: "MORTISE_FUEL" });
  });
});

describe("A logger that throws", () => {
  it("ends the call with MORTISE_HOST_FUNCTION or is passed over", async () => {
    const text = `(module (import "extism:host/env" "log_info" (func $log (param i64))) (func (export "f") (call $log (i64.const 0))))`;
    await using plugin = await loadPlugin(await assemble(text), { logger: { trace: fail, debug: fail, info: fail, warn: fail, error: fail } });
    try {
      plugin.callSync("f");
    } catch (error) {
      assert.ok(isMortiseError(error));
      assert.equal(error.code, "MORTISE_HOST_FUNCTION");
    }
  });
});

function madeAndDiscarded(plugin: Plugin): [number, number] {
  const { created, discarded } = plugin.stats().instances;
  return [created, discarded];
}
