import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { assembleText as assembleNamed } from "../../test/wasm/assemble.ts";
import { instrument } from "./instrument.ts";

async function reaching(text: string, imports: readonly number[]): Promise<number[]> {
  const instrumented = instrument(await assembleNamed("reach", text));
  const found = instrumented.reaching(new Set(imports));
  return Array.from(found.keys()).filter((index) => found[index] === 1);
}

describe("functionsReaching", () => {
  it("follows direct calls backwards, circles included", async () => {
    const text = `(module (import "m" "a" (func)) (import "m" "b" (func))
      (func (call 3)) (func (call 0)) (func (call 5)) (func (call 4) (call 1)) (func))`;
    assert.deepEqual(await reaching(text, [0]), [0, 2, 3]);
    assert.deepEqual(await reaching(text, [1]), [1, 4, 5]);
    assert.deepEqual(await reaching(text, []), []);
  });

  it("takes a call through a table to reach whatever a table or reference may hold", async () => {
    const text = `(module (type $t (func)) (import "m" "a" (func)) (table 2 funcref) (elem (i32.const 0) 1)
      (func (call 0)) (func (call_indirect (type $t) (i32.const 0))) (func (call 2)) (func))`;
    assert.deepEqual(await reaching(text, [0]), [0, 1, 2, 3]);
  });

  it("leaves calls through tables alone while no table holds one that counts", async () => {
    const text = `(module (type $t (func)) (import "m" "a" (func)) (table 2 funcref) (elem (i32.const 0) 3)
      (func (call 0)) (func (call_indirect (type $t) (i32.const 0))) (func))`;
    assert.deepEqual(await reaching(text, [0]), [0, 1]);
  });

  it("counts an import that stands in a table itself, and tail calls", async () => {
    const text = `(module (type $t (func)) (import "m" "a" (func)) (table 2 funcref) (elem (i32.const 0) 0)
      (func (call_indirect (type $t) (i32.const 0))) (func (return_call 1)) (func (export "e")))`;
    assert.deepEqual(await reaching(text, [0]), [0, 1, 2]);
  });
});
