// Checks of what goes out to plugins and of what comes back.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as z from "zod";

import { hook } from "../../src/hooks/definition.ts";
import { createHost } from "../../src/manager/create-host.ts";
import { NEST, action, guest } from "./guests.ts";

const Doc = z.object({ title: z.string(), words: z.number().int().default(0) });
type Doc = z.infer<typeof Doc>;

function even(value: unknown): number {
  if (typeof value !== "number" || value % 2 !== 0) throw new RangeError("it is odd");
  return value;
}

describe("A check", () => {
  it("of a chain holds for the application's value and for what plugins make of it", async () => {
    await using host = await createHost({ hooks: { save: hook.chain({ input: Doc }), lenient: hook.chain({ input: Doc, onFailure: "open" }) } });
    await assert.doesNotReject(host.hooks.save({ title: 5 } as never), "nobody is asked, so that nothing is checked");
    await host.plugins.load(await guest({ save: "", lenient: action("replace", { value: { title: 1 } }) }), { name: "a" });
    await assert.rejects(host.hooks.save({ title: 5, words: "x" } as never), {
      code: "MORTISE_HOOK_INPUT",
      message: /^Cannot run hook "save": its input is refused: title: .*; words: /,
    });
    assert.deepEqual(await host.hooks.save({ title: "t" } as Doc), { title: "t", words: 0 }, "what the check gives goes out");
    assert.deepEqual(await host.hooks.lenient({ title: "t", words: 1 }), { title: "t", words: 1 }, "a value that is refused is not used");
    await host.plugins.load(await guest({ save: action("replace", { value: { title: "u" } }) }), { name: "b" });
    await host.plugins.load(await guest({ save: action("replace", { value: { title: 1 } }) }), { name: "c", filters: { save: { words: 9 } } });
    assert.deepEqual(await host.hooks.save({ title: "t", words: 3 }), { title: "u", words: 0 });
    await host.plugins.unload("b");
    await assert.rejects(host.hooks.save({ title: "t", words: 9 }), {
      code: "MORTISE_HOOK_FAILED",
      message: /plugin "c" answered.*: its output has a value that is refused: title: /,
    });
  });

  it("of what comes back has the last word on an answer", async () => {
    const hooks = { decide: hook.first<unknown, number>({ output: even }), change: hook.chain<number>({ input: Number, output: even }) };
    await using host = await createHost({ hooks });
    const load = async (value: unknown): Promise<unknown> =>
      host.plugins.load(await guest({ decide: action("answer", { value }), change: action("replace", { value }) }), { name: "a", replace: true });
    await load(4);
    assert.deepEqual([await host.hooks.decide(1), await host.hooks.change(1)], [4, 4]);
    await load(3);
    for (const run of [host.hooks.decide(1), host.hooks.change(1)])
      await assert.rejects(run, { code: "MORTISE_HOOK_FAILED", message: /is refused: it is odd$/ });
  });

  it("of a first hook holds for what takes the place of the input, too, which is an answer there", async () => {
    await using host = await createHost({ hooks: { decide: hook.first<unknown, number>({ output: even }) } });
    await host.plugins.load(await guest({ decide: action("replace", { value: 3 }) }), { name: "a" });
    await assert.rejects(host.hooks.decide(1), { code: "MORTISE_HOOK_FAILED", message: /is refused: it is odd$/ });
  });

  it("of a bracket is for inputs or for results, wherever they come from", async () => {
    await using host = await createHost({
      hooks: { wrap: hook.bracket<number, { n: number }>({ input: even, output: z.object({ n: z.number() }) }) },
    });
    const load = async (pre: string, post: string): Promise<unknown> =>
      host.plugins.load(await guest({ pre_wrap: pre, post_wrap: post }), { name: "a", replace: true });
    const run = (): Promise<{ n: number }> => host.hooks.wrap(2, (n) => ({ n }));
    await load(action("replace", { value: 4 }), action("replace", { value: { n: 5, more: 1 } }));
    assert.deepEqual(await run(), { n: 5 });
    for (const [pre, post] of [
      [action("replace", { value: 3 }), ""],
      [action("answer", { value: 2 }), ""],
      ["", action("replace", { value: 6 })],
    ] as const) {
      await load(pre, post);
      await assert.rejects(run(), { code: "MORTISE_HOOK_FAILED", message: /is refused/ }, `${pre} ${post}`);
    }
    await assert.rejects(
      host.hooks.wrap(1, (n) => ({ n })),
      { code: "MORTISE_HOOK_INPUT" },
    );
  });

  it("that has changed a value is what the next plugin sees", async () => {
    const round = (value: unknown): unknown => (typeof value === "number" ? Math.round(value) : value);
    await using host = await createHost({ hooks: { change: hook.chain<unknown>({ output: round }) } });
    await host.plugins.load(await guest({ change: action("replace", { value: 1.6 }) }), { name: "a" });
    await host.plugins.load(await guest({ change: NEST }), { name: "b" });
    assert.equal(((await host.hooks.change(0)) as { input: unknown }).input, 2);
  });

  it("that changes a value in its place shows the next plugin what it has left", async () => {
    const strip = (value: unknown): unknown => {
      if (typeof value === "object" && value !== null && "admin" in value) delete value.admin;
      return value;
    };
    await using host = await createHost({ hooks: { change: hook.chain<unknown>({ output: strip }) } });
    await host.plugins.load(await guest({ change: action("replace", { value: { user: 1, admin: true } }) }), { name: "a" });
    await host.plugins.load(await guest({ change: NEST }), { name: "b" });
    assert.deepEqual(((await host.hooks.change(0)) as { input: unknown }).input, { user: 1 });
  });

  it("must not be asynchronous, with promises of whatever kind", async () => {
    const slow = z.string().refine(async () => true);
    await using host = await createHost({
      hooks: { a: hook.chain<string>({ input: slow }), b: hook.chain<string>({ input: (async () => "x") as never }) },
    });
    await host.plugins.load(await guest({ a: "", b: "" }), { name: "a" });
    for (const run of [host.hooks.a("x"), host.hooks.b("x")]) await assert.rejects(run, { code: "MORTISE_HOOK_INPUT" });
    // oxlint-disable-next-line unicorn/no-thenable -- other libraries' promises are what this is about
    const foreign = { "~standard": { version: 1 as const, validate: () => ({ then() {} }) as never } };
    await using other = await createHost({ hooks: { a: hook.first<string, unknown>({ output: foreign }) } });
    await other.plugins.load(await guest({ a: action("answer", { value: 1 }) }), { name: "a" });
    await assert.rejects(other.hooks.a("x"), { code: "MORTISE_HOOK_FAILED", message: /answers with a promise/ });
  });
});
