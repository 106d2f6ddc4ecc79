// What the wires write, read by OpenAI's own package: without complaint, and with the values that went in.

import assert from "node:assert/strict";
import { type TestContext, describe, it } from "node:test";

import {
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  OpenAI,
  PermissionDeniedError,
  RateLimitError,
} from "openai";

import type { Completion, CompletionChunk, Failure } from "../../../src/gateway/types.ts";
import { chunkWriter, embeddingsOf, fromProviderResponse } from "../../../src/gateway/wires/index.ts";
import { type Answers, startAnswering } from "./answering-server.ts";
import { PNG } from "./samples.ts";

const IDS = { id: "chatcmpl-1", created: 1_700_000_000, model: "m" };
const USAGE = { input_tokens: 10, output_tokens: 4, reasoning_tokens: 2, cache_read: 6, cache_write: 0 };
const call = (id: string, name: string, text: string) => ({ id, type: "function" as const, function: { name, arguments: text } });
const CALLS = [call("call_1", "weather", '{"city":"Oslo"}'), call("call_2", "weather", '{"city":"Rome"}')];
const SAID: Completion = fromProviderResponse({ text: "Hello", tool_calls: null, thinking: "hm", usage: USAGE, finish_reason: "Stop" }, IDS);
const CALLED: Completion = fromProviderResponse({ text: null, tool_calls: CALLS, thinking: null, usage: USAGE, finish_reason: "ToolCalls" }, IDS);
const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };

/** A provider's stream. */
function chunks(...pieces: Parameters<ReturnType<typeof chunkWriter>>[0][]): readonly CompletionChunk[] {
  return pieces.flatMap(chunkWriter(IDS));
}

const SAID_CHUNKS = chunks(
  { thinking: "h" },
  { thinking: "m" },
  { text: "Hel" },
  { text: "lo" },
  { usage: USAGE },
  { done: { finish_reason: "Stop" } },
);
const CALLED_CHUNKS = chunks(
  { tool_use_start: { index: 0, id: "call_1", name: "weather" } },
  { tool_use_start: { index: 1, id: "call_2", name: "weather" } },
  { tool_use_input_delta: { index: 0, partial_json: '{"city":' } },
  { tool_use_input_delta: { index: 1, partial_json: '{"city":"Rome"}' } },
  { tool_use_input_delta: { index: 0, partial_json: '"Oslo"}' } },
  { usage: USAGE },
  { done: { finish_reason: "ToolCalls" } },
);

async function open(t: TestContext, answers: Answers) {
  const server = await startAnswering(t, answers);
  return { server, client: new OpenAI({ apiKey: "key", baseURL: `${server.url}/v1`, maxRetries: 0 }) };
}

const MESSAGES = [{ role: "user" as const, content: "Hi" }];

describe("package openai, chat completions", () => {
  it("reads an answer", async (t) => {
    const { client, server } = await open(t, { completion: () => SAID });
    const content = [
      { type: "text" as const, text: "Hi" },
      { type: "image_url" as const, image_url: { url: PNG } },
    ];
    const answer = await client.chat.completions.create({ model: "m", messages: [{ role: "user", content }], max_tokens: 5 });
    assert.equal(answer.choices[0]?.message.content, "Hello");
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.deepEqual(
      [answer.usage?.prompt_tokens, answer.usage?.prompt_tokens_details?.cached_tokens, answer.usage?.completion_tokens_details?.reasoning_tokens],
      [10, 6, 2],
    );
    assert.deepEqual(server.requests[0]?.llm.input, [{ role: "user", content }]);
  });

  it("reads a stream, and the usage at its end", async (t) => {
    const { client } = await open(t, { completion: () => SAID, chunks: SAID_CHUNKS });
    const stream = await client.chat.completions.create({ model: "m", messages: MESSAGES, stream: true, stream_options: { include_usage: true } });
    let text = "";
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.deepEqual([text, usage?.total_tokens], ["Hello", 14]);
  });

  it("puts calls that come interleaved together", async (t) => {
    const { client } = await open(t, { completion: () => CALLED, chunks: CALLED_CHUNKS });
    const tools = [{ type: "function" as const, function: { name: "weather", parameters: PARAMETERS } }];
    const stream = client.chat.completions.stream({ model: "m", messages: MESSAGES, tools });
    const { message, finish_reason: finish } = (await stream.finalChatCompletion()).choices[0] ?? assert.fail("no choice");
    assert.equal(finish, "tool_calls");
    assert.deepEqual(
      message.tool_calls?.map((one) => (one.type === "function" ? [one.id, one.function.name, one.function.arguments] : one)),
      CALLS.map(({ id, function: { name, arguments: text } }) => [id, name, text]),
    );
  });

  it("runs tools, and sends their results back", async (t) => {
    const { client, server } = await open(t, { completion: ({ llm }) => ((llm.input as readonly unknown[]).length === 1 ? CALLED : SAID) });
    const weather = {
      name: "weather",
      description: "The weather",
      parameters: PARAMETERS,
      parse: JSON.parse,
      function: ({ city }: { city: string }) => `rain in ${city}`,
    };
    const runner = client.chat.completions.runTools({ model: "m", messages: MESSAGES, tools: [{ type: "function", function: weather }] });
    assert.equal(await runner.finalContent(), "Hello");
    const { llm } = server.requests[1] ?? assert.fail("the results were not sent");
    const results = (llm.input as readonly { readonly role: string; readonly content: unknown }[]).filter(({ role }) => role === "tool");
    assert.deepEqual(
      results.map(({ content }) => content),
      ["rain in Oslo", "rain in Rome"],
    );
  });

  it("parses an answer that has a schema", async (t) => {
    const json = fromProviderResponse({ text: '{"sunny":true}', tool_calls: null, thinking: null, usage: null, finish_reason: "Stop" }, IDS);
    const { client } = await open(t, { completion: () => json });
    const format = { type: "json_schema" as const, json_schema: { name: "answer", strict: true, schema: { type: "object" } } };
    const parsed = await client.chat.completions.parse({ model: "m", messages: MESSAGES, response_format: format });
    assert.deepEqual(parsed.choices[0]?.message.parsed, { sunny: true });
  });
});

describe("package openai, responses", () => {
  it("reads an answer", async (t) => {
    const { client } = await open(t, { completion: () => SAID });
    const answer = await client.responses.create({ model: "m", input: "Hi", instructions: "Be brief." });
    assert.deepEqual(
      [answer.output_text, answer.status, answer.instructions, answer.usage?.input_tokens_details.cached_tokens],
      ["Hello", "completed", "Be brief.", 6],
    );
    assert.deepEqual(
      answer.output.map(({ type }) => type),
      ["reasoning", "message"],
    );
  });

  it("continues a conversation with the items that it got", async (t) => {
    const { client, server } = await open(t, { completion: ({ llm }) => ((llm.input as readonly unknown[]).length === 1 ? CALLED : SAID) });
    const first = await client.responses.create({ model: "m", input: "Hi" });
    const results = first.output.flatMap((item) =>
      item.type === "function_call" ? [{ type: "function_call_output" as const, call_id: item.call_id, output: "rain" }] : [],
    );
    const second = await client.responses.create({
      model: "m",
      input: [{ role: "user", content: "Hi" }, ...first.output, ...results] as OpenAI.Responses.ResponseInput,
    });
    assert.equal(second.output_text, "Hello");
    assert.deepEqual(server.requests[1]?.llm.input, [
      { role: "user", content: "Hi" },
      { role: "assistant", content: null, tool_calls: CALLS },
      { role: "tool", tool_call_id: "call_1", content: "rain" },
      { role: "tool", tool_call_id: "call_2", content: "rain" },
    ]);
  });

  it("reads a stream", async (t) => {
    const { client } = await open(t, { completion: () => SAID, chunks: SAID_CHUNKS });
    const stream = client.responses.stream({ model: "m", input: "Hi" });
    let text = "";
    stream.on("response.output_text.delta", ({ delta }) => void (text += delta));
    const final = await stream.finalResponse();
    assert.deepEqual([text, final.output_text, final.status, final.usage?.total_tokens], ["Hello", "Hello", "completed", 14]);
    const [thought] = final.output;
    assert.deepEqual(thought?.type === "reasoning" ? thought.summary : thought, [{ type: "summary_text", text: "hm" }]);
  });

  it("puts calls that come interleaved together", async (t) => {
    const { client } = await open(t, { completion: () => CALLED, chunks: CALLED_CHUNKS });
    const final = await client.responses
      .stream({ model: "m", input: "Hi", tools: [{ type: "function", name: "weather", parameters: PARAMETERS, strict: true }] })
      .finalResponse();
    assert.deepEqual(
      final.output.map((item) => (item.type === "function_call" ? [item.call_id, item.name, item.arguments, item.parsed_arguments] : item)),
      [
        ["call_1", "weather", '{"city":"Oslo"}', { city: "Oslo" }],
        ["call_2", "weather", '{"city":"Rome"}', { city: "Rome" }],
      ],
    );
  });
});

describe("package openai, embeddings and models", () => {
  const vectors = [
    [0.5, -1],
    [0.25, 2],
  ];
  for (const format of ["float", "base64", undefined] as const)
    it(`reads vectors: ${format ?? "as the package asks for them"}`, async (t) => {
      const { client } = await open(t, { embeddings: embeddingsOf(vectors, { model: "m", usage: { input_tokens: 3 } }) });
      const { data, usage } = await client.embeddings.create({
        model: "m",
        input: ["a", "b"],
        ...(format === undefined ? {} : { encoding_format: format }),
      });
      const expected = format === "base64" ? vectors.map((one) => Buffer.from(Float32Array.from(one).buffer).toString("base64")) : vectors;
      assert.deepEqual(
        data.map(({ embedding }) => embedding as unknown),
        expected,
      );
      assert.deepEqual(usage, { prompt_tokens: 3, total_tokens: 3 });
    });

  it("lists models", async (t) => {
    const { client } = await open(t, {});
    const ids: string[] = [];
    for await (const { id } of client.models.list()) ids.push(id);
    assert.deepEqual(ids, ["m"]);
    assert.deepEqual(await client.models.retrieve("m"), { id: "m", object: "model", created: 5, owned_by: "p" });
  });
});

describe("package openai, failures", () => {
  const failures: readonly (readonly [kind: Failure["kind"], status: number, errorClass: abstract new (...parameters: never[]) => APIError])[] = [
    ["invalid_request", 400, BadRequestError],
    ["authentication", 401, AuthenticationError],
    ["permission", 403, PermissionDeniedError],
    ["blocked", 403, PermissionDeniedError],
    ["not_found", 404, NotFoundError],
    ["rate_limited", 429, RateLimitError],
    ["overloaded", 503, InternalServerError],
    ["timeout", 504, InternalServerError],
    ["upstream", 502, InternalServerError],
  ];
  for (const [kind, status, errorClass] of failures)
    it(`become errors of its classes: ${kind}`, async (t) => {
      const failure: Failure = { kind, status, message: "Why", retryable: false, allowFallbacks: false, param: "p", code: "c" };
      const { client } = await open(t, { failure });
      for (const asked of [client.chat.completions.create({ model: "m", messages: MESSAGES }), client.responses.create({ model: "m", input: "Hi" })])
        await assert.rejects(asked, (error) => {
          assert.ok(error instanceof errorClass, String(error));
          assert.deepEqual([error.status, error.message, error.param, error.code, error.requestID], [status, `${status} Why`, "p", "c", "req_1"]);
          return true;
        });
    });

  it("name the field that the package sent wrongly", async (t) => {
    const { client } = await open(t, {});
    const content = [{ type: "image_url", image_url: { url: 7 } }] as unknown as string;
    await assert.rejects(client.chat.completions.create({ model: "m", messages: [{ role: "user", content }] }), {
      status: 400,
      param: "messages[0].content[0].image_url.url",
    });
  });

  it("end a stream with an error", async (t) => {
    const failure: Failure = { kind: "upstream", status: 502, message: "Gone", retryable: true, allowFallbacks: true };
    const { client } = await open(t, { completion: () => SAID, chunks: SAID_CHUNKS, failure });
    for (const asked of [
      client.chat.completions.stream({ model: "m", messages: MESSAGES }).finalChatCompletion(),
      client.responses.stream({ model: "m", input: "Hi" }).finalResponse(),
    ])
      await assert.rejects(asked, (error) => error instanceof APIError && error.message === "Gone");
  });
});
