// What happens when plugins fail in hooks: nothing is let through that a guard did not see, and nothing is silent.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";

import { isMortiseError } from "../../src/api/errors.ts";
import { hook } from "../../src/hooks/definition.ts";
import { createHost } from "../../src/manager/create-host.ts";
import { type Does, PAUSE_MODULE, action, guest, TRAP, SPIN } from "./guests.ts";
import { failuresDuring } from "./published.ts";

const HOOKS = {
  guard: hook.chain<unknown>(),
  lenient: hook.chain<unknown>({ onFailure: "open" }),
  tell: hook.all<unknown>(),
  timed: hook.chain<unknown>({ timeoutMs: 100 }),
  small: hook.chain<unknown>({ maxOutputBytes: 30 }),
};

const ALLOW = action("continue");

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    assert.ok(isMortiseError(error), String(error));
    return error.code === "MORTISE_HOOK_FAILED" ? `${error.code}: ${String(error.details["code"])}` : error.code;
  }
}

describe("A plugin's failure", () => {
  const failures: readonly (readonly [does: Does, code: string])[] = [
    [TRAP, "MORTISE_TRAP"],
    [{ error: "I cannot" }, "MORTISE_GUEST_ERROR"],
    ["no JSON", "MORTISE_HOOK_OUTPUT"],
    ["null", "MORTISE_HOOK_OUTPUT"],
    ["[]", "MORTISE_HOOK_OUTPUT"],
    ["{}", "MORTISE_HOOK_OUTPUT"],
    ['{"action":"Continue"}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":"allow"}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":null}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":"continue","kind":"reject"}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":"reject","action":"continue"}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":"replace"}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":"answer"}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":"reject","reason":{}}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":"continue","attributes":[]}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":"continue","attributes":{"a":1}}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":"continue","attributes":{"a":"1"}}', "MORTISE_PERMISSION"],
    ['{"action":"replace","value":{"__proto__":1}}', "MORTISE_HOOK_OUTPUT"],
    ['{"action":"replace","value":9007199254740993}', "MORTISE_HOOK_OUTPUT"],
  ];
  for (const [does, code] of failures) {
    it(`stops a closed hook: ${code} of ${JSON.stringify(does)}`, async () => {
      await using host = await createHost({ hooks: HOOKS });
      await host.plugins.load(await guest({ guard: does }), { name: "guard" });
      assert.equal(await codeOf(host.hooks.guard("x")), `MORTISE_HOOK_FAILED: ${code}`);
    });

    it(`is passed over by an open hook, and published: ${code} of ${JSON.stringify(does)}`, async () => {
      const warnings: string[] = [];
      const quiet = (): void => {};
      const logger = { trace: quiet, debug: quiet, info: quiet, error: quiet, warn: (text: string) => warnings.push(text) };
      await using host = await createHost({ hooks: HOOKS, logger });
      await host.plugins.load(await guest({ lenient: does }), { name: "a" });
      await host.plugins.load(await guest({ lenient: action("replace", { value: "by b" }) }), { name: "b" });
      const request = host.request({ id: "r-1" });
      const published = await failuresDuring(async () => assert.equal(await host.hooks.lenient("x", { request }), "by b"));
      assert.deepEqual(
        published.map(({ hook: name, plugin, function: fn, request: id, policy, error }) => [name, plugin, fn, id, policy, error.code]),
        [["lenient", "a", "lenient", "r-1", "open", code]],
      );
      assert.deepEqual([warnings.length, host.plugins.list()[0]?.counts["lenient"]?.failures], [1, 1]);
      assert.match(warnings[0] ?? "", /^hook "lenient" goes on without plugin "a" for request r-1: /);
    });
  }

  it("of a closed hook is an error with everything in it, and is published as well", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ guard: TRAP }), { name: "g" });
    const published = await failuresDuring(() =>
      assert.rejects(host.hooks.guard("x"), (error: Error & { code: string; status: number; details: object; cause: { code: string } }) => {
        assert.deepEqual(
          [error.code, error.status, error.cause.code, error.details],
          [
            "MORTISE_HOOK_FAILED",
            502,
            "MORTISE_TRAP",
            { hook: "guard", plugin: "g", function: "guard", code: "MORTISE_TRAP", reason: error.cause["message" as never] },
          ],
        );
        return error.message.startsWith(
          'Stopped hook "guard": plugin "g" failed, and the hook is closed: Stopped function "guard" of plugin "g": it trapped',
        );
      }),
    );
    assert.deepEqual(
      published.map(({ policy }) => policy),
      ["closed"],
    );
  });

  it("is dealt with as the plugin's own entry says, in both directions, for all hooks or by hook", async () => {
    const does: Readonly<Record<string, Does>> = { guard: TRAP, lenient: TRAP };
    const runs = async (onFailure: "open" | "closed" | Readonly<Record<string, "open" | "closed">>): Promise<(string | undefined)[]> => {
      await using host = await createHost({ hooks: HOOKS });
      await host.plugins.load(await guest(does), { name: "a", onFailure });
      return [await codeOf(host.hooks.guard(1)), await codeOf(host.hooks.lenient(1))];
    };
    const failed = "MORTISE_HOOK_FAILED: MORTISE_TRAP";
    assert.deepEqual(await runs("open"), [undefined, undefined]);
    assert.deepEqual(await runs("closed"), [failed, failed]);
    assert.deepEqual(await runs({ lenient: "closed" }), [failed, failed]);
    assert.deepEqual(await runs({ guard: "open" }), [undefined, undefined]);
    await assert.rejects(runs({ gaurd: "open" }), { code: "MORTISE_INVALID_OPTION", message: /did you mean "guard"/ });
    await assert.rejects(runs("ajar" as never), { code: "MORTISE_INVALID_OPTION" });
  });

  it("is not what a rejection is: that holds in an open hook, too", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ lenient: action("reject", { reason: "no" }) }), { name: "a" });
    const published = await failuresDuring(() => assert.rejects(host.hooks.lenient("x"), { code: "MORTISE_HOOK_REJECTED" }));
    assert.deepEqual([published, host.plugins.list()[0]?.counts["lenient"]?.rejections], [[], 1]);
  });

  it("is an answer that is longer than the hook reads", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ small: action("replace", { value: "x" }) }), { name: "a" });
    assert.equal(await codeOf(host.hooks.small("x")), "MORTISE_HOOK_FAILED: MORTISE_HOOK_OUTPUT");
  });
});

describe("A guard", () => {
  it("that runs out of fuel on a padded input keeps the input out", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ guard: { scans: ALLOW } }), { name: "guard", limits: { fuel: 100_000 } });
    assert.equal(await codeOf(host.hooks.guard({ sql: "select 1" })), undefined);
    assert.equal(await codeOf(host.hooks.guard({ sql: `/*${"x".repeat(100_000)}*/ drop table users` })), "MORTISE_HOOK_FAILED: MORTISE_FUEL");
    assert.equal(await codeOf(host.hooks.guard({ sql: "select 1" })), undefined, "the next request works");
  });

  it("that never returns is stopped by its own deadline, by the hook's or by the request's, whichever comes first", async () => {
    await using host = await createHost({ hooks: { ...HOOKS, hurried: hook.chain<unknown>({ timeoutMs: 5 }) } });
    await host.plugins.load(await guest({ guard: SPIN, hurried: SPIN }), { name: "guard", limits: { timeoutMs: 10 } });
    const limitOf = async (work: Promise<unknown>): Promise<unknown> => {
      const error: unknown = await work.catch((failure: unknown) => failure);
      assert.ok(isMortiseError(error) && isMortiseError(error.cause) && error.cause.code === "MORTISE_TIMEOUT", String(error));
      return error.cause.details["limit"];
    };
    assert.equal(await limitOf(host.hooks.guard(1)), 10);
    assert.ok(((await limitOf(host.hooks.hurried(1))) as number) <= 5);
    assert.ok(((await limitOf(host.hooks.guard(1, { request: host.request({ timeoutMs: 3 }) }))) as number) <= 3);
    assert.equal(await limitOf(host.hooks.guard(1, { request: host.request({ timeoutMs: 5000 }) })), 10);
  });

  it("does not make those late that come after it: waiting for an instance counts towards the hook and the request alone", async () => {
    let now = 0;
    const released = Promise.withResolvers<void>();
    let pauses = 0;
    const pause = (): Promise<void> | undefined => (pauses++ === 0 ? released.promise : undefined);
    await using host = await createHost({ hooks: HOOKS, clock: () => now });
    const options = { hostFunctions: { [PAUSE_MODULE]: { pause } }, clock: () => now };
    await host.plugins.load(await guest({ guard: { pauses: "" }, timed: "" }), { name: "slow", ...options });
    const first = codeOf(host.hooks.guard(1));
    const after = [
      host.hooks.guard(1),
      host.hooks.guard(1, { request: host.request({ timeoutMs: 10_000 }) }),
      host.hooks.guard(1, { request: host.request({ timeoutMs: 4000 }) }),
      host.hooks.timed(1),
    ].map(codeOf);
    while (host.plugins.get("slow")?.stats().instances.waiting !== 4) await setImmediate();
    now += 5000;
    released.resolve();
    const late = "MORTISE_HOOK_FAILED: MORTISE_TIMEOUT";
    assert.deepEqual(await Promise.all([first, ...after]), [late, undefined, undefined, late, late]);
  });

  it("is not called any more, and lets nothing through, when the time of the request or of the hook is over", async () => {
    let now = 0;
    await using host = await createHost({ hooks: HOOKS, clock: () => now });
    const pause = (): void => {
      now += 60;
    };
    const options = { hostFunctions: { [PAUSE_MODULE]: { pause } } };
    for (const name of ["a", "b", "c"]) await host.plugins.load(await guest({ timed: { pauses: "" }, guard: "", lenient: "" }), { name, ...options });
    const calls = (): (number | undefined)[] => ["a", "b", "c"].map((name) => host.plugins.get(name)?.stats().calls);
    assert.equal(await codeOf(host.hooks.timed(1)), "MORTISE_HOOK_FAILED: MORTISE_TIMEOUT");
    assert.deepEqual(calls(), [1, 1, 0], "two of three fit into 100 ms");
    const request = host.request({ timeoutMs: 10 });
    now += 10;
    assert.equal(await codeOf(host.hooks.guard(1, { request })), "MORTISE_HOOK_FAILED: MORTISE_TIMEOUT");
    await assert.rejects(host.hooks.guard(1, { request }), { message: /past its deadline of 10 ms$/ });
    assert.equal(await codeOf(host.hooks.lenient(1, { request })), undefined);
    assert.deepEqual(calls(), [1, 1, 0]);
  });
});

describe("The caller's signal", () => {
  it("ends a run whatever the policy is, and is nobody's failure", async () => {
    await using host = await createHost({ hooks: HOOKS });
    const started = Promise.withResolvers<void>();
    const pause = async (): Promise<void> => {
      started.resolve();
      await new Promise(() => {});
    };
    const does: Readonly<Record<string, Does>> = { guard: { pauses: "" }, lenient: { pauses: "" }, tell: { pauses: "" } };
    await host.plugins.load(await guest(does), { name: "a", hostFunctions: { [PAUSE_MODULE]: { pause } }, stateless: true });
    for (const name of ["guard", "lenient", "tell"] as const) {
      for (const from of ["options", "request", "both"] as const) {
        const aborter = new AbortController();
        const request = host.request(from === "options" ? {} : { signal: aborter.signal });
        const published = await failuresDuring(async () => {
          const other = new AbortController();
          const run = host.hooks[name](1, {
            request,
            ...(from === "options" && { signal: aborter.signal }),
            ...(from === "both" && { signal: other.signal }),
          });
          await started.promise;
          aborter.abort();
          assert.equal(await codeOf(run), "MORTISE_ABORTED", `${name} ${from}`);
          assert.equal(await codeOf(host.hooks[name](1, { request, signal: aborter.signal })), "MORTISE_ABORTED");
        });
        assert.deepEqual(published, []);
      }
    }
    assert.equal(host.plugins.list()[0]?.counts["guard"]?.failures, 0);
  });

  it("does not keep plugins from cleaning up after the work of a bracket", async () => {
    let now = 0;
    const hooks = { wrap: hook.bracket<number, number>({ timeoutMs: 50 }) };
    await using host = await createHost({ hooks, clock: () => now });
    await host.plugins.load(await guest({ pre_wrap: "", post_wrap: "" }), { name: "a" });
    const aborter = new AbortController();
    const request = host.request({ timeoutMs: 100, signal: aborter.signal });
    const work = (): number => {
      now += 1000;
      aborter.abort();
      return 7;
    };
    assert.equal(await host.hooks.wrap(1, work, { request }), 7);
    assert.equal(host.plugins.list()[0]?.counts["wrap"]?.calls, 2);
  });
});

describe("An input that cannot be sent", () => {
  it("is the application's mistake, also in an open hook", async () => {
    await using host = await createHost({ hooks: HOOKS });
    await host.plugins.load(await guest({ lenient: "", tell: "" }), { name: "a" });
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const published = await failuresDuring(async () => {
      for (const input of [circle, 5n, undefined, () => 1]) {
        assert.equal(await codeOf(host.hooks.lenient(input)), "MORTISE_HOOK_INPUT");
        assert.equal(await codeOf(host.hooks.tell(input)), "MORTISE_HOOK_INPUT");
      }
    });
    assert.deepEqual(published, []);
  });
});
