// What real plugins, hooks, services and requests publish.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { createServer } from "node:http";
import { describe, it } from "node:test";

import {
  CHANNELS,
  type CallEvent,
  type DecisionEvent,
  type HttpEvent,
  type LogEvent,
  type RunEvent,
  type ServiceEvent,
} from "../../src/api/channels.ts";
import { hook } from "../../src/hooks/definition.ts";
import { loadPlugin } from "../../src/index.ts";
import { createHost } from "../../src/manager/create-host.ts";
import { createServices } from "../../src/services/create-services.ts";
import { createHttpService } from "../../src/services/http/http-service.ts";
import { PAUSE_MODULE, action, guest } from "../hooks/guests.ts";
import { assembleText } from "../wasm/assemble.ts";

/** Collects what is published on a channel while some work runs. */
async function published<Event>(name: string, work: () => unknown): Promise<Event[]> {
  const events: Event[] = [];
  const listen = (event: unknown): void => void events.push(event as Event);
  subscribe(name, listen);
  try {
    await work();
  } finally {
    unsubscribe(name, listen);
  }
  return events;
}

/** A clock that goes on by 1 ms each time it is read. */
function ticking(): () => number {
  let at = 0;
  return () => at++;
}

describe("mortise:call", () => {
  it("has a call's use of time, fuel, memory and bytes", async () => {
    await using plugin = await loadPlugin(await guest({ run: "four" }), { name: "p", version: "7" });
    const events = await published<CallEvent>(CHANNELS.call, async () => {
      await plugin.call("run", "input");
      plugin.callSync("run", "in");
      await assert.rejects(plugin.call("none"));
    });
    const { fuel } = plugin.stats();
    assert.equal(events.length, 3);
    const [first, second, third] = events as [CallEvent, CallEvent, CallEvent];
    assert.deepEqual(
      [first.plugin, first.version, first.function, first.inputBytes, first.outputBytes, first.error],
      ["p", "7", "run", 5, 4, undefined],
    );
    assert.deepEqual([second.inputBytes, second.outputBytes], [2, 4]);
    assert.equal(first.fuel + second.fuel, fuel.total);
    assert.ok(first.memoryBytes >= 2 * 65_536 && first.durationMs >= 0 && first.queueMs >= 0);
    assert.deepEqual([third.function, third.error, third.fuel, third.memoryBytes], ["none", "MORTISE_UNKNOWN_FUNCTION", 0, 0]);
    assert.ok(!("hook" in first) && !("request" in first));
  });

  it("has the code of each failure", async () => {
    await using plugin = await loadPlugin(await guest({ trap: "trap!", spin: "spin!", fail: { error: "no" } }), { limits: { fuel: 100_000 } });
    const events = await published<CallEvent>(CHANNELS.call, async () => {
      for (const fn of ["trap", "spin", "fail"]) {
        await assert.rejects(plugin.call(fn));
        assert.throws(() => plugin.callSync(fn));
      }
    });
    assert.deepEqual(
      events.map(({ error }) => error),
      ["MORTISE_TRAP", "MORTISE_TRAP", "MORTISE_FUEL", "MORTISE_FUEL", "MORTISE_GUEST_ERROR", "MORTISE_GUEST_ERROR"],
    );
    assert.deepEqual(Object.fromEntries(Object.entries(plugin.stats().errors)), { MORTISE_TRAP: 2, MORTISE_FUEL: 2, MORTISE_GUEST_ERROR: 2 });
    assert.ok((events[2]?.fuel ?? 0) >= 100_000);
  });

  it("has calls that an open breaker refuses", async () => {
    await using host = await createHost({ hooks: { check: hook.first() } });
    await host.plugins.load(await guest({ check: "trap!" }), { name: "a", breaker: { failures: 1 } });
    const request = host.request({ id: "r" });
    const events = await published<CallEvent>(CHANNELS.call, async () => {
      for (let time = 0; time < 2; time++) await assert.rejects(host.hooks.check(1, { request }));
    });
    assert.deepEqual(
      events.map(({ plugin, version, hook: name, request: id, fuel, error }) => [plugin, version, name, id, fuel > 0, error]),
      [
        ["a", "1", "check", "r", true, "MORTISE_TRAP"],
        ["a", "1", "check", "r", false, "MORTISE_PLUGIN_SUSPENDED"],
      ],
    );
  });

  it("has the time that a call waited for an instance", async () => {
    const paused = Promise.withResolvers<void>();
    let now = 0;
    await using plugin = await loadPlugin(await guest({ run: { pauses: "done" } }), {
      hostFunctions: { [PAUSE_MODULE]: { pause: () => paused.promise } },
      clock: () => now,
    });
    const events = await published<CallEvent>(CHANNELS.call, async () => {
      const first = plugin.call("run");
      const second = plugin.call("run");
      now = 40;
      paused.resolve();
      await Promise.all([first, second]);
    });
    assert.deepEqual(
      events.map(({ durationMs, queueMs }) => [durationMs, queueMs]),
      [
        [40, 0],
        [40, 40],
      ],
    );
  });
});

describe("Hooks", () => {
  const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

  it("publish each decision but continue, with what was changed", async () => {
    const value = { sql: "select 2", limit: 5, added: true };
    const rewrites = await guest({ check: action("replace", { value }) });
    const blocks = await guest({ check: action("reject", { reason: "not\u001b[31m today" }) });
    const silent = await guest({ check: "" });
    await using host = await createHost({ hooks: { check: hook.chain<{ sql: string; limit: number }>() } });
    await host.plugins.load(silent, { name: "a-silent" });
    await host.plugins.load(await guest({ check: '{ "action": "continue" }' }), { name: "a-wordy" });
    await host.plugins.load(rewrites, { name: "b-rewrites", version: "3" });
    await host.plugins.load(blocks, { name: "c-blocks" });
    const request = host.request({ id: "r-9" });
    const events = await published<DecisionEvent>(CHANNELS.decision, () => host.hooks.check.decide({ sql: "select 1", limit: 5 }, { request }));
    assert.deepEqual(events, [
      {
        hook: "check",
        plugin: "b-rewrites",
        version: "3",
        digest: digestOf(rewrites),
        function: "check",
        request: "r-9",
        action: "replace",
        changed: ["sql", "added"],
      },
      {
        hook: "check",
        plugin: "c-blocks",
        version: "1",
        digest: digestOf(blocks),
        function: "check",
        request: "r-9",
        action: "reject",
        reason: String.raw`not\u001b[31m today`,
      },
    ]);
  });

  it("publish answers, those of a route with where it leads, and changed attributes", async () => {
    await using host = await createHost({
      hooks: { route: hook.first<unknown, unknown>(), first: hook.first<unknown, unknown>(), all: hook.chain<unknown>() },
    });
    const plugin = await guest({
      route: action("answer", { value: { to: "node", target: "b" } }),
      first: action("replace", { value: 1 }),
      all: action("continue", { attributes: { tenant: "t", gone: null } }),
    });
    await host.plugins.load(plugin, { name: "p", permissions: { attributes: { write: ["*"] } } });
    const events = await published<DecisionEvent>(CHANNELS.decision, async () => {
      await host.hooks.route({});
      await host.hooks.first({});
      await host.hooks.all({});
    });
    assert.deepEqual(
      events.map(({ hook: name, action: done, target, attributes }) => [name, done, target, attributes]),
      [
        ["route", "answer", "node b", undefined],
        ["first", "answer", undefined, undefined],
        ["all", "continue", undefined, ["tenant", "gone"]],
      ],
    );
  });

  it("publish no secret of a plugin's configuration", async () => {
    await using host = await createHost({ hooks: { check: hook.chain<Record<string, unknown>>() } });
    const plugin = await guest({ check: action("reject", { reason: "the key is hunter2-hunter2, and no other" }) });
    const leaks = await guest({ check: action("replace", { value: { "hunter2-hunter2": 1 } }) });
    await host.plugins.load(leaks, { name: "a", secrets: ["hunter2-hunter2"] });
    await host.plugins.load(plugin, { name: "b", secrets: ["hunter2-hunter2"] });
    const events = await published<DecisionEvent>(CHANNELS.decision, () => host.hooks.check.decide({}));
    assert.deepEqual(
      events.map(({ reason, changed }) => reason ?? changed),
      [["***"], "the key is ***, and no other"],
    );
  });

  it("publish their runs, and name themselves in calls", async () => {
    const clock = ticking();
    await using host = await createHost({ hooks: { check: hook.chain<unknown>(), open: hook.all<unknown>() }, clock });
    await host.plugins.load(await guest({ check: "trap!", open: "" }), { name: "p" });
    const request = host.request({ id: "r-1" });
    let runs: RunEvent[] = [];
    const calls = await published<CallEvent>(CHANNELS.call, async () => {
      runs = await published<RunEvent>(CHANNELS.run, async () => {
        await assert.rejects(host.hooks.check({}, { request }));
        await host.hooks.open({}, { request });
      });
    });
    assert.deepEqual(
      runs.map(({ hook: name, request: id, error }) => [name, id, error]),
      [
        ["check", "r-1", "MORTISE_HOOK_FAILED"],
        ["open", "r-1", undefined],
      ],
    );
    assert.ok(runs.every(({ durationMs }) => durationMs > 0));
    assert.deepEqual(
      calls.map(({ hook: name, request: id, error }) => [name, id, error]),
      [
        ["check", "r-1", "MORTISE_TRAP"],
        ["open", "r-1", undefined],
      ],
    );
  });
});

describe("mortise:service", () => {
  it("has every use of a service, those that failed with their code", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions: { kv: "read" } });
    const call = { plugin: "p", function: "f", timeoutMs: 100, statedMs: 100, signal: new AbortController().signal, context: undefined };
    const events = await published<ServiceEvent>(CHANNELS.service, async () => {
      await table["kv_get"]?.run(call, "key");
      assert.throws(() => table["kv_delete"]?.run(call, "key"), { code: "MORTISE_PERMISSION" });
      await assert.rejects(async () => table["http_request"]?.run(call, "{}", new Uint8Array()), { code: "MORTISE_PERMISSION" });
    });
    assert.deepEqual(
      events.map(({ plugin, service, error }) => [plugin, service, error]),
      [
        ["p", "kv_get", undefined],
        ["p", "kv_delete", "MORTISE_PERMISSION"],
        ["p", "http_request", "MORTISE_PERMISSION"],
      ],
    );
    assert.ok(events.every(({ durationMs }) => durationMs >= 0));
  });
});

describe("mortise:http", () => {
  it("has requests with host, status and bytes, but no path, and those that were refused", async () => {
    const server = createServer((request, response) => {
      request.resume();
      response.writeHead(request.url?.startsWith("/teapot") === true ? 418 : 200).end("12345");
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const service = createHttpService({ hosts: [`127.0.0.1:${port}`] });
    const call = { plugin: "p", function: "f", timeoutMs: 5000, signal: new AbortController().signal };
    const get = { method: "get", headers: {}, body: undefined };
    const events = await published<HttpEvent>(CHANNELS.http, async () => {
      await service.request({ ...get, url: `http://127.0.0.1:${port}/teapot?token=secret` }, call);
      await service.request({ ...get, method: "POST", url: `http://127.0.0.1:${port}/`, body: new Uint8Array(3) }, call);
      await assert.rejects(service.request({ ...get, url: "http://other.example/" }, call));
      await assert.rejects(service.request({ ...get, url: "not a URL" }, call));
      const stream = await service.open({ ...get, url: `http://127.0.0.1:${port}/` }, call);
      for await (const piece of stream.body) assert.equal(piece.length, 5);
      const left = await service.open({ ...get, url: `http://127.0.0.1:${port}/teapot` }, call);
      left.close();
      await assert.rejects(service.open({ ...get, url: "http://other.example/" }, call));
    });
    service.close();
    server.close();
    const here = `127.0.0.1:${port}`;
    assert.deepEqual(
      events.map(({ plugin, host, method, status, requestBytes, responseBytes, error }) => [
        plugin,
        host,
        method,
        status,
        requestBytes,
        responseBytes,
        error,
      ]),
      [
        ["p", here, "GET", 418, 0, 5, undefined],
        ["p", here, "POST", 200, 3, 5, undefined],
        ["p", "other.example", "GET", undefined, 0, 0, "MORTISE_HTTP_DENIED"],
        ["p", "", "GET", undefined, 0, 0, "MORTISE_HTTP_INVALID"],
        ["p", here, "GET", 200, 0, 5, undefined],
        ["p", here, "GET", 418, 0, 0, undefined],
        ["p", "other.example", "GET", undefined, 0, 0, "MORTISE_HTTP_DENIED"],
      ],
    );
    assert.ok(!JSON.stringify(events).includes("secret"));
  });
});

describe("mortise:log", () => {
  it("has lines that plugins write through their interface, without secrets", async () => {
    const text = "key hunter2-hunter2";
    const stores = Array.from(Buffer.from(text), (byte, at) => `(call $store (i64.add (local.get 0) (i64.const ${at})) (i32.const ${byte}))`);
    const source = await assembleText(
      "logs",
      `(module
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
        (import "extism:host/env" "log_warn" (func $log (param i64)))
        (func (export "run") (local i64)
          (local.set 0 (call $alloc (i64.const ${text.length})))
          ${stores.join("\n")}
          (call $log (local.get 0))))`,
    );
    const written: string[] = [];
    const logger = { ...console, warn: (message: string) => void written.push(message) };
    await using silent = await loadPlugin(source, { name: "silent", secrets: ["hunter2-hunter2"] });
    await using loud = await loadPlugin(source, { name: "loud", secrets: ["hunter2-hunter2"], logger });
    const events = await published<LogEvent>(CHANNELS.log, async () => {
      await silent.call("run");
      await loud.call("run");
    });
    await loud.call("run");
    assert.deepEqual(events, [
      { plugin: "silent", level: "warn", message: "key ***" },
      { plugin: "loud", level: "warn", message: "key ***" },
    ]);
    assert.deepEqual(written, ["key ***", "key ***"]);
  });

  it("has the lines of plugins, with a logger or without one, and without secrets", async () => {
    const source = "guests/prebuilt/extism_fixtures.c.wasm";
    const seen: string[] = [];
    const logger = Object.fromEntries(
      ["trace", "debug", "info", "warn", "error"].map((level) => [level, (text: string) => void seen.push(text)]),
    ) as never;
    await using services = createServices();
    const lineOf = async (options: object): Promise<LogEvent[]> => {
      const call = { plugin: "p", function: "f", timeoutMs: 100, statedMs: 100, signal: new AbortController().signal, context: undefined };
      let table: ReturnType<typeof services.forPlugin> | undefined;
      const provider = { forPlugin: (scope: never) => (table = services.forPlugin(scope)) };
      await using plugin = await loadPlugin(source, { name: "p", services: provider, secrets: ["hunter2-hunter2"], ...options });
      assert.equal(plugin.name, "p");
      const events = await published<LogEvent>(CHANNELS.log, () => {
        void table?.["log"]?.run(call, 3, "key hunter2-hunter2");
        void table?.["log"]?.run(call, 0, "too quiet");
      });
      void table?.["log"]?.run({ ...call, signal: new AbortController().signal }, 3, "nobody listens");
      return events;
    };
    const line = { plugin: "p", level: "warn", message: "key ***" };
    assert.deepEqual(await lineOf({}), [line]);
    assert.deepEqual(seen, []);
    assert.deepEqual(await lineOf({ logger }), [line]);
    assert.deepEqual(seen, ["key ***", "nobody listens"]);
  });
});
