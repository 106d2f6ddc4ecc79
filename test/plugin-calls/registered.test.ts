// Plugins that register others and call them by number: whose the numbers are, how many there may be, and when they go.

import assert from "node:assert/strict";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";

import type { HookDefinitions } from "../../src/hooks/definition.ts";
import { instanceCount } from "../../src/host/instance-cap.ts";
import type { Plugin } from "../../src/host/plugin.ts";
import { createHost } from "../../src/manager/create-host.ts";
import type { PluginCallOptions, PluginLookup } from "../../src/manager/plugin-calls/options.ts";
import { SPIN, TRAP, guest } from "../hooks/guests.ts";
import { assembleText } from "../wasm/assemble.ts";
import { type CallsHost, failureOf, message, openHost, prebuilt } from "./plugins.ts";

/** Modules by name, for a host of the test's own. */
function lookupOf(modules: Readonly<Record<string, Uint8Array<ArrayBuffer>>>): PluginLookup {
  return (name) => (Object.hasOwn(modules, name) ? modules[name] : undefined);
}

async function open(options: PluginCallOptions = {}): Promise<CallsHost> {
  const lookup = lookupOf({ echo: await prebuilt("echo.c"), registers: await prebuilt("registers.c"), bad: new Uint8Array([1, 2, 3]) });
  return openHost({ lookup, ...options });
}

async function loadOwner(host: CallsHost, name: string, options = {}): Promise<Plugin> {
  return host.plugins.load(await prebuilt("registers.c"), { name, ...options });
}

/** A number, and what to call with it. */
function use(id: Uint8Array, fn: string, input: string): Uint8Array {
  return Buffer.concat([id, Buffer.from(`${fn}\n${input}`)]);
}

describe("register_plugin, call_plugin and free_plugin", () => {
  for (const name of ["registers.c", "registers.ts"]) {
    for (const isolation of ["inline", "thread"] as const) {
      it(`serve a guest that is written for them (${name}, ${isolation})`, async () => {
        await using host = await open();
        const plugin = await host.plugins.load(await prebuilt(name), { name: "owner", isolation, limits: { timeoutMs: 60_000 } });
        for (const input of ["", "one", "x".repeat(50_000)]) assert.equal((await plugin.call("call", message("echo", "echo", input))).text(), input);
      });
    }
  }

  it("keep a registered plugin between calls, and its number for its owner alone", async () => {
    await using host = await open();
    const [first, second] = [await loadOwner(host, "first"), await loadOwner(host, "second")];
    const id = (await first.call("hold", "echo")).bytes();
    assert.equal((await first.call("use", use(id, "echo", "again"))).text(), "again");
    for (const wrong of [id, new Uint8Array(8), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), new Uint8Array(8).fill(255)]) {
      for (const fn of ["use", "release"]) {
        const { code, details } = await failureOf(second.call(fn, fn === "use" ? use(wrong, "echo", "mine now") : wrong));
        assert.deepEqual([code, details["kind"]], ["MORTISE_PLUGIN_REGISTRATION", "unknown"]);
      }
    }
    assert.equal((await first.call("use", use(id, "echo", "still mine"))).text(), "still mine");
    await first.call("release", id);
    assert.equal((await failureOf(first.call("use", use(id, "echo", "gone")))).details["kind"], "unknown");
  });

  it("give numbers that nobody can guess from others", async () => {
    await using host = await open();
    const owner = await loadOwner(host, "owner");
    const ids = await Promise.all([1, 2, 3].map(async () => Buffer.from((await owner.call("hold", "echo")).bytes()).readBigInt64LE()));
    assert.equal(new Set(ids.map((id) => id >> 24n)).size, 3);
    assert.ok(ids.every((id) => id > 0n));
  });

  it("let a plugin hold so many, those that these register included, until it frees some", async () => {
    await using host = await open({ maxRegistered: 3 });
    const owner = await loadOwner(host, "owner");
    const id = (await owner.call("hold", "registers")).bytes();
    await owner.call("use", use(id, "hold", "echo"));
    const last = (await owner.call("hold", "echo")).bytes();
    for (const work of [owner.call("hold", "echo"), owner.call("use", use(id, "hold", "echo"))])
      assert.match((await failureOf(work)).message, /3 plugins are registered already, which is as many as maxRegistered allows/);
    await owner.call("release", last);
    await owner.call("hold", "echo");
    // Another plugin has its own.
    await (await loadOwner(host, "other")).call("hold", "echo");
  });

  it("stop a flood, and go with their owner", async () => {
    const before = instanceCount().live;
    const host = await open({ maxRegistered: 4 });
    const owner = await loadOwner(host, "owner", { limits: { timeoutMs: 60_000 } });
    const { code, details } = await failureOf(owner.call("flood", "echo"));
    assert.deepEqual([code, details["kind"]], ["MORTISE_PLUGIN_REGISTRATION", "limit"]);
    // The flood's instance was discarded; what it registered belongs to the plugin.
    assert.equal(instanceCount().live - before, 4);
    await host.plugins.unload("owner");
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(instanceCount().live, before);
    await host.close();
  });

  it("cost fuel, so that registering and freeing in a loop ends", async () => {
    await using host = await open();
    const owner = await loadOwner(host, "owner", { limits: { fuel: 3_500_000, timeoutMs: 60_000 } });
    const loop = async (): Promise<number> => {
      await owner.call("call", message("echo", "noop"));
      return owner.stats().fuel.last;
    };
    assert.ok((await loop()) >= 1_000_000);
    assert.equal((await failureOf(owner.call("flood", "echo"))).code, "MORTISE_FUEL");
  });

  it("say why a plugin cannot be registered, and count nothing then", async () => {
    await using host = await open({ maxRegistered: 1 });
    const owner = await loadOwner(host, "owner");
    for (const [name, kind] of [
      ["gone", "unknown"],
      ["constructor", "unknown"],
      ["bad", "load"],
    ] as const) {
      const { code, details, message: text } = await failureOf(owner.call("hold", name));
      assert.deepEqual([code, details["kind"]], ["MORTISE_PLUGIN_REGISTRATION", kind]);
      assert.ok(text.startsWith(`Stopped function "hold" of plugin "owner": it cannot register "${name}": `), text);
    }
    await owner.call("hold", "echo");
  });

  it("keep the memory of a registered plugin within 5 pages, if nothing else is said", async () => {
    const big = await assembleText("big", '(module (memory 6) (func (export "f")))');
    const grows = await assembleText(
      "grows",
      '(module (memory 1) (func (export "f") (if (i32.eq (memory.grow (i32.const 4)) (i32.const -1)) (then unreachable))))',
    );
    const lookup = lookupOf({ big, grows });
    for (const [registered, ends] of [
      [{}, ["load", "MORTISE_MEMORY_LIMIT"]],
      [{ limits: { memoryBytes: 10 * 65_536 } }, ["done", "done"]],
    ] as const) {
      await using host = await openHost({ lookup, registered });
      const owner = await loadOwner(host, "owner");
      const end = (work: Promise<unknown>): Promise<unknown> => work.then(() => "done", ({ details }) => details.kind ?? details.code); // prettier-ignore
      assert.deepEqual([await end(owner.call("call", message("big", "f"))), await end(owner.call("call", message("grows", "f")))], ends);
    }
  });

  it("grant a registered plugin nothing of what its owner may do", async () => {
    const lookup = lookupOf({ calls: await prebuilt("calls.c") });
    await using host = await openHost({ lookup });
    await host.plugins.load(await prebuilt("echo.c"), { name: "echo" });
    const owner = await loadOwner(host, "owner", { permissions: { call: ["echo:*"] } });
    const { details } = await failureOf(owner.call("call", message("calls", "call", message("echo", "echo", "x"))));
    assert.deepEqual([details["code"], details["called"]], ["MORTISE_PERMISSION", "owner/calls"]);
  });

  it("name both plugins where a call fails, and bound it by the owner's deadline", async () => {
    await using host = await openHost({ lookup: lookupOf({ wild: await guest({ trap: TRAP, spin: SPIN }) }), registered: { limits: { memoryBytes: 1 << 20, timeoutMs: 60_000 } } }); // prettier-ignore
    const owner = await loadOwner(host, "owner", { limits: { timeoutMs: 100 } });
    const error = await failureOf(owner.call("call", message("wild", "trap")));
    assert.match(
      error.message,
      /^Stopped function "call" of plugin "owner": its call of function "trap" of plugin "owner\/wild" failed: .*unreachable/,
    );
    const late = await failureOf(owner.call("call", message("wild", "spin")));
    assert.ok(late.code === "MORTISE_TIMEOUT" || late.details["code"] === "MORTISE_TIMEOUT", late.message);
  });

  it("count for the limits of the host", async () => {
    const page = 65_536;
    const grows = await assembleText("grows", '(module (memory 1) (func (export "f") (drop (memory.grow (i32.const 2)))))');
    const lookup = lookupOf({ grows });
    for (const [limits, instances] of [
      [{ instances: 3 }, 3],
      [{ memoryBytes: 9 * page }, 2],
    ] as const) {
      const { live } = instanceCount();
      await using host = await createHost<HookDefinitions>({ hooks: {}, pluginCalls: { lookup }, limits });
      const owner = await loadOwner(host, "owner");
      const hold = async (): Promise<Uint8Array> => {
        const id = (await owner.call("hold", "grows")).bytes();
        await owner.call("use", use(id, "f", ""));
        return id;
      };
      const ids: Uint8Array[] = [];
      for (let time = 0; time < 10; time++) ids.push(await hold());
      // The owner, and the last ones that it has registered.
      assert.equal(instanceCount().live - live, instances, JSON.stringify(limits));
      for (const id of ids) await owner.call("release", id);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(instanceCount().live - live, 1);
    }
    await using host = await createHost<HookDefinitions>({ hooks: {}, pluginCalls: { lookup }, limits: { instances: 1 } });
    const { live } = instanceCount();
    const { details } = await failureOf((await loadOwner(host, "owner")).call("hold", "grows"));
    assert.match(String(details["reason"]), /limits.instances allows 1$/);
    assert.equal(instanceCount().live, live, "nothing is left of it, nor of the instance that asked for it");
  });

  it("wait for a share of the thread's time of their own", async () => {
    const clock = { now: 0 };
    const busy = await assembleText("busy", '(module (import "extism:host/user" "busy" (func $busy)) (func (export "f") (call $busy)))');
    const registered = { hostFunctions: { "extism:host/user": { busy: () => void (clock.now += 150) } } };
    const options = { pluginCalls: { lookup: lookupOf({ busy }), registered }, limits: { cpuShare: 0.1 } };
    await using host = await createHost<HookDefinitions>({ hooks: {}, ...options, clock: () => clock.now });
    const owner = await loadOwner(host, "owner", { limits: { sliceMs: Number.POSITIVE_INFINITY } });
    const id = (await owner.call("hold", "busy")).bytes();
    await owner.call("use", use(id, "f", ""));
    const controller = new AbortController();
    const waiting = failureOf(owner.call("use", use(id, "f", ""), { signal: controller.signal }));
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await waiting;
    assert.equal(clock.now, 150, "it was not called again");
  });

  it("are not there without a lookup", async () => {
    await using host = await openHost();
    assert.equal((await failureOf(loadOwner(host, "owner"))).code, "MORTISE_MISSING_IMPORT");
  });
});

describe("A lookup in a folder", () => {
  async function folder(t: TestContext): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), "plugin-calls-"));
    t.after(() => rm(path, { recursive: true, force: true }));
    return path;
  }

  it("finds files of the folder, and nothing else", async (t) => {
    const path = await folder(t);
    const echo = await prebuilt("echo.c");
    await writeFile(join(path, "echo.wasm"), echo);
    await writeFile(join(path, ".hidden.wasm"), echo);
    await using host = await openHost({ lookup: path });
    const owner = await loadOwner(host, "owner");
    for (const name of ["echo", "echo.wasm"]) assert.equal((await owner.call("call", message(name, "echo", name))).text(), name);
    for (const name of ["gone", ".hidden", "../echo", "./echo", `${path}/echo`, "a/../echo", "echo\0"])
      assert.equal((await failureOf(owner.call("hold", name))).details["kind"], "unknown", name);
  });

  it("follows links, which whoever owns the folder has set", async (t) => {
    const path = await folder(t);
    await symlink(new URL("../../guests/prebuilt/echo.c.wasm", import.meta.url).pathname, join(path, "linked.wasm"));
    await using host = await openHost({ lookup: path });
    assert.equal((await (await loadOwner(host, "owner")).call("call", message("linked", "echo", "x"))).text(), "x");
  });
});

describe("Options of calls", () => {
  const wrong: readonly (readonly [options: unknown, option: string])[] = [
    [5, "pluginCalls"],
    [{ depth: 3 }, "pluginCalls.depth"],
    [{ maxDepth: 0 }, "pluginCalls.maxDepth"],
    [{ maxDepth: 65 }, "pluginCalls.maxDepth"],
    [{ maxPending: 1.5 }, "pluginCalls.maxPending"],
    [{ maxRegistered: "3" }, "pluginCalls.maxRegistered"],
    [{ lookup: 5 }, "pluginCalls.lookup"],
    [{ registered: null }, "pluginCalls.registered"],
  ];
  for (const [options, option] of wrong) {
    it(`are refused if they make no sense: ${JSON.stringify(options)}`, async () => {
      const { code, details } = await failureOf(openHost(options as PluginCallOptions));
      assert.deepEqual([code, details["option"]], ["MORTISE_INVALID_OPTION", option]);
    });
  }

  it("of a plugin are refused if they name no function", async () => {
    await using host = await openHost();
    for (const call of ["echo:*", [5], ["echo"], [":f"], ["echo:"]]) {
      const error = await failureOf(host.plugins.load(await prebuilt("echo.c"), { permissions: { call: call as string[] } }));
      assert.deepEqual([error.code, error.details["option"]], ["MORTISE_INVALID_OPTION", "permissions.call"], JSON.stringify(call));
    }
  });
});
