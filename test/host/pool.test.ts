// Instances of a plugin: how many there are, who gets one, and when one is replaced or freed.

import assert from "node:assert/strict";
import { afterEach, before, describe, it, mock } from "node:test";

import { type CallContext, type Plugin, type PluginOptions, instanceCount, setInstanceCap } from "../../src/index.ts";
import { aborter, endOf, madeAndDiscarded, open, settle, watchCall } from "./opened.ts";

/** Echoes; counts its calls; waits for the host; grows; fails. */
const GUEST = `(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "host" "ask" (func $ask))
  (import "host" "started" (func $started))
  (memory 1)
  (global $calls (mut i32) (i32.const 0))
  (start $started)
  (func $echo (export "echo") (call $output_set (call $input_offset) (call $input_length)))
  (func (export "count") (result i32) (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))
  (func (export "ask") (call $ask) (call $echo))
  (func (export "grow") (drop (memory.grow (i32.const 4))))
  (func (export "trap") unreachable))`;

interface Opened {
  readonly plugin: Plugin;
  /** Answers the host function calls that wait, oldest first. */
  readonly answers: (() => void)[];
  /** What the next start function does. */
  starting: () => void;
  readonly advance: (ms: number) => void;
}

async function openPool(options: PluginOptions = {}): Promise<Opened> {
  const answers: (() => void)[] = [];
  let now = 0;
  const opened = { answers, starting: () => {}, advance: (ms: number) => void (now += ms) };
  const functions = {
    ask: (_context: CallContext) => new Promise<void>((resolve) => void answers.push(resolve)),
    started: () => opened.starting(),
  };
  const plugin = await open(GUEST, functions, { clock: () => now, limits: { timeoutMs: 600_000 }, ...options });
  return Object.assign(opened, { plugin });
}

const countOf = (call: Promise<unknown>): Promise<number> =>
  call.then(
    () => 0,
    (error: { details: { returnCode: number } }) => error.details.returnCode,
  );

describe("A plugin with state", () => {
  it("has one instance, on which calls run one after the other in order", async () => {
    const { plugin, answers } = await openPool();
    const order: string[] = [];
    const calls = ["1", "2", "3", "4"].map((name) => plugin.call(name === "3" ? "echo" : "ask", name).then((output) => order.push(output.text())));
    for (let time = 0; time < 3; time++) {
      await settle();
      assert.equal(answers.length, 1, "two calls at once");
      answers.shift()?.();
    }
    await Promise.all(calls);
    assert.deepEqual(order, ["1", "2", "3", "4"]);
    assert.deepEqual(plugin.stats().instances, { live: 1, busy: 0, created: 1, discarded: 0, recycled: 0, waiting: 0, waited: 3, waitedMs: 0 });
  });

  it("keeps what a call left in its instance for the next", async () => {
    const { plugin } = await openPool();
    assert.deepEqual([await countOf(plugin.call("count")), await countOf(plugin.call("count")), await countOf(plugin.call("count"))], [1, 2, 3]);
  });

  it("lets those who wait go before those who come when an instance was discarded", async () => {
    const { plugin, answers } = await openPool();
    const order: string[] = [];
    const note = (name: string): Promise<unknown> => plugin.call("echo", name).then(() => order.push(name));
    const { signal, abort } = aborter();
    // A caller that tries again as soon as it has failed comes before a waiting one has begun.
    const retry = plugin.call("ask", "", { signal }).catch(() => note("retry"));
    const waiting = [note("first"), note("second")];
    await settle();
    assert.equal(answers.length, 1);
    abort();
    await Promise.all([retry, ...waiting]);
    assert.deepEqual(order, ["first", "second", "retry"]);
    assert.deepEqual(madeAndDiscarded(plugin), [2, 1]);
  });

  for (const closes of [false, true]) {
    it(`lets the next in where the deadline of one had passed when it was woken${closes ? ", and closes" : ""}`, async () => {
      const { plugin, answers, advance } = await openPool();
      const { signal, abort } = aborter();
      const first = endOf(plugin.call("ask", "", { signal }));
      const late = endOf(plugin.call("echo", "late", { timeoutMs: 5000 }));
      const behind = closes ? undefined : endOf(plugin.call("echo", "behind"));
      await settle();
      assert.equal(answers.length, 1);
      const closing = closes ? plugin.close() : undefined;
      // By the clock its time is over, though no timer has come; and the instance is discarded, so that there is room alone.
      advance(5000);
      abort();
      assert.deepEqual([await first, await late, await behind], ["MORTISE_ABORTED", "MORTISE_TIMEOUT", closes ? undefined : "behind"]);
      await closing;
    });
  }

  it("charges a call for its waiting only beyond waitMs, and then lets it have its whole time", async () => {
    const { plugin, answers, advance } = await openPool();
    const first = plugin.call("ask", "1");
    const calls = [
      [{ timeoutMs: 100, waitMs: 5000 }, "x"],
      [{ timeoutMs: 100, waitMs: Number.POSITIVE_INFINITY }, "x"],
      [{ timeoutMs: 100, waitMs: 4800 }, "MORTISE_TIMEOUT"],
      [{ timeoutMs: 100, waitMs: 0 }, "MORTISE_TIMEOUT"],
      [{ timeoutMs: 100 }, "MORTISE_TIMEOUT"],
    ] as const;
    const ends = calls.map(([options]) => endOf(plugin.call("echo", "x", options)));
    const asks = plugin.call("ask", "2", { timeoutMs: 100, waitMs: 5000 });
    await settle();
    advance(4950);
    answers.shift()?.();
    assert.equal(await endOf(first), "1");
    assert.deepEqual(
      await Promise.all(ends),
      calls.map(([, end]) => end),
    );
    await settle();
    advance(99);
    answers.shift()?.();
    assert.equal(await endOf(asks), "2");
    const [other, late] = [plugin.call("ask", "3"), plugin.call("ask", "4", { timeoutMs: 100, waitMs: 5000 })];
    await settle();
    answers.shift()?.();
    assert.equal(await endOf(other), "3");
    await settle();
    advance(101);
    answers.shift()?.();
    assert.equal(await endOf(late), "MORTISE_TIMEOUT");
    for (const waitMs of [-1, Number.NaN, "1" as unknown as number])
      assert.equal(await endOf(plugin.call("echo", "x", { waitMs })), "MORTISE_INVALID_OPTION");
  });

  it("counts what happens while it happens", async () => {
    const { plugin, answers, advance } = await openPool();
    const calls = [plugin.call("ask"), plugin.call("echo"), plugin.call("echo")];
    await settle();
    advance(10);
    const during = plugin.stats().instances;
    assert.deepEqual([during.live, during.busy, during.waiting, during.waited], [1, 1, 2, 2]);
    answers[0]?.();
    await Promise.all(calls);
    const after = plugin.stats().instances;
    assert.deepEqual([after.live, after.busy, after.waiting, after.waited, after.waitedMs], [1, 0, 0, 2, 20]);
  });
});

describe("A stateless plugin", () => {
  it("runs as many calls at once as pool.maxInstances allows, and the others wait", async () => {
    for (const maxInstances of [1, 2, 5]) {
      const { plugin, answers } = await openPool({ stateless: true, pool: { maxInstances } });
      const calls = Array.from({ length: 12 }, (_unused, index) => plugin.call("ask", `${index}`));
      await settle();
      const { live, busy, waiting } = plugin.stats().instances;
      assert.deepEqual([answers.length, live, busy, waiting], [maxInstances, maxInstances, maxInstances, 12 - maxInstances]);
      while (answers.length > 0) {
        answers.shift()?.();
        await settle(1);
      }
      assert.deepEqual(
        (await Promise.all(calls)).map((output) => output.text()),
        Array.from({ length: 12 }, (_unused, index) => `${index}`),
      );
      assert.deepEqual([plugin.stats().instances.created, plugin.stats().instances.live], [maxInstances, maxInstances]);
    }
  });

  it("serves those who wait in the order in which they came where its host has no room for another instance", async () => {
    const { plugin, answers } = await openPool({ stateless: true });
    plugin.govern({ hasRoom: () => false, admit() {} });
    const order: string[] = [];
    const note = (name: number): Promise<unknown> => plugin.call("ask", `${name}`).then((output) => order.push(output.text()));
    const calls = Array.from({ length: 12 }, (_unused, index) => note(index));
    for (let came = 12; came < 18; came++) {
      await settle();
      assert.equal(answers.length, 1, "two calls at once");
      answers.shift()?.();
      calls.push(note(came));
    }
    for (let left = 12; left > 0; left--) {
      await settle();
      answers.shift()?.();
    }
    await Promise.all(calls);
    assert.deepEqual(
      order,
      Array.from({ length: 18 }, (_unused, index) => `${index}`),
    );
    await plugin.close();
  });

  it("has 8 instances at most unless something else is said", async () => {
    const { plugin, answers } = await openPool({ stateless: true });
    const calls = Array.from({ length: 20 }, () => plugin.call("ask"));
    await settle();
    assert.equal(answers.length, 8);
    await plugin.close({ abort: true });
    assert.deepEqual(new Set(await Promise.all(calls.map(endOf))), new Set(["MORTISE_CLOSED"]));
  });

  it("serves callSync with an instance of its own while others are busy, and refuses it when all are", async () => {
    const { plugin, answers } = await openPool({ stateless: true, pool: { maxInstances: 2 } });
    const first = plugin.call("ask", "1");
    assert.equal(plugin.callSync("echo", "sync").text(), "sync");
    const second = plugin.call("ask", "2");
    await settle();
    assert.throws(() => plugin.callSync("echo"), { code: "MORTISE_REENTRANT" });
    for (const answer of answers) answer();
    assert.deepEqual([await endOf(first), await endOf(second)], ["1", "2"]);
    assert.equal(plugin.callSync("echo", "sync").text(), "sync");
  });

  it("drops an instance that failed, and no other", async () => {
    const { plugin, answers } = await openPool({ stateless: true, pool: { maxInstances: 3 } });
    const waiting = [plugin.call("ask", "1"), plugin.call("ask", "2")];
    await settle();
    assert.equal(await endOf(plugin.call("trap")), "MORTISE_TRAP");
    assert.deepEqual([plugin.stats().instances.live, plugin.stats().instances.discarded], [2, 1]);
    for (const answer of answers) answer();
    assert.deepEqual(await Promise.all(waiting.map(endOf)), ["1", "2"]);
    assert.equal(plugin.stats().instances.live, 2);
  });

  it("whose instances cannot be made any more fails those calls, and goes on with the others", async () => {
    const opened = await openPool({ stateless: true, pool: { maxInstances: 3 } });
    const { plugin, answers } = opened;
    opened.starting = () => {
      throw new Error("not today");
    };
    const calls = ["1", "2", "3", "4"].map((name) => endOf(plugin.call("ask", name)));
    await settle();
    while (answers.length > 0) {
      answers.shift()?.();
      await settle();
    }
    const ends = await Promise.all(calls);
    assert.equal(ends[0], "1");
    assert.ok(
      ends.slice(1).every((end, index) => end === "MORTISE_HOST_FUNCTION" || end === `${index + 2}`),
      ends.join(),
    );
    assert.deepEqual([plugin.stats().instances.live, plugin.stats().instances.waiting], [1, 0]);
    opened.starting = () => {};
    assert.equal(await endOf(plugin.call("echo", "still")), "still");
  });
});

describe("pool.recycleCalls", () => {
  it("replaces an instance after so many calls", async () => {
    const { plugin } = await openPool({ pool: { recycleCalls: 3 } });
    const counts: number[] = [];
    for (let time = 0; time < 8; time++) counts.push(await countOf(plugin.call("count")));
    assert.deepEqual(counts, [1, 2, 3, 1, 2, 3, 1, 2]);
    assert.deepEqual([plugin.stats().instances.created, plugin.stats().instances.recycled, plugin.stats().instances.discarded], [3, 2, 0]);
  });

  it("counts callSync as well, and lets those who wait go on", async () => {
    const { plugin, answers } = await openPool({ pool: { recycleCalls: 1 } });
    assert.deepEqual([plugin.callSync("echo", "a").text(), plugin.callSync("echo", "b").text()], ["a", "b"]);
    const calls = ["1", "2", "3"].map((name) => plugin.call("ask", name));
    for (let time = 0; time < 3; time++) {
      await settle();
      answers.shift()?.();
    }
    assert.deepEqual(await Promise.all(calls.map(endOf)), ["1", "2", "3"]);
    assert.equal(plugin.stats().instances.recycled, 5);
  });
});

describe("pool.recycleBytes", () => {
  it("replaces an instance whose memories have grown that far", async () => {
    const { plugin } = await openPool({ pool: { recycleBytes: 6 * 65_536 } });
    for (let time = 0; time < 3; time++) await plugin.call("echo", "x");
    assert.equal(plugin.stats().instances.recycled, 0);
    await plugin.call("grow");
    assert.deepEqual([plugin.stats().instances.recycled, plugin.stats().instances.live, plugin.stats().memory.bytes], [1, 0, 0]);
    assert.equal(plugin.stats().memory.peak, 6 * 65_536);
    assert.equal(await countOf(plugin.call("count")), 1);
    assert.equal(plugin.stats().memory.bytes, 2 * 65_536);
  });
});

describe("pool.idleMs", () => {
  afterEach(() => mock.timers.reset());

  it("frees instances that were not called for so long, the busy ones apart", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    const { plugin, answers, advance } = await openPool({ stateless: true, pool: { maxInstances: 3, idleMs: 100 } });
    const pass = (ms: number): void => {
      advance(ms);
      mock.timers.tick(ms);
    };
    const calls = ["1", "2", "3"].map((name) => plugin.call("ask", name, { timeoutMs: Number.POSITIVE_INFINITY }));
    await settle();
    answers[0]?.();
    answers[1]?.();
    await calls[0];
    await calls[1];
    pass(60);
    await plugin.call("echo", "x");
    pass(50);
    // The timer came for the first time: one of two was called since.
    pass(50);
    assert.ok(plugin.stats().instances.live >= 2, "the busy one and the last one are there");
    pass(100);
    assert.deepEqual([plugin.stats().instances.live, plugin.stats().instances.recycled], [1, 2]);
    answers[2]?.();
    assert.equal(await endOf(calls[2] as ReturnType<Plugin["call"]>), "3");
    pass(250);
    assert.deepEqual([plugin.stats().instances.live, plugin.stats().instances.recycled], [0, 3]);
    assert.equal(await endOf(plugin.call("echo", "again", { timeoutMs: Number.POSITIVE_INFINITY })), "again");
    await plugin.close();
  });

  it("frees no more than once what is longer than a timer can be", async () => {
    const { plugin } = await openPool();
    const original = globalThis.setTimeout;
    const delays: number[] = [];
    const spy = mock.method(globalThis, "setTimeout", (work: () => void, ms: number) => (delays.push(ms), original(work, ms)));
    try {
      const long = await openPool({ pool: { idleMs: 2 ** 40 } });
      await long.plugin.call("echo", "x");
      assert.ok(delays.includes(2 ** 31 - 1), delays.join());
      assert.ok(delays.every((ms) => ms < 2 ** 31));
      await long.plugin.close();
    } finally {
      spy.mock.restore();
    }
    await plugin.close();
  });

  it("keeps no process alive", async () => {
    const earlier = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const { plugin } = await openPool({ pool: { idleMs: 60_000 } });
    await plugin.call("echo", "x");
    assert.equal(process.getActiveResourcesInfo().filter((name) => name === "Timeout").length, earlier);
    await plugin.close();
  });
});

describe("Plugin.close", () => {
  it("lets calls that run and calls that wait come to their end, and takes no others", async () => {
    const { plugin, answers } = await openPool({ stateless: true, pool: { maxInstances: 2 } });
    const calls = ["1", "2", "3", "4"].map((name) => endOf(plugin.call("ask", name)));
    await settle();
    let closed = false;
    const closing = plugin.close().then(() => (closed = true));
    assert.equal(await endOf(plugin.call("echo", "late")), "MORTISE_CLOSED");
    assert.throws(() => plugin.callSync("echo"), { code: "MORTISE_CLOSED" });
    for (let time = 0; time < 4; time++) {
      assert.equal(closed, false);
      answers.shift()?.();
      await settle();
    }
    await closing;
    assert.deepEqual(await Promise.all(calls), ["1", "2", "3", "4"]);
    assert.equal(plugin.stats().instances.live, 0);
  });

  it("with abort ends calls that run and calls that wait, at once", async () => {
    const { plugin } = await openPool({ stateless: true, pool: { maxInstances: 2 } });
    const calls = ["1", "2", "3", "4"].map((name) => endOf(plugin.call("ask", name)));
    await settle();
    await plugin.close({ abort: true });
    assert.deepEqual(await Promise.all(calls), Array<string>(4).fill("MORTISE_CLOSED"));
    assert.equal(plugin.stats().instances.live, 0);
  });

  it("with abort ends calls that a close without it was waiting for", async () => {
    const { plugin } = await openPool();
    const calls = [endOf(plugin.call("ask")), endOf(plugin.call("ask"))];
    await settle();
    const drained = plugin.close();
    await plugin.close({ abort: true });
    await drained;
    assert.deepEqual(await Promise.all(calls), ["MORTISE_CLOSED", "MORTISE_CLOSED"]);
  });

  it("with abort ends a call whose instance is being made, or was just made", async () => {
    const opened = await openPool({ stateless: true });
    const { plugin, answers } = opened;
    const first = endOf(plugin.call("ask"));
    let closing: Promise<void> | undefined;
    opened.starting = () => void (closing = plugin.close({ abort: true }));
    const second = endOf(plugin.call("ask"));
    assert.deepEqual([await first, await second], ["MORTISE_CLOSED", "MORTISE_CLOSED"]);
    await closing;
    assert.deepEqual([answers.length, plugin.stats().instances.live], [1, 0]);
    const other = await openPool({ stateless: true });
    const busy = endOf(other.plugin.call("ask"));
    const made = endOf(other.plugin.call("ask"));
    const ended = other.plugin.close({ abort: true });
    assert.deepEqual([await busy, await made, await ended], ["MORTISE_CLOSED", "MORTISE_CLOSED", undefined]);
    assert.equal(other.answers.length, 1, "the second call ran after the end");
  });

  it("with abort ends a call that was woken and has not begun", async () => {
    const { plugin, answers } = await openPool();
    const first = plugin.call("ask", "first");
    const second = endOf(plugin.call("ask", "second"));
    await settle();
    answers[0]?.();
    let closing: Promise<void> | undefined;
    await first.then(() => (closing = plugin.close({ abort: true })));
    assert.deepEqual([await second, await closing, answers.length], ["MORTISE_CLOSED", undefined, 1]);
    assert.equal(plugin.stats().instances.live, 0);
  });

  it("without abort serves a call that was woken and has not begun", async () => {
    const { plugin, answers } = await openPool();
    const first = plugin.call("ask", "first");
    const second = endOf(plugin.call("echo", "second"));
    await settle();
    answers[0]?.();
    let closing: Promise<void> | undefined;
    await first.then(() => (closing = plugin.close()));
    assert.deepEqual([await second, await closing], ["second", undefined]);
  });
});

describe("The cap on instances", () => {
  const { cap } = instanceCount();
  afterEach(() => setInstanceCap(cap));
  // Plugins that earlier tests left open are counted out when they are collected, which must not be in the middle of these.
  before(async () => {
    for (let round = 0; round < 5; round++) {
      globalThis.gc?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "5"]) {
    it(`cannot be ${String(value)}`, () => {
      assert.throws(() => setInstanceCap(value as number), { code: "MORTISE_INVALID_OPTION" });
    });
  }

  it("refuses a plugin, or an instance, beyond it with MORTISE_INSTANCE_CAP, and frees places on close", async () => {
    const { live } = instanceCount();
    setInstanceCap(live + 2);
    const first = await openPool();
    const second = await openPool({ stateless: true });
    assert.equal(instanceCount().live, live + 2);
    await assert.rejects(openPool(), { code: "MORTISE_INSTANCE_CAP", details: { plugin: "guest", count: live + 2, limit: live + 2 } });
    const running = endOf(second.plugin.call("ask", "runs"));
    assert.equal(await endOf(second.plugin.call("ask")), "MORTISE_INSTANCE_CAP");
    assert.throws(() => second.plugin.callSync("echo"), { code: "MORTISE_INSTANCE_CAP" });
    await first.plugin.close();
    const other = endOf(second.plugin.call("ask", "now"));
    await settle();
    for (const answer of second.answers) answer();
    assert.deepEqual([await running, await other], ["runs", "now"]);
    await second.plugin.close();
    assert.equal(instanceCount().live, live);
  });

  it("frees the place of an instance that was discarded, or whose start failed", async () => {
    const { live } = instanceCount();
    setInstanceCap(live + 1);
    const opened = await openPool();
    const { plugin } = opened;
    for (let time = 0; time < 5; time++) {
      assert.equal(await endOf(plugin.call("trap")), "MORTISE_TRAP");
      assert.equal(instanceCount().live, live);
      opened.starting = () => {
        throw new Error("no");
      };
      assert.equal(await endOf(plugin.call("echo")), "MORTISE_HOST_FUNCTION");
      assert.equal(instanceCount().live, live);
      opened.starting = () => {};
      assert.equal(await endOf(plugin.call("echo", "fine")), "fine");
    }
    await plugin.close();
    assert.equal(instanceCount().live, live);
  });
});

describe("Calls that were made with signals", () => {
  it("of one plugin get their own answers, whoever else is aborted", async () => {
    const { plugin, answers } = await openPool({ stateless: true, pool: { maxInstances: 4 } });
    const aborters = Array.from({ length: 16 }, () => aborter());
    const calls = aborters.map(({ signal }, index) => watchCall(plugin.call("ask", `${index}`, { signal })));
    await settle();
    for (const [index, { abort }] of aborters.entries()) if (index % 2 === 1) abort();
    for (let time = 0; time < 16; time++) {
      await settle();
      for (const answer of answers.splice(0)) answer();
    }
    assert.deepEqual(
      calls.map(({ state }) => state),
      aborters.map((_unused, index) => (index % 2 === 1 ? "MORTISE_ABORTED" : `${index}`)),
    );
    await plugin.close();
  });
});
