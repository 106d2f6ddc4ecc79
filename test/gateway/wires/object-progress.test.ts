// Arguments in pieces: when they are whole.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { ObjectProgress } from "../../../src/gateway/wires/common/object-progress.ts";

function isWhole(...pieces: readonly string[]): boolean {
  const progress = new ObjectProgress();
  for (const piece of pieces) progress.push(piece);
  return progress.isWhole;
}

describe("ObjectProgress", () => {
  for (const [text, whole] of [
    ["", false],
    [" ", false],
    ["{}", true],
    [" {} \n", true],
    ['{"a":{"b":[{}]}}', true],
    ['{"a":{}', false],
    ['{"a":"}"', false],
    ['{"a":"}"}', true],
    ['{"a":"\\"}"', false],
    ['{"a":"\\\\"}', true],
    ["{}x", false],
    ["{}{}", false],
    ["[]", false],
    ['"{}"', false],
    ["x{}", false],
  ] as const)
    it(`takes ${JSON.stringify(text)} for ${whole ? "whole" : "a part"}, however it is cut`, () => {
      assert.equal(isWhole(text), whole);
      assert.equal(isWhole(...text.split("")), whole);
    });

  it("takes each object for whole at its end, and not before", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(), fc.nat(), (object, one, other) => {
        const text = JSON.stringify(object);
        const [a = 0, b = 0] = [one % text.length, other % text.length].toSorted((x, y) => x - y);
        assert.equal(isWhole(text.slice(0, a), text.slice(a, b)), false);
        assert.equal(isWhole(text.slice(0, a), text.slice(a, b), text.slice(b)), true);
      }),
    );
  });
});
