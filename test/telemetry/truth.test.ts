// Counters and quantiles against a record of all events, and bounds on what is told apart.
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";

import * as fc from "fast-check";

import { calls, decisions, httpRequests, lifecycles, logLines, services } from "../../src/api/channels.ts";
import type { CallEvent, DecisionEvent, VersionState } from "../../src/api/channels.ts";
import { type Telemetry, type TelemetryOptions, createTelemetry } from "../../src/telemetry/telemetry.ts";
import type { HookSnapshot, PluginSnapshot } from "../../src/telemetry/snapshot.ts";
import { callEvent, decisionEvent, lifecycleEvent } from "./events.ts";

const open: Telemetry[] = [];
const telemetry = (options?: TelemetryOptions): Telemetry => {
  const made = createTelemetry(options);
  open.push(made);
  return made;
};
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

const call: fc.Arbitrary<CallEvent> = fc
  .record({
    plugin: fc.constantFrom("a", "b", "c"),
    version: fc.constantFrom("1", "2"),
    hook: fc.constantFrom(undefined, "check", "rewrite"),
    durationMs: fc.double({ min: 0.001, max: 5000, noNaN: true }),
    queueMs: fc.double({ min: 0, max: 100, noNaN: true }),
    fuel: fc.integer({ min: 0, max: 1e9 }),
    memoryBytes: fc.integer({ min: 0, max: 1e9 }),
    inputBytes: fc.integer({ min: 0, max: 1e6 }),
    outputBytes: fc.integer({ min: 0, max: 1e6 }),
    error: fc.constantFrom(undefined, undefined, "MORTISE_TIMEOUT" as const, "MORTISE_TRAP" as const),
  })
  .map(({ hook, error, ...rest }) => callEvent({ ...rest, ...(hook && { hook }), ...(error && { error }) }));

const decision: fc.Arbitrary<DecisionEvent> = fc
  .record({
    plugin: fc.constantFrom("a", "b"),
    version: fc.constantFrom("1", "2"),
    hook: fc.constantFrom("check", "rewrite"),
    action: fc.constantFrom("replace" as const, "answer" as const, "reject" as const),
  })
  .map(decisionEvent);

function countBy(list: readonly (string | undefined)[]): Record<string, number> {
  const counts: Record<string, number> = Object.create(null);
  for (const each of list) if (each !== undefined) counts[each] = (counts[each] ?? 0) + 1;
  return counts;
}

function hookOf(plugins: readonly PluginSnapshot[], plugin: string, version: string, hook: string): HookSnapshot | undefined {
  const found = plugins.find((each) => each.plugin === plugin)?.versions.find((each) => each.version === version);
  return found?.hooks.find((each) => each.hook === hook);
}

describe("createTelemetry", () => {
  it("counts what a record of all events says, for each plugin, version and hook", () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 120 }), fc.array(decision, { maxLength: 40 }), (callList, decisionList) => {
        using counted = createTelemetry();
        for (const event of callList) calls.publish(event);
        for (const event of decisionList) decisions.publish(event);
        const { plugins } = counted.snapshot();
        for (const plugin of ["a", "b", "c"]) {
          for (const version of ["1", "2"]) {
            for (const hook of ["", "check", "rewrite"]) {
              const mine = callList.filter((each) => each.plugin === plugin && each.version === version && (each.hook ?? "") === hook);
              const taken = decisionList.filter((each) => each.plugin === plugin && each.version === version && each.hook === hook);
              const found = hookOf(plugins, plugin, version, hook);
              if (mine.length + taken.length === 0) {
                assert.equal(found, undefined);
                continue;
              }
              assert.ok(found !== undefined);
              assert.equal(found.calls, mine.length);
              assert.deepEqual(found.errors, countBy(mine.map(({ error }) => error)));
              assert.deepEqual(found.decisions, countBy(taken.map(({ action }) => action)));
              for (const sum of ["fuel", "inputBytes", "outputBytes"] as const)
                assert.equal(
                  found[sum],
                  mine.reduce((total, each) => total + each[sum], 0),
                );
              const sorted = mine.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b);
              for (const [name, part] of [
                ["p50", 0.5],
                ["p90", 0.9],
                ["p99", 0.99],
                ["p999", 0.999],
              ] as const) {
                const exact = sorted[Math.ceil(part * sorted.length) - 1] ?? 0;
                assert.ok(Math.abs(found.durationMs[name] - exact) <= exact / 128, name);
              }
              assert.equal(found.queueMs.count, mine.length);
            }
          }
        }
        const peaks = plugins.flatMap(({ plugin, versions }) =>
          versions.map(({ version, memoryPeakBytes }) => [plugin, version, memoryPeakBytes] as const),
        );
        for (const [plugin, version, peak] of peaks) {
          const mine = callList.filter((each) => each.plugin === plugin && each.version === version);
          assert.equal(peak, Math.max(0, ...mine.map(({ memoryBytes }) => memoryBytes)));
        }
      }),
      { numRuns: 150 },
    );
  });

  it("counts services, HTTP, log lines and states", () => {
    const counted = telemetry({ clock: () => 1_000 });
    services.publish({ plugin: "p", service: "kv_get", durationMs: 2 });
    services.publish({ plugin: "p", service: "kv_get", durationMs: 4, error: "MORTISE_STORE_UNAVAILABLE" });
    const request = { plugin: "p", host: "example.com", method: "GET", durationMs: 30, requestBytes: 7 };
    httpRequests.publish({ ...request, status: 204, responseBytes: 0 });
    httpRequests.publish({ ...request, status: 503, responseBytes: 9 });
    httpRequests.publish({ ...request, responseBytes: 0, error: "MORTISE_HTTP_DENIED" });
    logLines.publish({ plugin: "p", level: "warn", message: "low" });
    lifecycles.publish(lifecycleEvent({ to: "loading" }));
    lifecycles.publish(lifecycleEvent({ from: "loading", to: "ready" }));
    const [plugin] = counted.snapshot().plugins;
    assert.ok(plugin !== undefined);
    assert.deepEqual(
      plugin.services.map(({ name, uses, errors }) => [name, uses, { ...errors }]),
      [["kv_get", 2, { MORTISE_STORE_UNAVAILABLE: 1 }]],
    );
    assert.deepEqual(
      plugin.hosts.map(({ name, uses, errors, statuses, sentBytes, receivedBytes }) => [
        name,
        uses,
        { ...errors },
        { ...statuses },
        sentBytes,
        receivedBytes,
      ]),
      [["example.com", 3, { MORTISE_HTTP_DENIED: 1 }, { "2xx": 1, "5xx": 1 }, 21, 9]],
    );
    assert.deepEqual({ ...plugin.logLines }, { warn: 1 });
    assert.deepEqual(counted.logs("p"), [{ time: 1000, level: "warn", message: "low" }]);
    assert.deepEqual([plugin.versions[0]?.state, { ...plugin.versions[0]?.changes }], ["ready", { loading: 1, ready: 1 }]);
  });

  it("has the state of the version that is there, whatever becomes of others of its name", () => {
    type Change = readonly [from: VersionState | undefined, to: VersionState];
    const comes: readonly Change[] = [
      [undefined, "loading"],
      ["loading", "ready"],
    ];
    const goes: readonly Change[] = [
      ["ready", "draining"],
      ["draining", "unloaded"],
    ];
    const fails: readonly Change[] = [
      [undefined, "loading"],
      ["loading", "failed"],
    ];
    const cases: readonly (readonly [what: string, changes: readonly (Change | undefined)[], state: VersionState])[] = [
      ["it came", comes, "ready"],
      ["it went", [...comes, ...goes], "unloaded"],
      ["it came while the one before was on its way out", [...comes, goes[0], ...comes, goes[1]], "ready"],
      ["it was loaded while the one before went", [...comes, comes[0], ...goes, comes[1]], "ready"],
      ["another one was refused since it is there", [...comes, ...fails], "ready"],
      ["another one was refused, and then it failed too often", [...comes, ...fails, ["ready", "open"]], "open"],
      ["it could not be loaded", fails, "failed"],
      ["it was there before anybody counted", [["ready", "degraded"]], "degraded"],
    ];
    for (const [what, changes, state] of cases) {
      const counted = telemetry();
      for (const change of changes) if (change !== undefined) lifecycles.publish(lifecycleEvent({ from: change[0], to: change[1] }));
      assert.equal(counted.snapshot().plugins[0]?.versions[0]?.state, state, what);
    }
  });

  it("tells a plugin apart that comes, rather than one of which nothing is left, and keeps the sums", () => {
    const counted = telemetry({ maxPlugins: 3 });
    const come = (plugin: string): void => {
      lifecycles.publish(lifecycleEvent({ plugin, to: "loading" }));
      lifecycles.publish(lifecycleEvent({ plugin, from: "loading", to: "ready" }));
      calls.publish(callEvent({ plugin, error: "MORTISE_TRAP" }));
      services.publish({ plugin, service: "kv_get", durationMs: 2 });
      logLines.publish({ plugin, level: "warn", message: "low" });
    };
    const go = (plugin: string): void => {
      lifecycles.publish(lifecycleEvent({ plugin, from: "ready", to: "draining" }));
      lifecycles.publish(lifecycleEvent({ plugin, from: "draining", to: "unloaded" }));
    };
    come("stays");
    for (const name of ["owner/1", "owner/2", "owner/3", "owner/4"]) {
      come(name);
      go(name);
    }
    for (const name of ["late", "later", "latest"]) come(name);
    assert.deepEqual(
      ["stays", "owner/1", "late", "later"].map((name) => counted.logs(name).length),
      [1, 0, 1, 1],
    );
    const { plugins } = counted.snapshot();
    const sums = plugins.map(({ plugin, versions, services: uses, logLines: lines }) => [
      plugin,
      versions.flatMap(({ hooks }) => hooks).reduce((sum, hook) => sum + hook.calls, 0),
      uses.map(({ uses: count }) => count),
      lines["warn"],
    ]);
    assert.deepEqual(
      new Map(sums.map(([plugin, ...rest]) => [plugin, rest])),
      new Map([
        ["stays", [1, [1], 1]],
        ["late", [1, [1], 1]],
        ["later", [1, [1], 1]],
        ["(others)", [5, [5], 5]],
      ]),
    );
  });

  it("counts plugins, hooks and hosts that it has no room for together", () => {
    const counted = telemetry({ maxPlugins: 2, maxHooks: 2, maxHosts: 2 });
    for (let at = 0; at < 10; at++) {
      calls.publish(callEvent({ plugin: `p${at}` }));
      calls.publish(callEvent({ plugin: "p0", hook: `h${at}` }));
      httpRequests.publish({ plugin: "p0", host: `host${at}`, method: "GET", durationMs: 1, requestBytes: 0, responseBytes: 0 });
    }
    const { plugins } = counted.snapshot();
    assert.deepEqual(
      plugins.map(({ plugin }) => plugin),
      ["p0", "p1", "(others)"],
    );
    assert.deepEqual(
      plugins[0]?.versions[0]?.hooks.map(({ hook, calls: count }) => [hook, count]),
      [
        ["", 1],
        ["h0", 1],
        ["(others)", 9],
      ],
    );
    assert.deepEqual(
      plugins[0]?.hosts.map(({ name, uses }) => [name, uses]),
      [
        ["host0", 1],
        ["host1", 1],
        ["(others)", 8],
      ],
    );
    assert.equal(plugins[2]?.versions[0]?.hooks[0]?.calls, 8);
    assert.match(counted.prometheus(), /^mortise_telemetry_overflow_total 8$/m);
  });

  it("counts sets of plugin, version and hook for which there is no room in all together", () => {
    const counted = telemetry({ maxSeries: 3, maxVersions: 1 });
    for (const hook of ["h1", "h2", "h3", "h4"]) calls.publish(callEvent({ hook }));
    calls.publish(callEvent({ plugin: "q", hook: "h1" }));
    const hooksOf = (plugin: string): unknown =>
      counted
        .snapshot()
        .plugins.find((each) => each.plugin === plugin)
        ?.versions.map(({ version, hooks }) => [version, hooks.map(({ hook, calls: count }) => [hook, count])]);
    assert.deepEqual(hooksOf("p"), [
      [
        "1",
        [
          ["h1", 1],
          ["h2", 1],
          ["h3", 1],
          ["(others)", 1],
        ],
      ],
    ]);
    assert.deepEqual(hooksOf("q"), [["1", [["(others)", 1]]]]);
    // What is counted as older takes the room of what it was.
    calls.publish(callEvent({ version: "2", hook: "h1" }));
    assert.deepEqual(hooksOf("p"), [
      ["2", [["(others)", 1]]],
      [
        "(older)",
        [
          ["h1", 1],
          ["h2", 1],
          ["h3", 1],
          ["(others)", 1],
        ],
      ],
    ]);
  });

  it("keeps the sums of versions that it no longer tells apart", () => {
    const counted = telemetry({ maxVersions: 3 });
    for (let version = 1; version <= 40; version++) {
      calls.publish(callEvent({ version: String(version), hook: "check", memoryBytes: version }));
      // Version 2 stays in use; the others are unloaded.
      if (version !== 2) lifecycles.publish(lifecycleEvent({ version: String(version), to: "unloaded" }));
    }
    const versions = counted.snapshot().plugins[0]?.versions ?? [];
    assert.deepEqual(versions.map(({ version }) => version).toSorted(), ["(older)", "2", "39", "40"].toSorted());
    assert.equal(
      versions.reduce((sum, { hooks }) => sum + (hooks[0]?.calls ?? 0), 0),
      40,
    );
    assert.equal(Math.max(...versions.map(({ memoryPeakBytes }) => memoryPeakBytes)), 40);
  });

  it("counts no more once it is closed, and nothing is listened for", () => {
    const counted = telemetry();
    calls.publish(callEvent());
    counted.close();
    calls.publish(callEvent());
    assert.equal(counted.snapshot().plugins[0]?.versions[0]?.hooks[0]?.calls, 1);
    assert.equal(calls.hasSubscribers, false);
  });

  it("refuses options that it does not know", () => {
    assert.throws(() => createTelemetry({ maxPlugin: 1 } as TelemetryOptions), { code: "MORTISE_INVALID_OPTION" });
    assert.throws(() => createTelemetry({ logLines: 0 }), { code: "MORTISE_INVALID_OPTION" });
    assert.equal(calls.hasSubscribers, false);
  });

  it("is not disturbed by what others publish", () => {
    const counted = telemetry();
    calls.publish(null as unknown as CallEvent);
    calls.publish(callEvent());
    assert.equal(counted.snapshot().plugins[0]?.versions[0]?.hooks[0]?.calls, 1);
  });
});
