// The JSON of an LLM gateway's hooks, as Bifrost's plugins speak it: every form of message and of answer.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { HttpRequest, HttpResponse, LlmRequest, LlmResult } from "../../../src/hooks/standard/bifrost-types.ts";
import { standardHooks } from "../../../src/hooks/standard/standard-hooks.ts";
import { createHost } from "../../../src/manager/create-host.ts";
import { guest } from "../guests.ts";
import { bracketed, decided, request, sent } from "./speak.ts";

const { http, httpStreamChunk, llm } = standardHooks;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const OUTPUT = "MORTISE_HOOK_OUTPUT";
const FAILED = "MORTISE_GUEST_ERROR";

const POST: HttpRequest = { method: "POST", path: "/v1/chat", headers: { "Content-Type": "text/plain" }, query: { a: "1" }, body: bytes("hi") };
const POST_JSON = '{"method":"POST","path":"/v1/chat","headers":{"Content-Type":"text/plain"},"query":{"a":"1"},"body":"aGk="}';
const OK: HttpResponse = { status_code: 200, headers: { x: "y" }, body: null };
const CHAT: LlmRequest = { provider: "openai", model: "gpt", input: [{ role: "user", content: "hi" }], params: { temperature: 0 } };
const CHAT_JSON = '"provider":"openai","model":"gpt","input":[{"role":"user","content":"hi"}],"params":{"temperature":0}';
const REPLY = { id: "1", choices: [{ index: 0 }] };
const REPLY_JSON = '{"id":"1","choices":[{"index":0}]}';

describe("Messages to plugins of a gateway", () => {
  const context = '"context":{"request_id":"r-1"}';
  const llmEnd = (ending: LlmResult): string => sent(llm().postWire, { input: CHAT, ending: { ok: true, output: ending } });
  const thrown = (error: unknown): string => sent(llm().postWire, { input: CHAT, ending: { ok: false, error, final: false } });
  const cases: readonly (readonly [name: string, message: string, json: string])[] = [
    ["http_pre_hook", sent(http().wire, POST), `{${context},"request":${POST_JSON}}`],
    [
      "http_pre_hook, without a body and with path parameters",
      sent(http().wire, { ...POST, body: null, path_params: { id: "5" } }),
      `{${context},"request":${POST_JSON.replace('"aGk="}', 'null,"path_params":{"id":"5"}}')}}`,
    ],
    [
      "http_post_hook",
      sent(http().postWire, { input: POST, ending: { ok: true, output: { ...OK, body: bytes("{}") } } }),
      `{${context},"request":${POST_JSON},"response":{"status_code":200,"headers":{"x":"y"},"body":"e30="}}`,
    ],
    [
      "http_post_hook, where there was no response",
      sent(http().postWire, { input: POST, ending: { ok: false, error: new Error("x"), final: false } }),
      `{${context},"request":${POST_JSON},"response":null}`,
    ],
    [
      "http_stream_chunk_hook",
      sent(httpStreamChunk().wire, { request: POST, chunk: { id: "1" } }),
      `{${context},"request":${POST_JSON},"chunk":{"id":"1"}}`,
    ],
    [
      "pre_hook, in all spellings",
      sent(llm().wire, CHAT),
      `{${context},"request":{${CHAT_JSON},"request_type":"chat_completion","chat_request":{${CHAT_JSON}},"RequestType":"chat_completion","ChatRequest":{${CHAT_JSON}}}}`,
    ],
    ["pre_hook, flat", sent(llm({ spelling: "flat" }).wire, CHAT), `{${context},"request":{${CHAT_JSON},"request_type":"chat_completion"}}`],
    [
      "pre_hook, in an envelope",
      sent(llm({ spelling: "snake" }).wire, CHAT),
      `{${context},"request":{"request_type":"chat_completion","chat_request":{${CHAT_JSON}}}}`,
    ],
    [
      "pre_hook, as Go has it",
      sent(llm({ spelling: "go" }).wire, CHAT),
      `{${context},"request":{"RequestType":"chat_completion","ChatRequest":{${CHAT_JSON}}}}`,
    ],
    [
      "pre_hook, of a kind without an envelope",
      sent(llm({ spelling: "go" }).wire, { request_type: "rerank", provider: "p", model: "m", input: "i", fallbacks: [] }),
      `{${context},"request":{"provider":"p","model":"m","input":"i","fallbacks":[],"request_type":"rerank"}}`,
    ],
    [
      "pre_hook, of other kinds",
      sent(llm({ spelling: "snake" }).wire, { request_type: "embedding", provider: "p", model: "m", input: "i" }),
      `{${context},"request":{"request_type":"embedding","embedding_request":{"provider":"p","model":"m","input":"i"}}}`,
    ],
    [
      "post_hook",
      llmEnd({ response: REPLY }),
      `{${context},"response":{"chat_response":${REPLY_JSON},"ChatResponse":${REPLY_JSON}},"error":{},"has_error":false}`,
    ],
    [
      "post_hook, with an error",
      llmEnd({ error: { status_code: 429, error: { message: "slow down", type: "rate" } } }),
      `{${context},"response":null,"error":{"status_code":429,"error":{"message":"slow down","type":"rate"}},"has_error":true}`,
    ],
    [
      "post_hook, with an error of the gateway",
      thrown(new Error("no")),
      `{${context},"response":null,"error":{"is_bifrost_error":true,"error":{"message":"no"}},"has_error":true}`,
    ],
  ];
  for (const [name, message, json] of cases) {
    it(`have the JSON that they know: ${name}`, () => {
      assert.equal(message, json);
      JSON.parse(message);
    });
  }

  it("have the attributes of the request in their context", () => {
    const { context: found } = JSON.parse(sent(llm().wire, CHAT, { tenant: "t", request_id: "forged", "x-bf-vk": "key" })) as { context: object };
    assert.deepEqual(found, { request_id: "r-1", tenant: "t", "x-bf-vk": "key" });
    assert.deepEqual(JSON.parse(sent(llm().wire, CHAT, { request_id: "forged" })).context, { request_id: "r-1" });
  });

  it("go to the functions that they know, in all generations", async () => {
    await using host = await createHost({ hooks: { http: http(), chunk: httpStreamChunk(), llm: llm() } });
    const hooksOf = async (name: string): Promise<readonly string[]> => {
      await host.plugins.load(await guest({ [name]: "" }), { name: "p" });
      const hooks = host.plugins.list()[0]?.hooks ?? [];
      await host.plugins.unload("p");
      return hooks;
    };
    for (const name of ["http_pre_hook", "http_intercept", "http_transport_intercept", "http_post_hook"])
      assert.deepEqual(await hooksOf(name), ["http"], name);
    assert.deepEqual(await hooksOf("http_stream_chunk_hook"), ["chunk"]);
    for (const name of ["pre_hook", "post_hook"]) assert.deepEqual(await hooksOf(name), ["llm"], name);
  });
});

describe("Answers of http_pre_hook", () => {
  const seen = (input: HttpRequest): HttpResponse => ({
    ...OK,
    headers: { saw: JSON.stringify({ ...input, body: input.body && Buffer.from(input.body).toString() }) },
  });
  /** The request that is done in the end, or the response that the plugin gave, or the code of the failure. */
  const run = async (pre: unknown): Promise<unknown> => {
    const result = await bracketed(http(), { input: POST, pre, work: seen });
    if (typeof result === "string") return result;
    const { saw } = (result as HttpResponse).headers;
    return saw === undefined ? result : JSON.parse(saw);
  };
  const same = { ...POST, body: "hi" };

  const cases: readonly (readonly [output: unknown, result: unknown])[] = [
    ["", same],
    ["null", same],
    ["{}", same],
    ["{ }", same],
    [{ context: null, request: null, response: null, has_response: false, error: "" }, same],
    [{ context: {}, request: {} }, same],
    [{ request: { method: "POST", path: "/v1/chat", headers: null, query: null, body: null } }, same],
    [{ request: JSON.parse(POST_JSON) as unknown, has_response: false, response: { status_code: 0, headers: null, body: null } }, same],
    [{ request: { body: "Ynll" } }, { ...same, body: "bye" }],
    [{ request: { headers: { "content-type": "a/b", "X-New": "1" } } }, { ...same, headers: { "Content-Type": "a/b", "X-New": "1" } }],
    [{ request: { headers: {}, query: { b: "2" } } }, { ...same, query: { a: "1", b: "2" } }],
    [{ request: { method: "PUT", path: "/other" } }, { ...same, method: "PUT", path: "/other" }],
    [
      { request: null, response: { status_code: 403, headers: { a: "b" }, body: "bm8=" }, has_response: true },
      { status_code: 403, headers: { a: "b" }, body: Uint8Array.from(bytes("no")) },
    ],
    [{ response: { status_code: 429, headers: null, body: null } }, { status_code: 429, headers: {}, body: null }],
    [
      { Has_Response: true, Response: { status_code: 403 } },
      { status_code: 403, headers: {}, body: null },
    ],
    [{ has_response: true, response: null }, OUTPUT],
    [{ has_response: false, response: { status_code: 403 } }, OUTPUT],
    [{ request: null, hasResponse: true }, OUTPUT],
    [{ response: null, Response: { status_code: 403 } }, OUTPUT],
    [{ request: null, action: "reject", reason: "no" }, OUTPUT],
    [{ kind: "block" }, OUTPUT],
    [{ verdict: "block" }, OUTPUT],
    [{ request: null, "x-extra": 1 }, same],
    [{ request: { headers: { a: "1\u0001" } } }, OUTPUT],
    [{ request: { headers: { a: "\u20ac" } } }, OUTPUT],
    [{ has_response: true, response: { status_code: 99 } }, OUTPUT],
    [{ has_response: true, response: { status_code: "200" } }, OUTPUT],
    [{ has_response: "yes" }, OUTPUT],
    [{ request: "x" }, OUTPUT],
    [{ request: { body: "no base64!" } }, OUTPUT],
    [{ request: { body: 5 } }, OUTPUT],
    [{ request: { headers: { a: "1\r\nx: 2" } } }, OUTPUT],
    [{ request: { headers: { "a:": "1" } } }, OUTPUT],
    [{ request: { headers: { a: 1 } } }, OUTPUT],
    [{ request: { method: "GET /x" } }, OUTPUT],
    [{ request: { path: "/a b" } }, OUTPUT],
    [{ response: { status_code: 200, headers: { "a\n": "b" } } }, OUTPUT],
    [{ context: 5 }, OUTPUT],
    [{ error: 5 }, OUTPUT],
    ["[]", OUTPUT],
    [{ request: null, response: null, error: "I cannot" }, FAILED],
  ];
  for (const [output, result] of cases) {
    it(`are understood: ${JSON.stringify(output).slice(0, 90)}`, async () => {
      const found = await run(output);
      assert.deepEqual(found, result);
    });
  }

  it("may change the context: what is new or different is written, what belongs to the gateway is dropped", async () => {
    const context = request({ tenant: "t", old: "o", gone: "g" });
    const pre = {
      context: {
        request_id: "other",
        "request-id": "x",
        "x-bf-vk": "v",
        "bifrost-selected-key-id": "k",
        tenant: "t",
        n: 5,
        o: { a: [1] },
        gone: null,
        none: null,
        text: "x",
      },
    };
    await bracketed(http(), { input: POST, pre, work: () => OK }, context);
    assert.deepEqual(Object.fromEntries(context.attributes), { tenant: "t", old: "o", n: "5", o: '{"a":[1]}', text: "x" });
    assert.equal(context.id, "r-1");
  });

  it("may echo the context without any permission, and not change it", async () => {
    await using host = await createHost({ hooks: { http: http() } });
    const permissions = { attributes: { read: ["tenant"] } };
    const run2 = async (tenant: string): Promise<unknown> => {
      await host.plugins.load(await guest({ http_pre_hook: JSON.stringify({ context: { request_id: "r-1", tenant } }) }), {
        name: "p",
        replace: true,
        permissions,
      });
      return host.hooks.http(POST, () => OK, { request: request({ tenant: "t" }) });
    };
    assert.equal(await run2("t"), OK);
    await assert.rejects(run2("u"), { code: "MORTISE_HOOK_FAILED", message: /writing attribute "tenant"/ });
  });
});

describe("Answers of http_post_hook", () => {
  it("change nothing but the context, and may be failures", async () => {
    const context = request();
    const run = (post: unknown): Promise<unknown> => bracketed(http(), { input: POST, post, work: () => OK }, context);
    assert.equal(await run({ context: { seen: "1" }, response: { status_code: 500 }, error: "" }), OK);
    assert.equal(context.attributes.get("seen"), "1");
    assert.equal(await run({ error: "I cannot" }), FAILED);
    assert.equal(await run("nonsense"), OUTPUT);
  });
});

describe("Answers of http_stream_chunk_hook", () => {
  const given = { request: POST, chunk: { id: "1", choices: [] } };
  const other = { id: "2" };
  const same = { action: "continue", value: given };
  const replaced = { action: "replace", value: { request: POST, chunk: other }, plugins: ["p"] };
  const cases: readonly (readonly [output: unknown, decision: unknown])[] = [
    ["", same],
    ["{}", same],
    [{ chunk: { choices: [], id: "1" }, has_chunk: true, skip: false, error: "" }, same],
    [{ context: {}, skip: false }, same],
    [{ chunk: null }, OUTPUT],
    [{ chunk: {}, skip: false }, OUTPUT],
    [{ chunk: other, has_chunk: true, skip: false }, replaced],
    [{ chunk: other }, replaced],
    [{ chunk: Buffer.from(JSON.stringify(other)).toString("base64"), has_chunk: true }, replaced],
    [
      { chunk: null, has_chunk: false, skip: true },
      { action: "answer", value: null, plugin: "p" },
    ],
    [{ skip: true }, { action: "answer", value: null, plugin: "p" }],
    [
      { chunk: null, has_chunk: false, skip: false, error: "stop it" },
      { action: "reject", reason: "stop it", plugin: "p" },
    ],
    [{ chunk: other, has_chunk: true, error: "a warning" }, FAILED],
    [{ chunk: null, has_chunk: true }, OUTPUT],
    [{ chunk: null, has_chunk: false, skip: false }, OUTPUT],
    [{ chunk: other, has_chunk: true, skip: true }, OUTPUT],
    [{ chunk: other, has_chunk: false }, OUTPUT],
    [{ chunk: [] }, OUTPUT],
    [{ chunk: "e30" }, OUTPUT],
    [{ chunk: "WzFd" }, OUTPUT],
    [{ chunk: Buffer.from('{"__proto__":{"a":1}}').toString("base64") }, OUTPUT],
  ];
  for (const [output, decision] of cases) {
    it(`are understood: ${JSON.stringify(output)}`, async () => {
      assert.deepEqual(await decided(httpStreamChunk(), given, output), decision);
    });
  }

  it("are asked for in the reverse order", async () => {
    await using host = await createHost({ hooks: { chunk: httpStreamChunk(), http: http() } });
    for (const name of ["a", "b", "c"]) await host.plugins.load(await guest({ http_stream_chunk_hook: "", http_pre_hook: "" }), { name });
    assert.deepEqual(
      [host.hooks.chunk.plugins, host.hooks.http.plugins],
      [
        ["c", "b", "a"],
        ["a", "b", "c"],
      ],
    );
  });
});

describe("Answers of pre_hook", () => {
  const run = async (pre: unknown): Promise<unknown> => {
    const result = await bracketed(llm(), { input: CHAT, pre, work: (input) => ({ response: { saw: input } }) });
    return typeof result === "object" && result !== null && "response" in result && "saw" in (result.response as object)
      ? (result.response as { saw: unknown }).saw
      : result;
  };
  const all = JSON.parse(sent(llm().wire, CHAT)) as { request: Record<string, unknown> };
  const small = { ...CHAT, model: "small" };
  const cases: readonly (readonly [what: string, output: unknown, result: unknown])[] = [
    ["null", { request: null, short_circuit: null, has_short_circuit: false, error: "" }, CHAT],
    ["{}", { request: {}, short_circuit: {} }, CHAT],
    ["the request as it was, in all spellings", all, CHAT],
    [
      "as Go writes what it did not change",
      { request: { RequestType: "chat_completion", ChatRequest: { ...CHAT, fallbacks: null }, TextCompletionRequest: null } },
      CHAT,
    ],
    ["the flat spelling", { request: { ...all.request, model: "small" } }, small],
    ["the envelope", { request: { ...all.request, chat_request: small } }, small],
    ["Go's spelling", { request: { ...all.request, ChatRequest: small } }, small],
    ["the envelope alone, with a field alone", { request: { chat_request: { model: "small" } } }, small],
    ["Go's spelling before the others", { request: { ...small, model: "flat", ChatRequest: small, chat_request: { model: "envelope" } } }, small],
    ["another input", { request: { input: "x", params: { n: 2 } } }, { ...CHAT, input: "x", params: { n: 2 } }],
    ["a response", { has_short_circuit: true, short_circuit: { response: { chat_response: REPLY } } }, { response: REPLY }],
    [
      "a response, as Go has it",
      { has_short_circuit: true, short_circuit: { Response: { ChatResponse: REPLY, TextCompletionResponse: null }, Error: null } },
      { response: REPLY },
    ],
    ["a response without a flag", { short_circuit: { response: REPLY } }, { response: REPLY }],
    [
      "an error",
      { has_short_circuit: true, short_circuit: { error: { error: { message: "no" }, allow_fallbacks: false } } },
      { error: { error: { message: "no" }, allow_fallbacks: false } },
    ],
    [
      "an error, as Go has it",
      { has_short_circuit: true, short_circuit: { Response: null, Error: { type: null, status_code: 403, error: { message: "no" } } } },
      { error: { status_code: 403, error: { message: "no" } } },
    ],
    ["a flag that says no", { has_short_circuit: false, short_circuit: { response: null, error: null } }, CHAT],
    ["a flag that says no to what is there", { has_short_circuit: false, short_circuit: { error: { error: { message: "no" } } } }, OUTPUT],
    ["fields in Go's spelling", { Has_Short_Circuit: true, Short_Circuit: { Response: REPLY } }, { response: REPLY }],
    ["a field in no spelling", { context: {}, shortCircuit: { error: { error: { message: "no" } } } }, OUTPUT],
    ["the answer of another hook", { context: {}, action: "reject", reason: "no" }, OUTPUT],
    ["a flag and nothing else", { has_short_circuit: true }, OUTPUT],
    ["a short circuit with neither", { has_short_circuit: true, short_circuit: { response: {}, error: {} } }, OUTPUT],
    ["an error without a message", { has_short_circuit: true, short_circuit: { error: { status_code: 400 } } }, OUTPUT],
    ["a status that is none", { has_short_circuit: true, short_circuit: { error: { status_code: 200, error: { message: "x" } } } }, OUTPUT],
    ["a request that is no object", { request: [] }, OUTPUT],
    ["an envelope that is no object", { request: { ChatRequest: "x" } }, OUTPUT],
    ["a model that is no text", { request: { model: 5 } }, OUTPUT],
    ["a failure", { request: null, error: "I cannot" }, FAILED],
  ];
  for (const [what, output, result] of cases) {
    it(`are understood: ${what}`, async () => {
      assert.deepEqual(await run(output), result);
    });
  }
});

describe("Answers of post_hook", () => {
  const error: LlmResult = { error: { status_code: 429, error: { message: "slow down" } } };
  const ok: LlmResult = { response: REPLY };
  const changed = { id: "2" };
  const cases: readonly (readonly [what: string, given: LlmResult, output: unknown, result: unknown])[] = [
    ["nothing", ok, "", ok],
    ["null", error, "null", error],
    ["the same", ok, { response: { chat_response: REPLY, ChatResponse: REPLY }, error: {}, has_error: false, hook_error: "" }, ok],
    ["the same error", error, { response: null, error: error.error, has_error: true, hook_error: "" }, error],
    ["nothing at all", error, { response: null, error: null, has_error: false }, error],
    ["another response", ok, { response: { chat_response: changed, ChatResponse: REPLY }, error: {}, has_error: false }, { response: changed }],
    ["another response, as Go has it", ok, { response: { chat_response: REPLY, ChatResponse: changed } }, { response: changed }],
    ["two other responses", ok, { response: { chat_response: { id: "3" }, ChatResponse: changed } }, { response: changed }],
    ["another response, flat", ok, { response: changed }, { response: changed }],
    ["a response in the place of an error", error, { response: { chat_response: changed }, error: {}, has_error: false }, { response: changed }],
    [
      "a response and an error that says nothing",
      error,
      { response: changed, error: { status_code: 0, error: { message: "" } }, has_error: true },
      { response: changed },
    ],
    [
      "an error in the place of a response",
      ok,
      { response: null, error: { error: { message: "bad" } }, has_error: true },
      { error: { error: { message: "bad" } } },
    ],
    [
      "an error and a response",
      ok,
      { response: changed, error: { error: { message: "bad" } }, has_error: true },
      { error: { error: { message: "bad" } } },
    ],
    [
      "another error",
      error,
      { response: null, error: { status_code: 500, error: { message: "x" } }, has_error: true },
      { error: { status_code: 500, error: { message: "x" } } },
    ],
    ["the oldest form", ok, { response: { chat_response: changed }, bifrost_error: null, error: "" }, { response: changed }],
    [
      "the oldest form with an error",
      ok,
      { response: null, bifrost_error: { error: { message: "bad" } }, error: "" },
      { error: { error: { message: "bad" } } },
    ],
    ["a failure", ok, { response: null, error: {}, has_error: false, hook_error: "I cannot" }, FAILED],
    ["a failure in the oldest form", ok, { response: null, bifrost_error: null, error: "I cannot" }, FAILED],
    ["a flag that is none", ok, { has_error: 1 }, OUTPUT],
    ["a flag without an error", ok, { has_error: true }, OUTPUT],
    ["a flag alone for the error that there is", error, { has_error: true }, error],
    ["an error and a flag that says no", ok, { error: { error: { message: "bad" } }, has_error: false }, OUTPUT],
    ["an error in Go's spelling", ok, { Error: { error: { message: "bad" } } }, { error: { error: { message: "bad" } } }],
    ["a response that is none", ok, { response: "x" }, OUTPUT],
    ["an error without a message", ok, { error: { status_code: 500 }, has_error: true }, OUTPUT],
  ];
  for (const [what, given, output, result] of cases) {
    it(`are understood: ${what}`, async () => {
      assert.deepEqual(await bracketed(llm(), { input: CHAT, post: output, work: () => given }), result);
    });
  }

  it("recover from what the gateway threw", async () => {
    const work = (): never => {
      throw new Error("the provider is down");
    };
    assert.deepEqual(await bracketed(llm(), { input: CHAT, post: { response: changed, error: {}, has_error: false }, work }), { response: changed });
    await assert.rejects(bracketed(llm(), { input: CHAT, post: "{}", work }), { message: "the provider is down" });
  });
});

describe("Plugins built for Bifrost", () => {
  it("work with their own interface, in all its generations", async () => {
    await using host = await createHost({ hooks: { http: http(), llm: llm() } });
    const load = (file: string, name: string): Promise<unknown> =>
      host.plugins.load(new URL(`../../../guests/prebuilt/${file}.wasm`, import.meta.url), { name, permissions: { attributes: { write: ["*"] } } });
    await load("bifrost_first.c", "first");
    await load("bifrost_tag.ts", "tag");
    assert.deepEqual(
      host.plugins.list().map(({ abi, hooks }) => [abi, hooks]),
      [
        ["bifrost", ["http", "llm"]],
        ["bifrost", ["http", "llm"]],
      ],
    );
    const context = host.request();
    const echo = (input: LlmRequest): LlmResult => ({ response: { saw: input } });
    assert.equal(await host.hooks.http(POST, () => OK, { request: context }), OK);
    assert.equal(context.attributes.get("tag"), "tag");
    assert.equal((await host.hooks.http({ ...POST, path: "/admin/x" }, () => OK)).status_code, 403);
    assert.equal((await host.hooks.http({ ...POST, method: "TRACE" }, () => OK)).status_code, 405);
    const capped = await host.hooks.llm({ ...CHAT, params: { max_completion_tokens: 5000 } }, echo);
    assert.deepEqual(capped.response?.["saw"], { ...CHAT, params: { max_completion_tokens: 100 } });
    const cheap = await host.hooks.llm({ ...CHAT, model: "cheap" }, echo);
    assert.deepEqual(cheap.response?.["saw"], { ...CHAT, provider: "local", model: "small" });
    const canned = await host.hooks.llm({ ...CHAT, model: "canned" }, () => assert.fail("the model was asked"));
    assert.equal(canned.response?.["model"], "canned");
    const busy = await host.hooks.llm(CHAT, () => ({ error: { error: { message: "overloaded" } } }));
    assert.equal(busy.error?.error.message, "try again later");
  });
});
