// Whole answers and errors in the words of each interface.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JsonObject } from "mortise";

import type { Completion, Failure, FailureKind } from "../../../src/gateway/types.ts";
import { CLIENT_WIRES, completionToChunks, embeddingsError, modelObject, modelsList, modelsShape } from "../../../src/gateway/wires/index.ts";

const REQUESTS = {
  chat: CLIENT_WIRES.chat.read({ model: "m", messages: [{ role: "user", content: "Hi" }] }),
  messages: CLIENT_WIRES.messages.read({ model: "m", max_tokens: 9, messages: [{ role: "user", content: "Hi" }] }),
  responses: CLIENT_WIRES.responses.read({
    model: "m",
    input: "Hi",
    tools: [{ type: "function", name: "f" }],
    metadata: { a: "b" },
    max_output_tokens: 9,
  }),
};

const COMPLETION: Completion = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1_700_000_000,
  model: "m-1",
  choices: [
    {
      index: 0,
      message: {
        role: "assistant",
        content: "Hello",
        refusal: null,
        reasoning: "hm",
        reasoning_details: [{ type: "reasoning.text", text: "hm", signature: "sig" }],
        tool_calls: [
          { id: "call_1", type: "function", function: { name: "f", arguments: '{"a":1}' } },
          { id: "call_2", type: "function", function: { name: "g", arguments: "oops" } },
        ],
      },
      logprobs: null,
      finish_reason: "tool_calls",
    },
  ],
  usage: {
    prompt_tokens: 10,
    completion_tokens: 4,
    total_tokens: 14,
    prompt_tokens_details: { cached_tokens: 6 },
    completion_tokens_details: { reasoning_tokens: 2 },
  },
};

function withChoice(choice: JsonObject, more: JsonObject = {}): Completion {
  return {
    ...COMPLETION,
    ...more,
    choices: [{ index: 0, message: { role: "assistant", content: "x", refusal: null }, logprobs: null, finish_reason: "stop", ...choice }],
  };
}

describe("response()", () => {
  it("of chat completions is the common form", () => {
    assert.equal(CLIENT_WIRES.chat.response(COMPLETION, REQUESTS.chat), COMPLETION);
  });

  it("of Anthropic's messages has blocks, and counts the cache apart", () => {
    assert.deepEqual(CLIENT_WIRES.messages.response(COMPLETION, REQUESTS.messages), {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "m-1",
      content: [
        { type: "thinking", thinking: "hm", signature: "sig" },
        { type: "text", text: "Hello" },
        { type: "tool_use", id: "call_1", name: "f", input: { a: 1 } },
        { type: "tool_use", id: "call_2", name: "g", input: { INVALID_JSON: "oops" } },
      ],
      stop_reason: "tool_use",
      stop_sequence: null,
      stop_details: null,
      usage: {
        input_tokens: 4,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 6,
        output_tokens: 4,
        output_tokens_details: { thinking_tokens: 2 },
      },
    });
  });

  it("of OpenAI's responses has items, and what was asked for", () => {
    const answer = CLIENT_WIRES.responses.response(COMPLETION, REQUESTS.responses);
    assert.deepEqual(answer["output"], [
      { id: "rs_1_0", type: "reasoning", summary: [{ type: "summary_text", text: "hm" }], encrypted_content: "sig" },
      {
        id: "msg_1_1",
        type: "message",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: "Hello", annotations: [], logprobs: [] }],
      },
      { id: "fc_1_2", type: "function_call", call_id: "call_1", name: "f", arguments: '{"a":1}', status: "completed" },
      { id: "fc_1_3", type: "function_call", call_id: "call_2", name: "g", arguments: "oops", status: "completed" },
    ]);
    const { id, object, status, error, tools, metadata, max_output_tokens: limit, store, created_at: created } = answer;
    assert.deepEqual(
      { id, object, status, error, tools, metadata, limit, store, created },
      {
        id: "resp_1",
        object: "response",
        status: "completed",
        error: null,
        tools: [{ type: "function", name: "f" }],
        metadata: { a: "b" },
        limit: 9,
        store: false,
        created: 1_700_000_000,
      },
    );
  });

  const ends: readonly (readonly [finish: string, stop: string, status: string, reason: string | undefined])[] = [
    ["stop", "end_turn", "completed", undefined],
    ["length", "max_tokens", "incomplete", "max_output_tokens"],
    ["tool_calls", "tool_use", "completed", undefined],
    ["function_call", "tool_use", "completed", undefined],
    ["content_filter", "refusal", "incomplete", "content_filter"],
    ["toString", "end_turn", "completed", undefined],
  ];
  for (const [finish, stop, status, reason] of ends)
    it(`says why the model stopped: ${finish}`, () => {
      const completion = withChoice({ finish_reason: finish });
      assert.equal(CLIENT_WIRES.messages.response(completion, REQUESTS.messages)["stop_reason"], stop);
      const response = CLIENT_WIRES.responses.response(completion, REQUESTS.responses);
      assert.deepEqual([response["status"], (response["incomplete_details"] as JsonObject | null)?.["reason"]], [status, reason]);
    });

  it("has a refusal", () => {
    const completion = withChoice({ message: { role: "assistant", content: null, refusal: "No." } });
    assert.deepEqual(CLIENT_WIRES.messages.response(completion, REQUESTS.messages)["content"], [{ type: "text", text: "No." }]);
    const [item] = CLIENT_WIRES.responses.response(completion, REQUESTS.responses)["output"] as readonly JsonObject[];
    assert.deepEqual(item?.["content"], [{ type: "refusal", refusal: "No." }]);
  });

  for (const broken of [
    { choices: [] },
    { choices: [{ index: 0 }] },
    { choices: [{ index: 0, message: { content: 7 } }] },
    { choices: [{ index: 0, message: { tool_calls: [{}] } }] },
  ])
    it(`refuses what is no answer: ${JSON.stringify(broken)}`, () => {
      for (const api of ["messages", "responses"] as const)
        assert.throws(() => CLIENT_WIRES[api].response({ ...COMPLETION, ...broken }, REQUESTS[api]), { code: "MORTISE_GATEWAY_UPSTREAM" });
    });
});

describe("readResponse() of Anthropic's messages", () => {
  const MESSAGE: JsonObject = {
    id: "msg_9",
    type: "message",
    role: "assistant",
    model: "claude-x",
    content: [
      { type: "text", text: "Cited.", citations: [{ type: "char_location", cited_text: "x" }] },
      { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} },
      { type: "text", text: "Plain.", citations: null },
    ],
    stop_reason: "pause_turn",
    stop_sequence: null,
    stop_details: null,
    container: { id: "c" },
    usage: {
      input_tokens: 1,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: 2,
      server_tool_use: { web_search_requests: 1 },
    },
  };

  it("keeps what only Anthropic has for Anthropic's clients", () => {
    const back = CLIENT_WIRES.messages.response(CLIENT_WIRES.messages.readResponse(MESSAGE), REQUESTS.messages);
    const content = [...(MESSAGE["content"] as JsonObject[]).slice(0, 2), { type: "text", text: "Plain." }];
    assert.deepEqual(back, { ...MESSAGE, content });
  });

  it("joins plain texts", () => {
    const { choices } = CLIENT_WIRES.messages.readResponse({
      ...MESSAGE,
      content: [
        { type: "text", text: "a" },
        { type: "text", text: "b" },
      ],
      stop_reason: "end_turn",
    });
    assert.deepEqual(choices, [{ index: 0, message: { role: "assistant", content: "ab", refusal: null }, logprobs: null, finish_reason: "stop" }]);
  });

  for (const [change, param] of [
    [{ id: 7 }, "id"],
    [{ model: undefined }, "model"],
    [{ content: "x" }, "content"],
    [{ content: [7] }, "content[0]"],
    [{ content: [{ type: "tool_use", id: "a", name: "f", input: [] }] }, "content[0].input"],
  ] as const)
    it(`names the field that is wrong: ${param}`, () => {
      assert.throws(
        () => CLIENT_WIRES.messages.readResponse({ ...MESSAGE, ...change }),
        (error: { readonly code?: unknown; readonly details?: JsonObject }) =>
          error.code === "MORTISE_GATEWAY_UPSTREAM" && error.details?.["param"] === param,
      );
    });
});

describe("readResponse() of chat completions", () => {
  it("throws an error that a server tells in place of an answer", () => {
    assert.throws(() => CLIENT_WIRES.chat.readResponse({ error: { message: "busy", code: 429 } }), {
      code: "MORTISE_GATEWAY_UPSTREAM",
      message: /the answer is an error: busy$/,
      details: { what: "the answer", reason: "is an error: busy", error: { message: "busy", code: 429 } },
    });
  });

  for (const body of [{}, { choices: 7 }, { choices: [7] }, { choices: [{ message: "x" }] }])
    it(`refuses what is no answer: ${JSON.stringify(body)}`, () => {
      assert.throws(() => CLIENT_WIRES.chat.readResponse(body), { code: "MORTISE_GATEWAY_UPSTREAM" });
    });
});

describe("readResponse() of OpenAI's responses", () => {
  it("throws the error of one that failed", () => {
    const body = { id: "resp_1", model: "m", status: "failed", error: { code: "server_error", message: "broken" }, output: [] };
    assert.throws(() => CLIENT_WIRES.responses.readResponse(body), { code: "MORTISE_GATEWAY_UPSTREAM", message: /is an error: broken$/ });
  });
});

describe("completionToChunks()", () => {
  it("tells every choice, its end, and the usage last", () => {
    const two = { ...COMPLETION, choices: [...withChoice({}).choices, { ...withChoice({}).choices[0], index: 1, finish_reason: "length" }] };
    const chunks = completionToChunks(two);
    assert.deepEqual(
      chunks.map(({ choices, usage }) => [choices[0]?.["index"], choices[0]?.["finish_reason"], usage === undefined]),
      [
        [0, null, true],
        [0, "stop", true],
        [1, null, true],
        [1, "length", true],
        [undefined, undefined, false],
      ],
    );
    for (const chunk of chunks) assert.equal(chunk.object, "chat.completion.chunk");
  });
});

const failure = (kind: FailureKind, more: Partial<Failure> = {}): Failure => ({
  kind,
  status: 500,
  message: "Why",
  retryable: false,
  allowFallbacks: false,
  ...more,
});

describe("error()", () => {
  const words: Readonly<Record<FailureKind, readonly [openai: string, code: string | null, anthropic: string]>> = {
    invalid_request: ["invalid_request_error", null, "invalid_request_error"],
    authentication: ["authentication_error", "invalid_api_key", "authentication_error"],
    permission: ["permission_error", "permission_denied", "permission_error"],
    not_found: ["invalid_request_error", "not_found", "not_found_error"],
    too_large: ["invalid_request_error", "request_too_large", "request_too_large"],
    rate_limited: ["rate_limit_error", "rate_limit_exceeded", "rate_limit_error"],
    quota: ["insufficient_quota", "insufficient_quota", "billing_error"],
    blocked: ["invalid_request_error", "content_policy_violation", "permission_error"],
    cancelled: ["invalid_request_error", "request_cancelled", "invalid_request_error"],
    timeout: ["server_error", "timeout", "timeout_error"],
    overloaded: ["server_error", "overloaded", "overloaded_error"],
    upstream: ["server_error", "upstream_error", "api_error"],
    internal: ["server_error", "internal_error", "api_error"],
  };
  for (const [kind, [type, code, anthropic]] of Object.entries(words) as [FailureKind, (typeof words)[FailureKind]][])
    it(`has the words of each interface: ${kind}`, () => {
      const expected = { error: { message: "Why", type, param: null, code } };
      assert.deepEqual(CLIENT_WIRES.chat.error(failure(kind), "req_1"), expected);
      assert.deepEqual(CLIENT_WIRES.responses.error(failure(kind), "req_1"), expected);
      assert.deepEqual(embeddingsError(failure(kind)), expected);
      assert.deepEqual(CLIENT_WIRES.messages.error(failure(kind), "req_1"), {
        type: "error",
        error: { type: anthropic, message: "Why" },
        request_id: "req_1",
      });
    });

  it("names the field and the code", () => {
    const { error } = CLIENT_WIRES.chat.error(failure("invalid_request", { param: "model", code: "MORTISE_GATEWAY_REQUEST" }), "req_1");
    assert.deepEqual(error, { message: "Why", type: "invalid_request_error", param: "model", code: "MORTISE_GATEWAY_REQUEST" });
  });

  const said = { error: { message: "Their words", type: "invalid_request_error", param: "messages", code: "x" } };
  const upstream = (status: number, body: unknown, api: "chat" | "messages" = "chat"): Partial<Failure> => ({
    upstream: { api, status, body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)) },
  });

  it("hands on what a server of the client's interface says about the request", () => {
    for (const status of [400, 404, 422, 429])
      assert.deepEqual(CLIENT_WIRES.responses.error(failure("upstream", upstream(status, said)), "req_1"), said);
    const anthropic = { type: "error", error: { type: "invalid_request_error", message: "Their words" }, request_id: "req_theirs" };
    assert.deepEqual(CLIENT_WIRES.messages.error(failure("upstream", upstream(400, anthropic, "messages")), "req_1"), {
      ...anthropic,
      request_id: "req_1",
    });
  });

  const kept: readonly (readonly [string, Partial<Failure>])[] = [
    ["about the gateway's own key", upstream(401, said)],
    ["about itself", upstream(500, said)],
    ["in another interface", upstream(400, said, "messages")],
    ["that is no JSON", upstream(400, "<html>")],
    ["that is no error", upstream(400, { error: "x" })],
    ["at great length", upstream(400, { ...said, more: "x".repeat(70_000) })],
  ];
  for (const [what, more] of kept)
    it(`keeps back what a server says ${what}`, () => {
      assert.deepEqual(CLIENT_WIRES.chat.error(failure("upstream", more), "req_1"), CLIENT_WIRES.chat.error(failure("upstream"), "req_1"));
    });
});

describe("modelsList()", () => {
  const models = [
    { id: "openai/a", created: 86_400, ownedBy: "openai" },
    { id: "echo", ownedBy: "echo", displayName: "Echo" },
  ];

  it("is a list of OpenAI's", () => {
    assert.deepEqual(modelsList(models, "openai"), {
      object: "list",
      data: [
        { id: "openai/a", object: "model", created: 86_400, owned_by: "openai" },
        { id: "echo", object: "model", created: 0, owned_by: "echo" },
      ],
    });
  });

  it("is a page of Anthropic's", () => {
    const data = [
      { type: "model", id: "openai/a", display_name: "openai/a", created_at: "1970-01-02T00:00:00.000Z" },
      { type: "model", id: "echo", display_name: "Echo", created_at: "1970-01-01T00:00:00.000Z" },
    ];
    assert.deepEqual(modelsList(models, "anthropic"), { data, has_more: false, first_id: "openai/a", last_id: "echo" });
    assert.deepEqual(modelsList([], "anthropic"), { data: [], has_more: false, first_id: null, last_id: null });
    assert.deepEqual(modelObject(models[1] as (typeof models)[number], "anthropic"), data[1]);
  });

  it("is Anthropic's for clients that name a version of it", () => {
    assert.deepEqual([modelsShape({ "anthropic-version": "2023-06-01" }), modelsShape({})], ["anthropic", "openai"]);
  });
});
