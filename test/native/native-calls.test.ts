// What native plugins do when they are called: outputs, failures, deadlines, logs and services.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MortiseError } from "../../src/api/errors.ts";
import { RequestContext } from "../../src/api/request.ts";
import type { ServiceFunction, ServiceTable, ServiceValue } from "../../src/api/services.ts";
import { isMortiseError } from "../../src/index.ts";
import { C_ADDON, MODULE, NO_ADDONS, RUST_ADDON, openNative, recorder } from "./open-native.ts";

const KINDS = [
  { name: "an ES module", path: MODULE, skip: false },
  { name: "an addon in C", path: C_ADDON, skip: NO_ADDONS },
] as const;

for (const { name, path, skip } of KINDS) {
  describe(`plugin.call() of ${name}`, { skip }, () => {
    const inputs: readonly (readonly [what: string, input: string | Uint8Array | undefined, output: string])[] = [
      ["text", "Hello", "Hello"],
      ["text beyond ASCII", "grüße 👋 \u0000", "grüße 👋 \u0000"],
      ["nothing", undefined, ""],
      ["empty text", "", ""],
      ["a megabyte", "x".repeat(1 << 20), "x".repeat(1 << 20)],
    ];
    for (const [what, input, output] of inputs) {
      it(`gives ${what} back`, async (t) => {
        const plugin = await openNative(t, path);
        assert.equal((await plugin.call("echo", input)).text(), output);
        assert.equal(plugin.callSync("echo", input).text(), output);
      });
    }

    it("copies bytes in and out, so that nobody sees what the other changes later", async (t) => {
      const plugin = await openNative(t, path);
      const input = Uint8Array.of(1, 2, 3);
      const output = (await plugin.call("echo", input)).bytes();
      input.fill(9);
      assert.deepEqual(output, Uint8Array.of(1, 2, 3));
      output.fill(7);
      assert.deepEqual(input, Uint8Array.of(9, 9, 9));
    });

    it("tells no output from an empty one", async (t) => {
      const plugin = await openNative(t, path);
      assert.equal((await plugin.call("noop", "x")).isSet, false);
      assert.equal((await plugin.call("echo", "")).isSet, true);
    });

    it("waits for a promise, and callSync says that it cannot", async (t) => {
      const plugin = await openNative(t, path);
      assert.equal((await plugin.call("backwards", "abc")).text(), "cba");
      assert.throws(() => plugin.callSync("backwards", "abc"), { code: "MORTISE_ASYNC_HOST_FUNCTION" });
      assert.equal((await plugin.call("echo", "still there")).text(), "still there");
    });

    it("keeps its state between calls, and begins anew when it is loaded again", async (t) => {
      const plugin = await openNative(t, path);
      assert.equal((await plugin.call("count")).text(), "1");
      assert.equal((await plugin.call("count")).text(), "2");
      await plugin.close();
      const again = await openNative(t, path);
      assert.equal((await again.call("count")).text(), "1");
    });

    const failures: readonly (readonly [fn: string, input: string, code: string, message: RegExp])[] = [
      ["fail", "no\u001b[31m luck", "MORTISE_GUEST_ERROR", /^Failed in function "fail" of plugin "guest": no\\u001b\[31m luck$/],
      ["number", "", "MORTISE_GUEST_ERROR", /it returned a value of type number, but must return text, bytes or nothing$/],
      ["echo", "too long", "MORTISE_OUTPUT_LIMIT", /has 8 bytes, but limits.outputBytes allows 7/],
      ["version", "", "MORTISE_BAD_SIGNATURE", /it is a value of type string/],
      ["ecko", "", "MORTISE_UNKNOWN_FUNCTION", /"echo"/],
    ];
    for (const [fn, input, code, message] of failures) {
      it(`fails with ${code} for ${fn}(${JSON.stringify(input)}), and works afterwards`, async (t) => {
        const plugin = await openNative(t, path, { limits: { outputBytes: 7 } });
        await assert.rejects(plugin.call(fn, input), { code, message });
        assert.throws(() => plugin.callSync(fn, input), { code, message });
        assert.equal((await plugin.call("echo", "next")).text(), "next");
      });
    }

    it("gives up a promise that is late", async (t) => {
      const plugin = await openNative(t, path);
      await assert.rejects(plugin.call("never", "", { timeoutMs: 5 }), { code: "MORTISE_TIMEOUT", message: /deadline of 5 ms/ });
      assert.equal((await plugin.call("echo", "next")).text(), "next");
    });

    it("gives up a promise when the caller aborts", async (t) => {
      const plugin = await openNative(t, path);
      const controller = new AbortController();
      const call = plugin.call("never", "", { signal: controller.signal });
      controller.abort(new Error("changed my mind"));
      await assert.rejects(call, { code: "MORTISE_ABORTED" });
      assert.equal((await plugin.call("echo", "next")).text(), "next");
    });

    it("ends with the plugin, if that is closed with abort", async (t) => {
      const plugin = await openNative(t, path);
      const call = plugin.call("never");
      const closed = plugin.close({ abort: true });
      await assert.rejects(call, { code: "MORTISE_CLOSED" });
      await closed;
    });

    it("never mixes up calls that overlap", async (t) => {
      const plugin = await openNative(t, path, { instances: 8 });
      const texts = Array.from({ length: 100 }, (_none, index) => `${index} ${"x".repeat(index)} ${index}`);
      const outputs = await Promise.all(texts.map((text) => plugin.call("backwards", text)));
      assert.deepEqual(
        outputs.map((output) => output.text()),
        texts.map((text) => Array.from(text).toReversed().join("")),
      );
    });

    it("counts the bytes of calls", async (t) => {
      const plugin = await openNative(t, path);
      await plugin.call("echo", "four");
      assert.deepEqual(plugin.stats().bytes, { input: 4, output: 4 });
    });
  });
}

describe("plugin.call() of an addon in Rust", { skip: NO_ADDONS }, () => {
  const cases: readonly (readonly [fn: string, input: string, output: string])[] = [
    ["shout", "grüße", "GRÜSSE"],
    ["backwards", "abc", "cba"],
    ["count", "", "1"],
    ["sum_on_a_thread", "\u0001\u0002\u0003", "6"],
  ];
  for (const [fn, input, output] of cases) {
    it(`gives what ${fn} gives`, async (t) => {
      const plugin = await openNative(t, RUST_ADDON);
      assert.equal((await plugin.call(fn, input)).text(), output);
    });
  }

  it("fails with the message of a Rust error, at once or on its thread", async (t) => {
    const plugin = await openNative(t, RUST_ADDON);
    await assert.rejects(plugin.call("shout", Uint8Array.of(0xff)), { code: "MORTISE_GUEST_ERROR", message: /the input is not UTF-8$/ });
    await assert.rejects(plugin.call("sum_on_a_thread", ""), { code: "MORTISE_GUEST_ERROR", message: /nothing to add up$/ });
  });
});

describe("plugin.call() of a native plugin", () => {
  it("copies an output that the plugin goes on to change", async (t) => {
    const plugin = await openNative(t, MODULE);
    const first = await plugin.call("changing");
    const second = await plugin.call("changing");
    assert.deepEqual([first.bytes(), second.bytes()], [Uint8Array.of(1, 1, 1), Uint8Array.of(2, 2, 2)]);
  });

  it("limits text by its bytes", async (t) => {
    const plugin = await openNative(t, MODULE, { limits: { outputBytes: 10 } });
    assert.equal((await plugin.call("as_many", "5")).length, 10);
    await assert.rejects(plugin.call("as_many", "6"), { code: "MORTISE_OUTPUT_LIMIT", message: /has 12 bytes/ });
  });

  for (const [fn, message] of [
    ["fail_later", /: later$/],
    ["fail_with_text", /: plain text$/],
  ] as const) {
    it(`fails with what ${fn} throws, and without its stack`, async (t) => {
      const plugin = await openNative(t, MODULE);
      await assert.rejects(plugin.call(fn, "later"), (error) => {
        assert.ok(isMortiseError(error));
        assert.equal(error.code, "MORTISE_GUEST_ERROR");
        assert.match(error.message, message);
        assert.equal(error.cause, undefined);
        assert.doesNotMatch(JSON.stringify(error), /echo\.mjs/);
        return true;
      });
    });
  }

  it("knows a stack that is exhausted", async (t) => {
    const plugin = await openNative(t, MODULE);
    await assert.rejects(plugin.call("recurse"), { code: "MORTISE_STACK_OVERFLOW" });
    assert.equal((await plugin.call("echo", "next")).text(), "next");
  });

  it("fails for a function that came back after its deadline, since nothing could stop it", async (t) => {
    let time = 0;
    const turn_clock = service(["i64"], (_call, ms) => void (time += Number(ms)));
    const plugin = await openNative(t, MODULE, { clock: () => time, services: { turn_clock }, limits: { timeoutMs: 999 } });
    assert.throws(() => plugin.callSync("hold"), { code: "MORTISE_TIMEOUT", message: /999 ms/ });
    await assert.rejects(plugin.call("hold"), { code: "MORTISE_TIMEOUT" });
    assert.equal(plugin.callSync("hold", "", { timeoutMs: 1000 }).text(), "late");
  });

  it("aborts the signal of a call that is given up", async (t) => {
    const { logger, lines } = recorder();
    const plugin = await openNative(t, MODULE, { logger });
    await assert.rejects(plugin.call("never", "", { timeoutMs: 5 }));
    assert.deepEqual(lines, ["info aborted: MORTISE_TIMEOUT"]);
  });

  it("hands over a context of frozen parts: the request's id, and neither its attributes nor any other value", async (t) => {
    const services = { kv_get: service(["text"], () => undefined) };
    const plugin = await openNative(t, MODULE, { config: { a: "1" }, services });
    const seen = async (context?: unknown): Promise<unknown> => (await plugin.call("context", "abc", { context })).json();
    const common = { plugin: "guest", config: { a: "1" }, services: ["kv_get"], frozen: true, input: 3 };
    assert.deepEqual(await seen(new RequestContext({ id: "r1", traceparent: "00-1", attributes: { secret: "s" } })), {
      ...common,
      request: { id: "r1", traceparent: "00-1" },
    });
    assert.deepEqual(await seen({ id: "no request" }), common);
  });

  it("logs at the levels that are seen, safe to print, up to limits.logBytes a call", async (t) => {
    const { logger, lines } = recorder();
    const plugin = await openNative(t, MODULE, { logger, limits: { logBytes: 3 * (16 + 12) } });
    await plugin.call("log", "a\nb");
    assert.deepEqual(lines, ["info info a\\nb", "warn warn a\\nb", "error error a\\nb"]);
    lines.length = 0;
    await plugin.call("log", "long enough to be dropped");
    assert.equal(plugin.stats().droppedLogs, 2);
    assert.match(lines[1] ?? "", /^warn MORTISE_LOG_LIMIT: /);
    assert.equal(lines.length, 2);
  });
});

describe("services of a native plugin", () => {
  const kv = new Map<string, string>();
  const services: ServiceTable = {
    kv_get: service(["text"], (_call, key) => kv.get(String(key)), "bytes"),
    kv_later: { ...service(["text"], async (_call, key) => `later ${String(key)}`, "bytes"), waits: true },
    take: service(["text", "bytes", "i32", "i64", "f64"], (_call, ...values) => values.map((value) => `${typeof value}:${String(value)}`).join(" ")),
    denied: service([], (call) => {
      throw new MortiseError("MORTISE_PERMISSION", { plugin: call.plugin, function: call.function, what: "this" });
    }),
    denied_later: {
      ...service([], async (call) => {
        throw new MortiseError("MORTISE_STORE_UNAVAILABLE", { plugin: call.plugin });
      }),
      waits: true,
    },
    whose: service([], ({ plugin, function: fn, statedMs, context, signal }) =>
      JSON.stringify({ plugin, fn, statedMs, context, aborted: signal.aborted }),
    ),
  };
  const ask = (...call: unknown[]): string => JSON.stringify(call);

  it("are called with their values, at once or after a promise", async (t) => {
    const plugin = await openNative(t, MODULE, { services });
    kv.set("a", "here");
    assert.equal((await plugin.call("ask", ask("kv_get", "a"))).text(), "here");
    assert.equal((await plugin.call("ask", ask("kv_get", "b"))).isSet, false);
    assert.equal((await plugin.call("ask", ask("kv_later", "b"))).text(), "later b");
    assert.equal((await plugin.call("ask", ask("take", "t", "bé", -1, 5, 0.5))).text(), "string:t object:98,195,169 number:-1 bigint:5 number:0.5");
  });

  it("know whose call they serve", async (t) => {
    const plugin = await openNative(t, MODULE, { services });
    assert.deepEqual((await plugin.call("ask", ask("whose"), { timeoutMs: 77, context: "mine" })).json(), {
      plugin: "guest",
      fn: "ask",
      statedMs: 77,
      context: "mine",
      aborted: false,
    });
  });

  const wrong: readonly (readonly [call: unknown[], message: RegExp])[] = [
    [["kv_get", 1], /argument "1" of kv_get is 1, but must be a string/],
    [["kv_get"], /argument "1" of kv_get is undefined, but must be a string/],
    [["kv_get", "a", "b"], /argument "2" of kv_get is one too many/],
    [["take", "t", "b", 2 ** 31, 5, 0.5], /argument "3" of take is 2147483648, but must be a whole number of 32 bits/],
    [["take", "t", "b", 1, 2 ** 53, 0.5], /argument "4" of take is 9007199254740992, but must be/],
    [["take", "t", "b", 1, 1, "0.5"], /argument "5" of take is string, but must be a number/],
    [["take", "t", { 0: 1 }, 1, 1, 0.5], /argument "2" of take is object, but must be bytes/],
  ];
  for (const [call, message] of wrong) {
    it(`refuse ${JSON.stringify(call)}`, async (t) => {
      const plugin = await openNative(t, MODULE, { services });
      await assert.rejects(plugin.call("ask", ask(...call)), { code: "MORTISE_SERVICE_ARGUMENT", message });
    });
  }

  for (const [name, code] of [
    ["denied", "MORTISE_PERMISSION"],
    ["denied_later", "MORTISE_STORE_UNAVAILABLE"],
  ] as const) {
    it(`fail the call when they are ${name}, also if the plugin catches it`, async (t) => {
      const plugin = await openNative(t, MODULE, { services });
      await assert.rejects(plugin.call("ask", ask(name)), { code });
      await assert.rejects(plugin.call("ask_and_ignore", ask(name)), { code });
      await assert.rejects(plugin.call("ask_and_hang", ask(name)), { code });
    });
  }

  it("end with the call that they were given to", async (t) => {
    const plugin = await openNative(t, MODULE, { services });
    await plugin.call("use_old");
    await assert.rejects(plugin.call("use_old"), { code: "MORTISE_GUEST_ERROR", message: /the call context of function "use_old" .* is over/ });
  });
});

function service(
  params: ServiceFunction["params"],
  run: (call: Parameters<ServiceFunction["run"]>[0], ...values: ServiceValue[]) => ServiceValue | Promise<ServiceValue>,
  result: ServiceFunction["result"] = "bytes",
): ServiceFunction {
  return { params, result, run, waits: false };
}
