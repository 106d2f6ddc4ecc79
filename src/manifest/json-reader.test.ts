import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { locateInJson, parseJson } from "./json-reader.ts";
import type { Place } from "./place.ts";

const parse = (text: string): unknown =>
  parseJson(text, (reason, offset) => {
    throw new SyntaxError(`${reason} at ${offset}`);
  });

/** Gives objects their prototype back. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

describe("parseJson", () => {
  it("gives what JSON.parse gives", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 2, "\t"), (value, space) => {
        const text = JSON.stringify(value, undefined, space);
        assert.deepEqual(plain(parse(text)), JSON.parse(text));
      }),
    );
  });

  it("refuses what JSON.parse refuses", () => {
    const word = fc.constantFrom("{", "}", "[", "]", ",", ":", '"a"', '"b"', '"', "\\", "\\u00", "1", "-", "0", ".5", "e3", "true", "null", " ", "\n", "\u00a0", "\u0001", "x"); // prettier-ignore
    const text = fc.array(word, { maxLength: 12 }).map((words) => words.join(""));
    fc.assert(
      fc.property(text, (each) => {
        let expected: unknown;
        try {
          expected = JSON.parse(each);
        } catch {
          return assert.throws(() => parse(each), SyntaxError);
        }
        try {
          assert.deepEqual(plain(parse(each)), plain(expected));
        } catch (error) {
          assert.match((error as Error).message, /given twice/);
        }
      }),
      { numRuns: 5000 },
    );
  });

  it("makes nothing of keys that mean something in JavaScript", () => {
    const value = parse('{"__proto__": {"a": 1}, "constructor": 2}') as Record<string, unknown>;
    assert.deepEqual([Object.keys(value), Object.getPrototypeOf(value), value["a"]], [["__proto__", "constructor"], null, undefined]);
  });

  it("takes long texts in one piece", () => {
    const long = "x".repeat(20_000_000);
    assert.equal((parse(`{"a": "${long}\\n${long}"}`) as { a: string }).a.length, 40_000_001);
  });
});

describe("locateInJson", () => {
  const text = `{"a": 1,\n  "b": [{"c": 2}, {"c": [3,\n4], "d.e": "b"}]}`;
  const cases: readonly (readonly [place: Place, position: readonly [line: number, column: number] | undefined])[] = [
    [["a"], [1, 2]],
    [["b"], [2, 3]],
    [
      ["b", 0],
      [2, 9],
    ],
    [
      ["b", 1, "c"],
      [2, 20],
    ],
    [
      ["b", 1, "c", 1],
      [3, 1],
    ],
    [
      ["b", 1, "d.e"],
      [3, 5],
    ],
    [["c"], undefined],
    [["b", 2], undefined],
    [[], undefined],
  ];
  for (const [place, position] of cases) {
    it(`finds ${JSON.stringify(place)}`, () => {
      const found = locateInJson(text, place);
      assert.deepEqual(found === undefined ? undefined : [found.line, found.column], position);
    });
  }
});
