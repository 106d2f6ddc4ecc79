import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { readRequestBox, responseBox } from "./http-wire.ts";
import { ShapeReader } from "./shapes.ts";

const shape = new ShapeReader({ plugin: "p", function: "f" });
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const head = { method: "POST", uri: "https://a.example/", headers: { a: "b" }, version: "HTTP/1.1" };

describe("readRequestBox", () => {
  it("reads what a JSON reader reads, wherever the body stands and whatever texts look like it", () => {
    const tricky = fc.constantFrom('"body":[1,2]', "\\", '"', "}{", '{"req":{"body":[7]}}', "ü😀", "");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), tricky, tricky, fc.boolean(), fc.boolean(), (bytes, key, value, bodyFirst, spaced) => {
        const headers = { [`x${key}`]: value };
        const parts: [string, unknown][] = [
          ["head", { ...head, headers }],
          ["body", [...bytes]],
        ];
        const req = Object.fromEntries([[`k${key}`, { body: [9], [key]: value }], ...(bodyFirst ? parts.toReversed() : parts)]);
        const json = JSON.stringify({ [`z${value}`]: { body: [8] }, req }, undefined, spaced ? 1 : undefined);
        const read = readRequestBox(utf8(json), shape);
        assert.deepEqual({ ...read, body: [...(read.body ?? [])] }, { method: "POST", url: head.uri, headers, body: [...bytes] });
      }),
    );
  });

  it("takes the last of two bodies, as JSON readers do", () => {
    const json = `{"req":{"body":[1],"head":${JSON.stringify(head)},"body":[2]}}`;
    assert.deepEqual(readRequestBox(utf8(json), shape).body, Uint8Array.of(2));
  });

  it("never throws anything but MORTISE_PROVIDER_OUTPUT", () => {
    const piece = fc.constantFrom("{", "}", "[", "]", '"req":', '"body":[', "1,2]", "null", ",", '"head":', JSON.stringify(head), "\\", '"', "\xff");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const json = Buffer.from(pieces.join(""), "latin1");
        try {
          readRequestBox(json, shape);
        } catch (error) {
          assert.equal((error as { code?: string }).code, "MORTISE_PROVIDER_OUTPUT");
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("responseBox", () => {
  it("writes head and body, whatever headers are called", () => {
    const headers = Object.fromEntries([
      ["__proto__", "x"],
      ["a", 'q"q'],
    ]);
    const text = Buffer.from(responseBox({ status: 200, headers, body: Uint8Array.of(0, 10, 255) })).toString();
    assert.equal(text, `{"resp":{"head":{"status":200,"headers":{"__proto__":"x","a":"q\\"q"},"version":"HTTP/1.1"},"body":[0,10,255]}}`);
  });
});
