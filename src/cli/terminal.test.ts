import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { jsonText, shorten, visible, wrap } from "./terminal.ts";

describe("visible", () => {
  it("escapes what a terminal would act on and keeps what people read", () => {
    assert.equal(visible("a\u001b[2J\n\u009b\u202e\u200b"), "a\\u{1b}[2J\\u{a}\\u{9b}\\u{202e}\\u{200b}");
    assert.equal(visible("größer 漢字 🙂 ()"), "größer 漢字 🙂 ()");
  });
});

describe("jsonText", () => {
  it("escapes what JSON leaves and a terminal acts on, and reads back the same", () => {
    const value = { name: "\u001b\u009b\u202e\u2028é" };
    assert.equal(jsonText(value), '{"name":"\\u001b\\u009b\\u202e\\u2028é"}');
    assert.deepEqual(JSON.parse(jsonText(value)), value);
    assert.equal(jsonText({ size: 2n ** 64n }), '{"size":"18446744073709551616"}');
  });
});

describe("shorten", () => {
  it("keeps text that fits and never splits a character", () => {
    assert.equal(shorten("four", 4), "four");
    assert.equal(shorten("fives", 4), "fiv…");
    assert.equal(shorten("🙂🙂🙂", 2), "🙂…");
  });
});

describe("wrap", () => {
  it("breaks at spaces and keeps long words whole", () => {
    assert.deepEqual(wrap("a bb ccc", 4), ["a bb", "ccc"]);
    assert.deepEqual(wrap("unbreakable b", 4), ["unbreakable", "b"]);
    assert.deepEqual(wrap("all of it", Number.POSITIVE_INFINITY), ["all of it"]);
  });
});
