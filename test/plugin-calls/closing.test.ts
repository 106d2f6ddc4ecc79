// Hosts that are closed, and plugins that are replaced, while plugins call each other: calls under way reach what they were
// made for.

import assert from "node:assert/strict";
import { type TestContext, describe, it } from "node:test";

import { createHost } from "../../src/manager/create-host.ts";
import { guest } from "../hooks/guests.ts";
import { answer, answering, gate, open } from "../manager/hosts.ts";
import { assembleText } from "../wasm/assemble.ts";
import { type CallsHost, failureOf, loadCaller, message } from "./plugins.ts";

describe("host.close()", () => {
  it("lets a call under way call what its plugin depends on", async () => {
    const host = await open();
    const { hostFunctions, reached, open: go } = gate();
    await host.plugins.load(await guest({ check: { pauses: answer("held") } }), { name: "hold", hostFunctions });
    const caller = await loadCaller(host, "caller", ["hold:check"], { dependsOn: ["hold"] });
    const running = caller.call("repeat", "2\nhold\ncheck\n");
    await reached;
    const closed = host.close();
    go();
    assert.ok((await running).length > 0);
    await closed;
  });

  it("refuses calls of plugins that it does not have all the same", async () => {
    const host = await open();
    await host.plugins.load(await answering(1), { name: "base" });
    const caller = await loadCaller(host, "caller", ["gone:check"]);
    await assert.rejects(caller.call("call", "gone\ncheck\n"), { code: "MORTISE_PLUGIN_CALL_REFUSED" });
    await host.close();
  });
});

describe("A plugin-to-plugin call that waits for its share of the thread's time", () => {
  /** A host, and a call from `caller` to `busy`, which owes 35 ms of its time. */
  async function waiting(
    t: TestContext,
  ): Promise<{ host: CallsHost; call: Promise<unknown>; bytes: Uint8Array<ArrayBuffer>; pass: (ms: number) => Promise<void> }> {
    const clock = { now: 0 };
    const host: CallsHost = await createHost({ hooks: {}, limits: { cpuShare: 0.1, versions: 0 }, clock: () => clock.now });
    const module = '(module (import "extism:host/user" "busy" (func $busy)) (func (export "check") (call $busy)))';
    const bytes = await assembleText("busy", module);
    const limits = { timeoutMs: 10_000, sliceMs: Number.POSITIVE_INFINITY };
    const busy = (): void => void (clock.now += 150);
    await host.plugins.load(bytes, { name: "busy", limits, hostFunctions: { "extism:host/user": { busy } } });
    const caller = await loadCaller(host, "caller", ["busy:check"], { limits });
    await caller.call("call", message("busy", "check"));
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const call = caller.call("call", message("busy", "check"));
    call.catch(() => {});
    const pass = async (ms: number): Promise<void> => {
      for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
      clock.now += ms;
      t.mock.timers.tick(ms);
    };
    await pass(0);
    assert.equal(host.plugins.get("busy")?.stats().calls, 1, "it waits");
    return { host, call, bytes, pass };
  }

  const others = { hostFunctions: { "extism:host/user": { busy: (): void => {} } } };
  const ways: readonly (readonly [what: string, settles: boolean, replace: (host: CallsHost, bytes: Uint8Array<ArrayBuffer>) => Promise<unknown>])[] =
    [
      ["reloaded", true, (host) => host.plugins.reload("busy")],
      ["replaced", true, (host, bytes) => host.plugins.load(bytes, { name: "busy", replace: true, ...others })],
      ["unloaded", false, (host) => host.plugins.unload("busy")],
      ["closed with its host", false, (host) => host.close()],
    ];
  for (const [what, settles, replace] of ways) {
    it(`is made all the same when its callee is ${what}`, async (t) => {
      const { host, call, bytes, pass } = await waiting(t);
      const replaced = replace(host, bytes);
      if (settles) await replaced;
      await pass(10);
      await pass(500);
      await call;
      await replaced;
      await host.close();
    });
  }

  it("ends at once when its callee is unloaded at once", async (t) => {
    const { host, call } = await waiting(t);
    const unloaded = host.plugins.unload("busy", { abort: true });
    const { code, details } = await failureOf(call);
    assert.deepEqual([code, details["code"]], ["MORTISE_PLUGIN_CALL_FAILED", "MORTISE_CLOSED"]);
    await unloaded;
    await host.close();
  });
});
