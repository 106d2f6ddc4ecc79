// Plugins whose host functions call plugins: what would wait for itself is refused, and nothing else is.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type CallContext, type Plugin, type PluginOptions } from "../../src/index.ts";
import { endOf, open, settle, watchCall } from "./opened.ts";

/** Echoes its input; `outer` asks the host first. */
const GUEST = `(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "host" "during" (func $during))
  (import "host" "other" (func $other))
  (func $echo (export "echo") (call $output_set (call $input_offset) (call $input_length)))
  (func (export "outer") (call $during) (call $echo))
  (func (export "both") (call $during) (call $other) (call $echo))
  (func (export "trap") unreachable))`;

type Work = (context: CallContext) => unknown;

/** Deadlines that no test waits for: what would wait for itself would never end. */
const ENDLESS: PluginOptions = { limits: { timeoutMs: Number.POSITIVE_INFINITY } };

async function openNested(during: Work, options: PluginOptions = {}, other: Work = () => {}): Promise<Plugin> {
  return open(GUEST, { during, other }, { ...ENDLESS, ...options });
}

/** The ways to write a host function that calls a plugin and waits for the answer. */
const FORMS: readonly (readonly [form: string, make: (nested: () => Promise<unknown>) => Work])[] = [
  ["an async function, before any await", (nested) => async () => void (await nested())],
  ["an async function, after an await", (nested) => async () => (await settle(1), void (await nested()))],
  ["an async function, after a timer", (nested) => async () => (await new Promise((resolve) => setTimeout(resolve, 1)), void (await nested()))],
  ["a function that returns the promise", (nested) => () => nested().then(() => undefined)],
  ["a function that returns a promise and calls later", (nested) => () => settle(1).then(nested).then(() => undefined)],
  ["a function that returns what an async function gives", (nested) => {
    const work = async (): Promise<void> => (await settle(1), void (await nested()));
    return () => work();
  }],
]; // prettier-ignore

describe("A nested call that its own caller would have to end", () => {
  for (const [form, make] of FORMS) {
    it(`is refused with MORTISE_REENTRANT (${form})`, async () => {
      const ends: string[] = [];
      const work: Work = make(() => endOf(plugin.call("echo", "nested")).then((end) => ends.push(end)));
      const plugin: Plugin = await openNested(work);
      assert.equal(await endOf(plugin.call("outer", "outer")), "outer");
      assert.equal(await endOf(plugin.call("outer", "again")), "again");
      assert.deepEqual(ends, ["MORTISE_REENTRANT", "MORTISE_REENTRANT"]);
      assert.deepEqual([plugin.stats().instances.discarded, plugin.stats().instances.waiting], [0, 0]);
    });

    it(`by way of another plugin is refused with MORTISE_REENTRANT (${form})`, async () => {
      const ends: string[] = [];
      const first: Plugin = await openNested(
        make(() => endOf(second.call("outer", "between")).then((end) => ends.push(end))),
        { name: "first" },
      );
      const second: Plugin = await openNested(
        make(() => endOf(first.call("echo", "nested")).then((end) => ends.push(end))),
        { name: "second" },
      );
      assert.equal(await endOf(first.call("outer", "outer")), "outer");
      assert.deepEqual(ends, ["MORTISE_REENTRANT", "between"]);
      assert.equal(await endOf(second.call("echo", "free")), "free");
    });

    it(`with callSync is refused with MORTISE_REENTRANT (${form})`, async () => {
      const codes: string[] = [];
      const work: Work = make(async () => {
        try {
          plugin.callSync("echo", "nested");
        } catch (error) {
          codes.push((error as { code: string }).code);
        }
      });
      const plugin: Plugin = await openNested(work);
      assert.equal(await endOf(plugin.call("outer", "outer")), "outer");
      assert.deepEqual(codes, ["MORTISE_REENTRANT"]);
    });
  }

  it("names what runs, and fails the outer call if the host function lets it", async () => {
    const plugin: Plugin = await openNested(async () => void (await plugin.call("echo")));
    await assert.rejects(plugin.call("outer"), {
      code: "MORTISE_HOST_FUNCTION",
      message: /Cannot call function "echo" of plugin "guest": the plugin is running "outer"/,
    });
  });

  it("is refused too where an answer that was no promise came first", async () => {
    let turn = 0;
    let nested = "";
    const plugin: Plugin = await openNested(() => {
      turn++;
      return turn % 2 === 0 ? settle(1).then(async () => void (nested = await endOf(plugin.call("echo", "x", { timeoutMs: 20 })))) : undefined;
    });
    // The second time is the first promise; between it and the fourth there is an answer at once.
    for (let time = 0; time < 4; time++) assert.equal(await endOf(plugin.call("outer", "outer", { timeoutMs: 60_000 })), "outer");
    assert.equal(nested, "MORTISE_REENTRANT");
  });

  it("is refused while there is no second instance, and runs where there is one", async () => {
    const ends: string[] = [];
    let depth = 0;
    const plugin: Plugin = await openNested(
      async () => {
        depth++;
        ends.push(await endOf(plugin.call(depth < 3 ? "outer" : "echo", `depth ${depth}`)));
      },
      { stateless: true, pool: { maxInstances: 3 } },
    );
    assert.equal(await endOf(plugin.call("outer", "outer")), "outer");
    assert.deepEqual(ends, ["MORTISE_REENTRANT", "depth 2", "depth 1"]);
    assert.equal(plugin.stats().instances.live, 3);
  });
});

describe("A nested call that nobody waits for", () => {
  it("made by a function that does not suspend the guest runs when the guest has ended", async () => {
    const calls: ReturnType<typeof watchCall>[] = [];
    const plugin: Plugin = await openNested(() => void calls.push(watchCall(plugin.call("echo", "nested"))));
    assert.equal(plugin.callSync("outer", "sync").text(), "sync");
    assert.equal(await endOf(plugin.call("outer", "async")), "async");
    await settle();
    assert.deepEqual(
      calls.map(({ state }) => state),
      ["nested", "nested"],
    );
  });

  it("waits for another plugin that is busy with a call of its own", async () => {
    const answer = Promise.withResolvers<void>();
    const busy = await openNested(() => answer.promise, { name: "busy" });
    const running = endOf(busy.call("outer", "runs"));
    const plugin = await openNested(async () => void (await busy.call("echo", "nested")));
    const outer = watchCall(plugin.call("outer", "outer"));
    await settle();
    assert.equal(outer.state, "pending");
    answer.resolve();
    assert.deepEqual([await running, busy.stats().instances.waited], ["runs", 1]);
    await settle();
    assert.equal(outer.state, "outer");
  });

  it("made by something that a host function left behind waits like any other", async () => {
    const answer = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    let background: Promise<string> | undefined;
    let calls = 0;
    const plugin: Plugin = await openNested(async () => {
      calls++;
      if (calls === 2) return answer.promise;
      background = go.promise.then(() => endOf(plugin.call("echo", "from the background")));
      return settle(1);
    });
    assert.equal(await endOf(plugin.call("outer", "first")), "first");
    const second = endOf(plugin.call("outer", "second"));
    go.resolve();
    await settle();
    assert.equal(plugin.stats().instances.waiting, 1);
    answer.resolve();
    assert.deepEqual([await second, await background], ["second", "from the background"]);
  });

  it("made by something that an earlier host function of the same call left behind waits too", async () => {
    const go = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    let background: Promise<string> | undefined;
    const plugin: Plugin = await openNested(
      async () => {
        background = go.promise.then(() => endOf(plugin.call("echo", "from the background")));
        return settle(1);
      },
      {},
      () => answer.promise,
    );
    const outer = endOf(plugin.call("both", "outer"));
    await settle();
    go.resolve();
    await settle();
    assert.equal(plugin.stats().instances.waiting, 1);
    answer.resolve();
    assert.deepEqual([await outer, await background], ["outer", "from the background"]);
  });

  it("made by a host function whose call was ended waits like any other", async () => {
    const controller = new AbortController();
    const go = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    let late: Promise<string> | undefined;
    let calls = 0;
    const plugin: Plugin = await openNested(async () => {
      if (++calls === 2) return answer.promise;
      late = go.promise.then(() => endOf(plugin.call("echo", "late")));
      await late;
      return undefined;
    });
    const first = endOf(plugin.call("outer", "first", { signal: controller.signal }));
    await settle();
    controller.abort();
    assert.equal(await first, "MORTISE_ABORTED");
    const second = endOf(plugin.call("outer", "second"));
    go.resolve();
    await settle();
    assert.equal(plugin.stats().instances.waiting, 1);
    answer.resolve();
    assert.deepEqual([await second, await late], ["second", "late"]);
  });
});

describe("Two calls that wait for each other's plugin", () => {
  it("end at a deadline, and leave both plugins in order", async () => {
    // Neither is called by the other: no chain leads from one to itself, and the deadline is what ends them.
    const nested: string[] = [];
    const timeoutMs = 20;
    const ready = Promise.withResolvers<void>();
    const first: Plugin = await openNested(async () => (await ready.promise, void nested.push(await endOf(second.call("echo", "", { timeoutMs })))), {
      name: "first",
    });
    const second: Plugin = await openNested(async () => (await ready.promise, void nested.push(await endOf(first.call("echo", "", { timeoutMs })))), {
      name: "second",
    });
    const calls = [endOf(first.call("outer", "1")), endOf(second.call("outer", "2"))];
    await settle();
    ready.resolve();
    assert.deepEqual(await Promise.all(calls), ["1", "2"]);
    assert.ok(nested.includes("MORTISE_TIMEOUT"), nested.join());
    assert.deepEqual([await endOf(first.call("echo", "a")), await endOf(second.call("echo", "b"))], ["a", "b"]);
  });
});

describe("Plugin.close within one of the plugin's own host functions", () => {
  it("lets the call end if nobody waits for it", async () => {
    let closed: Promise<void> | undefined;
    const plugin: Plugin = await openNested(async () => {
      closed = plugin.close();
      await settle(1);
    });
    assert.equal(await endOf(plugin.call("outer", "outer")), "outer");
    await closed;
    assert.equal(plugin.stats().instances.live, 0);
  });

  it("that is waited for ends at the call's deadline", async () => {
    let closed: Promise<void> | undefined;
    const plugin: Plugin = await openNested(() => (closed = plugin.close()));
    assert.equal(await endOf(plugin.call("outer", "outer", { timeoutMs: 20 })), "MORTISE_TIMEOUT");
    await closed;
    assert.equal(plugin.stats().instances.live, 0);
  });

  it("with abort ends the call, also while the function is not async", async () => {
    for (const later of [false, true]) {
      let closed: Promise<void> | undefined;
      const plugin: Plugin = await openNested(() => {
        if (!later) closed = plugin.close({ abort: true });
        return later ? settle(1).then(() => (closed = plugin.close({ abort: true }))) : undefined;
      });
      assert.equal(await endOf(plugin.call("outer", "outer")), "MORTISE_CLOSED");
      await closed;
      assert.equal(plugin.stats().instances.live, 0);
    }
  });
});
