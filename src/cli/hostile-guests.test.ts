import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { inspect } from "../wasm/index.ts";
import { HOSTILE_GUESTS } from "./hostile-guests.ts";

describe("HOSTILE_GUESTS", () => {
  for (const { name, bytes } of HOSTILE_GUESTS) {
    it(`holds a valid module for "${name}" that nothing but limits can stop`, () => {
      assert.ok(WebAssembly.validate(Uint8Array.from(bytes)));
      const module = inspect(bytes);
      assert.deepEqual(
        module.exports.map((item) => item.name),
        ["attack", "hello"],
      );
      assert.deepEqual([module.imports, module.refusals, module.start], [[], [], false]);
    });
  }

  it("has a call bomb of 2^60 calls without a loop", () => {
    assert.equal(HOSTILE_GUESTS[2] && inspect(HOSTILE_GUESTS[2].bytes).functions.defined, 62);
  });
});
