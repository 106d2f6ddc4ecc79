// What every interface to plugins has in common, whatever the plugin is written against: one suite that all of them run.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";

import type { Permissions } from "../../src/api/permissions.ts";
import { type ServiceProvider, type ServiceTable, type ServiceValue } from "../../src/api/services.ts";
import { MortiseError, type Plugin, type PluginOptions, loadPlugin } from "../../src/index.ts";
import { sha256 } from "../../src/native/grants.ts";
import { createServices } from "../../src/services/create-services.ts";

const GUESTS = join(import.meta.dirname, "..", "..", "guests");

/** An interface, and what it is tested with. */
export interface AbiUnderTest {
  readonly abi: Plugin["abi"];
  /** File with the functions of guests/c/linear_fixtures.h, relative to the guests. */
  readonly fixtures: string;
  /** What a plugin's memory and globals do from one call to the next. */
  readonly state: "kept" | "fresh";
  /** A call that fails by the plugin's own decision, and the code of that. */
  readonly failure: { readonly function: string; readonly input: string; readonly code: string; readonly message: RegExp };
  /** Cases that make no sense here, with the reason. */
  readonly skips: Readonly<Partial<Record<CaseName, string>>>;
}

type CaseName = "memory" | "fuel" | "timeout of a computation" | "trap" | "pointer";

/** Where the plugins of one run live. */
export type Place = "inline" | "thread" | "process";

const GRANTED: Permissions = { kv: "read-write", clock: true };
const encoder = new TextEncoder();

/** Services of which some functions are replaced. */
function servicesWith(t: TestContext, replace: (table: ServiceTable) => ServiceTable = () => ({})): ServiceProvider {
  const services = createServices({ clock: () => 1_700_000_000_123 });
  t.after(() => services.close());
  return {
    forPlugin(scope) {
      const table = (services as ServiceProvider).forPlugin(scope);
      return { ...table, ...replace(table) };
    },
  };
}

/** `kv_get` with another work, which may wait. */
function kvGet(run: (key: string, signal: AbortSignal) => ServiceValue | Promise<ServiceValue>): (table: ServiceTable) => ServiceTable {
  return ({ kv_get }) => {
    assert.ok(kv_get);
    return { kv_get: { ...kv_get, waits: true, run: ({ signal }, key) => run(String(key), signal) } };
  };
}

/** Runs the suite for an interface. */
export function testAbi(under: AbiUnderTest, place: Place): void {
  const path = join(GUESTS, under.fixtures);
  const inline = place === "inline";

  async function open(t: TestContext, options: PluginOptions = {}): Promise<Plugin> {
    const native = under.abi === "native" ? { native: [{ path, digest: sha256(readFileSync(path)) }] } : {};
    const plugin = await loadPlugin(path, {
      name: "guest",
      isolation: place,
      services: servicesWith(t),
      permissions: GRANTED,
      ...native,
      ...options,
    });
    t.after(() => plugin.close({ abort: true }));
    return plugin;
  }

  function skip(name: CaseName): string | false {
    return under.skips[name] ?? false;
  }

  describe(`plugin of ABI "${under.abi}", ${place}`, () => {
    it("is known by its interface, and exports what it can be called by", async (t) => {
      const plugin = await open(t);
      assert.equal(plugin.abi, under.abi);
      for (const fn of ["echo", "noop", "count"]) assert.ok(plugin.has(fn) && plugin.exports.includes(fn), fn);
      for (const fn of ["malloc", "free", "alloc", "dealloc", "memory", "toString", "__proto__"]) assert.equal(plugin.has(fn), false, fn);
      await assert.rejects(plugin.call("ecko"), { code: "MORTISE_UNKNOWN_FUNCTION" });
    });

    const inputs: readonly (readonly [what: string, input: string | Uint8Array | undefined])[] = [
      ["text", "Hello"],
      ["text beyond ASCII", "grüße 👋 \u0000 and on"],
      ["bytes that are no text", Uint8Array.of(0xff, 0, 0xc0, 0x80)],
      ["empty text", ""],
      ["nothing", undefined],
      ["a megabyte", "0123456789abcdef".repeat(1 << 16)],
    ];
    for (const [what, input] of inputs) {
      it(`gives ${what} back`, async (t) => {
        const plugin = await open(t);
        const expected = typeof input === "string" ? encoder.encode(input) : (input ?? new Uint8Array(0));
        for (const fn of ["echo", "same"]) {
          assert.deepEqual((await plugin.call(fn, input)).bytes(), Uint8Array.from(expected), fn);
          if (inline) assert.deepEqual(plugin.callSync(fn, input).bytes(), Uint8Array.from(expected), fn);
        }
      });
    }

    it("has no output where the plugin gives none", async (t) => {
      const plugin = await open(t);
      assert.equal((await plugin.call("noop", "input")).length, 0);
    });

    it(`has its state ${under.state} from call to call`, async (t) => {
      const plugin = await open(t);
      const counts = [];
      for (let call = 0; call < 3; call++) counts.push((await plugin.call("count")).text());
      assert.deepEqual(counts, under.state === "kept" ? ["1", "2", "3"] : ["1", "1", "1"]);
    });

    it("keeps outputs apart from what later calls do", async (t) => {
      const plugin = await open(t);
      const first = await plugin.call("echo", "first output");
      await plugin.call("echo", "second, and longer output");
      assert.equal(first.text(), "first output");
    });

    it("goes on after a failure of the plugin's own", async (t) => {
      const plugin = await open(t);
      const { function: fn, input, code, message } = under.failure;
      await assert.rejects(plugin.call(fn, input), { code, message });
      assert.equal((await plugin.call("echo", "next")).text(), "next");
      assert.equal(plugin.stats().errors[code as "MORTISE_GUEST_ERROR"], 1);
    });

    it("goes on with a new instance after a trap", { skip: skip("trap") }, async (t) => {
      const plugin = await open(t);
      await plugin.call("count");
      await assert.rejects(plugin.call("trap"), { code: "MORTISE_TRAP", message: /unreachable/ });
      assert.equal((await plugin.call("count")).text(), "1");
      assert.equal(plugin.stats().instances.discarded, 1);
    });

    it("is stopped at its deadline", { skip: skip("timeout of a computation") }, async (t) => {
      const plugin = await open(t);
      await assert.rejects(plugin.call("spin", "", { timeoutMs: 20 }), { code: "MORTISE_TIMEOUT", message: /deadline of 20 ms/ });
      assert.equal((await plugin.call("echo", "next")).text(), "next");
    });

    it("is stopped when its fuel is used up, and charged the same for the same work", { skip: skip("fuel") }, async (t) => {
      const plugin = await open(t, { limits: { fuel: 1_000_000 } });
      await assert.rejects(plugin.call("spin"), { code: "MORTISE_FUEL" });
      const used: number[] = [];
      for (let call = 0; call < 3; call++) {
        await plugin.call("many", "1000");
        used.push(plugin.stats().fuel.last);
      }
      assert.ok(used[0] !== undefined && used[0] >= 1000, String(used[0]));
      // The very first call may have to grow the memory.
      assert.equal(used[1], used[2]);
    });

    it("is stopped when it wants more memory than it may have", { skip: skip("memory") }, async (t) => {
      const plugin = await open(t, { limits: { memoryBytes: 4 << 20 } });
      await assert.rejects(plugin.call("grow", "8"), { code: "MORTISE_MEMORY_LIMIT", message: /4194304 bytes/ });
      assert.ok(plugin.stats().memory.peak <= 4 << 20);
      assert.equal((await plugin.call("echo", "next")).text(), "next");
    });

    it("may give as much as limits.outputBytes, and not a byte more", async (t) => {
      const plugin = await open(t, { limits: { outputBytes: 100 } });
      assert.equal((await plugin.call("many", "100")).length, 100);
      await assert.rejects(plugin.call("many", "101"), { code: "MORTISE_OUTPUT_LIMIT", message: /has 101 bytes, but limits.outputBytes allows 100/ });
      assert.equal((await plugin.call("echo", "next")).text(), "next");
    });

    it("fails for an output outside of its memory", { skip: skip("pointer") }, async (t) => {
      const plugin = await open(t);
      for (const address of ["4294967292", "4294967295", "2147483648", "1073741824"])
        await assert.rejects(plugin.call("anywhere", address), { code: "MORTISE_BAD_POINTER" }, address);
      assert.equal((await plugin.call("echo", "next")).text(), "next");
    });

    it("never mixes up calls that overlap", async (t) => {
      const waiting = servicesWith(
        t,
        kvGet(async (key) => {
          // The later a call comes, the sooner it is answered.
          for (let turn = Number(key); turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
          return encoder.encode(`value of ${key}`);
        }),
      );
      const plugin = await open(t, { services: waiting, stateless: true, pool: { maxInstances: 4 }, limits: { timeoutMs: 60_000 } });
      const keys = Array.from({ length: 20 }, (_none, index) => String(index));
      const calls = keys.flatMap((key) => [plugin.call("kv_read", key), plugin.call("echo", key)]);
      const outputs = (await Promise.all(calls)).map((output) => output.text());
      assert.deepEqual(
        outputs,
        keys.flatMap((key) => [`value of ${key}`, key]),
      );
    });

    it("reaches what it was granted", async (t) => {
      const plugin = await open(t);
      assert.equal((await plugin.call("kv_read", "count")).text(), "nothing");
      assert.equal((await plugin.call("kv_bump")).text(), "1");
      assert.equal((await plugin.call("kv_bump")).text(), "2");
      assert.equal((await plugin.call("kv_read", "count")).text(), "2");
      assert.equal((await plugin.call("clock")).text(), "1700000000123");
      if (inline) assert.equal(plugin.callSync("kv_bump").text(), "3");
    });

    it("reaches nothing else: what is denied stops the call, and says what would grant it", async (t) => {
      const plugin = await open(t, { permissions: { kv: "read" } });
      const denied = (what: RegExp): object => ({ code: "MORTISE_PERMISSION", message: what });
      assert.equal((await plugin.call("kv_read", "count")).text(), "nothing");
      await assert.rejects(plugin.call("kv_bump"), denied(/kv = "read-write"/));
      await assert.rejects(plugin.call("clock"), denied(/clock = true/));
      assert.equal((await plugin.call("echo", "next")).text(), "next");
    });

    it("logs through the host, with its text made safe", async (t) => {
      const lines: string[] = [];
      const nothing = (): void => {};
      const logger = { trace: nothing, debug: nothing, info: (text: string) => void lines.push(text), warn: nothing, error: nothing };
      const plugin = await open(t, { logger });
      assert.equal((await plugin.call("sink", "one\ntwo")).length, 0);
      assert.deepEqual(lines, ["one\\ntwo"]);
    });

    it("waits for a service that waits, but not in callSync", async (t) => {
      const plugin = await open(t, {
        services: servicesWith(
          t,
          kvGet(async (key) => encoder.encode(`late ${key}`)),
        ),
      });
      assert.equal((await plugin.call("kv_read", "k")).text(), "late k");
      if (!inline) return;
      assert.throws(() => plugin.callSync("kv_read", "k"), { code: "MORTISE_ASYNC_HOST_FUNCTION" });
      assert.equal((await plugin.call("kv_read", "again")).text(), "late again");
    });

    it("fails with the error of a service, whether that failed at once or later", async (t) => {
      const failing = kvGet((key) => {
        const error = new MortiseError("MORTISE_STORE_UNAVAILABLE", { store: "test", reason: "it is gone" });
        if (key === "now") throw error;
        return Promise.reject(error);
      });
      const plugin = await open(t, { services: servicesWith(t, failing) });
      for (const key of ["now", "later"]) await assert.rejects(plugin.call("kv_read", key), { code: "MORTISE_STORE_UNAVAILABLE" }, key);
      assert.equal((await plugin.call("echo", "next")).text(), "next");
    });

    for (const [what, code] of [
      ["at its deadline", "MORTISE_TIMEOUT"],
      ["when its caller aborts", "MORTISE_ABORTED"],
      ["when the plugin is closed", "MORTISE_CLOSED"],
    ] as const) {
      it(`is given up ${what} while it waits, and the service is told`, async (t) => {
        const told = Promise.withResolvers<void>();
        const asked = Promise.withResolvers<void>();
        const services = servicesWith(
          t,
          kvGet((_key, signal) => {
            signal.addEventListener("abort", () => told.resolve());
            asked.resolve();
            return new Promise(() => {});
          }),
        );
        const plugin = await open(t, { services });
        const controller = new AbortController();
        const timeoutMs = code === "MORTISE_TIMEOUT" ? 20 : 60_000;
        const call = plugin.call("kv_read", "k", { timeoutMs, signal: controller.signal });
        const ended = assert.rejects(call, { code });
        await asked.promise;
        if (code === "MORTISE_ABORTED") controller.abort(new Error("changed my mind"));
        if (code === "MORTISE_CLOSED") await plugin.close({ abort: true });
        await ended;
        await told.promise;
        if (code !== "MORTISE_CLOSED") assert.equal((await plugin.call("echo", "next")).text(), "next");
      });
    }

    it("lets calls come to their end when it is closed, and takes no more", async (t) => {
      const answer = Promise.withResolvers<Uint8Array>();
      const asked = Promise.withResolvers<void>();
      const services = servicesWith(
        t,
        kvGet(() => {
          asked.resolve();
          return answer.promise;
        }),
      );
      const plugin = await open(t, { services, limits: { timeoutMs: 60_000 } });
      const call = plugin.call("kv_read", "k");
      await asked.promise;
      const closed = plugin.close();
      await assert.rejects(plugin.call("echo", "late"), { code: "MORTISE_CLOSED" });
      answer.resolve(encoder.encode("in time"));
      assert.equal((await call).text(), "in time");
      await closed;
      assert.equal(plugin.stats().instances.live, 0);
    });
  });
}
