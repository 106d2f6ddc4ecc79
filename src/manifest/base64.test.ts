import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { base64Fault, base64Size, decodeBase64 } from "./base64.ts";

describe("decodeBase64", () => {
  it("gives the bytes that were encoded, and base64Size their number", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = Buffer.from(bytes).toString("base64");
        assert.equal(base64Fault(text), undefined);
        assert.equal(base64Size(text), bytes.length);
        assert.deepEqual(decodeBase64(text), bytes);
      }),
    );
  });
});

describe("base64Fault", () => {
  it("finds a fault in every text that does not come back as it was", () => {
    const character = fc.constantFrom(..."ABQgwxyz019+/=-_ \n\u00e4".split(""));
    fc.assert(
      fc.property(fc.string({ unit: character, maxLength: 12 }), (text) => {
        const isExact = Buffer.from(text, "base64").toString("base64") === text;
        assert.equal(base64Fault(text) === undefined, isExact, text);
      }),
      { numRuns: 5000 },
    );
  });
});
