// What a stream is put together to, whatever it holds.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assembleChunks } from "../../../src/gateway/wires/common/assemble-chunks.ts";

const chunk = (delta: object, more: object = {}) =>
  // oxlint-disable-line typescript/explicit-function-return-type -- what `push` takes
  ({ id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: null }], ...more }) as const;

test("assembleChunks joins lists of fields that are not known, and keeps the last of others", () => {
  const given = [1];
  const assembly = assembleChunks();
  assembly.push(chunk({ annotations: given, mood: "a" }, { service_tier: "a" }));
  assembly.push(chunk({ annotations: [2], mood: "b" }, { service_tier: "b" }));
  const whole = assembly.completion();
  assert.equal(whole["service_tier"], "b");
  const [choice = {}] = whole.choices;
  const { annotations, mood } = choice["message"] as Record<string, unknown>;
  assert.deepEqual([annotations, mood, given], [[1, 2], "b", [1]]);
});

test("assembleChunks keeps so many fields that are not known, and goes on with what is known", () => {
  const assembly = assembleChunks();
  for (let index = 0; index < 1000; index++) assembly.push(chunk({ content: "x", [`inside ${index}`]: 1 }, { [`outside ${index}`]: 1 }));
  const whole = assembly.completion();
  const [choice = {}] = whole.choices;
  const message = choice["message"] as Record<string, unknown>;
  assert.equal(message["content"], "x".repeat(1000));
  assert.ok(Object.keys(whole).length < 100);
  assert.ok(Object.keys(message).length < 100);
});

test("assembleChunks takes more probabilities at a time than a call has arguments", () => {
  const assembly = assembleChunks();
  const content = Array.from({ length: 300_000 }, () => 0);
  assembly.push({ ...chunk({}), choices: [{ index: 0, delta: {}, logprobs: { content }, finish_reason: null }] });
  const { logprobs } = assembly.completion().choices[0] as { logprobs: { content: unknown[] } };
  assert.equal(logprobs.content.length, content.length);
});
