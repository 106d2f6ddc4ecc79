// The module that a child warms up with is what its comment says.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import loadWabt from "wabt";

const source = readFileSync(new URL("../../src/isolation/warm-up.ts", import.meta.url), "utf8");

describe("warmUp", () => {
  it("has the module that stands in its comment", async () => {
    const [, block = ""] = /```wat\n([\s\S]*?)```/.exec(source) ?? [];
    const text = block.replaceAll(/^ \* ?/gm, "");
    const { buffer } = (await loadWabt()).parseWat("warm-up", text).toBinary({ write_debug_names: false });
    const [, constant = ""] = /const MODULE =([\s\S]*?);/.exec(source) ?? [];
    const base64 = [...constant.matchAll(/"([^"]*)"/g)].map(([, piece]) => piece).join("");
    assert.equal(base64, Buffer.from(buffer).toString("base64"));
  });
});
