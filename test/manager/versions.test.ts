// host.plugins: several versions of one plugin, and which of them serves.

import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, it, mock } from "node:test";

import { CHANNELS, type LifecycleEvent } from "../../src/api/channels.ts";
import { MortiseError } from "../../src/api/errors.ts";
import { Roster } from "../../src/hooks/roster.ts";
import { resolveHostLimits } from "../../src/manager/host-limits.ts";
import { HostPlugins } from "../../src/manager/host-plugins.ts";
import type { LoadOptions } from "../../src/manager/load-options.ts";
import { StateMachine } from "../../src/manager/state.ts";
import { instanceCount } from "../../src/host/instance-cap.ts";
import { leb, nameBytes } from "../../src/wasm/code-builder.ts";
import { SPIN, TRAP, action, guest } from "../hooks/guests.ts";
import { loadCaller, message } from "../plugin-calls/plugins.ts";
import { assembleText } from "../wasm/assemble.ts";
import { FakePlugin } from "./fake-plugin.ts";
import { Lifecycles, type TestHost, answer, answering, gate, open } from "./hosts.ts";

const versions = (host: TestHost, name = "a"): Record<string, number> =>
  Object.fromEntries(host.plugins.describe(name).versions.map(({ version, percent }) => [version, percent]));

describe("host.plugins.reload", () => {
  it("lets a new version serve from the next run on, and runs under way end with the one before", async () => {
    await using host = await open();
    const { hostFunctions, reached, open: go } = gate();
    await host.plugins.load(await guest({ check: { pauses: answer("old") } }), { name: "a", hostFunctions });
    const run = host.hooks.check(1);
    await reached;
    await host.plugins.reload("a", await answering("new"), { hostFunctions: {} });
    assert.equal(await host.hooks.check(1), "new");
    go();
    assert.equal(await run, "old");
    assert.deepEqual(versions(host), { 1: 0, 2: 100 });
  });

  it("is not ended by the signal that ended the loading of an earlier version", async () => {
    await using host = await open();
    const loading = new AbortController();
    await host.plugins.load(await answering("old"), { name: "a", signal: loading.signal });
    loading.abort();
    await host.plugins.reload("a", await answering("new"));
    assert.equal(await host.hooks.check(1), "new");
  });

  it("changes nothing if the new version is bad, and says why", async () => {
    await using host = await open();
    const start = (text: string): Promise<Uint8Array> => assembleText("bad", `(module (func $s ${text}) (start $s) (func (export "check")))`);
    const bad: readonly (readonly [what: string, bytes: Uint8Array, code: string, options?: LoadOptions])[] = [
      ["garbage", new TextEncoder().encode("garbage, not a module"), "MORTISE_NOT_WASM"],
      ["cut off", (await answering("new")).slice(0, 60), "MORTISE_WASM_MALFORMED"],
      ["traps at start", await start("unreachable"), "MORTISE_TRAP"],
      ["loops at start", await start("(loop (br 0))"), "MORTISE_TIMEOUT"],
      ["lacks the hook", await guest({ other: "" }), "MORTISE_HOOK_MISSING"],
      ["has another interface", await answering("new"), "MORTISE_ABI_MISMATCH", { abi: "bifrost" }],
      ["does not pass its probe", await guest({ check: TRAP }), "MORTISE_PROBE_FAILED", { probe: { function: "check" } }],
      ["has another digest", await answering("new"), "MORTISE_DIGEST_MISMATCH", { digest: "0".repeat(64) }],
      ["has a wrong filter", await answering("new"), "MORTISE_FILTER_INVALID", { filters: { check: 5 as never } }],
      ["needs what is not there", await answering("new"), "MORTISE_DEPENDENCY_MISSING", { dependsOn: ["b"] }],
    ];
    await host.plugins.load(await answering("old"), { name: "a", limits: { timeoutMs: 1000, initTimeoutMs: 20 } });
    const { live } = instanceCount();
    for (const [index, [what, bytes, code, options]] of bad.entries()) {
      using published = new Lifecycles();
      await assert.rejects(host.plugins.reload("a", bytes, options), { code }, what);
      assert.equal(await host.hooks.check(1), "old", what);
      const { lastFailure, versions: left, past } = host.plugins.describe("a");
      assert.equal(lastFailure?.code, code, what);
      assert.deepEqual([left.length, past.at(-1)?.history.at(-1)?.to], [1, "failed"], what);
      assert.deepEqual(published.changes, [`${index + 2}:loading→failed`], what);
    }
    assert.equal(instanceCount().live, live, "nothing is left of them");
    await host.plugins.reload("a", await answering("new"));
    assert.deepEqual([await host.hooks.check(1), host.plugins.describe("a").lastFailure], ["new", undefined]);
  });

  it("wants the hooks of the version before, unless requires says otherwise", async () => {
    await using host = await open();
    await host.plugins.load(await guest({ check: "", tell: "" }), { name: "a" });
    const less = await guest({ tell: "" });
    await assert.rejects(host.plugins.reload("a", less), { code: "MORTISE_HOOK_MISSING" });
    await host.plugins.reload("a", less, { requires: [] });
    assert.deepEqual(host.plugins.list()[0]?.hooks, ["tell"]);
  });

  it("reads the same source again, with the options of before", async () => {
    await using host = await open();
    const bytes = await guest({ check: SPIN });
    await host.plugins.load(bytes, { name: "a", limits: { fuel: 500 }, order: 7 });
    await host.plugins.reload("a");
    await assert.rejects(host.hooks.check(1), /version|fuel of 500/);
    assert.deepEqual([host.plugins.list()[0]?.order, host.plugins.get("a")?.version], [7, "2"]);
    await host.plugins.reload("a", undefined, { limits: { fuel: 600 }, version: "two" });
    await assert.rejects(host.hooks.check(1), /fuel of 600/);
    assert.equal(host.plugins.list()[0]?.version, "two");
    await assert.rejects(host.plugins.reload("a", undefined, { version: "two" }), { code: "MORTISE_VERSION_EXISTS" });
  });

  it("does several reloads in the order in which they were asked for", async () => {
    await using host = await open();
    await host.plugins.load(await answering(0), { name: "a" });
    const values = await Promise.all([1, 2, 3, 4].map(answering));
    await Promise.all(values.map((bytes) => host.plugins.reload("a", bytes)));
    assert.equal(await host.hooks.check(1), 4);
    assert.deepEqual(versions(host), { 4: 0, 5: 100 }, "one that served before is kept");
  });

  it("takes what it does not say from the reload before it, also if that one was not done yet", async () => {
    await using host = await open();
    await host.plugins.load(await guest({ check: SPIN }), { name: "a", limits: { fuel: 500_000 }, order: 1 });
    const tightened = host.plugins.reload("a", undefined, { limits: { fuel: 500 }, order: 2 });
    const refused = host.plugins.reload("a", undefined, { probe: { function: "check" }, order: 3 });
    const plain = host.plugins.reload("a");
    await tightened;
    await assert.rejects(refused, { code: "MORTISE_PROBE_FAILED" });
    await plain;
    assert.equal(host.plugins.list()[0]?.order, 2, "one that failed leaves nothing");
    await assert.rejects(host.hooks.check(1), /fuel of 500 /);
  });

  it("goes on with source and options of the version that serves most, however it came to", async () => {
    await using host = await open();
    await host.plugins.load(await answering("one"), { name: "a", order: 1 });
    await host.plugins.stage("a", await answering("two"), { version: "2.0", order: 2 });
    const reloaded = async (): Promise<unknown[]> => {
      await host.plugins.reload("a");
      return [await host.hooks.check(1), host.plugins.list()[0]?.order];
    };
    assert.deepEqual(await reloaded(), ["one", 1], "what is staged serves nothing");
    host.plugins.switchTo("a", "2.0");
    assert.deepEqual(await reloaded(), ["two", 2]);
    await host.plugins.stage("a", await answering("three"), { version: "3.0", order: 3 });
    host.plugins.split("a", { [host.plugins.get("a")?.version ?? ""]: 10, "3.0": 90 });
    assert.deepEqual(await reloaded(), ["three", 3]);
    await host.plugins.reload("a", await answering("four"), { order: 4 });
    host.plugins.rollback("a");
    assert.deepEqual(await reloaded(), ["three", 3]);
  });

  it("lets the one serve that was asked for last, also if it is faster to load", async () => {
    const slow = Promise.withResolvers<void>();
    const plugins = new HostPlugins(new Roster({}), {
      definitions: {},
      defaults: {},
      limits: resolveHostLimits(),
      clock: () => 0,
      logger: undefined,
      load: async (source, { version = "" }) => {
        if (source === "slow") await slow.promise;
        return new FakePlugin("a", version, source as string).plugin;
      },
    });
    await plugins.load("first", { name: "a" });
    const reloads = [plugins.reload("a", "slow"), plugins.reload("a", "fast")];
    await new Promise(setImmediate);
    slow.resolve();
    await Promise.all(reloads);
    assert.equal((plugins.get("a") as unknown as FakePlugin).label, "fast");
    await plugins.close();
  });

  it("refuses a version that comes when the plugin is gone", async () => {
    await using host = await open();
    await host.plugins.load(await answering(0), { name: "a" });
    const { live } = instanceCount();
    const late = host.plugins.reload("a", await answering(1));
    const gone = host.plugins.unload("a");
    await assert.rejects(late, { code: "MORTISE_UNKNOWN_PLUGIN" });
    await gone;
    assert.deepEqual([host.plugins.list(), instanceCount().live], [[], live - 1]);
    await assert.rejects(host.plugins.reload("a"), {
      code: "MORTISE_UNKNOWN_PLUGIN",
      message: 'Cannot reload plugin "a": the host has none of that name',
    });
  });

  it("keeps a bracket with the version that it began with", async () => {
    await using host = await open();
    const both = (name: string): Promise<Uint8Array> => guest({ pre_wrap: action("continue"), post_wrap: action("replace", { value: name }) });
    await host.plugins.load(await both("old"), { name: "a" });
    const work = Promise.withResolvers<unknown>();
    const run = host.hooks.wrap(1, () => work.promise);
    await host.plugins.reload("a", await both("new"));
    work.resolve("done");
    assert.deepEqual([await run, await host.hooks.wrap(1, () => "done")], ["old", "new"]);
  });

  it("keeps no instance of the version before, and as many versions as limits.versions says", async () => {
    await using host = await open({ limits: { versions: 2 } });
    const { live } = instanceCount();
    for (let time = 0; time < 6; time++) {
      if (time === 0) await host.plugins.load(await answering(time), { name: "a" });
      else await host.plugins.reload("a", await answering(time));
    }
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    assert.equal(instanceCount().live, live + 1);
    assert.deepEqual(versions(host), { 4: 0, 5: 0, 6: 100 });
    assert.deepEqual(
      host.plugins.describe("a").past.map(({ version, history }) => [version, history.at(-1)?.to]),
      [
        ["1", "unloaded"],
        ["2", "unloaded"],
        ["3", "unloaded"],
      ],
    );
  });

  it("keeps no instance of the version before that a call of another plugin has left, either", async () => {
    await using host = await open();
    const { hostFunctions, reached, open: go } = gate();
    await host.plugins.load(await guest({ check: { pauses: answer("old") } }), { name: "a", hostFunctions });
    const caller = await loadCaller(host, "caller", ["a:check"]);
    const call = caller.call("call", message("a", "check"));
    await reached;
    await host.plugins.reload("a", await answering("new"), { hostFunctions: {} });
    go();
    await call;
    const instances = (): number[] => host.plugins.describe("a").versions.map((version) => version.instances);
    assert.deepEqual(instances(), [0, 1]);
    const serveAgain = async (how: () => unknown): Promise<number[]> => {
      how();
      await host.hooks.check(1);
      await new Promise(setImmediate);
      return instances();
    };
    assert.deepEqual(await serveAgain(() => host.plugins.switchTo("a", "1")), [1, 0], "it keeps the instance with which it serves again");
    assert.deepEqual(await serveAgain(() => host.plugins.switchTo("a", "2")), [0, 1]);
    assert.deepEqual(await serveAgain(() => host.plugins.rollback("a")), [1]);
  });

  it("puts nothing into the hooks if whoever is told that it is ready unloads the plugin", async () => {
    await using host = await open();
    await host.plugins.load(await answering("old"), { name: "a" });
    using published = new Lifecycles();
    let gone: Promise<void> | undefined;
    const unload = (event: unknown): void => {
      const { to, version } = event as LifecycleEvent;
      if (to === "ready" && version === "2") gone = host.plugins.unload("a");
    };
    subscribe(CHANNELS.lifecycle, unload);
    try {
      await assert.rejects(host.plugins.reload("a", await answering("new")), { code: "MORTISE_UNKNOWN_PLUGIN" });
    } finally {
      unsubscribe(CHANNELS.lifecycle, unload);
    }
    await gone;
    assert.deepEqual([host.plugins.list(), host.hooks.check.plugins], [[], []]);
    assert.deepEqual(
      published.changes.filter((change) => change.startsWith("2")),
      ["2:loading→ready", "2:ready→draining", "2:draining→unloaded"],
    );
  });

  it("costs nothing for each switch that a run outlasts", async () => {
    await using host = await open();
    await host.plugins.load(await guest({ pre_wrap: "", post_wrap: "" }), { name: "a" });
    await host.plugins.stage("a", await guest({ pre_wrap: "", post_wrap: "" }));
    const held = await host.hooks.wrap.open(1);
    for (let time = 0; time < 15_000; time++) host.plugins.split("a", { 1: 50 + (time % 2), 2: 50 - (time % 2) });
    held[Symbol.dispose]();
    await host.plugins.unload("a");
  });
});

describe("StateChange.reason", () => {
  it("is safe to print and bounded, whatever it says", () => {
    const machine = new StateMachine(() => ({ plugin: "a", version: "1", digest: "" }), "\u001b[31m");
    machine.enter("failed", "x".repeat(1000));
    assert.deepEqual(
      machine.history.map(({ reason }) => reason),
      ["\\u001b[31m", `${"x".repeat(300)}…`],
    );
  });

  for (const [what, error, wanted] of [
    ["without secrets", new MortiseError("MORTISE_GUEST_ERROR", { plugin: "a", function: "f", reason: "key hunter2-hunter2" }), /: key \*\*\*$/],
    ["safe to print", new Error("one\ntwo\u001b[31m"), /^one\\ntwo\\u001b\[31m$/],
    ["bounded", new Error("x".repeat(1 << 20)), /^x{300}…$/],
  ] as const)
    it(`is ${what}, as is what is logged and described`, async () => {
      using published = new Lifecycles();
      const plugins = new HostPlugins(new Roster({}), {
        definitions: {},
        defaults: { secrets: ["hunter2-hunter2"] },
        limits: resolveHostLimits(),
        clock: () => 0,
        logger: undefined,
        load: async (source, { version = "" }) => {
          if (source === "bad") throw error;
          return new FakePlugin("a", version, "").plugin;
        },
      });
      await plugins.load("good", { name: "a" });
      await assert.rejects(plugins.reload("a", "bad"));
      assert.match(published.events.at(-1)?.reason ?? "", wanted);
      const { past, lastFailure } = plugins.describe("a");
      assert.match(past.at(-1)?.history.at(-1)?.reason ?? "", wanted);
      assert.match(lastFailure?.message ?? "", wanted);
      await plugins.close();
    });
});

describe("host.plugins.stage, split and switchTo", () => {
  it("loads a version that serves nothing until it is switched to", async () => {
    await using host = await open();
    await host.plugins.load(await answering("one"), { name: "a" });
    const staged = await host.plugins.stage("a", await answering("two"), { version: "next" });
    assert.deepEqual([await host.hooks.check(1), staged.version, versions(host)], ["one", "next", { 1: 0 + 100, next: 0 }]);
    host.plugins.switchTo("a", "next");
    assert.deepEqual([await host.hooks.check(1), versions(host)], ["two", { 1: 0, next: 100 }]);
    host.plugins.switchTo("a", "1");
    assert.equal(await host.hooks.check(1), "one");
  });

  it("splits the requests by their ids: the same version in all hooks of a request, and about as many as was said", async () => {
    await using host = await open();
    const version = (name: string): Promise<Uint8Array> => guest({ check: answer(name), pre_wrap: answer(name) });
    await host.plugins.load(await version("one"), { name: "a" });
    await host.plugins.stage("a", await version("two"));
    host.plugins.split("a", { 1: 75, 2: 25 });
    let second = 0;
    for (let index = 0; index < 4000; index++) {
      const request = host.request({ id: `request-${index}` });
      const answered = await host.hooks.check(1, { request });
      assert.equal(await host.hooks.wrap(1, () => undefined, { request }), answered);
      if (answered === "two") second++;
    }
    // Four standard deviations of a fair draw.
    assert.ok(Math.abs(second - 1000) < 4 * Math.sqrt(4000 * 0.25 * 0.75), String(second));
    assert.deepEqual(host.hooks.check.plugins, ["a"]);
    host.plugins.split("a", { 2: 100 });
    assert.equal(await host.hooks.check(1), "two");
  });

  it("lets a version of a split without the hook pass", async () => {
    await using host = await open();
    await host.plugins.load(await answering("one"), { name: "a" });
    await host.plugins.stage("a", await guest({ tell: "" }), { requires: [] });
    host.plugins.split("a", { 1: 50, 2: 50 });
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) => host.hooks.check(1, { request: host.request({ id: String(index) }) })),
    );
    assert.deepEqual(new Set(answers), new Set(["one", undefined]));
  });

  it("serves a request with the same version, however the same shares are written down", async () => {
    const served = async (shares: Readonly<Record<string, number>>): Promise<unknown[]> => {
      await using host = await open();
      await host.plugins.load(await answering("a"), { name: "p", version: "a" });
      await host.plugins.stage("p", await answering("b"), { version: "b" });
      host.plugins.split("p", shares);
      return Promise.all(Array.from({ length: 50 }, (_, index) => host.hooks.check(1, { request: host.request({ id: String(index) }) })));
    };
    const answers = await served({ a: 60, b: 40 });
    assert.deepEqual(new Set(answers), new Set(["a", "b"]));
    assert.deepEqual(await served({ b: 40, a: 60 }), answers);
  });

  it("refuses shares that make no sense", async () => {
    await using host = await open();
    await host.plugins.load(await answering("one"), { name: "a", version: "first" });
    for (const [shares, code] of [
      [{}, "MORTISE_INVALID_OPTION"],
      [null as never, "MORTISE_INVALID_OPTION"],
      [{ first: 99 }, "MORTISE_INVALID_OPTION"],
      [{ first: -1 }, "MORTISE_INVALID_OPTION"],
      [{ first: Number.NaN }, "MORTISE_INVALID_OPTION"],
      [{ first: 50, fist: 50 }, "MORTISE_UNKNOWN_VERSION"],
    ] as const)
      assert.throws(() => host.plugins.split("a", shares), { code }, JSON.stringify(shares));
    assert.throws(() => host.plugins.switchTo("a", "frst"), { code: "MORTISE_UNKNOWN_VERSION", message: /did you mean "first"/ });
    assert.throws(() => host.plugins.switchTo("b", "first"), { code: "MORTISE_UNKNOWN_PLUGIN" });
    assert.equal(await host.hooks.check(1), "one");
  });
});

describe("host.plugins.rollback", () => {
  it("goes back to the version that served before, and unloads the present one", async () => {
    await using host = await open();
    using published = new Lifecycles();
    await host.plugins.load(await answering("one"), { name: "a" });
    const bad = await host.plugins.reload("a", await answering("two"));
    const unloaded = published.until(({ version, to }) => version === "2" && to === "unloaded");
    assert.equal(host.plugins.rollback("a"), "1");
    assert.equal(await host.hooks.check(1), "one");
    await unloaded;
    await assert.rejects(bad.call("check"), { code: "MORTISE_CLOSED" });
    assert.throws(() => host.plugins.rollback("a"), { code: "MORTISE_NO_EARLIER_VERSION" });
    assert.deepEqual(published.changes, ["1:loading→ready", "2:loading→ready", "2:ready→draining", "2:draining→unloaded"]);
  });

  it("takes the version of a split out that came last", async () => {
    await using host = await open();
    await host.plugins.load(await answering("one"), { name: "a" });
    await host.plugins.stage("a", await answering("two"));
    assert.throws(() => host.plugins.rollback("a"), { code: "MORTISE_NO_EARLIER_VERSION" });
    host.plugins.split("a", { 1: 50, 2: 50 });
    assert.equal(host.plugins.rollback("a"), "1");
    assert.deepEqual(versions(host), { 1: 100 });
  });
});

describe("host.plugins.disable and enable", () => {
  it("takes a plugin out of all hooks and back in, and leaves it loaded", async () => {
    await using host = await open();
    await host.plugins.load(await answering("one"), { name: "a" });
    host.plugins.disable("a");
    assert.deepEqual([await host.hooks.check(1), host.hooks.check.plugins, host.plugins.list()[0]?.enabled], [undefined, [], false]);
    assert.equal(host.plugins.callee("a", undefined), undefined);
    await host.plugins.reload("a", await answering("two"));
    assert.equal(await host.hooks.check(1), undefined, "a reload does not enable it");
    host.plugins.enable("a");
    assert.equal(await host.hooks.check(1), "two");
  });
});

describe("host.plugins.unload", () => {
  it("waits for runs under way no longer than drainMs, and then ends them", async () => {
    await using host = await open();
    const { hostFunctions, reached } = gate();
    using published = new Lifecycles();
    await host.plugins.load(await guest({ check: { pauses: "" } }), { name: "a", hostFunctions });
    const run = assert.rejects(host.hooks.check(1), (error: { details: { code: string } }) => error.details.code === "MORTISE_CLOSED");
    await reached;
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      const unloaded = host.plugins.unload("a", { drainMs: 500 });
      mock.timers.tick(499);
      assert.equal(published.changes.at(-1), "1:ready→draining");
      mock.timers.tick(1);
      await Promise.all([run, unloaded]);
    } finally {
      mock.timers.reset();
    }
    assert.match(published.events.at(-1)?.reason ?? "", /what still ran after 500 ms was ended/);
  });

  it("refuses a drainMs that is none, and leaves the plugin as it is", async () => {
    await using host = await open();
    await host.plugins.load(await answering(1), { name: "a" });
    for (const drainMs of [Number.NaN, -1, "30s" as never])
      await assert.rejects(host.plugins.unload("a", { drainMs }), { code: "MORTISE_INVALID_OPTION" }, String(drainMs));
    assert.equal(await host.hooks.check(1), 1);
    await host.plugins.unload("a", { drainMs: Number.POSITIVE_INFINITY });
  });

  it("unloads one version that does not serve", async () => {
    await using host = await open();
    await host.plugins.load(await answering("one"), { name: "a" });
    await host.plugins.stage("a", await answering("two"));
    await assert.rejects(host.plugins.unload("a", { version: "1" }), { code: "MORTISE_INVALID_OPTION" });
    await host.plugins.unload("a", { version: "2" });
    assert.deepEqual(versions(host), { 1: 100 });
    await assert.rejects(host.plugins.unload("a", { version: "2" }), { code: "MORTISE_UNKNOWN_VERSION" });
  });
});

describe("host.plugins.describe", () => {
  it("tells what is known of a plugin", async () => {
    await using host = await open();
    const bytes = await answering("one");
    const declared = Uint8Array.from([
      ...bytes,
      0,
      ...leb(nameBytes("mortise").length + 2),
      ...nameBytes("mortise"),
      ...new TextEncoder().encode("{}"),
    ]);
    await host.plugins.load(declared, { name: "a", order: 3 });
    await host.hooks.check(1);
    const {
      versions: [version],
      ...rest
    } = host.plugins.describe("a");
    assert.deepEqual(rest, {
      name: "a",
      abi: "extism",
      version: "1",
      state: "ready",
      enabled: true,
      order: 3,
      hooks: ["check"],
      counts: { check: { calls: 1, failures: 0, rejections: 0, filtered: 0 } },
      file: undefined,
      watched: false,
      dependsOn: [],
      dependents: [],
      past: [],
      lastFailure: undefined,
    });
    assert.equal(version?.digest, host.plugins.get("a")?.digest);
    assert.match(version?.digest ?? "", /^[0-9a-f]{64}$/);
    assert.deepEqual(
      version?.history.map(({ from, to, reason }) => [from, to, reason]),
      [
        [undefined, "loading", "loaded by the host"],
        ["loading", "ready", "loaded"],
      ],
    );
    assert.deepEqual(version?.breaker, { failures: 0, lastFailure: undefined, retryInMs: 0 });
    assert.equal(version?.instances, 1);
    assert.throws(() => host.plugins.describe("b"), { code: "MORTISE_UNKNOWN_PLUGIN" });
  });
});
