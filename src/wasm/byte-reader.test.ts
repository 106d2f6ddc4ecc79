import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { signed, unsigned } from "../../test/wasm/builder.ts";
import { isMortiseError } from "../api/errors.ts";
import { ByteReader } from "./byte-reader.ts";

const over = (...bytes: number[]): ByteReader => new ByteReader(Uint8Array.from(bytes), "the test");

/** What a reading gives: value and position after it, or reason and offset of the failure. */
function outcome(reader: ByteReader, read: (reader: ByteReader) => unknown): readonly [value: unknown, position: number] {
  try {
    return [read(reader), reader.position];
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    assert.equal(error.code, "MORTISE_WASM_MALFORMED");
    assert.equal(error.details["source"], "the test");
    return [error.details["reason"], error.details["offset"] as number];
  }
}

type Rows = readonly (readonly [bytes: readonly number[], value: unknown, position: number])[];

function check(rows: Rows, read: (reader: ByteReader) => unknown): void {
  for (const [bytes, value, position] of rows)
    assert.deepEqual(outcome(over(...bytes), read), [value, position], `[${bytes.map((byte) => byte.toString(16)).join(" ")}]`);
}

const END = "unexpected end";

describe("ByteReader.u32", () => {
  it("reads one to five bytes, padded ones too, and refuses what passes 32 bits at the byte that does", () => {
    const large = "integer too large for 32 bits";
    check(
      [
        [[0x00], 0, 1],
        [[0x7f], 127, 1],
        [[0x80, 0x01], 128, 2],
        [[0xff, 0x7f], 16_383, 2],
        [[0x80, 0x00], 0, 2],
        [[0x80, 0x80, 0x80, 0x80, 0x00], 0, 5],
        [[0xff, 0x80, 0x80, 0x80, 0x00], 127, 5],
        [[0xff, 0xff, 0xff, 0xff, 0x07], 0x7fff_ffff, 5],
        [[0x80, 0x80, 0x80, 0x80, 0x08], 0x8000_0000, 5],
        [[0xff, 0xff, 0xff, 0xff, 0x0f], 0xffff_ffff, 5],
        [[0xff, 0xff, 0xff, 0xff, 0x10], large, 4],
        [[0x80, 0x80, 0x80, 0x80, 0x10], large, 4],
        [[0xff, 0xff, 0xff, 0xff, 0x7f], large, 4],
        [[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], large, 4],
        [[0x80, 0x80, 0x80, 0x80, 0x8f, 0x00], large, 4],
        [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], large, 4],
        [[], END, 0],
        [[0x80], END, 1],
        [[0x80, 0x80, 0x80, 0x80], END, 4],
      ],
      (reader) => reader.u32(),
    );
  });

  it("reads what any encoder writes, whatever the padding", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 5 }), (value, width) => {
        const bytes = unsigned(value, width);
        assert.deepEqual(
          outcome(over(...bytes, 0x55), (reader) => reader.u32()),
          [value, bytes.length],
        );
      }),
    );
  });
});

describe("ByteReader.u64", () => {
  it("reads one to ten bytes, and refuses what passes 64 bits at the byte that does", () => {
    const ones = Array<number>(9).fill(0xff);
    const zeros = Array<number>(9).fill(0x80);
    const large = "integer too large for 64 bits";
    check(
      [
        [[0x00], 0n, 1],
        [[0x80, 0x01], 128n, 2],
        [[...zeros, 0x00], 0n, 10],
        [[...zeros, 0x01], 1n << 63n, 10],
        [[...ones, 0x01], (1n << 64n) - 1n, 10],
        [[...ones, 0x02], large, 9],
        [[...ones, 0x7f], large, 9],
        [[...zeros, 0x80, 0x00], large, 9],
        [[...zeros, 0x81, 0x00], large, 9],
        [[], END, 0],
        [zeros, END, 9],
      ],
      (reader) => reader.u64(),
    );
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 64n) - 1n), (value) =>
        assert.deepEqual(outcome(over(...unsigned(value)), (reader) => reader.u64())[0], value),
      ),
    );
  });
});

describe("ByteReader.s33", () => {
  it("reads one to five bytes with their sign, and refuses what passes 33 bits", () => {
    const large = "integer too large for 33 bits";
    check(
      [
        [[0x00], 0, 1],
        [[0x3f], 63, 1],
        [[0x40], -64, 1],
        [[0x7f], -1, 1],
        [[0x70], -16, 1],
        [[0xc0, 0x00], 64, 2],
        [[0xff, 0x7f], -1, 2],
        [[0x80, 0x80, 0x80, 0x80, 0x00], 0, 5],
        [[0xff, 0xff, 0xff, 0xff, 0x0f], 0xffff_ffff, 5],
        [[0x80, 0x80, 0x80, 0x80, 0x70], -(2 ** 32), 5],
        [[0xff, 0xff, 0xff, 0xff, 0x7f], -1, 5],
        [[0xff, 0xff, 0xff, 0xff, 0x10], large, 4],
        [[0xff, 0xff, 0xff, 0xff, 0x6f], large, 4],
        [[0x80, 0x80, 0x80, 0x80, 0x80, 0x00], large, 4],
        [[0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], large, 4],
        [[], END, 0],
        [[0x80, 0x80], END, 2],
      ],
      (reader) => reader.s33(),
    );
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (value) =>
        assert.deepEqual(outcome(over(...signed(value)), (reader) => reader.s33())[0], value),
      ),
    );
  });
});

describe("ByteReader.skipLeb", () => {
  it("skips at most so many bytes", () => {
    check(
      [
        [[0x00, 0x55], undefined, 1],
        [[0x80, 0x80, 0x00], undefined, 3],
        [[0x80, 0x80, 0x80, 0x00], "integer encoding too long", 2],
        [[], END, 0],
        [[0x80], END, 1],
      ],
      (reader) => reader.skipLeb(3),
    );
  });
});

describe("ByteReader.take, name and count", () => {
  it("take gives a view of the bytes, and nothing past the end", () => {
    const reader = over(1, 2, 3, 4);
    const view = reader.take(3);
    assert.deepEqual([...view], [1, 2, 3]);
    assert.equal(view.buffer, reader.bytes.buffer);
    assert.equal(reader.take(0).length, 0);
    assert.deepEqual(
      outcome(reader, (at) => at.take(2)),
      ["length 2 passes the end", 3],
    );
    assert.deepEqual(
      outcome(reader, (at) => at.take(0xffff_ffff)),
      ["length 4294967295 passes the end", 3],
    );
  });

  it("take and byte respect an end before that of the bytes", () => {
    const reader = over(1, 2, 3, 4);
    reader.end = 2;
    assert.deepEqual(
      outcome(reader, (at) => at.take(3)),
      ["length 3 passes the end", 0],
    );
    reader.byte();
    reader.byte();
    assert.deepEqual(
      outcome(reader, (at) => at.byte()),
      [END, 2],
    );
    assert.deepEqual(
      outcome(reader, (at) => at.u32()),
      [END, 2],
    );
  });

  it("name reads UTF-8 and refuses everything else at the name's start", () => {
    const bad = "name is not valid UTF-8";
    check(
      [
        [[0], "", 1],
        [[2, 0xc3, 0xa9], "é", 3],
        [[4, 0xf0, 0x9f, 0x98, 0x80], "😀", 5],
        [[3, 0xef, 0xbb, 0xbf], "\ufeff", 4],
        [[1, 0x00], "\0", 2],
        [[1, 0xff], bad, 0],
        [[2, 0xc0, 0x80], bad, 0],
        [[3, 0xed, 0xa0, 0x80], bad, 0],
        [[1, 0xc3, 0xa9], bad, 0],
        [[4, 0xf4, 0x90, 0x80, 0x80], bad, 0],
        [[5, 0x61], "length 5 passes the end", 1],
        [[0xff, 0xff, 0xff, 0xff, 0x0f], "length 4294967295 passes the end", 5],
        [[], END, 0],
      ],
      (reader) => reader.name(),
    );
  });

  it("count refuses more items than bytes follow, and more than its limit", () => {
    check(
      [
        [[0], 0, 1],
        [[2, 9, 9], 2, 1],
        [[3, 9, 9], "3 things do not fit into the 2 bytes that follow", 0],
        [[4, 9, 9, 9, 9], "4 things, at most 3 are allowed", 0],
        [[0xff, 0xff, 0xff, 0xff, 0x0f], "4294967295 things do not fit into the 0 bytes that follow", 0],
      ],
      (reader) => reader.count("things", 3),
    );
  });
});
