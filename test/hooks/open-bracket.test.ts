// Brackets that are opened: asked before once, and afterwards as often as there is an ending.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { hook } from "../../src/hooks/definition.ts";
import type { OpenBracket } from "../../src/hooks/host-hooks.ts";
import { type Host, createHost } from "../../src/manager/create-host.ts";
import type { LoadOptions } from "../../src/manager/load-options.ts";
import { type Does, NEST, PAUSE_MODULE, TRAP, action, guest } from "./guests.ts";

const HOOKS = { wrap: hook.bracket<unknown, unknown>() };
const BY_B = action("replace", { value: "by b" });

async function hostWith(plugins: Readonly<Record<string, Readonly<Record<string, Does>>>>, options: LoadOptions = {}): Promise<Host<typeof HOOKS>> {
  const host = await createHost({ hooks: HOOKS });
  for (const [name, does] of Object.entries(plugins)) await host.plugins.load(await guest(does), { name, ...options });
  return host;
}

/** The bracket, which no plugin has made wait. */
function opened(host: Host<typeof HOOKS>, input: unknown = "raw"): OpenBracket<unknown, unknown> {
  const bracket = host.hooks.wrap.open(input);
  assert.ok(!(bracket instanceof Promise), "it waits for nothing");
  return bracket;
}

const calls = (host: Host<typeof HOOKS>): (number | undefined)[] => host.plugins.list().map(({ counts }) => counts["wrap"]?.calls);
const done = (output: unknown): { ok: true; output: unknown } => ({ ok: true, output });

describe("hook.bracket.open", () => {
  it("gives back input and endings as they are without plugins", async () => {
    await using host = await hostWith({});
    const input = { a: 1 };
    using bracket = opened(host, input);
    assert.equal(bracket.input, input);
    assert.deepEqual([bracket.early, bracket.asksAfter], [undefined, false]);
    const ending = done(1);
    assert.equal(bracket.end(ending), ending);
  });

  it("asks before once, and after each ending in reverse, with what the others made of it", async () => {
    const saying = (name: string): Does => ({ before: `{"action":"replace","value":{"by":"${name}","saw":`, after: "}}" });
    await using host = await hostWith({ a: { pre_wrap: "", post_wrap: saying("a") }, b: { pre_wrap: BY_B, post_wrap: saying("b") } });
    using bracket = opened(host);
    assert.equal(bracket.input, "by b");
    for (const piece of [1, 2, 3]) {
      const ending = bracket.end(done(piece));
      assert.ok(!(ending instanceof Promise) && ending.ok, "it waits for nothing");
      const { by, saw } = ending.output as { by: string; saw: { input: unknown; output: { by: string; saw: { output: unknown } } } };
      assert.deepEqual([by, saw.input, saw.output.by, saw.output.saw.output], ["a", "by b", "b", piece]);
    }
    assert.deepEqual(calls(host), [4, 4]);
  });

  it("waits for plugins that have to be waited for, before and after", async () => {
    const host = await createHost({ hooks: HOOKS });
    await using _host = host;
    const hostFunctions = { [PAUSE_MODULE]: { pause: () => Promise.resolve() } };
    await host.plugins.load(await guest({ pre_wrap: "", post_wrap: NEST }), { name: "a" });
    await host.plugins.load(await guest({ pre_wrap: { pauses: BY_B }, post_wrap: { pauses: BY_B } }), { name: "b", hostFunctions });
    const pending = host.hooks.wrap.open("raw");
    assert.ok(pending instanceof Promise);
    using bracket = await pending;
    assert.equal(bracket.input, "by b");
    const ending = bracket.end(done(1));
    assert.ok(ending instanceof Promise);
    const settled = await ending;
    assert.equal(settled.ok && (settled.output as { output: unknown }).output, "by b");
  });

  it("tells how it ended early, and ends for those whose function before ran", async () => {
    const cases: readonly (readonly [pre: Does, early: (early: unknown) => void])[] = [
      [action("answer", { value: "short" }), (early) => assert.deepEqual(early, { ok: true, output: "short" })],
      [action("reject", { reason: "no" }), (early) => assert.equal((early as { error: { code: string } }).error.code, "MORTISE_HOOK_REJECTED")],
      [TRAP, (early) => assert.equal((early as { error: { code: string } }).error.code, "MORTISE_HOOK_FAILED")],
    ];
    for (const [pre, check] of cases) {
      await using host = await hostWith({
        a: { pre_wrap: "", post_wrap: "" },
        b: { pre_wrap: pre, post_wrap: "" },
        c: { pre_wrap: "", post_wrap: "" },
      });
      using bracket = opened(host);
      check(bracket.early);
      assert.ok(bracket.early !== undefined);
      assert.deepEqual(bracket.end(bracket.early), bracket.early);
      assert.deepEqual(calls(host), [2, pre === TRAP ? 1 : 2, 0]);
    }
  });

  it("lets a plugin recover from an error that is not final, and fails an ending by a plugin that fails", async () => {
    await using host = await hostWith({ a: { post_wrap: BY_B } });
    using bracket = opened(host);
    assert.deepEqual(bracket.end({ ok: false, error: new Error("lost"), final: false }), done("by b"));
    const final = { ok: false, error: new Error("refused"), final: true } as const;
    assert.equal(bracket.end(final), final);
    await using broken = await hostWith({ a: { post_wrap: TRAP } });
    using other = opened(broken);
    const ending = await other.end(done(1));
    assert.ok(!ending.ok && ending.final);
    assert.equal((ending.error as { code: string }).code, "MORTISE_HOOK_FAILED");
  });

  it("tells an input that cannot be sent as an early ending", async () => {
    await using host = await hostWith({ a: { pre_wrap: "" } });
    using bracket = opened(host, () => 1);
    assert.equal((bracket.early as { error: { code: string } }).error.code, "MORTISE_HOOK_INPUT");
  });

  it("holds its plugins until it is disposed of", async () => {
    await using host = await hostWith({ a: { pre_wrap: "", post_wrap: BY_B } });
    const bracket = opened(host);
    let gone = false;
    const unloaded = host.plugins.unload("a").then(() => (gone = true));
    assert.deepEqual(host.hooks.wrap.plugins, []);
    assert.deepEqual(await bracket.end(done(1)), done("by b"));
    await new Promise(setImmediate);
    assert.equal(gone, false, "it is held");
    bracket[Symbol.dispose]();
    bracket[Symbol.dispose]();
    await unloaded;
  });

  it("is idle without plugins, but does not open in a closed host, nor looks idle there", async () => {
    const host = await hostWith({ a: { pre_wrap: "" } });
    assert.equal(host.hooks.wrap.isIdle, false);
    await host.plugins.unload("a");
    assert.equal(host.hooks.wrap.isIdle, true);
    await host.close();
    assert.equal(host.hooks.wrap.isIdle, false);
    assert.throws(() => host.hooks.wrap.open(1), { code: "MORTISE_HOST_CLOSED" });
  });
});
