import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { threadMs } from "../../test/thread-time.ts";
import { didYouMean, nearNames } from "./near-names.ts";

describe("nearNames", () => {
  const names = ["count_vowels", "count_words", "Echo", "noop", "x".repeat(65)];
  const cases: readonly (readonly [wanted: string, found: readonly string[]])[] = [
    ["count_vowel", ["count_vowels"]],
    ["count_wrods", ["count_words"]],
    ["echo", ["Echo"]],
    ["ECHO", ["Echo"]],
    ["nop", ["noop"]],
    ["unrelated", []],
    ["x".repeat(65), []],
  ];
  for (const [wanted, found] of cases)
    it(`finds what is near "${wanted.slice(0, 20)}", nearest first`, () => assert.deepEqual(nearNames(wanted, names), found));

  it("puts the nearest first", () => {
    assert.deepEqual(nearNames("abcdef", ["abcxyf", "abcdxf", "ABCDEF"]), ["ABCDEF", "abcdxf", "abcxyf"]);
  });

  it("finds three names at most", () => {
    assert.equal(nearNames("abcd", ["abc1", "abc2", "abc3", "abc4"]).length, 3);
  });

  it("is quick for long words and many names", () => {
    const many = Array.from({ length: 2000 }, (_unused, index) => `name_${index}_${"y".repeat(40)}`);
    const began = threadMs();
    nearNames("n".repeat(1_000_000), many);
    assert.ok(threadMs() - began < 2000);
  });
});

describe("didYouMean", () => {
  it("asks, or says nothing", () => {
    assert.equal(didYouMean("nop", ["noop"]), '; did you mean "noop"?');
    assert.equal(didYouMean("abcd", ["abc1", "abc2"]), '; did you mean "abc1" or "abc2"?');
    assert.equal(didYouMean("abcd", []), "");
  });
});
