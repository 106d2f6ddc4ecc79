// Long calls: slices of time, deadlines and aborts over them, and calls that are cut while they are suspended.

import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";

import { type CallContext, type Plugin, type PluginOptions, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";
import { type AnyFunctions, aborter, endOf, madeAndDiscarded, open, settle, watchCall } from "./opened.ts";

/** `long` runs for as many turns as the host says; `spin` for ever. `ask` waits, and `late` uses what the answer was. */
const GUEST = `(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "host" "turns" (func $turns (result i32)))
  (import "host" "ask" (func $ask (result i64)))
  (import "host" "see" (func $see (param i64)))
  (func $echo (export "echo") (call $output_set (call $input_offset) (call $input_length)))
  (func $long (export "long") (local $i i32) (local $end i32) (local.set $end (call $turns))
    (loop (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (local.get $end)))))
  (func (export "spin") (loop (br 0)))
  (func (export "ask") (call $see (call $ask)))
  (func (export "ask_then_echo") (call $see (call $ask)) (call $echo))
  (func (export "ask_then_spin") (drop (call $ask)) (loop (br 0)))
  (func (export "long_then_ask") (call $long) (call $see (call $ask))))`;

interface Opened {
  readonly plugin: Plugin;
  readonly seen: bigint[];
  /** Looks at the clock so far. */
  readonly looks: number;
}

let turns = 1_000_000;
const never = (): Promise<bigint> => new Promise(() => {});

/** A guest on a clock that moves by `step` with every look at it. */
async function openGuest(options: PluginOptions = {}, step = 1, ask: (context: CallContext) => unknown = never): Promise<Opened> {
  const seen: bigint[] = [];
  let looks = 0;
  const functions: AnyFunctions = { turns: () => turns, ask, see: (_context: CallContext, value: bigint) => void seen.push(value) };
  const plugin = await open(GUEST, functions, { clock: () => ++looks * step, ...options });
  return {
    plugin,
    seen,
    get looks() {
      return looks;
    },
  };
}

const PATIENT = { timeoutMs: 1e9 };

/** Turns of the event loop that pass until a call has ended. */
async function loopTurns(call: Promise<unknown>): Promise<number> {
  let done = false;
  void call.catch(() => {}).finally(() => (done = true));
  let count = 0;
  // oxlint-disable-next-line no-unmodified-loop-condition -- a reaction of the promise above modifies it
  for (; !done; count++) await new Promise((resolve) => setImmediate(resolve));
  return count;
}

describe("A long call", () => {
  it("gives the thread back after each slice of time, for timers and everything else", async () => {
    const { plugin } = await openGuest();
    let timers = 0;
    const timer = setInterval(() => timers++, 0);
    turns = 30_000_000;
    const passed = await loopTurns(plugin.call("long", "", PATIENT));
    clearInterval(timer);
    // 4 ms of the fake clock are at least two looks at it.
    assert.ok(passed > 20, `${passed} turns`);
    assert.ok(timers > 0);
  });

  it("takes turns with those of other plugins", async () => {
    const order: string[] = [];
    turns = 20_000_000;
    const plugins = await Promise.all(
      ["a", "b", "c"].map(async (name) => {
        let now = 0;
        // A look after the turn began belongs to a new slice: who has the thread is noted.
        const clock = (): number => {
          if (order.at(-1) !== name) order.push(name);
          return ++now;
        };
        return open(GUEST, { turns: () => turns, ask: never, see: () => {} }, { name, clock });
      }),
    );
    order.length = 0;
    await Promise.all(plugins.map((plugin) => plugin.call("long", "", PATIENT)));
    // While all three are at work each is followed by the next.
    const text = order.join("");
    assert.match(text, /^(abc){10,}/);
  });

  it("lets short calls of others pass in between", async () => {
    const long = await openGuest();
    const short = await openGuest();
    turns = 20_000_000;
    const passing = watchCall(long.plugin.call("long", "", PATIENT));
    let passed = 0;
    for (; passing.state === "pending"; passed++) {
      assert.equal(await endOf(short.plugin.call("echo", "x")), "x");
      await settle(1);
    }
    assert.ok(passed > 10, `${passed} calls`);
  });

  it("costs the fuel that it costs in one piece", async () => {
    turns = 5_000_000;
    const sliced = await openGuest();
    await sliced.plugin.call("long_then_ask", "", { timeoutMs: 1 }).catch(() => {});
    const passed = await loopTurns(sliced.plugin.call("long", "", PATIENT));
    const { plugin } = await openGuest({ limits: { sliceMs: Number.POSITIVE_INFINITY } });
    plugin.callSync("long", "", PATIENT);
    assert.ok(passed > 3);
    assert.equal(sliced.plugin.stats().fuel.last, plugin.stats().fuel.last);
  });

  it("is not suspended in the middle of what a host function does with its memory", async () => {
    const text = `(module (import "host" "ask" (func $ask)) (func (export "f") (call $ask) (call $ask)))`;
    let now = 0;
    // What the first block leaves behind is cleared when the second is made, which takes longer than a slice.
    const ask = (context: CallContext): void => {
      const block = context.alloc(20_000_000);
      context.read(block).fill(1);
    };
    const plugin = await open(text, { ask }, { clock: () => (now += 5), limits: { timeoutMs: 1e9 } });
    for (let time = 0; time < 3; time++) assert.equal(await endOf(plugin.call("f")), "");
    assert.deepEqual(madeAndDiscarded(plugin), [1, 0]);
  });

  it("with callSync keeps the thread", async () => {
    const { plugin } = await openGuest();
    turns = 5_000_000;
    let timers = 0;
    const timer = setImmediate(() => timers++);
    for (let time = 0; time < 3; time++) plugin.callSync("long", "", PATIENT);
    assert.equal(timers, 0);
    clearImmediate(timer);
  });

  it("of a function that calls nothing which waits holds the thread the first time, and then never again", async () => {
    const text = `(module (func (export "long") (local $i i32)
      (loop (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (i32.const 5000000))))) (func (export "short")))`;
    let now = 0;
    const plugin = await open(text, {}, { clock: () => ++now });
    const counts: boolean[] = [];
    for (let time = 0; time < 3; time++) counts.push((await loopTurns(plugin.call("long", "", PATIENT))) > 3);
    assert.deepEqual(counts, [false, true, true]);
    assert.ok((await loopTurns(plugin.call("short"))) <= 3);
    // What was learned stays with the plugin when its instance is replaced, and callSync teaches it too.
    assert.equal(await endOf(plugin.call("long", "", { timeoutMs: 20 })), "MORTISE_TIMEOUT");
    assert.deepEqual(madeAndDiscarded(plugin), [1, 1]);
    assert.ok((await loopTurns(plugin.call("long", "", PATIENT))) > 3);
    const other = await open(text, {}, { clock: () => ++now });
    other.callSync("long", "", PATIENT);
    assert.ok((await loopTurns(other.call("long", "", PATIENT))) > 3);
  });

  it("that was little work and took long all the same makes the next 64 calls ones that give way, and no more", async () => {
    const text = `(module (import "extism:host/env" "input_length" (func $length (result i64)))
      (func (export "work") (local $i i64) (local $end i64)
        (local.set $end (i64.mul (call $length) (i64.const 20000)))
        (loop (local.set $i (i64.add (local.get $i) (i64.const 1))) (br_if 0 (i64.lt_u (local.get $i) (local.get $end))))))`;
    const few = "x";
    const much = "x".repeat(250);
    let now = 0;
    let step = 0;
    const openWorker = (): Promise<Plugin> => open(text, {}, { clock: () => (now += step) });
    const call = async (plugin: Plugin, input: string, stepMs: number): Promise<boolean> => {
      step = stepMs;
      return (await loopTurns(plugin.call("work", input, PATIENT))) > 3;
    };
    // Some other process had the thread, while it used few units.
    const doubted = async (callsAfter: number): Promise<Plugin> => {
      const plugin = await openWorker();
      assert.equal(await call(plugin, few, 10), false);
      assert.ok(plugin.stats().fuel.last <= 250_000, `${plugin.stats().fuel.last} units`);
      for (let count = 0; count < callsAfter; count++) await call(plugin, few, 0);
      return plugin;
    };
    assert.deepEqual([await call(await doubted(0), much, 1), await call(await doubted(63), much, 1)], [true, true]);
    const plugin = await doubted(64);
    assert.equal(await call(plugin, much, 1), false, "the doubt is over");
    assert.ok(plugin.stats().fuel.last > 250_000);
    for (let count = 0; count < 100; count++) await call(plugin, few, 0);
    assert.equal(await call(plugin, much, 1), true, "what was much work gives way ever after");
    // Without a slice of time that was over, nothing is learned.
    const quick = await openWorker();
    await call(quick, few, 0);
    assert.equal(await call(quick, much, 1), false);
  });

  it("is not cut up where limits.sliceMs is unlimited", async () => {
    const { plugin } = await openGuest({ limits: { sliceMs: Number.POSITIVE_INFINITY } });
    turns = 5_000_000;
    assert.ok((await loopTurns(plugin.call("long", "", PATIENT))) <= 3);
  });

  it("rests in proportion to its work where limits.cpuShare is less than 1", async () => {
    turns = 3_000_000;
    const { plugin } = await openGuest({ limits: { cpuShare: 0.2 } });
    const delays: number[] = [];
    const original = globalThis.setTimeout;
    const spy = mock.method(globalThis, "setTimeout", (work: () => void, ms: number) => {
      if (ms < 100_000) delays.push(ms);
      return original(work, ms < 100_000 ? 0 : ms);
    });
    try {
      await plugin.call("long", "", PATIENT);
      assert.ok(delays.length > 2, `${delays.length} rests`);
      // A slice of 4 or 5 ms and a fifth of the time: four times as long a rest.
      for (const ms of delays) assert.ok(ms >= 16 && ms <= 24, `${ms} ms`);
    } finally {
      spy.mock.restore();
    }
  });

  it("does not rest for the time that it waited", async () => {
    let now = 0;
    const ask = async (): Promise<bigint> => {
      await Promise.resolve();
      now += 1000;
      return 1n;
    };
    const { plugin } = await openGuest({ clock: () => (now += 0.01), limits: { cpuShare: 0.1, timeoutMs: 1e6 } }, 0, ask);
    const original = globalThis.setTimeout;
    const delays: number[] = [];
    const spy = mock.method(globalThis, "setTimeout", (work: () => void, ms: number) => (delays.push(ms), original(work, ms)));
    try {
      for (let time = 0; time < 10; time++) await plugin.call("ask");
      assert.deepEqual(
        delays.filter((ms) => ms < 100_000),
        [],
      );
    } finally {
      spy.mock.restore();
    }
  });

  it("rests for as long as a timer can where its share is next to nothing", async () => {
    turns = 3_000_000;
    const { plugin } = await openGuest({ limits: { cpuShare: 1e-12 } });
    const delays: number[] = [];
    const original = globalThis.setTimeout;
    const spy = mock.method(globalThis, "setTimeout", (work: () => void, ms: number) => (delays.push(ms), original(work, ms)));
    try {
      const { signal, abort } = aborter();
      const call = endOf(plugin.call("long", "", { timeoutMs: 1e15, signal }));
      await settle();
      abort();
      assert.equal(await call, "MORTISE_ABORTED");
      assert.ok(delays.includes(2 ** 31 - 1), delays.join());
      assert.ok(Math.max(...delays) < 2 ** 31);
    } finally {
      spy.mock.restore();
    }
  });
});

describe("An abort", () => {
  it("ends a long call at its next slice, with the reason as the cause, and the next call works", async () => {
    const { plugin } = await openGuest();
    const { signal, abort, reason } = aborter();
    // It calls nothing that waits: the first time it holds the thread.
    await assert.rejects(plugin.call("spin", "", { timeoutMs: 20 }), { code: "MORTISE_TIMEOUT" });
    const call = plugin.call("spin", "", { signal, timeoutMs: 1e9 });
    await settle();
    abort();
    await assert.rejects(call, { code: "MORTISE_ABORTED", cause: reason });
    assert.equal(await endOf(plugin.call("echo", "next")), "next");
  });

  it("ends a call that is suspended, at once", async () => {
    const { plugin, seen } = await openGuest();
    const { signal, abort, reason } = aborter();
    const call = plugin.call("ask", "", { signal });
    await settle();
    abort();
    await assert.rejects(call, { code: "MORTISE_ABORTED", cause: reason });
    assert.deepEqual([seen, madeAndDiscarded(plugin)], [[], [1, 1]]);
    assert.equal(await endOf(plugin.call("echo", "next")), "next");
  });

  it("that comes while the host function still runs ends the call when it returns its promise", async () => {
    const { signal, abort, reason } = aborter();
    const { plugin, seen } = await openGuest({}, 0, () => {
      abort();
      return never();
    });
    await assert.rejects(plugin.call("ask", "", { signal, timeoutMs: Number.POSITIVE_INFINITY }), { code: "MORTISE_ABORTED", cause: reason });
    assert.deepEqual(seen, []);
  });

  it("ends a call that waits for its turn, and not the one that runs", async () => {
    const answer = Promise.withResolvers<bigint>();
    const { plugin, seen } = await openGuest({}, 0, () => answer.promise);
    const { signal, abort, reason } = aborter();
    const running = plugin.call("ask_then_echo", "runs");
    const waiting = plugin.call("echo", "waits", { signal });
    const behind = plugin.call("echo", "behind");
    await settle();
    abort();
    await assert.rejects(waiting, { code: "MORTISE_ABORTED", cause: reason });
    answer.resolve(5n);
    assert.deepEqual([await endOf(running), await endOf(behind), seen], ["runs", "behind", [5n]]);
    assert.deepEqual(madeAndDiscarded(plugin), [1, 0]);
  });

  it("that comes after the end changes nothing", async () => {
    const { plugin } = await openGuest({}, 0, async () => 1n);
    const { signal, abort } = aborter();
    assert.equal(await endOf(plugin.call("ask_then_echo", "done", { signal })), "done");
    abort();
    assert.equal(await endOf(plugin.call("echo", "next")), "next");
    assert.deepEqual(madeAndDiscarded(plugin), [1, 0]);
  });

  it("leaves no listener on a signal that serves many calls", async () => {
    const { plugin } = await openGuest({}, 0, async () => 1n);
    const { signal } = aborter();
    const counts = { added: 0, removed: 0 };
    const add = mock.method(signal, "addEventListener", () => void counts.added++);
    const remove = mock.method(signal, "removeEventListener", () => void counts.removed++);
    const calls = Array.from({ length: 20 }, () => plugin.call("ask", "", { signal }));
    await Promise.all(calls);
    add.mock.restore();
    remove.mock.restore();
    assert.ok(counts.added >= 20);
    assert.ok(counts.removed >= counts.added, JSON.stringify(counts));
  });
});

describe("A deadline", () => {
  it("ends a call that waits for a promise which never settles", async () => {
    const { plugin, seen } = await openGuest({ clock: () => performance.now() });
    await assert.rejects(plugin.call("ask", "", { timeoutMs: 5 }), { code: "MORTISE_TIMEOUT", message: /deadline of 5 ms$/ });
    assert.deepEqual(seen, []);
    assert.equal(await endOf(plugin.call("echo", "next")), "next");
    assert.deepEqual(madeAndDiscarded(plugin), [2, 1]);
  });

  it("that has passed by the clock when the promise settles ends the call, though no timer came", async () => {
    let now = 0;
    const answer = Promise.withResolvers<bigint>();
    const { plugin, seen } = await openGuest({ clock: () => now }, 0, () => answer.promise);
    const call = plugin.call("ask", "", { timeoutMs: 100_000 });
    await settle();
    now = 100_000;
    answer.resolve(1n);
    await assert.rejects(call, { code: "MORTISE_TIMEOUT", message: /deadline of 100000 ms$/ });
    assert.deepEqual(seen, []);
  });

  it("counts the time of a suspension, and leaves the rest of the time", async () => {
    let now = 0;
    let step = 0;
    const answer = Promise.withResolvers<bigint>();
    const { plugin } = await openGuest({ clock: () => (now += step) }, 0, () => answer.promise);
    const call = plugin.call("ask_then_spin", "", { timeoutMs: 1_000_000 });
    await settle();
    now += 999_900;
    step = 1;
    answer.resolve(1n);
    await assert.rejects(call, { code: "MORTISE_TIMEOUT" });
    assert.ok(now >= 1_000_000 && now < 1_000_020, `${now}`);
  });

  it("ends a long call that rests between slices", async () => {
    turns = 50_000_000;
    const { plugin } = await openGuest({ clock: () => performance.now(), limits: { cpuShare: 0.001, sliceMs: 1 } });
    await assert.rejects(plugin.call("long", "", { timeoutMs: 30 }), { code: "MORTISE_TIMEOUT" });
  });

  it("ends a call that waits for its turn in time, while the running one is suspended", async () => {
    const answer = Promise.withResolvers<bigint>();
    const { plugin } = await openGuest({ clock: () => performance.now(), limits: { timeoutMs: 60_000 } }, 0, () => answer.promise);
    const running = watchCall(plugin.call("ask_then_echo", "runs"));
    const long = plugin.call("echo", "long");
    await assert.rejects(plugin.call("echo", "short", { timeoutMs: 5 }), { code: "MORTISE_TIMEOUT", message: /deadline of 5 ms$/ });
    assert.equal(running.state, "pending");
    answer.resolve(1n);
    assert.equal(await endOf(long), "long");
    assert.equal(running.state, "runs");
    assert.deepEqual(madeAndDiscarded(plugin), [1, 0]);
  });

  it("counts the time that a call waited for its turn", async () => {
    let now = 0;
    const answers = [Promise.withResolvers<bigint>(), Promise.withResolvers<bigint>()];
    let asked = 0;
    const { plugin } = await openGuest({ clock: () => now, limits: { timeoutMs: 100_000 } }, 0, () => answers[asked++]?.promise);
    const first = plugin.call("ask_then_echo", "first");
    const second = plugin.call("ask_then_echo", "second");
    await settle();
    now += 60_000;
    answers[0]?.resolve(1n);
    assert.equal(await endOf(first), "first");
    await settle();
    now += 60_000;
    answers[1]?.resolve(1n);
    assert.equal(await endOf(second), "MORTISE_TIMEOUT");
    assert.deepEqual([plugin.stats().instances.waited, plugin.stats().instances.waitedMs], [1, 60_000]);
  });
});

describe("A promise that settles after its call was ended", () => {
  const ends: readonly (readonly [how: string, end: (opened: Opened, abort: () => void) => Promise<unknown> | undefined, code: string])[] = [
    ["by an abort", (_opened, abort) => (abort(), undefined), "MORTISE_ABORTED"],
    ["by its deadline", () => undefined, "MORTISE_TIMEOUT"],
    ["by closing the plugin", ({ plugin }) => plugin.close({ abort: true }), "MORTISE_CLOSED"],
  ];
  for (const [how, end, code] of ends) {
    for (const fails of [false, true]) {
      it(`${how} changes nothing (${fails ? "rejected" : "fulfilled"})`, async () => {
        const answer = Promise.withResolvers<bigint>();
        const tried: string[] = [];
        let first = true;
        const ask = async (context: CallContext): Promise<bigint> => {
          if (!first) return 2n;
          first = false;
          try {
            return await answer.promise;
          } finally {
            for (const use of [
              () => context.setVariable("late", "x"),
              () => context.store("late"),
              () => context.setError("late"),
              () => context.read(256),
            ]) {
              try {
                use();
                tried.push("worked");
              } catch (error) {
                tried.push((error as { code: string }).code);
              }
            }
          }
        };
        const opened = await openGuest({ clock: () => performance.now() }, 0, ask);
        const { plugin, seen } = opened;
        const { signal, abort } = aborter();
        const call = endOf(plugin.call("ask_then_echo", "first", { signal, timeoutMs: code === "MORTISE_TIMEOUT" ? 5 : 60_000 }));
        await settle();
        await end(opened, abort);
        assert.equal(await call, code);
        const next = code === "MORTISE_CLOSED" ? undefined : plugin.call("ask_then_echo", "next");
        if (fails) answer.reject(new Error("late"));
        else answer.resolve(1n);
        await settle();
        assert.deepEqual(tried, Array<string>(4).fill("MORTISE_STALE_CONTEXT"));
        if (next !== undefined) assert.equal(await endOf(next), "next");
        assert.deepEqual(seen, next === undefined ? [] : [2n]);
        assert.deepEqual(plugin.stats().variables, { count: 0, bytes: 0 });
      });
    }
  }

  it("in the same turn as the abort finds its context taken away already", async () => {
    const controller = new AbortController();
    let tried = "";
    const { plugin } = await openGuest({}, 0, async (context) => {
      await new Promise((resolve) => controller.signal.addEventListener("abort", resolve, { once: true }));
      try {
        context.setVariable("late", "x");
      } catch (error) {
        tried = (error as { code: string }).code;
      }
      return 1n;
    });
    const call = plugin.call("ask", "", { signal: controller.signal });
    await settle();
    controller.abort();
    await assert.rejects(call, { code: "MORTISE_ABORTED" });
    assert.equal(tried, "MORTISE_STALE_CONTEXT");
    assert.equal(plugin.stats().variables.count, 0);
  });
});

describe("Ten thousand calls that are suspended and then aborted", () => {
  it("leave nothing behind", async () => {
    const bytes = await assemble(GUEST);
    const plugin = await loadPlugin(bytes, {
      stateless: true,
      pool: { maxInstances: 50 },
      hostFunctions: { host: { turns: () => 1, ask: never, see: () => {} } },
    });
    const before = process.getActiveResourcesInfo().toSorted();
    for (let batch = 0; batch < 200; batch++) {
      const { signal, abort } = aborter();
      const calls = Array.from({ length: 50 }, () => endOf(plugin.call("ask", "", { signal, timeoutMs: 60_000 })));
      await settle(1);
      abort();
      assert.deepEqual(new Set(await Promise.all(calls)), new Set(["MORTISE_ABORTED"]));
    }
    const { live, busy, waiting, discarded } = plugin.stats().instances;
    assert.deepEqual([live, busy, waiting], [0, 0, 0]);
    assert.ok(discarded > 9000, `${discarded} discarded`);
    assert.deepEqual(process.getActiveResourcesInfo().toSorted(), before);
    assert.equal(await endOf(plugin.call("echo", "still there")), "still there");
    await plugin.close();
  });
});
