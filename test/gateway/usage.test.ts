// Tokens of answers that nobody has read.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { tokensOf, usageOfAnswer } from "../../src/gateway/usage.ts";

const found = (text: string): number | undefined => tokensOf(usageOfAnswer(Buffer.from(text)));

const isPlain = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

describe("usageOfAnswer", () => {
  it("finds the usage of every interface, wherever it stands", () => {
    const cases: readonly (readonly [answer: object, tokens: number | undefined])[] = [
      [{ choices: [], usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5, prompt_tokens_details: { cached_tokens: 1 } } }, 5],
      [{ content: [{ text: '"usage":{"total_tokens":99}' }], usage: { input_tokens: 2, output_tokens: 3 } }, 5],
      [{ text: "x".repeat(9000), usage: { input_tokens: 7 } }, 7],
      [{ usage: { total_tokens: 5 }, text: "x".repeat(9000) }, 5],
      [{ usage: { input_tokens: 7, total_tokens: 9 }, metadata: { note: "v".repeat(9000), usage: '{"total_tokens":1}' } }, 9],
      [{ usage: { total_tokens: 9 }, tools: [{ parameters: { usage: { total_tokens: 1 } } }] }, 9],
      [{ usage: { total_tokens: 9 }, 'a"usage': { total_tokens: 1 }, "\\": '\\"' }, 9],
      [{ usage: { total_tokens: 9 }, x: '","usage":{"total_tokens":1}' }, 9],
      [{ usage: [{ total_tokens: 1 }], x: { total_tokens: 1 } }, undefined],
      [{ usage: null }, undefined],
      [{ usage: { total_tokens: -1 } }, undefined],
      [{}, undefined],
    ];
    for (const [answer, tokens] of cases) assert.equal(found(JSON.stringify(answer)), tokens);
    assert.equal(found('{ "usage" : { "total_tokens" : 5 } , "metadata" : null }\n'), 5);
    for (const text of ["", '"usage":{', '"usage":{"a"}', "é".repeat(5000), '"', '{"', '}"', "}}}", '{"usage":{"total_tokens":1}'])
      assert.equal(found(text), undefined);
  });

  it("agrees with JSON.parse on every object", () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    const usage = fc.option(fc.record({ total_tokens: fc.nat(9), more: value }), { nil: undefined });
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), usage, fc.dictionary(fc.string(), value), (before, counted, after) => {
        const text = JSON.stringify({ ...before, ...(counted && { usage: counted }), ...after, nested: { usage: { total_tokens: 100 } } });
        const read = JSON.parse(text) as { readonly usage?: unknown };
        assert.equal(found(text), isPlain(read.usage) ? tokensOf(read.usage) : undefined);
      }),
    );
  });

  it("reads no byte twice, so that many that look like it cost no more than others", () => {
    const decoys = `{"usage":{"total_tokens":5},"tools":[${'{"usage":{"total_tokens":1}},'.repeat(200_000)}1]}`;
    assert.equal(found(decoys), 5);
    assert.equal(found(`{"usage":{"total_tokens":5},"text":"${'\\\"'.repeat(1_000_000)}"}`), 5);
  });
});
