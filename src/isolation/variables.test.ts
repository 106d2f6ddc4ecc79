import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { VariableMirror, type Variables } from "./variables.ts";

const size = ({ variables }: Variables): number => {
  let bytes = 0;
  for (const [name, value] of variables) bytes += Buffer.byteLength(name) + 48 + value.length;
  return bytes;
};
const fresh = (): Variables => ({ variables: new Map(), variableBytes: 0 });

function set(side: Variables, name: string, value: Uint8Array<ArrayBuffer> | undefined): void {
  if (value === undefined) side.variables.delete(name);
  else side.variables.set(name, value);
  side.variableBytes = size(side);
}

const step = fc.record({
  here: fc.boolean(),
  name: fc.constantFrom("a", "b", "größe", "__proto__"),
  value: fc.option(fc.uint8Array({ maxLength: 5 }), { nil: undefined }),
  exchange: fc.boolean(),
});

describe("VariableMirror", () => {
  it("keeps two sides the same when each tells the other before that one changes anything", () => {
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const [left, right] = [fresh(), fresh()];
        const [leftMirror, rightMirror] = [new VariableMirror(left), new VariableMirror(right)];
        const tell = (from: VariableMirror, to: VariableMirror): void => {
          const changed = from.takeChanges();
          if (changed !== undefined) assert.ok(to.apply(changed.changes, changed.values, 10_000));
        };
        for (const { here, name, value, exchange } of steps) {
          set(here ? left : right, name, value === undefined ? undefined : Uint8Array.from(value));
          // One side runs at a time, and what it did is told before the other goes on.
          if (here) tell(leftMirror, rightMirror);
          else tell(rightMirror, leftMirror);
          assert.deepEqual(left.variables, right.variables);
          assert.deepEqual([left.variableBytes, right.variableBytes], [size(left), size(right)]);
          if (exchange) assert.deepEqual([leftMirror.takeChanges(), rightMirror.takeChanges()], [undefined, undefined]);
        }
      }),
    );
  });

  it("takes nothing over if it is too much together", () => {
    const side = fresh();
    set(side, "kept", new Uint8Array(10));
    const mirror = new VariableMirror(side);
    assert.equal(
      mirror.apply(
        [
          ["kept", 0],
          ["new", 1],
        ],
        [new Uint8Array(100)],
        150,
      ),
      false,
    );
    assert.deepEqual([[...side.variables.keys()], side.variableBytes], [["kept"], 62]);
    assert.equal(
      mirror.apply(
        [
          ["kept", 0],
          ["new", 1],
        ],
        [new Uint8Array(100)],
        151,
      ),
      true,
    );
    assert.deepEqual([[...side.variables.keys()], side.variableBytes], [["new"], 151]);
  });

  it("counts a name once that is set twice", () => {
    const side = fresh();
    assert.equal(
      new VariableMirror(side).apply(
        [
          ["v", 1],
          ["v", 0],
          ["v", 1],
        ],
        [new Uint8Array(5), new Uint8Array(7)],
        1000,
      ),
      true,
    );
    assert.deepEqual([side.variableBytes, side.variables.get("v")?.length], [1 + 48 + 7, 7]);
  });

  it("gives away copies", () => {
    const side = fresh();
    const value = Uint8Array.of(1, 2);
    set(side, "v", value);
    const changed = new VariableMirror(side).takeChanges();
    assert.deepEqual(changed?.values, [value]);
    assert.notEqual(changed?.values[0], value);
  });
});
