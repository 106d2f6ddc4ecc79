// Pieces that arrive together: what becomes one piece, and what stays apart.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JsonObject } from "../../src/index.ts";
import { mergeChunks } from "../../src/gateway/merge-chunks.ts";
import type { CompletionChunk } from "../../src/gateway/types.ts";
import { randomNumbers } from "./plugins/open-gateway.ts";
import { post, say, startStage, textOf } from "./start-gateway.ts";

const chunkOf = (choices: readonly JsonObject[], more: JsonObject = {}): CompletionChunk => ({
  id: "c",
  object: "chat.completion.chunk",
  created: 1,
  model: "m",
  choices,
  ...more,
});
const said = (delta: JsonObject, choice: JsonObject = {}, more: JsonObject = {}): CompletionChunk =>
  chunkOf([{ index: 0, delta, finish_reason: null, ...choice }], more);
const merge = (...chunks: readonly CompletionChunk[]): CompletionChunk[] =>
  mergeChunks(chunks.map((chunk) => ({ chunk, data: JSON.stringify(chunk) }))).map(({ chunk, data }) => {
    if (data !== undefined) assert.equal(data, JSON.stringify(chunk), "data that says something else");
    return chunk;
  });

describe("mergeChunks", () => {
  it("joins a text that goes on", () => {
    assert.deepEqual(merge(said({ content: "a" }), said({ content: "b" }), said({ content: "" }), said({ content: "c" })), [
      said({ content: "abc" }),
    ]);
    assert.deepEqual(merge(said({ reasoning: "a" }), said({ reasoning: "b" })), [said({ reasoning: "ab" })]);
  });

  it("joins pieces that differ in their padding alone", () => {
    const padded = (text: string, obfuscation: string): CompletionChunk => said({ content: text }, {}, { obfuscation });
    assert.deepEqual(merge(padded("a", "xyz"), padded("b", "u")), [padded("ab", "xyz")]);
  });

  const apart: readonly (readonly [what: string, first: CompletionChunk, second: CompletionChunk])[] = [
    ["another text", said({ reasoning: "a" }), said({ content: "b" })],
    ["another choice", said({ content: "a" }), said({ content: "b" }, { index: 1 })],
    ["another answer", said({ content: "a" }), said({ content: "b" }, {}, { id: "d" })],
    ["a member more", said({ content: "a" }), said({ content: "b" }, {}, { service_tier: "x" })],
    ["a member less", said({ content: "a" }, {}, { service_tier: "x" }), said({ content: "b" })],
    [
      "two choices",
      said({ content: "a" }),
      chunkOf([
        { index: 0, delta: { content: "b" } },
        { index: 1, delta: { content: "c" } },
      ]),
    ],
    ["no choice", said({ content: "a" }), chunkOf([])],
    ["a role", said({ role: "assistant", content: "" }), said({ content: "b" })],
    ["a tool call", said({ content: "a" }), said({ tool_calls: [{ index: 0, function: { arguments: "b" } }] })],
    ["parts", said({ content: "a" }), said({ content: [{ type: "text", text: "b" }] })],
    ["the reason to stop", said({ content: "a" }), said({ content: "b" }, { finish_reason: "stop" })],
    ["probabilities", said({ content: "a" }), said({ content: "b" }, { logprobs: { content: [] } })],
    ["a usage", said({ content: "a" }), said({ content: "b" }, {}, { usage: { total_tokens: 1 } })],
    ["equal usages", said({ content: "a" }, {}, { usage: { total_tokens: 1 } }), said({ content: "b" }, {}, { usage: { total_tokens: 1 } })],
    ["more than 4,096 characters", said({ content: "a".repeat(4096) }), said({ content: "b" })],
  ];
  for (const [what, first, second] of apart) it(`keeps apart: ${what}`, () => assert.deepEqual(merge(first, second), [first, second]));

  it("never loses, adds or moves anything, whatever comes together", () => {
    const random = randomNumbers(7);
    const kinds: readonly ((text: string) => CompletionChunk)[] = [
      (text) => said({ content: text }),
      (text) => said({ content: text }),
      (text) => said({ reasoning: text }),
      (text) => said({ content: text }, { index: 1 }),
      (text) => said({ content: text, role: "assistant" }),
      (text) => said({ content: text }, {}, { usage: { total_tokens: 1 } }),
    ];
    // What was said, in order: runs of the same text are one.
    const story = (chunks: readonly CompletionChunk[]): string[] => {
      const runs: [what: string, text: string][] = [];
      for (const { choices, usage } of chunks) {
        const { index, delta } = choices[0] as { index: number; delta: Readonly<Record<string, string>> };
        for (const [name, text] of Object.entries(delta)) {
          const what = `${index} ${name} ${JSON.stringify(usage)}`;
          const last = runs.at(-1);
          if (last?.[0] === what && name !== "role") last[1] += text;
          else runs.push([what, text]);
        }
      }
      return runs.map((run) => run.join(": "));
    };
    for (let round = 0; round < 300; round++) {
      const chunks = Array.from({ length: random(20) }, (_, at) => (kinds[random(kinds.length)] ?? said)(`${at} ` as never));
      assert.deepEqual(story(merge(...chunks)), story(chunks));
    }
  });
});

describe("A stream that comes faster than plugins take it", { timeout: 15_000 }, () => {
  it("is shown to them in fewer pieces, and says the same to the client", async () => {
    const text = "one two three four five six seven eight nine ten";
    const shown: number[] = [];
    for (const burst of [false, true]) {
      await using stage = await startStage({}, { behaviour: { burst } });
      const sent = await stage.spy("a", { post_hook: "" });
      const stream = await (await post(`${stage.url}/v1/chat/completions`, say.chat(text, { stream: true }))).text();
      assert.equal(textOf(stream), text);
      const pieces = sent("post_hook").map(({ response }) => response.chat_response.choices[0]?.delta.content ?? "");
      assert.equal(pieces.join(""), text);
      shown.push(pieces.length);
    }
    const [slow = 0, fast = 0] = shown;
    assert.ok(slow >= 10 && fast <= 4, `${slow} pieces, and ${fast} that came at once`);
  });
});
