// Streams of servers that the gateway reads.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JsonObject } from "mortise";

import { CLIENT_WIRES, assembleChunks } from "../../../src/gateway/wires/index.ts";
import { readChunks } from "./read-events.ts";
import { type Api, write } from "./write-stream.ts";

/** What a server of Anthropic's sends, with a tool of its own and a ping. */
const ANTHROPIC_TRANSCRIPT = [
  {
    type: "message_start",
    message: {
      id: "msg_9",
      type: "message",
      role: "assistant",
      model: "claude-x",
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 7, cache_creation_input_tokens: 2, cache_read_input_tokens: 1, output_tokens: 1, service_tier: "standard" },
    },
  },
  { type: "ping" },
  { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "hm" } },
  { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "sig" } },
  { type: "content_block_stop", index: 0 },
  { type: "content_block_start", index: 1, content_block: { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} } },
  { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: '{"query":"x"}' } },
  { type: "content_block_stop", index: 1 },
  { type: "content_block_start", index: 2, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 2, delta: { type: "text_delta", text: "Hello" } },
  {
    type: "content_block_delta",
    index: 2,
    delta: { type: "citations_delta", citation: { type: "web_search_result_location", url: "https://example.com" } },
  },
  { type: "content_block_stop", index: 2 },
  { type: "content_block_start", index: 3, content_block: { type: "tool_use", id: "toolu_1", name: "f", input: {} } },
  { type: "content_block_delta", index: 3, delta: { type: "input_json_delta", partial_json: "" } },
  { type: "content_block_delta", index: 3, delta: { type: "input_json_delta", partial_json: '{"a":' } },
  { type: "content_block_delta", index: 3, delta: { type: "input_json_delta", partial_json: "1}" } },
  { type: "content_block_stop", index: 3 },
  { type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage: { output_tokens: 20, input_tokens: null } },
  { type: "message_stop" },
  { type: "something_new" },
];

const textOf = (events: readonly JsonObject[]): string =>
  events.map((event) => `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`).join("");

describe("streamReader() of Anthropic's messages", () => {
  it("gives the common form", async () => {
    const assembly = assembleChunks();
    for (const one of await readChunks(textOf(ANTHROPIC_TRANSCRIPT), CLIENT_WIRES.messages.streamReader())) assembly.push(one);
    const { created: _created, ...completion } = assembly.completion();
    assert.deepEqual(completion, {
      id: "msg_9",
      object: "chat.completion",
      model: "claude-x",
      choices: [
        {
          index: 0,
          message: {
            role: "assistant",
            content: "Hello",
            refusal: null,
            reasoning: "hm",
            reasoning_details: [{ type: "reasoning.text", text: "hm", signature: "sig" }],
            tool_calls: [{ id: "toolu_1", type: "function", function: { name: "f", arguments: '{"a":1}' } }],
          },
          logprobs: null,
          finish_reason: "tool_calls",
        },
      ],
      usage: {
        prompt_tokens: 10,
        completion_tokens: 20,
        total_tokens: 30,
        prompt_tokens_details: { cached_tokens: 1, cache_write_tokens: 2 },
        service_tier: "standard",
      },
    });
  });

  it("keeps what only Anthropic has for Anthropic's clients", async () => {
    const chunks = await readChunks(textOf(ANTHROPIC_TRANSCRIPT), CLIENT_WIRES.messages.streamReader());
    const events = await write("messages", chunks);
    const kept = ANTHROPIC_TRANSCRIPT.filter(
      ({ type, delta }) => type.startsWith("content_block") && (delta as JsonObject | undefined)?.["partial_json"] !== "",
    );
    assert.deepEqual(
      events.filter(({ type }) => String(type).startsWith("content_block")),
      kept,
    );
    assert.deepEqual(events.at(-2)?.["usage"], {
      input_tokens: 7,
      cache_creation_input_tokens: 2,
      cache_read_input_tokens: 1,
      output_tokens: 20,
      service_tier: "standard",
    });
  });

  it("keeps citations that come before their text, and the bounds of texts that have some", async () => {
    const [start] = ANTHROPIC_TRANSCRIPT;
    const cites = (index: number, url: string): JsonObject => ({
      type: "content_block_delta",
      index,
      delta: { type: "citations_delta", citation: { type: "web_search_result_location", url } },
    });
    const begins = (index: number, block: JsonObject): JsonObject => ({ type: "content_block_start", index, content_block: block });
    const says = (index: number, text: string): JsonObject => ({ type: "content_block_delta", index, delta: { type: "text_delta", text } });
    const stops = (index: number): JsonObject => ({ type: "content_block_stop", index });
    const cited = { type: "text", text: "", citations: [] };
    const blocks = [
      begins(0, { type: "text", text: "" }),
      says(0, "So "),
      stops(0),
      begins(1, cited),
      cites(1, "a"),
      says(1, "it"),
      cites(1, "b"),
      stops(1),
      begins(2, cited),
      says(2, "is"),
      stops(2),
      begins(3, { type: "text", text: "" }),
      says(3, "."),
      stops(3),
      begins(4, { type: "tool_use", id: "t", name: "f", input: {} }),
      stops(4),
      begins(5, cited),
      cites(5, "c"),
      says(5, "End"),
      stops(5),
    ];
    const through = async (events: readonly JsonObject[]): Promise<JsonObject[]> => {
      const chunks = await readChunks(textOf([start as JsonObject, ...events]), CLIENT_WIRES.messages.streamReader());
      return (await write("messages", chunks)).filter(({ type }) => String(type).startsWith("content_block"));
    };
    assert.deepEqual(await through(blocks), blocks);
    // Those that say it late, and those that say something at once.
    assert.deepEqual(await through([begins(0, { type: "text", text: "" }), cites(0, "a"), says(0, "it"), stops(0)]), [
      begins(0, cited),
      cites(0, "a"),
      says(0, "it"),
      stops(0),
    ]);
    assert.deepEqual(await through([begins(0, { ...cited, text: "It" }), stops(0)]), [begins(0, cited), says(0, "It"), stops(0)]);
  });

  it("tells sequences that stopped the model", async () => {
    const [start] = ANTHROPIC_TRANSCRIPT;
    const end = { type: "message_delta", delta: { stop_reason: "stop_sequence", stop_sequence: "END" }, usage: { output_tokens: 1 } };
    const chunks = await readChunks(textOf([start as JsonObject, end]), CLIENT_WIRES.messages.streamReader());
    assert.equal(chunks.at(-1)?.choices[0]?.["finish_reason"], "stop");
    const delta = (await write("messages", chunks)).at(-2)?.["delta"];
    assert.deepEqual(delta, { stop_reason: "stop_sequence", stop_sequence: "END", stop_details: null });
  });
});

describe("streamReader() of OpenAI's responses", () => {
  const response = { id: "resp_9", model: "gpt-x", created_at: 5, status: "in_progress" };
  const usage = {
    input_tokens: 3,
    input_tokens_details: { cached_tokens: 1 },
    output_tokens: 2,
    output_tokens_details: { reasoning_tokens: 1 },
    total_tokens: 5,
  };
  const transcript: readonly JsonObject[] = [
    { type: "response.created", response },
    { type: "response.in_progress", response },
    { type: "response.output_item.added", output_index: 0, item: { type: "reasoning", id: "rs_1", summary: [] } },
    { type: "response.reasoning_summary_part.added", output_index: 0, summary_index: 0 },
    { type: "response.reasoning_summary_text.delta", output_index: 0, summary_index: 0, delta: "one" },
    { type: "response.reasoning_summary_part.added", output_index: 0, summary_index: 1 },
    { type: "response.reasoning_summary_text.delta", output_index: 0, summary_index: 1, delta: "two" },
    { type: "response.reasoning_text.delta", output_index: 0, delta: "the same at length" },
    { type: "response.output_item.done", output_index: 0, item: { type: "reasoning", id: "rs_1", encrypted_content: "sig" } },
    { type: "response.output_item.added", output_index: 1, item: { type: "web_search_call", id: "ws_1" } },
    { type: "response.output_item.added", output_index: 2, item: { type: "message", id: "msg_1", content: [] } },
    { type: "response.output_text.delta", output_index: 2, content_index: 0, delta: "Hel" },
    { type: "response.output_text.delta", output_index: 2, content_index: 0, delta: "lo" },
    { type: "response.output_item.added", output_index: 3, item: { type: "function_call", id: "fc_1", call_id: "call_1", name: "f", arguments: "" } },
    { type: "response.function_call_arguments.delta", output_index: 3, delta: "{}" },
    { type: "response.function_call_arguments.done", output_index: 3, arguments: "{}" },
    { type: "response.output_item.added", output_index: 4, item: { type: "function_call", id: "fc_2", call_id: "call_2", name: "g", arguments: "" } },
    { type: "response.function_call_arguments.done", output_index: 4, arguments: '{"late":true}' },
    { type: "response.completed", response: { ...response, status: "completed", usage } },
  ];

  it("gives the common form", async () => {
    const assembly = assembleChunks();
    for (const one of await readChunks(textOf(transcript), CLIENT_WIRES.responses.streamReader())) assembly.push(one);
    assert.deepEqual(assembly.completion(), {
      id: "resp_9",
      object: "chat.completion",
      created: 5,
      model: "gpt-x",
      choices: [
        {
          index: 0,
          message: {
            role: "assistant",
            content: "Hello",
            refusal: null,
            reasoning: "one\n\ntwo",
            reasoning_details: [{ type: "reasoning.text", text: "one\n\ntwo", signature: "sig", id: "rs_1" }],
            tool_calls: [
              { id: "call_1", type: "function", function: { name: "f", arguments: "{}" } },
              { id: "call_2", type: "function", function: { name: "g", arguments: '{"late":true}' } },
            ],
          },
          logprobs: null,
          finish_reason: "tool_calls",
        },
      ],
      usage: {
        prompt_tokens: 3,
        completion_tokens: 2,
        total_tokens: 5,
        prompt_tokens_details: { cached_tokens: 1 },
        completion_tokens_details: { reasoning_tokens: 1 },
      },
    });
  });

  it("tells why an answer is incomplete", async () => {
    for (const [reason, finish] of [
      ["max_output_tokens", "length"],
      ["content_filter", "content_filter"],
    ] as const) {
      const end = { type: "response.incomplete", response: { ...response, status: "incomplete", incomplete_details: { reason } } };
      const chunks = await readChunks(textOf([transcript[0] as JsonObject, end]), CLIENT_WIRES.responses.streamReader());
      assert.equal(chunks.at(-1)?.choices[0]?.["finish_reason"], finish);
    }
  });
});

describe("streamReader() of a server that fails or errs", () => {
  const cases: readonly (readonly [api: Api, data: string, message: RegExp])[] = [
    ["chat", '{"error":{"message":"busy\\u001b[2J","type":"server_error"}}', /the answer is an error: busy\\u001b\[2J$/],
    ["chat", "{", /an event is not JSON$/],
    ["chat", "[]", /an event must be an object, but is a list$/],
    ["chat", '{"object":"chat.completion.chunk"}', /choices must be a list, but is missing$/],
    ["chat", '{"choices":[7]}', /choices\[0\] must be an object/],
    ["messages", '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', /the answer is an error: Overloaded$/],
    ["messages", '{"type":"message_start"}', /message must be an object, but is missing$/],
    ["messages", '{"type":"content_block_delta","index":5,"delta":{}}', /index must be that of a block that was begun$/],
    ["messages", '{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a"}}', /content_block\.name must be text/],
    ["responses", '{"type":"error","message":"gone","code":"server_error"}', /the answer is an error: gone$/],
    ["responses", '{"type":"response.failed","response":{"status":"failed","error":{"message":"broken"}}}', /is an error: broken$/],
    [
      "responses",
      '{"type":"response.function_call_arguments.delta","output_index":1,"delta":""}',
      /output_index must be that of a call that was begun$/,
    ],
    ["responses", '{"type":"response.output_text.delta"}', /delta must be text, but is missing$/],
  ];
  for (const [api, data, message] of cases)
    it(`throws MORTISE_GATEWAY_UPSTREAM: ${api} ${data}`, () => {
      assert.throws(() => CLIENT_WIRES[api].streamReader().push({ data }), { code: "MORTISE_GATEWAY_UPSTREAM", message });
    });

  it("keeps what the server said", () => {
    const error = { type: "overloaded_error", message: "Overloaded" };
    assert.throws(() => CLIENT_WIRES.messages.streamReader().push({ data: JSON.stringify({ type: "error", error }) }), {
      details: { what: "the answer", reason: "is an error: Overloaded", error },
    });
  });
});
