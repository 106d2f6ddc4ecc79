// Whatever a client writes and a server gets, plugins are shown: nothing of a body that passes through is hidden from them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type JsonObject, isMortiseError } from "mortise";

import { CLIENT_WIRES, readEmbeddings } from "../../src/gateway/wires/index.ts";
import { PATHS, post, sentTo, startStage } from "./start-gateway.ts";
import { CHAT_REQUEST, MESSAGES_REQUEST, RESPONSES_REQUEST } from "./wires/samples.ts";

const MARK = "MARK";
const GUARD = new URL("../../guests/prebuilt/gateway_guard.c.wasm", import.meta.url);
type Api = keyof typeof PATHS;
type Change = readonly [path: string, make: () => void];

/** Items and parts that the samples do not have. */
const BODIES: Readonly<Record<Api, JsonObject>> = {
  chat: CHAT_REQUEST,
  messages: MESSAGES_REQUEST,
  responses: {
    ...RESPONSES_REQUEST,
    input: [
      ...(RESPONSES_REQUEST["input"] as readonly unknown[]),
      { type: "reasoning", summary: [{ type: "summary_text", text: "short" }], content: [{ type: "reasoning_text", text: "full" }] },
      { role: "assistant", content: [{ type: "refusal", refusal: "no" }] },
      { role: "assistant", content: "" },
      { type: "reasoning", id: "rs_3", summary: [] },
      { role: "user", content: [{ type: "refusal", refusal: "no" }] },
      { role: "user", content: [{ type: "output_text", text: "x", annotations: [{ type: "url_citation", title: "t", url: "u" }] }] },
    ],
    tool_choice: { type: "allowed_tools", mode: "auto", tools: [{ type: "function", name: "weather" }] },
    stream_options: { include_obfuscation: false },
    background: false,
  },
  embeddings: { model: "m", input: ["one", "two"], dimensions: 3, user: "u" },
};

/** Names of the common form, and of every interface: a client may write any of them anywhere. */
const NAMES = ["zz", "title", "name", "text", "summary", "function", "image_url", "url", "file", "role", "content", "tool_calls", "stop"];

/** Every way to bring a text into a body: behind a text, in place of another value, and as a further field of each object. */
function* changesOf(value: unknown, path: string, put: (by: unknown) => void): Generator<Change> {
  if (typeof value === "string") yield [`${path} longer`, () => put(value + MARK)];
  else if (Array.isArray(value)) for (const [index, one] of value.entries()) yield* changesOf(one, `${path}[${index}]`, (by) => (value[index] = by));
  else if (typeof value !== "object" || value === null) yield [`${path} replaced`, () => put(MARK)];
  else {
    const object = value as Record<string, unknown>;
    for (const name of NAMES) if (!Object.hasOwn(object, name)) yield [`${path}.${name} added`, () => (object[name] = MARK)];
    for (const name of Object.keys(object)) yield* changesOf(object[name], `${path}.${name}`, (by) => (object[name] = by));
  }
}

/** All texts of a value that stand in JSON as they are. */
function textsOf(value: unknown): readonly string[] {
  if (typeof value === "string") return [JSON.stringify(value)];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [];
}

/** What plugins see of a body; undefined for one that is refused. */
function seen(api: Api, body: JsonObject): string | undefined {
  try {
    return JSON.stringify((api === "embeddings" ? readEmbeddings(body) : CLIENT_WIRES[api].read(body)).llm);
  } catch (error) {
    assert.ok(isMortiseError(error) && error.code === "MORTISE_GATEWAY_REQUEST", String(error));
    return undefined;
  }
}

/** The changes whose text no plugin sees, and whose other texts some plugin sees no more. */
function hidden(api: Api): readonly string[] {
  const count = [...changesOf(structuredClone(BODIES[api]), "body", () => {})].length;
  const before = textsOf(BODIES[api]).filter((text) => seen(api, BODIES[api])?.includes(text));
  const found: string[] = [];
  for (let index = 0; index < count; index++) {
    const body = structuredClone(BODIES[api]);
    const [path, make] = [...changesOf(body, "body", () => {})][index] ?? assert.fail();
    make();
    const after = seen(api, body);
    if (after === undefined) continue;
    if (!after.includes(MARK)) found.push(path);
    // What is added takes nothing away.
    if (path.endsWith(" added")) for (const text of before) if (!after.includes(text)) found.push(`${path} hides ${text}`);
  }
  return found;
}

describe("Plugins", () => {
  for (const api of ["chat", "messages", "embeddings"] as const)
    it(`are shown every text of a request of ${api}`, () => {
      assert.deepEqual(hidden(api), []);
    });

  it("are shown every text of a request of responses, but for what items are called", () => {
    assert.deepEqual(
      hidden("responses").filter((path) => !/^body\.input\[\d+\]\.id longer$/.test(path)),
      [],
    );
    const item = (id: string): JsonObject => ({ model: "m", input: [{ role: "user", content: "Hi", id }] });
    assert.doesNotMatch(seen("responses", item("msg_0a1b")) ?? "", /msg_/);
    assert.match(seen("responses", item("msg_0a1b says more")) ?? "", /says more/, "what is no name is text");
  });
});

const user = (content: unknown, more: object = {}): object => ({ role: "user", content, ...more });
/** Fields by which a text gets to a server: where they stand, and the body with it. */
const CARRIERS: Readonly<Record<Exclude<Api, "embeddings">, Readonly<Record<string, object>>>> = {
  chat: {
    "system message": { messages: [{ role: "system", content: MARK }, user("x")] },
    "developer message": { messages: [{ role: "developer", content: [{ type: "text", text: MARK }] }, user("x")] },
    "message's name": { messages: [user("x", { name: MARK })] },
    "tool's result": { messages: [user("x"), { role: "tool", tool_call_id: "c", content: MARK }] },
    "call's arguments": {
      messages: [user("x"), { role: "assistant", tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: MARK } }] }],
    },
    "description of a tool": { messages: [user("x")], tools: [{ type: "function", function: { name: "f", description: MARK } }] },
    "schema of a tool": { messages: [user("x")], tools: [{ type: "function", function: { name: "f", parameters: { description: MARK } } }] },
    prediction: { messages: [user("x")], prediction: { type: "content", content: MARK } },
    web_search_options: { messages: [user("x")], web_search_options: { user_location: { approximate: { city: MARK } } } },
    metadata: { messages: [user("x")], metadata: { a: MARK } },
    response_format: {
      messages: [user("x")],
      response_format: { type: "json_schema", json_schema: { name: "a", description: MARK, schema: { type: "object" } } },
    },
    stop: { messages: [user("x")], stop: [MARK] },
    user: { messages: [user("x")], user: MARK },
    "a parameter that nobody knows": { messages: [user("x")], zz: { zz: MARK } },
    "a part that nobody knows": { messages: [user([{ type: "zz", zz: MARK }])] },
  },
  responses: {
    instructions: { input: "x", instructions: MARK },
    "tool's result": {
      input: [
        { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
        { type: "function_call_output", call_id: "c", output: MARK },
      ],
    },
    "summary beside thoughts": {
      input: [{ type: "reasoning", content: [{ type: "reasoning_text", text: "y" }], summary: [{ type: "summary_text", text: MARK }] }, user("x")],
    },
    "annotation of a text": {
      input: [user("x"), { role: "assistant", content: [{ type: "output_text", text: "y", annotations: [{ type: "url_citation", title: MARK }] }] }],
    },
    "field of a message": { input: [user("x", { zz: MARK })] },
    "field of a tool": { input: "x", tools: [{ type: "function", name: "f", parameters: {}, zz: MARK }] },
    "description of a tool": { input: "x", tools: [{ type: "function", name: "f", parameters: {}, description: MARK }] },
    metadata: { input: "x", metadata: { a: MARK } },
    text: { input: "x", text: { zz: MARK } },
    stream_options: { input: "x", stream_options: { zz: MARK } },
    "a parameter that nobody knows": { input: "x", zz: MARK },
  },
  messages: {
    system: { system: MARK, messages: [user("x")] },
    "system block": { system: [{ type: "text", text: MARK }], messages: [user("x")] },
    "message of the system": { messages: [user("x"), { role: "system", content: MARK }] },
    "document as text": { messages: [user([{ type: "document", source: { type: "text", media_type: "text/plain", data: MARK } }])] },
    "context of a document": {
      messages: [user([{ type: "document", source: { type: "url", url: "https://example.com/a.pdf" }, title: "t", context: MARK }])],
    },
    "title of an image": { messages: [user([{ type: "image", source: { type: "url", url: "https://example.com/a.png" }, title: MARK }])] },
    "tool's result": { messages: [user([{ type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: MARK }] }])] },
    "search result": { messages: [user([{ type: "search_result", title: MARK, source: "s", content: [{ type: "text", text: "y" }] }])] },
    "description of a tool": { messages: [user("x")], tools: [{ name: "f", description: MARK, input_schema: { type: "object" } }] },
    "tool of the server": { messages: [user("x")], tools: [{ type: "web_search_20250305", name: "web_search", allowed_domains: [MARK] }] },
    mcp_servers: { messages: [user("x")], mcp_servers: [{ type: "url", url: "https://example.com", name: MARK }] },
    metadata: { messages: [user("x")], metadata: { user_id: MARK } },
    "field of a message": { messages: [user("x", { zz: MARK })] },
    "field of thoughts": {
      messages: [user("x"), { role: "assistant", content: [{ type: "thinking", thinking: "y", signature: "s", zz: MARK }] }, user("z")],
    },
    "format of the answer": { messages: [user("x")], output_config: { format: { type: "json_schema", schema: {}, description: MARK } } },
    "a parameter that nobody knows": { messages: [user("x")], zz: MARK },
  },
};

/** What would reach a server but no plugin. */
const REFUSED: Readonly<Record<keyof typeof CARRIERS, readonly (readonly [param: string, body: object])[]>> = {
  chat: [],
  responses: [
    ["previous_response_id", { input: "x", previous_response_id: "resp_1" }],
    ["prompt", { input: "x", prompt: { id: "pmpt_1", variables: { a: MARK } } }],
    ["conversation", { input: "x", conversation: "conv_1" }],
    ["input[0].type", { input: [{ type: "item_reference", id: "msg_1" }] }],
    ["tools[0].type", { input: "x", tools: [{ type: "mcp", server_label: "a", server_description: MARK }] }],
    ["tools[0].function", { input: "x", tools: [{ type: "function", name: "f", description: "evil", function: { name: "f" } }] }],
    ["input[0].content[0].file", { input: [user([{ type: "input_file", file_url: "u", file: "w" }])] }],
    ["tool_choice.zz", { input: "x", tool_choice: { type: "function", name: "f", zz: MARK } }],
    ["store", { input: "x", store: MARK }],
  ],
  messages: [
    ["messages[0].content[0].role", { messages: [user([{ type: "tool_result", tool_use_id: "t", content: "evil", role: "assistant" }])] }],
    [
      "messages[0].content[0].image_url",
      { messages: [user([{ type: "image", source: { type: "url", url: "https://a.example" }, image_url: { url: "https://b.example" } }])] },
    ],
    [
      "messages[1].content[0].function",
      { messages: [user("x"), { role: "assistant", content: [{ type: "tool_use", id: "t", name: "f", input: { a: "evil" }, function: {} }] }] },
    ],
    ["tools[0].function", { messages: [user("x")], tools: [{ name: "f", description: "evil", input_schema: {}, function: { name: "f" } }] }],
    ["stop", { messages: [user("x")], stop_sequences: ["evil"], stop: "y" }],
    ["tool_choice.zz", { messages: [user("x")], tool_choice: { type: "auto", zz: MARK } }],
  ],
};

describe("A plugin with pre_hook", () => {
  for (const api of ["chat", "responses", "messages"] as const) {
    const whole = (body: object): object => ({
      model: api === "messages" ? "ant/m" : "oai/m",
      ...(api === "messages" && { max_tokens: 9 }),
      ...body,
    });

    it(`is shown what of ${api} passes through to the server`, async () => {
      await using stage = await startStage();
      const sent = await stage.spy("spy", { pre_hook: "" });
      for (const [index, [name, body]] of Object.entries(CARRIERS[api]).entries()) {
        const response = await post(`${stage.url}${PATHS[api]}`, whole(body));
        assert.equal(response.status, 200, `${name}: ${await response.text()}`);
        assert.match(JSON.stringify(sentTo(stage, index)), /MARK/, `${name}: the server gets it`);
        assert.match(JSON.stringify(sent("pre_hook")[index]), /MARK/, `${name}: the plugin sees it`);
      }
    });

    it(`cannot be passed by: the guard that is shipped finds it in every field of ${api}`, async () => {
      await using stage = await startStage();
      await stage.gateway.host.plugins.load(GUARD, { name: "guard", config: { deny: [MARK] } });
      for (const [name, body] of Object.entries(CARRIERS[api])) {
        const response = await post(`${stage.url}${PATHS[api]}`, whole(body));
        assert.equal(response.status, 403, `${name}: ${await response.text()}`);
      }
      assert.equal(stage.standIn.requests.length, 0);
    });

    if (REFUSED[api].length > 0)
      it(`hides nothing that the server of ${api} might go by: that is refused`, async () => {
        await using stage = await startStage();
        for (const [param, body] of REFUSED[api]) {
          const response = await post(`${stage.url}${PATHS[api]}`, whole(body));
          const text = await response.text();
          assert.equal(response.status, 400, `${param}: ${text}`);
          assert.ok(text.includes(param), text);
        }
        assert.equal(stage.standIn.requests.length, 0);
      });
  }
});
