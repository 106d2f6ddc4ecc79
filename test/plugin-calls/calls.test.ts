// Calls from plugin to plugin by name: what is granted, what comes back, and what a failure looks like.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";

import type { CallEvent } from "../../src/api/channels.ts";
import { calls } from "../../src/api/channels.ts";
import { RequestContext } from "../../src/api/request.ts";
import { sha256 } from "../../src/native/grants.ts";
import { TRAP, guest } from "../hooks/guests.ts";
import { assembleText } from "../wasm/assemble.ts";
import { failureOf, loadCaller, message, openHost, prebuilt, through } from "./plugins.ts";

describe("plugin_call", () => {
  for (const caller of ["calls.c", "calls.ts"]) {
    it(`gives what the other plugin gives (${caller})`, async () => {
      await using host = await openHost();
      await host.plugins.load(await prebuilt("echo.c"), { name: "echo" });
      const plugin = await loadCaller(host, "caller", ["echo:*"], {}, caller);
      for (const input of ["", "one", "x".repeat(100_000)]) assert.equal((await plugin.call("call", message("echo", "echo", input))).text(), input);
      assert.equal((await plugin.call("call", message("echo", "noop"))).text(), "");
    });
  }

  const grants: readonly (readonly [call: readonly string[] | undefined, plugin: string, fn: string, granted: boolean])[] = [
    [undefined, "echo", "echo", false],
    [[], "echo", "echo", false],
    [["echo:echo"], "echo", "echo", true],
    [["echo:echo"], "echo", "noop", false],
    [["echo:noop", "echo:echo"], "echo", "echo", true],
    [["echo:*"], "echo", "noop", true],
    [["echo:ech*"], "echo", "echo", false],
    [["ech:*"], "echo", "echo", false],
    [["other:echo"], "echo", "echo", false],
    [["a:b:*"], "a:b", "echo", true],
    [["a:*"], "a:b", "echo", false],
  ];
  for (const [call, plugin, fn, granted] of grants) {
    it(`${granted ? "may" : "may not"} call ${plugin}:${fn} with call = ${JSON.stringify(call)}`, async () => {
      await using host = await openHost();
      for (const name of ["echo", "a:b"]) await host.plugins.load(await prebuilt("echo.c"), { name });
      const caller = await host.plugins.load(await prebuilt("calls.c"), { name: "caller", permissions: call === undefined ? {} : { call } });
      const done = caller.call("call", message(plugin, fn, "x"));
      if (granted) return void (await done);
      const { code, details } = await failureOf(done);
      assert.deepEqual([code, details["plugin"], details["grant"]], ["MORTISE_PERMISSION", "caller", `call = ["${plugin}:${fn}"]`]);
    });
  }

  it("says nothing of plugins that may not be called, and names those that are not there", async () => {
    await using host = await openHost();
    const caller = await loadCaller(host, "caller", ["gone:*"]);
    assert.equal((await failureOf(caller.call("call", message("other", "f")))).code, "MORTISE_PERMISSION");
    const { code, message: text, details } = await failureOf(caller.call("call", message("gone", "f")));
    assert.deepEqual([code, details["kind"]], ["MORTISE_PLUGIN_CALL_REFUSED", "unknown"]);
    assert.equal(
      text,
      'Stopped function "call" of plugin "caller": it cannot call function "f" of plugin "gone": the host has no plugin of that name, or it is disabled',
    );
  });

  it("stops the caller with an error that names both plugins if the other one fails", async () => {
    await using host = await openHost();
    await host.plugins.load(await guest({ trap: TRAP, fail: { error: "no such city" } }), { name: "geoip" });
    const caller = await loadCaller(host, "caller", ["geoip:*"]);
    for (const [fn, code] of [
      ["trap", "MORTISE_TRAP"],
      ["fail", "MORTISE_GUEST_ERROR"],
      ["gone", "MORTISE_UNKNOWN_FUNCTION"],
    ] as const) {
      const error = await failureOf(caller.call("call", message("geoip", fn)));
      assert.equal(error.code, "MORTISE_PLUGIN_CALL_FAILED", fn);
      const { plugin, function: own, called, calledFunction, code: found } = error.details;
      assert.deepEqual([plugin, own, called, calledFunction, found], ["caller", "call", "geoip", fn, code]);
      assert.ok(error.message.startsWith(`Stopped function "call" of plugin "caller": its call of function "${fn}" of plugin "geoip" failed: `));
      assert.equal((error.cause as { code?: string }).code, code);
    }
    assert.equal(host.plugins.get("geoip")?.stats().failures, 3);
  });

  it("checks what the caller passes", async () => {
    await using host = await openHost();
    const caller = await loadCaller(host, "caller", ["echo:*"]);
    for (const [name, fn] of [
      ["", "f"],
      ["echo", ""],
      ["x".repeat(257), "f"],
      ["echo", "f".repeat(257)],
    ] as const)
      assert.equal((await failureOf(caller.call("call", message(name, fn)))).code, "MORTISE_SERVICE_ARGUMENT");
  });

  it("works with callSync, where nothing has to be waited for", async () => {
    await using host = await openHost();
    await host.plugins.load(await prebuilt("echo.c"), { name: "echo" });
    const caller = await loadCaller(host, "caller", ["echo:*"]);
    assert.equal(caller.callSync("call", message("echo", "echo", "at once")).text(), "at once");
  });

  it("hands on the caller's context, and is published like any call", async () => {
    await using host = await openHost();
    await host.plugins.load(await prebuilt("echo.c"), { name: "echo" });
    const caller = await loadCaller(host, "caller", ["echo:*"]);
    const events: CallEvent[] = [];
    const listen = (event: unknown): void => void events.push(event as CallEvent);
    const { subscribe, unsubscribe } = await import("node:diagnostics_channel");
    subscribe(calls.name, listen);
    try {
      await caller.call("call", message("echo", "echo", "x"), { context: new RequestContext({ id: "r1" }) });
    } finally {
      unsubscribe(calls.name, listen);
    }
    assert.deepEqual(
      events.map(({ plugin, function: fn, request }) => [plugin, fn, request]),
      [
        ["echo", "echo", "r1"],
        ["caller", "call", "r1"],
      ],
    );
  });
});

/** A plugin for Bifrost that hands its input on. */
const BIFROST = `(module
  (import "mortise:host" "plugin_call" (func $call (param i32 i32 i32 i32 i32 i32) (result i64)))
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (data (i32.const 16) "echoecho")
  (func (export "malloc") (param i32) (result i32)
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 0) (i32.const 7)) (i32.const -8)))))
  (func (export "http_pre_hook") (param i32 i32) (result i64)
    (call $call (i32.const 16) (i32.const 4) (i32.const 20) (i32.const 4) (local.get 0) (local.get 1))))`;

const NATIVE = `export async function twice(input, { services }) {
  const one = await services.plugin_call("echo", "echo", input);
  return services.plugin_call("echo", "echo", Buffer.concat([one, one]));
}`;

describe("plugin_call across interfaces and isolations", () => {
  for (const isolation of ["inline", "thread", "process"] as const) {
    it(`reaches a plugin that runs ${isolation}, from inline and from there`, async () => {
      await using host = await openHost();
      await host.plugins.load(await prebuilt("echo.c"), { name: "echo" });
      await host.plugins.load(await prebuilt("echo.c"), { name: "far", isolation, limits: { timeoutMs: 60_000 } });
      const options = { limits: { timeoutMs: 60_000 } };
      const near = await loadCaller(host, "near", ["far:echo", "away:call"], options);
      await loadCaller(host, "away", ["echo:echo"], { ...options, isolation });
      assert.equal((await near.call("call", message("far", "echo", "there and back"))).text(), "there and back");
      const path = through([["away", "call"], ["echo", "echo"]], "y".repeat(70_000)); // prettier-ignore
      assert.equal((await near.call("call", path)).text(), "y".repeat(70_000));
    });
  }

  it("reaches and serves plugins of other interfaces", async (t) => {
    await using host = await openHost();
    await host.plugins.load(await prebuilt("echo.c"), { name: "echo" });
    const bifrost = await host.plugins.load(await assembleText("bifrost", BIFROST), {
      name: "bifrost",
      abi: "bifrost",
      permissions: { call: ["echo:echo"] },
    });
    assert.equal(bifrost.abi, "bifrost");
    assert.equal((await bifrost.call("http_pre_hook", "linear")).text(), "linear");
    const { mkdtemp, rm, writeFile } = await import("node:fs/promises");
    const { tmpdir } = await import("node:os");
    const folder = await mkdtemp(join(tmpdir(), "plugin-calls-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, "twice.mjs");
    await writeFile(path, NATIVE);
    await host.plugins.load(path, { name: "native", native: [{ path, digest: sha256(Buffer.from(NATIVE)) }], permissions: { call: ["echo:*"] } });
    const caller = await loadCaller(host, "caller", ["bifrost:*", "native:*"]);
    assert.equal((await caller.call("call", message("bifrost", "http_pre_hook", "to bifrost"))).text(), "to bifrost");
    assert.equal((await caller.call("call", message("native", "twice", "ab"))).text(), "abab");
  });
});
