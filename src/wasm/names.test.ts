import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { ModuleBuilder, text, unsigned } from "../../test/wasm/builder.ts";
import { readModule } from "./module-reader.ts";
import { functionLabel, readFunctionNames } from "./names.ts";

const subsection = (id: number, ...content: number[]): number[] => [id, ...unsigned(content.length), ...content];
const functionNames = (...names: readonly (readonly [index: number, name: string])[]): number[] =>
  subsection(1, ...unsigned(names.length), ...names.flatMap(([index, name]) => unsigned(index).concat(text(name))));

/** A module of two functions, the first of them imported, with a name section of this content. */
function moduleWith(content: readonly number[] | undefined, ...more: (readonly number[])[]) {
  const builder = new ModuleBuilder();
  const type = builder.type([], []);
  builder.importEntity("m", "imported", "function", unsigned(type));
  builder.func(type, [], []);
  builder.exportEntity("exported", "function", 1);
  if (content !== undefined) builder.custom("name", content);
  for (const other of more) builder.custom("name", other);
  return readModule(builder.build(), "the test");
}

const namesOf = (content: readonly number[] | undefined, ...more: (readonly number[])[]): [number, string][] => [
  ...readFunctionNames(moduleWith(content, ...more)),
];

describe("readFunctionNames", () => {
  it("reads function names and passes over other subsections", () => {
    assert.deepEqual(namesOf([...subsection(0, ...text("module")), ...functionNames([0, "first"], [1, "größe"]), ...subsection(2, 0)]), [
      [0, "first"],
      [1, "größe"],
    ]);
    assert.deepEqual(namesOf(undefined), []);
    assert.deepEqual(namesOf([]), []);
    assert.deepEqual(namesOf(subsection(0, ...text("module"))), []);
  });

  it("reads the first of two sections", () => {
    assert.deepEqual(namesOf(functionNames([1, "first"]), functionNames([1, "second"])), [[1, "first"]]);
  });

  const hostile: readonly (readonly [what: string, content: readonly number[], names: readonly (readonly [number, string])[]])[] = [
    ["that is cut in a subsection's size", [1, 0x80], []],
    ["with an overlong size", [1, 0x80, 0x80, 0x80, 0x80, 0x10], []],
    ["whose subsection passes its end", [1, 50, 1, 0, 1, 0x61], []],
    ["with a huge count", subsection(1, 0xff, 0xff, 0xff, 0xff, 0x0f), []],
    ["with a count above what is there", subsection(1, 3, 0, 1, 0x61), [[0, "a"]]],
    ["whose second name passes its end", subsection(1, 2, 0, 1, 0x61, 1, 9, 0x62), [[0, "a"]]],
    ["whose second name is not UTF-8", subsection(1, 2, 0, 1, 0x61, 1, 1, 0xff), [[0, "a"]]],
    ["with indexes that are not there", functionNames([7, "seven"], [0xffff_ffff, "last"]), [[7, "seven"], [0xffff_ffff, "last"]]],
    ["with names for one index", functionNames([1, "a"], [1, "b"]), [[1, "b"]]],
    ["with an empty name", functionNames([1, ""]), [[1, ""]]],
    ["whose name reaches into the next subsection", [...subsection(1, 1, 0, 4, 0x61), ...functionNames([0, "b"])], []],
  ]; // prettier-ignore
  for (const [what, content, names] of hostile) {
    it(`takes from a section ${what} what could be read`, () => assert.deepEqual(namesOf(content), names));
  }

  it("makes names safe to print, and bounds them", () => {
    const names = namesOf(functionNames([0, "a\n\u001b[2J\u202e"], [1, "x".repeat(100_000)]));
    assert.deepEqual(names, [
      [0, "a\\n\\u001b[2J\\u202e"],
      [1, `${"x".repeat(300)}…`],
    ]);
  });

  it("never throws, whatever the section holds", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, inside) => {
        readFunctionNames(moduleWith(inside ? subsection(1, ...bytes) : [...bytes]));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("functionLabel", () => {
  it("prefers the name, then an export's, then the index", () => {
    const module = moduleWith(undefined);
    assert.equal(functionLabel(module, new Map([[1, "named"]]), 1), "named");
    assert.equal(functionLabel(module, new Map(), 1), "exported");
    assert.equal(functionLabel(module, new Map(), 5), "function[5]");
  });
});
