// Attributes that a plugin may see.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RequestContext } from "../api/request.ts";
import { compileAccess } from "./attributes.ts";

type Attributes = Readonly<Record<string, string>>;

describe("AttributeAccess.sees", () => {
  const cases: readonly (readonly [read: readonly string[], before: Attributes, now: Attributes, same: boolean])[] = [
    [["*"], {}, {}, true],
    [["*"], { a: "1", b: "2" }, { b: "2", a: "1" }, true],
    [["*"], { a: "1" }, { a: "2" }, false],
    [["*"], { a: "1" }, { b: "1" }, false],
    [["*"], { a: "1" }, {}, false],
    [["*"], {}, { a: "1" }, false],
    [["a"], { a: "1" }, { a: "1", b: "2" }, true],
    [["a"], { a: "1", b: "2" }, { b: "2" }, false],
    [["a", "b*"], { a: "1" }, { a: "1", b2: "2" }, false],
    [[], { a: "1" }, { a: "2" }, true],
  ];
  for (const [read, before, now, same] of cases)
    it(`is ${same} for ${JSON.stringify(now)} after ${JSON.stringify(before)}, if it may read ${JSON.stringify(read)}`, () => {
      const access = compileAccess({ read });
      const known = access.shown(new RequestContext({ attributes: before }));
      assert.equal(access.sees(new RequestContext({ attributes: now }), known), same);
    });
});
