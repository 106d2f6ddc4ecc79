// Plugins around requests to models: what they see, what they change, answer and recover from, in each attempt anew.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { TRAP } from "../hooks/guests.ts";
import { grantFor, temporaryFile } from "../native/open-native.ts";
import { PATHS, type Stage, completion, eventsOf, json, post, say, sentTo, startStage, textOf } from "./start-gateway.ts";

const ask = (stage: Stage, body: unknown = say.chat("hello")): Promise<Response> => post(`${stage.url}/v1/chat/completions`, body);
const askStream = async (stage: Stage, text = "one two three"): Promise<string> => (await ask(stage, say.chat(text, { stream: true }))).text();
const circuit = (value: object): string => JSON.stringify({ short_circuit: value });
const response = (text: string): string => JSON.stringify({ response: completion(text), has_error: false, error: {} });
const error = (status_code: number, message: string, more: object = {}): object => ({ status_code, error: { message, ...more } });

const ALL_SPELLINGS = ["provider", "model", "input", "params", "request_type", "chat_request", "RequestType", "ChatRequest"];

// A plugin that is not let go of would hold up the end of its gateway.
const SOON = { timeout: 15_000 };

describe("pre_hook", SOON, () => {
  it("sees the request in the common form, routed, whatever the client speaks", async () => {
    await using stage = await startStage();
    const sent = await stage.spy("a", { pre_hook: "" }, { permissions: { attributes: { read: ["*"] } } });
    await ask(stage, say.chat("hello", { max_tokens: 5, temperature: 0 }));
    await post(`${stage.url}${PATHS.messages}`, say.messages("hello", { max_tokens: 5 }));
    await post(`${stage.url}${PATHS.responses}`, say.responses("hello", { stream: true }));
    await post(`${stage.url}${PATHS.embeddings}`, say.embeddings("hello"));
    const [chat, messages, responses, embeddings] = sent("pre_hook");
    assert.deepEqual(chat.request.chat_request, {
      provider: "oai",
      model: "m",
      input: [{ role: "user", content: "hello" }],
      params: { temperature: 0, max_completion_tokens: 5 },
    });
    assert.deepEqual([messages.request.provider, messages.request.model, messages.request.params.max_completion_tokens], ["ant", "m", 5]);
    assert.deepEqual([responses.request.request_type, responses.request.input], ["chat_completion_stream", [{ role: "user", content: "hello" }]]);
    assert.deepEqual([embeddings.request.request_type, embeddings.request.input], ["embedding", ["hello"]]);
    const { api, provider, model, attempt } = messages.context;
    assert.deepEqual({ api, provider, model, attempt }, { api: "messages", provider: "ant", model: "m", attempt: "1" });
  });

  it("is sent the flat spelling alone if the plugin says that it reads that, and so is post_hook", async () => {
    await using stage = await startStage();
    const names = ["a", "b", "c"];
    const hooks = { pre_hook: "", post_hook: "" };
    const sent = await Promise.all(names.map((name) => stage.spy(name, name === "b" ? { ...hooks, reads_flat: "" } : hooks)));
    await ask(stage);
    const [plain, flat, last] = sent.map((of) => [of("pre_hook")[0], of("post_hook")[0]]);
    assert.ok(plain && flat && last);
    assert.deepEqual(Object.keys(plain[0].request), ALL_SPELLINGS);
    assert.deepEqual(flat[0].request, { ...plain[0].request.chat_request, request_type: "chat_completion" });
    assert.deepEqual(flat[1].response, plain[1].response.chat_response);
    assert.equal(flat[1].response.object, "chat.completion");
    assert.deepEqual(last, plain, "as if there were no other");
  });

  it("changes the request, in the client's own interface and in another one", async () => {
    for (const model of ["oai/m", "ant/m"]) {
      await using stage = await startStage();
      await stage.plugin("a", { pre_hook: '{"request":{"input":[{"role":"user","content":"changed"}],"params":{"max_completion_tokens":9}}}' });
      const answer = await json(ask(stage, say.chat("hello", { model, max_tokens: 5, n: 1 })));
      assert.equal(answer.choices[0].message.content, "changed");
      assert.equal(sentTo(stage, 0).max_tokens, 9);
    }
  });

  it("sends a request elsewhere", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { pre_hook: '{"request":{"provider":"ant","model":"other"}}' });
    assert.equal((await json(ask(stage))).choices[0].message.content, "hello");
    assert.deepEqual([stage.standIn.requests[0]?.path, stage.standIn.requests[0]?.model], ["/v1/messages", "other"]);
    await using lost = await startStage();
    await lost.plugin("a", { pre_hook: '{"request":{"provider":"nobody"}}' });
    assert.equal((await ask(lost)).status, 404);
  });

  it("answers in the place of a model, in every interface, whole and as a stream", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { pre_hook: circuit({ response: { chat_response: completion("from a plugin") } }) });
    const chat = await json(ask(stage));
    assert.deepEqual([chat.object, chat.model, chat.choices[0].message.content], ["chat.completion", "m", "from a plugin"]);
    const messages = await json(post(`${stage.url}${PATHS.messages}`, say.messages("hello")));
    assert.deepEqual([messages.content[0].text, messages.stop_reason], ["from a plugin", "end_turn"]);
    assert.equal(textOf(await askStream(stage)), "from a plugin");
    const events = eventsOf(await (await post(`${stage.url}${PATHS.responses}`, say.responses("hello", { stream: true }))).text()) as {
      type: string;
    }[];
    assert.equal(events.at(-1)?.type, "response.completed");
    assert.equal(stage.standIn.counters.requests, 0);
  });

  it("answers with an error, in the words of each interface", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { pre_hook: circuit({ error: error(429, "the budget is spent", { type: "budget", code: "spent" }) }) });
    for (const stream of [false, true]) {
      const chat = await ask(stage, say.chat("hello", { stream }));
      const { error: own } = await json(chat);
      assert.deepEqual([chat.status, own.message, own.type, own.code], [429, "the budget is spent", "rate_limit_error", "spent"]);
      const messages = await post(`${stage.url}${PATHS.messages}`, say.messages("hello", { stream }));
      const body = await json(messages);
      assert.deepEqual([messages.status, body.type, body.error.type], [429, "error", "rate_limit_error"]);
    }
    assert.equal(stage.standIn.counters.requests, 0);
  });

  it("keeps the request out when it fails, and is left out if it is open", async () => {
    for (const [onFailure, status] of [
      ["closed", 500],
      ["open", 200],
    ] as const) {
      await using stage = await startStage();
      await stage.plugin("a", { pre_hook: TRAP }, { onFailure });
      assert.equal((await ask(stage)).status, status);
      assert.equal(stage.standIn.counters.requests, status === 200 ? 1 : 0);
    }
  });

  it("cannot answer with what is no answer", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { pre_hook: circuit({ response: { text: "hello" } }) });
    const answer = await ask(stage);
    const { error: own } = await json(answer);
    assert.deepEqual([answer.status, own.code], [500, "MORTISE_HOOK_FAILED"]);
    assert.match(own.message, /without choices/);
  });
});

describe("post_hook", SOON, () => {
  it("sees the answer in the common form; what it leaves alone comes back byte by byte", async () => {
    await using stage = await startStage();
    const sent = await stage.spy("a", { post_hook: "" });
    for (const api of ["chat", "messages", "responses", "embeddings"] as const) {
      const body = { ...say[api]("hello"), model: "m" };
      const direct = await post(`${stage.standIn.url}${PATHS[api]}`, body, { authorization: "Bearer k" });
      const through = await post(`${stage.url}${PATHS[api]}`, { ...body, model: api === "messages" ? "ant/m" : "oai/m" });
      assert.equal(await through.text(), await direct.text(), api);
    }
    const said = sent("post_hook").map(
      ({ response: seen }) => (seen.chat_response ?? seen.embedding_response) as { choices?: never[]; data?: never[] },
    );
    assert.equal(said.length, 4);
    for (const { choices } of said.slice(0, 3))
      assert.equal((choices?.[0] as { message?: { content?: string } } | undefined)?.message?.content, "hello");
    assert.equal(said[3]?.data?.length, 1);
  });

  it("changes the answer", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { post_hook: response("better") });
    assert.equal((await json(ask(stage))).choices[0].message.content, "better");
    assert.equal((await json(post(`${stage.url}${PATHS.messages}`, say.messages("hello")))).content[0].text, "better");
  });

  it("makes an error of an answer", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { post_hook: JSON.stringify({ response: null, has_error: true, error: error(451, "not for you") }) });
    const answer = await ask(stage);
    assert.deepEqual([answer.status, (await json(answer)).error.message], [451, "not for you"]);
  });

  it("recovers from an error of the provider, for a client of a stream as well", async () => {
    await using stage = await startStage({}, { behaviour: { fault: 500 } });
    const sent = await stage.spy("b", { post_hook: "" });
    await stage.plugin("a", { post_hook: response("from the cellar") });
    assert.equal((await json(ask(stage))).choices[0].message.content, "from the cellar");
    assert.equal(textOf(await askStream(stage)), "from the cellar");
    const [{ error: seen, has_error: has }] = sent("post_hook");
    assert.deepEqual([has, seen.status_code, seen.type, seen.allow_fallbacks], [true, 500, "upstream", true]);
  });

  it("takes an error that says nothing for none", async () => {
    await using stage = await startStage({}, { behaviour: { fault: 500 } });
    await stage.plugin("a", { post_hook: JSON.stringify({ response: completion("recovered"), error: { error: { message: "" } } }) });
    assert.equal((await json(ask(stage))).choices[0].message.content, "recovered");
  });

  it("keeps an answer back when it fails, also the pieces of a stream", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { post_hook: TRAP });
    assert.equal((await ask(stage)).status, 500);
    const stream = await ask(stage, say.chat("hello", { stream: true }));
    assert.equal(stream.status, 500, "nothing has been sent yet");
  });

  it("is asked by those alone whose pre_hook ran, also the one that answered", async () => {
    await using stage = await startStage();
    const a = await stage.spy("a", { pre_hook: "", post_hook: "" });
    const b = await stage.spy("b", { pre_hook: circuit({ response: completion("short") }), post_hook: "" });
    const c = await stage.spy("c", { pre_hook: "", post_hook: "" });
    await ask(stage);
    assert.deepEqual([a("post_hook").length, b("post_hook").length, c("pre_hook").length, c("post_hook").length], [1, 1, 0, 0]);
  });

  it("sees each piece of a stream, and changes those it wants", async () => {
    await using stage = await startStage();
    const sent = await stage.spy("z", { post_hook: "" });
    const plain = await askStream(stage);
    const pieces = sent("post_hook").map(({ response: seen }) => seen.chat_response);
    assert.ok(pieces.length > 3 && pieces.every(({ object }) => object === "chat.completion.chunk"));
    assert.equal(textOf(plain), "one two three");
    await stage.plugin("a", { post_hook: '{"response":{"choices":[{"index":0,"delta":{"content":"#"}}]}}' });
    const changed = await askStream(stage);
    assert.match(textOf(changed), /^#+$/);
    assert.equal(eventsOf(changed).at(-1), "[DONE]");
    const messages = await (await post(`${stage.url}${PATHS.messages}`, say.messages("one two", { stream: true }))).text();
    assert.match(messages, /"text":"#"/);
  });

  it("comes too late to recover once a part of an answer is out", async (t) => {
    const recovers = `(input) => JSON.parse(new TextDecoder().decode(input)).has_error ? ${JSON.stringify(response("another answer"))} : ""`;
    const path = temporaryFile(t, "recovers.mjs", `export const post_hook = ${recovers};`);
    const { digest } = grantFor(path);
    await using stage = await startStage({}, { behaviour: { fault: "drop_before_head" } });
    await stage.gateway.host.plugins.load(path, { name: "recovers", abi: "native", native: [{ path, digest }] });
    assert.equal(textOf(await askStream(stage)), "another answer");
    stage.standIn.behave({ behaviour: { fault: "drop_mid_body" } });
    const text = await askStream(stage, "one two three four five six");
    assert.match(textOf(text), /^one/);
    assert.ok(!text.includes("another answer") && !text.includes("[DONE]"));
  });
});

describe("An attempt", SOON, () => {
  it("runs all plugins anew, for the next target as well", async () => {
    await using stage = await startStage({}, { byModel: { bad: { fault: 500 } } });
    const sent = await stage.spy("a", { pre_hook: "", post_hook: "" }, { permissions: { attributes: { read: ["attempt"] } } });
    const answer = await json(ask(stage, say.chat("hello", { model: "oai/bad", fallbacks: ["ant/good"] })));
    assert.equal(answer.choices[0].message.content, "hello");
    assert.deepEqual(
      sent("pre_hook").map(({ request, context }) => [request.provider, request.model, context.attempt]),
      [
        ["oai", "bad", "1"],
        ["ant", "good", "2"],
      ],
    );
    assert.deepEqual(
      sent("post_hook").map(({ has_error: has }) => has),
      [true, false],
    );
    assert.ok(!stage.standIn.requests.some(({ body }) => body.includes("fallbacks")));
  });

  it("is the last if a plugin's error says so", async () => {
    for (const [allow, requests] of [
      [false, 0],
      [true, 1],
    ] as const) {
      await using stage = await startStage();
      const refuses = circuit({ error: { ...error(503, "not this one"), allow_fallbacks: allow } });
      await stage.plugin("a", { pre_hook: refuses }, { filters: { llm: { provider: "oai" } } });
      const answer = await ask(stage, say.chat("hello", { fallbacks: ["ant/m"] }));
      assert.equal(answer.status, allow ? 200 : 503);
      assert.equal(stage.standIn.counters.requests, requests);
    }
  });

  it("is made once more, with what a plugin wants said, and not more often", async () => {
    await using stage = await startStage();
    const more = [
      { role: "assistant", content: "hello" },
      { role: "user", content: "as JSON" },
    ];
    await stage.plugin("a", {
      post_hook: JSON.stringify({ response: null, has_error: true, error: { ...error(422, "no JSON"), extra_fields: { retry_with: more } } }),
    });
    const answer = await ask(stage);
    assert.deepEqual([answer.status, (await json(answer)).error.message], [422, "no JSON"]);
    assert.deepEqual(
      stage.standIn.requests.map(({ json: body }) => (body as { messages: unknown[] }).messages.length),
      [1, 3],
    );
  });

  it("is made once more for a request, not for each target of it", async () => {
    await using stage = await startStage();
    const refused = { ...error(500, "not yet"), extra_fields: { retry_with: [{ role: "user", content: "again" }] } };
    await stage.plugin("a", { post_hook: JSON.stringify({ response: null, has_error: true, error: refused }) });
    assert.equal((await ask(stage, say.chat("hello", { fallbacks: ["ant/m"] }))).status, 500);
    assert.deepEqual(
      stage.standIn.requests.map(({ path, json: body }) => [path, (body as { messages: unknown[] }).messages.length]),
      [
        ["/v1/chat/completions", 1],
        ["/v1/chat/completions", 2],
        ["/v1/messages", 1],
      ],
    );
  });
});
