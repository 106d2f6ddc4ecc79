// What the compiler says of hooks: right uses compile, wrong ones do not. Each line below a mark must be an error.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as z from "zod";

import { hook } from "../../src/hooks/definition.ts";
import { standardHooks } from "../../src/hooks/standard/standard-hooks.ts";
import type { CachedRows, QueryContext } from "../../src/hooks/standard/helios-types.ts";
import { createHost } from "../../src/manager/create-host.ts";

interface Doc {
  readonly title: string;
}

const Schema = z.object({ title: z.string() });

/** True if two types are the same. */
// oxlint-disable-next-line no-unnecessary-type-parameters -- that they are used once is how two types are compared
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
// oxlint-disable-next-line no-unnecessary-type-parameters -- it is for its argument alone
const isTrue = <T extends true>(): T | undefined => undefined;

describe("The types of hooks", () => {
  it("derive from their definitions", async () => {
    await using host = await createHost({
      hooks: {
        beforeSave: hook.chain<Doc>(),
        checked: hook.chain({ input: Schema }),
        decide: hook.first<Doc, number>(),
        audit: hook.all<Doc>(),
        wrap: hook.bracket<Doc, string>(),
        preQuery: standardHooks.preQuery(),
      },
    });
    const { beforeSave, checked, decide, audit, wrap, preQuery } = host.hooks;
    const doc: Doc = { title: "t" };

    isTrue<Same<ReturnType<typeof beforeSave>, Promise<Doc>>>();
    isTrue<Same<ReturnType<typeof decide>, Promise<number | undefined>>>();
    isTrue<Same<ReturnType<typeof audit>, Promise<void>>>();
    isTrue<Same<ReturnType<typeof wrap>, Promise<string>>>();
    isTrue<Same<ReturnType<typeof preQuery>, Promise<QueryContext | CachedRows>>>();
    isTrue<Same<Awaited<ReturnType<typeof checked>>["title"], string>>();
    isTrue<Same<Awaited<ReturnType<typeof checked>>, { title: string }>>();

    const decision = await beforeSave.decide(doc);
    if (decision.action === "reject") assert.equal(typeof decision.reason, "string");
    else isTrue<Same<typeof decision.value, Doc>>();
    const first = await decide.decide(doc);
    if (first.action === "answer") isTrue<Same<typeof first.value, number>>();

    const wrong: readonly (() => unknown)[] = [
      // @ts-expect-error a chain takes its own type
      () => beforeSave({ name: "t" }),
      // @ts-expect-error the input is required
      () => beforeSave(),
      // @ts-expect-error options are known
      () => beforeSave(doc, { requests: host.request() }),
      // @ts-expect-error the schema says what the input is
      () => checked({ title: 5 }),
      // @ts-expect-error a bracket has work to do
      () => wrap(doc),
      // @ts-expect-error the work gives the result's type
      () => wrap(doc, () => 5),
      // @ts-expect-error observers decide nothing
      () => audit.decide(doc),
      // @ts-expect-error brackets give results, not decisions
      () => wrap.decide(doc, () => "x"),
      // @ts-expect-error there is no such hook
      () => host.hooks.afterSave,
      // @ts-expect-error a policy is one of two words
      () => hook.chain<Doc>({ onFailure: "maybe" }),
      // @ts-expect-error observers have no answers to check
      () => hook.all<Doc>({ output: Schema }),
      // @ts-expect-error a check gives the hook's type
      () => hook.chain<Doc>({ input: (value: unknown) => Number(value) }),
      // @ts-expect-error a hook is made by hook or standardHooks
      () => createHost({ hooks: { beforeSave: "chain" } }),
      // @ts-expect-error a result is read, not written
      () => (host.hooks.audit = audit),
      // @ts-expect-error a statement says whether it writes
      () => preQuery({ query: "select 1" }),
    ];
    assert.equal(wrong.length, 15);
  });
});
