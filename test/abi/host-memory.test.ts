// What a host function reads and writes in an exported memory: addresses and lengths as a guest may give them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type CallContext, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

const CASES: readonly (readonly [what: string, address: number | bigint, length: number, end: number | string])[] = [
  ["the whole memory", 0, 65_536, 65_536],
  ["its last byte", 65_535, 1, 1],
  ["nothing at its end", 65_536, 0, 0],
  ["one byte too many", 65_535, 2, "MORTISE_BAD_POINTER"],
  ["a negative length", 0, -1, "MORTISE_BAD_POINTER"],
  ["half a byte", 0, 0.5, "MORTISE_BAD_POINTER"],
  ["from between two bytes", 0.5, 1, "MORTISE_BAD_POINTER"],
  ["no number of bytes", 0, Number.NaN, "MORTISE_BAD_POINTER"],
  ["an address of i32 in the upper half", -1, 1, "MORTISE_BAD_POINTER"],
  ["an address of i64 below all", -(2n ** 40n), 10, "MORTISE_BAD_POINTER"],
  ["an address of i64 above all", 2n ** 63n - 1n, 1, "MORTISE_BAD_POINTER"],
];

describe("a host function that reads the memory of a Bifrost plugin", () => {
  for (const [what, address, length, end] of CASES) {
    it(`${typeof end === "number" ? "gets" : "is refused"} ${what}`, async () => {
      let read = -1;
      const look = (context: CallContext): void => void (read = context.read(address, length).length);
      await using plugin = await loadPlugin(
        await assemble(`(module (import "app" "look" (func $look)) (memory (export "memory") 1)
          (func (export "malloc") (param i32) (result i32) (i32.const 1024))
          (func (export "get_name") (result i64) (i64.const 0))
          (func (export "go") (call $look)))`),
        { hostFunctions: { app: { look } } },
      );
      const code = await plugin.call("go").then(
        () => undefined,
        (error: { readonly code?: string }) => error.code,
      );
      assert.deepEqual([code, read], typeof end === "number" ? [undefined, end] : [end, -1]);
    });
  }
});
