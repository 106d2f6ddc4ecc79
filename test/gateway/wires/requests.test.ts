// Requests of the three interfaces into the common form and back.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type JsonObject, isMortiseError } from "mortise";

import { CLIENT_WIRES } from "../../../src/gateway/wires/index.ts";
import { CHAT_REQUEST, MESSAGES_COMMON, MESSAGES_REQUEST, PNG, RESPONSES_COMMON, RESPONSES_REQUEST } from "./samples.ts";

type Api = keyof typeof CLIENT_WIRES;

const BODIES: Readonly<Record<Api, JsonObject>> = { chat: CHAT_REQUEST, responses: RESPONSES_REQUEST, messages: MESSAGES_REQUEST };
const SMALL: Readonly<Record<Api, JsonObject>> = {
  chat: { model: "m", messages: [{ role: "user", content: "Hi" }] },
  responses: { model: "m", input: "Hi" },
  messages: { model: "m", max_tokens: 9, messages: [{ role: "user", content: "Hi" }] },
};

/** The field that a request is refused for. */
function refusedFor(api: Api, body: JsonObject): string | undefined {
  try {
    CLIENT_WIRES[api].read(body);
  } catch (error) {
    assert.ok(isMortiseError(error), String(error));
    assert.equal(error.code, "MORTISE_GATEWAY_REQUEST");
    assert.equal(error.status, 400);
    const { param = "the body" } = error.details;
    assert.ok(typeof param === "string");
    return param;
  }
  return undefined;
}

describe("read() of chat completions", () => {
  const { llm, stream, streamUsage, body } = CLIENT_WIRES.chat.read(CHAT_REQUEST);

  it("hands on messages as they are", () => {
    assert.equal(llm.input, CHAT_REQUEST["messages"]);
    assert.equal(body, CHAT_REQUEST);
  });

  it("hands on all parameters, max_tokens under its newer name", () => {
    const { model: _model, messages: _messages, stream: _stream, max_tokens: maxTokens, ...rest } = CHAT_REQUEST;
    assert.deepEqual(llm.params, { ...rest, max_completion_tokens: maxTokens });
  });

  it("says what is asked for, and of whom", () => {
    assert.deepEqual([llm.request_type, llm.provider, llm.model, stream, streamUsage], ["chat_completion_stream", "", "openai/gpt-x", true, true]);
    const small = CLIENT_WIRES.chat.read({ ...SMALL.chat, stream_options: { include_usage: true } });
    assert.deepEqual([small.llm.request_type, small.stream, small.streamUsage], ["chat_completion", false, false]);
  });

  it("prefers max_completion_tokens where both are there", () => {
    const { params } = CLIENT_WIRES.chat.read({ ...SMALL.chat, max_tokens: 5, max_completion_tokens: 7 }).llm;
    assert.deepEqual(params, { max_completion_tokens: 7 });
  });

  it("takes fallbacks out of the parameters", () => {
    const { llm: read } = CLIENT_WIRES.chat.read({ ...SMALL.chat, fallbacks: ["a/b", { provider: "c", model: "d" }] });
    assert.deepEqual(read.fallbacks, ["a/b", { provider: "c", model: "d" }]);
    assert.deepEqual(read.params, {});
  });

  it("does not take __proto__ for a prototype", () => {
    const { llm: read } = CLIENT_WIRES.chat.read(
      JSON.parse('{"model":"m","messages":[{"role":"user","content":"Hi"}],"__proto__":{"temperature":"x"}}') as JsonObject,
    );
    assert.equal((read.params as JsonObject)["temperature"], undefined);
    assert.deepEqual(Object.keys(read.params as JsonObject), ["__proto__"]);
  });
});

describe("read() of Anthropic's messages", () => {
  it("gives the common form", () => {
    const { llm, stream, streamUsage } = CLIENT_WIRES.messages.read(MESSAGES_REQUEST);
    assert.deepEqual(llm.input, MESSAGES_COMMON.input);
    assert.deepEqual(llm.params, MESSAGES_COMMON.params);
    assert.deepEqual([llm.request_type, llm.model, stream, streamUsage], ["chat_completion_stream", "anthropic/claude-x", true, true]);
  });

  it("has what stands between results of tools as messages of its own", () => {
    const result = (id: string): JsonObject => ({ type: "tool_result", tool_use_id: id });
    const text = { type: "text", text: "and" };
    const { llm } = CLIENT_WIRES.messages.read({ ...SMALL.messages, messages: [{ role: "user", content: [result("a"), text, result("b")] }] });
    assert.deepEqual(llm.input, [
      { role: "tool", tool_call_id: "a", content: "" },
      { role: "user", content: [text] },
      { role: "tool", tool_call_id: "b", content: "" },
    ]);
  });

  const choices: readonly (readonly [JsonObject, JsonObject])[] = [
    [{ type: "auto" }, { tool_choice: "auto" }],
    [{ type: "any" }, { tool_choice: "required" }],
    [{ type: "none" }, { tool_choice: "none" }],
    [
      { type: "auto", disable_parallel_tool_use: true },
      { tool_choice: "auto", parallel_tool_calls: false },
    ],
  ];
  for (const [choice, params] of choices)
    it(`knows the choice of tools ${JSON.stringify(choice)}`, () => {
      const request = CLIENT_WIRES.messages.read({ ...SMALL.messages, tool_choice: choice });
      assert.deepEqual(request.llm.params, { max_completion_tokens: 9, ...params });
      assert.deepEqual(CLIENT_WIRES.messages.body(request.llm, request)["tool_choice"], choice);
    });
});

describe("read() of OpenAI's responses", () => {
  it("gives the common form", () => {
    const { llm, stream, streamUsage } = CLIENT_WIRES.responses.read(RESPONSES_REQUEST);
    assert.deepEqual(llm.input, RESPONSES_COMMON.input);
    assert.deepEqual(llm.params, RESPONSES_COMMON.params);
    assert.deepEqual([llm.request_type, llm.model, stream, streamUsage], ["chat_completion_stream", "openai/gpt-x", true, true]);
  });

  it("takes a text for what the user says", () => {
    assert.deepEqual(CLIENT_WIRES.responses.read(SMALL.responses).llm.input, [{ role: "user", content: "Hi" }]);
  });

  it("begins another turn of the model after its calls", () => {
    const call = { type: "function_call", call_id: "a", name: "f", arguments: "{}" };
    const said = (content: string): JsonObject => ({ role: "assistant", content });
    const { llm } = CLIENT_WIRES.responses.read({ model: "m", input: [said("one"), said("two"), call, said("three")] });
    const calls = [{ id: "a", type: "function", function: { name: "f", arguments: "{}" } }];
    assert.deepEqual(llm.input, [said("one"), { ...said("two"), tool_calls: calls }, said("three")]);
  });

  const choice = { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "f" }] };
  it("knows a choice among some tools", () => {
    const request = CLIENT_WIRES.responses.read({ ...SMALL.responses, tool_choice: choice });
    const common = { type: "allowed_tools", allowed_tools: { mode: "required", tools: [{ type: "function", function: { name: "f" } }] } };
    assert.deepEqual(request.llm.params, { tool_choice: common });
    assert.deepEqual(CLIENT_WIRES.responses.body(request.llm, request)["tool_choice"], choice);
  });

  it("ignores that it is to be kept", () => {
    assert.deepEqual(CLIENT_WIRES.responses.read({ ...SMALL.responses, store: true, background: false, previous_response_id: null }).llm.params, {});
  });
});

describe("body()", () => {
  it("says of chat completions what the client said, in the client's names", () => {
    const request = CLIENT_WIRES.chat.read(CHAT_REQUEST);
    assert.deepEqual(CLIENT_WIRES.chat.body(request.llm, request), CHAT_REQUEST);
  });

  it("says of Anthropic's messages what the client said", () => {
    const request = CLIENT_WIRES.messages.read(MESSAGES_REQUEST);
    assert.deepEqual(CLIENT_WIRES.messages.body(request.llm, request), MESSAGES_REQUEST);
  });

  it("says of OpenAI's responses what the client said, but for ids that nobody needs", () => {
    const request = CLIENT_WIRES.responses.read(RESPONSES_REQUEST);
    const written = CLIENT_WIRES.responses.body(request.llm, request);
    assert.deepEqual(CLIENT_WIRES.responses.read(written).llm, request.llm);
    const { input: _written, ...rest } = written;
    const { input: _given, ...given } = RESPONSES_REQUEST;
    assert.deepEqual(rest, given);
  });

  for (const api of ["chat", "messages", "responses"] as const)
    it(`has the model and messages that were changed: ${api}`, () => {
      const request = CLIENT_WIRES[api].read(SMALL[api]);
      const llm = {
        ...request.llm,
        model: "other",
        input: [{ role: "user", content: "Hello" }],
        params: { temperature: 1, max_completion_tokens: 3 },
      };
      const again = CLIENT_WIRES[api].read(CLIENT_WIRES[api].body(llm, request)).llm;
      assert.deepEqual(again, llm);
    });

  it("leaves thinking that nobody signed out of requests to Anthropic", () => {
    const messages = [
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "" },
          { type: "text", text: "Hi" },
        ],
      },
    ];
    const request = CLIENT_WIRES.messages.read({ ...SMALL.messages, messages });
    assert.deepEqual(request.llm.input, [{ role: "assistant", content: "Hi", reasoning: "hm" }]);
    assert.deepEqual(CLIENT_WIRES.messages.body(request.llm, request)["messages"], [{ role: "assistant", content: [{ type: "text", text: "Hi" }] }]);
  });

  it("refuses messages that a plugin broke", () => {
    const request = CLIENT_WIRES.messages.read(SMALL.messages);
    for (const input of ["text", [7], [{ role: "user", content: 7 }], [{ role: "tool", content: "x" }], [{ role: "assistant", tool_calls: [{}] }]])
      assert.throws(() => CLIENT_WIRES.messages.body({ ...request.llm, input }, request), { code: "MORTISE_GATEWAY_REQUEST" });
  });
});

const user = (content: unknown): JsonObject => ({ messages: [{ role: "user", content }] });
const item = (one: unknown): JsonObject => ({ input: [one] });

/** Changes of a small request, and the field that it is refused for. */
const REFUSED: Readonly<Record<Api, readonly (readonly [change: JsonObject, param: string])[]>> = {
  chat: [
    [{ model: undefined }, "model"],
    [{ model: "" }, "model"],
    [{ model: 7 }, "model"],
    [{ messages: undefined }, "messages"],
    [{ messages: [] }, "messages"],
    [{ messages: "Hi" }, "messages"],
    [{ messages: [7] }, "messages[0]"],
    [
      {
        messages: [
          { role: "user", content: "Hi" },
          { role: "owner", content: "Hi" },
        ],
      },
      "messages[1].role",
    ],
    [{ messages: [{ role: "user" }] }, "messages[0].content"],
    [{ messages: [{ role: "tool", content: "x" }] }, "messages[0].tool_call_id"],
    [{ messages: [{ role: "assistant", tool_calls: {} }] }, "messages[0].tool_calls"],
    [{ messages: [{ role: "assistant", tool_calls: [{ id: "a", function: { arguments: "" } }] }] }, "messages[0].tool_calls[0].function.name"],
    [{ messages: [{ role: "assistant", tool_calls: [{ id: "a", function: { name: "f" } }] }] }, "messages[0].tool_calls[0].function.arguments"],
    [user(7), "messages[0].content"],
    [user([{}]), "messages[0].content[0].type"],
    [user([{ type: "text" }]), "messages[0].content[0].text"],
    [user([{ type: "image_url", image_url: "https://a" }]), "messages[0].content[0].image_url"],
    [
      user([
        { type: "text", text: "" },
        { type: "image_url", image_url: { url: 7 } },
      ]),
      "messages[0].content[1].image_url.url",
    ],
    [user([{ type: "image_url", image_url: { url: "data:image/png,abc" } }]), "messages[0].content[0].image_url.url"],
    [user([{ type: "input_audio", input_audio: { data: "" } }]), "messages[0].content[0].input_audio.data"],
    [user([{ type: "file", file: { file_data: 7 } }]), "messages[0].content[0].file.file_data"],
    [{ stream: "yes" }, "stream"],
    [{ stream_options: { include_usage: 1 } }, "stream_options.include_usage"],
    [{ temperature: "hot" }, "temperature"],
    [{ max_tokens: 0 }, "max_tokens"],
    [{ max_completion_tokens: 1.5 }, "max_completion_tokens"],
    [{ stop: [1] }, "stop[0]"],
    [{ stop: 1 }, "stop"],
    [{ tools: {} }, "tools"],
    [{ tools: [{ function: {} }] }, "tools[0].type"],
    [{ tools: [{ type: "function", function: { name: "" } }] }, "tools[0].function.name"],
    [{ tools: [{ type: "function", function: { name: "f", parameters: "{}" } }] }, "tools[0].function.parameters"],
    [{ tool_choice: "maybe" }, "tool_choice"],
    [{ tool_choice: { type: "function", function: {} } }, "tool_choice.function.name"],
    [{ response_format: "json" }, "response_format"],
    [{ response_format: { type: "json_schema" } }, "response_format.json_schema"],
    [{ response_format: { type: "json_schema", json_schema: { schema: {} } } }, "response_format.json_schema.name"],
    [{ fallbacks: "a" }, "fallbacks"],
    [{ fallbacks: [{ provider: "a" }] }, "fallbacks[0].model"],
  ],
  messages: [
    [{ model: undefined }, "model"],
    [{ max_tokens: undefined }, "max_tokens"],
    [{ max_tokens: "9" }, "max_tokens"],
    [{ messages: undefined }, "messages"],
    [{ messages: [] }, "messages"],
    [{ messages: [{ role: "tool", content: "x" }] }, "messages[0].role"],
    [user(null), "messages[0].content"],
    [user([{ type: "text", text: 7 }]), "messages[0].content[0].text"],
    [user([{ type: "image" }]), "messages[0].content[0].source"],
    [user([{ type: "image", source: { type: "base64", data: "x" } }]), "messages[0].content[0].source.media_type"],
    [user([{ type: "image", source: { type: "base64", media_type: "image/png", data: 7 } }]), "messages[0].content[0].source.data"],
    [user([{ type: "image", source: { type: "base64", media_type: "png", data: "AAAA" } }]), "messages[0].content[0].source.media_type"],
    [user([{ type: "document", source: { type: "url" } }]), "messages[0].content[0].source.url"],
    [user([{ type: "tool_result" }]), "messages[0].content[0].tool_use_id"],
    [user([{ type: "tool_result", tool_use_id: "a", content: 7 }]), "messages[0].content[0].content"],
    [user([{ type: "tool_result", tool_use_id: "a", content: [{ type: "text" }] }]), "messages[0].content[0].content[0].text"],
    [{ messages: [{ role: "assistant", content: [{ type: "tool_use", id: "a", name: "f", input: "{}" }] }] }, "messages[0].content[0].input"],
    [{ messages: [{ role: "assistant", content: [{ type: "thinking", signature: "" }] }] }, "messages[0].content[0].thinking"],
    [{ system: 7 }, "system"],
    [{ system: [{ type: "text" }] }, "system[0].text"],
    [{ stop_sequences: "END" }, "stop_sequences"],
    [{ tools: [{ name: "f" }] }, "tools[0].input_schema"],
    [{ tools: [{ input_schema: {} }] }, "tools[0].name"],
    [{ tool_choice: "auto" }, "tool_choice"],
    [{ tool_choice: { type: "tool" } }, "tool_choice.name"],
    [{ thinking: true }, "thinking"],
    [{ thinking: { type: "enabled", budget_tokens: "9" } }, "thinking.budget_tokens"],
    [{ output_config: { format: { type: "json_schema" } } }, "output_config.format.schema"],
    [{ top_k: -1 }, "top_k"],
    [{ stream: 1 }, "stream"],
  ],
  responses: [
    [{ model: undefined }, "model"],
    [{ input: undefined }, "input"],
    [{ input: [] }, "input"],
    [{ previous_response_id: "resp_1" }, "previous_response_id"],
    [{ conversation: "conv_1" }, "conversation"],
    [{ prompt: { id: "pmpt_1" } }, "prompt"],
    [{ context_management: [] }, "context_management"],
    [{ background: true }, "background"],
    [{ tools: [{ type: "web_search" }] }, "tools[0].type"],
    [{ tools: [{ type: "function" }] }, "tools[0].name"],
    [{ tool_choice: { type: "web_search" } }, "tool_choice.type"],
    [{ tool_choice: { type: "allowed_tools", mode: "auto", tools: [{}] } }, "tool_choice.tools[0].name"],
    [{ text: { format: { type: "json_schema", name: "a" } } }, "text.format.schema"],
    [{ text: { format: { type: "yaml" } } }, "text.format.type"],
    [{ reasoning: "low" }, "reasoning"],
    [{ max_output_tokens: 0 }, "max_output_tokens"],
    [{ instructions: 7 }, "instructions"],
    [{ include: "all" }, "include"],
    [item(7), "input[0]"],
    [item({ role: "owner", content: "x" }), "input[0].role"],
    [item({ role: "user", content: 7 }), "input[0].content"],
    [item({ role: "user", content: [{ type: "input_text" }] }), "input[0].content[0].text"],
    [item({ role: "user", content: [{ type: "input_image", file_id: "file_1" }] }), "input[0].content[0].file_id"],
    [item({ role: "user", content: [{ type: "input_image", image_url: "data:x" }] }), "input[0].content[0].image_url"],
    [item({ role: "user", content: [{ type: "input_file" }] }), "input[0].content[0]"],
    [item({ role: "user", content: [{ type: "computer_screenshot" }] }), "input[0].content[0].type"],
    [item({ type: "item_reference", id: "x" }), "input[0].type"],
    [item({ type: "web_search_call", id: "x" }), "input[0].type"],
    [item({ type: "function_call_output", output: "x" }), "input[0].call_id"],
    [item({ type: "function_call", call_id: "a", name: "f" }), "input[0].arguments"],
    [item({ type: "reasoning", summary: [{ text: 7 }] }), "input[0].summary[0].text"],
    [item({ role: "assistant", content: [{ type: "output_audio" }] }), "input[0].content[0].type"],
  ],
};

describe("read() names the field that is wrong", () => {
  for (const api of ["chat", "messages", "responses"] as const)
    for (const [change, param] of REFUSED[api])
      it(`${api}: ${param}: ${JSON.stringify(change)}`, () => {
        assert.equal(refusedFor(api, SMALL[api]), undefined);
        assert.equal(refusedFor(api, { ...SMALL[api], ...change }), param);
      });

  it("says what it must be, and what it is", () => {
    assert.throws(() => CLIENT_WIRES.chat.read({ ...SMALL.chat, ...user([{ type: "image_url", image_url: { url: 7 } }]) }), {
      message: "Refused the request: messages[0].content[0].image_url.url must be text that is not empty, but is a number",
    });
    assert.throws(() => CLIENT_WIRES.responses.read({ ...SMALL.responses, previous_response_id: "x" }), {
      message: /^Refused the request: previous_response_id is not supported: the gateway keeps no responses/,
    });
  });

  it("refuses arguments that are nested too deeply to be written", () => {
    const deep = JSON.parse(`{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`) as JsonObject;
    const messages = [{ role: "assistant", content: [{ type: "tool_use", id: "a", name: "f", input: deep }] }];
    assert.equal(refusedFor("messages", { ...SMALL.messages, messages }), "messages[0].content[0].input");
  });

  it("takes data URLs of any case, and with parameters", () => {
    for (const url of [PNG, PNG.replace("data:image/png;base64", "DATA:image/PNG;charset=utf-8;BASE64")])
      assert.equal(refusedFor("chat", { ...SMALL.chat, ...user([{ type: "image_url", image_url: { url } }]) }), undefined);
  });
});

type Step = string | number;

/** All places inside a value. */
function* placesOf(value: unknown, path: readonly Step[] = []): Iterable<readonly Step[]> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    const step = Array.isArray(value) ? Number(key) : key;
    yield [...path, step];
    yield* placesOf(inner, [...path, step]);
  }
}

function replaced(value: unknown, [step, ...rest]: readonly Step[], by: unknown): unknown {
  if (step === undefined) return by;
  if (Array.isArray(value)) return value.map((one: unknown, index) => (index === step ? replaced(one, rest, by) : one));
  return { ...(value as JsonObject), [step]: replaced((value as JsonObject)[step], rest, by) };
}

const placeText = (path: readonly Step[]): string =>
  path.reduce<string>((text, step) => (typeof step === "number" ? `${text}[${step}]` : text === "" ? step : `${text}.${step}`), "");

describe("read() with a wrong value in any place", () => {
  for (const api of ["chat", "messages", "responses"] as const)
    it(`takes it, or names the place or one around or inside it: ${api}`, () => {
      let refusals = 0;
      for (const path of placesOf(BODIES[api]))
        for (const wrong of [undefined, null, 7, -1, "", "x", true, [], {}, [7], [[]], { type: 7 }, { type: "x" }]) {
          const param = refusedFor(api, replaced(BODIES[api], path, wrong) as JsonObject);
          if (param === undefined) continue;
          refusals++;
          const place = placeText(path);
          const stem = place.replace(/\.(type|role)$/, "");
          assert.ok(param.startsWith(stem) || place.startsWith(param), `${place} = ${JSON.stringify(wrong)} is refused for ${param}`);
        }
      assert.ok(refusals > 300, `only ${refusals} refusals`);
    });
});
