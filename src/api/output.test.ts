import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { PluginOutput } from "./output.ts";

const output = (...bytes: number[]): PluginOutput => new PluginOutput(Uint8Array.from(bytes), "guest", "f");
const of = (text: string): PluginOutput => output(...new TextEncoder().encode(text));

describe("PluginOutput", () => {
  it("bytes and length are what it was made of", () => {
    assert.deepEqual([...output(0, 255, 7).bytes()], [0, 255, 7]);
    assert.deepEqual([output().length, output(1, 2).length], [0, 2]);
    const one = output(1);
    assert.equal(one.bytes(), one.bytes(), "always the same bytes, which belong to the caller");
  });

  it("text decodes UTF-8 and keeps a byte order mark", () => {
    for (const text of ["", "plain", "größer 😀", "\ufeffmarked", "\u0000"]) assert.equal(of(text).text(), text);
  });

  it("text refuses what is not UTF-8 with MORTISE_BAD_TEXT", () => {
    for (const bytes of [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0x61, 0x80]]) {
      assert.throws(() => output(...bytes).text(), {
        code: "MORTISE_BAD_TEXT",
        message: 'Failed in function "f" of plugin "guest": the output is not valid UTF-8',
      });
    }
  });

  it("json parses, and refuses with MORTISE_BAD_JSON, or MORTISE_BAD_TEXT before it", () => {
    assert.deepEqual(of('{"a":[1,null,"é"]}').json(), { a: [1, null, "é"] });
    assert.equal(of("null").json(), null);
    for (const text of ["", "{", "undefined", "\ufeff1", "NaN", "{a:1}"])
      assert.throws(() => of(text).json(), { code: "MORTISE_BAD_JSON", message: /its output is not JSON: ./ }, text);
    assert.throws(() => output(0xff).json(), { code: "MORTISE_BAD_TEXT" });
  });

  it("json makes plain objects, whatever the names", () => {
    const value = of('{"__proto__":{"polluted":true}}').json() as object;
    assert.equal((value as { polluted?: boolean }).polluted, undefined);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });
});
