// Places of plugins: how calls end, what survives, what is replaced, how many there are, and that nothing is left.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, describe, it } from "node:test";

import { type CallContext, type MortiseError, type Plugin, type PluginOptions, loadPlugin } from "../../src/index.ts";
import { resolveLimits } from "../../src/api/limits.ts";
import { configureIsolation, placeCounts } from "../../src/isolation/places.ts";
import { createRemoteRunners } from "../../src/isolation/remote-runner.ts";
import { assembleText } from "../wasm/assemble.ts";
import { childProcesses, openDescriptors, threads, until } from "./children.ts";
import { REFLECTOR, prebuilt, wat } from "./guests.ts";

const PLACES = ["thread", "process"] as const;
type Place = (typeof PLACES)[number];
const LIMITS = { thread: "threads", process: "processes" } as const;

afterEach(async () => {
  configureIsolation({ threads: 64, processes: 32, spare: true });
  await until(() => placeCounts().thread + placeCounts().process === 0);
});

const fixtures = (isolation: Place, options: PluginOptions = {}): Promise<Plugin> =>
  loadPlugin(prebuilt("fixtures.c"), { name: "guest", isolation, hostFunctions: { "extism:host/user": { host_reflect: () => 0n } }, ...options });

/** A guest whose host function is `work`. */
async function reflector(isolation: Place, work: (context: CallContext, address: bigint) => unknown, options: PluginOptions = {}): Promise<Plugin> {
  return loadPlugin(await wat(REFLECTOR)(), { name: "guest", isolation, hostFunctions: { host: { work: work as never } }, ...options });
}

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "",
    (error: MortiseError) => error.code,
  );

for (const isolation of PLACES) {
  describe(`Plugin.call in a ${isolation}`, () => {
    it("ends with MORTISE_ABORTED while the guest computes, and the next call works", async () => {
      await using plugin = await fixtures(isolation);
      await plugin.call("var_bump");
      const controller = new AbortController();
      const reason = new Error("no longer needed");
      const call = plugin.call("spin", "", { signal: controller.signal, timeoutMs: 60_000 });
      setImmediate(() => controller.abort(reason));
      await assert.rejects(call, { code: "MORTISE_ABORTED", cause: reason });
      assert.equal((await plugin.call("var_bump", "", { timeoutMs: 20_000 })).text(), "2");
      assert.deepEqual([plugin.stats().instances.created, plugin.stats().instances.discarded], [2, 1]);
    });

    it("ends with MORTISE_ABORTED while it waits for a host function, whose late answer goes nowhere", async () => {
      const answers: ((value: bigint) => void)[] = [];
      let asked = (): void => {};
      await using plugin = await reflector(isolation, () => new Promise<bigint>((resolve) => (answers.push(resolve), asked())));
      const controller = new AbortController();
      asked = () => controller.abort();
      assert.equal(await codeOf(plugin.call("f", "first", { signal: controller.signal, timeoutMs: 60_000 })), "MORTISE_ABORTED");
      answers[0]?.(999n);
      asked = () => answers[1]?.(0n);
      assert.equal((await plugin.call("f", "second", { timeoutMs: 20_000 })).text(), "");
      assert.equal(placeCounts()[isolation] >= 1, true);
    });

    it("leaves a host function that works on with a context of no use", async () => {
      let late: (() => void) | undefined;
      const used: string[] = [];
      await using plugin = await reflector(isolation, (context, address) => {
        late = () => {
          for (const use of [() => context.read(address), () => context.store("x"), () => context.getVariable("v"), () => context.signal]) {
            try {
              use();
              used.push("worked");
            } catch (error) {
              used.push((error as MortiseError).code);
            }
          }
        };
        return address;
      });
      await plugin.call("f", "x");
      late?.();
      assert.deepEqual(used, ["MORTISE_STALE_CONTEXT", "MORTISE_STALE_CONTEXT", "MORTISE_STALE_CONTEXT", "MORTISE_STALE_CONTEXT"]);
    });

    it("that is running when the plugin is closed ends with MORTISE_CLOSED, and close waits for the place to be gone", async () => {
      const plugin = await fixtures(isolation);
      const call = codeOf(plugin.call("spin", "", { timeoutMs: 60_000 }));
      await plugin.close({ abort: true });
      assert.equal(await call, "MORTISE_CLOSED");
      await until(() => placeCounts()[isolation] === 0);
    });

    it("runs in as many places as the pool allows at once, for a plugin without state", async () => {
      let arrived = 0;
      let letGo = (): void => {};
      const all = new Promise<void>((resolve) => (letGo = resolve));
      await using plugin = await reflector(
        isolation,
        async (_context, address) => {
          // Nobody gets on before three are here: one place alone would wait for ever.
          if (++arrived === 3) letGo();
          await all;
          return address;
        },
        { stateless: true, pool: { maxInstances: 3 }, limits: { timeoutMs: 60_000, initTimeoutMs: 60_000 } },
      );
      const outputs = await Promise.all(["a", "b", "c", "d"].map((input) => plugin.call("f", input)));
      assert.deepEqual(
        outputs.map((output) => output.text()),
        ["a", "b", "c", "d"],
      );
      assert.equal(plugin.stats().instances.created, 3);
    });

    it("sees the variables that calls in other places have set", async () => {
      const order: (() => void)[] = [];
      await using plugin = await reflector(
        isolation,
        async (context, address) => {
          const text = context.readText(address);
          if (text === "hold") await new Promise<void>((resolve) => order.push(resolve));
          else if (text === "set") context.setVariable("v", "from another place");
          return context.store(context.getVariable("v") ?? "none");
        },
        { stateless: true, pool: { maxInstances: 2 }, limits: { timeoutMs: 60_000, initTimeoutMs: 60_000 } },
      );
      const held = plugin.call("f", "hold");
      await until(() => order.length === 1);
      assert.equal((await plugin.call("f", "set")).text(), "from another place");
      order[0]?.();
      assert.equal((await held).text(), "from another place");
      assert.equal((await plugin.call("f", "get")).text(), "from another place");
    });

    it("leaves nothing behind after many were ended by force", async () => {
      const round = async (): Promise<void> => {
        const plugin = await fixtures(isolation);
        for (let time = 0; time < 4; time++) assert.equal(await codeOf(plugin.call("spin", "", { timeoutMs: 20 })), "MORTISE_TIMEOUT");
        const call = codeOf(plugin.call("spin", "", { timeoutMs: 60_000 }));
        await plugin.close({ abort: true });
        assert.equal(await call, "MORTISE_CLOSED");
        await until(() => placeCounts()[isolation] === 0);
      };
      await round();
      await until(() => childProcesses().length === 0);
      const [descriptors, threadCount, resources] = [openDescriptors(), threads(), process.getActiveResourcesInfo().length];
      for (let time = 0; time < 3; time++) await round();
      await until(() => childProcesses().length === 0 && threads() <= threadCount && openDescriptors() <= descriptors);
      await until(() => process.getActiveResourcesInfo().length <= resources);
    });
  });

  describe(`configureIsolation for a ${isolation}`, () => {
    it("caps places of all plugins with MORTISE_WORKER_LIMIT, and room comes back", async () => {
      configureIsolation({ [LIMITS[isolation]]: 1 });
      const first = await fixtures(isolation);
      await assert.rejects(fixtures(isolation, { name: "second" }), {
        code: "MORTISE_WORKER_LIMIT",
        message: `Cannot start a ${isolation} for plugin "second": 1 run already; close plugins, run some inline, or raise ${LIMITS[isolation]} with configureIsolation`,
      });
      assert.equal((await first.call("globals")).text(), "1");
      await first.close();
      await using second = await fixtures(isolation, { name: "second" });
      assert.equal((await second.call("globals")).text(), "1");
    });

    it("lets a place be replaced at the cap", async () => {
      configureIsolation({ [LIMITS[isolation]]: 1 });
      await using plugin = await fixtures(isolation, { limits: { timeoutMs: 20_000 } });
      const controller = new AbortController();
      const call = codeOf(plugin.call("spin", "", { signal: controller.signal }));
      setImmediate(() => controller.abort());
      assert.equal(await call, "MORTISE_ABORTED");
      assert.equal((await plugin.call("globals")).text(), "1");
    });

    it("keeps one more place ready while a plugin uses the kind, and none after", async () => {
      const plugin = await fixtures(isolation);
      await until(() => placeCounts()[isolation] === 2);
      // The spare place takes the room of nobody who needs it.
      configureIsolation({ [LIMITS[isolation]]: 2 });
      const second = await fixtures(isolation, { name: "second" });
      assert.equal(placeCounts()[isolation], 2);
      await Promise.all([plugin.close(), second.close()]);
      await until(() => placeCounts()[isolation] === 0);
    });
  });
}

describe("configureIsolation", () => {
  for (const [name, value] of [
    ["threads", -1],
    ["threads", 1.5],
    ["processes", Number.NaN],
    ["processes", "3"],
  ] as const) {
    it(`refuses ${String(value)} ${name} with MORTISE_INVALID_OPTION`, () => {
      assert.throws(() => configureIsolation({ [name]: value as number }), { code: "MORTISE_INVALID_OPTION" });
    });
  }
});

describe("createRemoteRunners", () => {
  it("starts nothing for a caller whose time is over", async () => {
    const runners = createRemoteRunners("process", { state: { name: "guest", limits: resolveLimits() }, modules: [] } as never);
    await assert.rejects(runners.create(-40), { code: "MORTISE_TIMEOUT" });
    assert.equal(placeCounts().process, 0);
    await runners.close();
  });
});

describe("A plugin's thread", () => {
  it("goes on after a call that was ended, however it was", async () => {
    configureIsolation({ spare: false });
    let started = 0;
    const count = (): void => void started++;
    process.on("worker", count);
    await using plugin = await reflector("thread", (_context, address) => (address === 0n ? new Promise(() => {}) : address), {
      limits: { timeoutMs: 30 },
    });
    assert.equal(await codeOf(plugin.call("f")), "MORTISE_TIMEOUT", "it waited for the host");
    assert.equal(await codeOf(plugin.call("f_then_spin", "x")), "MORTISE_TIMEOUT", "it computed");
    // An instance is there, so that the next call begins at once.
    await plugin.call("f", "x", { timeoutMs: 20_000 });
    const controller = new AbortController();
    const call = codeOf(plugin.call("spin", "", { signal: controller.signal, timeoutMs: 60_000 }));
    setImmediate(() => controller.abort());
    assert.equal(await call, "MORTISE_ABORTED");
    assert.equal((await plugin.call("f", "fine", { timeoutMs: 20_000 })).text(), "fine");
    process.off("worker", count);
    assert.equal(started, 1);
  });
});

describe("A plugin's process", () => {
  it("that is killed fails the call that runs with MORTISE_ISOLATION_LOST; the next one has another, and the variables", async () => {
    configureIsolation({ spare: false });
    await using plugin = await fixtures("process", { limits: { timeoutMs: 60_000 } });
    await plugin.call("var_bump");
    const call = codeOf(plugin.call("spin"));
    for (const pid of childProcesses()) process.kill(pid, "SIGKILL");
    assert.equal(await call, "MORTISE_ISOLATION_LOST");
    assert.equal((await plugin.call("var_bump")).text(), "2");
  });

  it("that is killed while nobody calls is replaced before the next call", async () => {
    configureIsolation({ spare: false });
    await using plugin = await fixtures("process", { limits: { timeoutMs: 60_000 } });
    await plugin.call("var_bump");
    const [killed] = childProcesses();
    assert.ok(killed !== undefined);
    process.kill(killed, "SIGKILL");
    // Another is started as soon as the loss is noticed.
    await until(() => childProcesses().some((pid) => pid !== killed));
    assert.equal((await plugin.call("var_bump")).text(), "2");
    assert.equal(plugin.stats().failures, 0);
  });

  // What gc-array fills is garbage at once: it goes on for as long as it may.
  const bombs = [
    ["gc-struct", 5000],
    ["gc-array", 1000],
    ["gc-exception-chain", 5000],
  ] as const;
  for (const [name, timeoutMs] of bombs) {
    it(`contains what fills the garbage-collected heap: ${name}`, async () => {
      const text = readFileSync(new URL(`../attacks/corpus/${name}.wat`, import.meta.url), "utf8");
      const bytes = await assembleText(name, text);
      await assert.rejects(loadPlugin(bytes, { isolation: "thread" }), { code: "MORTISE_GC_HEAP" });
      await using plugin = await loadPlugin(bytes, { isolation: "process", limits: { timeoutMs: 10_000, initTimeoutMs: 20_000 } });
      assert.match(await codeOf(plugin.call("attack", "", { timeoutMs })), /^MORTISE_(MEMORY_LIMIT|TIMEOUT)$/);
      assert.equal((await plugin.call("ok")).text(), "ok");
    });
  }
});
