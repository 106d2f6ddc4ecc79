// What clients, servers and plugins that mean no good get: nothing that is not theirs, and nothing for longer than they may.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { type TestContext, describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { gzipSync } from "node:zlib";

import { createMemoryStore } from "mortise";
import type { ProviderSource } from "mortise/gateway";

import { TRAP } from "../hooks/guests.ts";
import { grantFor, temporaryFile } from "../native/open-native.ts";
import { PATHS, type Stage, base64, completion, eventsOf, json, post, posting, say, shipped, startStage } from "./start-gateway.ts";

const SOON = { timeout: 15_000 };

interface Upstream extends AsyncDisposable {
  readonly url: string;
  readonly keys: (string | undefined)[];
}

/** A server behind a provider that does what a test says. */
async function startUpstream(answer: (response: ServerResponse, request: IncomingMessage) => void): Promise<Upstream> {
  const keys: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    keys.push(request.headers.authorization);
    response.on("error", () => {});
    request.resume().on("end", () => answer(response, request));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    keys,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const json200 = (response: ServerResponse, body: object): unknown => response.setHeader("content-type", "application/json").end(JSON.stringify(body));
const whole = (response: ServerResponse): unknown => json200(response, completion("hello"));
const events = (response: ServerResponse): ServerResponse => response.setHeader("content-type", "text/event-stream");
const chunk = (content: string, reason: string | null = null): string =>
  `data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content }, finish_reason: reason }] })}\n\n`;

/** A stream without end. */
function endless(response: ServerResponse): void {
  const piece = chunk("x".repeat(60_000));
  const go = (): void => {
    while (response.write(piece));
    response.once("drain", go);
  };
  events(response);
  go();
}

/** A provider `one` with a key of a ring, in front of a server. */
function ringed({ url }: Upstream, key: string, more: Partial<ProviderSource> = {}): ProviderSource {
  const { options, ...rest } = shipped("provider-openai", { url });
  const { apiKey: _apiKey, ...own } = options ?? {};
  return { ...rest, options: own, keys: [{ name: key, value: `sk-${key}` }], ...more };
}

async function loadNative(t: TestContext, { gateway }: Stage, code: string): Promise<void> {
  const path = temporaryFile(t, "plugin.mjs", code);
  await gateway.host.plugins.load(path, { name: "native", abi: "native", native: [grantFor(path)] });
}

/** A request as bytes. */
function rawRequest(asked: object): string {
  const body = JSON.stringify(asked);
  return `POST ${PATHS.chat} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

/** Settled once a condition holds; the test's own time is the limit. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await wait(10); // oxlint-disable-line no-await-in-loop -- it is looked at again and again
}

describe("keys of providers", SOON, () => {
  it("stay theirs when a plugin sends a request to another provider, which is asked with its own", async () => {
    await using first = await startUpstream(whole);
    await using second = await startUpstream(whole);
    await using stage = await startStage({ providers: { one: ringed(first, "one"), two: ringed(second, "two") }, defaultProvider: "one" });
    await stage.plugin("a", { pre_hook: '{"request":{"provider":"two"}}' });
    for (const [path, body] of [
      [PATHS.chat, say.chat("x")],
      [PATHS.messages, { ...say.messages("x"), model: "one/m" }],
      [PATHS.embeddings, say.embeddings("x")],
    ] as const)
      await (await post(stage.url + path, body)).text();
    assert.deepEqual(first.keys, []);
    assert.deepEqual(new Set(second.keys), new Set(["Bearer sk-two"]));
  });

  it("do not rest, and breakers do not open, for what another provider refused", async () => {
    await using first = await startUpstream(whole);
    await using second = await startUpstream((response) => response.writeHead(401).end());
    const breaker = { failures: 1, share: 0 };
    await using stage = await startStage({
      providers: { one: ringed(first, "one", { breaker }), two: ringed(second, "two", { breaker }) },
      defaultProvider: "one",
    });
    await stage.plugin("a", { pre_hook: '{"request":{"provider":"two"}}' });
    assert.equal((await post(stage.url + PATHS.chat, say.chat("x"))).status, 401);
    const [one] = stage.gateway.health().providers;
    assert.deepEqual(
      one?.keys.map(({ restMs }) => restMs),
      [0],
    );
    assert.equal(one?.breaker?.state, "closed");
  });

  it("are asked with in the place of the option's", async () => {
    await using server = await startUpstream(whole);
    const { options } = shipped("provider-openai", server);
    await using stage = await startStage({ providers: { one: ringed(server, "ring", { options: options ?? {} }) }, defaultProvider: "one" });
    await (await post(stage.url + PATHS.chat, say.chat("x"))).text();
    assert.deepEqual(server.keys, ["Bearer sk-ring"]);
  });
});

describe("a plugin that sends requests to another provider", SOON, () => {
  /** A gateway where everything goes to `two`, which is guarded. */
  const startMoved = async (server: Upstream, more: Partial<ProviderSource>, to = '"provider":"two"'): Promise<Stage> => {
    const stage = await startStage({ providers: { one: ringed(server, "one"), two: ringed(server, "two", more) }, defaultProvider: "one" });
    await stage.plugin("a", { pre_hook: `{"request":{${to}}}` });
    return stage;
  };
  const ask = (stage: Stage): Promise<Response> => post(stage.url + PATHS.chat, say.chat("x"));

  it("has it asked for no other models than may be asked for", async () => {
    await using server = await startUpstream(whole);
    for (const to of ['"provider":"two"', '"provider":"two","model":"no"', '"model":"no"']) {
      await using stage = await startMoved(server, { models: ["yes"], onlyListed: true }, to);
      const response = await post(stage.url + PATHS.chat, say.chat("x", { model: to.includes("two") ? "one/m" : "two/yes" }));
      assert.deepEqual([response.status, (await json(response)).error.code], [404, "MORTISE_GATEWAY_NO_MODEL"], to);
    }
    assert.equal(server.keys.length, 0);
    await using stage = await startMoved(server, { models: ["yes"], onlyListed: true }, '"provider":"two","model":"yes"');
    assert.equal((await ask(stage)).status, 200);
  });

  it("has as many asked at a time as may be", async () => {
    const answers: ServerResponse[] = [];
    await using server = await startUpstream((response) => void answers.push(response));
    await using stage = await startMoved(server, { concurrency: { limit: 1, queue: 0 } });
    const first = ask(stage);
    await until(() => answers.length > 0);
    assert.equal((await json(ask(stage))).error.code, "MORTISE_GATEWAY_BUSY");
    for (const answer of answers) whole(answer);
    assert.equal((await first).status, 200);
  });

  it("has it left alone when its breaker opens, which its failures do, and its key rest", async () => {
    let status = 401;
    await using server = await startUpstream((response) => response.writeHead(status).end());
    await using stage = await startMoved(server, { breaker: { failures: 1, share: 0 } });
    await ask(stage);
    const [one, two] = stage.gateway.health().providers;
    assert.deepEqual([one?.keys[0]?.restMs === 0, two?.keys[0]?.restMs === 0], [true, false]);
    assert.equal((await json(ask(stage))).error.code, "MORTISE_GATEWAY_NO_KEY");
    status = 500;
    await using other = await startMoved(server, { breaker: { failures: 1, share: 0 } });
    await ask(other);
    assert.deepEqual(
      other.gateway.health().providers.map(({ breaker }) => breaker?.state),
      ["closed", "open"],
    );
    assert.equal((await json(ask(other))).error.code, "MORTISE_GATEWAY_SUSPENDED");
    assert.equal(server.keys.length, 2);
  });
});

describe("keys of clients", SOON, () => {
  it("are kept from plugins in every header", async () => {
    const sha256 = createHash("sha256").update("k-secret").digest("hex");
    await using stage = await startStage({ clients: [{ name: "a", sha256 }] });
    const sent = await stage.spy("a", { http_pre_hook: "" });
    const headers = { authorization: "Bearer k-secret", "x-api-key": "k-secret", "api-key": "k-secret", "x-other": "kept" };
    assert.equal((await post(stage.url + PATHS.chat, say.chat("x"), headers)).status, 200);
    const [{ request }] = sent("http_pre_hook");
    assert.doesNotMatch(JSON.stringify(request.headers), /k-secret/);
    assert.equal(request.headers["x-other"], "kept");
  });
});

describe("a client that does not read", SOON, () => {
  it("holds its request for no longer than requests may take, over a socket and without one", async () => {
    await using server = await startUpstream(endless);
    const options = { providers: { one: ringed(server, "one") }, defaultProvider: "one", limits: { timeoutMs: 300 } };
    await using stage = await startStage(options);
    const asked = say.chat("x", { stream: true });
    const socket = connect(Number(new URL(stage.url).port), "127.0.0.1")
      .pause()
      .on("error", () => {});
    socket.write(rawRequest(asked));
    const response = await stage.gateway.inject(new Request(`http://127.0.0.1${PATHS.chat}`, posting(asked)));
    assert.equal(response.status, 200);
    await until(() => stage.gateway.health().requests === 0);
    await assert.rejects(response.text());
    socket.destroy();
  });
});

describe("a client that does not take a whole answer", SOON, () => {
  const large = (response: ServerResponse): unknown =>
    response.setHeader("content-type", "application/json").end(JSON.stringify(completion("x".repeat(7 << 20))));

  it("gets all of it while the gateway closes, if it takes it in time", async () => {
    await using server = await startUpstream(large);
    await using stage = await startStage({ providers: { one: ringed(server, "one") }, defaultProvider: "one" });
    const socket = connect(Number(new URL(stage.url).port), "127.0.0.1").pause();
    socket.write(rawRequest(say.chat("x")));
    await until(() => server.keys.length > 0 && stage.gateway.health().requests === 0);
    const closing = stage.gateway.close({ drainMs: 3_600_000 });
    // Longer than the gateway takes to look for connections that are idle.
    await wait(100);
    let bytes = 0;
    for await (const piece of socket) bytes += (piece as Buffer).length;
    assert.ok(bytes > 7 << 20);
    await closing;
  });

  it("loses its connection, so that closing does not wait for it", async () => {
    await using server = await startUpstream(large);
    await using stage = await startStage({ providers: { one: ringed(server, "one") }, defaultProvider: "one", limits: { timeoutMs: 1000 } });
    const socket = connect(Number(new URL(stage.url).port), "127.0.0.1")
      .pause()
      .on("error", () => {});
    socket.write(rawRequest(say.chat("x")).repeat(4));
    await until(() => server.keys.length > 0 && stage.gateway.health().requests === 0);
    await stage.gateway.close({ drainMs: 3_600_000 });
    socket.destroy();
  });
});

describe("a logger that throws", SOON, () => {
  it("hurts its own request at most", async () => {
    const fail = (): never => {
      throw new Error("the disk is full");
    };
    const logger = { trace: fail, debug: fail, info: fail, warn: fail, error: fail };
    await using stage = await startStage({ logger });
    await post(stage.url + PATHS.chat, say.chat("x")).catch(() => {});
    await post(stage.url + PATHS.chat, {}).catch(() => {});
    assert.equal((await fetch(`${stage.url}/healthz`)).status, 200);
    assert.equal(stage.gateway.health().requests, 0);
  });
});

describe("a plugin that answers with a status that has no body", SOON, () => {
  it("sends none", async () => {
    for (const status_code of [204, 205, 304]) {
      await using stage = await startStage();
      await stage.plugin("a", {
        http_pre_hook: JSON.stringify({ has_response: true, response: { status_code, headers: {}, body: base64("body") } }),
      });
      const response = await post(stage.url + PATHS.chat, say.chat("x"));
      assert.deepEqual([response.status, response.headers.get("content-length"), await response.text()], [status_code, "0", ""]);
    }
  });
});

describe("a client that leaves a stream before its usage is told", SOON, () => {
  it("pays for what it got", async () => {
    await using server = await startUpstream((response) => void events(response).write(chunk("many ".repeat(1000))));
    const rateLimits = { store: createMemoryStore(), limits: [{ tokens: 500 }] };
    await using stage = await startStage({ providers: { one: ringed(server, "one") }, defaultProvider: "one", rateLimits });
    const client = new AbortController();
    const response = await post(stage.url + PATHS.chat, say.chat("x", { stream: true }), {}, client.signal);
    await response.body?.getReader().read();
    client.abort();
    await until(() => stage.gateway.health().requests === 0);
    assert.equal((await post(stage.url + PATHS.chat, say.chat("x"))).status, 429);
  });
});

describe("a model's answer that a plugin keeps back", SOON, () => {
  const refused = { status_code: 422, error: { message: "no" } };
  const again = { ...refused, extra_fields: { retry_with: [{ role: "user", content: "again" }] } };
  const keepsBack = (error: object): { readonly post_hook: string } => ({ post_hook: JSON.stringify({ response: null, has_error: true, error }) });
  const cases: readonly (readonly [name: string, plugin: Parameters<Stage["plugin"]>[1], stream: boolean, tokens: number])[] = [
    ["whole", keepsBack(refused), false, 100],
    ["whole, for one that traps", { post_hook: TRAP }, false, 100],
    ["whole, and another one", keepsBack(again), false, 200],
    ["whole, when it was told as an answer of HTTP", { http_post_hook: TRAP }, false, 100],
    ["a stream", keepsBack(refused), true, 1018],
  ];

  for (const [name, plugin, stream, tokens] of cases)
    it(`has cost its tokens: ${name}`, async () => {
      const usage = { total_tokens: 100, prompt_tokens: 50, completion_tokens: 50 };
      await using server = await startUpstream((response) =>
        stream ? events(response).end(chunk("many ".repeat(800), "stop")) : json200(response, { ...completion("hello"), usage }),
      );
      await using store = createMemoryStore();
      const rateLimits = { store, limits: [{ tokens: 100_000, windowMs: 2_000_000_000 }] };
      await using stage = await startStage({ providers: { one: ringed(server, "one") }, defaultProvider: "one", rateLimits });
      await stage.plugin("a", plugin);
      const response = await post(stage.url + PATHS.chat, say.chat("x", { stream }));
      assert.ok(response.status >= 400);
      // What another request is told is left, once what it was itself thought to take is added.
      const body = JSON.stringify(say.chat("x"));
      const last = await post(stage.url + PATHS.chat, body);
      const left = Number(last.headers.get("x-ratelimit-remaining-tokens"));
      assert.equal(100_000 - left - Math.ceil(body.length / 4), tokens);
    });

  it("costs nothing where no model has answered", async () => {
    let status = 500;
    await using server = await startUpstream((response) => response.writeHead(status).end());
    await using store = createMemoryStore();
    const rateLimits = { store, limits: [{ tokens: 100_000, windowMs: 2_000_000_000 }] };
    await using stage = await startStage({ providers: { one: ringed(server, "one") }, defaultProvider: "one", rateLimits });
    const body = JSON.stringify(say.chat("x"));
    const left: (string | null)[] = [];
    for (status of [500, 400, 500]) left.push((await post(stage.url + PATHS.chat, body)).headers.get("x-ratelimit-remaining-tokens"));
    await stage.plugin("a", { http_pre_hook: JSON.stringify({ has_response: true, response: { status_code: 200, headers: {}, body: "" } }) });
    await post(stage.url + PATHS.chat, body);
    await stage.gateway.host.plugins.unload("a");
    left.push((await post(stage.url + PATHS.chat, body)).headers.get("x-ratelimit-remaining-tokens"));
    assert.deepEqual(new Set(left), new Set([String(100_000 - Math.ceil(body.length / 4))]));
  });
});

describe("a plugin that has a model asked once more, and answers itself then", SOON, () => {
  it("gives the place at the provider back", async (t) => {
    await using server = await startUpstream((response) => events(response).end(chunk("bad", "stop")));
    await using stage = await startStage({
      providers: { one: ringed(server, "one", { concurrency: { limit: 1, queue: 0 } }) },
      defaultProvider: "one",
    });
    const early = JSON.stringify({ short_circuit: { response: completion("good") } });
    const again = { status_code: 422, error: { message: "again" }, extra_fields: { retry_with: [{ role: "user", content: "REPAIR" }] } };
    const late = JSON.stringify({ response: null, has_error: true, error: again });
    await loadNative(
      t,
      stage,
      `const text = (bytes) => new TextDecoder().decode(bytes);
export const pre_hook = (input) => (text(input).includes("REPAIR") ? ${JSON.stringify(early)} : "");
export const post_hook = (input) => (text(input).includes('"bad"') ? ${JSON.stringify(late)} : "");`,
    );
    for (const _time of [1, 2]) {
      const response = await post(stage.url + PATHS.chat, say.chat("x", { stream: true }));
      assert.match(await response.text(), /good/);
    }
    assert.deepEqual(stage.gateway.health().providers[0]?.gate, { inside: 0, waiting: 0 });
  });
});

describe("a server", SOON, () => {
  it("may write the data of an event on several lines, also where plugins look", async () => {
    await using server = await startUpstream((response) =>
      events(response).end(`${chunk("hello", "stop").replace('"choices"', '\ndata: "choices"')}data: [DONE]\n\n`),
    );
    await using stage = await startStage({ providers: { one: ringed(server, "one") }, defaultProvider: "one" });
    await stage.plugin("a", { post_hook: "" });
    const text = await (await post(stage.url + PATHS.chat, say.chat("x", { stream: true }))).text();
    const data = text.split("\n\n")[0]?.split("\n");
    assert.ok(data?.every((line) => line.startsWith("data: ")));
    const [event] = eventsOf(`data: ${data?.map((line) => line.slice("data: ".length)).join("")}\n\n`) as { choices: unknown[] }[];
    assert.equal(event?.choices.length, 1);
  });

  it("cannot pass for one that answered", async () => {
    const cases: readonly (readonly [string, (response: ServerResponse) => unknown])[] = [
      ["compressed", (response) => response.setHeader("content-encoding", "gzip").end(gzipSync(JSON.stringify(completion("x"))))],
      ["without a body", (response) => response.writeHead(204).end()],
      ["as it was", (response) => response.writeHead(304).end()],
      ["somewhere else", (response) => response.writeHead(300).end("{}")],
      ["empty", (response) => response.end()],
    ];
    for (const [name, answer] of cases)
      for (const stream of [false, true]) {
        if (stream && name === "empty") continue;
        await using server = await startUpstream((response) =>
          answer(response.setHeader("content-type", stream ? "text/event-stream" : "application/json")),
        );
        await using stage = await startStage({ providers: { one: ringed(server, "one") }, defaultProvider: "one" });
        const response = await post(stage.url + PATHS.chat, say.chat("x", { stream }));
        assert.equal(response.status, 502, name);
        assert.equal((await json(response)).error.code, "MORTISE_GATEWAY_UPSTREAM", name);
      }
  });
});

describe("a server that breaks off in a line too long to wait for", SOON, () => {
  it("does not take the event with it that says so", async () => {
    await using server = await startUpstream((response) => {
      events(response).write(`${chunk("hello")}data: ${"x".repeat(2 << 20)}`, () => response.destroy());
    });
    await using stage = await startStage({ providers: { one: ringed(server, "one") }, defaultProvider: "one" });
    const text = await (await post(stage.url + PATHS.chat, say.chat("x", { stream: true }))).text();
    assert.ok(text.includes("x".repeat(1 << 20)));
    const [last] = eventsOf(text.slice(text.lastIndexOf("\n\ndata: "))) as { error?: { type?: string } }[];
    assert.equal(last?.error?.type, "server_error");
  });
});

describe("an answer of a server that nobody can read", SOON, () => {
  const deep = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  const said = (more: string, at: "message" | "delta"): string =>
    `{"id":"x","object":"x","created":1,"model":"m","choices":[{"index":0,"${at}":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"more":${more}}`;
  const cases: readonly (readonly [name: string, body: (at: "message" | "delta") => string | Buffer, status: number])[] = [
    ["as deep as may be", (at) => said(deep(63), at), 200],
    ["nested too deeply", (at) => said(deep(64), at), 502],
    ["nested so deeply that nothing can write it", (at) => said(deep(100_000), at), 502],
    ["not JSON", () => "hello", 502],
    ["a list", () => "[]", 502],
    ["not UTF-8", (at) => Buffer.from(said('"\u00ff"', at), "latin1"), 502],
  ];

  for (const [name, body, status] of cases)
    for (const stream of [false, true])
      it(`is the server's fault where plugins look, ${stream ? "in a stream" : "whole"}: ${name}`, async () => {
        await using server = await startUpstream((response) => {
          const bytes = Buffer.from(body(stream ? "delta" : "message"));
          if (stream) events(response).end(Buffer.concat([Buffer.from("data: "), bytes, Buffer.from("\n\ndata: [DONE]\n\n")]));
          else response.setHeader("content-type", "application/json").end(bytes);
        });
        await using stage = await startStage({ providers: { one: ringed(server, "one") }, defaultProvider: "one" });
        await stage.plugin("a", { post_hook: "", on_completion: "" });
        const response = await post(stage.url + PATHS.chat, say.chat("x", { stream }));
        assert.equal(response.status, status);
        if (status === 502) assert.equal((await json(response)).error.code, "MORTISE_GATEWAY_UPSTREAM");
        else assert.match(await response.text(), /hello/);
      });
});

describe("a request", SOON, () => {
  it("is refused if a name of it is spelled in another case, which some servers take for the same", async () => {
    await using stage = await startStage();
    const user = { role: "user", content: "x" };
    const cases: readonly (readonly [keyof typeof PATHS, object])[] = [
      ["chat", { ...say.chat("x"), Messages: [user] }],
      ["chat", { ...say.chat("x"), meſſages: [user] }],
      ["chat", say.chat("x", { messages: [{ ...user, Content: "other" }] })],
      ["chat", say.chat("x", { messages: [{ ...user, content: [{ type: "text", text: "x", TEXT: "other" }] }] })],
      ["messages", { ...say.messages("x"), System: "other" }],
      ["responses", { ...say.responses("x"), Instructions: "other" }],
      ["responses", { ...say.responses("x"), input: [{ ...user, Content: "other" }] }],
      ["embeddings", { ...say.embeddings("x"), Input: "other" }],
    ];
    for (const [api, body] of cases) assert.equal((await post(stage.url + PATHS[api], body)).status, 400, JSON.stringify(body));
    assert.equal(stage.standIn.requests.length, 0);
    const tools = [{ type: "function", function: { name: "f", parameters: { type: "object", properties: { Content: {}, content: {} } } } }];
    assert.equal((await post(stage.url + PATHS.chat, say.chat("x", { tools, extraThing: 1 }))).status, 200);
  });
});
