// Texts that come again are the same, whatever the bytes were before.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RecentTexts } from "./recent-texts.ts";

const encoder = new TextEncoder();

describe("RecentTexts.decode()", () => {
  it("gives the text of the bytes as they are now", () => {
    const texts = new RecentTexts();
    const memory = new Uint8Array(256);
    for (const [at, text] of [
      [0, "geoip"],
      [0, "geoip"],
      [0, "geoiq"],
      [128, "lookup"],
      [0, "lookup"],
      [0, "look"],
      [0, "größe"],
      [0, "größe"],
      [0, "gr??e"],
      [0, ""],
      [0, "\u0000\u007f"],
      [0, "x".repeat(100)],
    ] as const) {
      const bytes = encoder.encode(text);
      memory.set(bytes, at);
      assert.equal(texts.decode(memory.subarray(at, at + bytes.length)), text);
    }
  });

  it("refuses what is no UTF-8, also where a text was that is as long", () => {
    const texts = new RecentTexts();
    const memory = encoder.encode("abc");
    texts.decode(memory);
    for (const bytes of [
      [0x61, 0x62, 0xff],
      [0xe3, 0x81, 0x61],
      [0xc0, 0x80, 0x61],
    ]) {
      memory.set(bytes);
      assert.throws(() => texts.decode(memory), TypeError);
    }
  });
});
