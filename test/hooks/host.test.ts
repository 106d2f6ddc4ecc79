// createHost: loading, unloading and closing, with hooks running meanwhile.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { hook } from "../../src/hooks/definition.ts";
import { instanceCount } from "../../src/host/instance-cap.ts";
import { createHost } from "../../src/manager/create-host.ts";
import { leb, nameBytes } from "../../src/wasm/code-builder.ts";
import { type Does, PAUSE_MODULE, action, guest, TRAP, SPIN } from "./guests.ts";

const HOOKS = {
  beforeSave: hook.chain<unknown>(),
  check: hook.first<unknown, unknown>({ name: ["check_v2", "check"] }),
  wrap: hook.bracket<unknown, unknown>(),
};

const replace = (value: unknown): string => action("replace", { value });

/** A gate that an asynchronous host function waits at. */
function gate(): {
  readonly hostFunctions: { readonly [PAUSE_MODULE]: { pause: () => Promise<void> } };
  readonly reached: Promise<void>;
  readonly open: () => void;
} {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const pause = async (): Promise<void> => {
    reached.resolve();
    await opened.promise;
  };
  return { hostFunctions: { [PAUSE_MODULE]: { pause } }, reached: reached.promise, open: opened.resolve };
}

describe("createHost", () => {
  it("refuses options that make no sense", async () => {
    const wrong: readonly (readonly [options: unknown, message: RegExp])[] = [
      [{}, /"hooks": it is undefined/],
      [{ hooks: { "be fore": hook.all() } }, /"hooks.be fore"/],
      [{ hooks: { a: 5 } }, /"hooks.a"/],
      [{ hooks: {}, hokks: {} }, /"hokks": it is unknown/],
    ];
    for (const [options, message] of wrong) await assert.rejects(createHost(options as never), { code: "MORTISE_INVALID_OPTION", message });
    for (const [define, message] of [
      [() => hook.chain({ onFailure: "ajar" as never }), /"hook.chain.onFailure": it is ajar/],
      [() => hook.all({ timeoutMs: 0 }), /"hook.all.timeoutMs": it is 0/],
      [() => hook.first({ name: [] }), /"hook.first.name"/],
      [() => hook.bracket({ name: "x" } as never), /"hook.bracket.name": it is unknown/],
      [() => hook.chain({ maxOutputBytes: Number.NaN }), /"hook.chain.maxOutputBytes"/],
    ] as const)
      assert.throws(define, { code: "MORTISE_INVALID_OPTION", message });
  });

  it("gives plugins its services and defaults, limits and permissions one by one", async () => {
    const asked: unknown[] = [];
    const services = {
      forPlugin(scope: { readonly plugin: string; readonly permissions: object }) {
        asked.push([scope.plugin, scope.permissions]);
        return {};
      },
    };
    const defaults = { limits: { timeoutMs: 7, fuel: 1000 }, permissions: { clock: true, kv: "read" } as const };
    await using host = await createHost({ hooks: HOOKS, services, defaults });
    await host.plugins.load(await guest({ beforeSave: SPIN }), { name: "a", limits: { fuel: 500 }, permissions: { kv: "read-write" } });
    assert.deepEqual(asked, [["a", { clock: true, kv: "read-write" }]]);
    await assert.rejects(host.hooks.beforeSave(1), /used up its fuel of 500 units/);
  });
});

describe("host.plugins.load", () => {
  it("finds the functions of hooks by their names in snake_case and as they are, and by names that the hook gives", async () => {
    const found = async (does: Readonly<Record<string, Does>>): Promise<readonly string[]> => {
      await using host = await createHost({ hooks: { ...HOOKS, onHTTPRequest2: hook.all<unknown>() } });
      await host.plugins.load(await guest(does), { name: "a" });
      return host.plugins.list()[0]?.hooks ?? [];
    };
    assert.deepEqual(await found({ before_save: "" }), ["beforeSave"]);
    assert.deepEqual(await found({ beforeSave: "" }), ["beforeSave"]);
    assert.deepEqual(await found({ check: "" }), ["check"]);
    assert.deepEqual(await found({ check_v2: "", check: "" }), ["check"]);
    assert.deepEqual(await found({ pre_wrap: "" }), ["wrap"]);
    assert.deepEqual(await found({ postWrap: "" }), ["wrap"]);
    assert.deepEqual(await found({ on_http_request2: "" }), ["onHTTPRequest2"]);
    assert.deepEqual(await found({ wrap: "", Check: "" }), []);
  });

  it("calls the first of several names that a plugin has", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ check: TRAP, check_v2: action("answer", { value: 2 }) }), { name: "a" });
    assert.equal(await host.hooks.check(1), 2);
  });

  it("loads a plugin without any hook, and says so", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const plugin = await host.plugins.load(await guest({ other: "" }), { name: "a" });
    assert.deepEqual(host.plugins.list(), [
      { name: "a", abi: "extism", version: "1", state: "ready", enabled: true, order: 0, hooks: [], counts: {} },
    ]);
    assert.equal(host.plugins.get("a"), plugin);
    assert.equal((await plugin.call("other")).length, 0);
  });

  it("refuses a plugin without the function of a hook that is required", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const bytes = await guest({ post_wrap: "", check: "" });
    await host.plugins.load(bytes, { name: "a", requires: ["wrap", "check"] });
    await assert.rejects(host.plugins.load(bytes, { name: "b", requires: ["check", "beforeSave"] }), {
      code: "MORTISE_HOOK_MISSING",
      message:
        'Cannot load plugin "b": it has no function for hook "beforeSave", which it is required for; the name is "before_save" or "beforeSave"',
    });
    await assert.rejects(host.plugins.load(bytes, { name: "b", requires: ["checks"] }), {
      code: "MORTISE_INVALID_OPTION",
      message: /did you mean "check"/,
    });
    assert.deepEqual(
      host.plugins.list().map(({ name }) => name),
      ["a"],
    );
  });

  it("refuses a second plugin of the same name, also one that is loaded at the same time", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const bytes = await guest({ before_save: replace("x") });
    const loads = await Promise.allSettled([1, 2, 3].map(() => host.plugins.load(bytes, { name: "a" })));
    assert.deepEqual(loads.map(({ status }) => status).toSorted(), ["fulfilled", "rejected", "rejected"]);
    await assert.rejects(host.plugins.load(bytes, { name: "a" }), { code: "MORTISE_PLUGIN_EXISTS" });
    assert.deepEqual(host.hooks.beforeSave.plugins, ["a"]);
    await host.hooks.beforeSave(1);
    assert.equal(host.plugins.get("a")?.stats().calls, 1, "it runs once");
  });

  it("changes nothing if anything is wrong", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ before_save: "" }), { name: "a" });
    const bytes = await guest({ before_save: TRAP });
    const wrong: readonly (readonly [options: object, code: string])[] = [
      [{ name: "a" }, "MORTISE_PLUGIN_EXISTS"],
      [{ name: "b", order: Number.NaN }, "MORTISE_INVALID_OPTION"],
      [{ name: "b", filters: { beforeSave: { a: {} } } }, "MORTISE_FILTER_INVALID"],
      [{ name: "b", filters: { beforeSve: {} } }, "MORTISE_INVALID_OPTION"],
      [{ name: "b", onFailure: "ajar" }, "MORTISE_INVALID_OPTION"],
      [{ name: "b", permissions: { attributes: { read: ["a*b"] } } }, "MORTISE_INVALID_OPTION"],
      [{ name: "b", limit: 1 }, "MORTISE_INVALID_OPTION"],
      [{ name: "a", replace: true, filters: { beforeSave: 5 } }, "MORTISE_FILTER_INVALID"],
    ];
    const { live } = instanceCount();
    for (const [options, code] of wrong) await assert.rejects(host.plugins.load(bytes, options), { code }, JSON.stringify(options));
    assert.equal(instanceCount().live, live, "nothing is left of those that were loaded");
    await assert.rejects(host.plugins.load(new Uint8Array(8), { name: "b" }), { code: "MORTISE_NOT_WASM" });
    assert.deepEqual(
      host.plugins.list().map(({ name }) => name),
      ["a"],
    );
    assert.equal(await host.hooks.beforeSave(1), 1);
  });

  it("replaces a plugin in one moment: runs under way end with the old one, which is closed then", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const { hostFunctions, reached, open } = gate();
    const old = await host.plugins.load(await guest({ before_save: { pauses: replace("old") } }), { name: "a", hostFunctions });
    const run = host.hooks.beforeSave("raw");
    await reached;
    await host.plugins.load(await guest({ before_save: replace("new") }), { name: "a", replace: true });
    assert.equal(await host.hooks.beforeSave("raw"), "new");
    assert.equal(host.plugins.list().length, 1);
    open();
    assert.equal(await run, "old");
    await host.close();
    await assert.rejects(old.call("before_save"), { code: "MORTISE_CLOSED" });
  });

  it("does not call a plugin for what its filters keep out", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ before_save: replace({ kind: "b", by: 1 }) }), { name: "a", filters: { beforeSave: { kind: "a" } } });
    await host.plugins.load(await guest({ before_save: replace({ kind: "c", by: 2 }) }), {
      name: "b",
      filters: { beforeSave: { kind: { not: "a" }, by: { exists: true } } },
    });
    assert.deepEqual(await host.hooks.beforeSave({ kind: "x" }), { kind: "x" });
    assert.deepEqual(
      await host.hooks.beforeSave({ kind: "a" }),
      { kind: "c", by: 2 },
      "what one made of the value is what the next one is asked about",
    );
    assert.deepEqual(
      host.plugins.list().map(({ counts }) => counts["beforeSave"]),
      [
        { calls: 1, failures: 0, rejections: 0, filtered: 1 },
        { calls: 1, failures: 0, rejections: 0, filtered: 1 },
      ],
    );
  });
});

describe("What a plugin says of itself", () => {
  const saying = async (about: unknown, does: Readonly<Record<string, Does>>): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = await guest(does);
    const content = [...nameBytes("mortise"), ...new TextEncoder().encode(JSON.stringify(about))];
    return Uint8Array.from([...bytes, 0, ...leb(content.length), ...content]);
  };

  it("keeps it out of calls, by hook or by function, together with what the operator says", async () => {
    for (const name of ["beforeSave", "before_save"]) {
      await using host = await createHost({ hooks: HOOKS });
      const bytes = await saying({ hooks: { [name]: { filter: { a: 1 } }, other: { filter: { b: 1 } } } }, { before_save: replace("seen") });
      await host.plugins.load(bytes, { name: "p", filters: { beforeSave: { c: 1 } } });
      assert.equal(await host.hooks.beforeSave({ a: 1, c: 1 }), "seen", name);
      for (const input of [{ a: 1 }, { c: 1 }, {}]) assert.deepEqual(await host.hooks.beforeSave(input), input);
    }
  });

  it("must make sense", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const bytes = await saying({ hooks: { beforeSave: { filter: { a: { is: 1 } } } } }, { before_save: "" });
    await assert.rejects(host.plugins.load(bytes, { name: "p" }), {
      code: "MORTISE_FILTER_INVALID",
      message: /^Cannot use the filter of plugin "p" for hook "beforeSave": it has the test "is"/,
    });
  });
});

describe("host.plugins.unload", () => {
  it("takes a plugin out at once, and closes it when the runs that use it have ended", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const { hostFunctions, reached, open } = gate();
    const first = await host.plugins.load(await guest({ before_save: { pauses: "" } }), { name: "a", hostFunctions });
    const second = await host.plugins.load(await guest({ before_save: replace("by b") }), { name: "b" });
    const run = host.hooks.beforeSave("raw");
    await reached;
    const unloaded = Promise.all([host.plugins.unload("a"), host.plugins.unload("b")]);
    assert.deepEqual([host.hooks.beforeSave.plugins, host.plugins.get("a"), host.plugins.list()], [[], undefined, []]);
    assert.equal(await host.hooks.beforeSave("raw"), "raw");
    open();
    assert.equal(await run, "by b", "the second is still there for the run that counted on it");
    await unloaded;
    for (const plugin of [first, second]) await assert.rejects(plugin.call("before_save"), { code: "MORTISE_CLOSED" });
  });

  it("waits for the work of a bracket", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ pre_wrap: "", post_wrap: replace("after") }), { name: "a" });
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const run = host.hooks.wrap(1, () => promise);
    const unloaded = host.plugins.unload("a");
    resolve("done");
    assert.equal(await run, "after");
    await unloaded;
  });

  it("ends the calls of the plugin if asked to: a closed hook fails then", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const { hostFunctions, reached } = gate();
    await host.plugins.load(await guest({ before_save: { pauses: "" } }), { name: "a", hostFunctions });
    const run = host.hooks.beforeSave(1);
    await reached;
    const [unloaded] = [host.plugins.unload("a", { abort: true })];
    await assert.rejects(run, (error: { details: { code: string } }) => error.details.code === "MORTISE_CLOSED");
    await unloaded;
  });

  it("says which plugin was meant when there is none of the name", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ before_save: "" }), { name: "redact" });
    await assert.rejects(host.plugins.unload("redcat"), { code: "MORTISE_UNKNOWN_PLUGIN", message: /did you mean "redact"/ });
  });
});

describe("host.close", () => {
  it("lets runs come to their end, and lets no hook look as if it had no plugins", async () => {
    const host = await createHost({ hooks: { ...HOOKS, empty: hook.chain<unknown>() } });
    const { hostFunctions, reached, open } = gate();
    await host.plugins.load(await guest({ before_save: { pauses: replace("done") } }), { name: "a", hostFunctions });
    const run = host.hooks.beforeSave(1);
    await reached;
    const closed = Promise.all([host.close(), host.close()]);
    for (const call of [
      host.hooks.beforeSave(1),
      host.hooks.empty(1),
      host.hooks.check(1),
      host.hooks.wrap(1, () => 1),
      host.hooks.beforeSave.decide(1),
    ])
      await assert.rejects(call, { code: "MORTISE_HOST_CLOSED", message: /^Cannot run hook "\w+": the host is closed$/ });
    assert.throws(() => host.hooks.beforeSave.start(1), { code: "MORTISE_HOST_CLOSED" });
    await assert.rejects(host.plugins.load(await guest({}), { name: "b" }), { code: "MORTISE_HOST_CLOSED" });
    open();
    assert.equal(await run, "done");
    await closed;
    await host.close();
  });

  it("ends what still runs if asked to, also when it was closing already", async () => {
    const host = await createHost({ hooks: HOOKS });
    const { hostFunctions, reached } = gate();
    await host.plugins.load(await guest({ before_save: { pauses: "" } }), { name: "a", hostFunctions });
    const run = host.hooks.beforeSave(1);
    await reached;
    const closing = host.close();
    await Promise.all([
      assert.rejects(run, (error: { details: { code: string } }) => error.details.code === "MORTISE_CLOSED"),
      host.close({ abort: true }),
    ]);
    await closing;
  });

  it("refuses a plugin that was being loaded meanwhile", async () => {
    const host = await createHost({ hooks: HOOKS });
    const load = host.plugins.load(await guest({ before_save: "" }), { name: "a" });
    await host.close();
    await assert.rejects(load, { code: "MORTISE_HOST_CLOSED" });
    assert.deepEqual(host.plugins.list(), []);
  });
});
