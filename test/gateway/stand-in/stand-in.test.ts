// The stand-in keeps its promises: SDKs understand it, and what goes wrong goes wrong as asked.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, test } from "node:test";

import Anthropic, { APIError as AnthropicError } from "@anthropic-ai/sdk";
import OpenAI, { APIError as OpenAIError } from "openai";

import { type Behaviour, FAULTS, checkBehaviour } from "./behaviour.ts";
import { makeBody } from "./body.ts";
import { startStandIn } from "./start-stand-in.ts";

const WEATHER = { type: "object", properties: { city: { type: "string" } } };

function openaiOf(url: string): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: "sk-1", maxRetries: 0 });
}

function anthropicOf(url: string): Anthropic {
  return new Anthropic({ baseURL: url, apiKey: "sk-2", maxRetries: 0 });
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of stream) all.push(each);
  return all;
}

/** Posts a conversation without any SDK. */
async function post(url: string, behaviour: Behaviour, { stream = false, path = "/v1/chat/completions", content = "one two three four" } = {}) {
  return await fetch(`${url}${path}`, {
    method: "POST",
    redirect: "manual",
    headers: { "x-stand-in": JSON.stringify(behaviour), authorization: "Bearer sk-1" },
    body: JSON.stringify({ model: "m", stream, messages: [{ role: "user", content }] }),
  });
}

describe("the stand-in speaks to", () => {
  test("openai: chat, whole and as a stream, with usage in words", async () => {
    await using standIn = await startStandIn();
    const openai = openaiOf(standIn.url);
    const messages = [
      { role: "system" as const, content: "be brief" },
      { role: "user" as const, content: "größe 🦀 crab" },
    ];
    const whole = await openai.chat.completions.create({ model: "m", messages });
    assert.equal(whole.choices[0]?.message.content, "größe 🦀 crab");
    assert.deepEqual(whole.usage, { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 });

    const stream = await openai.chat.completions.create({ model: "m", messages, stream: true, stream_options: { include_usage: true } });
    const chunks = await collect(stream);
    assert.deepEqual(
      chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content)),
      ["", "größe", " 🦀", " crab", undefined],
    );
    assert.equal(chunks.at(-1)?.usage?.total_tokens, 8);
    assert.deepEqual(
      standIn.requests.map(({ model, key, stream: streamed, outcome }) => ({ model, key, streamed, outcome })),
      [
        { model: "m", key: "sk-1", streamed: false, outcome: "answered" },
        { model: "m", key: "sk-1", streamed: true, outcome: "answered" },
      ],
    );
  });

  test("openai: tools, there and back, and the limit of words", async () => {
    await using standIn = await startStandIn();
    const openai = openaiOf(standIn.url);
    const tools = [{ type: "function" as const, function: { name: "weather", parameters: WEATHER } }];
    const user = { role: "user" as const, content: 'tool:weather {"city":"Rome"}' };
    const asked = await openai.chat.completions.create({ model: "m", tools, messages: [user] });
    const [choice] = asked.choices;
    assert.equal(choice?.finish_reason, "tool_calls");
    const [call] = choice.message.tool_calls ?? [];
    assert.deepEqual(call, { id: "call_stand_in", type: "function", function: { name: "weather", arguments: '{"city":"Rome"}' } });
    const streamed = openai.chat.completions.stream({ model: "m", tools, messages: [user] });
    const final = await streamed.finalChatCompletion();
    assert.equal(final.choices[0]?.message.tool_calls?.[0]?.type, "function");
    const result = { role: "tool" as const, tool_call_id: "call_stand_in", content: "sunny and warm" };
    const answered = await openai.chat.completions.create({ model: "m", tools, max_tokens: 2, messages: [user, choice.message, result] });
    assert.equal(answered.choices[0]?.message.content, "sunny and");
    assert.equal(answered.choices[0]?.finish_reason, "length");
  });

  test("openai: responses, embeddings and models", async () => {
    await using standIn = await startStandIn();
    const openai = openaiOf(standIn.url);
    const whole = await openai.responses.create({ model: "m", input: "hello there" });
    assert.equal(whole.output_text, "hello there");
    assert.equal(whole.usage?.total_tokens, 4);
    const events = await collect(await openai.responses.create({ model: "m", input: "hello there", stream: true }));
    assert.deepEqual(
      events.flatMap((event) => (event.type === "response.output_text.delta" ? [event.delta] : [])),
      ["hello", " there"],
    );
    assert.equal(events.at(-1)?.type, "response.completed");
    assert.deepEqual(
      events.map(({ sequence_number }) => sequence_number),
      [...events.keys()],
    );
    const tool = { type: "function" as const, name: "weather", parameters: WEATHER, strict: false };
    const called = await openai.responses.create({ model: "m", input: "Rome?", tools: [tool], tool_choice: "required" });
    assert.equal(called.output[0]?.type, "function_call");
    const vectors = await openai.embeddings.create({ model: "m", input: ["ab cd", "e"] });
    assert.deepEqual(
      vectors.data.map(({ embedding }) => embedding.slice(0, 2)),
      [
        [5, 2],
        [1, 1],
      ],
    );
    assert.deepEqual(
      (await openai.models.list()).data.map(({ id }) => id),
      ["stand-in", "stand-in-small"],
    );
    await assert.rejects(openai.models.retrieve("none"), { status: 404 });
  });

  test("anthropic: messages, whole and as a stream, thinking, tools, tokens, models", async () => {
    await using standIn = await startStandIn();
    const anthropic = anthropicOf(standIn.url);
    const messages = [{ role: "user" as const, content: [{ type: "text" as const, text: "hello there" }] }];
    const whole = await anthropic.messages.create({ model: "m", max_tokens: 9, system: "be brief", messages });
    assert.deepEqual(whole.content, [{ type: "text", text: "hello there" }]);
    assert.deepEqual([whole.usage.input_tokens, whole.usage.output_tokens], [4, 2]);
    const thinking = { type: "enabled" as const, budget_tokens: 1024 };
    const thought = await anthropic.messages.stream({ model: "m", max_tokens: 9, thinking, messages }).finalMessage();
    assert.deepEqual(thought.content, [
      { type: "thinking", thinking: "I say what I hear.", signature: "c3RhbmQtaW4=" },
      { type: "text", text: "hello there" },
    ]);
    const tools = [{ name: "weather", input_schema: { type: "object" as const } }];
    const called = await anthropic.messages.stream({ model: "m", max_tokens: 9, tools, tool_choice: { type: "any" }, messages }).finalMessage();
    assert.deepEqual(called.content, [{ type: "tool_use", id: "toolu_stand_in", name: "weather", input: { text: "hello there" } }]);
    assert.equal((await anthropic.messages.countTokens({ model: "m", messages })).input_tokens, 2);
    assert.equal((await anthropic.models.list()).data[0]?.id, "stand-in");
    assert.equal(standIn.requests[0]?.key, "sk-2");
  });
});

describe("the stand-in cuts", () => {
  for (const path of ["/v1/chat/completions", "/v1/messages"])
    for (const [name, behaviour] of Object.entries<Behaviour>({
      "every byte": { split: 1 },
      "inside characters": { split: "utf8" },
      "inside lines": { split: "lines" },
      "with CR LF and pings": { crlf: true, pings: true },
      "all at once": { burst: true },
      "into many chunks": { chunks: 40 },
    }))
      test(`a stream of ${path} ${name}, and it says the same`, async () => {
        await using standIn = await startStandIn();
        const content = "größe 🦀 crab";
        const plain = await (await post(standIn.url, {}, { path, stream: true, content })).text();
        const cut = await (await post(standIn.url, behaviour, { path, stream: true, content })).text();
        const said = (text: string): string => [...text.matchAll(/"(?:content|text)":"([^"]*)"/g)].map((match) => match[1]).join("");
        assert.equal(said(plain), content);
        assert.equal(said(cut), content);
        assert.equal(cut.includes("\r\n"), behaviour.crlf === true);
        assert.equal(cut.includes(": comment"), behaviour.pings === true);
      });

  test("a body inside each character of several bytes, on the wire", async () => {
    await using standIn = await startStandIn();
    const socket = connect(standIn.port, "127.0.0.1").setEncoding("latin1");
    const body = JSON.stringify({ messages: [{ role: "user", content: "ö" }] });
    socket.write(
      `POST /chat/completions HTTP/1.1\r\nhost: a\r\nx-stand-in: {"split":"utf8"}\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    let text = "";
    socket.on("data", (data: string) => (text += data));
    await once(socket, "end");
    assert.match(text, /\u{c3}\r\n[0-9a-f]+\r\n\u{b6}/u);
  });

  test("a stream inside each of its lines", () => {
    const { pieces } = makeBody({ events: [{ event: "a", data: "one" }, { data: "two" }] }, { split: "lines" }, { data: "" });
    assert.deepEqual(pieces.map(String), ["even", "t: a\ndata", ": one\n\ndata", ": two\n\n"]);
  });
});

describe("the stand-in fails with", () => {
  for (const status of [401, 429, 500, 503, 529])
    test(`status ${status} in the words of either vendor`, async () => {
      await using standIn = await startStandIn({ behaviour: { fault: status, retryAfterSecs: 7 } });
      const chat = openaiOf(standIn.url).chat.completions.create({ model: "m", messages: [{ role: "user", content: "a" }] });
      await assert.rejects(chat, (error: unknown) => error instanceof OpenAIError && error.status === status);
      const messages = anthropicOf(standIn.url).messages.create({ model: "m", max_tokens: 1, messages: [{ role: "user", content: "a" }] });
      await assert.rejects(
        messages,
        (error: unknown) => error instanceof AnthropicError && error.status === status && error.headers.get("retry-after") === "7",
      );
    });

  test("retry-after as a date and in milliseconds", async () => {
    await using standIn = await startStandIn();
    const dated = await post(standIn.url, { fault: 429, retryAfterDateSecs: 60 });
    assert.match(dated.headers.get("retry-after") ?? "", /GMT$/);
    assert.equal((await post(standIn.url, { fault: 429, retryAfterMs: 250 })).headers.get("retry-after-ms"), "250");
  });

  test("the first requests alone, counted by scenario", async () => {
    await using standIn = await startStandIn();
    const statuses = async (behaviour: Behaviour) => (await post(standIn.url, behaviour)).status;
    const twice = { fault: 500, failFirst: 2 };
    assert.deepEqual(
      [await statuses(twice), await statuses({ ...twice, scenario: "b" }), await statuses(twice), await statuses(twice)],
      [500, 500, 500, 200],
    );
    assert.deepEqual(standIn.counters.statuses, { 200: 1, 500: 3 });
  });

  test("what is set for a model, laid over by what is set for a key", async () => {
    await using standIn = await startStandIn({
      behaviour: { text: "a" },
      byModel: { m: { text: "b", fault: 503 } },
      byKey: { "sk-1": { fault: 402 } },
    });
    assert.equal((await post(standIn.url, {})).status, 402);
    standIn.behave({ byModel: { m: { text: "b" } } });
    assert.match(await (await post(standIn.url, {})).text(), /"content":"b"/);
  });

  const rest: Readonly<Record<Exclude<(typeof FAULTS)[number], number>, RegExp>> = {
    malformed_json: /\{not: json/,
    truncated_json: /^(?!.*\[DONE\])(?!.*stop).*$/s,
    bad_utf8: /\u{fffd}/u,
    drop_before_head: /ECONNRESET|other side closed|socket hang up|fetch failed/,
    drop_mid_head: /Header|other side closed|fetch failed/i,
    drop_mid_body: /terminated|other side closed|aborted/,
    no_end: /^(?!.*\[DONE\]).*$/s,
    trickle: /four/,
    never: /TimeoutError|timeout/i,
    stall: /TimeoutError|timeout/i,
    huge_body: /x{100000}/,
    wrong_content_type: /^<html>/,
    redirect: /^\{\}$/,
    error_in_stream: /in the stream|529/,
  };
  for (const fault of FAULTS)
    for (const stream of [false, true])
      test(`${fault} ${stream ? "in a stream" : "in an answer"}`, async () => {
        if (fault === "no_end" && !stream) return;
        await using standIn = await startStandIn({ sleep: () => Promise.resolve() });
        const hangs = fault === "never" || fault === "stall";
        const signal = hangs ? { signal: AbortSignal.timeout(50) } : {};
        const seen = async (): Promise<string> => {
          const response = await fetch(`${standIn.url}/v1/chat/completions`, {
            method: "POST",
            redirect: "manual",
            headers: { "x-stand-in": JSON.stringify({ fault, hugeBytes: 100_000 }) },
            body: JSON.stringify({ stream, messages: [{ role: "user", content: "one two three four" }] }),
            ...signal,
          });
          return await response.text();
        };
        const outcome = await seen().catch((error: unknown) => `${String(error)} ${String((error as Error).cause)}`);
        assert.match(outcome, rest[fault]);
        await standIn.settled();
        const ended = standIn.requests[0]?.outcome;
        assert.equal(ended, hangs ? "client left" : fault.startsWith("drop") ? "dropped" : "answered");
      });
});

describe("the stand-in", () => {
  test("answers with a fixed size, made once, whatever the request is", async () => {
    await using standIn = await startStandIn({ behaviour: { bytes: 600, chunks: 3 }, keep: 0 });
    const whole = await fetch(`${standIn.url}/v1/chat/completions`, { method: "POST", body: "{}" });
    const answer = (await whole.json()) as { choices: [{ message: { content: string } }] };
    assert.equal(answer.choices[0].message.content.length, 600);
    const stream = await (await fetch(`${standIn.url}/v1/chat/completions`, { method: "POST", body: '{"stream":true}' })).text();
    assert.equal(stream.match(/"delta":\{"content":"stand|"delta":\{"content":"/g)?.length, 3);
    assert.equal(standIn.requests.length, 0);
    assert.equal(standIn.counters.requests, 2);
  });

  test("waits before the head and between chunks for as long as it is told", async () => {
    const waits: number[] = [];
    await using standIn = await startStandIn({ sleep: (ms) => (waits.push(ms), Promise.resolve()) });
    await (await post(standIn.url, { latencyMs: 5, chunkDelayMs: 3, chunks: 2 }, { stream: true })).text();
    assert.deepEqual(waits, [5, 3, 3, 3, 3]);
  });

  test("remembers the last requests, and asks for a key if it should", async () => {
    await using standIn = await startStandIn({ keep: 2, requireKey: true });
    for (const content of ["a", "b", "c"]) await (await post(standIn.url, {}, { content })).text();
    assert.deepEqual(
      standIn.requests.map(({ body }) => /"content":"(.)"/.exec(body)?.[1]),
      ["b", "c"],
    );
    assert.equal((await fetch(`${standIn.url}/v1/models`)).status, 401);
  });

  test("comes back on the port that it had", async () => {
    const first = await startStandIn();
    await first.close();
    await assert.rejects(post(first.url, {}));
    await using second = await startStandIn({ port: first.port });
    assert.equal((await post(second.url, {})).status, 200);
  });

  test("is changed from elsewhere, and says what it counted", async () => {
    await using standIn = await startStandIn();
    await fetch(`${standIn.url}/stand-in`, { method: "POST", body: '{"behaviour":{"fault":503}}' });
    assert.equal((await post(standIn.url, {})).status, 503);
    const counters = (await (await fetch(`${standIn.url}/stand-in`)).json()) as object;
    assert.deepEqual(counters, { requests: 3, open: 1, mostOpen: 1, clientsLeft: 0, statuses: { 200: 1, 503: 1 } });
  });

  test("refuses a behaviour that it does not have", async () => {
    assert.throws(() => checkBehaviour({ falt: 500 }), /no "falt"/);
    assert.throws(() => checkBehaviour({ fault: 200 }), /cannot have fault/);
    await using standIn = await startStandIn();
    assert.equal((await post(standIn.url, { latencyMs: -1 })).status, 400);
  });
});
