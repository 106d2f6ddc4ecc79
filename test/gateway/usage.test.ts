// Tokens of answers that nobody has read.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { tokensOf, usageAtEnd } from "../../src/gateway/usage.ts";

const found = (text: string): number | undefined => tokensOf(usageAtEnd(Buffer.from(text)));

describe("usageAtEnd", () => {
  it("finds the usage of every interface near the end", () => {
    const cases: readonly (readonly [answer: object, tokens: number | undefined])[] = [
      [{ choices: [], usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5, prompt_tokens_details: { cached_tokens: 1 } } }, 5],
      [{ content: [{ text: '"usage":{"total_tokens":99}' }], usage: { input_tokens: 2, output_tokens: 3 } }, 5],
      [{ text: "x".repeat(9000), usage: { input_tokens: 7 } }, 7],
      [{ usage: { total_tokens: 5 }, text: "x".repeat(9000) }, undefined],
      [{ usage: null }, undefined],
      [{ usage: { total_tokens: -1 } }, undefined],
      [{}, undefined],
    ];
    for (const [answer, tokens] of cases) assert.equal(found(JSON.stringify(answer)), tokens);
    for (const text of ["", '"usage":{', '"usage":{"a"}', "é".repeat(5000)]) assert.equal(found(text), undefined);
  });
});
