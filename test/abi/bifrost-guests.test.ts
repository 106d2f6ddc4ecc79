// Bifrost plugins in four languages, of three generations: what each says to the payloads of its hooks.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Plugin, PluginOptions } from "../../src/index.ts";
import { openGuest } from "./open-guest.ts";

const EMPTY = { context: {}, request: {} };
const CHAT = {
  provider: "openai",
  model: "gpt-5",
  input: [{ role: "user", content: 'Grüße, "you"' }],
  params: { max_completion_tokens: 5000, top_p: 0.5 },
};

/** A guest, its configuration, and its hooks: what they are given and what they answer, as JSON. */
interface GuestCase {
  readonly guest: string;
  readonly name: string;
  readonly config?: PluginOptions["config"];
  readonly exports: readonly string[];
  readonly hooks: readonly (readonly [what: string, hook: string, input: unknown, output: unknown])[];
}

const GUESTS: readonly GuestCase[] = [
  {
    guest: "bifrost_first.c",
    name: "bifrost-first",
    exports: ["get_name", "http_transport_intercept", "post_hook", "pre_hook"],
    hooks: [
      ["lets a request pass", "http_transport_intercept", { context: {}, request: { method: "GET", path: "/v1" } }, { response: null, error: "" }],
      [
        "answers a path of its own",
        "http_transport_intercept",
        { context: { request_id: "1" }, request: { path: "/admin/users" } },
        { response: { status_code: 403, headers: { "x-plugin": "bifrost-first" }, body: "bm8=" }, error: "" },
      ],
      [
        "leaves a small request",
        "pre_hook",
        { context: {}, request: { model: "m", params: { max_completion_tokens: 100 } } },
        { request: null, short_circuit: null, error: "" },
      ],
      [
        "caps what a request may ask for",
        "pre_hook",
        { context: {}, request: CHAT },
        { request: { ...CHAT, params: { max_completion_tokens: 100, top_p: 0.5 } }, short_circuit: null, error: "" },
      ],
      [
        "answers a model of its own",
        "pre_hook",
        { context: {}, request: { model: "canned" } },
        {
          request: null,
          short_circuit: {
            response: { chat_response: { model: "canned", choices: [{ index: 0, message: { role: "assistant", content: "from the plugin" } }] } },
          },
          error: "",
        },
      ],
      ["leaves a response", "post_hook", { context: {}, response: { a: 1 }, error: {} }, { response: null, bifrost_error: null, error: "" }],
      [
        "turns an error into another",
        "post_hook",
        { context: {}, response: null, error: { error: { message: "the model is overloaded now" } } },
        { response: null, bifrost_error: { status_code: 503, error: { message: "try again later", type: "busy" } }, error: "" },
      ],
    ],
  },
  {
    guest: "bifrost_tag.ts",
    name: "bifrost-tag",
    config: { label: "blue" },
    exports: ["cleanup", "get_name", "http_intercept", "init", "post_hook", "pre_hook"],
    hooks: [
      [
        "tags the context and leaves the request",
        "http_intercept",
        { context: { request_id: "1" }, request: { method: "GET", path: "/" } },
        { context: { tag: "blue", request_id: "1" }, request: {}, has_response: false, error: "" },
      ],
      [
        "answers a method of its own",
        "http_intercept",
        { context: {}, request: { method: "TRACE" } },
        { context: { tag: "blue" }, response: { status_code: 405, headers: { allow: "GET, POST" }, body: null }, has_response: true, error: "" },
      ],
      [
        "sends a request elsewhere, in the flat spelling",
        "pre_hook",
        { context: {}, request: { ...CHAT, model: "cheap" } },
        { context: { tag: "blue" }, request: { provider: "local", model: "small", input: CHAT.input }, has_short_circuit: false, error: "" },
      ],
      [
        "leaves another request",
        "pre_hook",
        { context: {}, request: CHAT },
        { context: { tag: "blue" }, request: null, short_circuit: null, has_short_circuit: false, error: "" },
      ],
      [
        "gives the response back",
        "post_hook",
        { context: {}, response: { choices: [] }, error: {}, has_error: false },
        { context: { tag: "blue" }, response: { choices: [] }, error: {}, has_error: false, hook_error: "" },
      ],
    ],
  },
  {
    guest: "bifrost_guard.rs",
    name: "bifrost-guard",
    config: { denied_model: "gpt-5", secret: "s3cret" },
    exports: ["cleanup", "get_name", "http_post_hook", "http_pre_hook", "http_stream_chunk_hook", "init", "post_hook", "pre_hook"],
    hooks: [
      [
        "adds a header where there were none",
        "http_pre_hook",
        { context: { request_id: "1" }, request: { method: "GET", path: "/", headers: null, body: null } },
        {
          context: { request_id: "1", "bifrost-guard": "passed" },
          request: { method: "GET", path: "/", headers: { "x-guard": "seen" }, body: null },
          response: null,
          has_response: false,
          error: "",
        },
      ],
      [
        "refuses a path",
        "http_pre_hook",
        { context: null, request: { path: "/forbidden" } },
        {
          context: { "bifrost-guard": "refused" },
          request: null,
          response: { status_code: 403, headers: { "content-type": "text/plain" }, body: "bm8=" },
          has_response: true,
          error: "",
        },
      ],
      ["notes the end of a request", "http_post_hook", { ...EMPTY, response: {} }, { context: { "bifrost-guard": "done" }, error: "" }],
      [
        "lets a chunk pass",
        "http_stream_chunk_hook",
        { ...EMPTY, chunk: { id: "1", choices: [] } },
        { context: {}, chunk: { id: "1", choices: [] }, has_chunk: true, skip: false, error: "" },
      ],
      [
        "drops a chunk with the secret",
        "http_stream_chunk_hook",
        { ...EMPTY, chunk: { choices: [{ delta: { content: "the s3cret" } }] } },
        { context: {}, chunk: null, has_chunk: false, skip: true, error: "" },
      ],
      [
        "changes a request, in the spelling with underscores",
        "pre_hook",
        { context: {}, request: { chat_request: { ...CHAT, model: "small" } } },
        {
          context: { "bifrost-guard": "passed" },
          request: { chat_request: { ...CHAT, model: "small", params: { ...CHAT.params, temperature: 0 } } },
          short_circuit: null,
          has_short_circuit: false,
          error: "",
        },
      ],
      [
        "denies a model, without fallbacks",
        "pre_hook",
        { context: {}, request: { chat_request: CHAT } },
        {
          context: { "bifrost-guard": "denied" },
          request: null,
          short_circuit: { error: { error: { message: "this model is not allowed", type: "denied" }, status_code: 403, allow_fallbacks: false } },
          has_short_circuit: true,
          error: "",
        },
      ],
      [
        "hides the secret in a response",
        "post_hook",
        { context: {}, response: { chat_response: { choices: [{ message: { content: "s3cret, s3cret" } }] } }, error: {}, has_error: false },
        {
          context: { "bifrost-guard": "answered" },
          response: { chat_response: { choices: [{ message: { content: "***, ***" } }] } },
          error: {},
          has_error: false,
          hook_error: "",
        },
      ],
    ],
  },
  {
    guest: "gateway.go",
    name: "bifrost-gateway",
    config: { greeting: "Guten Tag" },
    exports: ["cleanup", "get_name", "http_post_hook", "http_pre_hook", "http_stream_chunk_hook", "init", "post_hook", "pre_hook"],
    hooks: [
      [
        "notes in the context that it was here",
        "http_pre_hook",
        { context: { request_id: "1" }, request: { method: "GET" } },
        { context: { request_id: "1", gateway: "here" }, request: null, response: null, has_response: false, error: "" },
      ],
      ["says nothing of a response", "http_post_hook", { ...EMPTY, response: {} }, { context: null, error: "" }],
      [
        "lets a chunk pass",
        "http_stream_chunk_hook",
        { ...EMPTY, chunk: { id: "é" } },
        { chunk: { id: "é" }, has_chunk: true, skip: false, error: "" },
      ],
      [
        "changes a request, in the spelling of Go's fields",
        "pre_hook",
        { context: {}, request: { RequestType: "chat_completion", ChatRequest: CHAT, TextRequest: null } },
        {
          context: {},
          request: {
            RequestType: "chat_completion",
            ChatRequest: { ...CHAT, input: [{ role: "system", content: "Answer briefly." }, ...CHAT.input] },
          },
          has_short_circuit: false,
          error: "",
        },
      ],
      [
        "answers a greeting itself",
        "pre_hook",
        { context: {}, request: { ChatRequest: { provider: "p", model: "m", input: [{ role: "user", content: " Hello " }] } } },
        {
          context: {},
          short_circuit: {
            Response: {
              ChatResponse: { model: "m", choices: [{ index: 0, message: { role: "assistant", content: "Guten Tag" }, finish_reason: "stop" }] },
            },
          },
          has_short_circuit: true,
          error: "",
        },
      ],
      [
        "counts tokens in the context",
        "post_hook",
        { context: {}, response: { ChatResponse: { usage: { total_tokens: 7 } } }, error: {}, has_error: false },
        { context: { tokens: 7 }, response: { ChatResponse: { usage: { total_tokens: 7 } } }, error: {}, has_error: false, hook_error: "" },
      ],
      ["says that there is no request", "pre_hook", { context: {}, request: { provider: "p" } }, { error: "there is no chat request" }],
    ],
  },
];

for (const { guest, name, config = {}, exports, hooks } of GUESTS) {
  describe(`Bifrost plugin ${guest}`, () => {
    it("is known as one, by its exports and its name", async (t) => {
      const plugin = await openGuest(t, guest, { config });
      assert.equal(plugin.abi, "bifrost");
      assert.deepEqual(plugin.exports.toSorted(), exports);
      assert.equal((await plugin.call("get_name")).text(), name);
    });

    for (const [what, hook, input, output] of hooks) {
      it(`${what} in ${hook}`, async (t) => {
        const plugin = await openGuest(t, guest, { config });
        assert.deepEqual((await plugin.call(hook, JSON.stringify(input))).json(), output);
        assert.deepEqual(plugin.callSync(hook, JSON.stringify(input)).json(), output);
      });
    }

    it("goes on for longer than its memory lasts, and loses no call", async (t) => {
      const plugin = await openGuest(t, guest, { config, limits: { memoryBytes: 16 << 20 } });
      const hook = exports.find((fn) => fn.startsWith("http_") && fn !== "http_post_hook" && fn !== "http_stream_chunk_hook") ?? "";
      const filler = "x".repeat(100_000);
      for (let call = 0; call < 200; call++) {
        const input = JSON.stringify({ context: { call: String(call) }, request: { method: "GET", path: "/", headers: { filler } } });
        const output = (await plugin.call(hook, input)).json() as { context?: { call?: string } };
        if (output.context !== undefined) assert.equal(output.context.call, String(call));
      }
      const { calls, failures, memory } = plugin.stats();
      assert.deepEqual([calls, failures], [200, 0]);
      assert.ok(memory.peak <= 16 << 20, String(memory.peak));
    });
  });
}

describe("a Bifrost plugin of the first generation", () => {
  it("refuses an envelope that is no JSON object", async (t) => {
    const plugin: Plugin = await openGuest(t, "bifrost_first.c");
    for (const input of ["", "[]", "nothing", "7"]) await assert.rejects(plugin.call("pre_hook", input), { code: "MORTISE_INVALID_INPUT" }, input);
  });
});

describe("a Bifrost plugin whose init fails", () => {
  it("is not loaded", async (t) => {
    await assert.rejects(openGuest(t, "bifrost_fixtures.c", { config: { refuse: 3 } }), {
      code: "MORTISE_RETURN_CODE",
      message: /"init".*non-zero code 3/,
    });
    const plugin = await openGuest(t, "bifrost_fixtures.c", { config: { refuse: 0, nested: { a: ["b"] } } });
    assert.deepEqual((await plugin.call("config_echo", "nested")).json(), { a: ["b"] });
  });

  it("writes to its log when it is cleaned up", async (t) => {
    const lines: string[] = [];
    const keep = (text: string): void => void lines.push(text);
    const plugin = await openGuest(t, "bifrost_fixtures.c", { logger: { trace: keep, debug: keep, info: keep, warn: keep, error: keep } });
    await plugin.close();
    assert.deepEqual(lines, ["cleaned up"]);
  });
});
