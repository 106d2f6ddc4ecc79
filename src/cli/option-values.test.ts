import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parseConfig, parseMemory, parseWholeNumber } from "./option-values.ts";

describe("parseWholeNumber", () => {
  it("takes whole numbers from 1 on", () => {
    for (const text of ["1", "50", "9007199254740991", "007"]) assert.equal(parseWholeNumber(text), Number(text));
  });

  for (const text of ["", " ", "0", "-1", "+1", "1.5", "1e3", "0x10", "NaN", "Infinity", "12ms", "9007199254740992"]) {
    it(`refuses "${text}"`, () => assert.throws(() => parseWholeNumber(text), /whole number, 1 or more/));
  }
});

describe("parseMemory", () => {
  it("takes up to 4 GiB", () => {
    assert.equal(parseMemory("4096"), 4096);
    assert.throws(() => parseMemory("4097"), /4096 or less/);
  });
});

describe("parseConfig", () => {
  it("adds keys, keeps further equals signs, and lets the last value count", () => {
    assert.deepEqual(parseConfig("a=2", parseConfig("b==", parseConfig("a=1"))), { a: "2", b: "=" });
    assert.deepEqual(parseConfig("empty="), { empty: "" });
  });

  it("takes names that objects have of their own", () => {
    assert.deepEqual(Object.entries(parseConfig("__proto__=x")), [["__proto__", "x"]]);
  });

  for (const text of ["", "a", "=a"]) it(`refuses "${text}"`, () => assert.throws(() => parseConfig(text), /KEY=VALUE/));
});
