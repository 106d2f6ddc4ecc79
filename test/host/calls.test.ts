// Plugin: calls, their order, deadlines and ends, and what is counted.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { type HostFunctions, type Plugin, type PluginInput, type PluginOptions, isMortiseError, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

const prebuilt = (name: string): URL => new URL(`../../guests/prebuilt/${name}.wasm`, import.meta.url);

/** Echoes its input; `outer` asks the host in between; `spin` never ends; `work` runs for a while. */
const GUEST = `(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/user" "during" (func $during))
  (func $echo (export "echo") (call $output_set (call $input_offset) (call $input_length)))
  (func (export "outer") (call $during) (call $echo))
  (func (export "outer_then_spin") (call $during) (loop (br 0)))
  (func (export "spin") (loop (br 0)))
  (func (export "trap") unreachable)
  (func (export "code") (result i32) (i32.const 3))
  (func (export "work") (local $turns i32)
    (loop (local.set $turns (i32.add (local.get $turns) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $turns) (i32.const 100000))))))`;

interface Opened extends AsyncDisposable {
  readonly plugin: Plugin;
  /** What the next call of the host function does. */
  during(work: () => void): void;
  /** Moves the fake clock. */
  advance(ms: number): void;
  readonly now: number;
}

/** A guest on a clock that only moves when told to, plus `step` with every look at it. */
async function open(options: PluginOptions = {}, step = 0): Promise<Opened> {
  let work: (() => void) | undefined;
  let now = 0;
  const hostFunctions: HostFunctions = { "extism:host/user": { during: () => work?.() } };
  const plugin = await loadPlugin(await assemble(GUEST), { name: "guest", clock: () => (now += step), ...options, hostFunctions });
  return {
    plugin,
    during: (next) => {
      work = next;
    },
    advance: (ms) => {
      now += ms;
    },
    get now() {
      return now;
    },
    [Symbol.asyncDispose]: () => plugin.close(),
  };
}

/** Lets every promise settle that can. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** "pending", the text that came, or the code of the error. */
async function stateOf(call: Promise<{ text(): string }>): Promise<string> {
  let state = "pending";
  void call.then(
    (output) => (state = output.text()),
    (error: unknown) => (state = isMortiseError(error) ? error.code : String(error)),
  );
  await settle();
  return state;
}

describe("Plugin.call and Plugin.callSync", () => {
  it("give the same output for the same input", async () => {
    await using plugin = await loadPlugin(prebuilt("echo.c"));
    for (const input of ["", "text", "größer 😀", Uint8Array.of(0, 255, 128), Buffer.from("buffer"), undefined] satisfies PluginInput[]) {
      const expected = typeof input === "string" ? new TextEncoder().encode(input) : Uint8Array.from(input ?? []);
      const sync = plugin.callSync("echo", input);
      assert.deepEqual(sync.bytes(), expected);
      assert.equal(sync.length, expected.length);
      assert.deepEqual((await plugin.call("echo", input)).bytes(), expected);
    }
    assert.deepEqual(plugin.exports.toSorted(), ["echo", "noop"]);
    assert.deepEqual([plugin.has("echo"), plugin.has("Echo"), plugin.has("memory"), plugin.has("__proto__")], [true, false, false, false]);
  });

  it("give outputs of their own: a later call does not change an earlier output", async () => {
    await using plugin = await loadPlugin(prebuilt("echo.c"));
    const outputs = ["a", "b".repeat(100), "c".repeat(100_000)].map((text) => plugin.callSync("echo", text));
    for (const size of [1, 100, 100_000, 500_000]) plugin.callSync("echo", "x".repeat(size));
    assert.deepEqual(
      outputs.map((output) => new Set(output.text())),
      [new Set("a"), new Set("b"), new Set("c")],
    );
    outputs[0]?.bytes().fill(0);
    assert.equal(plugin.callSync("echo", "again").text(), "again");
  });

  it("refuse an input that is no text, bytes or nothing, before anything runs", async () => {
    await using guest = await open();
    for (const input of [
      null,
      5,
      5n,
      true,
      {},
      [],
      Symbol("x"),
      () => {},
      new ArrayBuffer(2),
      new Uint16Array(2),
      new DataView(new ArrayBuffer(2)),
    ]) {
      assert.throws(() => guest.plugin.callSync("echo", input as PluginInput), {
        code: "MORTISE_INVALID_INPUT",
        message: /must be a string, bytes or nothing$/,
      });
      await assert.rejects(guest.plugin.call("echo", input as PluginInput), { code: "MORTISE_INVALID_INPUT" });
    }
    assert.deepEqual([guest.plugin.stats().errors, guest.plugin.stats().fuel.total], [{ MORTISE_INVALID_INPUT: 22 }, 0]);
    assert.equal(guest.plugin.callSync("echo", "fine").text(), "fine");
  });

  it("refuse a deadline that is no positive number", async () => {
    await using guest = await open();
    for (const timeoutMs of [0, -1, Number.NaN]) {
      assert.throws(() => guest.plugin.callSync("echo", "", { timeoutMs }), {
        code: "MORTISE_INVALID_OPTION",
        message: /^Cannot use option "timeoutMs"/,
      });
      await assert.rejects(guest.plugin.call("echo", "", { timeoutMs }), { code: "MORTISE_INVALID_OPTION" });
    }
    assert.equal(guest.plugin.callSync("echo", "x", { timeoutMs: Number.POSITIVE_INFINITY }).text(), "x");
  });

  const unchecked = [null, 5, { timeoutMs: "5" }, { timeoutMs: 5n }, { signal: {} }, { signal: 5 }, { unknown: 1 }] as const;
  for (const options of unchecked) {
    const shown = JSON.stringify(options, (_key, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
    it(`refuse the options ${shown}`, async () => {
      await using guest = await open();
      await assert.rejects(guest.plugin.call("echo", "", options as object), { code: "MORTISE_INVALID_OPTION" });
    });
  }

  it("refuse a name that is no text with a code", async () => {
    await using guest = await open();
    for (const name of [undefined, null, 5, Symbol("x")])
      await assert.rejects(guest.plugin.call(name as unknown as string), { name: "MortiseError" });
  });
});

describe("Calls of a plugin that is running", () => {
  it("wait with call, in order, and fail with MORTISE_REENTRANT with callSync", async () => {
    await using guest = await open();
    const finished: string[] = [];
    const waiting: Promise<string>[] = [];
    const refused: unknown[] = [];
    guest.during(() => {
      for (const text of ["1", "2", "3", "4"])
        waiting.push(guest.plugin.call("echo", text).then((output) => (finished.push(output.text()), output.text())));
      try {
        guest.plugin.callSync("echo", "never");
      } catch (error) {
        refused.push(error);
      }
    });
    assert.equal(guest.plugin.callSync("outer", "outer input").text(), "outer input");
    assert.deepEqual(await Promise.all(waiting), ["1", "2", "3", "4"]);
    assert.deepEqual(finished, ["1", "2", "3", "4"]);
    const [error] = refused;
    assert.ok(isMortiseError(error));
    assert.deepEqual([error.code, error.details], ["MORTISE_REENTRANT", { plugin: "guest", function: "echo", running: "outer" }]);
    assert.equal(guest.plugin.callSync("echo", "afterwards").text(), "afterwards");
  });

  it("that wait run though the running one fails", async () => {
    await using guest = await open({ limits: { fuel: 1_000_000 } });
    const waiting: Promise<{ text(): string }>[] = [];
    guest.during(() => waiting.push(guest.plugin.call("echo", "1"), guest.plugin.call("trap"), guest.plugin.call("echo", "2")));
    assert.throws(() => guest.plugin.callSync("outer_then_spin"), { code: "MORTISE_FUEL" });
    assert.deepEqual(await Promise.all(waiting.map(stateOf)), ["1", "MORTISE_TRAP", "2"]);
  });

  it("keep their order though a later call comes when the plugin is free again", async () => {
    await using guest = await open();
    const finished: string[] = [];
    const note = (text: string) => guest.plugin.call("echo", text).then((output) => finished.push(output.text()));
    const waiting: Promise<number>[] = [];
    guest.during(() => waiting.push(note("first")));
    guest.plugin.callSync("outer");
    waiting.push(note("second"));
    await Promise.all(waiting);
    assert.deepEqual(finished, ["first", "second"]);
  });

  it("time out where they waited past their deadline", async () => {
    await using guest = await open();
    const waiting: Promise<{ text(): string }>[] = [];
    guest.during(() => {
      waiting.push(guest.plugin.call("echo", "late", { timeoutMs: 10 }));
      guest.advance(10);
    });
    guest.plugin.callSync("outer");
    await assert.rejects(waiting[0] as Promise<unknown>, { code: "MORTISE_TIMEOUT", message: /ran past its deadline of 10 ms$/ });
  });

  it("have the rest of their time once they run", async () => {
    await using guest = await open({}, 1);
    const waiting: Promise<{ text(): string }>[] = [];
    guest.during(() => {
      waiting.push(guest.plugin.call("spin", "", { timeoutMs: 1000 }));
      guest.advance(900);
    });
    guest.plugin.callSync("outer");
    const began = guest.now;
    assert.equal(await stateOf(waiting[0] as Promise<{ text(): string }>), "MORTISE_TIMEOUT");
    assert.ok(guest.now - began >= 90 && guest.now - began <= 110, `it ran for ${guest.now - began} ms`);
  });

  it("do not run when they were aborted while they waited", async () => {
    await using guest = await open();
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    let waiting: Promise<unknown> | undefined;
    guest.during(() => {
      waiting = guest.plugin.call("trap", "", { signal: controller.signal });
      controller.abort(reason);
    });
    guest.plugin.callSync("outer");
    await assert.rejects(waiting as Promise<unknown>, { code: "MORTISE_ABORTED", cause: reason });
    assert.deepEqual(guest.plugin.stats().errors, { MORTISE_ABORTED: 1 });
  });

  it("end, those that wait as well, when the plugin is closed with abort", async () => {
    await using guest = await open();
    let waiting: Promise<string> | undefined;
    let closed: Promise<void> | undefined;
    guest.during(() => {
      waiting = stateOf(guest.plugin.call("echo"));
      closed = guest.plugin.close({ abort: true });
    });
    assert.throws(() => guest.plugin.callSync("outer"), { code: "MORTISE_CLOSED", details: { plugin: "guest", function: "outer" } });
    assert.equal(await waiting, "MORTISE_CLOSED");
    await closed;
    assert.equal(guest.plugin.stats().instances.live, 0);
  });

  it("come to their end, those that wait as well, when the plugin is closed without abort", async () => {
    await using guest = await open();
    let waiting: Promise<string> | undefined;
    let closed: Promise<void> | undefined;
    guest.during(() => {
      waiting = stateOf(guest.plugin.call("echo", "that waits"));
      closed = guest.plugin.close();
    });
    assert.equal(guest.plugin.callSync("outer", "that runs").text(), "that runs");
    await assert.rejects(guest.plugin.call("echo", "that comes later"), { code: "MORTISE_CLOSED" });
    assert.equal(await waiting, "that waits");
    await closed;
    assert.deepEqual([guest.plugin.stats().instances.live, guest.plugin.stats().instances.created], [0, 1]);
  });

  const causes: readonly (readonly [what: string, first: (guest: Opened, controller: AbortController) => Promise<unknown>, after: (guest: Opened, controller: AbortController) => void, expected: string])[] = [
    ["was aborted", (guest, { signal }) => guest.plugin.call("echo", "1", { signal }), (_guest, controller) => controller.abort(), "2"],
    ["waited too long", (guest) => guest.plugin.call("echo", "1", { timeoutMs: 5 }), (guest) => guest.advance(6), "2"],
    ["has no such function", (guest) => guest.plugin.call("nothing"), () => {}, "2"],
    ["has a bad input", (guest) => guest.plugin.call("echo", 5 as unknown as string), () => {}, "2"],
  ]; // prettier-ignore
  for (const [what, first, after, expected] of causes) {
    it(`that wait behind one that ${what} get their turn`, async () => {
      await using guest = await open();
      const controller = new AbortController();
      let second: Promise<{ text(): string }> | undefined;
      guest.during(() => {
        first(guest, controller).catch(() => {});
        second = guest.plugin.call("echo", "2");
        after(guest, controller);
      });
      guest.plugin.callSync("outer");
      assert.equal(await stateOf(second as Promise<{ text(): string }>), expected);
    });
  }
});

describe("An abort signal", () => {
  it("refuses a call that has not begun, with its reason as the cause", async () => {
    await using guest = await open();
    const reason = new Error("no time");
    await assert.rejects(guest.plugin.call("trap", "", { signal: AbortSignal.abort(reason) }), { code: "MORTISE_ABORTED", cause: reason });
    assert.deepEqual([guest.plugin.stats().errors, guest.plugin.stats().fuel.total], [{ MORTISE_ABORTED: 1 }, 0]);
    assert.equal((await guest.plugin.call("echo", "x", { signal: new AbortController().signal })).text(), "x");
  });
});

describe("Plugin.close", () => {
  it("lets later calls fail with MORTISE_CLOSED, frees variables, and may be repeated", async () => {
    const { plugin } = await open();
    plugin.callSync("echo", "x");
    await plugin.close();
    await plugin.close();
    await plugin[Symbol.asyncDispose]();
    assert.throws(() => plugin.callSync("echo"), { code: "MORTISE_CLOSED" });
    await assert.rejects(plugin.call("echo"), { code: "MORTISE_CLOSED" });
    await assert.rejects(plugin.call("nothing"), { code: "MORTISE_CLOSED" });
    assert.deepEqual(plugin.stats().variables, { count: 0, bytes: 0 });
    assert.equal(plugin.stats().memory.bytes, 0);
    assert.equal(plugin.has("echo"), true);
  });

  it("happens at the end of an await using block", async () => {
    let kept: Plugin;
    {
      await using plugin = await loadPlugin(prebuilt("echo.c"));
      kept = plugin;
      plugin.callSync("echo", "x");
    }
    assert.throws(() => kept.callSync("echo"), { code: "MORTISE_CLOSED" });
  });
});

describe("A deadline", () => {
  for (const timeoutMs of [1, 50, 2000]) {
    it(`of ${timeoutMs} ms stops a guest that never ends, by the clock`, async () => {
      await using guest = await open({ limits: { timeoutMs } }, 1);
      const began = guest.now;
      assert.throws(() => guest.plugin.callSync("spin"), { code: "MORTISE_TIMEOUT", message: new RegExp(`deadline of ${timeoutMs} ms$`) });
      assert.ok(guest.now - began >= timeoutMs && guest.now - began <= timeoutMs + 10, `it ran for ${guest.now - began} ms`);
      assert.equal(guest.plugin.callSync("echo", "next", { timeoutMs: 1000 }).text(), "next");
    });
  }

  it("of a call comes before that of the plugin, be it shorter or longer", async () => {
    await using guest = await open({ limits: { timeoutMs: 20 } }, 1);
    for (const timeoutMs of [5, 500]) {
      const began = guest.now;
      await assert.rejects(guest.plugin.call("spin", "", { timeoutMs }), {
        code: "MORTISE_TIMEOUT",
        message: new RegExp(`deadline of ${timeoutMs} ms$`),
      });
      assert.ok(guest.now - began >= timeoutMs && guest.now - began <= timeoutMs + 10);
    }
  });

  it("counts the time that host functions take", async () => {
    await using guest = await open({ limits: { timeoutMs: 1000 } });
    guest.during(() => guest.advance(1001));
    assert.throws(() => guest.plugin.callSync("outer_then_spin"), { code: "MORTISE_TIMEOUT" });
  });

  it("that passed in a host function fails the call, though the guest has nothing left to do", async () => {
    await using guest = await open({ limits: { timeoutMs: 1000 } });
    guest.during(() => guest.advance(5000));
    assert.throws(() => guest.plugin.callSync("outer"), { code: "MORTISE_TIMEOUT" });
  });

  it("is anew for each call", async () => {
    await using guest = await open({ limits: { timeoutMs: 100 } }, 1);
    for (let turn = 0; turn < 50; turn++) assert.equal(guest.plugin.callSync("work").length, 0);
    assert.ok(guest.now > 100, "together they took longer than one may");
  });
});

describe("Concurrent calls", () => {
  it("of three plugins with 1,000 inputs each get their own answers", async () => {
    const names = ["echo.c", "echo.rs", "sha256.c"] as const;
    const { createHash } = await import("node:crypto");
    const plugins = await Promise.all(names.map((name) => loadPlugin(prebuilt(name))));
    const input = (plugin: number, index: number): string => `${names[plugin]} ${index} ${"x".repeat((index * 7) % 300)}`;
    const calls = Array.from({ length: 1000 }, (_unused, index) =>
      plugins.map(async (plugin, which) => {
        const text = input(which, index);
        const output = await plugin.call(which === 2 ? "sha256" : "echo", text);
        const expected = which === 2 ? JSON.stringify({ sha256: createHash("sha256").update(text).digest("hex") }) : text;
        assert.equal(output.text(), expected);
      }),
    );
    await Promise.all(calls.flat());
    for (const plugin of plugins) {
      assert.deepEqual([plugin.stats().calls, plugin.stats().failures], [1000, 0]);
      await plugin.close();
    }
  });

  it("that wait for each other get their own answers", async () => {
    await using guest = await open();
    const calls: Promise<string>[] = [];
    guest.during(() => {
      for (let index = 0; index < 1000; index++) calls.push(guest.plugin.call("echo", `input ${index}`).then((output) => output.text()));
    });
    guest.plugin.callSync("outer");
    assert.deepEqual(
      await Promise.all(calls),
      Array.from({ length: 1000 }, (_unused, index) => `input ${index}`),
    );
  });
});

describe("Two plugins", () => {
  it("call each other through host functions, each with its own context and clock", async () => {
    const seen: unknown[] = [];
    const text = await assemble(GUEST);
    let second: Plugin;
    await using first = await loadPlugin(text, {
      name: "first",
      hostFunctions: {
        "extism:host/user": {
          during: (context) => {
            seen.push(context.context);
            seen.push(second.callSync("outer", "inner", { context: "of the second" }).text());
            seen.push(context.context);
          },
        },
      },
    });
    second = await loadPlugin(text, {
      name: "second",
      hostFunctions: { "extism:host/user": { during: (context) => void seen.push(context.plugin, context.context) } },
    });
    assert.equal(first.callSync("outer", "outer", { context: "of the first" }).text(), "outer");
    assert.deepEqual(seen, ["of the first", "second", "of the second", "inner", "of the first"]);
    await second.close();
  });

  it("that call in a circle fail, with MORTISE_REENTRANT as the cause, and both work afterwards", async () => {
    const text = await assemble(GUEST);
    const plugins: Plugin[] = [];
    let circle = true;
    for (const [index, name] of ["first", "second"].entries()) {
      const during = (): void => {
        if (circle) plugins[1 - index]?.callSync("outer", `from ${name}`);
      };
      plugins.push(await loadPlugin(text, { name, hostFunctions: { "extism:host/user": { during } } }));
    }
    let failure: unknown;
    try {
      plugins[0]?.callSync("outer");
    } catch (error) {
      failure = error;
    }
    const chain: string[] = [];
    for (let error = failure; isMortiseError(error); error = error.cause) chain.push(`${error.code} in ${String(error.details["plugin"])}`);
    assert.deepEqual(chain, ["MORTISE_HOST_FUNCTION in first", "MORTISE_HOST_FUNCTION in second", "MORTISE_REENTRANT in first"]);
    assert.deepEqual(
      plugins.map((plugin) => plugin.stats().errors),
      [{ MORTISE_REENTRANT: 1, MORTISE_HOST_FUNCTION: 1 }, { MORTISE_HOST_FUNCTION: 1 }],
    );
    circle = false;
    for (const plugin of plugins) assert.equal(plugin.callSync("outer", "works").text(), "works");
    for (const plugin of plugins) await plugin.close();
  });

  it("do not share a stop: the inner one's limit ends the outer call only if the host function lets it", async () => {
    const text = await assemble(GUEST);
    await using inner = await loadPlugin(text, {
      name: "inner",
      limits: { fuel: 100_000 },
      hostFunctions: { "extism:host/user": { during: () => {} } },
    });
    let caught = "";
    const during = (): void => {
      try {
        inner.callSync("spin");
      } catch (error) {
        caught = isMortiseError(error) ? error.code : String(error);
      }
    };
    await using outer = await loadPlugin(text, { name: "outer", hostFunctions: { "extism:host/user": { during } } });
    assert.equal(outer.callSync("outer", "unharmed").text(), "unharmed");
    assert.equal(caught, "MORTISE_FUEL");
    assert.equal(outer.stats().failures, 0);
  });
});

describe("Plugin.stats", () => {
  it("counts calls, failures by code, instances and bytes", async () => {
    await using guest = await open({ limits: { fuel: 1_000_000 } });
    for (const name of ["echo", "code", "trap", "spin", "echo"]) {
      await guest.plugin.call(name, "12345").catch(() => {});
    }
    const stats = guest.plugin.stats();
    assert.deepEqual([stats.calls, stats.failures], [5, 3]);
    assert.deepEqual(stats.errors, { MORTISE_RETURN_CODE: 1, MORTISE_TRAP: 1, MORTISE_FUEL: 1 });
    assert.deepEqual([stats.instances.created, stats.instances.discarded], [3, 2]);
    assert.deepEqual(stats.bytes, { input: 10, output: 10 });
    assert.ok(stats.fuel.total >= 1_000_000 && stats.fuel.last < 100);
    assert.equal(stats.memory.bytes, 65_536);
  });

  it("is a picture of its moment", async () => {
    await using guest = await open();
    const before = guest.plugin.stats();
    guest.plugin.callSync("echo", "x");
    assert.equal(before.calls, 0);
    assert.deepEqual(before.errors, {});
  });

  it("counts the memory that calls leave behind", async () => {
    await using plugin = await loadPlugin(prebuilt("echo.c"));
    const at = plugin.stats().memory.bytes;
    plugin.callSync("echo", new Uint8Array(1 << 20));
    const { bytes, peak } = plugin.stats().memory;
    assert.ok(bytes >= at + (2 << 20), "input, block and the guest's own copy");
    assert.equal(peak, bytes);
  });

  it("counts the bytes of text, not its characters", async () => {
    await using guest = await open();
    guest.plugin.callSync("echo", "é😀");
    assert.deepEqual(guest.plugin.stats().bytes, { input: 6, output: 6 });
  });

  it("counts no more failures than calls", async () => {
    await using guest = await open();
    assert.throws(() => guest.plugin.callSync("nothing"));
    const { calls, failures } = guest.plugin.stats();
    assert.ok(failures <= calls, `${failures} failures in ${calls} calls`);
  });
});

describe("The prebuilt guests", () => {
  it("do in Mortise what they do in their own tests", async () => {
    const hostFunctions = { "extism:host/user": { host_reflect: (_context: unknown, handle: bigint) => handle } };
    await using plugin = await loadPlugin(readFileSync(prebuilt("fixtures.c")), {
      hostFunctions,
      config: { colour: "oak brown" },
      limits: { timeoutMs: 200, memoryBytes: 8 << 20 },
    });
    const cases: readonly (readonly [name: string, input: string, expected: string])[] = [
      ["config_echo", "colour", "oak brown"],
      ["config_echo", "size", "MORTISE_GUEST_ERROR"],
      ["var_bump", "", "1"],
      ["var_fill", "1000", "1000"],
      ["fail", "", "MORTISE_GUEST_ERROR"],
      ["exit_code", "", "MORTISE_RETURN_CODE"],
      ["host_reflect", "there and back", "there and back"],
      ["grow", "2", "1"],
      ["trap", "", "MORTISE_TRAP"],
      ["recurse", "", "MORTISE_STACK_OVERFLOW"],
      ["spin", "", "MORTISE_TIMEOUT"],
      ["grow", "70000", "-1"],
    ];
    for (const [name, input, expected] of cases) {
      const result = await plugin.call(name, input).then(
        (output) => output.text(),
        (error: unknown) => (isMortiseError(error) ? error.code : String(error)),
      );
      assert.equal(result, expected, `${name}("${input}")`);
    }
    assert.throws(
      () => plugin.callSync("trap"),
      (error: unknown) => {
        assert.ok(isMortiseError(error));
        const trace = error.details["trace"] as { function: string }[];
        assert.deepEqual(
          trace.map((frame) => frame.function),
          ["inner_function", "middle_function", "trap"],
        );
        return true;
      },
    );
  });

  it("run with WASI: Go's runtime starts, works and starts again after a discard", async () => {
    await using plugin = await loadPlugin(prebuilt("readability.go"), { limits: { timeoutMs: 30_000 } });
    const first = plugin.callSync("readability", "A mortise is a hole.").json() as { words: number };
    assert.equal(first.words, 5);
    assert.throws(() => plugin.callSync("readability", "...", { timeoutMs: 30_000 }), { code: "MORTISE_GUEST_ERROR" });
    assert.deepEqual(plugin.callSync("readability", "A mortise is a hole.").json(), first);
  });
});
