// The breaker of a plugin: it opens after repeated failures, and closes again when probes go well. All on a clock of the test's own.

import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, it } from "node:test";

import { CHANNELS, type CallEvent, type LifecycleEvent } from "../../src/api/channels.ts";
import type { ErrorCode } from "../../src/api/errors.ts";
import { hook } from "../../src/hooks/definition.ts";
import { Breaker, type BreakerOptions, type Ticket, resolveBreaker } from "../../src/manager/breaker.ts";
import { type HostOptions, createHost } from "../../src/manager/create-host.ts";
import type { LoadOptions } from "../../src/manager/load-options.ts";
import { StateMachine } from "../../src/manager/state.ts";
import { PAUSE_MODULE, TRAP, guest } from "../hooks/guests.ts";
import { message, prebuilt } from "../plugin-calls/plugins.ts";
import { assembleText } from "../wasm/assemble.ts";
import { type HOOKS, Lifecycles, type TestHost, answer, answering, open } from "./hosts.ts";

/** Waits for the host, and traps if it is told to. */
const PAUSES_AND_TRAPS = `(module (import "${PAUSE_MODULE}" "pause" (func $pause (result i32)))
  (func (export "check") (if (call $pause) (then unreachable))))`;

interface Bench {
  readonly breaker: Breaker;
  readonly machine: StateMachine;
  /** Begins a call that may take so many milliseconds. */
  readonly enter: (timeoutMs?: number) => Ticket | undefined;
  /** Makes a call that ends so; false if it was not let in. */
  readonly call: (code?: ErrorCode) => boolean;
  time: number;
}

function bench(options: BreakerOptions = {}): Bench {
  const machine = new StateMachine(() => ({ plugin: "a", version: "1", digest: "" }), "loaded");
  machine.enter("ready", "loaded");
  const breaker = new Breaker(resolveBreaker({ failures: 4, windowMs: 1000, openMs: 100, probes: 2, ...options }) as never, machine, () => made.time);
  const made: Bench = {
    breaker,
    machine,
    time: 0,
    enter: (timeoutMs = 50) => breaker.enter(() => ({ timeoutMs })),
    call(code) {
      const ticket = made.enter();
      if (ticket === undefined) return false;
      breaker.ended(ticket, code);
      return true;
    },
  };
  return made;
}

describe("Breaker", () => {
  it("lets another probe in when one never said how it ended", () => {
    const made = bench({ probes: 1 });
    for (let index = 0; index < 4; index++) made.call("MORTISE_TRAP");
    made.time = 100;
    assert.notEqual(made.enter(), undefined); // it ran out of stack before it could say so
    made.time = 199;
    assert.equal(made.call(), false);
    made.time = 200;
    assert.deepEqual([made.call(), made.machine.state], [true, "ready"]);
  });

  it("lets nobody in beside a probe that takes long, until its time is over; what becomes of it then says nothing", () => {
    const made = bench({ probes: 1 });
    for (let index = 0; index < 4; index++) made.call("MORTISE_TRAP");
    made.time = 100;
    const slow = made.enter(1000);
    made.time = 1099;
    assert.equal(made.enter(), undefined);
    made.time = 1100;
    const next = made.enter(1000);
    assert.deepEqual(
      [slow, next].map((ticket) => made.breaker.isCurrent(ticket as Ticket)),
      [false, true],
    );
    made.breaker.ended(slow as Ticket);
    assert.deepEqual([made.machine.state, made.enter()], ["half-open", undefined]);
    made.breaker.ended(next as Ticket);
    assert.equal(made.machine.state, "ready");
  });

  it("is degraded after half of the failures, and open after all of them", () => {
    const { call, machine } = bench();
    const states = [1, 2, 3, 4].map(() => {
      call("MORTISE_TRAP");
      return machine.state;
    });
    assert.deepEqual(states, ["ready", "degraded", "degraded", "open"]);
    assert.equal(call(), false);
    assert.match(machine.reason, /^4 of 4 calls failed within 1000 ms, the last with MORTISE_TRAP$/);
  });

  it("counts what says that a plugin is unwell, and nothing else", () => {
    const codes: readonly (readonly [code: ErrorCode, counts: boolean])[] = [
      ["MORTISE_TIMEOUT", true],
      ["MORTISE_TRAP", true],
      ["MORTISE_FUEL", true],
      ["MORTISE_MEMORY_LIMIT", true],
      ["MORTISE_ISOLATION_LOST", true],
      ["MORTISE_GUEST_ERROR", false],
      ["MORTISE_ABORTED", false],
      ["MORTISE_CLOSED", false],
      ["MORTISE_PERMISSION", false],
      ["MORTISE_REENTRANT", false],
    ];
    for (const [code, counts] of codes) {
      const { call, machine } = bench();
      for (let time = 0; time < 20; time++) call(code);
      assert.equal(machine.state, counts ? "open" : "ready", code);
    }
  });

  it("does not count calls that never ran, or were ended from outside: neither among those that fail nor as probes", () => {
    for (const code of ["MORTISE_ABORTED", "MORTISE_UNKNOWN_FUNCTION", "MORTISE_REENTRANT", "MORTISE_INSTANCE_CAP"] as const) {
      const made = bench();
      for (let failure = 0; failure < 4; failure++) {
        made.call("MORTISE_TRAP");
        for (let time = 0; time < 9 && made.machine.state !== "open"; time++) made.call(code);
      }
      assert.equal(made.machine.state, "open", `${code} made failures look rare`);
      made.time = 100;
      for (let time = 0; time < 5; time++) made.call(code);
      assert.equal(made.machine.state, "half-open", `${code} was taken for a probe that went well`);
      for (let time = 0; time < 2; time++) made.call();
      assert.equal(made.machine.state, "ready");
    }
  });

  it("does not open for failures that lie further apart than the window", () => {
    const made = bench();
    for (let time = 0; time < 50; time++) {
      made.call("MORTISE_TRAP");
      made.time += 400;
    }
    assert.equal(made.machine.state, "degraded");
    made.time += 2000;
    assert.equal(made.call(), true);
    assert.equal(made.machine.state, "ready", "it is well again when the failures are old");
  });

  it("does not open for failures that are rare among many calls", () => {
    for (const [good, state] of [
      [0, "open"],
      [1, "open"],
      [2, "degraded"],
    ] as const) {
      const { call, machine } = bench();
      for (let time = 0; time < 40; time++) {
        for (let left = good; left > 0; left--) call();
        call("MORTISE_TIMEOUT");
      }
      assert.equal(machine.state, state, `${good} good calls for each that fails`);
    }
  });

  it("lets one call through at a time when it was open long enough, and closes when enough of them go well", () => {
    const made = bench();
    for (let time = 0; time < 4; time++) made.call("MORTISE_TRAP");
    made.time += 99;
    assert.equal(made.call(), false);
    made.time += 1;
    const probe = made.enter();
    assert.deepEqual([made.machine.state, made.call()], ["half-open", false]);
    made.breaker.ended(probe as number);
    assert.deepEqual([made.machine.state, made.call(), made.machine.state], ["half-open", true, "ready"]);
    made.call("MORTISE_TRAP");
    assert.equal(made.machine.state, "ready", "old failures are forgotten");
  });

  it("opens again when a probe fails, and does not count one that was aborted", () => {
    const made = bench();
    for (let time = 0; time < 4; time++) made.call("MORTISE_TRAP");
    made.time += 100;
    made.call("MORTISE_ABORTED");
    made.call();
    assert.equal(made.machine.state, "half-open");
    made.call("MORTISE_FUEL");
    assert.deepEqual([made.machine.state, made.breaker.describe().retryInMs, made.breaker.describe().lastFailure], ["open", 100, "MORTISE_FUEL"]);
  });

  it("does not take calls that began before it opened for probes", () => {
    const made = bench({ probes: 1 });
    const [early, late] = [made.enter(), made.enter()];
    for (let time = 0; time < 4; time++) made.call("MORTISE_TRAP");
    made.breaker.ended(early as number);
    assert.equal(made.machine.state, "open");
    made.time += 100;
    const probe = made.enter();
    made.breaker.ended(late as number);
    assert.deepEqual([made.machine.state, made.call()], ["half-open", false]);
    made.breaker.ended(probe as number);
    assert.equal(made.machine.state, "ready");
  });

  it("leaves a version alone that is on its way out", () => {
    const { call, machine } = bench();
    machine.enter("draining", "unloaded");
    for (let time = 0; time < 20; time++) assert.equal(call("MORTISE_TRAP"), true);
    assert.equal(machine.state, "draining");
  });
});

describe("resolveBreaker", () => {
  it("refuses what makes no sense", () => {
    for (const options of [
      true,
      null,
      { failures: 0 },
      { failures: 1.5 },
      { failures: 1e9 },
      { windowMs: 0 },
      { openMs: Number.NaN },
      { share: 2 },
      { probes: 0 },
      { tries: 3 },
    ])
      assert.throws(() => resolveBreaker(options as never), { code: "MORTISE_INVALID_OPTION" }, JSON.stringify(options));
    assert.equal(resolveBreaker(false), undefined);
  });
});

describe("A plugin whose breaker is open", () => {
  const clocked = async (options: Partial<HostOptions<typeof HOOKS>> = {}): Promise<{ host: TestHost; clock: { now: number } }> => {
    const clock = { now: 0 };
    return { host: await open({ clock: () => clock.now, ...options }), clock };
  };

  it("fails a closed hook at once, and is left out of an open one", async () => {
    const { host } = await clocked();
    const bytes = await guest({ check: TRAP, tell: TRAP });
    await host.plugins.load(bytes, { name: "a", breaker: { failures: 3 } });
    await host.plugins.load(await answering("b"), { name: "b" });
    for (let time = 0; time < 3; time++) await assert.rejects(host.hooks.check(1), /trapped/);
    const calls = host.plugins.get("a")?.stats().calls;
    await assert.rejects(host.hooks.check(1), (error: { code: string; details: { code: string } }) => {
      assert.deepEqual([error.code, error.details.code], ["MORTISE_HOOK_FAILED", "MORTISE_PLUGIN_SUSPENDED"]);
      return true;
    });
    await host.hooks.tell(1);
    assert.equal(host.plugins.get("a")?.stats().calls, calls, "it is not called");
    assert.deepEqual([host.plugins.list()[0]?.state, host.plugins.describe("a").versions[0]?.breaker?.lastFailure], ["open", "MORTISE_TRAP"]);
    await host.plugins.reload("a", undefined, { onFailure: "open" });
    for (let time = 0; time < 4; time++) assert.equal(await host.hooks.check(1), "b");
    assert.equal(host.plugins.list()[0]?.state, "open");
    await host.close();
  });

  it("is tried again, and what happens to it is published", async () => {
    const { host, clock } = await clocked();
    using published = new Lifecycles();
    const spinning = await guest({ check: { scans: answer("fine") } });
    await host.plugins.load(spinning, { name: "a", limits: { fuel: 3000 }, breaker: { failures: 2, openMs: 50, probes: 1 } });
    const long = "x".repeat(10_000);
    for (let time = 0; time < 2; time++) await assert.rejects(host.hooks.check(long), /fuel/);
    await assert.rejects(host.hooks.check("x"), /MORTISE_FUEL; its breaker is open/);
    clock.now += 50;
    assert.equal(await host.hooks.check("x"), "fine");
    assert.deepEqual(published.changes, ["1:loading→ready", "1:ready→degraded", "1:degraded→open", "1:open→half-open", "1:half-open→ready"]);
    await host.close();
  });

  it("has none if breaker is false", async () => {
    const { host } = await clocked();
    await host.plugins.load(await guest({ check: TRAP }), { name: "a", breaker: false });
    for (let time = 0; time < 30; time++) await assert.rejects(host.hooks.check(1), /trapped/);
    assert.equal(host.plugins.describe("a").versions[0]?.breaker, undefined);
    await host.close();
  });
});

describe("A call that waits for an instance when the breaker opens", () => {
  const callers: Readonly<Record<string, (host: TestHost) => Promise<unknown>>> = {
    "a hook": (host) => host.hooks.check(1),
    "another plugin": (host) => host.plugins.get("caller")?.call("call", message("a", "check")) ?? assert.fail(),
  };
  const codeOf = ({ details }: { readonly details: Readonly<Record<string, unknown>> }): unknown => details["code"];

  for (const [who, call] of Object.entries(callers)) {
    /** Makes calls that all need one instance, of which some trap. When the breaker opens, so much time has passed before the next begins. */
    const run = async (trapping: readonly number[], openedMs: number): Promise<{ readonly ends: unknown[]; readonly published: unknown[] }> => {
      const clock = { now: 0 };
      await using host = await open({ clock: () => clock.now });
      const waits: ((traps: number) => void)[] = [];
      const hostFunctions = { [PAUSE_MODULE]: { pause: () => new Promise((resolve) => waits.push(resolve)) } };
      const breaker = { failures: 2, openMs: 50, probes: 1 };
      await host.plugins.load(await assembleText("a", PAUSES_AND_TRAPS), { name: "a", hostFunctions, breaker } as LoadOptions);
      await host.plugins.load(await prebuilt("calls.c"), { name: "caller", stateless: true, permissions: { call: ["a:check"] } });
      const published: unknown[] = [];
      const onCall = (event: unknown): void => {
        const { plugin, error } = event as CallEvent;
        if (plugin === "a") published.push(error);
      };
      const onLifecycle = (event: unknown): void => {
        if ((event as LifecycleEvent).to === "open") clock.now += openedMs;
      };
      subscribe(CHANNELS.call, onCall);
      subscribe(CHANNELS.lifecycle, onLifecycle);
      const calls = Promise.all(Array.from({ length: 6 }, () => call(host).then(() => undefined, codeOf)));
      const left = trapping.slice();
      for (let turn = 0; turn < 30; turn++) {
        await new Promise(setImmediate);
        const end = waits.shift();
        assert.equal(waits.length, 0, "two calls at once");
        end?.(left.shift() ?? 1);
      }
      const ends = await calls;
      unsubscribe(CHANNELS.call, onCall);
      unsubscribe(CHANNELS.lifecycle, onLifecycle);
      return { ends, published };
    };

    it(`is refused, if ${who} makes it, and published once`, async () => {
      const ends = ["MORTISE_TRAP", "MORTISE_TRAP", ...Array.from({ length: 4 }, () => "MORTISE_PLUGIN_SUSPENDED")];
      assert.deepEqual(await run([1, 1, 1, 1, 1, 1], 49), { ends, published: ends });
    });

    it(`is a probe if it was open long enough, and made if that went well, if ${who} makes it`, async () => {
      const ends = ["MORTISE_TRAP", "MORTISE_TRAP", undefined, "MORTISE_TRAP", undefined, undefined];
      assert.deepEqual(await run([1, 1, 0, 1, 0, 0], 50), { ends, published: ends });
    });
  }
});

describe("A plugin that is late in a hook", () => {
  const cases: readonly (readonly [what: string, times: Readonly<Record<"request" | "hook" | "before", number>>, state: string])[] = [
    ["is to blame if it had all of its time", { request: 1000, hook: 1000, before: 0 }, "open"],
    ["is to blame if all but what is lost on the way was left to it", { request: 101, hook: 1000, before: 2 }, "open"],
    ["is to blame if it had all of the hook's", { request: 1000, hook: 50, before: 0 }, "open"],
    ["is not to blame for a request that has less time", { request: 80, hook: 1000, before: 0 }, "ready"],
    ["is not to blame for what the plugin before it used up of the request's time", { request: 150, hook: 1000, before: 70 }, "ready"],
    ["is not to blame for what the plugin before it used up of the hook's time", { request: 1000, hook: 150, before: 70 }, "ready"],
  ];
  for (const [what, times, state] of cases) {
    it(what, async () => {
      const clock = { now: 0 };
      const hooks = { check: hook.chain<unknown>({ onFailure: "open", timeoutMs: times.hook }) };
      await using host = await createHost({ hooks, clock: () => clock.now });
      const bytes = await guest({ check: { pauses: "" } });
      for (const [name, takesMs] of [
        ["before", times.before],
        ["late", 100],
      ] as const) {
        const pause = async (): Promise<void> => void (clock.now += takesMs);
        const options = { stateless: true, limits: { timeoutMs: 100 }, breaker: { failures: 2, share: 0 } };
        await host.plugins.load(bytes, { name, order: name === "late" ? 1 : 0, hostFunctions: { [PAUSE_MODULE]: { pause } }, ...options });
      }
      for (let time = 0; time < 4; time++) await host.hooks.check(1, { request: host.request({ timeoutMs: times.request }) });
      assert.deepEqual(
        [host.plugins.get("late")?.stats().errors.MORTISE_TIMEOUT ?? 0, host.plugins.describe("late").state],
        [state === "open" ? 2 : 4, state],
      );
    });
  }
});
