import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { JsonBytes, arrayRoom, readByteArray, writeByteArray } from "./byte-arrays.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value);
const ALL = Uint8Array.from({ length: 256 }, (_unused, byte) => byte);

describe("writeByteArray", () => {
  const cases: readonly Uint8Array[] = [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(255), Uint8Array.of(9, 10, 99, 100), ALL];
  for (const bytes of cases)
    it(`writes what JSON.stringify writes for ${bytes.length} bytes`, () => {
      const target = new Uint8Array(arrayRoom(bytes.length));
      assert.equal(text(target.subarray(0, writeByteArray(new DataView(target.buffer), 0, bytes))), JSON.stringify([...bytes]));
    });
});

describe("JsonBytes", () => {
  it("puts texts and arrays one after the other, and grows", () => {
    const built = new JsonBytes(1).text('{"a":"größer 😀","b":').array(ALL).text("}").take();
    assert.deepEqual(JSON.parse(text(built)), { a: "größer 😀", b: [...ALL] });
  });
});

describe("readByteArray", () => {
  it("reads what writeByteArray writes, and says where it ends", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), (bytes) => {
        const built = new JsonBytes().text("xx").array(bytes).text("yy").take();
        const read = readByteArray(built, 2);
        assert.deepEqual(read?.bytes, bytes);
        assert.equal(read?.end, built.length - 2);
      }),
    );
  });

  it("agrees with JSON.parse on what is an array of bytes, or leaves it alone", () => {
    const piece = fc.constantFrom("[", "]", ",", "0", "1", "2", "5", "6", "00", "255", "256", "-1", "1.5", "1e2", " ", '"1"', "null");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const json = `[${pieces.join("")}`;
        const read = readByteArray(utf8(json), 0);
        if (read === undefined) return;
        const value: unknown = JSON.parse(json.slice(0, read.end));
        assert.deepEqual(value, [...read.bytes]);
      }),
      { numRuns: 2000 },
    );
  });

  const refused = [
    "",
    "[",
    "[1",
    "[1,",
    "[,1]",
    "[1,]",
    "[01]",
    "[256]",
    "[1000]",
    "[-1]",
    "[1.0]",
    "[ 1]",
    "[1 ]",
    '["1"]',
    "[null]",
    "[[1]]",
    "[1;2]",
  ];
  for (const json of refused)
    it(`leaves ${json === "" ? "nothing" : json} to a JSON reader`, () => assert.equal(readByteArray(utf8(json), 0), undefined));

  it("reads nothing behind the end of the text", () => {
    const whole = utf8("[1,2,3]");
    for (let length = 0; length < whole.length; length++) assert.equal(readByteArray(whole.subarray(0, length), 0), undefined);
  });
});
