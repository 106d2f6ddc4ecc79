// What counts as used: what plugins with on_usage and on_completion are told that a request took, and what rate limits count.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";

import { type JsonObject, createMemoryStore } from "mortise";
import type { GatewayOptions } from "mortise/gateway";

import { PATHS, type Sent, type Stage, completion, eventsOf, json, post, say, sentTo, shipped, startStage, textOf } from "./start-gateway.ts";

const SOON = { timeout: 30_000 };
const LONG = { store: createMemoryStore(), limits: [{ tokens: 1_000_000, windowMs: 2_000_000_000 }] };

interface Upstream extends AsyncDisposable {
  readonly url: string;
}

/** A server that answers each request as it is told. */
async function startUpstream(answer: (response: ServerResponse, body: JsonObject) => void): Promise<Upstream> {
  const server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    request.on("end", () => answer(response, JSON.parse(text) as JsonObject));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const behind = (server: Upstream, options: Partial<GatewayOptions> = {}): Partial<GatewayOptions> => ({
  providers: { oai: shipped("provider-openai", server), ant: shipped("provider-anthropic", server) },
  ...options,
});
const json200 = (response: ServerResponse, body: object): unknown => response.setHeader("content-type", "application/json").end(JSON.stringify(body));
const events = (response: ServerResponse, all: readonly object[]): ServerResponse => {
  if (!response.headersSent) response.setHeader("content-type", "text/event-stream");
  for (const event of all) response.write(`data: ${JSON.stringify(event)}\n\n`);
  return response;
};
const chunk = (delta: object, more: object = {}): object => ({
  id: "x",
  object: "chat.completion.chunk",
  created: 1,
  model: "m",
  choices: [{ index: 0, delta, finish_reason: null }],
  ...more,
});

/** What the observer was told in all; requests do not wait for observers. */
async function told(sent: Sent, fn: string, count: number): ReturnType<() => Promise<ReturnType<Sent>>> {
  while (sent(fn).length < count) await new Promise(setImmediate);
  return sent(fn).map(({ input }: { readonly input: unknown }) => input);
}

/** Asks for a stream, takes so many characters of it, and leaves. */
async function leave(stage: Stage, api: "chat" | "messages" | "responses", body: object, chars: number): Promise<void> {
  const aborter = new AbortController();
  const response = await post(stage.url + PATHS[api], body, {}, aborter.signal);
  assert.ok(response.body !== null && response.status === 200);
  const reader = response.body.getReader();
  for (let got = 0; got < chars;) got += (await reader.read()).value?.length ?? chars; // oxlint-disable-line no-await-in-loop -- pieces come one after the other
  aborter.abort();
  await reader.cancel().catch(() => {});
}

describe("a stream that its client leaves before the model has stopped", SOON, () => {
  const words = "word ".repeat(800);
  const anthropic = [
    {
      type: "message_start",
      message: { id: "m", type: "message", role: "assistant", model: "m", content: [], usage: { input_tokens: 3, output_tokens: 1 } },
    },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    ...Array.from({ length: 5 }, () => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: words } })),
  ];
  const responses = [
    { type: "response.created", response: { id: "r", model: "m", created_at: 1, usage: null } },
    ...Array.from({ length: 5 }, () => ({ type: "response.output_text.delta", output_index: 0, delta: words })),
  ];
  const chat = Array.from({ length: 5 }, () => chunk({ content: words }, { usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 } }));
  const cases = [
    ["messages", anthropic, 3],
    ["responses", responses, undefined],
    ["chat", chat, 3],
  ] as const;

  for (const looks of [false, true])
    for (const [api, all, prompt] of cases)
      it(`has taken what its characters make, whatever its first events say: ${api}${looks ? ", where plugins look" : ""}`, async () => {
        await using server = await startUpstream((response) => void events(response, all));
        await using stage = await startStage(behind(server));
        const sent = await stage.spy("a", { on_usage: "", ...(looks && { post_hook: "" }) });
        const body = say[api]("hi", { stream: true });
        await leave(stage, api, body, 5 * words.length);
        const [input] = await told(sent, "on_usage", 1);
        // The prompt counts as the first event says, or as its characters make; the answer as its characters do, without its role.
        assert.equal(input.usage.prompt_tokens, prompt ?? Math.ceil(JSON.stringify(body).length / 4));
        assert.ok(Math.abs(input.usage.completion_tokens - (5 * words.length) / 4) < 5, JSON.stringify(input.usage));
        assert.equal(input.usage.total_tokens, input.usage.prompt_tokens + input.usage.completion_tokens);
        assert.deepEqual([input.answered, input.usage.estimated, input.error.kind], [true, true, "cancelled"]);
        assert.equal(sent("post_hook").length > 0, looks);
      });

  it("counts the same for rate limits", async () => {
    await using server = await startUpstream((response) => void events(response, anthropic));
    await using stage = await startStage(
      behind(server, { rateLimits: { store: createMemoryStore(), limits: [{ tokens: 2000, windowMs: 2_000_000_000 }] } }),
    );
    const body = say.messages("hi", { stream: true });
    await leave(stage, "messages", body, 5 * words.length);
    while (stage.gateway.health().requests > 0) await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop -- until it is over
    assert.equal((await post(stage.url + PATHS.messages, body)).status, 429);
  });

  it("has taken all of it, where it is long", async () => {
    const piece = chunk({ content: "x".repeat(4000) });
    await using server = await startUpstream(
      (response) =>
        void events(
          response,
          Array.from({ length: 100 }, () => piece),
        ),
    );
    await using stage = await startStage(behind(server));
    const sent = await stage.spy("a", { on_usage: "" });
    await leave(stage, "chat", say.chat("hi", { stream: true }), 100 * 4100);
    const [{ usage }] = await told(sent, "on_usage", 1);
    assert.ok(usage.completion_tokens > 95_000 && usage.completion_tokens <= 100_000, JSON.stringify(usage));
  });
});

describe("a stream of chat completions that is not asked for its usage", SOON, () => {
  const whoCounts: readonly (readonly [
    name: string,
    exports: Readonly<Record<string, string>>,
    options?: Partial<GatewayOptions>,
    looks?: boolean,
  ])[] = [
    ["on_usage", { on_usage: "" }],
    ["on_usage, where plugins look", { on_usage: "", post_hook: "" }, {}, true],
    ["on_usage, where plugins look at what goes out", { on_usage: "", http_stream_chunk_hook: "" }, {}, true],
    ["on_completion", { on_completion: "" }],
    ["rate limits", {}, { rateLimits: LONG }],
  ];
  for (const [name, exports, options = {}, looks = false] of whoCounts)
    it(`is asked for it by the gateway, and the client gets what it would get otherwise: ${name}`, async () => {
      await using stage = await startStage(options, { behaviour: { text: "one two three", burst: looks } });
      const ask = async (url: string, more: object = {}): Promise<string> =>
        (await post(url + PATHS.chat, say.chat("hi", { stream: true, ...more }), { authorization: "Bearer k" })).text();
      const direct = await ask(stage.standIn.url);
      const sent = await stage.spy("a", exports);
      // Pieces that arrive together are shown to plugins, and sent, as one.
      const isSame = (got: string): void => {
        if (!looks) return assert.equal(got, direct);
        assert.equal(textOf(got), "one two three");
        assert.equal(eventsOf(got).at(-1), "[DONE]");
        assert.doesNotMatch(got, /usage/);
      };
      isSame(await ask(stage.url));
      assert.deepEqual(sentTo(stage, 1).stream_options, { include_usage: true });
      isSame(await ask(stage.url, { stream_options: { include_usage: false, more: 1 } }));
      assert.deepEqual(sentTo(stage, 2).stream_options, { include_usage: true, more: 1 });
      for (const fn of Object.keys(exports).filter((each) => each === "on_usage" || each === "on_completion"))
        for (const { usage } of await told(sent, fn, 2)) assert.deepEqual(usage, { prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 });
    });

  it("is not asked for it where nobody counts, nor of a server that refuses the question", async () => {
    await using stage = await startStage({}, { behaviour: { text: "one two three" } });
    const ask = async (): Promise<void> => void (await (await post(stage.url + PATHS.chat, say.chat("hi", { stream: true }))).text());
    await ask();
    assert.equal(sentTo(stage, 0).stream_options, undefined);
    const sent = await stage.spy("a", { on_usage: "" });
    const { options, ...rest } = shipped("provider-openai", stage.standIn);
    await stage.gateway.reload({ providers: { oai: { ...rest, options: { ...options, config: { ...options?.config, stream_usage: false } } } } });
    await ask();
    assert.equal(sentTo(stage, 1).stream_options, undefined);
    const [{ usage }] = await told(sent, "on_usage", 1);
    assert.equal(usage.estimated, true);
    assert.equal(usage.completion_tokens, Math.ceil("assistantone two three".length / 4));
  });

  it("has its usage for a client that asks for it", async () => {
    await using stage = await startStage({}, { behaviour: { text: "one" } });
    await stage.spy("a", { on_usage: "" });
    const body = say.chat("hi", { stream: true, stream_options: { include_usage: true } });
    const direct = await (await post(stage.standIn.url + PATHS.chat, body, { authorization: "Bearer k" })).text();
    assert.match(direct, /"usage":\{"prompt_tokens"/);
    assert.equal(await (await post(stage.url + PATHS.chat, body)).text(), direct);
  });
});

describe("answers that the client does not get", SOON, () => {
  const refused = { status_code: 422, error: { message: "no" } };
  const again = { ...refused, extra_fields: { retry_with: [{ role: "user", content: "again" }] } };
  const usage = { prompt_tokens: 50, completion_tokens: 50, total_tokens: 100 };
  const keepsBack = (error: object): { readonly post_hook: string } => ({ post_hook: JSON.stringify({ response: null, has_error: true, error }) });
  const cases: readonly (readonly [name: string, exports: Readonly<Record<string, string>>, times: number])[] = [
    ["refused", keepsBack(refused), 1],
    ["repaired and refused", keepsBack(again), 2],
    ["refused as an answer of HTTP", { http_post_hook: "trap!" }, 1],
  ];
  for (const [name, exports, times] of cases)
    it(`have taken what they say, all together, for plugins: ${name}`, async () => {
      await using server = await startUpstream((response) => json200(response, { ...completion("hello"), usage }));
      await using stage = await startStage(behind(server));
      await stage.plugin("b", exports);
      const sent = await stage.spy("a", { on_usage: "", on_completion: "" });
      assert.ok((await post(stage.url + PATHS.chat, say.chat("x"))).status >= 400);
      const sum = { prompt_tokens: 50 * times, completion_tokens: 50 * times, total_tokens: 100 * times };
      const [used] = await told(sent, "on_usage", 1);
      assert.deepEqual([used.answered, used.usage], [true, sum]);
      assert.deepEqual((await told(sent, "on_completion", 1))[0].usage, sum);
    });

  it("are nothing where no model has answered", async () => {
    await using server = await startUpstream((response) => response.writeHead(500).end());
    await using stage = await startStage(behind(server));
    const sent = await stage.spy("a", { on_usage: "" });
    await post(stage.url + PATHS.chat, say.chat("x"));
    const [used] = await told(sent, "on_usage", 1);
    assert.deepEqual([used.answered, used.usage], [false, null]);
  });
});

describe("a whole answer", SOON, () => {
  it("has taken what its characters make, where it does not say", async () => {
    const text = "word ".repeat(800);
    const answers = {
      chat: completion(text),
      messages: { id: "m", type: "message", role: "assistant", model: "m", content: [{ type: "text", text }], stop_reason: "end_turn" },
      responses: {
        id: "r",
        object: "response",
        status: "completed",
        model: "m",
        created_at: 1,
        output: [{ content: [{ type: "output_text", text }] }],
      },
    };
    for (const api of ["chat", "messages", "responses"] as const) {
      await using server = await startUpstream((response) => json200(response, answers[api]));
      await using stage = await startStage(behind(server));
      const sent = await stage.spy("a", { on_usage: "" });
      const response = await post(stage.url + PATHS[api], say[api]("hi"));
      assert.equal(response.status, 200);
      await json(response);
      const [{ usage }] = await told(sent, "on_usage", 1);
      assert.ok(usage.estimated && Math.abs(usage.completion_tokens - 1000) < 15, `${api}: ${JSON.stringify(usage)}`);
    }
  });

  it("is vectors, which have no characters", async () => {
    const data = [{ object: "embedding", index: 0, embedding: Array.from({ length: 500 }, () => 0.123) }];
    await using server = await startUpstream((response) => json200(response, { object: "list", data, model: "m" }));
    await using stage = await startStage(behind(server));
    const sent = await stage.spy("a", { on_usage: "" });
    const body = say.embeddings("hi");
    await post(stage.url + PATHS.embeddings, body);
    const [{ usage }] = await told(sent, "on_usage", 1);
    assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [Math.ceil(JSON.stringify(body).length / 4), 0]);
  });
});

describe("a stream that is too long to be put together", SOON, () => {
  it("is told as one that is cut, with what it took", async () => {
    const usage = { prompt_tokens: 5, completion_tokens: 20_000, total_tokens: 20_005 };
    const big = `data: ${JSON.stringify(chunk({ content: "w" }, { pad: "x".repeat(1 << 20) }))}\n\n`;
    await using server = await startUpstream((response) => {
      response.setHeader("content-type", "text/event-stream");
      for (let sent = 0; sent < 33; sent++) response.write(big);
      events(response, [chunk({}, { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }), chunk({}, { choices: [], usage })]).end(
        "data: [DONE]\n\n",
      );
    });
    for (const looks of [false, true]) {
      await using stage = await startStage(behind(server));
      const sent = await stage.spy("a", { on_completion: "", ...(looks && { http_stream_chunk_hook: "" }) });
      const response = await post(stage.url + PATHS.chat, say.chat("hi", { stream: true }));
      await response.text();
      const [input] = await told(sent, "on_completion", 1);
      assert.deepEqual([input.response.truncated, input.response.choices, input.response.model, input.usage], [true, [], "m", usage]);
    }
  });
});
