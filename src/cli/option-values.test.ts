import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type FolderGrant, parseFolder, parseMemory, parsePair, parseWholeNumber } from "./option-values.ts";

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

describe("parsePair", () => {
  it("adds keys, keeps further equals signs, and lets the last value count", () => {
    assert.deepEqual(parsePair("a=2", parsePair("b==", parsePair("a=1"))), { a: "2", b: "=" });
    assert.deepEqual(parsePair("empty="), { empty: "" });
  });

  it("takes names that objects have of their own", () => {
    assert.deepEqual(Object.entries(parsePair("__proto__=x")), [["__proto__", "x"]]);
  });

  for (const text of ["", "a", "=a"]) it(`refuses "${text}"`, () => assert.throws(() => parsePair(text), /KEY=VALUE/));
});

describe("parseFolder", () => {
  const cases: readonly (readonly [text: string, grant: FolderGrant])[] = [
    ["docs:/docs", { host: "docs", guest: "/docs", readOnly: false }],
    ["docs:/docs:ro", { host: "docs", guest: "/docs", readOnly: true }],
    ["../a b:.", { host: "../a b", guest: ".", readOnly: false }],
    ["C:\\data:/data", { host: "C:\\data", guest: "/data", readOnly: false }],
    ["ro:/data:/data:ro", { host: "ro:/data", guest: "/data", readOnly: true }],
  ];
  for (const [text, grant] of cases) it(`reads "${text}"`, () => assert.deepEqual(parseFolder(text), [grant]));

  for (const [text, problem] of [
    ["", /HOST:GUEST/],
    ["docs", /HOST:GUEST/],
    ["docs:ro", /HOST:GUEST/],
    [":/docs", /HOST:GUEST/],
    ["docs:", /HOST:GUEST/],
    ["docs::ro", /HOST:GUEST/],
    ["docs:/a/../b", /must not contain '\.\.'/],
    ["docs:..:ro", /must not contain '\.\.'/],
  ] as const) {
    it(`refuses "${text}"`, () => assert.throws(() => parseFolder(text), problem));
  }

  it("adds to the folders before, none of which may be the same here or there", () => {
    const [first, second] = parseFolder("b:/b:ro", parseFolder("a:/a"));
    assert.deepEqual([first?.host, second?.host], ["a", "b"]);
    assert.throws(() => parseFolder("b:/a:ro", parseFolder("a:/a")), /guest path '\/a' is given twice/);
    assert.throws(() => parseFolder("a:/b", parseFolder("a:/a")), /folder 'a' is given twice/);
  });
});
