import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ReadableText, readable } from "./readable.ts";

describe("readable()", () => {
  for (const [what, text, shown] of [
    ["leaves text, line breaks and tabs", "äöü 漢字\n\tx", "äöü 漢字\n\tx"],
    [
      "leaves joiners within pictures and words",
      "\u{1f469}\u200d\u{1f469} \u0915\u094d\u200d\u0937",
      "\u{1f469}\u200d\u{1f469} \u0915\u094d\u200d\u0937",
    ],
    ["shows what a terminal acts on", "\u001b]0;x\u0007\u009b2J\b\r", "\\u{1b}]0;x\\u{7}\\u{9b}2J\\u{8}\\u{d}"],
    ["shows what turns a line around", "a\u202eb\u2066c\u200f", "a\\u{202e}b\\u{2066}c\\u{200f}"],
    ["shows what nobody sees", "a\u200bb\ufeff\u{e0041}", "a\\u{200b}b\\u{feff}\\u{e0041}"],
    ["shows halves of characters and other line breaks", "\ud83d \u2028", "\\u{d83d} \\u{2028}"],
    ["makes one line break of two characters", "a\r\nb", "a\nb"],
  ] as const)
    it(what, () => {
      assert.equal(readable(text), shown);
    });
});

describe("ReadableText", () => {
  it("makes the same of a text however it is cut", () => {
    const text = "\u{1f332}\r\n\u001b[1m\u{1f469}\u200d\u{1f469}\r";
    for (let size = 1; size <= text.length; size++) {
      const readableText = new ReadableText();
      let shown = "";
      for (let at = 0; at < text.length; at += size) shown += readableText.push(text.slice(at, at + size));
      assert.equal(shown + readableText.end(), readable(text), `pieces of ${size}`);
    }
  });
});
