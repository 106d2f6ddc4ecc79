// createHost({ limits }): what all plugins of a host may have together.

import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";

import { instanceCount } from "../../src/host/instance-cap.ts";
import { guest } from "../hooks/guests.ts";
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

  it("is the most that any plugin's own limit may be, shared by its instances", async () => {
    const asked: (number | undefined)[] = [];
    const { HostPlugins } = await import("../../src/manager/host-plugins.ts");
    const { Roster } = await import("../../src/hooks/roster.ts");
    const { resolveHostLimits } = await import("../../src/manager/host-limits.ts");
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
