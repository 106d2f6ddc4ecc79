// The common form and the shapes of QueryMT's providers.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { ChatResponse, JsonObject, LlmRequest, StreamChunk, Usage } from "mortise";

import type { CompletionChunk } from "../../../src/gateway/types.ts";
import { CLIENT_WIRES, assembleChunks, chunkWriter, fromProviderResponse, toProviderRequest } from "../../../src/gateway/wires/index.ts";
import { CHAT_REQUEST, MESSAGES_REQUEST, PDF, PDF_DATA, PNG } from "./samples.ts";

const IDS = { id: "chatcmpl-1", created: 5, model: "m" };
const PNG_BYTES = Buffer.from(PNG.slice(PNG.indexOf(",") + 1), "base64");

const llm = (messages: readonly JsonObject[], params: JsonObject = {}): LlmRequest => ({ provider: "p", model: "m", input: messages, params });
const says = (content: unknown): LlmRequest => llm([{ role: "user", content }]);

describe("toProviderRequest()", () => {
  it("gives a conversation of chat completions", () => {
    const { messages, tools, config } = toProviderRequest({ ...CLIENT_WIRES.chat.read(CHAT_REQUEST).llm, model: "gpt-x" });
    assert.deepEqual(messages, [
      {
        role: "User",
        content: [
          { type: "text", text: "Where is this?" },
          { type: "image", mime_type: "image/png", data: PNG_BYTES },
          { type: "image_url", url: "https://example.com/a.png" },
          { type: "audio", mime_type: "audio/wav", data: Buffer.from("UklGRg==", "base64") },
          { type: "pdf", data: Buffer.from(PDF_DATA, "base64") },
        ],
      },
      {
        role: "Assistant",
        content: [
          { type: "tool_use", id: "call_1", name: "weather", arguments: { city: "Oslo" } },
          { type: "tool_use", id: "call_2", name: "weather", arguments: { city: "Rome" } },
        ],
      },
      {
        role: "User",
        content: [
          { type: "tool_result", id: "call_1", name: "weather", is_error: false, content: [{ type: "text", text: "rain" }] },
          { type: "tool_result", id: "call_2", name: "weather", is_error: false, content: [{ type: "text", text: "sun" }] },
        ],
      },
      { role: "Assistant", content: [{ type: "text", text: "Rome is sunny." }] },
      { role: "User", content: [{ type: "text", text: "As JSON." }] },
    ]);
    assert.deepEqual(tools, CHAT_REQUEST["tools"]);
    const { max_tokens, temperature, top_p, n, seed, stop, presence_penalty, frequency_penalty, logprobs, top_logprobs, logit_bias, tool_choice } =
      CHAT_REQUEST;
    const { reasoning_effort, verbosity, service_tier, user, store, metadata, modalities, response_format: format } = CHAT_REQUEST;
    const sampling = { max_tokens, temperature, top_p, n, seed, stop, presence_penalty, frequency_penalty, logprobs, top_logprobs, logit_bias };
    const others = { tool_choice, reasoning_effort, verbosity, service_tier, user, store, metadata, modalities };
    assert.deepEqual(config, {
      model: "gpt-x",
      system: ["Be brief.", "Use metric units."],
      ...sampling,
      ...others,
      enable_parallel_tool_use: false,
      json_schema: (format as JsonObject)["json_schema"],
    });
  });

  it("gives a conversation of Anthropic's messages: thoughts, marks for caches, failed tools", () => {
    const body = { ...MESSAGES_REQUEST, tools: [(MESSAGES_REQUEST["tools"] as JsonObject[])[0]] };
    const { messages, config } = toProviderRequest(CLIENT_WIRES.messages.read(body).llm);
    assert.deepEqual(messages[0], {
      role: "User",
      content: [
        { type: "text", text: "Where is this?" },
        { type: "image", mime_type: "image/png", data: PNG_BYTES },
        { type: "image_url", url: "https://example.com/a.png" },
        { type: "pdf", data: Buffer.from(PDF_DATA, "base64") },
        { type: "resource_link", uri: "https://example.com/a.pdf" },
        { type: "text", text: "plain" },
      ],
      cache: { ephemeral: {} },
    });
    assert.deepEqual(messages[1]?.content, [
      { type: "thinking", text: "Two cities.", signature: "c2ln" },
      { type: "thinking", text: "", signature: "redacted:c2VjcmV0" },
      { type: "text", text: "I look it up." },
      { type: "tool_use", id: "toolu_1", name: "weather", arguments: { city: "Oslo" } },
      { type: "tool_use", id: "toolu_2", name: "weather", arguments: {} },
    ]);
    assert.deepEqual(
      messages[2]?.content.map((part) => (part.type === "tool_result" ? [part.id, part.is_error] : part)),
      [
        ["toolu_1", false],
        ["toolu_2", true],
      ],
    );
    assert.deepEqual(messages[3], { role: "User", content: [{ type: "text", text: "Go on." }] });
    const { max_tokens, stop, reasoning_budget_tokens, thinking, top_k, json_schema, system } = config ?? {};
    assert.deepEqual(
      { max_tokens, stop, reasoning_budget_tokens, thinking, top_k, system },
      {
        max_tokens: 100,
        stop: ["END"],
        reasoning_budget_tokens: 2048,
        thinking: { type: "enabled", budget_tokens: 2048 },
        top_k: 5,
        system: ["Be brief.", "Use metric units."],
      },
    );
    assert.equal((json_schema as JsonObject)["name"], "output");
  });

  it("never lets a client say which server is asked, or how", () => {
    const params = {
      api_key: "k",
      base_url: "https://evil.example",
      allowed_hosts: ["*"],
      headers: { a: "b" },
      extra_body: {},
      chat_path: "x",
      organization: "o",
      provider: "p",
      model: "other",
      system: ["x"],
      stream: true,
      unknown: 1,
    };
    assert.deepEqual(toProviderRequest(llm([{ role: "user", content: "Hi" }], params)).config, { model: "m" });
  });

  const caches: readonly (readonly [JsonObject, unknown])[] = [
    [{ type: "ephemeral" }, { ephemeral: {} }],
    [{ type: "ephemeral", ttl: "5m" }, { ephemeral: { ttl_seconds: 300 } }],
    [{ type: "ephemeral", ttl: "1h" }, { ephemeral: { ttl_seconds: 3600 } }],
    [{ type: "ephemeral", ttl: "toString" }, { ephemeral: {} }],
  ];
  for (const [control, cache] of caches)
    it(`marks a message for the cache: ${JSON.stringify(control)}`, () => {
      assert.deepEqual(toProviderRequest(says([{ type: "text", text: "a", cache_control: control }])).messages[0]?.cache, cache);
    });

  it("tells tools apart that may be called from those that may not", () => {
    const tools = ["f", "g"].map((name) => ({ type: "function", function: { name } }));
    const choice = { type: "allowed_tools", allowed_tools: { mode: "required", tools: [{ type: "function", function: { name: "g" } }] } };
    const request = toProviderRequest(llm([{ role: "user", content: "Hi" }], { tools, tool_choice: choice }));
    assert.deepEqual(request.tools, [{ type: "function", function: { name: "g", description: "", parameters: { type: "object", properties: {} } } }]);
    assert.equal(request.config?.["tool_choice"], "required");
  });

  it("knows formats of answers", () => {
    const formatOf = (format: JsonObject): JsonObject =>
      toProviderRequest(llm([{ role: "user", content: "Hi" }], { response_format: format })).config ?? {};
    assert.deepEqual(formatOf({ type: "text" }), { model: "m" });
    assert.deepEqual(formatOf({ type: "json_object" }), { model: "m", response_format: { type: "json_object" } });
  });

  it("keeps arguments that are no JSON as text, and takes none for an object", () => {
    const calls = ["oops", ""].map((text, index) => ({ id: `${index}`, type: "function", function: { name: "f", arguments: text } }));
    const { messages } = toProviderRequest(llm([{ role: "assistant", tool_calls: calls }]));
    assert.deepEqual(
      messages[0]?.content.map((part) => (part.type === "tool_use" ? part.arguments : part)),
      ["oops", {}],
    );
  });

  it("knows functions of old", () => {
    const { messages } = toProviderRequest(
      llm([
        { role: "assistant", content: null, function_call: { name: "f", arguments: "{}" } },
        { role: "function", name: "f", content: "x" },
      ]),
    );
    assert.deepEqual(
      messages.map(({ content }) => content[0]),
      [
        { type: "tool_use", id: "call_f", name: "f", arguments: {} },
        { type: "tool_result", id: "call_f", name: "f", is_error: false, content: [{ type: "text", text: "x" }] },
      ],
    );
  });

  const text = Buffer.from("Grüße").toString("base64");
  const files: readonly (readonly [JsonObject, unknown])[] = [
    [{ file_data: PDF }, { type: "pdf", data: Buffer.from(PDF_DATA, "base64") }],
    [{ file_data: PDF_DATA }, { type: "pdf", data: Buffer.from(PDF_DATA, "base64") }],
    [{ file_data: PNG }, { type: "image", mime_type: "image/png", data: PNG_BYTES }],
    [{ file_data: `data:text/plain;base64,${text}` }, { type: "text", text: "Grüße" }],
    [{ file_data: "data:audio/ogg;base64,AAAA" }, { type: "audio", mime_type: "audio/ogg", data: Buffer.alloc(3) }],
    [
      { file_url: "https://example.com/a.pdf", filename: "a" },
      { type: "resource_link", uri: "https://example.com/a.pdf", name: "a" },
    ],
  ];
  for (const [file, part] of files)
    it(`takes a file: ${JSON.stringify(file).slice(0, 50)}`, () => {
      assert.deepEqual(toProviderRequest(says([{ type: "file", file }])).messages[0]?.content, [part]);
    });

  const refused: readonly (readonly [LlmRequest, string])[] = [
    [says([{ type: "file", file: { file_id: "file_1" } }]), "messages[0].content[0].file"],
    [says([{ type: "file", file: { file_data: "data:application/zip;base64,AAAA" } }]), "messages[0].content[0].file.file_data"],
    [
      says([{ type: "file", file: { file_data: `data:text/plain;base64,${Buffer.of(0xff).toString("base64")}` } }]),
      "messages[0].content[0].file.file_data",
    ],
    [says([{ type: "image_url", image_url: { url: "data:image/png;base64,A*AA" } }]), "messages[0].content[0].image_url.url"],
    [says([{ type: "image_url", image_url: { url: "data:image/png;base64,AAAAA" } }]), "messages[0].content[0].image_url.url"],
    [says([{ type: "input_audio", input_audio: { data: "!", format: "wav" } }]), "messages[0].content[0].input_audio.data"],
    [says([{ type: "search_result" }]), "messages[0].content[0].type"],
    [llm([{ role: "system", content: [{ type: "image_url", image_url: { url: "https://a" } }] }]), "messages[0].content[0]"],
    [llm([{ role: "user", content: "Hi" }], { tools: [{ type: "web_search_20250305", name: "web_search" }] }), "tools[0].type"],
    [llm([{ role: "tool", content: "x" }]), "messages[0].tool_call_id"],
    [{ provider: "p", model: "m", input: "Hi" }, "messages"],
    [{ provider: "p", model: "m", input: [], params: 7 }, "params"],
  ];
  for (const [request, param] of refused)
    it(`refuses what a provider cannot be given: ${param} of ${JSON.stringify(request.input).slice(0, 80)}`, () => {
      assert.throws(
        () => toProviderRequest(request),
        (error: { readonly code?: unknown; readonly details?: JsonObject }) =>
          error.code === "MORTISE_GATEWAY_REQUEST" && error.details?.["param"] === param,
      );
    });

  it("takes base64 of both alphabets, with and without padding", () => {
    for (const base64 of ["+/8=", "-_8", "-_8="]) {
      const [part] =
        toProviderRequest(says([{ type: "image_url", image_url: { url: `data:image/png;base64,${base64}` } }])).messages[0]?.content ?? [];
      assert.deepEqual(part, { type: "image", mime_type: "image/png", data: Buffer.of(0xfb, 0xff) });
    }
  });
});

const USAGE: Usage = { input_tokens: 10, output_tokens: 4, reasoning_tokens: 1, cache_read: 6, cache_write: 0 };
const NOTHING: ChatResponse = { text: null, tool_calls: null, thinking: null, usage: null, finish_reason: null };
const CALL = { id: "a", type: "function", function: { name: "f", arguments: "{}" } } as const;

describe("fromProviderResponse()", () => {
  it("gives the common form", () => {
    const response: ChatResponse = { text: "Hi", tool_calls: [CALL], thinking: "hm", usage: USAGE, finish_reason: "ToolCalls" };
    assert.deepEqual(fromProviderResponse(response, IDS), {
      id: "chatcmpl-1",
      object: "chat.completion",
      created: 5,
      model: "m",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "Hi", refusal: null, reasoning: "hm", tool_calls: [CALL] },
          logprobs: null,
          finish_reason: "tool_calls",
        },
      ],
      usage: {
        prompt_tokens: 10,
        completion_tokens: 4,
        total_tokens: 14,
        prompt_tokens_details: { cached_tokens: 6 },
        completion_tokens_details: { reasoning_tokens: 1 },
      },
    });
  });

  it("takes a cache that has more than the input to be counted apart", () => {
    const { usage } = fromProviderResponse({ ...NOTHING, usage: { ...USAGE, input_tokens: 2, cache_write: 1 } }, IDS);
    assert.equal(usage?.["prompt_tokens"], 9);
  });

  it("gives empty text for an answer of nothing, and none beside calls", () => {
    const contentOf = (response: Partial<ChatResponse>): unknown => {
      const [choice] = fromProviderResponse({ ...NOTHING, ...response }, IDS).choices;
      const { message } = (choice ?? assert.fail("no choice")) as { readonly message: JsonObject };
      return message["content"];
    };
    assert.equal(contentOf({}), "");
    assert.equal(contentOf({ text: "", tool_calls: [CALL] }), null);
  });

  const reasons: readonly (readonly [ChatResponse["finish_reason"], boolean, string])[] = [
    ["Stop", false, "stop"],
    ["Stop", true, "tool_calls"],
    ["Length", true, "length"],
    ["ContentFilter", false, "content_filter"],
    ["ToolCalls", true, "tool_calls"],
    ["Other", false, "stop"],
    ["Unknown", true, "tool_calls"],
    [null, false, "stop"],
  ];
  for (const [reason, calls, finish] of reasons)
    it(`says why the model stopped: ${String(reason)}${calls ? " with calls" : ""}`, () => {
      const { choices } = fromProviderResponse({ ...NOTHING, finish_reason: reason, tool_calls: calls ? [CALL] : null }, IDS);
      assert.equal(choices[0]?.["finish_reason"], finish);
    });

  it("does not take a failure for an answer", () => {
    assert.throws(() => fromProviderResponse({ ...NOTHING, text: "x", finish_reason: "Error" }, IDS), { code: "MORTISE_GATEWAY_UPSTREAM" });
    assert.throws(() => chunkWriter(IDS)({ done: { finish_reason: "Error" } }), { code: "MORTISE_GATEWAY_UPSTREAM" });
  });
});

describe("chunkWriter()", () => {
  const write = (chunks: readonly StreamChunk[]): readonly CompletionChunk[] => chunks.flatMap(chunkWriter(IDS));
  const deltasOf = (chunks: readonly CompletionChunk[]): readonly unknown[] =>
    chunks.map(({ choices, usage }) => usage ?? choices[0]?.["finish_reason"] ?? choices[0]?.["delta"]);

  it("gives chunks of the common form, numbers calls from 0, and the usage last", () => {
    const chunks = write([
      { usage: { ...USAGE, output_tokens: 1 } },
      { thinking: "hm" },
      { thinking_signature: "sig" },
      { text: "" },
      { text: "Hi" },
      { tool_use_start: { index: 3, id: "a", name: "f" } },
      { tool_use_input_delta: { index: 3, partial_json: "" } },
      { tool_use_input_delta: { index: 3, partial_json: "{}" } },
      { tool_use_complete: { index: 3, tool_call: CALL } },
      { usage: { ...USAGE, input_tokens: 0, cache_read: 0 } },
      { done: { finish_reason: "Stop" } },
    ]);
    assert.deepEqual(deltasOf(chunks), [
      { role: "assistant", content: null, reasoning: "hm" },
      { reasoning_details: [{ type: "reasoning.text", text: "", signature: "sig" }] },
      { content: "Hi" },
      { tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "f", arguments: "" } }] },
      { tool_calls: [{ index: 0, function: { arguments: "{}" } }] },
      "tool_calls",
      {
        prompt_tokens: 10,
        completion_tokens: 4,
        total_tokens: 14,
        prompt_tokens_details: { cached_tokens: 6 },
        completion_tokens_details: { reasoning_tokens: 1 },
      },
    ]);
    for (const chunk of chunks)
      assert.deepEqual([chunk.id, chunk.object, chunk.created, chunk.model], ["chatcmpl-1", "chat.completion.chunk", 5, "m"]);
  });

  it("tells calls once, whether they come in pieces, whole, or both", () => {
    const whole: StreamChunk = { tool_use_complete: { index: 0, tool_call: { ...CALL, function: { name: "f", arguments: '{"a":1}' } } } };
    const start: StreamChunk = { tool_use_start: { index: 0, id: "a", name: "f" } };
    const piece: StreamChunk = { tool_use_input_delta: { index: 0, partial_json: '{"a":1}' } };
    for (const chunks of [[whole], [start, whole], [start, piece], [start, piece, whole]]) {
      const assembly = assembleChunks();
      for (const chunk of write([...chunks, { done: { finish_reason: "ToolCalls" } }])) assembly.push(chunk);
      const { message } = assembly.completion().choices[0] as { readonly message: JsonObject };
      assert.deepEqual(message["tool_calls"], [{ id: "a", type: "function", function: { name: "f", arguments: '{"a":1}' } }]);
    }
  });

  it("tells thoughts that a server encrypted", () => {
    assert.deepEqual(deltasOf(write([{ thinking_signature: "redacted:xyz" }])), [
      { role: "assistant", content: null, reasoning_details: [{ type: "reasoning.encrypted", data: "xyz" }] },
    ]);
  });

  it("gives an answer of nothing as such, and a late usage", () => {
    assert.deepEqual(deltasOf(write([{ done: { finish_reason: "Stop" } }, { usage: USAGE }])).slice(0, 2), [
      { role: "assistant", content: "" },
      "stop",
    ]);
    assert.equal(write([{ done: { finish_reason: "Stop" } }, { usage: USAGE }]).at(-1)?.usage?.["prompt_tokens"], 10);
  });

  it("refuses arguments of a call that was not begun", () => {
    assert.throws(() => write([{ tool_use_input_delta: { index: 0, partial_json: "{" } }]), { code: "MORTISE_GATEWAY_UPSTREAM" });
  });
});
