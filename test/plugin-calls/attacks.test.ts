// Plugins that misuse each other: circles, floods, lies about numbers, and callees that are slow, killed, replaced or greedy.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, it } from "node:test";

import type { Plugin } from "../../src/host/plugin.ts";
import { PAUSE_MODULE, SPIN, guest } from "../hooks/guests.ts";
import { assembleText } from "../wasm/assemble.ts";
import { type CallsHost, failureOf, loadCaller, message, openHost, prebuilt, through } from "./plugins.ts";

/** A gate that a plugin waits at, inside of a call of a host function. */
function gate(): { readonly hostFunctions: { readonly [PAUSE_MODULE]: { pause: () => Promise<void> } }; reached: Promise<void>; open: () => void } {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const pause = async (): Promise<void> => {
    reached.resolve();
    await opened.promise;
  };
  return { hostFunctions: { [PAUSE_MODULE]: { pause } }, reached: reached.promise, open: opened.resolve };
}

const ENDLESS = { limits: { timeoutMs: Number.POSITIVE_INFINITY } };

/** The reason that is innermost in a failure of calls inside of one another. */
function innermost(error: unknown): { readonly code?: string; readonly details?: Record<string, unknown>; readonly message?: string } {
  const { cause } = error as { cause?: unknown };
  return cause === undefined ? (error as ReturnType<typeof innermost>) : innermost(cause);
}

/** Plugins that each may call all others. */
async function loadAll(host: CallsHost, names: readonly string[], options = {}): Promise<Plugin[]> {
  const grants = names.map((name) => `${name}:*`);
  return Promise.all(names.map((name) => loadCaller(host, name, grants, options)));
}

describe("A circle of calls", () => {
  const circles: readonly (readonly [path: readonly string[], shown: string])[] = [
    [["a", "a"], "a:call → a:call"],
    [["a", "b", "a"], "a:call → b:call → a:call"],
    [["a", "b", "c", "b"], "a:call → b:call → c:call → b:call"],
  ];
  for (const isolation of ["inline", "thread"] as const) {
    for (const [path, shown] of circles) {
      it(`is refused with its path in the message: ${shown} (${isolation})`, async () => {
        await using host = await openHost();
        await loadAll(host, ["a", "b", "c"], { isolation, limits: { timeoutMs: 60_000 } });
        const [first, ...others] = path as [string, ...string[]];
        const error = await failureOf((host.plugins.get(first) as Plugin).call("call", through(others.map((name) => [name, "call"]))));
        const { code, details, message: text } = innermost(error);
        assert.deepEqual([code, details?.["kind"]], ["MORTISE_PLUGIN_CALL_REFUSED", "cycle"]);
        assert.ok(text?.endsWith(`plugins would call each other in a circle: ${shown}`), text);
        for (const { name } of host.plugins.list()) assert.equal(host.plugins.get(name)?.stats().instances.waiting, 0);
      });
    }
  }

  it("of stateless plugins is refused as well, though there were instances for it", async () => {
    await using host = await openHost();
    await loadAll(host, ["a", "b"], { stateless: true });
    const error = await failureOf((host.plugins.get("a") as Plugin).call("call", through([["b", "call"], ["a", "call"]]))); // prettier-ignore
    assert.equal(innermost(error).details?.["kind"], "cycle");
  });
});

describe("A chain of calls", () => {
  async function chain(length: number, maxDepth: number): Promise<string> {
    await using host = await openHost({ maxDepth });
    const names = Array.from({ length: length - 1 }, (_, index) => `p${index}`);
    for (const [index, name] of names.entries()) await loadCaller(host, name, [`${names[index + 1] ?? "echo"}:*`], { limits: { timeoutMs: 60_000 } });
    await host.plugins.load(await prebuilt("echo.c"), { name: "echo" });
    const path = [...names.slice(1).map((name) => [name, "call"] as const), ["echo", "echo"] as const];
    try {
      return (await (host.plugins.get("p0") as Plugin).call("call", through(path, "deep"))).text();
    } catch (error) {
      return String(innermost(error).details?.["kind"]);
    }
  }

  it("may be 64 deep, where that is allowed", async () => {
    assert.equal(await chain(64, 64), "deep");
  });

  it("is refused beyond maxDepth", async () => {
    assert.equal(await chain(4, 4), "deep");
    assert.equal(await chain(5, 4), "depth");
  });
});

describe("A fan-out bomb", () => {
  it("ends with the fuel of the first call, whatever the others have", async () => {
    await using host = await openHost();
    await host.plugins.load(await prebuilt("echo.c"), { name: "echo" });
    await loadCaller(host, "c", ["echo:*"]);
    await loadCaller(host, "b", ["c:*"]);
    const first = await loadCaller(host, "a", ["b:*"], { limits: { fuel: 300_000, timeoutMs: 60_000 } });
    const bomb = `1000\nb\nrepeat\n1000\nc\nrepeat\n1000\necho\necho\nx`;
    const error = await failureOf(first.call("repeat", bomb));
    assert.equal(innermost(error).code, "MORTISE_FUEL");
    const used = ["a", "b", "c", "echo"].map((name) => host.plugins.get(name)?.stats().fuel.total ?? 0);
    assert.ok((used[1] as number) + (used[2] as number) + (used[3] as number) > 0);
    // What is below was charged to what is above: no plugin was used for more than the first one had, but for what is under way when it ends.
    for (const fuel of used) assert.ok(fuel <= 400_000, String(used));
  });

  it("ends with the deadline of the first call, and holds no instance then", async () => {
    await using host = await openHost();
    await host.plugins.load(await prebuilt("echo.c"), { name: "echo", limits: { timeoutMs: 60_000 } });
    await loadCaller(host, "b", ["echo:*"], { limits: { timeoutMs: 60_000 } });
    const first = await loadCaller(host, "a", ["b:*"], { limits: { timeoutMs: 40 } });
    const error = await failureOf(first.call("repeat", `1000000000\nb\nrepeat\n1000000000\necho\necho\nx`));
    assert.equal(innermost(error).code, "MORTISE_TIMEOUT");
    for (const { name } of host.plugins.list()) {
      const { busy, waiting } = (host.plugins.get(name) as Plugin).stats().instances;
      assert.deepEqual([busy, waiting], [0, 0], name);
    }
  });
});

describe("A callee", () => {
  for (const isolation of ["inline", "thread", "process"] as const) {
    it(`that never returns is stopped at its caller's deadline (${isolation})`, async () => {
      await using host = await openHost();
      const slow = await host.plugins.load(await guest({ slow: SPIN, ok: "fine" }), { name: "slow", isolation, limits: { timeoutMs: 60_000 } });
      const caller = await loadCaller(host, "caller", ["slow:*"], { limits: { timeoutMs: 50 } });
      for (let time = 0; time < 2; time++)
        assert.equal(innermost(await failureOf(caller.call("call", message("slow", "slow")))).code, "MORTISE_TIMEOUT");
      assert.equal((await slow.call("ok")).text(), "fine");
    });
  }

  it("uses its caller's fuel, and no more than that has", async () => {
    await using host = await openHost();
    const spin = await host.plugins.load(await guest({ spin: SPIN, ok: "fine" }), { name: "spin", limits: { timeoutMs: 60_000 } });
    for (const isolation of ["inline", "thread"] as const) {
      const caller = await loadCaller(host, isolation, ["spin:*"], { isolation, limits: { fuel: 1_000_000, timeoutMs: 60_000 } });
      const error = await failureOf(caller.call("call", message("spin", "spin")));
      assert.equal(innermost(error).code, "MORTISE_FUEL");
      // What a function has counted and not settled yet may come on top.
      assert.ok(spin.stats().fuel.last <= 1_010_000, `${isolation}: ${spin.stats().fuel.last}`);
      assert.ok(caller.stats().fuel.last >= 1_000_000, `${isolation}: ${caller.stats().fuel.last}`);
      await caller.call("call", message("spin", "ok"));
    }
    assert.ok(spin.stats().fuel.total < 2_200_000);
  });

  it("does not get its breaker opened by callers that leave it too little", async () => {
    await using host = await openHost();
    const breaker = { failures: 2, share: 0 };
    await host.plugins.load(await guest({ spin: SPIN, ok: "fine" }), {
      name: "busy",
      breaker,
      limits: { timeoutMs: 10_000, fuel: 1_000_000_000_000 },
    });
    await host.plugins.load(await guest({ spin: SPIN, ok: "fine" }), { name: "bad", breaker, limits: { timeoutMs: 20 } });
    const hasty = await loadCaller(host, "hasty", ["busy:*"], { limits: { timeoutMs: 20 } });
    const poor = await loadCaller(host, "poor", ["busy:*"], { limits: { timeoutMs: 10_000, fuel: 1_000_000 } });
    const patient = await loadCaller(host, "patient", ["busy:*", "bad:*"], { limits: { timeoutMs: 10_000 } });
    for (let time = 0; time < 4; time++) {
      await failureOf(hasty.call("call", message("busy", "spin")));
      await failureOf(poor.call("call", message("busy", "spin")));
      await failureOf(patient.call("call", message("bad", "spin")));
    }
    assert.equal((await patient.call("call", message("busy", "ok"))).text(), "fine");
    assert.equal((await failureOf(patient.call("call", message("bad", "ok")))).details["code"], "MORTISE_PLUGIN_SUSPENDED");
  });

  for (const isolation of ["inline", "thread"] as const) {
    it(`gets what its caller has left of its fuel, and not what that had (${isolation})`, async () => {
      await using host = await openHost();
      const spin = await host.plugins.load(await guest({ spin: SPIN }), { name: "spin", limits: { timeoutMs: 60_000 } });
      const works = `(module
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
        (import "mortise:host" "plugin_call" (func $call (param i64 i64 i64) (result i64)))
        (func $work (local $left i32)
          (local.set $left (i32.const 100000))
          (loop (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
        (func (export "f") (local $at i64)
          (local.set $at (call $alloc (i64.const 4)))
          ${Array.from(Buffer.from("spin"), (byte, at) => `(call $store (i64.add (local.get $at) (i64.const ${at})) (i32.const ${byte}))`).join("")}
          (call $work)
          (drop (call $call (local.get $at) (local.get $at) (i64.const 0)))))`;
      const options = { name: "caller", isolation, limits: { fuel: 1_000_000, timeoutMs: 60_000 }, permissions: { call: ["spin:*"] } } as const;
      const caller = await host.plugins.load(await assembleText("works", works), options);
      assert.equal(innermost(await failureOf(caller.call("f"))).code, "MORTISE_FUEL");
      // The loop alone costs three units a turn at the least.
      assert.ok(spin.stats().fuel.last < 750_000, String(spin.stats().fuel.last));
    });
  }

  it("that is aborted ends the call with a code", async () => {
    await using host = await openHost();
    const waiting = gate();
    const slow = await host.plugins.load(await guest({ wait: { pauses: "late" } }), {
      name: "slow",
      hostFunctions: waiting.hostFunctions,
      ...ENDLESS,
    });
    const caller = await loadCaller(host, "caller", ["slow:*"], ENDLESS);
    const done = failureOf(caller.call("call", message("slow", "wait")));
    await waiting.reached;
    await host.plugins.unload("slow", { abort: true });
    const error = await done;
    assert.deepEqual([error.code, error.details["code"]], ["MORTISE_PLUGIN_CALL_FAILED", "MORTISE_CLOSED"]);
    assert.equal(slow.stats().instances.live, 0);
    waiting.open();
  });

  it("whose process is killed ends the call with a code, and serves the next in another process", async () => {
    await using host = await openHost();
    const waiting = gate();
    const options = { name: "slow", hostFunctions: waiting.hostFunctions, isolation: "process", ...ENDLESS } as const;
    const children: ChildProcess[] = [];
    const started = (event: unknown): void => void children.push((event as { process: ChildProcess }).process);
    subscribe("child_process", started);
    await host.plugins.load(await guest({ wait: { pauses: "late" }, ok: "fine" }), options);
    unsubscribe("child_process", started);
    const caller = await loadCaller(host, "caller", ["slow:*"], ENDLESS);
    const done = failureOf(caller.call("call", message("slow", "wait")));
    await waiting.reached;
    for (const child of children) child.kill("SIGKILL");
    const error = await done;
    assert.deepEqual([error.code, error.details["code"], error.details["called"]], ["MORTISE_PLUGIN_CALL_FAILED", "MORTISE_ISOLATION_LOST", "slow"]);
    waiting.open();
    assert.equal((await caller.call("call", message("slow", "ok"))).text(), "fine");
  });

  it("that is replaced during a call ends that call on the old version, and serves the next with the new one", async () => {
    await using host = await openHost();
    const waiting = gate();
    await host.plugins.load(await guest({ wait: { pauses: "old" } }), { name: "slow", hostFunctions: waiting.hostFunctions, ...ENDLESS });
    const caller = await loadCaller(host, "caller", ["slow:*"], { ...ENDLESS, stateless: true });
    const before = caller.call("call", message("slow", "wait"));
    await waiting.reached;
    await host.plugins.load(await guest({ wait: "new" }), { name: "slow", replace: true });
    assert.equal((await caller.call("call", message("slow", "wait"))).text(), "new");
    waiting.open();
    assert.equal((await before).text(), "old");
  });

  it("is stopped when its caller is", async () => {
    await using host = await openHost();
    const waiting = gate();
    const slow = await host.plugins.load(await guest({ wait: { pauses: "late" } }), {
      name: "slow",
      hostFunctions: waiting.hostFunctions,
      ...ENDLESS,
    });
    const caller = await loadCaller(host, "caller", ["slow:*"], ENDLESS);
    const controller = new AbortController();
    const done = failureOf(caller.call("call", message("slow", "wait"), { signal: controller.signal }));
    await waiting.reached;
    controller.abort();
    assert.equal((await done).code, "MORTISE_ABORTED");
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([slow.stats().instances.busy, slow.stats().errors["MORTISE_ABORTED"]], [0, 1]);
    waiting.open();
  });

  it("that lies about its output, or gives too much, ends the call with a code", async () => {
    await using host = await openHost();
    const liar = `(module (import "extism:host/env" "output_set" (func $set (param i64 i64)))
      (func (export "outside") (call $set (i64.const 1048576) (i64.const 4096)))
      (func (export "huge") (call $set (i64.const -1) (i64.const -1))))`;
    await host.plugins.load(await assembleText("liar", liar), { name: "liar" });
    await host.plugins.load(await prebuilt("echo.c"), { name: "echo", limits: { outputBytes: 10 } });
    const caller = await loadCaller(host, "caller", ["liar:*", "echo:*"]);
    for (const [plugin, fn, input, code] of [
      ["liar", "outside", "", "MORTISE_BAD_POINTER"],
      ["liar", "huge", "", "MORTISE_BAD_POINTER"],
      ["echo", "echo", "more than ten", "MORTISE_OUTPUT_LIMIT"],
    ] as const)
      assert.equal((await failureOf(caller.call("call", message(plugin, fn, input)))).details["code"], code);
  });

  it("that gives more than its caller has room for stops the caller at its own limit", async () => {
    await using host = await openHost();
    const much = `(module
      (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
      (import "extism:host/env" "output_set" (func $set (param i64 i64)))
      (func (export "much") (call $set (call $alloc (i64.const 1000000)) (i64.const 1000000))))`;
    await host.plugins.load(await assembleText("much", much), { name: "much" });
    const caller = await loadCaller(host, "caller", ["much:*"], { limits: { memoryBytes: 5 * 65_536 } });
    const { code, details } = await failureOf(caller.call("call", message("much", "much")));
    assert.deepEqual([code, details["plugin"]], ["MORTISE_MEMORY_LIMIT", "caller"]);
  });
});

describe("Plugins that wait for each other", () => {
  /** Two plugins that each call the other; both are inside of a call before either calls. */
  async function meet(options: object): Promise<readonly string[]> {
    await using host = await openHost();
    const arrived = Promise.withResolvers<void>();
    let count = 0;
    const pause = async (): Promise<void> => {
      if (++count === 2) arrived.resolve();
      await arrived.promise;
    };
    const both = { hostFunctions: { [PAUSE_MODULE]: { pause } }, ...ENDLESS, ...options };
    const make = (other: string): Promise<Uint8Array<ArrayBuffer>> => assembleText("meet", MEETS.replace("OTHER", other));
    const a = await host.plugins.load(await make("b"), { name: "a", permissions: { call: ["b:*"] }, ...both });
    const b = await host.plugins.load(await make("a"), { name: "b", permissions: { call: ["a:*"] }, ...both });
    const ends = await Promise.all([a, b].map((plugin) => plugin.call("meet").then(() => "done", (error: unknown) => String(innermost(error).details?.["kind"])))); // prettier-ignore
    for (const plugin of [a, b]) assert.equal(plugin.stats().instances.waiting, 0);
    return ends.toSorted();
  }

  /** Waits until both are here, and calls `quick` of the other one. */
  const MEETS = `(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "${PAUSE_MODULE}" "pause" (func $pause))
    (import "mortise:host" "plugin_call" (func $call (param i64 i64 i64) (result i64)))
    (memory 1)
    (data (i32.const 0) "OTHERquick")
    (func $text (param $from i32) (param $length i32) (result i64) (local $at i64) (local $i i32)
      (local.set $at (call $alloc (i64.extend_i32_u (local.get $length))))
      (loop
        (call $store (i64.add (local.get $at) (i64.extend_i32_u (local.get $i))) (i32.load8_u (i32.add (local.get $from) (local.get $i))))
        (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $length))))
      (local.get $at))
    (func (export "quick"))
    (func (export "meet")
      (call $pause)
      (drop (call $call (call $text (i32.const 0) (i32.const 1)) (call $text (i32.const 1) (i32.const 5)) (i64.const 0)))))`;

  it("do not wait for ever: one is refused, the other goes on", async () => {
    assert.deepEqual(await meet({}), ["deadlock", "done"]);
    assert.deepEqual(await meet({ isolation: "thread" }), ["deadlock", "done"]);
  });

  it("are not refused where another instance serves", async () => {
    assert.deepEqual(await meet({ stateless: true, pool: { maxInstances: 2 } }), ["done", "done"]);
  });

  it("may queue for a plugin that is busy with somebody else", async () => {
    await using host = await openHost();
    const waiting = gate();
    const slow = await host.plugins.load(await guest({ wait: { pauses: "late" }, ok: "fine" }), {
      name: "slow",
      hostFunctions: waiting.hostFunctions,
      ...ENDLESS,
    });
    const first = slow.call("wait");
    await waiting.reached;
    const caller = await loadCaller(host, "caller", ["slow:*"], { ...ENDLESS, stateless: true });
    const queued = [caller.call("call", message("slow", "ok")), caller.call("call", message("slow", "ok"))];
    while (slow.stats().instances.waiting < 2) await new Promise((resolve) => setImmediate(resolve));
    waiting.open();
    assert.deepEqual((await Promise.all([first, ...queued])).map((output) => output.text()), ["late", "fine", "fine"]); // prettier-ignore
  });

  it("may be so many at a time, and no more", async () => {
    await using host = await openHost({ maxPending: 2 });
    const waiting = gate();
    await host.plugins.load(await guest({ wait: { pauses: "late" } }), {
      name: "slow",
      hostFunctions: waiting.hostFunctions,
      stateless: true,
      ...ENDLESS,
    });
    const caller = await loadCaller(host, "caller", ["slow:*"], { ...ENDLESS, stateless: true });
    const made = [1, 2].map(() => caller.call("call", message("slow", "wait")));
    await waiting.reached;
    while (caller.stats().instances.busy < 2) await new Promise((resolve) => setImmediate(resolve));
    const { code, details } = await failureOf(caller.call("call", message("slow", "wait")));
    assert.deepEqual([code, details["kind"]], ["MORTISE_PLUGIN_CALL_REFUSED", "pending"]);
    waiting.open();
    for (const output of await Promise.all(made)) assert.equal(output.text(), "late");
    assert.equal((await caller.call("call", message("slow", "wait"))).text(), "late");
  });
});

describe("An instance that is initialised", () => {
  it("calls no other plugin", async () => {
    await using host = await openHost();
    await host.plugins.load(await prebuilt("echo.c"), { name: "e" });
    const early = `(module
      (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
      (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
      (import "mortise:host" "plugin_call" (func $call (param i64 i64 i64) (result i64)))
      (func $start (local $at i64)
        (local.set $at (call $alloc (i64.const 1)))
        (call $store (local.get $at) (i32.const 101))
        (drop (call $call (local.get $at) (local.get $at) (i64.const 0))))
      (start $start))`;
    const loading = host.plugins.load(await assembleText("early", early), { name: "early", permissions: { call: ["e:*"] } });
    const { code, details } = await failureOf(loading);
    assert.deepEqual([code, details["kind"]], ["MORTISE_PLUGIN_CALL_REFUSED", "initialiser"]);
  });
});
