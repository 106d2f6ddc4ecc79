import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MortiseError } from "../api/errors.ts";
import { compileFilters } from "./filters.ts";

const fail = (reason: string): MortiseError => new MortiseError("MORTISE_FILTER_INVALID", { plugin: "p", hook: "h", reason });
const lets = (filter: unknown, input: unknown): boolean => compileFilters([filter], fail)?.(input) ?? true;

describe("compileFilters", () => {
  const input = { model: "gpt-4o", user: { role: "admin", tags: ["a", 7], age: 20 }, items: [{ id: 1 }], none: null, flag: false };
  const cases: readonly (readonly [filter: unknown, passes: boolean])[] = [
    [{}, true],
    [{ model: "gpt-4o" }, true],
    [{ model: "gpt" }, false],
    [{ "user.role": ["user", "admin"] }, true],
    [{ "user.role": ["user"] }, false],
    [{ "items.0.id": 1 }, true],
    [{ "items.0.id": "1" }, false],
    [{ "items.1.id": 1 }, false],
    [{ none: null }, true],
    [{ missing: null }, false],
    [{ flag: false }, true],
    [{ model: { prefix: "gpt-" } }, true],
    [{ model: { prefix: "o" } }, false],
    [{ "user.age": { prefix: "2" } }, false],
    [{ model: { contains: "4" } }, true],
    [{ "user.tags": { contains: "a" } }, true],
    [{ "user.tags": { contains: 7 } }, true],
    [{ "user.tags": { contains: "7" } }, false],
    [{ "user.age": { contains: 2 } }, false],
    [{ none: { exists: true } }, true],
    [{ missing: { exists: true } }, false],
    [{ missing: { exists: false } }, true],
    [{ missing: { not: "x" } }, true],
    [{ model: { not: "gpt-4o" } }, false],
    [{ model: { not: ["x", "gpt-4o"] } }, false],
    [{ model: { not: ["x"] } }, true],
    [{ "user.age": { gt: 19, lt: 21 } }, true],
    [{ "user.age": { gt: 20 } }, false],
    [{ "user.age": { gt: 19, lt: 20 } }, false],
    [{ model: { gt: 0 } }, false],
    [{ model: "gpt-4o", "user.role": "user" }, false],
    [{ "user.constructor": { exists: true } }, false],
    [{ "user.toString.name": { exists: true } }, false],
    [{ "model.length": { exists: true } }, false],
  ];
  for (const [filter, passes] of cases) {
    it(`${passes ? "lets pass" : "keeps out"} ${JSON.stringify(filter)}`, () => {
      assert.equal(lets(filter, input), passes);
    });
  }

  it("asks all filters, and none where there is none", () => {
    const both = compileFilters([{ a: 1 }, { b: 2 }], fail);
    assert.deepEqual(
      [{ a: 1 }, { b: 2 }, { a: 1, b: 2 }].map((value) => both?.(value)),
      [false, false, true],
    );
    assert.equal(compileFilters([], fail), undefined);
    assert.equal(compileFilters([{}], fail), undefined);
  });

  it("finds a long text wherever it begins, also in one that almost repeats it", () => {
    const sought = "abcabcabdabcabc";
    for (const text of [sought, `abcabc${sought}`, `${sought}x`, `abcabcabdabcab${sought}`, "abcabcabcabcabdabcabc", `\u{1f600}${sought}`])
      assert.equal(lets({ a: { contains: sought } }, { a: text }), true, text);
    for (const text of ["", sought.slice(1), sought.slice(0, -1), "abcabcabcabcabc".repeat(9)])
      assert.equal(lets({ a: { contains: sought } }, { a: text }), false, text);
  });

  it("takes inputs that are no objects", () => {
    for (const value of [undefined, null, 5, "text", [1]]) assert.equal(lets({ a: 1 }, value), false);
    assert.equal(lets({ "0": 1 }, [1]), true);
  });

  const faults: readonly (readonly [filter: unknown, reason: RegExp])[] = [
    ["x", /is not an object of conditions/],
    [[{ a: 1 }], /is not an object of conditions/],
    [{ "": 1 }, /has the path "", which leads nowhere/],
    [{ "a..b": 1 }, /leads nowhere/],
    [{ [Array.from({ length: 17 }, () => "a").join(".")]: 1 }, /leads nowhere/],
    [{ a: [] }, /has an array that is empty.* at "a"/],
    [{ a: [{}] }, /holds something else than values/],
    [{ a: {} }, /has a condition without a test at "a"/],
    [{ a: { starts: "x" } }, /has the test "starts", but there are only prefix, contains, exists, not, gt, lt/],
    [{ a: { constructor: 1 } }, /has the test "constructor"/],
    [{ a: { prefix: 1 } }, /needs a text/],
    [{ a: { contains: "x".repeat(1025) } }, /needs a value; a text has 1024 characters at most/],
    [{ a: { exists: "yes" } }, /needs true or false/],
    [{ a: { gt: "1" } }, /needs a number/],
    [{ a: { not: {} } }, /needs a value or an array of values/],
    [Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`k${index}`, 1])), /has more than 64 conditions/],
  ];
  for (const [filter, reason] of faults) {
    it(`refuses ${JSON.stringify(filter).slice(0, 60)}`, () => {
      assert.throws(() => compileFilters([filter], fail), { code: "MORTISE_FILTER_INVALID", message: reason });
    });
  }
});
