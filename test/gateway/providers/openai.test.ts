// What the provider for OpenAI's wire does beyond what all do: the habits of the many servers that speak it.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Content } from "mortise";
import { collect, endOf, json, loadGuest, loadShipped, say, stream, vendorServer } from "./vendor-server.ts";

const KIT = "provider-openai";
const ANSWER = { choices: [{ message: { role: "assistant", content: "ok" }, finish_reason: "stop" }] };

const sse = (...events: readonly unknown[]): string =>
  events.map((event) => `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`).join("");
const delta = (value: unknown, finish: string | null = null): unknown => ({ choices: [{ index: 0, delta: value, finish_reason: finish }] });

interface Request {
  readonly head: { readonly method: string; readonly uri: string; readonly headers: Record<string, string>; readonly version: string };
  readonly body: readonly number[];
}

async function requestOf(fn: string, input: unknown): Promise<Request> {
  await using loaded = await loadGuest(KIT);
  return ((await loaded.call(fn, JSON.stringify(input))).json() as { req: Request }).req;
}

async function bodyOf(cfg: object, fn = "chat_request"): Promise<Record<string, unknown>> {
  const { body } = await requestOf(fn, { cfg: { api_key: "k", model: "m", ...cfg }, messages: [], tools: null });
  return JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>;
}

describe("The provider for OpenAI's wire", () => {
  it("writes the messages that the wire has", async () => {
    await using server = await vendorServer(json(ANSWER));
    await using provider = await loadShipped(KIT, server, "/v1", {
      config: { system: "Be brief.", system_role: "developer", thinking_field: "reasoning_content" },
    });
    const bytes = Uint8Array.of(1, 2, 3);
    const content: readonly Content[] = [
      { type: "text", text: "See" },
      { type: "image", mime_type: "image/png", data: bytes },
      { type: "image_url", url: "https://x.example/a", ...({ detail: "low" } as object) },
      { type: "pdf", data: bytes },
      { type: "audio", mime_type: "audio/mpeg", data: bytes },
      { type: "resource_link", uri: "file:///a.txt", name: "a", description: "notes" },
    ];
    await provider.chat({
      messages: [
        { role: "User", content },
        {
          role: "Assistant",
          content: [
            { type: "thinking", text: "hm" },
            { type: "tool_use", id: "c1", name: "f", arguments: { b: 1, a: 2 } },
            { type: "tool_use", id: "c2", name: "g", arguments: "{broken" },
          ],
        },
        {
          role: "User",
          content: [
            { type: "text", text: "well?" },
            {
              type: "tool_result",
              id: "c1",
              is_error: false,
              content: [
                { type: "text", text: "one" },
                { type: "image", mime_type: "image/png", data: bytes },
              ],
            },
            { type: "tool_result", id: "c2", is_error: false, content: [] },
          ],
        },
      ],
    });
    const url = "data:image/png;base64,AQID";
    assert.deepEqual(server.sent[0]?.body["messages"], [
      { role: "developer", content: "Be brief." },
      {
        role: "user",
        content: [
          { type: "text", text: "See" },
          { type: "image_url", image_url: { url } },
          { type: "image_url", image_url: { url: "https://x.example/a", detail: "low" } },
          { type: "file", file: { filename: "document.pdf", file_data: "data:application/pdf;base64,AQID" } },
          { type: "input_audio", input_audio: { data: "AQID", format: "mp3" } },
          { type: "text", text: "a: file:///a.txt (notes)" },
        ],
      },
      {
        role: "assistant",
        content: null,
        reasoning_content: "hm",
        tool_calls: [
          { id: "c1", type: "function", function: { name: "f", arguments: '{"b":1,"a":2}' } },
          { id: "c2", type: "function", function: { name: "g", arguments: "{broken" } },
        ],
      },
      { role: "tool", tool_call_id: "c1", content: "one" },
      { role: "tool", tool_call_id: "c2", content: "" },
      {
        role: "user",
        content: [
          { type: "text", text: "well?" },
          { type: "image_url", image_url: { url } },
        ],
      },
    ]);
    const odd: Content = { type: "audio", mime_type: "audio/flac", data: bytes };
    assert.match(String((await endOf(provider.chat({ messages: [{ role: "User", content: [odd] }] }))).payload["message"]), /WAV and MP3/);
  });

  it("keeps base64 right for every length", async () => {
    await using server = await vendorServer(json(ANSWER));
    await using provider = await loadShipped(KIT, server);
    for (let length = 0; length < 7; length++) {
      const data = Uint8Array.from({ length }, (_unused, index) => 250 - index * 37);
      await provider.chat({ messages: [{ role: "User", content: [{ type: "image", mime_type: "image/png", data }] }] });
      const sent = JSON.stringify(server.sent.at(-1)?.body["messages"]);
      assert.ok(sent.includes(`base64,${Buffer.from(data).toString("base64")}"`), sent);
    }
  });

  it("sends OpenAI's own parameters on, and QueryMT's under OpenAI's names", async () => {
    const own = {
      temperature: 0.1,
      top_p: 0.2,
      stop: "x",
      seed: 7,
      frequency_penalty: 1,
      presence_penalty: -1,
      logit_bias: { "5": 1 },
      reasoning_effort: "low",
      verbosity: "low",
      user: "u",
      metadata: { a: "b" },
      store: false,
      service_tier: "flex",
      safety_identifier: "s",
      prompt_cache_key: "p",
      prompt_cache_retention: "24h",
    };
    assert.partialDeepStrictEqual(await bodyOf(own), own);
    const schema = { type: "object", properties: { z: {}, a: {} } };
    const made = await bodyOf({
      json_schema: { name: "n", schema, strict: true },
      stop_sequences: ["a"],
      extra_body: { plugins: [1], seed: 9 },
      seed: 7,
    });
    assert.partialDeepStrictEqual(made, {
      response_format: { type: "json_schema", json_schema: { name: "n", schema, strict: true } },
      stop: ["a"],
      plugins: [1],
      seed: 9,
    });
    // The order of properties is the order in which a model answers.
    assert.ok(JSON.stringify(made).includes('"properties":{"z":{},"a":{}}'));
    assert.partialDeepStrictEqual(await bodyOf({ metadata: { user_id: "u" }, service_tier: "standard_only" }), { user: "u" });
    assert.deepEqual((await bodyOf({ metadata: { user_id: "u" }, service_tier: "standard_only" }))["metadata"], undefined);
    assert.deepEqual((await bodyOf({ service_tier: "standard_only" }))["service_tier"], undefined);
    assert.deepEqual((await bodyOf({ response_format: { type: "json_object" } }))["response_format"], { type: "json_object" });
  });

  it("names the limit as the server does, and keeps from OpenAI what it refuses", async () => {
    const vendors = { top_k: 5, thinking: { type: "enabled" } };
    const openai = await bodyOf({ max_tokens: 9, ...vendors });
    assert.deepEqual(
      [openai["max_completion_tokens"], openai["max_tokens"], openai["top_k"], openai["thinking"]],
      [9, undefined, undefined, undefined],
    );
    const azure = await bodyOf({ base_url: "https://x.openai.azure.com/openai/v1", max_tokens: 9 });
    assert.equal(azure["max_completion_tokens"], 9);
    const other = await bodyOf({ base_url: "https://models.example/v1", max_completion_tokens: 9, ...vendors });
    assert.deepEqual([other["max_tokens"], other["max_completion_tokens"], other["top_k"], other["thinking"]], [9, undefined, 5, vendors.thinking]);
    const named = await bodyOf({ base_url: "https://models.example", max_tokens: 9, max_tokens_key: "max_completion_tokens" });
    assert.equal(named["max_completion_tokens"], 9);
  });

  it("asks for the usage of streams, unless told otherwise", async () => {
    assert.deepEqual((await bodyOf({}, "chat_stream_request"))["stream_options"], { include_usage: true });
    assert.deepEqual((await bodyOf({ stream_options: { include_obfuscation: false } }, "chat_stream_request"))["stream_options"], {
      include_obfuscation: false,
      include_usage: true,
    });
    assert.equal((await bodyOf({ stream_usage: false }, "chat_stream_request"))["stream_options"], undefined);
    assert.equal((await bodyOf({}))["stream_options"], undefined);
  });

  it("builds requests for servers with other paths, keys and versions", async () => {
    const cfg = {
      model: "m",
      api_key: "k",
      base_url: "https://x.openai.azure.com/openai/",
      chat_path: "/deployments/a/chat/completions",
      query: { "api-version": "1" },
      api_key_header: "api-key",
      organization: "o",
      project: "p",
    };
    const { head } = await requestOf("chat_request", { cfg, messages: [], tools: null });
    assert.equal(head.uri, "https://x.openai.azure.com/openai/deployments/a/chat/completions?api-version=1");
    assert.deepEqual(head.headers, {
      accept: "application/json",
      "api-key": "k",
      "content-type": "application/json",
      "openai-organization": "o",
      "openai-project": "p",
    });
  });

  it("gives the head of requests that are passed through, for the interfaces that the server has", async () => {
    await using loaded = await loadGuest(KIT);
    const pass = async (cfg: object, api: string, isStream = false): Promise<Request | undefined> =>
      ((await loaded.call("passthrough_request", JSON.stringify({ cfg, api, stream: isStream }))).json() as { req: Request } | null)?.req;
    const own = { api_key: "k" };
    assert.deepEqual(await pass(own, "openai.chat", true), {
      head: {
        method: "POST",
        uri: "https://api.openai.com/v1/chat/completions",
        headers: { accept: "text/event-stream", authorization: "Bearer k", "content-type": "application/json" },
        version: "HTTP/1.1",
      },
      body: [],
    });
    assert.equal((await pass(own, "openai.embeddings"))?.head.uri, "https://api.openai.com/v1/embeddings");
    assert.equal((await pass(own, "openai.responses"))?.head.uri, "https://api.openai.com/v1/responses");
    assert.equal((await pass(own, "openai.responses"))?.head.headers["accept"], "application/json");
    const other = { base_url: "https://models.example/v1" };
    assert.equal((await pass(other, "openai.chat"))?.head.uri, "https://models.example/v1/chat/completions");
    assert.equal(await pass(other, "openai.responses"), undefined);
    assert.equal((await pass({ ...other, responses: true }, "openai.responses"))?.head.uri, "https://models.example/v1/responses");
    assert.equal(await pass({ ...own, responses: false }, "openai.responses"), undefined);
    for (const api of ["anthropic.messages", "", "openai.images"]) assert.equal(await pass(own, api), undefined);
    // Not taken in by names that look like it.
    assert.equal(await pass({ ...own, base_url: "https://api.openai.com.evil.example/v1" }, "openai.responses"), undefined);
    await assert.rejects(pass({}, "openai.chat"), /Missing API key/);
    await assert.rejects(pass({ ...own, modle: 1 }, "openai.chat"), /unknown key/);
  });

  it("embeds, in the order of the texts, from numbers and from base64", async () => {
    const packed = Buffer.from(Float32Array.of(0.5, -2).buffer).toString("base64");
    const data = [
      { index: 1, embedding: [3, 4.25] },
      { index: 0, embedding: packed },
    ];
    await using server = await vendorServer(json({ data, usage: { prompt_tokens: 3, total_tokens: 3 } }));
    await using provider = await loadShipped(KIT, server, "/v1", {
      config: { embedding_dimensions: 2, embedding_encoding_format: "base64", temperature: 1 },
    });
    assert.deepEqual(await provider.embed(["a", "b"]), [
      [0.5, -2],
      [3, 4.25],
    ]);
    const usage = { input_tokens: 3, output_tokens: 0, reasoning_tokens: 0, cache_read: 0, cache_write: 0 };
    assert.deepEqual((await provider.embedWithUsage(["a", "b"])).usage, usage);
    await using plain = await loadShipped(KIT, server, "/v1", { config: { embedding_usage: false } });
    assert.deepEqual(await plain.embedWithUsage(["a", "b"]), {
      embeddings: [
        [0.5, -2],
        [3, 4.25],
      ],
      usage: null,
    });
    assert.deepEqual(server.sent[0]?.body, { model: "small", input: ["a", "b"], dimensions: 2, encoding_format: "base64" });
    for (const bad of [{ data: [{ embedding: ["x"] }] }, { data: [{}] }, {}, { data: [{ embedding: "!" }] }]) {
      await using broken = await vendorServer(json(bad));
      await using other = await loadShipped(KIT, broken);
      assert.equal((await endOf(other.embed(["a"]))).payload["type"], "response_format_error");
    }
  });

  it("reads lists of models in the forms that there are", async () => {
    for (const body of [[{ id: "a" }, { id: "b" }], { data: [{ id: "a" }, { id: "b" }] }, { models: [{ name: "a" }, { id: "b" }] }]) {
      await using server = await vendorServer(json(body));
      await using provider = await loadShipped(KIT, server);
      assert.deepEqual(await provider.listModels(), ["a", "b"]);
    }
  });

  const answers: readonly (readonly [habit: string, message: unknown, finish: string | null, wanted: Record<string, unknown>])[] = [
    ["thoughts as `reasoning`", { content: "x", reasoning: "hm" }, "stop", { text: "x", thinking: "hm", finish_reason: "Stop" }],
    [
      "content as parts",
      {
        content: [
          { type: "thinking", thinking: [{ type: "text", text: "hm" }] },
          { type: "text", text: "x" },
        ],
      },
      "stop",
      { text: "x", thinking: "hm" },
    ],
    ["a refusal", { content: null, refusal: "I will not" }, "stop", { text: "I will not", finish_reason: "ContentFilter" }],
    [
      "arguments that are an object",
      { tool_calls: [{ function: { name: "f", arguments: { a: 1 } } }] },
      "stop",
      { tool_calls: [{ id: "call_0", type: "function", function: { name: "f", arguments: '{"a":1}' } }], finish_reason: "ToolCalls" },
    ],
    [
      "no arguments",
      { tool_calls: [{ id: "c", function: { name: "f" } }] },
      "tool_calls",
      { tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }] },
    ],
    ["no reason", { content: "x" }, null, { finish_reason: "Unknown" }],
    ["a reason of its own", { content: "x" }, "tired", { finish_reason: "Other" }],
    ["a limit by another name", { content: "x" }, "model_length", { finish_reason: "Length" }],
  ];
  for (const [habit, message, finish_reason, wanted] of answers)
    it(`reads answers with ${habit}`, async () => {
      await using server = await vendorServer(json({ choices: [{ message, finish_reason }] }));
      await using provider = await loadShipped(KIT, server);
      assert.partialDeepStrictEqual(await provider.chat(say("x")), wanted);
    });

  const call = (index: number | undefined, id: string | undefined, name: string | undefined, text: string): unknown =>
    delta({
      tool_calls: [
        {
          ...(index !== undefined && { index }),
          ...(id !== undefined && { id }),
          function: { ...(name !== undefined && { name }), arguments: text },
        },
      ],
    });
  const streams: readonly (readonly [habit: string, text: string, wanted: readonly unknown[]])[] = [
    ["no blank lines", sse(delta({ content: "a" }), delta({ content: "b" }, "stop"), "[DONE]").replaceAll("\n\n", "\n"), ["a", "b", "Stop"]],
    [
      "an event in several lines",
      'data: {"choices":\ndata: [{"delta":{"content":"a"},\ndata: "finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
      ["a", "Stop"],
    ],
    ["the same, with CR LF", 'data: {"choices":\r\ndata: [{"delta":{"content":"a"},\r\ndata: "finish_reason":"stop"}]}\r\n\r\n', ["a", "Stop"]],
    ["no [DONE]", sse(delta({ content: "a" }, "stop")), ["a", "Stop"]],
    ["a last line without an end", sse(delta({ content: "a" }, "stop")).trimEnd(), ["a", "Stop"]],
    [
      "an empty reason in each event",
      sse(
        call(0, "c", "f", "{"),
        { choices: [{ delta: { tool_calls: [{ index: 0, function: { arguments: "}" } }] }, finish_reason: "" }] },
        "[DONE]",
      ),
      ["c f {}", "Unknown"],
    ],
    [
      "the id in each piece of a call",
      sse(call(0, "c", "f", '{"a"'), call(0, "c", "f", ":1}"), delta({}, "tool_calls")),
      ['c f {"a":1}', "ToolCalls"],
    ],
    ["calls with the same index", sse(call(0, "c", "f", "{}"), call(0, "d", "g", "{}"), delta({}, "stop")), ["c f {}", "d g {}", "ToolCalls"]],
    ["calls without an index and an id", sse(call(undefined, undefined, "f", "{}"), delta({}, "stop")), ["call_0 f {}", "ToolCalls"]],
    [
      "calls without an index, told apart by their ids, between each other",
      sse(
        delta({ tool_calls: ["c", "d"].map((id) => ({ id, function: { name: `f${id}`, arguments: "" } })) }),
        ...["c", "d"].map((id) => call(undefined, id, undefined, `{"${id}":`)),
        ...["c", "d"].map((id) => call(undefined, id, undefined, "1}")),
        delta({}, "tool_calls"),
      ),
      ['c fc {"c":1}', 'd fd {"d":1}', "ToolCalls"],
    ],
    [
      "the same index for all calls, between each other",
      sse(call(0, "c", "f", "["), call(0, "d", "g", "{"), call(0, "c", undefined, "]"), call(0, "d", undefined, "}"), delta({}, "stop")),
      ["c f []", "d g {}", "ToolCalls"],
    ],
    [
      "an id in the first piece of a call only, and no index",
      sse(
        call(undefined, "c", "f", ""),
        call(undefined, undefined, undefined, "[]"),
        call(undefined, "d", "g", "{"),
        call(undefined, undefined, undefined, "}"),
        delta({}, "stop"),
      ),
      ["c f []", "d g {}", "ToolCalls"],
    ],
    [
      "calls with neither, and another name for each",
      sse(
        call(undefined, undefined, "f", "["),
        call(undefined, undefined, "f", "]"),
        call(undefined, undefined, "g", "{}"),
        delta({}, "tool_calls"),
        call(undefined, undefined, undefined, "1"),
      ),
      ["call_0 f []", "call_1 g {}", "ToolCalls"],
    ],
    [
      "a call whose name comes late",
      sse(call(0, "c", undefined, '{"a"'), call(0, undefined, "f", ":1}"), delta({}, "stop")),
      ['c f {"a":1}', "ToolCalls"],
    ],
    ["a call without arguments", sse(call(0, "c", "f", ""), delta({}, "tool_calls")), ["c f {}", "ToolCalls"]],
    [
      "calls between each other",
      sse(call(0, "c", "f", "["), call(1, "d", "g", "{"), call(0, undefined, undefined, "]"), call(1, undefined, undefined, "}"), "[DONE]"),
      ["c f []", "d g {}", "Unknown"],
    ],
    ["a refusal", sse(delta({ refusal: "No" }), delta({}, "stop"), "[DONE]"), ["No", "ContentFilter"]],
    [
      "usage in each event",
      sse(
        { ...(delta({ content: "a" }) as object), usage: { prompt_tokens: 1, completion_tokens: 1 } },
        { ...(delta({}, "stop") as object), usage: { prompt_tokens: 1, completion_tokens: 2 } },
      ),
      ["a", "1+2", "Stop"],
    ],
    [
      "usage in a field of its own",
      sse(delta({ content: "a" }), { ...(delta({}, "stop") as object), x_groq: { usage: { prompt_tokens: 1, completion_tokens: 2 } } }, "[DONE]"),
      ["a", "1+2", "Stop"],
    ],
    ["events after [DONE]", sse(delta({ content: "a" }, "stop"), "[DONE]", "[DONE]"), ["a", "Stop"]],
    ["a filter's report before the first word", sse({ choices: [], prompt_filter_results: [] }, delta({ content: "a" }, "stop")), ["a", "Stop"]],
  ];
  for (const [habit, text, wanted] of streams)
    it(`reads streams with ${habit}`, async () => {
      await using server = await vendorServer(stream(text));
      await using provider = await loadShipped(KIT, server);
      const said = (await collect(provider.chatStream(say("x")))).flatMap((chunk) => {
        if ("text" in chunk) return [chunk.text];
        if ("usage" in chunk) return [`${chunk.usage.input_tokens}+${chunk.usage.output_tokens}`];
        if ("done" in chunk) return [chunk.done.finish_reason];
        if (!("tool_use_complete" in chunk)) return [];
        const { id, function: fn } = chunk.tool_use_complete.tool_call;
        return [`${id} ${fn.name} ${fn.arguments}`];
      });
      assert.deepEqual(said, wanted);
    });

  it("has a bound for calls of tools in a stream", async () => {
    const text = Array.from({ length: 1030 }, (_unused, index) => sse(call(index, `c${index}`, "f", "{}"))).join("");
    await using server = await vendorServer(stream(text));
    await using provider = await loadShipped(KIT, server);
    assert.match(String((await endOf(collect(provider.chatStream(say("x"))))).payload["message"]), /too many calls/);
  });

  const errors: readonly (readonly [status: number, body: unknown, kind: string, rest?: Record<string, unknown>])[] = [
    [429, { error: { message: "m", type: "insufficient_quota", code: "insufficient_quota" } }, "quota_exceeded", { code: "insufficient_quota" }],
    [
      400,
      { error: { message: "m", code: "context_length_exceeded", type: "invalid_request_error" } },
      "context_window_exceeded",
      { error_type: "invalid_request_error" },
    ],
    [400, { error: { message: "This model's maximum context length is 8192 tokens" } }, "context_window_exceeded"],
    [402, { error: { message: "Insufficient Balance" } }, "quota_exceeded"],
    [400, { error: "no such thing" }, "invalid_request", { message: "no such thing" }],
    [422, { detail: "m" }, "invalid_request", { message: "m" }],
    [400, [{ error: { message: "m" } }], "invalid_request", { message: "m" }],
    [404, { error: { message: "m", code: "model_not_found" } }, "unknown_permanent", { code: "404" }],
    [501, { message: "m" }, "unsupported_operation", { message: "m" }],
    [500, { error: { message: "m", type: "engine_overloaded_error" } }, "server_overloaded"],
  ];
  for (const [status, body, kind, rest = {}] of errors)
    it(`says what ${JSON.stringify(body).slice(0, 60)} with ${status} means`, async () => {
      await using server = await vendorServer(json(body, status, { "x-request-id": "r-1" }));
      await using provider = await loadShipped(KIT, server);
      const { payload } = await endOf(provider.chat(say("x")));
      assert.partialDeepStrictEqual(payload, { type: "provider_error", kind, request_id: "r-1", ...rest });
    });

  it("reads an error that comes with success, in an answer and in a stream", async () => {
    const body = { error: { message: "Rate limit", code: 429 } };
    await using server = await vendorServer(json(body));
    await using provider = await loadShipped(KIT, server);
    assert.partialDeepStrictEqual(await endOf(provider.chat(say("x"))), { payload: { kind: "rate_limited", code: "429" }, retryable: true });
    await using streaming = await vendorServer(stream(sse(body)));
    await using other = await loadShipped(KIT, streaming);
    assert.partialDeepStrictEqual(await endOf(collect(other.chatStream(say("x")))), { payload: { kind: "rate_limited" }, retryable: true });
  });
});
