// What the wires write, read by Anthropic's own package: without complaint, and with the values that went in.

import assert from "node:assert/strict";
import { type TestContext, describe, it } from "node:test";

import {
  Anthropic,
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
} from "@anthropic-ai/sdk";

import type { Completion, CompletionChunk, Failure } from "../../../src/gateway/types.ts";
import { chunkWriter, fromProviderResponse } from "../../../src/gateway/wires/index.ts";
import { type Answers, startAnswering } from "./answering-server.ts";
import { PDF_DATA, PNG } from "./samples.ts";

const IDS = { id: "chatcmpl-1", created: 1_700_000_000, model: "m" };
const USAGE = { input_tokens: 10, output_tokens: 4, reasoning_tokens: 0, cache_read: 6, cache_write: 1 };
const call = (id: string, text: string) => ({ id, type: "function" as const, function: { name: "weather", arguments: text } });
const CALLS = [call("call_1", '{"city":"Oslo"}'), call("call_2", '{"city":"Rome"}')];
const SAID: Completion = fromProviderResponse({ text: "Hello", tool_calls: null, thinking: "hm", usage: USAGE, finish_reason: "Stop" }, IDS);
const CALLED: Completion = fromProviderResponse(
  { text: "I look.", tool_calls: CALLS, thinking: null, usage: USAGE, finish_reason: "ToolCalls" },
  IDS,
);
const CALLED_CONTENT = [
  { type: "text", text: "I look." },
  { type: "tool_use", id: "call_1", name: "weather", input: { city: "Oslo" } },
  { type: "tool_use", id: "call_2", name: "weather", input: { city: "Rome" } },
];

/** A provider's stream. */
function chunks(...pieces: Parameters<ReturnType<typeof chunkWriter>>[0][]): readonly CompletionChunk[] {
  return pieces.flatMap(chunkWriter(IDS));
}

async function open(t: TestContext, answers: Answers) {
  const server = await startAnswering(t, answers);
  return { server, client: new Anthropic({ apiKey: "key", baseURL: server.url, maxRetries: 0 }) };
}

const ASKED = { model: "m", max_tokens: 100, messages: [{ role: "user" as const, content: "Hi" }] };
const TOOLS: Anthropic.Tool[] = [{ name: "weather", input_schema: { type: "object", properties: { city: { type: "string" } } } }];

describe("package @anthropic-ai/sdk, messages", () => {
  it("reads an answer, and sends images and documents", async (t) => {
    const { client, server } = await open(t, { completion: () => SAID });
    const content: Anthropic.ContentBlockParam[] = [
      { type: "image", source: { type: "base64", media_type: "image/png", data: PNG.slice(PNG.indexOf(",") + 1) } },
      { type: "document", source: { type: "base64", media_type: "application/pdf", data: PDF_DATA } },
      { type: "text", text: "Hi" },
    ];
    const answer = await client.messages.create({ ...ASKED, system: "Be brief.", messages: [{ role: "user", content }] });
    assert.deepEqual(answer.content, [
      { type: "thinking", thinking: "hm", signature: "" },
      { type: "text", text: "Hello" },
    ]);
    assert.deepEqual([answer.id, answer.role, answer.stop_reason], ["msg_1", "assistant", "end_turn"]);
    const { input_tokens: input, cache_read_input_tokens: read, cache_creation_input_tokens: written, output_tokens: output } = answer.usage;
    assert.deepEqual([input, read, written, output], [3, 6, 1, 4]);
    const { llm } = server.requests[0] ?? assert.fail("nothing was asked");
    const [system, asked] = llm.input as readonly { readonly content: readonly { readonly type: string }[] }[];
    assert.equal(system?.content, "Be brief.");
    assert.deepEqual(
      asked?.content.map(({ type }) => type),
      ["image_url", "file", "text"],
    );
  });

  it("sends results of tools back", async (t) => {
    const { client, server } = await open(t, { completion: ({ llm }) => ((llm.input as readonly unknown[]).length === 1 ? CALLED : SAID) });
    const first = await client.messages.create({ ...ASKED, tools: TOOLS, tool_choice: { type: "any" } });
    assert.deepEqual([first.content, first.stop_reason], [CALLED_CONTENT, "tool_use"]);
    const results = first.content.flatMap((block) =>
      block.type === "tool_use" ? [{ type: "tool_result" as const, tool_use_id: block.id, content: "rain" }] : [],
    );
    await client.messages.create({
      ...ASKED,
      tools: TOOLS,
      messages: [...ASKED.messages, { role: "assistant", content: first.content }, { role: "user", content: results }],
    });
    assert.deepEqual(server.requests[1]?.llm.input, [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "I look.", tool_calls: CALLS },
      { role: "tool", tool_call_id: "call_1", content: "rain" },
      { role: "tool", tool_call_id: "call_2", content: "rain" },
    ]);
  });

  it("reads a stream with thinking that is signed", async (t) => {
    const { client } = await open(t, {
      completion: () => SAID,
      chunks: chunks(
        { thinking: "h" },
        { thinking: "m" },
        { thinking_signature: "sig" },
        { text: "Hel" },
        { text: "lo" },
        { usage: USAGE },
        { done: { finish_reason: "Stop" } },
      ),
    });
    const stream = client.messages.stream(ASKED);
    let text = "";
    stream.on("text", (delta) => void (text += delta));
    const final = await stream.finalMessage();
    assert.deepEqual(final.content, [
      { type: "thinking", thinking: "hm", signature: "sig" },
      { type: "text", text: "Hello" },
    ]);
    assert.deepEqual(
      [text, final.stop_reason, final.usage.input_tokens, final.usage.cache_read_input_tokens, final.usage.output_tokens],
      ["Hello", "end_turn", 3, 6, 4],
    );
  });

  it("puts calls that come interleaved together", async (t) => {
    const { client } = await open(t, {
      completion: () => CALLED,
      chunks: chunks(
        { text: "I look." },
        { tool_use_start: { index: 1, id: "call_1", name: "weather" } },
        { tool_use_start: { index: 2, id: "call_2", name: "weather" } },
        { tool_use_input_delta: { index: 1, partial_json: '{"city":' } },
        { tool_use_input_delta: { index: 2, partial_json: '{"city":"Rome"}' } },
        { tool_use_input_delta: { index: 1, partial_json: '"Oslo"}' } },
        { done: { finish_reason: "ToolCalls" } },
      ),
    });
    const final = await client.messages.stream({ ...ASKED, tools: TOOLS }).finalMessage();
    assert.deepEqual([final.content, final.stop_reason], [CALLED_CONTENT, "tool_use"]);
  });

  it("reads events one by one", async (t) => {
    const { client } = await open(t, { completion: () => SAID });
    const types: string[] = [];
    for await (const { type } of await client.messages.create({ ...ASKED, stream: true })) types.push(type);
    assert.deepEqual([types[0], types.at(-2), types.at(-1)], ["message_start", "message_delta", "message_stop"]);
  });

  it("lists models", async (t) => {
    const { client } = await open(t, {});
    const ids: string[] = [];
    for await (const { id, display_name: name } of client.models.list()) ids.push(id, name);
    assert.deepEqual(ids, ["m", "m"]);
    assert.equal((await client.models.retrieve("m")).created_at, "1970-01-01T00:00:05.000Z");
  });
});

describe("package @anthropic-ai/sdk, failures", () => {
  const failures: readonly (readonly [
    kind: Failure["kind"],
    status: number,
    type: string,
    errorClass: abstract new (...parameters: never[]) => APIError,
  ])[] = [
    ["invalid_request", 400, "invalid_request_error", BadRequestError],
    ["authentication", 401, "authentication_error", AuthenticationError],
    ["permission", 403, "permission_error", PermissionDeniedError],
    ["not_found", 404, "not_found_error", NotFoundError],
    ["rate_limited", 429, "rate_limit_error", RateLimitError],
    ["overloaded", 529, "overloaded_error", APIError],
    ["timeout", 504, "timeout_error", APIError],
    ["upstream", 502, "api_error", InternalServerError],
  ];
  for (const [kind, status, type, errorClass] of failures)
    it(`become errors of its classes: ${kind}`, async (t) => {
      const { client } = await open(t, { failure: { kind, status, message: "Why", retryable: false, allowFallbacks: false } });
      await assert.rejects(client.messages.create(ASKED), (error) => {
        assert.ok(error instanceof errorClass, String(error));
        assert.deepEqual([error.status, error.type, error.apiMessage, error.requestID], [status, type, "Why", "req_1"]);
        return true;
      });
    });

  it("name the field that the package sent wrongly", async (t) => {
    const { client } = await open(t, {});
    const content = [{ type: "text", text: 7 }] as unknown as string;
    await assert.rejects(client.messages.create({ ...ASKED, messages: [{ role: "user", content }] }), {
      status: 400,
      message: /messages\[0\]\.content\[0\]\.text must be text, but is a number/,
    });
  });

  it("end a stream with an error", async (t) => {
    const { client } = await open(t, {
      completion: () => SAID,
      failure: { kind: "overloaded", status: 529, message: "Too much", retryable: true, allowFallbacks: true },
    });
    await assert.rejects(client.messages.stream(ASKED).finalMessage(), (error) => error instanceof APIError && error.type === "overloaded_error");
  });
});
