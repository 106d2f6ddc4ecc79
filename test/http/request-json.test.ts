// The JSON with which Extism guests state requests.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { MortiseError } from "../../src/api/errors.ts";
import { type StatedRequest, readHttpRequest } from "../../src/services/http/request-json.ts";

const read = (json: string): StatedRequest => readHttpRequest(json, { plugin: "guest", function: "f" });

describe("readHttpRequest", () => {
  const accepted: readonly (readonly [json: string, request: StatedRequest])[] = [
    ['{"url":"https://a.example"}', { url: "https://a.example", method: "GET", headers: {} }],
    ['{"url":"x","method":"post","headers":{"X-A":"1"}}', { url: "x", method: "POST", headers: { "x-a": "1" } }],
    ['{"url":"x","method":null,"headers":null}', { url: "x", method: "GET", headers: {} }],
    ['{"url":"x","header":{"a":"1"}}', { url: "x", method: "GET", headers: { a: "1" } }],
    ['{"url":"x","headers":{"b":"2"},"header":{"a":"1"}}', { url: "x", method: "GET", headers: { b: "2" } }],
    ['{"url":"x","method":"M-SEARCH","body":"ignored"}', { url: "x", method: "M-SEARCH", headers: {} }],
    ['{"url":"first","url":"last"}', { url: "last", method: "GET", headers: {} }],
  ];
  for (const [json, request] of accepted) it(`reads ${json}`, () => assert.deepEqual(read(json), request));

  const refused: readonly (readonly [json: string, reason: RegExp])[] = [
    ["", /it is not JSON$/],
    ["{", /it is not JSON$/],
    ['{"url":"secret"', /it is not JSON$/],
    ["null", /it must be an object$/],
    ["[]", /it must be an object$/],
    ['"https://a.example"', /it must be an object$/],
    ["{}", /url must be a string$/],
    ['{"url":5}', /url must be a string$/],
    ['{"url":["https://a.example"]}', /url must be a string$/],
    ['{"__proto__":{"url":"https://a.example"}}', /url must be a string$/],
    ['{"url":"x","method":5}', /method must be a string$/],
    ['{"url":"x","method":""}', /the method is not a token of HTTP$/],
    ['{"url":"x","method":"GET / HTTP/1.1\\r\\nHost: evil"}', /the method is not a token of HTTP$/],
    [`{"url":"x","method":"${"A".repeat(33)}"}`, /the method is not a token of HTTP$/],
    ['{"url":"x","method":"connect"}', /the method CONNECT is not possible$/],
    ['{"url":"x","method":"Trace"}', /the method TRACE is not possible$/],
    ['{"url":"x","headers":[]}', /headers must be an object$/],
    ['{"url":"x","headers":"a: b"}', /headers must be an object$/],
    ['{"url":"x","headers":{"a":1}}', /the header "a" must be a string$/],
    ['{"url":"x","headers":{"a":["1","2"]}}', /the header "a" must be a string$/],
    ['{"url":"x","headers":{"a":null}}', /the header "a" must be a string$/],
    ['{"url":"x","headers":{"X-A":"1","x-a":"2"}}', /the header "x-a" is there twice$/],
    [`{"url":"${"a".repeat(262_144)}"}`, /its JSON has more than 262144 characters$/],
    ["[".repeat(200_000), /it is not JSON$/],
  ];
  for (const [json, reason] of refused) {
    it(`refuses ${json.slice(0, 60)} with MORTISE_HTTP_INVALID`, () => {
      assert.throws(() => read(json), { code: "MORTISE_HTTP_INVALID", message: reason });
    });
  }

  it("keeps a header named __proto__ a header", () => {
    const { headers } = read('{"url":"x","headers":{"__proto__":"1","constructor":"2"}}');
    assert.deepEqual(Object.entries(headers), [
      ["__proto__", "1"],
      ["constructor", "2"],
    ]);
    assert.equal(Object.getPrototypeOf(headers), Object.prototype);
  });

  it("says whose request it is, and repeats nothing of broken JSON", () => {
    assert.throws(
      () => read('{"url":"https://u:secret@a"'),
      (error: MortiseError) => {
        assert.equal(error.message, 'Failed in function "f" of plugin "guest": its HTTP request is invalid: it is not JSON');
        assert.ok(!JSON.stringify(error).includes("secret"));
        return true;
      },
    );
  });

  it("reads or refuses any text, and what it reads has the right types", () => {
    const stated = fc.record({
      url: fc.anything(),
      method: fc.anything(),
      headers: fc.oneof(fc.anything(), fc.dictionary(fc.string(), fc.anything())),
    });
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      stated.map((value) => JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? 1 : part))),
    );
    fc.assert(
      fc.property(text, (json) => {
        try {
          const { url, method, headers } = read(json);
          assert.equal(typeof url, "string");
          assert.match(method, /^[^\sa-z]+$/);
          for (const value of Object.values(headers)) assert.equal(typeof value, "string");
        } catch (error) {
          assert.ok(error instanceof MortiseError && error.code === "MORTISE_HTTP_INVALID");
        }
      }),
      { numRuns: 1000 },
    );
  });
});
