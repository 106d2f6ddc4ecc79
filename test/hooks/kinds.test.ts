// The four kinds of hooks: who is asked, in which order, and what comes of it.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type BracketEnd, bracketEndWire } from "../../src/hooks/bracket-wire.ts";
import { hook } from "../../src/hooks/definition.ts";
import type { HookFunctions } from "../../src/hooks/host-hooks.ts";
import { type Host, createHost } from "../../src/manager/create-host.ts";
import type { LoadOptions } from "../../src/manager/host-plugins.ts";
import { type Does, ECHO, NEST, PAUSE_MODULE, action, guest, TRAP } from "./guests.ts";
import { decisionsDuring } from "./published.ts";

interface Message {
  readonly input: unknown;
  readonly context: { readonly request_id: string; readonly attributes: Readonly<Record<string, string>> };
}

const HOOKS = {
  decide: hook.first<string, unknown>(),
  change: hook.chain<unknown>(),
  tell: hook.all<string>(),
  wrap: hook.bracket<unknown, unknown>(),
};
type Plugins = Readonly<
  Record<string, Readonly<Record<string, Does>> | { readonly does: Readonly<Record<string, Does>>; readonly options: LoadOptions }>
>;

async function hostWith(plugins: Plugins): Promise<Host<typeof HOOKS>> {
  const host = await createHost({ hooks: HOOKS });
  for (const [name, given] of Object.entries(plugins)) {
    const { does, options } =
      "does" in given && typeof given.does === "object" && "options" in given ? (given as never) : { does: given, options: {} };
    await host.plugins.load(await guest(does as Readonly<Record<string, Does>>), { name, ...(options as LoadOptions) });
  }
  return host;
}

const CONTINUE = action("continue");

describe("hook.first", () => {
  it("gives undefined without plugins, and where all continue", async () => {
    await using none = await hostWith({});
    assert.equal(await none.hooks.decide("x"), undefined);
    await using some = await hostWith({ a: { decide: CONTINUE }, b: { decide: "" }, c: { decide: '{"kind":"continue","note":1}' } });
    assert.equal(await some.hooks.decide("x"), undefined);
    assert.deepEqual(await some.hooks.decide.decide("x"), { action: "continue" });
  });

  it("takes the first answer, and asks nobody after it", async () => {
    await using host = await hostWith({ c: { decide: TRAP }, b: { decide: action("answer", { value: { is: 2 } }) }, a: { decide: CONTINUE } });
    assert.deepEqual(await host.hooks.decide("x"), { is: 2 });
    assert.deepEqual(await host.hooks.decide.decide("x"), { action: "answer", value: { is: 2 }, plugin: "b" });
    assert.equal(host.plugins.get("c")?.stats().calls, 0);
  });

  it("takes a replacement for an answer", async () => {
    await using host = await hostWith({ a: { decide: action("replace", { value: 1 }) } });
    assert.equal(await host.hooks.decide("x"), 1);
  });

  it("throws a rejection, which decide gives instead", async () => {
    await using host = await hostWith({ a: { decide: action("reject", { reason: "not you" }) }, b: { decide: action("answer", { value: 1 }) } });
    await assert.rejects(host.hooks.decide("x"), {
      code: "MORTISE_HOOK_REJECTED",
      details: { hook: "decide", plugin: "a", reason: "not you" },
      message: 'Stopped hook "decide": plugin "a" rejected it: not you',
    });
    assert.deepEqual(await host.hooks.decide.decide("x"), { action: "reject", reason: "not you", plugin: "a" });
  });
});

describe("hook.chain", () => {
  it("gives the value itself without plugins, and where all continue", async () => {
    const value = { a: 1 };
    await using none = await hostWith({});
    assert.equal(await none.hooks.change(value), value);
    await using some = await hostWith({ a: { change: CONTINUE }, b: { change: "" } });
    assert.equal(await some.hooks.change(value), value);
    assert.deepEqual(await some.hooks.change.decide(value), { action: "continue", value });
  });

  it("shows each plugin what the one before made of the value", async () => {
    await using host = await hostWith({
      a: { change: action("replace", { value: "by a" }) },
      b: { change: CONTINUE },
      c: { change: NEST },
      d: { change: NEST },
    });
    const outer = (await host.hooks.change("raw")) as Message;
    const inner = outer.input as Message;
    assert.equal(inner.input, "by a");
    assert.equal(inner.context.request_id, outer.context.request_id);
    const decision = await host.hooks.change.decide("raw");
    assert.deepEqual(decision.action === "replace" && decision.plugins, ["a", "c", "d"]);
  });

  it("hands on a value that was written with spaces, other fields or in another order", async () => {
    const value = { text: 'a "quoted" }', list: [1, { b: null }] };
    const json = JSON.stringify(value);
    for (const answer of [
      `{"action":"replace","value":${json}}`,
      `{ "action" : "replace" , "value" : ${json} } `,
      `{"value":${json},"action":"rewrite"}`,
      `{"action":"replace","value":${json},"more":[1]}`,
      `{"kind":"replace","value":${json},"attributes":null}`,
    ]) {
      await using host = await hostWith({ a: { change: answer }, b: { change: NEST } });
      const { context: _context, ...seen } = (await host.hooks.change("raw")) as Message;
      assert.deepEqual(seen, { input: value }, answer);
    }
  });

  it("ends with an answer, or with a rejection in any of its spellings", async () => {
    await using host = await hostWith({
      a: { change: action("replace", { value: 1 }) },
      b: { change: action("answer", { value: 2 }) },
      c: { change: TRAP },
    });
    assert.equal(await host.hooks.change(0), 2);
    assert.deepEqual(await host.hooks.change.decide(0), { action: "answer", value: 2, plugin: "b" });
    for (const [answer, reason] of [
      ['{"action":"reject","reason":"r"}', "r"],
      ['{"kind":"block","message":"m"}', "m"],
      ['{"action":"deny"}', "it gave no reason"],
      ['{"action":"denied","reason":null,"message":"n"}', "n"],
    ] as const) {
      await using rejecting = await hostWith({ a: { change: answer } });
      assert.deepEqual(await rejecting.hooks.change.decide(0), { action: "reject", reason, plugin: "a" });
    }
  });

  it("start gives the decision itself where nothing had to be waited for", async () => {
    await using host = await hostWith({ a: { change: action("replace", { value: 1 }) } });
    assert.deepEqual(host.hooks.change.start(0), { action: "replace", value: 1, plugins: ["a"] });
  });
});

describe("hook.all", () => {
  it("tells everybody, also when some fail", async () => {
    await using host = await hostWith({ a: { tell: "" }, b: { tell: TRAP }, c: { tell: CONTINUE }, d: { other: "" } });
    assert.equal(await host.hooks.tell("x"), undefined);
    assert.deepEqual(
      host.plugins.list().map(({ name, counts }) => [name, counts["tell"]?.calls, counts["tell"]?.failures]),
      [
        ["a", 1, 0],
        ["b", 1, 1],
        ["c", 1, 0],
        ["d", undefined, undefined],
      ],
    );
  });

  it("has those that wait wait at the same time, and waits for all of them", async () => {
    let waiting = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const pause = async (): Promise<void> => {
      if (++waiting === 3) resolve();
      await promise;
    };
    const options: LoadOptions = { hostFunctions: { [PAUSE_MODULE]: { pause } } };
    const does: Readonly<Record<string, Does>> = { tell: { pauses: "" } };
    await using host = await hostWith({ a: { does, options }, b: { does, options }, c: { does, options } });
    await host.hooks.tell("x");
    assert.equal(waiting, 3);
  });

  it("publishes attributes that observers write, at once or later", async () => {
    const writes = action("continue", { attributes: { seen: "yes" } });
    const options = { permissions: { attributes: { write: ["*"] } }, hostFunctions: { [PAUSE_MODULE]: { pause: () => Promise.resolve() } } };
    await using host = await hostWith({
      a: { does: { tell: writes }, options },
      b: { does: { tell: { pauses: writes } }, options },
      c: { tell: "" },
    });
    assert.deepEqual(await decisionsDuring(() => host.hooks.tell("x")), ["a continue seen", "b continue seen"]);
  });

  it("does not let observers decide", async () => {
    await using host = await hostWith({ a: { does: { tell: action("reject") }, options: { onFailure: "closed" } } });
    await assert.rejects(host.hooks.tell("x"), {
      code: "MORTISE_HOOK_FAILED",
      details: {
        hook: "tell",
        plugin: "a",
        function: "tell",
        code: "MORTISE_HOOK_OUTPUT",
        reason: 'Cannot use what plugin "a" answered in hook "tell": its output decides with "reject", which observers cannot',
      },
    });
  });
});

describe("hook.bracket", () => {
  const done = (value: unknown): unknown => ({ done: value });

  it("runs the work itself without plugins", async () => {
    await using host = await hostWith({});
    assert.deepEqual(await host.hooks.wrap(1, done), { done: 1 });
    await assert.rejects(
      host.hooks.wrap(1, () => {
        throw new RangeError("no");
      }),
      RangeError,
    );
  });

  it("asks before in order and after in reverse, each with what the others made of it", async () => {
    await using host = await hostWith({
      a: { pre_wrap: action("replace", { value: "a" }), post_wrap: NEST },
      b: { pre_wrap: NEST, postWrap: NEST },
    });
    const outer = (await host.hooks.wrap("raw", done)) as { input: Message; output: { input: Message; output: { done: Message } } };
    assert.equal(outer.input.input, "a", "what b made of the input is shown to a, too");
    assert.equal(outer.output.output.done.input, "a");
    assert.equal(outer.output.input.input, "a");
  });

  it("tells of work without a result as null, and gives back what the work gave", async () => {
    await using host = await hostWith({ a: { post_wrap: NEST } });
    assert.equal(((await host.hooks.wrap(1, () => undefined)) as { output: unknown }).output, null);
    await using quiet = await hostWith({ a: { post_wrap: "" } });
    assert.equal(await quiet.hooks.wrap(1, () => undefined), undefined);
  });

  it("takes a wire that replaces an ending for a failure", async () => {
    const postWire = {
      ...bracketEndWire<unknown, unknown>(),
      decode: ({ given }: { readonly given: BracketEnd<unknown, unknown> }) => ({ action: "replace" as const, value: given }),
    };
    await using host = await createHost({ hooks: { wrap: hook.bracket<unknown, unknown>({ postWire }) } });
    await host.plugins.load(await guest({ post_wrap: action("replace", { value: 1 }) }), { name: "a" });
    await assert.rejects(host.hooks.wrap(1, done), { code: "MORTISE_HOOK_FAILED", message: /only an answer can stand for a result$/ });
  });

  it("asks only those after the work whose function before it ran", async () => {
    await using host = await hostWith({
      a: { pre_wrap: "", post_wrap: "" },
      b: { does: { pre_wrap: TRAP, post_wrap: "" }, options: { onFailure: "open" } },
      c: { post_wrap: "" },
      d: { does: { pre_wrap: "", post_wrap: "" }, options: { filters: { wrap: { kind: "other" } } } },
    });
    await host.hooks.wrap({ kind: "this" }, done);
    assert.deepEqual(
      host.plugins.list().map(({ counts }) => counts["wrap"]),
      [
        { calls: 2, failures: 0, rejections: 0, filtered: 0 },
        { calls: 1, failures: 1, rejections: 0, filtered: 0 },
        { calls: 1, failures: 0, rejections: 0, filtered: 0 },
        { calls: 0, failures: 0, rejections: 0, filtered: 1 },
      ],
    );
  });

  it("does not do the work when it is answered, and asks the one that did so as well afterwards", async () => {
    await using host = await hostWith({
      a: { pre_wrap: "", post_wrap: NEST },
      b: { pre_wrap: action("answer", { value: "short" }), post_wrap: "" },
      c: { pre_wrap: TRAP },
    });
    const result = (await host.hooks.wrap(1, () => assert.fail("the work was done"))) as { output: unknown };
    assert.equal(result.output, "short");
    assert.equal(host.plugins.list()[1]?.counts["wrap"]?.calls, 2);
  });

  it("shows a failure in a closed hook to those whose function before ran, and none of them undoes it", async () => {
    await using host = await hostWith({
      a: { pre_wrap: "", post_wrap: action("replace", { value: "undone" }) },
      b: { pre_wrap: "", post_wrap: "" },
      c: { pre_wrap: TRAP, post_wrap: "" },
    });
    await assert.rejects(
      host.hooks.wrap(1, () => assert.fail("the work was done")),
      (error: { code: string; details: { plugin: string; code: string } }) =>
        error.code === "MORTISE_HOOK_FAILED" && error.details.plugin === "c" && error.details.code === "MORTISE_TRAP",
    );
    assert.deepEqual(
      host.plugins.list().map(({ counts }) => counts["wrap"]?.calls),
      [2, 2, 1],
    );
  });

  it("lets nobody undo a rejection, before the work or after it", async () => {
    for (const b of [{ pre_wrap: action("reject", { reason: "no" }) }, { pre_wrap: "", post_wrap: action("reject", { reason: "no" }) }]) {
      await using host = await hostWith({ a: { pre_wrap: "", post_wrap: action("replace", { value: "undone" }) }, b });
      await assert.rejects(host.hooks.wrap(1, done), { code: "MORTISE_HOOK_REJECTED", details: { hook: "wrap", plugin: "b", reason: "no" } });
      assert.equal(host.plugins.list()[0]?.counts["wrap"]?.calls, 2);
    }
  });

  it("keeps the first of several rejections", async () => {
    await using host = await hostWith({
      a: { pre_wrap: "", post_wrap: action("reject", { reason: "second" }) },
      b: { pre_wrap: action("reject", { reason: "first" }) },
    });
    await assert.rejects(host.hooks.wrap(1, done), { code: "MORTISE_HOOK_REJECTED", details: { hook: "wrap", plugin: "b", reason: "first" } });
    assert.equal(host.plugins.list()[0]?.counts["wrap"]?.rejections, 1);
  });

  it("publishes what it takes, and of what is final only the attributes", async () => {
    const attributes = { seen: "yes" };
    const cases: readonly (readonly [post: string, published: readonly string[]])[] = [
      [action("answer", { value: "mine" }), []],
      [action("replace", { value: "mine" }), []],
      [action("reject", { reason: "second" }), []],
      [action("answer", { value: "mine", attributes }), ["a continue seen"]],
      [action("reject", { reason: "second", attributes }), ["a continue seen"]],
    ];
    const permissions = { attributes: { write: ["*"] } };
    const work = async (host: Host<typeof HOOKS>, refuses: boolean): Promise<void> => {
      await host.plugins.load(await guest({ pre_wrap: refuses ? action("reject", { reason: "first" }) : "" }), { name: "b" });
      if (refuses) await assert.rejects(host.hooks.wrap(1, done), { code: "MORTISE_HOOK_REJECTED" });
      else await host.hooks.wrap(1, done).catch(() => {});
    };
    for (const [post, published] of cases) {
      for (const pauses of [false, true]) {
        for (const refuses of [true, false]) {
          await using host = await hostWith({});
          const hostFunctions = { [PAUSE_MODULE]: { pause: () => Promise.resolve() } };
          await host.plugins.load(await guest({ pre_wrap: "", post_wrap: pauses ? { pauses: post } : post }), {
            name: "a",
            permissions,
            hostFunctions,
          });
          const all = await decisionsDuring(() => work(host, refuses));
          const taken = post.includes("reject") ? "a reject" : "a answer";
          assert.deepEqual(all, refuses ? ["b reject", ...published] : [post.includes("seen") ? `${taken} seen` : taken], post);
        }
      }
    }
  });

  it("asks after the work in the reverse order", async () => {
    const saying = (name: string): Does => ({ before: `{"action":"replace","value":{"by":"${name}","saw":`, after: "}}" });
    await using host = await hostWith({ a: { post_wrap: saying("a") }, b: { post_wrap: saying("b") } });
    const outer = (await host.hooks.wrap(1, done)) as { by: string; saw: { output: { by: string } } };
    assert.deepEqual([outer.by, outer.saw.output.by], ["a", "b"]);
  });

  it("shows an error of the work, from which plugins can recover", async () => {
    const failing = (): never => {
      throw new Error("the disk is full");
    };
    await using host = await hostWith({ a: { pre_wrap: "", post_wrap: "" } });
    await assert.rejects(host.hooks.wrap(1, failing), { message: "the disk is full" });
    await using recovering = await hostWith({ a: { post_wrap: NEST } });
    const seen = (await recovering.hooks.wrap(1, failing)) as { error: unknown; input: unknown };
    assert.deepEqual([seen.input, seen.error], [1, { message: "the disk is full", final: false }]);
  });

  it("keeps a result back that a closed hook could not look at", async () => {
    await using host = await hostWith({ a: { pre_wrap: "", post_wrap: NEST }, b: { pre_wrap: "", post_wrap: TRAP } });
    await assert.rejects(host.hooks.wrap(1, done), (error: { details: { plugin: string } }) => error.details.plugin === "b");
  });

  it("keeps the first error when a plugin fails after it", async () => {
    await using host = await hostWith({ a: { post_wrap: TRAP } });
    await assert.rejects(
      host.hooks.wrap(1, () => Promise.reject(new RangeError("first"))),
      RangeError,
    );
    assert.equal(host.plugins.list()[0]?.counts["wrap"]?.failures, 1);
  });
});

describe("The order of plugins", () => {
  it("is by number, then by name, whatever the order in which they were loaded", async () => {
    const does: Readonly<Record<string, Does>> = { decide: "", change: "", tell: "", pre_wrap: "" };
    await using host = await hostWith({
      z: { does, options: {} },
      b: { does, options: { order: 5 } },
      a: { does, options: { order: 5 } },
      y: { does, options: { order: -1 } },
    });
    const orders: (keyof HookFunctions<typeof HOOKS>)[] = ["decide", "change", "tell", "wrap"];
    for (const name of orders) assert.deepEqual(host.hooks[name].plugins, ["y", "z", "a", "b"], name);
    assert.deepEqual(
      host.plugins.list().map(({ name }) => name),
      ["y", "z", "a", "b"],
    );
  });

  it("is the one in which rewrites chain", async () => {
    await using host = await hostWith({
      first: { does: { change: action("replace", { value: "one" }) }, options: { order: 2 } },
      last: { does: { change: action("replace", { value: "two" }) }, options: { order: 3 } },
      start: { does: { change: ECHO }, options: { order: 4 } },
    });
    assert.equal(((await host.hooks.change("raw")) as Message).input, "two");
  });
});
