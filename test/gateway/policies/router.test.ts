// Routing: whom a name means, and whom it does not.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as fc from "fast-check";
import { isMortiseError } from "mortise";

import { matchesPattern } from "../../../src/gateway/policies/model-pattern.ts";
import { Router, type RouterOptions } from "../../../src/gateway/policies/router.ts";
import { chooseByWeight } from "../../../src/gateway/policies/weighted-choice.ts";

const OPTIONS: RouterOptions = {
  providers: {
    openai: { models: ["gpt-5", "gpt-*", "shared"] },
    anthropic: { models: ["claude-*", "gpt-5-claude", "shared"], onlyListed: true },
    local: {},
  },
  aliases: {
    fast: "openai/gpt-5-mini",
    smart: ["gpt-5", { to: "anthropic/claude-opus", weight: 3 }, { to: "local/qwen/32b", weight: 0 }],
    best: [{ to: "smart", weight: 1 }, { to: "openai/gpt-5" }],
    "gpt-4": "gpt-5",
  },
};

const names = (targets: readonly { readonly provider: string; readonly model: string }[]): string =>
  targets.map(({ provider, model }) => `${provider}/${model}`).join(" ");

function refusal(run: () => unknown): { readonly code: string; readonly message: string } {
  try {
    run();
  } catch (error) {
    if (isMortiseError(error)) return error;
    throw error;
  }
  assert.fail("nothing was refused");
}

describe("Router.route", () => {
  const router = new Router(OPTIONS);
  for (const [name, wanted] of [
    ["openai/anything", "openai/anything"],
    ["local/meta/llama", "local/meta/llama"],
    ["gpt-5", "openai/gpt-5"],
    ["gpt-9", "openai/gpt-9"],
    ["gpt-5-claude", "anthropic/gpt-5-claude"],
    ["shared", "openai/shared"],
    ["claude-x", "anthropic/claude-x"],
    ["fast", "openai/gpt-5-mini"],
    ["gpt-4", "openai/gpt-5"],
  ] as const)
    test(`takes "${name}" to ${wanted}`, () => assert.equal(names(router.route(name)), wanted));

  for (const [chance, wanted] of [
    [0, "openai/gpt-5 anthropic/claude-opus local/qwen/32b"],
    [0.24, "openai/gpt-5 anthropic/claude-opus local/qwen/32b"],
    [0.26, "anthropic/claude-opus openai/gpt-5 local/qwen/32b"],
    [0.999_999, "anthropic/claude-opus openai/gpt-5 local/qwen/32b"],
  ] as const)
    test(`chooses among several by weight, and keeps the others as fallbacks (${chance})`, () =>
      assert.equal(names(router.route("smart", () => chance)), wanted));

  test("adds up the weights of aliases that lead to the same", () => {
    // best: one half of it smart, of which gpt-5 is a quarter; the other half gpt-5.
    assert.equal(names(router.route("best", () => 0.62)).split(" ")[0], "openai/gpt-5");
    assert.equal(names(router.route("best", () => 0.63)).split(" ")[0], "anthropic/claude-opus");
  });

  for (const [name, message] of [
    ["qwen", /no provider lists it$/],
    ["fsat", /did you mean "fast"\?/],
    ["anthropic/gpt", /may be asked for listed models only/],
    ["", /no name/],
    ["x".repeat(300), /300 characters/],
    ["__proto__", /no provider lists it/],
    ["constructor", /no provider lists it/],
    ["nobody/x", /no provider lists it/],
    ["openai/", /no provider lists it/],
  ] as const)
    test(`refuses "${name.slice(0, 20)}"`, () => {
      const error = refusal(() => router.route(name));
      assert.equal(error.code, "MORTISE_GATEWAY_NO_MODEL");
      assert.match(error.message, message);
    });

  test("asks the default provider for what nobody lists", () => {
    const open = new Router({ ...OPTIONS, defaultProvider: "local" });
    assert.equal(names(open.route("qwen")), "local/qwen");
    assert.equal(names(open.route("gpt-5")), "openai/gpt-5");
  });
});

describe("Router.fallbacks", () => {
  const router = new Router(OPTIONS);
  test("reads names and objects, and follows aliases", () => {
    const fallbacks = ["fast", { provider: "anthropic", model: "claude-opus" }, "openai/gpt-5"];
    assert.equal(names(router.fallbacks(fallbacks)), "openai/gpt-5-mini anthropic/claude-opus openai/gpt-5");
    for (const none of [undefined, null, []]) assert.deepEqual(router.fallbacks(none), []);
  });

  for (const fallbacks of ["fast", [1], [{ provider: "openai" }], Array.from({ length: 17 }, () => "fast")])
    test(`refuses ${JSON.stringify(fallbacks).slice(0, 30)}`, () =>
      assert.equal(refusal(() => router.fallbacks(fallbacks)).code, "MORTISE_GATEWAY_REQUEST"));
});

describe("Router", () => {
  test("lists aliases and models, patterns aside", () => {
    assert.deepEqual(
      new Router(OPTIONS).models().map(({ id, provider }) => [id, provider]),
      [
        ["fast", "openai"],
        ["smart", undefined],
        ["best", undefined],
        ["gpt-4", "openai"],
        ["openai/gpt-5", "openai"],
        ["openai/shared", "openai"],
        ["anthropic/gpt-5-claude", "anthropic"],
        ["anthropic/shared", "anthropic"],
      ],
    );
  });

  for (const [what, options, message] of [
    ["an alias of itself", { aliases: { a: "a" } }, /"aliases\.a": it is a loop: a to a/],
    ["a loop of three", { aliases: { a: "b", b: ["gpt-5", "c"], c: "a" } }, /a to b to c to a/],
    ["an alias that leads nowhere", { aliases: { a: "nobody" } }, /"aliases\.a": it is "nobody", which leads nowhere/],
    ["an alias without anything to choose", { aliases: { a: [{ to: "gpt-5", weight: 0 }] } }, /aliases\.a/],
    ["an empty alias", { aliases: { a: [] } }, /aliases\.a/],
    ["a weight below 0", { aliases: { a: [{ to: "gpt-5", weight: -1 }] } }, /aliases\.a\[0\]\.weight/],
    ["a default that is none", { defaultProvider: "x" }, /"defaultProvider"/],
    ["a name of a provider with a slash", { providers: { "a/b": {} } }, /providers\.a\/b/],
    ["a model without a name", { providers: { openai: { models: [""] } } }, /providers\.openai\.models\[0\]/],
    ["an option that it does not have", { alias: {} }, /did you mean "aliases"/],
  ] as const)
    test(`refuses ${what}`, () => {
      const error = refusal(() => new Router({ ...OPTIONS, ...(options as object) }));
      assert.equal(error.code, "MORTISE_INVALID_OPTION");
      assert.match(error.message, message);
    });
});

describe("matchesPattern", () => {
  test("agrees with a regular expression, whatever pattern and name are", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "*", ".", "-"), maxLength: 12 });
    fc.assert(
      fc.property(text, text, (pattern, name) => {
        const plain = name.replaceAll("*", "a");
        const wanted = new RegExp(
          `^${pattern
            .split("*")
            .map((part) => part.replaceAll(".", "\\."))
            .join(".*")}$`,
          "s",
        ).test(plain);
        assert.equal(matchesPattern(pattern, plain), wanted);
      }),
    );
  });

  test("is not slow for a pattern that makes others slow", () => {
    assert.equal(matchesPattern("*a".repeat(30), "a".repeat(256) + "b"), false);
  });
});

describe("chooseByWeight", () => {
  test("gives one of those that weigh something, in proportion", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(5), { minLength: 1, maxLength: 6 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (weights, chance) => {
          const items = weights.map((weight, index) => ({ weight, index }));
          const chosen = chooseByWeight(items, () => chance);
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          if (total === 0) return chosen === items[0];
          const before = weights.slice(0, chosen?.index).reduce((sum, weight) => sum + weight, 0);
          return chosen !== undefined && chosen.weight > 0 && before <= chance * total && chance * total <= before + chosen.weight;
        },
      ),
    );
    const items = [{ weight: 0 }, { weight: 1 }, { weight: 0 }];
    // What adding up and taking off make of fractions may leave a little.
    assert.equal(
      chooseByWeight(items, () => 1),
      items[1],
    );
    const light = [{ weight: 0 }, { weight: 0 }];
    assert.equal(
      chooseByWeight(light, () => 0.9),
      light[0],
    );
    assert.equal(
      chooseByWeight([], () => 0),
      undefined,
    );
  });
});
