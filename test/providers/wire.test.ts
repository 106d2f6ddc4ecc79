// Every shape that crosses between host and provider, byte for byte, seen by a provider that is a table.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Content, ProviderOptions } from "../../src/providers/index.ts";
import { collect, endOf, errorOf, loadText, say } from "./loading.ts";
import { METADATA, box, numbers, parser, textProvider, third } from "./text-provider.ts";
import { upstream } from "./upstream.ts";

const CFG = `{"api_key":"k","model":"m"}`;
const GRANTED = (host: string): ProviderOptions => ({ config: { api_key: "k", model: "m" }, permissions: { hosts: [host] } });
/** A response of the server as plugins get it, up to its headers. */
const head = (status: number): RegExp =>
  new RegExp(`^\\{"head":\\{"status":${status},"headers":\\{[^}]*"x-answer":"yes"[^}]*\\},"version":"HTTP/1.1"\\},"body":`);

const server = (status = 200, text = "pong größer"): ReturnType<typeof upstream> =>
  upstream((_asked, response) => (response.writeHead(status, { "x-answer": "yes" }).end(text), true));

/** Cuts `before`, a response with a body, and `after` out of a text. */
function checkResponse(input: string | undefined, before: string, status: number, text: string, after: string): void {
  assert.ok(input !== undefined);
  assert.ok(input.startsWith(before), input);
  const rest = input.slice(before.length);
  assert.match(rest, head(status));
  assert.ok(rest.endsWith(`"body":${numbers(text)}}${after}`), rest);
}

describe("The handshake", () => {
  it("calls name, base_url, init_logging, api_key_name, config_schema, from_config, and asks for streams, with these inputs", async () => {
    const provider = await textProvider({
      ...third("http://127.0.0.1:1"),
      ...parser("[]"),
      base_url: "http://127.0.0.1:1/v1",
      api_key_name: "TEXTS_KEY",
      supports_streaming: "true",
      config_schema: `{"type":"object","properties":{"model":{},"retry":{"properties":{"times":{}}},"free":{}}}`,
    });
    const config = { model: "m", retry: { times: 3, wait: 4 }, free: { any: 1 }, typo: true };
    await using loaded = await loadText(provider, { config });
    const cfg = `{"model":"m","retry":{"times":3},"free":{"any":1}}`;
    assert.deepEqual(provider.seen, [
      ["name", "null"],
      ["base_url", "null"],
      ["init_logging", "0"],
      ["api_key_name", "null"],
      ["config_schema", "null"],
      ["from_config", cfg],
      ["supports_streaming", cfg],
    ]);
    const { report } = loaded;
    assert.deepEqual([report.reportedName, report.apiKeyName, report.baseUrl], ["texts", "TEXTS_KEY", "http://127.0.0.1:1/v1"]);
    assert.deepEqual(report.droppedKeys, ["retry.wait", "typo"]);
    assert.deepEqual(report.hosts, { granted: [], notGranted: ["127.0.0.1:1"] });
    assert.deepEqual(report.streaming, { supported: true, because: "supports_streaming said yes", feeding: "lines, not rehearsed yet" });
  });

  const levels: readonly (readonly [level: "trace" | "debug" | "info" | "warn" | "error", number: string])[] = [
    ["trace", "5"],
    ["debug", "4"],
    ["info", "3"],
    ["warn", "2"],
    ["error", "1"],
  ];
  for (const [logLevel, number] of levels)
    it(`calls init_logging with ${number} for ${logLevel}`, async () => {
      const provider = await textProvider(third("http://127.0.0.1:1"));
      const none = (): void => {};
      await using _loaded = await loadText(provider, { logLevel, logger: { trace: none, debug: none, info: none, warn: none, error: none } });
      assert.deepEqual(provider.inputs("init_logging"), [number]);
    });

  it("takes an empty api_key_name for none, and optional functions that trap for missing", async () => {
    const provider = await textProvider({
      ...third("http://127.0.0.1:1"),
      api_key_name: "",
      base_url: "TRAP",
      supports_streaming: "TRAP",
      ...parser("[]"),
    });
    await using loaded = await loadText(provider);
    assert.deepEqual([loaded.report.apiKeyName, loaded.report.baseUrl], [undefined, undefined]);
    assert.deepEqual(loaded.report.streaming.because, "supports_streaming is not implemented");
  });

  const refused: readonly (readonly [what: string, exports: Readonly<Record<string, string>>, reason: RegExp])[] = [
    [
      "generation 1",
      { name: "x", config_schema: "{}", from_config: "null", chat: "{}", list_models: "[]" },
      /generation 1 .* use a release from 0\.2\.0 on/,
    ],
    ["no provider", { greet: "hello" }, /exports neither chat nor the functions of generation 3/],
    [
      "a part of generation 3",
      { name: "x", init_logging: "", chat_request: "{}" },
      /some functions of generation 3, but not chat_stream_request, parse_chat/,
    ],
    ["no from_config", { name: "x", init_logging: "", config_schema: "{}", chat: "{}" }, /does not export from_config/],
  ];
  for (const [what, exports, reason] of refused)
    it(`refuses ${what} with MORTISE_PROVIDER_REFUSED`, async () => {
      const error = await errorOf(loadText(await textProvider(exports)));
      assert.equal(error.code, "MORTISE_PROVIDER_REFUSED");
      assert.match(error.message, reason);
    });

  it("refuses a schema that is no JSON object", async () => {
    for (const config_schema of ["[]", "not JSON", ""])
      assert.equal((await errorOf(loadText(await textProvider({ ...third("http://127.0.0.1:1"), config_schema })))).code, "MORTISE_PROVIDER_OUTPUT");
  });
});

describe("Generation 3", () => {
  it("chat: ChatRequest to chat_request, HttpRequest to the server, ParseRequest to parse_chat_response", async () => {
    await using there = await server();
    const provider = await textProvider(third(there.url));
    await using loaded = await loadText(provider, GRANTED(there.host));
    const answer = await loaded.chat(say("hello"));
    assert.deepEqual(answer, { text: "hello", tool_calls: null, thinking: null, usage: null, finish_reason: "Stop" });
    assert.deepEqual(provider.inputs("chat_request"), [
      `{"cfg":${CFG},"messages":[{"role":"User","content":[{"type":"text","text":"hello"}]}],"tools":null}`,
    ]);
    assert.deepEqual(
      [there.asked[0]?.method, there.asked[0]?.path, there.asked[0]?.text, there.asked[0]?.headers["x-from"]],
      ["POST", "/chat", "ask", "plugin"],
    );
    checkResponse(provider.inputs("parse_chat_response")[0], `{"cfg":${CFG},"resp":{"resp":`, 200, "pong größer", "}}");
  });

  const contents: readonly (readonly [content: Content, json: string])[] = [
    [{ type: "text", text: 'a "quoted" 😀' }, `{"type":"text","text":"a \\"quoted\\" 😀"}`],
    [{ type: "image", mime_type: "image/png", data: Uint8Array.of(0, 255) }, `{"type":"image","mime_type":"image/png","data":[0,255]}`],
    [{ type: "image_url", url: "https://a.example/b" }, `{"type":"image_url","url":"https://a.example/b"}`],
    [{ type: "pdf", data: Uint8Array.of(37, 80) }, `{"type":"pdf","data":[37,80]}`],
    [{ type: "audio", mime_type: "audio/wav", data: new Uint8Array(0) }, `{"type":"audio","mime_type":"audio/wav","data":[]}`],
    [{ type: "thinking", text: "hm", signature: "s" }, `{"type":"thinking","text":"hm","signature":"s"}`],
    [{ type: "tool_use", id: "1", name: "f", arguments: { a: [1] } }, `{"type":"tool_use","id":"1","name":"f","arguments":{"a":[1]}}`],
    [
      { type: "tool_result", id: "1", is_error: false, content: [{ type: "image", mime_type: "i", data: Uint8Array.of(9) }] },
      `{"type":"tool_result","id":"1","is_error":false,"content":[{"type":"image","mime_type":"i","data":[9]}]}`,
    ],
    [{ type: "resource_link", uri: "file:///a", name: "a" }, `{"type":"resource_link","uri":"file:///a","name":"a"}`],
  ];
  it("writes content of each type, cache hints and tools as QueryMT does", async () => {
    await using there = await server();
    const provider = await textProvider(third(there.url));
    await using loaded = await loadText(provider, GRANTED(there.host));
    await loaded.chat({
      messages: [{ role: "Assistant", content: contents.map(([content]) => content), cache: { ephemeral: { ttl_seconds: 60 } } }],
      tools: [{ type: "function", function: { name: "f", description: "d", parameters: { type: "object" } } }],
      config: { tool_choice: { type: "function", function: { name: "f" } } },
    });
    const cfg = `{"api_key":"k","model":"m","tool_choice":{"type":"function","function":{"name":"f"}}}`;
    const message = `{"role":"Assistant","content":[${contents.map(([, json]) => json).join(",")}],"cache":{"ephemeral":{"ttl_seconds":60}}}`;
    const tool = `{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}`;
    assert.deepEqual(provider.inputs("chat_request"), [`{"cfg":${cfg},"messages":[${message}],"tools":[${tool}]}`]);
  });

  it("listModels: list_models_static, and HTTP when that is null", async () => {
    await using there = await server();
    const fixed = await textProvider(third(there.url, { list_models_static: `["x"]` }));
    await using first = await loadText(fixed, GRANTED(there.host));
    assert.deepEqual(await first.listModels(), ["x"]);
    assert.deepEqual([fixed.inputs("list_models_static"), there.asked.length], [[`{"cfg":${CFG}}`], 0]);
    const asks = await textProvider(third(there.url, { list_models_static: "null" }));
    await using second = await loadText(asks, GRANTED(there.host));
    assert.deepEqual(await second.listModels(), ["a", "b"]);
    assert.deepEqual(asks.inputs("list_models_request"), [`{"cfg":${CFG}}`]);
    // Here there is one "resp" only.
    checkResponse(asks.inputs("parse_list_models_response")[0], `{"resp":`, 200, "pong größer", "}");
    assert.equal(there.asked[0]?.method, "GET");
  });

  it("embedWithUsage: vectors and usage, or vectors alone", async () => {
    await using there = await server();
    const usage = { input_tokens: 8, output_tokens: 0, reasoning_tokens: 0, cache_read: 0, cache_write: 0 };
    const cases: readonly (readonly [output: string, usage: unknown])[] = [
      [`{"embeddings":[[1,2]],"usage":{"prompt_tokens":8}}`, usage],
      [`{"embeddings":[[1,2]],"usage":null}`, null],
      ["[[1,2]]", null],
    ];
    for (const [parse_embed_response, expected] of cases) {
      const provider = await textProvider({ ...third(there.url), embed_request: box(`${there.url}/embed`, "e"), parse_embed_response });
      await using loaded = await loadText(provider, GRANTED(there.host));
      assert.deepEqual(await loaded.embedWithUsage(["a"]), { embeddings: [[1, 2]], usage: expected });
      assert.deepEqual(await loaded.embed(["a"]), [[1, 2]]);
    }
  });

  it("embed and complete: their requests and ParseRequest", async () => {
    await using there = await server();
    const provider = await textProvider(
      third(there.url, {
        embed_request: box(`${there.url}/embed`, "e"),
        parse_embed_response: "[[1,0.5],[2,-1e-3]]",
        complete_request: box(`${there.url}/complete`, "c"),
        parse_complete_response: `{"text":"done"}`,
      }),
    );
    await using loaded = await loadText(provider, GRANTED(there.host));
    assert.deepEqual(await loaded.embed(["a", "ß"]), [
      [1, 0.5],
      [2, -0.001],
    ]);
    assert.deepEqual(provider.inputs("embed_request"), [`{"cfg":${CFG},"inputs":["a","ß"]}`]);
    checkResponse(provider.inputs("parse_embed_response")[0], `{"cfg":${CFG},"resp":{"resp":`, 200, "pong größer", "}}");
    assert.equal(await loaded.complete({ prompt: "p", suffix: "s", max_tokens: 5, temperature: 0.5 }), "done");
    assert.deepEqual(provider.inputs("complete_request"), [`{"cfg":${CFG},"req":{"prompt":"p","suffix":"s","max_tokens":5,"temperature":0.5}}`]);
    checkResponse(provider.inputs("parse_complete_response")[0], `{"cfg":${CFG},"resp":{"resp":`, 200, "pong größer", "}}");
  });

  it("embed: as many vectors as texts, or none", async () => {
    await using there = await server();
    const vectors = "[[1],[2]]";
    const one = { embed_request: box(`${there.url}/embed`, "e"), parse_embed_response: `{"embeddings":${vectors},"usage":null}` };
    for (const exports of [third(there.url, one), { ...METADATA, chat: "{}", embed: vectors }]) {
      await using loaded = await loadText(await textProvider(exports), GRANTED(there.host));
      assert.equal((await loaded.embed(["a", "b"])).length, 2);
      for (const texts of [["a"], ["a", "b", "c"]]) assert.equal((await errorOf(loaded.embed(texts))).code, "MORTISE_PROVIDER_OUTPUT");
    }
  });

  it("speech: an instance of its own, and another try where that could not be set up", async () => {
    const provider = await textProvider(third("http://127.0.0.1:1", { speech: `{"audio_base64":"AQL/","mime_type":null}` }));
    const { see } = provider.hostFunctions["extism:host/user"];
    let refusals = 1;
    const faulty: typeof see = (context, ...values) => {
      see(context, ...values);
      const [fn, input] = provider.seen.at(-1) ?? [];
      if (fn === "init_logging" && input === "0" && refusals-- > 0) throw new RangeError("not now");
    };
    const logger = { trace() {}, debug() {}, info() {}, warn() {}, error() {} };
    await using loaded = await loadText({ ...provider, hostFunctions: { "extism:host/user": { see: faulty } } }, { logger });
    await assert.rejects(loaded.speech({ text: "t" }), { message: /not now/ });
    assert.deepEqual((await loaded.speech({ text: "t" })).audio, Uint8Array.of(1, 2, 255));
  });

  it("transcribe and speech: base64, and the plugin makes the request itself", async () => {
    await using there = await server();
    const provider = await textProvider(
      third(there.url, {
        transcribe: { calls: [["qmt_http_request", box(`${there.url}/audio`)]], output: `{"text":"heard"}` },
        speech: `{"audio_base64":"AQL/","mime_type":null}`,
      }),
    );
    await using loaded = await loadText(provider, GRANTED(there.host));
    assert.equal(await loaded.transcribe({ audio: Uint8Array.of(1, 2, 255), filename: "a.wav", language: "de" }), "heard");
    assert.deepEqual(provider.inputs("transcribe"), [`{"cfg":${CFG},"filename":"a.wav","language":"de","audio_base64":"AQL/"}`]);
    assert.equal(there.asked[0]?.path, "/audio");
    assert.deepEqual(await loaded.speech({ text: "t", voice_config: { type: "design", description: "deep" }, speed: 1.5 }), {
      audio: Uint8Array.of(1, 2, 255),
      mime_type: undefined,
    });
    assert.deepEqual(provider.inputs("speech"), [`{"cfg":${CFG},"text":"t","voice_config":{"type":"design","description":"deep"},"speed":1.5}`]);
  });

  it("chatStream: a parser by its number, each line with its newline, blank ones too; then finish and close", async () => {
    await using there = await server(200, "data: 1\r\n\ndata: größer\n\ntail");
    const provider = await textProvider({ ...third(there.url), ...parser(`[{"chunk":{"text":"x"},"usage":null}]`), chat_stream_parser_start: "7" });
    await using loaded = await loadText(provider, GRANTED(there.host));
    const chunks = await collect(loaded.chatStream(say("hello")));
    assert.deepEqual(chunks, [...Array.from({ length: 5 }, () => ({ text: "x" })), { done: { finish_reason: "Stop" } }]);
    assert.deepEqual(provider.inputs("chat_stream_parser_start"), [CFG]);
    const lines = ["data: 1\r\n", "\n", "data: größer\n", "\n", "tail\n"];
    assert.deepEqual(
      provider.inputs("chat_stream_parser_parse"),
      lines.map((line) => `{"parser_id":7,"chunk":${numbers(line)}}`),
    );
    assert.deepEqual([provider.inputs("chat_stream_parser_finish"), provider.inputs("chat_stream_parser_close")], [["7"], ["7"]]);
  });

  it("closes the parser when the reader leaves, and after a parse error, which ends the stream", async () => {
    await using there = await server(200, "a\nb\n");
    const item = `[{"chunk":{"text":"x"},"usage":null}]`;
    const leaves = await textProvider({ ...third(there.url), ...parser(item) });
    await using first = await loadText(leaves, GRANTED(there.host));
    for await (const _chunk of first.chatStream(say("x"))) break;
    assert.deepEqual([leaves.inputs("chat_stream_parser_close"), leaves.inputs("chat_stream_parser_finish")], [["1"], []]);
    const fails = await textProvider({ ...third(there.url), ...parser({ error: `{"payload":{"type":"json_error","message":"bad"}}` }) });
    await using second = await loadText(fails, GRANTED(there.host));
    assert.deepEqual(await endOf(collect(second.chatStream(say("x")))), {
      code: "MORTISE_PROVIDER_ERROR",
      payload: { type: "json_error", message: "bad" },
      retryable: false,
    });
    assert.deepEqual([fails.inputs("chat_stream_parser_parse").length, fails.inputs("chat_stream_parser_close")], [1, ["1"]]);
  });

  const chunks = [
    `{"text":"t"}`,
    `{"thinking":"t"}`,
    `{"thinking_signature":"s"}`,
    `{"tool_use_start":{"index":0,"id":"i","name":"n"}}`,
    `{"tool_use_input_delta":{"index":0,"partial_json":"{"}}`,
    `{"tool_use_complete":{"index":0,"tool_call":{"id":"i","type":"function","function":{"name":"n","arguments":"{}"}}}}`,
    `{"usage":{"input_tokens":1,"output_tokens":2,"reasoning_tokens":3,"cache_read":4,"cache_write":5}}`,
    ...["Stop", "Length", "ContentFilter", "ToolCalls", "Error", "Other", "Unknown"].map((reason) => `{"done":{"finish_reason":"${reason}"}}`),
  ];
  it("reads every chunk, and ignores what an item says besides", async () => {
    await using there = await server(200, "x\n");
    const items = chunks.map((chunk) => `{"chunk":${chunk},"usage":{"input_tokens":99}}`);
    const provider = await textProvider({ ...third(there.url), ...parser(`[${items.join(",")}]`, "[]") });
    await using loaded = await loadText(provider, GRANTED(there.host));
    assert.deepEqual(
      await collect(loaded.chatStream(say("x"))),
      chunks.map((chunk) => JSON.parse(chunk) as unknown),
    );
  });

  const answers: readonly (readonly [json: string, answer: object])[] = [
    [`{}`, { text: null, tool_calls: null, thinking: null, usage: null, finish_reason: null }],
    [
      `{"text":"t","thinking":"h","finish_reason":"ToolCalls","tool_calls":[{"id":"i","type":"function","function":{"name":"n","arguments":"{}"}}]}`,
      {
        text: "t",
        thinking: "h",
        usage: null,
        finish_reason: "ToolCalls",
        tool_calls: [{ id: "i", type: "function", function: { name: "n", arguments: "{}" } }],
      },
    ],
    [
      `{"usage":{"prompt_eval_count":1,"candidatesTokenCount":2,"cache_read_input_tokens":3,"cache_creation_input_tokens":4}}`,
      {
        text: null,
        tool_calls: null,
        thinking: null,
        finish_reason: null,
        usage: { input_tokens: 1, output_tokens: 2, reasoning_tokens: 0, cache_read: 3, cache_write: 4 },
      },
    ],
  ];
  for (const [json, answer] of answers)
    it(`reads the ChatResponse ${json.slice(0, 40)}`, async () => {
      await using there = await server();
      await using loaded = await loadText(await textProvider(third(there.url, { parse_chat_response: json })), GRANTED(there.host));
      assert.deepEqual(await loaded.chat(say("x")), answer);
    });

  const wrong: readonly (readonly [json: string, code: string])[] = [
    ["not JSON", "MORTISE_BAD_JSON"],
    ["[]", "MORTISE_PROVIDER_OUTPUT"],
    [`{"text":5}`, "MORTISE_PROVIDER_OUTPUT"],
    [`{"usage":{"input_tokens":-1}}`, "MORTISE_PROVIDER_OUTPUT"],
    [`{"usage":{"input_tokens":4294967296}}`, "MORTISE_PROVIDER_OUTPUT"],
    [`{"finish_reason":"stop"}`, "MORTISE_PROVIDER_OUTPUT"],
    [`{"tool_calls":[{"id":"i","function":{"name":"n","arguments":{}}}]}`, "MORTISE_PROVIDER_OUTPUT"],
  ];
  for (const [json, code] of wrong)
    it(`refuses the ChatResponse ${json} with ${code}`, async () => {
      await using there = await server();
      await using loaded = await loadText(await textProvider(third(there.url, { parse_chat_response: json })), GRANTED(there.host));
      assert.equal((await errorOf(loaded.chat(say("x")))).code, code);
    });

  const requests: readonly (readonly [what: string, json: string])[] = [
    ["no head", `{"req":{"body":[]}}`],
    ["no version", `{"req":{"head":{"method":"GET","uri":"URL","headers":{}},"body":[]}}`],
    ["a version that there is not", `{"req":{"head":{"method":"GET","uri":"URL","headers":{},"version":"HTTP/4"},"body":[]}}`],
    ["no body", `{"req":{"head":{"method":"GET","uri":"URL","headers":{},"version":"HTTP/1.1"}}}`],
    ["a body that is text", `{"req":{"head":{"method":"GET","uri":"URL","headers":{},"version":"HTTP/1.1"},"body":"x"}}`],
    ["a number that is no byte", `{"req":{"head":{"method":"GET","uri":"URL","headers":{},"version":"HTTP/1.1"},"body":[256]}}`],
    ["a null body", `{"req":{"head":{"method":"GET","uri":"URL","headers":{},"version":"HTTP/1.1"},"body":null}}`],
    ["a body elsewhere", `{"x":{"body":[1]},"req":{"head":{"method":"GET","uri":"URL","headers":{},"version":"HTTP/1.1"},"body":null}}`],
    ["a header that is a number", `{"req":{"head":{"method":"GET","uri":"URL","headers":{"a":1},"version":"HTTP/1.1"},"body":[]}}`],
    ["text behind it", `{"req":{"head":{"method":"GET","uri":"URL","headers":{},"version":"HTTP/1.1"},"body":[1]}} more`],
  ];
  for (const [what, json] of requests)
    it(`refuses a request with ${what}, and sends nothing`, async () => {
      await using there = await server();
      const provider = await textProvider(third(there.url, { chat_request: json.replace("URL", there.url) }));
      await using loaded = await loadText(provider, GRANTED(there.host));
      assert.equal((await errorOf(loaded.chat(say("x")))).code, "MORTISE_PROVIDER_OUTPUT");
      assert.equal(there.asked.length, 0);
    });

  it("takes header values as text or lists, and bodies spelt in any way", async () => {
    await using there = await server();
    const request = `{ "req" : {"body" : [ 104, 105 ], "head": {"method":"POST","uri":"${there.url}/","headers":{"x-many":["1","2"],"cookie":["a=1","b=2"]},"version":"HTTP/2.0"}}}`;
    await using loaded = await loadText(await textProvider(third(there.url, { chat_request: request })), GRANTED(there.host));
    await loaded.chat(say("x"));
    const { text, headers } = there.asked[0] ?? {};
    assert.deepEqual([text, headers?.["x-many"], headers?.cookie], ["hi", "1, 2", "a=1; b=2"]);
  });
});

describe("Errors of providers", () => {
  const message = "m";
  const plain = ["generic_error", "auth_error", "tool_config_error", "plugin_error", "invalid_request", "http_error"];
  const more = ["not_implemented", "json_error", "invalid_url", "io_error", "remote_stream_disconnected", "remote_stream_reconnected"];
  const RETRYABLE = new Set(["plugin_error", "http_error", "io_error"]);
  const payloads: readonly (readonly [payload: object, retryable: boolean])[] = [
    ...[...plain, ...more].map((type) => [{ type, message }, RETRYABLE.has(type)] as const),
    [{ type: "provider_error", message, kind: "server_overloaded", code: "c", error_type: "t", request_id: "r", retry_after_secs: 3 }, true],
    [{ type: "provider_error", message, kind: "rate_limited" }, true],
    [{ type: "provider_error", message, kind: "unknown_transient" }, true],
    ...["quota_exceeded", "context_window_exceeded", "authentication", "invalid_request", "unsupported_operation", "unknown_permanent"].map(
      (kind) => [{ type: "provider_error", message, kind }, false] as const,
    ),
    [{ type: "provider_error", message }, false],
    [{ type: "response_format_error", message, raw_response: "r" }, false],
    [{ type: "rate_limited", message, retry_after_secs: 5 }, true],
    [{ type: "rate_limited", message, retry_after_secs: null }, true],
    [{ type: "http_status", status_code: 429, message, retry_after_secs: null }, true],
    [{ type: "http_status", status_code: 503, message, retry_after_secs: 1 }, true],
    [{ type: "http_status", status_code: 404, message, retry_after_secs: null }, false],
    ...["connection_refused", "connection_reset", "timeout", "connection_closed", "dns", "tls", "other"].map(
      (kind) => [{ type: "transport", kind, message }, true] as const,
    ),
    [{ type: "cancelled" }, false],
  ];
  for (const [payload, retryable] of payloads)
    it(`reads ${JSON.stringify(payload)}`, async () => {
      const provider = await textProvider(third("http://127.0.0.1:1", { chat_request: { error: JSON.stringify({ payload }) } }));
      await using loaded = await loadText(provider);
      assert.deepEqual(await endOf(loaded.chat(say("x"))), { code: "MORTISE_PROVIDER_ERROR", payload, retryable });
    });

  const others: readonly (readonly [what: string, error: string, code: number, payload: object])[] = [
    ["text", "something broke", 1, { type: "plugin_error", message: "something broke" }],
    [
      "a payload of an unknown type",
      `{"payload":{"type":"new","message":"m"}}`,
      1,
      { type: "plugin_error", message: `{"payload":{"type":"new","message":"m"}}` },
    ],
    [
      "an unknown kind",
      `{"payload":{"type":"provider_error","message":"m","kind":"new"}}`,
      1,
      { type: "provider_error", message, kind: "unknown_permanent" },
    ],
    ["generation 2, code 2", `{"kind":"auth","data":"no key"}`, 2, { type: "auth_error", message: "no key" }],
    ["generation 2, code 1", `{"kind":"provider","data":{"message":"m"}}`, 1, { type: "provider_error", message }],
    ["generation 2, code 3", `{"kind":"invalid","data":"m"}`, 3, { type: "invalid_request", message }],
    [
      "generation 2, code 4",
      `{"kind":"rate","data":{"message":"m","retry_after_secs":9}}`,
      4,
      { type: "rate_limited", message, retry_after_secs: 9 },
    ],
    ["generation 2, code 5", `{"kind":"http","data":"m"}`, 5, { type: "http_error", message }],
    ["generation 2, code 6", `{"kind":"missing","data":"m"}`, 6, { type: "not_implemented", message }],
    ["generation 2, code 7", `{"kind":"cancelled","data":null}`, 7, { type: "cancelled" }],
    ["generation 2, code 0", `{"kind":"generic","data":"m"}`, 0, { type: "generic_error", message }],
  ];
  for (const [what, error, code, payload] of others)
    it(`reads an error that is ${what}`, async () => {
      await using loaded = await loadText(await textProvider({ ...METADATA, chat: { error, code } }));
      assert.deepEqual((await endOf(loaded.chat(say("x")))).payload, payload);
    });

  it("takes a return code without a text for a plugin_error", async () => {
    await using loaded = await loadText(await textProvider({ ...METADATA, chat: { code: -1 } }));
    assert.partialDeepStrictEqual(await endOf(loaded.chat(say("x"))), { payload: { type: "plugin_error" }, retryable: true });
  });

  const statuses: readonly (readonly [status: number, chat: object, other: object])[] = [
    [400, { type: "provider_error", kind: "invalid_request" }, { type: "invalid_request" }],
    [401, { type: "provider_error", kind: "authentication" }, { type: "auth_error" }],
    [403, { type: "provider_error", kind: "authentication" }, { type: "auth_error" }],
    [404, { type: "provider_error", kind: "unknown_permanent" }, { type: "provider_error" }],
    [408, { type: "provider_error", kind: "unknown_transient" }, { type: "provider_error" }],
    [422, { type: "provider_error", kind: "invalid_request" }, { type: "provider_error" }],
    [425, { type: "provider_error", kind: "unknown_transient" }, { type: "provider_error" }],
    [429, { type: "provider_error", kind: "rate_limited", retry_after_secs: 4 }, { type: "rate_limited", retry_after_secs: 4 }],
    [499, { type: "cancelled" }, { type: "cancelled" }],
    [500, { type: "provider_error", kind: "unknown_transient" }, { type: "http_status", status_code: 500 }],
  ];
  for (const [status, chat, other] of statuses)
    it(`takes ${status} for ${JSON.stringify(chat)}, and elsewhere for ${JSON.stringify(other)}`, async () => {
      await using there = await upstream((_asked, response) => {
        response.writeHead(status, status === 429 ? { "retry-after": "4" } : {}).end(`{"error":{"message":"why"}}`);
        return true;
      });
      await using loaded = await loadText(await textProvider({ ...third(there.url), ...parser("[]") }), GRANTED(there.host));
      for (const [request, wanted] of [
        [loaded.chat(say("x")), chat],
        [loaded.chatStream(say("x")).next(), chat],
        [loaded.listModels(), other],
      ] as const) {
        const { payload } = await endOf(request);
        assert.partialDeepStrictEqual(
          payload,
          "kind" in wanted || !("type" in wanted && wanted.type === "cancelled") ? { ...wanted, message: "why" } : wanted,
        );
      }
    });

  it("keep the key out, if a server repeats it, and where its words are cut", async () => {
    const key = "sk-secret-4711";
    const far = "x".repeat(4096 - 5);
    for (const text of [`{"error":{"message":"no such key: ${key}"}}`, `no such key: ${key}`, far + key]) {
      await using there = await server(400, text);
      const plugin = await textProvider({ ...third(there.url, { embed_request: box(`${there.url}/embed`, "e") }), ...parser("[]") });
      await using loaded = await loadText(plugin, { ...GRANTED(there.host), config: { api_key: key } });
      for (const asked of [loaded.embed(["a"]), loaded.listModels(), loaded.chat(say("x")), loaded.chatStream(say("x")).next()]) {
        const error = await errorOf(asked);
        const told = [error.message, JSON.stringify(error.details), String(error.cause)].join(" ");
        assert.ok(!told.includes("sk-s"), told);
        assert.equal(error.details["retryable"], false);
      }
    }
  });

  it("keep the secrets of the options out, also where the plugin cuts or quotes what it was told", async () => {
    const secret = 'cf-secret/"4711"';
    const quoted = JSON.stringify(secret).slice(1, -1);
    await using there = await server(400, JSON.stringify({ error: { message: `no ${secret}` } }));
    const said = JSON.stringify({ payload: { type: "invalid_request", message: `I saw ${secret}` } });
    for (const rest of [{}, { classify_chat_error: said }]) {
      const plugin = await textProvider({ ...third(there.url, { embed_request: box(`${there.url}/embed`, "e"), ...rest }), ...parser("[]") });
      await using loaded = await loadText(plugin, { ...GRANTED(there.host), secrets: [secret, "no"] });
      for (const asked of [loaded.embed(["a"]), loaded.chat(say("x")), loaded.chatStream(say("x")).next()]) {
        const error = await errorOf(asked);
        const told = [error.message, JSON.stringify(error.details), String(error.cause), ...plugin.inputs("classify_chat_error")].join(" ");
        assert.ok(!told.includes(secret) && !told.includes(quoted) && !told.includes(numbers(quoted).slice(1, -1)), told);
        assert.match(error.message, /(?:no|saw) \[key\]/);
      }
    }
  });

  it("asks classify_chat_error with a ParseRequest, and does without it when it fails", async () => {
    await using there = await server(418, "teapot");
    const says = await textProvider(third(there.url, { classify_chat_error: `{"payload":{"type":"invalid_request","message":"tea"}}` }));
    await using first = await loadText(says, GRANTED(there.host));
    assert.deepEqual((await endOf(first.chat(say("x")))).payload, { type: "invalid_request", message: "tea" });
    checkResponse(says.inputs("classify_chat_error")[0], `{"cfg":${CFG},"resp":{"resp":`, 418, "teapot", "}}");
    for (const fails of ["TRAP", "nonsense", { error: "no" }] as const) {
      await using other = await loadText(await textProvider(third(there.url, { classify_chat_error: fails })), GRANTED(there.host));
      assert.partialDeepStrictEqual((await endOf(other.chat(say("x")))).payload, {
        type: "provider_error",
        message: "teapot",
        kind: "unknown_permanent",
      });
    }
  });
});
