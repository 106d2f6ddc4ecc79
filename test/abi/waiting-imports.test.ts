// A function of the user's in place of one that the host provides may wait, also where the host's never does.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

const CASES = {
  extism: `(module (import "mortise:host" "time_ms" (func $time (result i64)))
    (func (export "go") (result i32) (i32.ne (i32.wrap_i64 (call $time)) (i32.const 7))))`,
  bifrost: `(module (import "mortise:host" "time_ms" (func $time (result i64))) (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "get_name") (result i64) (i64.const 0))
    (func (export "go") (result i32) (i32.ne (i32.wrap_i64 (call $time)) (i32.const 7))))`,
} as const;

describe("a host function that takes the place of a service", () => {
  for (const [abi, text] of Object.entries(CASES)) {
    it(`may be asynchronous where the service is not (${abi})`, async () => {
      const time_ms = async (): Promise<bigint> => Promise.resolve(7n);
      await using plugin = await loadPlugin(await assemble(text), { hostFunctions: { "mortise:host": { time_ms } } });
      assert.equal(plugin.abi, abi);
      // It fails with a code other than 0 if the number is another.
      assert.equal((await plugin.call("go")).length, 0);
    });
  }

  it("is found by its own name alone, and not in a prototype", async () => {
    const text = `(module (import "constructor" "assign" (func $wait)) (func (export "go") (call $wait)))`;
    const assign = async (): Promise<void> => {};
    await using plugin = await loadPlugin(await assemble(text), { hostFunctions: { constructor: { assign } } });
    assert.equal((await plugin.call("go")).length, 0);
    for (const module of ["constructor", "__proto__", "toString"]) {
      const wasm = await assemble(text.replace(`"constructor"`, `"${module}"`));
      await assert.rejects(loadPlugin(wasm, { hostFunctions: {} }), { code: "MORTISE_MISSING_IMPORT" });
    }
  });
});
