import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { LineCutter, linesOf } from "./line-cutter.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (bytes: Uint8Array | undefined): string | undefined => (bytes === undefined ? undefined : new TextDecoder().decode(bytes));

describe("LineCutter", () => {
  it("keeps what follows the last newline", () => {
    const cutter = new LineCutter();
    assert.equal(text(cutter.push(utf8("a\nb\nc"))), "a\nb\n");
    assert.equal(cutter.keptBytes, 1);
    assert.equal(cutter.push(utf8("d")), undefined);
    assert.equal(text(cutter.push(utf8("\n"))), "cd\n");
    assert.equal(cutter.flush(), undefined);
    cutter.push(utf8("tail"));
    assert.equal(text(cutter.flush()), "tail\n");
  });

  it("gives every byte once and in order, cut after newlines, wherever the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "grapheme", maxLength: 1 })),
        fc.array(fc.nat({ max: 40 })),
        fc.array(fc.nat({ max: 20 })),
        (base, newlines, sizes) => {
          const characters = Array.from(base);
          for (const at of newlines) characters.splice(at, 0, "\n");
          const whole = utf8(characters.join(""));
          const cutter = new LineCutter();
          const given: Uint8Array[] = [];
          for (let start = 0, index = 0; start < whole.length; index++) {
            const size = 1 + (sizes[index % Math.max(sizes.length, 1)] ?? 3);
            const lines = cutter.push(whole.subarray(start, start + size));
            if (lines !== undefined) given.push(lines);
            start += size;
          }
          const last = cutter.flush();
          if (last !== undefined) given.push(last);
          for (const lines of given) {
            assert.equal(lines.at(-1), 0x0a);
            assert.deepEqual(Buffer.concat([...linesOf(lines)]), Buffer.from(lines));
          }
          assert.equal(Buffer.concat(given).toString(), characters.join("") + (whole.length === 0 || whole.at(-1) === 0x0a ? "" : "\n"));
        },
      ),
    );
  });
});

describe("linesOf", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["", []],
    ["\n", ["\n"]],
    ["a\n\nb\r\n", ["a\n", "\n", "b\r\n"]],
    ["a", ["a"]],
  ];
  for (const [whole, lines] of cases) it(`cuts ${JSON.stringify(whole)}`, () => assert.deepEqual([...linesOf(utf8(whole))].map(text), lines));
});
