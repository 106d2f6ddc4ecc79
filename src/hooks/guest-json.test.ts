import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { MortiseError } from "../api/errors.ts";
import { readGuestJson, sameJson } from "./guest-json.ts";

const encoder = new TextEncoder();
const fault = (reason: string): MortiseError => new MortiseError("MORTISE_HOOK_OUTPUT", { hook: "h", plugin: "p", reason });
const read = (text: string | Uint8Array, maxBytes: number = 1 << 20): unknown =>
  readGuestJson(typeof text === "string" ? encoder.encode(text) : text, maxBytes, fault).value;
const refusal = (reason: RegExp): { code: string; message: RegExp } => ({ code: "MORTISE_HOOK_OUTPUT", message: reason });

describe("readGuestJson", () => {
  it("reads what JSON.parse reads, if there is only one way to read it", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 2, "\t"), (value, space) => {
        const text = JSON.stringify(value, undefined, space);
        fc.pre(!/"__proto__"\s*:/.test(text) && text.isWellFormed());
        let expected: unknown;
        try {
          expected = read(text);
        } catch (error) {
          assert.match((error as Error).message, /beyond 2\^53|surrogate/);
          return;
        }
        assert.deepEqual(expected, JSON.parse(text));
      }),
    );
  });

  it("says what it has read besides the value", () => {
    assert.deepEqual(readGuestJson(encoder.encode('{"a": 1}'), 8, fault), { text: '{"a": 1}', value: { a: 1 } });
  });

  const faults: readonly (readonly [what: string, text: string | Uint8Array, reason: RegExp])[] = [
    ["too many bytes", " ".repeat(1 << 20).concat("1"), /has 1048577 bytes, but 1048576 are allowed$/],
    ["no UTF-8", Uint8Array.from([0x22, 0xff, 0x22]), /is not valid UTF-8$/],
    ["half of a pair in UTF-8", Uint8Array.from([0x22, 0xed, 0xa0, 0x80, 0x22]), /is not valid UTF-8$/],
    ["a byte order mark", "\ufeff1", /is not JSON/],
    ["nothing", "", /is not JSON/],
    ["no JSON", "{action:1}", /is not JSON/],
    ["something after it", "{} {}", /is not JSON/],
    ["NaN", "[NaN]", /is not JSON/],
    ["65 levels", `${"[".repeat(65)}${"]".repeat(65)}`, /has more than 64 levels$/],
    ["65 levels of objects", `${'{"a":'.repeat(65)}1${"}".repeat(65)}`, /has more than 64 levels$/],
    ["half a million levels", "[".repeat(500_000).concat("]".repeat(500_000)), /has more than 64 levels$/],
    ["__proto__", '{"a":{"__proto__":{"admin":true}}}', /has the key "__proto__"$/],
    ["__proto__ in disguise", '{"__pro\\u0074o__":1}', /has the key "__proto__"$/],
    ["2^53", '{"n":[9007199254740992]}', /has a number beyond 2\^53 - 1$/],
    ["-2^53", "-9007199254740992", /has a number beyond/],
    ["a number without end", "1e999", /has a number beyond/],
    ["half of a pair", '{"a":"\\ud800"}', /has half of a surrogate pair in a text$/],
    ["the other half", '["\\udc00x"]', /has half of a surrogate pair/],
    ["half of a pair in a key", '{"\\ud83d":1}', /has a key with half of a surrogate pair$/],
    ["a key twice", '{"a":1,"a":2}', /has an object with the same key twice$/],
    ["a key twice, deep down", '[{"x":{"y":{"b":1,"c":[],"b":1}}}]', /same key twice$/],
    ["a key twice, once in disguise", '{"action":"reject","\\u0061ction":"continue"}', /same key twice$/],
    ["a number for a key twice", '{"1":0,"2":0,"1":0}', /same key twice$/],
  ];
  for (const [what, text, reason] of faults) {
    it(`refuses ${what}`, () => {
      assert.throws(() => read(text), refusal(reason));
    });
  }

  it("is not misled by colons, quotes and backslashes in texts", () => {
    for (const value of [{ 'a":b': '\\":' }, { "\\": "\\\\", ":": [":", '"', "\\"] }, ['{"a":1,"a":1}'], { "": { "": "" } }])
      assert.deepEqual(read(JSON.stringify(value)), value);
  });

  it("reads 64 levels, 2^53 - 1, whole pairs and a key that other objects have, too", () => {
    for (const text of [
      `${"[".repeat(64)}${"]".repeat(64)}`,
      "9007199254740991",
      '"\\ud83d\\ude00"',
      '[{"a":{"a":1}},{"a":2}]',
      "0.1",
      '{"constructor":1}',
    ])
      assert.deepEqual(read(text), JSON.parse(text));
  });
});

describe("sameJson", () => {
  it("compares by what is said", () => {
    const same: readonly (readonly [unknown, unknown, boolean])[] = [
      [1, 1, true],
      [{ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 }, true],
      [{}, [], false],
      [[], {}, false],
      [{ a: 1 }, { a: 1, b: undefined }, false],
      [[1, 2], [2, 1], false],
      [null, undefined, false],
      [{ a: undefined }, { b: undefined }, false],
      [{ toString: 1 }, { valueOf: 1 }, false],
    ];
    for (const [a, b, expected] of same) assert.equal(sameJson(a, b), expected, `${JSON.stringify(a)} ${JSON.stringify(b)}`);
  });
});
