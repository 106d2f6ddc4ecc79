// createHost({ limits }): what all plugins of a host may have together.

import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";

import { instanceCount } from "../../src/host/instance-cap.ts";
import { resolveHostLimits } from "../../src/manager/host-limits.ts";
import { Governor, type Holder } from "../../src/manager/governor.ts";
import type { InstanceGovernor, PoolHoldings } from "../../src/host/pool.ts";
import type { LoadOptions } from "../../src/manager/host-plugins.ts";
import { guest } from "../hooks/guests.ts";
import { createTelemetry } from "../../src/telemetry/telemetry.ts";
import { assembleText } from "../wasm/assemble.ts";
import { type TestHost, answer, answering, gate, open } from "./hosts.ts";

/** Instances of each plugin. */
const instances = (host: TestHost): Record<string, number> =>
  Object.fromEntries(host.plugins.list().map(({ name }) => [name, host.plugins.get(name)?.holdings.instances ?? -1]));

/** Grows by so many pages at every call. */
const growing = (pages: number): Promise<Uint8Array<ArrayBuffer>> =>
  assembleText("growing", `(module (memory 1) (func (export "check") (drop (memory.grow (i32.const ${pages})))))`);

describe("createHost limits", () => {
  it("refuses what makes no sense", async () => {
    for (const limits of [null, { plugin: 1 }, { plugins: -1 }, { instances: 1.5 }, { cpuShare: 0 }, { cpuShare: 2 }, { memoryBytes: "5" }])
      await assert.rejects(open({ limits: limits as never }), { code: "MORTISE_INVALID_OPTION" }, JSON.stringify(limits));
  });

  it("bounds the plugins, those that are being loaded included", async () => {
    await using host = await open({ limits: { plugins: 2 } });
    const bytes = await answering(1);
    const loads = await Promise.allSettled(["a", "b", "c"].map((name) => host.plugins.load(bytes, { name })));
    assert.deepEqual(loads.map(({ status }) => status).toSorted(), ["fulfilled", "fulfilled", "rejected"]);
    await assert.rejects(host.plugins.load(bytes, { name: "d" }), {
      code: "MORTISE_HOST_LIMIT",
      message: 'Cannot load plugin "d": its host has 2 plugins, and limits.plugins allows 2',
    });
    await host.plugins.reload("a", bytes);
    await host.plugins.unload("b");
    await host.plugins.load(bytes, { name: "d" });
  });
});

describe("limits.instances", () => {
  it("takes idle instances from those that have several, then from whom was not called for longest", async () => {
    await using host = await open({ limits: { instances: 4 } });
    const { hostFunctions, reached, open: go } = gate();
    const two = await host.plugins.load(await guest({ check: { pauses: "" } }), { name: "two", stateless: true, hostFunctions });
    const runs = [two.call("check"), two.call("check")];
    await reached;
    go();
    await Promise.all(runs);
    const bytes = await guest({ tell: "" });
    for (const name of ["a", "b"]) await host.plugins.load(bytes, { name });
    assert.deepEqual(instances(host), { two: 2, a: 1, b: 1 });
    await host.plugins.load(bytes, { name: "c" });
    assert.deepEqual(instances(host), { two: 1, a: 1, b: 1, c: 1 });
    await host.hooks.check(1);
    await host.hooks.tell(1);
    await host.plugins.load(bytes, { name: "d" });
    assert.deepEqual(instances(host), { two: 0, a: 1, b: 1, c: 1, d: 1 });
    await host.hooks.check(1);
    assert.deepEqual(instances(host), { two: 1, a: 1, b: 1, c: 1, d: 0 }, "d was never called");
  });

  it("refuses a plugin, or an instance, if none is idle; whoever has one waits for it", async () => {
    await using host = await open({ limits: { instances: 2 } });
    const { live } = instanceCount();
    const first = gate();
    const plugin = await host.plugins.load(await guest({ check: { pauses: answer("x") } }), {
      name: "a",
      stateless: true,
      hostFunctions: first.hostFunctions,
    });
    const runs = [plugin.call("check"), plugin.call("check"), plugin.call("check")];
    await first.reached;
    await assert.rejects(host.plugins.load(await answering(1), { name: "b" }), {
      code: "MORTISE_HOST_LIMIT",
      message: 'Cannot load plugin "b": its host has 2 instances, and limits.instances allows 2',
    });
    assert.deepEqual([plugin.stats().instances.live, plugin.stats().instances.waiting, instanceCount().live], [2, 1, live + 2]);
    first.open();
    await Promise.all(runs);
    await host.plugins.load(await answering(1), { name: "b" });
  });

  it("counts what is gone no longer", async () => {
    await using host = await open({ limits: { instances: 1, versions: 0 } });
    await assert.rejects(host.plugins.load(await guest({ other: "" }), { name: "x", requires: ["check"] }), { code: "MORTISE_HOOK_MISSING" });
    for (let time = 0; time < 5; time++) {
      await host.plugins.load(await answering(time), { name: "a" });
      await host.plugins.reload("a");
      await host.plugins.unload("a");
    }
    await host.plugins.load(await answering("last"), { name: "a" });
    assert.equal(await host.hooks.check(1), "last");
  });
});

describe("limits.memoryBytes", () => {
  it("frees what is idle when calls make memories grow", async () => {
    const page = 65_536;
    await using host = await open({ limits: { memoryBytes: 40 * page } });
    const bytes = await growing(10);
    for (const name of ["a", "b", "c"]) await host.plugins.load(bytes, { name });
    const held = (): number => host.plugins.list().reduce((sum, { name }) => sum + (host.plugins.get(name)?.memoryBytes ?? 0), 0);
    for (let time = 0; time < 10; time++) {
      await host.hooks.check(time);
      assert.ok(held() <= 40 * page, `${held() / page} pages after call ${time}`);
    }
    assert.ok(host.plugins.list().some(({ name }) => (host.plugins.get(name)?.stats().instances.recycled ?? 0) > 0));
  });

  it("refuses another instance while nothing is idle", async () => {
    await using host = await open({ limits: { memoryBytes: 1 } });
    await assert.rejects(host.plugins.load(await answering(1), { name: "a" }), {
      code: "MORTISE_HOST_LIMIT",
      message: /bytes of memory in use, and limits.memoryBytes allows 1$/,
    });
    assert.deepEqual(host.plugins.list(), []);
  });
});

/** Somebody who holds something, of which `idleBytes` can be freed. */
function holder(name: string, held: { -readonly [K in keyof PoolHoldings]: PoolHoldings[K] }): Holder & { governor: InstanceGovernor | undefined } {
  const made = {
    name,
    lastCall: 0,
    countedBytes: 0,
    governor: undefined as InstanceGovernor | undefined,
    plugin: {
      holdings: held,
      get memoryBytes(): number {
        return held.memoryBytes;
      },
      freeIdle(): number {
        if (held.idle === 0) return 0;
        held.idle--;
        held.instances--;
        held.memoryBytes -= held.idleBytes;
        held.idleBytes = 0;
        return 1;
      },
      govern(governor: InstanceGovernor): void {
        made.governor = governor;
      },
    },
  };
  return made;
}

describe("Governor", () => {
  const cases: readonly (readonly [what: string, limits: object, idleBytes: number, grownTo: number, hasRoom: boolean])[] = [
    ["frees what is idle if that is enough", { memoryBytes: 100 }, 30, 120, true],
    ["frees nothing if that is not enough", { memoryBytes: 100 }, 5, 120, false],
    ["frees nothing for instances while memory is short", { memoryBytes: 100, instances: 2 }, 5, 120, false],
    ["frees an instance for another", { instances: 2 }, 5, 120, true],
  ];
  for (const [what, limits, idleBytes, grownTo, hasRoom] of cases) {
    it(`${what}: ${JSON.stringify(limits)}`, () => {
      const governor = new Governor(resolveHostLimits(limits));
      const held = { instances: 1, idle: 0, memoryBytes: 10, idleBytes: 0 };
      const grows = holder("grows", held);
      const idle = holder("idle", { instances: 1, idle: 1, memoryBytes: idleBytes, idleBytes });
      for (const each of [grows, idle]) governor.adopt(each);
      held.memoryBytes = grownTo - idleBytes;
      assert.equal(grows.governor?.hasRoom(), hasRoom);
      held.instances++; // the one that is being made counts
      if (hasRoom) grows.governor?.admit();
      else assert.throws(() => grows.governor?.admit(), { code: "MORTISE_HOST_LIMIT", message: /limits.memoryBytes allows 100$/ });
      assert.equal(idle.plugin.holdings.instances, hasRoom ? 0 : 1);
    });
  }

  it("knows the memory of idle instances from that of others", async () => {
    await using host = await open();
    const { hostFunctions, reached, open: go } = gate();
    const plugin = await host.plugins.load(await guest({ check: { pauses: "" }, tell: "" }), { name: "a", stateless: true, hostFunctions });
    const first = plugin.call("check");
    await reached;
    await plugin.call("tell");
    const { memoryBytes, idleBytes } = plugin.holdings;
    go();
    await first;
    assert.deepEqual([idleBytes * 2, plugin.holdings.idleBytes], [memoryBytes, memoryBytes]);
  });
});

describe("limits.cpuShare", () => {
  it("lets a plugin that has used up its share wait, and counts waiting as time of the call", async () => {
    const clock = { now: 0 };
    await using host = await open({ limits: { cpuShare: 0.1 }, clock: () => clock.now });
    const busy = (): void => {
      clock.now += 150; // as if it had worked for so long
    };
    const bytes = await assembleText("busy", '(module (import "extism:host/user" "busy" (func $busy)) (func (export "check") (call $busy)))');
    await host.plugins.load(bytes, { name: "a", hostFunctions: { "extism:host/user": { busy } }, limits: { timeoutMs: 1000 } });
    await host.hooks.check(1);
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      // It had 100 ms in hand, got 15 while it worked for 150, and owes 35 now, which it gets back in 350.
      let ended = false;
      const waiting = host.hooks.check(1).then(() => (ended = true));
      const advance = async (ms: number): Promise<void> => {
        clock.now += ms;
        mock.timers.tick(ms);
        for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      };
      await advance(0);
      await advance(349);
      assert.equal(ended, false);
      await advance(2);
      await waiting;
      // It owes 135 ms now: more than it gets back within a call's time.
      const late = assert.rejects(host.hooks.check(1), /deadline of 1000 ms/);
      await advance(0);
      await advance(1000);
      await late;
    } finally {
      mock.timers.reset();
    }
  });

  it("lets waiting calls go when their caller aborts them", async () => {
    const clock = { now: 0 };
    await using host = await open({ limits: { cpuShare: 0.01 }, clock: () => clock.now });
    const bytes = await assembleText("busy", '(module (import "extism:host/user" "busy" (func $busy)) (func (export "check") (call $busy)))');
    await host.plugins.load(bytes, { name: "a", hostFunctions: { "extism:host/user": { busy: () => void (clock.now += 105) } } });
    await host.hooks.check(1);
    const controller = new AbortController();
    const aborted = assert.rejects(host.hooks.check(1, { signal: controller.signal }), { code: "MORTISE_ABORTED" });
    await new Promise(setImmediate);
    controller.abort();
    await aborted;
  });

  const USER = "extism:host/user";
  const WORKS = `(import "${USER}" "pause" (func $pause)) (import "${USER}" "busy" (func $busy))`;

  /** A host whose plugins may have a tenth of the time, and a plugin of this code that works, without any slices, for `ms` at a time. */
  async function working(code: string, ms: number, options: LoadOptions = {}, pause: () => Promise<void> = async () => {}) {
    const clock = { now: 0 };
    const work = { ms };
    const host = await open({ limits: { cpuShare: 0.1 }, clock: () => clock.now });
    const hostFunctions = { [USER]: { busy: () => void (clock.now += work.ms), pause } };
    const limits = { sliceMs: Number.POSITIVE_INFINITY, ...options.limits };
    const plugin = await host.plugins.load(await assembleText("works", `(module ${WORKS} ${code})`), {
      name: "a",
      ...options,
      limits,
      hostFunctions,
    });
    return { host, clock, work, plugin };
  }

  /** True if a call has to wait for its share. */
  async function waits({ hooks, plugins }: TestHost): Promise<boolean> {
    const calls = plugins.get("a")?.stats().calls;
    const controller = new AbortController();
    const call = hooks.check(1, { signal: controller.signal }).catch(() => {});
    await new Promise(setImmediate);
    const waited = plugins.get("a")?.stats().calls === calls;
    controller.abort();
    await call;
    return waited;
  }

  for (const [what, code] of [
    ["before it waits for a promise", '(func (export "check") (call $busy) (call $pause))'],
    ["after it has waited for a promise", '(func (export "check") (call $pause) (call $busy))'],
    ["while an instance is initialised", '(start $busy) (func (export "check"))'],
  ] as const) {
    it(`counts the time that a call holds the thread ${what}`, async () => {
      const { host, work, plugin } = await working(code, 0);
      plugin.freeIdle();
      work.ms = 150;
      await host.hooks.check(1);
      assert.ok(await waits(host));
      await host.close();
    });
  }

  it("counts the time of calls that had to wait for an instance", async () => {
    const { hostFunctions, reached, open: go } = gate();
    const { pause } = hostFunctions[USER];
    const { host } = await working('(func (export "check") (call $pause)) (func (export "tell") (call $busy))', 150, {}, pause);
    const calls = [host.hooks.check(1), host.hooks.tell(1)];
    await reached;
    go();
    await Promise.all(calls);
    assert.ok(await waits(host));
    await host.close();
  });

  it("counts what a call has held already while it still waits for a promise", async () => {
    const { hostFunctions, reached, open: go } = gate();
    const code = '(func (export "check")) (func (export "tell") (call $busy) (call $pause))';
    const { host } = await working(code, 150, { stateless: true }, hostFunctions[USER].pause);
    const call = host.hooks.tell(1);
    await reached;
    await new Promise(setImmediate);
    assert.ok(await waits(host));
    go();
    await call;
    await host.close();
  });

  it("counts neither the time that calls wait, nor the first instance", async () => {
    const pause = async (): Promise<void> => {
      await Promise.resolve();
      made.clock.now += 150;
    };
    const made = await working('(start $busy) (func (export "check") (call $pause) (call $pause))', 150, {}, pause);
    for (let time = 0; time < 3; time++) assert.equal(await waits(made.host), false);
    await made.host.close();
  });

  it("does not open the breaker for a call that is late because it has waited", async () => {
    const pause = async (): Promise<void> => void (made.clock.now += late);
    let late = 0;
    const limits = { timeoutMs: 400 };
    const made = await working('(func (export "check") (call $busy) (call $pause))', 150, { limits, breaker: { failures: 1 } }, pause);
    await made.host.hooks.check(1);
    made.work.ms = 0;
    late = 100;
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      // It waits for 350 ms, and has 50 left.
      const call = assert.rejects(made.host.hooks.check(1), /deadline of/);
      await new Promise(setImmediate);
      made.clock.now += 351;
      mock.timers.tick(351);
      await call;
    } finally {
      mock.timers.reset();
    }
    assert.deepEqual([made.plugin.stats().errors, made.host.plugins.list()[0]?.state], [{ MORTISE_TIMEOUT: 1 }, "ready"]);
    await made.host.close();
  });

  it("does not make calls that wait for it once the breaker has opened; they are published as refused", async () => {
    const clock = { now: 0 };
    await using host = await open({ limits: { cpuShare: 0.1 }, clock: () => clock.now });
    using telemetry = createTelemetry();
    const bytes = await assembleText("busy", `(module (import "${USER}" "busy" (func $busy)) (func (export "check") (call $busy) unreachable))`);
    const options = {
      hostFunctions: { [USER]: { busy: () => void (clock.now += 150) } },
      limits: { timeoutMs: 100_000, sliceMs: Number.POSITIVE_INFINITY },
    };
    const breaker = { failures: 2, openMs: 1_000_000, windowMs: 1_000_000 };
    const busy = await host.plugins.load(bytes, { name: "a", ...options, breaker });
    await assert.rejects(host.hooks.check(1));
    mock.timers.enable({ apis: ["setTimeout"] });
    let codes: unknown[];
    try {
      const runs = Array.from({ length: 4 }, () => host.hooks.check(1).catch((error: { cause: { code: string } }) => error.cause.code));
      for (let turn = 0; turn < 60; turn++) {
        await new Promise(setImmediate);
        clock.now += 100;
        mock.timers.tick(100);
      }
      codes = await Promise.all(runs);
    } finally {
      mock.timers.reset();
    }
    const refused = "MORTISE_PLUGIN_SUSPENDED";
    // The second one has begun already when the first one traps: an instance is made for it.
    assert.deepEqual([codes, busy.stats().calls], [["MORTISE_TRAP", "MORTISE_TRAP", refused, refused], 3]);
    const [counted] = telemetry.snapshot().plugins[0]?.versions[0]?.hooks ?? [];
    assert.deepEqual([counted?.calls, { ...counted?.errors }], [5, { MORTISE_TRAP: 3, [refused]: 2 }]);
    assert.ok((counted?.queueMs.max ?? 0) >= 300, "they have waited");
  });

  it("does not open the breaker for calls that wait for it in vain", async () => {
    const clock = { now: 0 };
    await using host = await open({ limits: { cpuShare: 0.1 }, clock: () => clock.now });
    const bytes = await assembleText("busy", `(module (import "${USER}" "busy" (func $busy)) (func (export "check") (call $busy)))`);
    const options = { hostFunctions: { [USER]: { busy: () => void (clock.now += 300) } }, limits: { timeoutMs: 500 }, breaker: { failures: 2 } };
    await host.plugins.load(bytes, { name: "a", ...options });
    await host.hooks.check(1);
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      const late = [1, 2, 3].map(() => assert.rejects(host.hooks.check(1), /deadline of 500 ms/));
      await new Promise(setImmediate);
      clock.now += 500;
      mock.timers.tick(500);
      await Promise.all(late);
    } finally {
      mock.timers.reset();
    }
    assert.equal(host.plugins.list()[0]?.state, "ready");
  });

  it("is the most that any plugin's own limit may be, shared by its instances", async () => {
    const asked: (number | undefined)[] = [];
    const { HostPlugins } = await import("../../src/manager/host-plugins.ts");
    const { Roster } = await import("../../src/hooks/roster.ts");
    const plugins = new HostPlugins(new Roster({}), {
      definitions: {},
      defaults: {},
      limits: resolveHostLimits({ cpuShare: 0.5 }),
      clock: () => 0,
      logger: undefined,
      load: async (_source, { limits }) => {
        asked.push(limits?.cpuShare);
        throw new Error("enough");
      },
    });
    for (const options of [{}, { limits: { cpuShare: 0.2 } }, { stateless: true }, { stateless: true, pool: { maxInstances: 2 } }])
      await assert.rejects(plugins.load("x", { name: "a", ...options }), /enough/);
    assert.deepEqual(asked, [0.5, 0.2, 0.0625, 0.25]);
  });
});
