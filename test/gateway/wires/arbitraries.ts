// Any requests and answers of the common form, as far as each interface can say them.

import * as fc from "fast-check";
import type { JsonObject } from "mortise";

import type { Completion } from "../../../src/gateway/types.ts";

/** As JSON makes it: with ordinary prototypes. */
const plain = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value;

const text = fc
  .oneof(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ unit: "binary", minLength: 1, maxLength: 12 }))
  .filter((one) => one.trim() !== "" && one.isWellFormed());
const name = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_-]{0,12}$/);
const counts = fc.record({ prompt: fc.nat(10_000), cached: fc.nat(100), written: fc.nat(100), completion: fc.nat(10_000), reasoning: fc.nat(100) });
const callArguments = fc.oneof(
  fc
    .dictionary(
      name.filter((key) => key !== "INVALID_JSON"),
      fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)),
      { noNullPrototype: true },
    )
    .map((input) => JSON.stringify(input)),
  // What models write that is none.
  fc.constantFrom('{"a":', "not JSON", "[1]", "7"),
);

const toolCalls = fc
  .uniqueArray(name, { minLength: 1, maxLength: 3 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) => fc.record({ id: fc.constant(id), type: fc.constant("function"), function: fc.record({ name, arguments: callArguments }) })),
    ),
  );

const signedThought = fc.record({ type: fc.constant("reasoning.text"), text, signature: text });
const redactedThought = fc.record({ type: fc.constant("reasoning.encrypted"), data: text });

/** Thinking as an answer tells it: in plain text, or signed. */
const thinking = fc.oneof(
  fc.constant({}),
  text.map((reasoning) => ({ reasoning })),
  fc.array(fc.oneof(signedThought, redactedThought), { minLength: 1, maxLength: 3 }).map((details) => {
    const reasoning = details.map((detail) => ("text" in detail ? detail.text : "")).join("");
    return reasoning === "" ? { reasoning_details: details } : { reasoning, reasoning_details: details };
  }),
);

const said = fc.oneof(
  fc.record({ content: text }),
  fc.record({ content: fc.constant(null), tool_calls: toolCalls }),
  fc.record({ content: text, tool_calls: toolCalls }),
);

const usage = counts.map(({ prompt, cached, written, completion, reasoning }) => {
  const tokens = prompt + cached + written;
  // What is nothing is left out of the details.
  const cache = { cached_tokens: cached || undefined, cache_write_tokens: written || undefined };
  return {
    prompt_tokens: tokens,
    completion_tokens: completion,
    total_tokens: tokens + completion,
    prompt_tokens_details: cached + written === 0 ? undefined : cache,
    completion_tokens_details: reasoning === 0 ? undefined : { reasoning_tokens: reasoning },
  };
});

/** Answers. The reason to stop fits what was said, as the responses interface does not tell it otherwise. */
export const completions = fc
  .record({ thoughts: thinking, message: said, usage, cut: fc.constantFrom(undefined, "length", "content_filter"), id: name })
  .map(({ thoughts, message, usage: counted, cut, id }) => ({
    id,
    object: "chat.completion",
    created: 1_700_000_000,
    model: "m",
    choices: [
      {
        index: 0,
        message: { role: "assistant", refusal: null, ...message, ...thoughts },
        logprobs: null,
        finish_reason: cut ?? ("tool_calls" in message ? "tool_calls" : "stop"),
      },
    ],
    usage: counted,
  }))
  .map(plain) as fc.Arbitrary<Completion>;

const image = fc.oneof(
  fc.webUrl(),
  fc.uint8Array({ minLength: 1, maxLength: 9 }).map((bytes) => `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`),
);
const userPart = fc.oneof(
  text.map((words) => ({ type: "text", text: words })),
  image.map((url) => ({ type: "image_url", image_url: { url } })),
  fc
    .uint8Array({ minLength: 1, maxLength: 9 })
    .map((bytes) => ({ type: "file", file: { file_data: `data:application/pdf;base64,${Buffer.from(bytes).toString("base64")}` } })),
);
const userContent = fc.oneof(text, fc.array(userPart, { minLength: 1, maxLength: 3 }));
const userMessage = userContent.map((content): JsonObject => ({ role: "user", content }));

/** A turn of the model, and the results of the tools that it calls. */
const modelTurn = fc
  .tuple(
    said,
    fc.oneof(
      fc.constant({}),
      signedThought.map((detail) => ({ reasoning: detail.text, reasoning_details: [detail] })),
    ),
    fc.array(text, { minLength: 3, maxLength: 3 }),
  )
  .map(([message, thoughts, outputs]) => {
    const calls = "tool_calls" in message ? message.tool_calls : [];
    const results = calls.map(({ id }, index): JsonObject => ({ role: "tool", tool_call_id: id, content: outputs[index] }));
    const turn: JsonObject[] = [Object.assign({ role: "assistant" }, message, thoughts)];
    return turn.concat(results);
  });

const tool = fc.record({ name, description: text }).map(({ name: called, description }) => ({
  type: "function",
  function: { name: called, description, parameters: { type: "object", properties: {} } },
}));

const params = fc.record(
  {
    temperature: fc.double({ min: 0, max: 2, noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
    top_p: fc.double({ min: 0, max: 1, noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
    tools: fc.array(tool, { minLength: 1, maxLength: 2 }),
    tool_choice: fc.oneof(
      fc.constantFrom("auto", "required", "none"),
      name.map((called) => ({ type: "function", function: { name: called } })),
    ),
    reasoning_effort: fc.constantFrom("low", "medium", "high"),
    response_format: fc.constant({ type: "json_schema", json_schema: { name: "output", schema: { type: "object" } } }),
    user: text,
    vendor_field: fc.jsonValue({ maxDepth: 2 }).filter((value) => !JSON.stringify(value).includes("-0")),
  },
  { requiredKeys: [] },
);

/** Requests: the system's text first, then the user and the model by turns. */
export const requests: fc.Arbitrary<{ readonly input: readonly JsonObject[]; readonly params: JsonObject }> = fc
  .record({
    system: fc.option(text, { nil: undefined }),
    turns: fc.array(fc.tuple(userMessage, modelTurn), { maxLength: 3 }),
    last: userMessage,
    params,
    maxTokens: fc.integer({ min: 1, max: 9999 }),
  })
  .map(({ system, turns, last, params: given, maxTokens }) => ({
    input: [
      ...(system === undefined ? [] : [{ role: "system", content: system }]),
      ...turns.flatMap(([asked, answered]) => [asked, ...answered]),
      last,
    ],
    params: { ...given, max_completion_tokens: maxTokens },
  }))
  .map(plain);
