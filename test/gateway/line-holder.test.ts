// Bytes line by line: what waits, what is handed on, and how much is copied.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { LineHolder } from "../../src/gateway/line-holder.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const textOf = (piece: Uint8Array): string => Buffer.from(piece).toString();

describe("LineHolder", () => {
  it("hands on whole lines, and the rest at the end", () => {
    const lines = new LineHolder();
    const given = ["a\n", "b", "c", "", "d\ne\nf", "g", "\n", "h", "i"].map((piece) => textOf(lines.push(bytes(piece))));
    assert.deepEqual(given, ["a\n", "", "", "", "bcd\ne\n", "", "fg\n", "", ""]);
    assert.deepEqual([textOf(lines.rest()), textOf(lines.rest())], ["hi", ""]);
  });

  it("hands on as it came what is whole, and leaves what it was given alone", () => {
    const lines = new LineHolder();
    const whole = bytes("a\nb\n");
    assert.equal(lines.push(whole), whole);
    const room = bytes("aXXX");
    lines.push(room.subarray(0, 1));
    lines.push(bytes("b"));
    assert.equal(textOf(room), "aXXX");
    assert.equal(textOf(lines.rest()), "ab");
  });

  it("does not wait for the end of a line of 1 MiB", () => {
    const lines = new LineHolder();
    const piece = new Uint8Array((1 << 20) - 1);
    assert.equal(lines.push(piece).length, 0);
    assert.equal(lines.push(bytes("x")).length, 1 << 20);
    assert.equal(lines.rest().length, 0);
  });

  it("copies no byte more than a few times, however small the pieces are", (t) => {
    let copied = 0;
    for (const name of ["alloc", "allocUnsafe", "allocUnsafeSlow"] as const) {
      const original = Buffer[name];
      t.mock.method(Buffer, name, (size: number) => ((copied += size), original(size)));
    }
    const lines = new LineHolder();
    for (let at = 0; at < 100_000; at++) lines.push(Uint8Array.of(0x78));
    assert.equal(lines.push(bytes("\n")).length, 100_001);
    assert.ok(copied >= 100_000 && copied < 600_000, String(copied));
  });
});
