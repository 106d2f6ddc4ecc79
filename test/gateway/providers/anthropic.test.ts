// What the provider for Anthropic's messages does beyond what all do.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Content, StreamChunk, Tool } from "mortise";
import { collect, endOf, json, loadGuest, loadShipped, say, stream, vendorServer } from "./vendor-server.ts";

const KIT = "provider-anthropic";
const ANSWER = { content: [{ type: "text", text: "ok" }], stop_reason: "end_turn", usage: { input_tokens: 1, output_tokens: 1 } };
const TOOL: Tool = { type: "function", function: { name: "f", description: "d", parameters: { type: "object", properties: {} } } };

const sse = (...events: readonly { readonly type: string }[]): string =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("");

/** The body of a request with a configuration. */
async function bodyOf(config: Readonly<Record<string, unknown>>, tools: readonly Tool[] = []): Promise<Record<string, unknown>> {
  await using server = await vendorServer(json(ANSWER));
  await using provider = await loadShipped(KIT, server);
  await provider.chat(say("x", { config, tools }));
  assert.deepEqual(provider.report.droppedKeys, []);
  return server.sent[0]?.body ?? {};
}

describe("The provider for Anthropic's messages", () => {
  it("writes the blocks that the wire has, those of one side in one message", async () => {
    await using server = await vendorServer(json(ANSWER));
    await using provider = await loadShipped(KIT, server, "/v1", { config: { system: ["Be brief.", "Be kind."] } });
    const data = Uint8Array.of(1, 2, 3);
    const thinking = (text: string, signature?: string): Content => ({ type: "thinking", text, ...(signature !== undefined && { signature }) });
    await provider.chat({
      messages: [
        {
          role: "User",
          content: [
            { type: "text", text: "" },
            { type: "text", text: "See" },
            { type: "image", mime_type: "image/gif", data },
            { type: "image_url", url: "https://x.example/a.png" },
            { type: "image_url", url: "data:image/jpeg;base64,AQID" },
            { type: "pdf", data },
          ],
          cache: { ephemeral: { ttl_seconds: 3600 } },
        },
        {
          role: "Assistant",
          content: [
            thinking("hm", "c2ln"),
            thinking("", "redacted:ZGF0YQ=="),
            thinking("unsigned"),
            thinking("another's", "google:c2ln"),
            { type: "tool_use", id: "c1", name: "f", arguments: { b: 1, a: 2 } },
            { type: "tool_use", id: "c2", name: "g", arguments: '{"x":1}' },
          ],
        },
        {
          role: "User",
          content: [
            {
              type: "tool_result",
              id: "c1",
              is_error: false,
              content: [
                { type: "text", text: "one" },
                { type: "image", mime_type: "image/png", data },
              ],
            },
          ],
        },
        { role: "User", content: [{ type: "tool_result", id: "c2", is_error: true, content: [] }], cache: { ephemeral: {} } },
      ],
    });
    const source = (media_type: string): unknown => ({ type: "base64", media_type, data: "AQID" });
    const { system, messages, max_tokens } = server.sent[0]?.body ?? {};
    assert.deepEqual(system, [
      { type: "text", text: "Be brief." },
      { type: "text", text: "Be kind." },
    ]);
    assert.equal(max_tokens, 4096);
    assert.deepEqual(messages, [
      {
        role: "user",
        content: [
          { type: "text", text: "See" },
          { type: "image", source: source("image/gif") },
          { type: "image", source: { type: "url", url: "https://x.example/a.png" } },
          { type: "image", source: source("image/jpeg") },
          { type: "document", source: source("application/pdf"), cache_control: { type: "ephemeral", ttl: "1h" } },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "c2ln" },
          { type: "redacted_thinking", data: "ZGF0YQ==" },
          { type: "tool_use", id: "c1", name: "f", input: { b: 1, a: 2 } },
          { type: "tool_use", id: "c2", name: "g", input: { x: 1 } },
        ],
      },
      {
        role: "user",
        content: [
          {
            type: "tool_result",
            tool_use_id: "c1",
            content: [
              { type: "text", text: "one" },
              { type: "image", source: source("image/png") },
            ],
          },
          { type: "tool_result", tool_use_id: "c2", is_error: true, cache_control: { type: "ephemeral" } },
        ],
      },
    ]);
    for (const odd of [
      { type: "audio", mime_type: "audio/wav", data },
      { type: "tool_use", id: "c", name: "f", arguments: "{broken" },
    ] as const)
      assert.match(
        String((await endOf(provider.chat({ messages: [{ role: "Assistant", content: [odd] }] }))).payload["message"]),
        /"audio"|no JSON object/,
      );
  });

  it("keeps the cache marks of blocks, of system text and of tools", async () => {
    const cache_control = { type: "ephemeral" };
    const marked = { ...TOOL, cache_control };
    const system = ["first", { type: "text", text: "second", cache_control }];
    const body = await bodyOf({ system, cache_control }, [marked]);
    assert.deepEqual(body["system"], [{ type: "text", text: "first" }, system[1]]);
    assert.deepEqual(body["tools"], [{ name: "f", description: "d", input_schema: { type: "object", properties: {} }, cache_control }]);
    assert.deepEqual(body["cache_control"], cache_control);
    await using server = await vendorServer(json(ANSWER));
    await using provider = await loadShipped(KIT, server);
    const part = { type: "text", text: "x", cache_control } as Content;
    await provider.chat({ messages: [{ role: "User", content: [part] }] });
    assert.deepEqual(server.sent[0]?.body["messages"], [{ role: "user", content: [part] }]);
  });

  it("says its version and betas in headers", async () => {
    await using server = await vendorServer(json(ANSWER));
    await using provider = await loadShipped(KIT, server);
    await provider.chat(say("x"));
    await using other = await loadShipped(KIT, server, "/v1", { config: { version: "2030-01-01", betas: ["a-1", "b-2"] } });
    await other.chat(say("x"));
    const seen = server.sent.map(({ headers }) => [headers["anthropic-version"], headers["anthropic-beta"]]);
    assert.deepEqual(seen, [
      ["2023-06-01", undefined],
      ["2030-01-01", "a-1,b-2"],
    ]);
  });

  const bodies: readonly (readonly [what: string, config: Record<string, unknown>, wanted: Record<string, unknown>])[] = [
    ["system text", { system: "s" }, { system: "s" }],
    ["stops", { stop: "a" }, { stop_sequences: ["a"] }],
    ["a user", { user: "u" }, { metadata: { user_id: "u" } }],
    [
      "own metadata before the user, and of it what the server takes",
      { user: "u", metadata: { user_id: "m", a: "b" } },
      { metadata: { user_id: "m" } },
    ],
    ["no metadata of OpenAI's", { metadata: { a: "b" } }, { metadata: undefined }],
    ["its own service tiers", { service_tier: "standard_only" }, { service_tier: "standard_only" }],
    ["no service tier of OpenAI's", { service_tier: "flex" }, { service_tier: undefined }],
    [
      "an effort beside its own thinking",
      { reasoning_effort: "low", reasoning_budget_tokens: 2000, thinking: { type: "enabled", budget_tokens: 2000 } },
      { thinking: { type: "enabled", budget_tokens: 2000 }, output_config: { effort: "low" }, max_tokens: 4096 },
    ],
    ["a temperature that is too high", { temperature: 1.7 }, { temperature: 1 }],
    [
      "a schema",
      { json_schema: { name: "n", schema: { type: "object" } } },
      { output_config: { format: { type: "json_schema", schema: { type: "object" } } } },
    ],
    [
      "a schema in OpenAI's form",
      { response_format: { type: "json_schema", json_schema: { schema: { a: 1 } } } },
      { output_config: { format: { type: "json_schema", schema: { a: 1 } } } },
    ],
    ["tool_choice auto", { tool_choice: "auto" }, { tool_choice: { type: "auto" } }],
    ["tool_choice none", { tool_choice: "none", parallel_tool_calls: false }, { tool_choice: { type: "none" } }],
    ["tool_choice required", { tool_choice: "required" }, { tool_choice: { type: "any" } }],
    ["tool_choice of a function", { tool_choice: { type: "function", function: { name: "f" } } }, { tool_choice: { type: "tool", name: "f" } }],
    ["calls one by one", { parallel_tool_calls: false }, { tool_choice: { type: "auto", disable_parallel_tool_use: true } }],
    ["a budget", { reasoning_budget_tokens: 2000, max_tokens: 5000 }, { thinking: { type: "enabled", budget_tokens: 2000 }, max_tokens: 5000 }],
    [
      "a budget that is more than the limit",
      { reasoning_budget_tokens: 6000 },
      { thinking: { type: "enabled", budget_tokens: 6000 }, max_tokens: 10_096 },
    ],
    [
      "an effort for a model with budgets",
      { model: "claude-sonnet-4-5", reasoning_effort: "low" },
      { thinking: { type: "enabled", budget_tokens: 2048 } },
    ],
    [
      "an effort for a newer model",
      { model: "claude-opus-5-5", reasoning_effort: "max" },
      { thinking: { type: "adaptive" }, output_config: { effort: "max" } },
    ],
    ["own thinking before an effort", { reasoning_effort: "high", thinking: { type: "disabled" } }, { thinking: { type: "disabled" } }],
  ];
  for (const [what, config, wanted] of bodies)
    it(`sends ${what}`, async () => {
      const body = await bodyOf(config, [TOOL]);
      for (const [name, value] of Object.entries(wanted)) assert.deepEqual(body[name], value);
    });

  it("leaves thinking away where it cannot be, and what cannot be beside it", async () => {
    assert.equal((await bodyOf({ model: "claude-3-5-haiku", reasoning_effort: "high" }))["thinking"], undefined);
    assert.equal((await bodyOf({ reasoning_effort: "none" }))["thinking"], undefined);
    assert.equal((await bodyOf({ reasoning_effort: "high", tool_choice: "required" }, [TOOL]))["thinking"], undefined);
    const { thinking, temperature, top_k } = await bodyOf({ reasoning_effort: "high", temperature: 0.5, top_k: 5 });
    assert.deepEqual([thinking, temperature, top_k], [{ type: "adaptive" }, undefined, undefined]);
  });

  it("gives tools a schema where they have none, and passes the server's own on", async () => {
    const bare = { type: "function", function: { name: "f", description: "", parameters: null, strict: true } } as unknown as Tool;
    const server = { type: "web_search_20250305", name: "web_search", max_uses: 3 } as unknown as Tool;
    assert.deepEqual((await bodyOf({}, [bare, server]))["tools"], [
      { name: "f", input_schema: { properties: {}, type: "object" }, strict: true },
      server,
    ]);
    const { payload } = await endOf(bodyOf({}, [{ type: "function" } as unknown as Tool]));
    assert.equal(payload["type"], "invalid_request");
  });

  it("reads blocks in the order that they have, and those that it does not know not at all", async () => {
    const content = [
      { type: "thinking", thinking: "hm", signature: "c2ln" },
      { type: "text", text: "one " },
      { type: "server_tool_use", id: "s", name: "web_search", input: {} },
      { type: "web_search_tool_result", tool_use_id: "s", content: [] },
      { type: "text", text: "two" },
    ];
    const usage = {
      input_tokens: 5,
      cache_creation_input_tokens: 7,
      cache_read_input_tokens: null,
      output_tokens: 2,
      output_tokens_details: { thinking_tokens: 1 },
    };
    await using server = await vendorServer(json({ content, stop_reason: "pause_turn", usage }));
    await using provider = await loadShipped(KIT, server);
    const answer = await provider.chat(say("x"));
    assert.deepEqual([answer.text, answer.thinking, answer.finish_reason], ["one two", "hm", "Other"]);
    assert.deepEqual(answer.usage, { input_tokens: 12, output_tokens: 2, reasoning_tokens: 1, cache_read: 0, cache_write: 7 });
  });

  it("gives the signature of what was thought, if there is one for all of it", async () => {
    await using plugin = await loadGuest(KIT);
    const signatureOf = async (content: readonly object[]): Promise<unknown> => {
      const body = [...Buffer.from(JSON.stringify({ content, stop_reason: "end_turn" }))];
      const input = { cfg: {}, resp: { resp: { head: { status: 200, headers: {}, version: "HTTP/1.1" }, body } } };
      return ((await plugin.call("parse_chat_response", JSON.stringify(input))).json() as Record<string, unknown>)["thinking_signature"];
    };
    const one = { type: "thinking", thinking: "a", signature: "c2ln" };
    assert.equal(await signatureOf([one]), "c2ln");
    assert.equal(await signatureOf([{ type: "redacted_thinking", data: "ZGF0YQ==" }]), "redacted:ZGF0YQ==");
    assert.equal(await signatureOf([one, one]), undefined);
    assert.equal(await signatureOf([]), undefined);
  });

  it("streams thoughts with signatures, and those that are encrypted", async () => {
    const block = (index: number, start: object, ...deltas: object[]): { type: string }[] => [
      { type: "content_block_start", index, content_block: start } as { type: string },
      ...deltas.map((one) => ({ type: "content_block_delta", index, delta: one }) as { type: string }),
      { type: "content_block_stop", index } as { type: string },
    ];
    const text = sse(
      ...block(0, { type: "thinking", thinking: "" }, { type: "thinking_delta", thinking: "hm" }, { type: "signature_delta", signature: "c2ln" }),
      ...block(1, { type: "redacted_thinking", data: "ZGF0YQ==" }),
      ...block(2, { type: "text", text: "a" }, { type: "text_delta", text: "b" }, { type: "citations_delta", citation: {} }),
      ...block(3, { type: "tool_use", id: "c", name: "f", input: { whole: 1 } }),
      { type: "message_delta", delta: { stop_reason: "tool_use" } } as { type: string },
      { type: "content_from_the_future" },
      { type: "message_stop" },
    );
    await using server = await vendorServer(stream(text));
    await using provider = await loadShipped(KIT, server);
    const wanted: StreamChunk[] = [
      { thinking: "hm" },
      { thinking_signature: "c2ln" },
      { thinking_signature: "redacted:ZGF0YQ==" },
      { text: "a" },
      { text: "b" },
      { tool_use_start: { index: 0, id: "c", name: "f" } },
      { tool_use_input_delta: { index: 0, partial_json: '{"whole":1}' } },
      { tool_use_complete: { index: 0, tool_call: { id: "c", type: "function", function: { name: "f", arguments: '{"whole":1}' } } } },
      { done: { finish_reason: "ToolCalls" } },
    ];
    assert.deepEqual(await collect(provider.chatStream(say("x"))), wanted);
  });

  const errors: readonly (readonly [status: number, type: string, message: string, kind: string])[] = [
    [529, "overloaded_error", "Overloaded", "server_overloaded"],
    [400, "invalid_request_error", "prompt is too long: 213462 tokens > 200000 maximum", "context_window_exceeded"],
    [400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API", "quota_exceeded"],
    [402, "billing_error", "m", "quota_exceeded"],
    [500, "api_error", "m", "unknown_transient"],
    [504, "timeout_error", "m", "unknown_transient"],
    [404, "not_found_error", "model: x", "unknown_permanent"],
  ];
  for (const [status, type, message, kind] of errors)
    it(`says what ${type} with ${status} means: ${kind}`, async () => {
      await using server = await vendorServer(json({ type: "error", error: { type, message } }, status, { "request-id": "req_1" }));
      await using provider = await loadShipped(KIT, server);
      const { payload } = await endOf(provider.chat(say("x")));
      assert.deepEqual(payload, { type: "provider_error", message, kind, code: String(status), error_type: type, request_id: "req_1" });
    });

  it("gives the head of messages that are passed through, and of nothing else", async () => {
    await using plugin = await loadGuest(KIT);
    const pass = async (api: string, isStream: boolean, cfg: object): Promise<unknown> =>
      (await plugin.call("passthrough_request", JSON.stringify({ cfg, api, stream: isStream }))).json();
    assert.deepEqual(await pass("anthropic.messages", true, { api_key: "k", betas: ["a"] }), {
      req: {
        head: {
          method: "POST",
          uri: "https://api.anthropic.com/v1/messages",
          headers: {
            accept: "text/event-stream",
            "anthropic-beta": "a",
            "anthropic-version": "2023-06-01",
            "content-type": "application/json",
            "x-api-key": "k",
          },
          version: "HTTP/1.1",
        },
        body: [],
      },
    });
    for (const api of ["openai.chat", "openai.responses", "openai.embeddings"]) assert.equal(await pass(api, false, { api_key: "k" }), null);
  });

  it("has no embeddings, and says so", async () => {
    await using server = await vendorServer(json({}));
    await using provider = await loadShipped(KIT, server);
    assert.partialDeepStrictEqual(await endOf(provider.embed(["x"])), { payload: { type: "not_implemented" }, retryable: false });
  });
});
