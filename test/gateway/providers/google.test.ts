// What the provider for Gemini does beyond what all do.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Content, Tool } from "mortise";
import { collect, endOf, json, loadGuest, loadShipped, say, stream, vendorServer } from "./vendor-server.ts";

const KIT = "provider-google";
const PATH = "/v1beta";
const ANSWER = { candidates: [{ content: { parts: [{ text: "ok" }] }, finishReason: "STOP" }] };

const tool = (parameters: unknown): Tool => ({ type: "function", function: { name: "f", description: "d", parameters } });

async function bodyOf(config: Readonly<Record<string, unknown>>, tools: readonly Tool[] = []): Promise<Record<string, unknown>> {
  await using server = await vendorServer(json(ANSWER));
  await using provider = await loadShipped(KIT, server, PATH);
  await provider.chat(say("x", { config, tools }));
  assert.deepEqual(provider.report.droppedKeys, []);
  return server.sent[0]?.body ?? {};
}

async function schemaOf(schema: unknown): Promise<unknown> {
  const { generationConfig } = await bodyOf({ json_schema: { name: "n", schema } });
  return (generationConfig as Record<string, unknown>)["responseSchema"];
}

describe("The provider for Gemini", () => {
  it("writes the parts that the wire has, those of one side in one turn", async () => {
    await using server = await vendorServer(json(ANSWER));
    await using provider = await loadShipped(KIT, server, PATH, { config: { system: ["Be brief."] } });
    const data = Uint8Array.of(1, 2, 3);
    const content: readonly Content[] = [
      { type: "text", text: "" },
      { type: "text", text: "See" },
      { type: "image", mime_type: "image/png", data },
      { type: "image_url", url: "https://x.example/a.WEBP?size=1" },
      { type: "image_url", url: "data:image/gif;base64,AQID" },
      { type: "pdf", data },
      { type: "audio", mime_type: "audio/ogg", data },
    ];
    await provider.chat({
      messages: [
        { role: "User", content },
        {
          role: "Assistant",
          content: [
            { type: "thinking", text: "hm", signature: "google:c2ln" },
            { type: "text", text: "Well" },
            { type: "tool_use", id: "c1", name: "f", arguments: { b: 1, a: 2 } },
            { type: "tool_use", id: "c2", name: "g", arguments: null },
          ],
        },
        { role: "User", content: [{ type: "tool_result", id: "c1", is_error: false, content: [{ type: "text", text: '{"rain":true}' }] }] },
        {
          role: "User",
          content: [
            {
              type: "tool_result",
              id: "c2",
              is_error: true,
              content: [
                { type: "text", text: "broken" },
                { type: "image", mime_type: "image/png", data },
              ],
            },
            { type: "tool_result", id: "c3", name: "h", is_error: false, content: [{ type: "text", text: "[1]" }] },
          ],
        },
      ],
    });
    const inline = (mimeType: string): unknown => ({ inlineData: { mimeType, data: "AQID" } });
    assert.deepEqual(server.sent[0]?.body, {
      contents: [
        {
          role: "user",
          parts: [
            { text: "See" },
            inline("image/png"),
            { fileData: { mimeType: "image/webp", fileUri: "https://x.example/a.WEBP?size=1" } },
            inline("image/gif"),
            inline("application/pdf"),
            inline("audio/ogg"),
          ],
        },
        {
          role: "model",
          parts: [
            { text: "Well" },
            { functionCall: { name: "f", args: { b: 1, a: 2 } }, thoughtSignature: "c2ln" },
            { functionCall: { name: "g", args: {} } },
          ],
        },
        {
          role: "user",
          parts: [
            { functionResponse: { name: "f", response: { rain: true } } },
            { functionResponse: { name: "g", response: { error: "broken" } } },
            { functionResponse: { name: "h", response: { output: "[1]" } } },
            inline("image/png"),
          ],
        },
      ],
      systemInstruction: { parts: [{ text: "Be brief." }] },
    });
    const stray: Content = { type: "tool_result", id: "c9", is_error: false, content: [] };
    assert.match(String((await endOf(provider.chat({ messages: [{ role: "User", content: [stray] }] }))).payload["message"]), /belongs to no call/);
  });

  it("tells Gemini 3 not to look for signatures of calls that another model made, and takes no other server's", async () => {
    await using server = await vendorServer(json(ANSWER));
    await using provider = await loadShipped(KIT, server, PATH);
    const use = (id: string): Content => ({ type: "tool_use", id, name: "f", arguments: {} });
    const content: readonly Content[] = [{ type: "thinking", text: "hm", signature: "c2ln" }, use("a"), use("b")];
    for (const model of ["gemini-3-pro-preview", "models/gemini-3.8-flash", "gemini-2.5-flash", "gemma-3"])
      await provider.chat({ messages: [{ role: "Assistant", content }], config: { model } });
    const signatures = server.sent.map(({ body }) =>
      (body["contents"] as { parts: { thoughtSignature?: string }[] }[])[0]?.parts.map(({ thoughtSignature }) => thoughtSignature),
    );
    const skip = ["skip_thought_signature_validator", undefined];
    const none = [undefined, undefined];
    assert.deepEqual(signatures, [skip, skip, none, none]);
  });

  it("names the model in the path", async () => {
    await using server = await vendorServer(json(ANSWER));
    await using provider = await loadShipped(KIT, server, PATH);
    for (const model of ["tunedModels/mine", "models/a", "a b?c#d%"]) await provider.chat(say("x", { config: { model } }));
    assert.deepEqual(
      server.sent.map(({ path }) => path),
      ["/v1beta/tunedModels/mine:generateContent", "/v1beta/models/a:generateContent", "/v1beta/models/a%20b%3Fc%23d%25:generateContent"],
    );
  });

  const configs: readonly (readonly [what: string, config: Record<string, unknown>, wanted: Record<string, unknown> | undefined])[] = [
    [
      "parameters by its own names",
      { temperature: 0.5, top_p: 0.9, top_k: 3, seed: 1, presence_penalty: 0.1, frequency_penalty: 0.2, max_tokens: 9, stop: "a" },
      { temperature: 0.5, topP: 0.9, topK: 3, seed: 1, presencePenalty: 0.1, frequencyPenalty: 0.2, maxOutputTokens: 9, stopSequences: ["a"] },
    ],
    ["nothing", {}, undefined],
    ["JSON without a schema", { response_format: { type: "json_object" } }, { responseMimeType: "application/json" }],
    ["further fields", { generation_config: { candidateCount: 1 }, seed: 1 }, { seed: 1, candidateCount: 1 }],
    ["a budget", { reasoning_budget_tokens: 500 }, { thinkingConfig: { thinkingBudget: 500, includeThoughts: true } }],
    [
      "an effort as a budget",
      { model: "gemini-2.5-pro", reasoning_effort: "medium" },
      { thinkingConfig: { thinkingBudget: 8192, includeThoughts: true } },
    ],
    [
      "an effort as a level",
      { model: "gemini-3-pro", reasoning_effort: "xhigh" },
      { thinkingConfig: { thinkingLevel: "high", includeThoughts: true } },
    ],
    ["no thinking", { model: "gemini-2.5-flash", reasoning_effort: "none" }, { thinkingConfig: { thinkingBudget: 0 } }],
    ["thoughts that are not told", { reasoning_effort: "low", include_thoughts: false }, { thinkingConfig: { thinkingBudget: 1024 } }],
  ];
  for (const [what, config, wanted] of configs)
    it(`sends ${what}`, async () => {
      assert.deepEqual((await bodyOf(config))["generationConfig"], wanted);
    });

  it("sends settings for safety and what is cached", async () => {
    const safety_settings = [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_NONE" }];
    const body = await bodyOf({ safety_settings, cached_content: "cachedContents/1" });
    assert.deepEqual([body["safetySettings"], body["cachedContent"]], [safety_settings, "cachedContents/1"]);
  });

  for (const [choice, wanted] of [
    ["auto", { mode: "AUTO" }],
    ["none", { mode: "NONE" }],
    ["required", { mode: "ANY" }],
    [
      { type: "function", function: { name: "f" } },
      { mode: "ANY", allowedFunctionNames: ["f"] },
    ],
  ] as const)
    it(`sends the choice of tools ${JSON.stringify(choice)}`, async () => {
      assert.deepEqual((await bodyOf({ tool_choice: choice }, [tool({})]))["toolConfig"], { functionCallingConfig: wanted });
    });

  it("declares functions with the part of their schema that the server takes", async () => {
    const schema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      additionalProperties: false,
      required: ["town"],
      properties: {
        town: { type: ["string", "null"], minLength: 1, format: "hostname", default: "x" },
        when: { type: "string", format: "date-time" },
        kind: { const: "a" },
        level: { type: "integer", enum: [1, 2], minimum: 1, exclusiveMinimum: 0 },
        either: { anyOf: [{ type: "string" }, { type: "null" }] },
        both: { oneOf: [{ type: "string" }, { type: "number" }] },
        sum: {
          allOf: [
            { type: "object", properties: { a: {} }, required: ["a"] },
            { properties: { b: {} }, required: ["b"] },
          ],
        },
        list: { type: "array", items: { $ref: "#/$defs/Item" }, uniqueItems: true },
        any: true,
        lost: { $ref: "https://elsewhere.example/x" },
      },
      $defs: { Item: { type: "object", properties: { next: { $ref: "#/$defs/Item" }, n: { type: "number" } } } },
    };
    const wanted = {
      type: "object",
      required: ["town"],
      properties: {
        town: { nullable: true, type: "string", minLength: 1 },
        when: { type: "string", format: "date-time" },
        kind: { enum: ["a"] },
        level: { type: "integer", minimum: 1 },
        either: { nullable: true, type: "string" },
        both: { anyOf: [{ type: "string" }, { type: "number" }] },
        sum: { type: "object", properties: { a: {}, b: {} }, required: ["a", "b"] },
        list: { type: "array", items: { type: "object", properties: { next: {}, n: { type: "number" } } } },
        any: {},
        lost: {},
      },
    };
    const { tools } = await bodyOf({}, [tool(schema), tool({ type: "object", properties: {} }), tool(null)]);
    assert.deepEqual(tools, [
      {
        functionDeclarations: [
          { name: "f", description: "d", parameters: wanted },
          { name: "f", description: "d" },
          { name: "f", description: "d" },
        ],
      },
    ]);
    assert.deepEqual(await schemaOf(schema), wanted);
  });

  it("bounds what a schema with references comes to", async () => {
    const $defs: Record<string, unknown> = { d40: { type: "string" } };
    for (let level = 0; level < 40; level++) {
      const $ref = `#/$defs/d${level + 1}`;
      $defs[`d${level}`] = { type: "object", properties: { a: { $ref }, b: { $ref } } };
    }
    const made = JSON.stringify(await schemaOf({ $ref: "#/$defs/d0", $defs }));
    assert.ok(made.length > 1000 && made.length < 300_000, String(made.length));
    let deep: unknown = { type: "string" };
    for (let level = 0; level < 100; level++) deep = { type: "array", items: deep };
    assert.ok(JSON.stringify(await schemaOf(deep)).length < 2000);
  });

  it("tells a prompt that was blocked as an end by a filter, in answers and streams", async () => {
    const blocked = { promptFeedback: { blockReason: "SAFETY" }, usageMetadata: { promptTokenCount: 4 } };
    await using server = await vendorServer((response, sent) =>
      (sent.path.includes("stream") ? stream(`data: ${JSON.stringify(blocked)}\n\n`) : json(blocked))(response, sent),
    );
    await using provider = await loadShipped(KIT, server, PATH);
    const usage = { input_tokens: 4, output_tokens: 0, reasoning_tokens: 0, cache_read: 0, cache_write: 0 };
    assert.deepEqual(await provider.chat(say("x")), { text: null, tool_calls: null, thinking: null, usage, finish_reason: "ContentFilter" });
    assert.deepEqual(await collect(provider.chatStream(say("x"))), [{ usage }, { done: { finish_reason: "ContentFilter" } }]);
  });

  for (const [reason, wanted] of [
    ["RECITATION", "ContentFilter"],
    ["PROHIBITED_CONTENT", "ContentFilter"],
    ["IMAGE_SAFETY", "ContentFilter"],
    ["MALFORMED_FUNCTION_CALL", "Error"],
    ["OTHER", "Other"],
    ["FINISH_REASON_UNSPECIFIED", "Unknown"],
  ])
    it(`tells the end ${reason} as ${wanted}`, async () => {
      await using server = await vendorServer(json({ candidates: [{ finishReason: reason }] }));
      await using provider = await loadShipped(KIT, server, PATH);
      assert.deepEqual([(await provider.chat(say("x"))).finish_reason], [wanted]);
    });

  it("makes ids of calls that differ from answer to answer, and keeps those that the server has", async () => {
    const call = (name: string, id?: string): object => ({
      functionCall: { name, args: {}, ...(id !== undefined && { id }) },
      thoughtSignature: `${name}=`,
    });
    const parts = [call("f"), call("g", "own"), call("h")];
    const answer = (responseId: string): object => ({ candidates: [{ content: { parts }, finishReason: "STOP" }], responseId });
    await using server = await vendorServer((response, sent) =>
      (sent.path.includes("stream") ? stream(`data: ${JSON.stringify(answer("r2"))}\n\n`) : json(answer("r1")))(response, sent),
    );
    await using provider = await loadShipped(KIT, server, PATH);
    assert.deepEqual(
      (await provider.chat(say("x"))).tool_calls?.map(({ id }) => id),
      ["call_r1_0", "own", "call_r1_2"],
    );
    const chunks = await collect(provider.chatStream(say("x")));
    assert.deepEqual(chunks.slice(0, 4), [
      { thinking_signature: "google:f=" },
      { tool_use_start: { index: 0, id: "call_r2_0", name: "f" } },
      { tool_use_input_delta: { index: 0, partial_json: "{}" } },
      { tool_use_complete: { index: 0, tool_call: { id: "call_r2_0", type: "function", function: { name: "f", arguments: "{}" } } } },
    ]);
  });

  const errors: readonly (readonly [status: number, error: Record<string, unknown>, wanted: Record<string, unknown>])[] = [
    [
      429,
      {
        status: "RESOURCE_EXHAUSTED",
        details: [
          { "@type": "type.googleapis.com/google.rpc.QuotaFailure" },
          { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "21.4s" },
        ],
      },
      { kind: "rate_limited", code: "RESOURCE_EXHAUSTED", retry_after_secs: 22 },
    ],
    [
      400,
      { status: "INVALID_ARGUMENT", details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID" }] },
      { kind: "authentication", code: "API_KEY_INVALID" },
    ],
    [
      400,
      { status: "INVALID_ARGUMENT", message: "The input token count (9) exceeds the maximum number of tokens allowed (8)." },
      { kind: "context_window_exceeded" },
    ],
    [504, { status: "DEADLINE_EXCEEDED" }, { kind: "unknown_transient", code: "504" }],
    [404, { status: "NOT_FOUND" }, { kind: "unknown_permanent", code: "404", error_type: "NOT_FOUND" }],
    [501, { status: "UNIMPLEMENTED" }, { kind: "unsupported_operation" }],
  ];
  for (const [status, error, wanted] of errors)
    it(`says what ${String(error["status"])} with ${status} means: ${String(wanted["kind"])}`, async () => {
      const body = { error: { code: status, message: "m", ...error } };
      for (const form of [body, [body]]) {
        await using server = await vendorServer(json(form, status));
        await using provider = await loadShipped(KIT, server, PATH);
        assert.partialDeepStrictEqual((await endOf(provider.chat(say("x")))).payload, { type: "provider_error", ...wanted });
      }
    });

  it("embeds many texts at once", async () => {
    await using server = await vendorServer(json({ embeddings: [{ values: [1, 2] }, { values: [3, 4.5] }] }));
    await using provider = await loadShipped(KIT, server, PATH, { config: { model: "embedder", dimensions: 2, task_type: "CLUSTERING" } });
    assert.deepEqual(await provider.embed(["a", "b"]), [
      [1, 2],
      [3, 4.5],
    ]);
    const one = (text: string): unknown => ({
      model: "models/embedder",
      content: { parts: [{ text }] },
      outputDimensionality: 2,
      taskType: "CLUSTERING",
    });
    assert.deepEqual(
      [server.sent[0]?.path, server.sent[0]?.body],
      ["/v1beta/models/embedder:batchEmbedContents", { requests: [one("a"), one("b")] }],
    );
  });

  it("passes no client's interface through", async () => {
    await using plugin = await loadGuest(KIT);
    assert.equal(plugin.has("passthrough_request"), false);
  });
});
