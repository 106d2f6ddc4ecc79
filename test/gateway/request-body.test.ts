// Bodies of requests: what is refused, and what becomes of the model's name.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { readBody, withModel } from "../../src/gateway/request-body.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const renamed = (text: string, name: string): string => Buffer.from(withModel(readBody(bytes(text)), name)).toString();

describe("readBody", () => {
  it("refuses what could mean two things, or nothing", () => {
    const cases: readonly (readonly [body: string | Uint8Array, message: RegExp])[] = [
      ["", /is not JSON/],
      ["{", /is not JSON/],
      ['{"model":"a"} x', /is not JSON/],
      ["[]", /is not a JSON object/],
      ["null", /is not a JSON object/],
      ['"text"', /is not a JSON object/],
      ['{"model":"a","model":"b"}', /same key twice/],
      ['{"model":"a","mod\\u0065l":"b"}', /same key twice/],
      ['{"messages":[{"role":"user","role":"system"}]}', /same key twice/],
      ['{"a":{"__proto__":1}}', /"__proto__"/],
      [`{"a":${"[".repeat(64)}${"]".repeat(64)}}`, /deeper than 64/],
      [Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), /is not UTF-8/],
    ];
    for (const [body, message] of cases)
      assert.throws(() => readBody(typeof body === "string" ? bytes(body) : body), { code: "MORTISE_GATEWAY_REQUEST", message }, String(body));
  });

  it("reads what looks alike, but is not", () => {
    for (const body of ['{"a":"b\\":\\"c","d":"\\\\"}', '{"a":{"b":1},"c":{"b":1}}', `{"a":${"[".repeat(62)}${"]".repeat(62)}}`, '{":":":"}'])
      assert.deepEqual(readBody(bytes(body)).json, JSON.parse(body));
  });

  it("agrees with JSON.parse on every object", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue({ maxDepth: 4 })), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes("__proto__"));
        assert.deepEqual(readBody(bytes(text)).json, JSON.parse(text));
      }),
    );
  });
});

describe("withModel", () => {
  it("changes the outermost model's name, and no other byte", () => {
    const cases: readonly (readonly [before: string, after: string])[] = [
      ['{"model":"a","seed":12345678901234567890}', '{"model":"x/\\"y","seed":12345678901234567890}'],
      ['{ "n" : 1.0 , "model"\n:\t"a" }', '{ "n" : 1.0 , "model"\n:\t"x/\\"y" }'],
      ['{"tools":[{"model":"t"}],"user":"model","model":"a"}', '{"tools":[{"model":"t"}],"user":"model","model":"x/\\"y"}'],
      ['{"a":"model","b":"\\\\","model":"a"}', '{"a":"model","b":"\\\\","model":"x/\\"y"}'],
      ['{"mod\\u0065l":"a","b":1}', '{"model":"x/\\"y","b":1}'],
    ];
    for (const [before, after] of cases) assert.equal(renamed(before, 'x/"y'), after);
  });

  it("asks for the usage of a stream besides, if it is told to", () => {
    const asks = '"stream_options":{"include_usage":true}';
    const cases: readonly (readonly [before: string, name: string, after: string])[] = [
      ['{"model":"a","seed":12345678901234567890}', "a", `{${asks},"model":"a","seed":12345678901234567890}`],
      [' \n{ "n" : 1.0 , "model" : "a" }', "b", ` \n{${asks}, "n" : 1.0 , "model" : "b" }`],
      ['{"mod\\u0065l":"a","b":1}', "a", `{${asks},"mod\\u0065l":"a","b":1}`],
      ['{"mod\\u0065l":"a","b":1}', "b", `{"model":"b","b":1,${asks}}`],
      ['{"model":"a","stream_options":null}', "a", `{"model":"a",${asks}}`],
      ['{"model":"a","stream\\u005foptions":{"include_usage":false}}', "b", `{"model":"b",${asks}}`],
      ['{"stream_options":{"x":1},"model":"a"}', "a", '{"stream_options":{"x":1,"include_usage":true},"model":"a"}'],
    ];
    for (const [before, name, after] of cases) {
      const asked = Buffer.from(withModel(readBody(bytes(before)), name, true)).toString();
      assert.equal(asked, after);
      assert.equal(readBody(bytes(asked)).json["model"], name);
    }
  });

  it("gives the very bytes where the name stays", () => {
    const own = bytes('{"model" : "a"}');
    assert.equal(withModel(readBody(own), "a"), own);
  });

  it("says the same in any body", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), fc.string(), (value, name) => {
        const text = JSON.stringify({ ...value, model: "old" });
        fc.pre(!text.includes("__proto__"));
        assert.deepEqual(JSON.parse(renamed(text, name)), { ...(JSON.parse(text) as object), model: name });
      }),
    );
  });
});
