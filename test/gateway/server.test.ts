// The server itself: paths, methods, bodies that are refused, clients, room, and its end.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Socket, connect } from "node:net";
import { describe, it } from "node:test";

import { createMemoryStore } from "mortise";
import { createGateway } from "mortise/gateway";

import { ClientKeys } from "../../src/gateway/client-keys.ts";
import { startStandIn } from "./stand-in/start-stand-in.ts";
import { json, post, posting, say, shipped, startStage } from "./start-gateway.ts";

const SOON = { timeout: 15_000 };
const sha256 = (key: string): string => createHash("sha256").update(key).digest("hex");

describe("The gateway's paths", SOON, () => {
  it("are those that SDKs use, with and without version and prefix", async () => {
    await using stage = await startStage();
    const cases: readonly (readonly [paths: readonly string[], body: object])[] = [
      [["/v1/chat/completions", "/chat/completions", "/openai/v1/chat/completions", "/openai/chat/completions"], say.chat("a")],
      [["/v1/responses", "/responses", "/openai/v1/responses"], say.responses("a")],
      [["/v1/embeddings", "/embeddings", "/openai/v1/embeddings"], say.embeddings("a")],
      [["/v1/messages", "/messages", "/anthropic/v1/messages", "/anthropic/messages"], say.messages("a")],
    ];
    for (const [paths, body] of cases) for (const path of paths) assert.equal((await post(stage.url + path, body)).status, 200, path);
  });

  it("list the models of the configuration, in either shape, and tell one by any name that leads somewhere", async () => {
    await using stage = await startStage({ aliases: { fast: "oai/small" } });
    const openai = await json(fetch(`${stage.url}/v1/models`));
    assert.deepEqual([openai.object, openai.data[0].id, openai.data[0].object], ["list", "fast", "model"]);
    for (const [path, headers] of [
      ["/anthropic/v1/models", {}],
      ["/v1/models", { "anthropic-version": "2023-06-01" }],
    ] as const) {
      const anthropic = await json(fetch(stage.url + path, { headers }));
      assert.deepEqual([anthropic.data[0].type, anthropic.has_more], ["model", false]);
    }
    assert.equal((await json(fetch(`${stage.url}/v1/models/oai/some-model`))).owned_by, "oai");
    assert.equal((await json(fetch(`${stage.url}/v1/models/ant%2Fx`))).owned_by, "ant");
    assert.equal((await fetch(`${stage.url}/v1/models/%ff`)).status, 404);
  });

  it("say what is wrong in the words of the client's interface", async () => {
    await using stage = await startStage({ limits: { bodyBytes: 2000 }, defaultProvider: undefined as never });
    const type = { "content-type": "application/json" };
    const cases: readonly (readonly [path: string, init: RequestInit, status: number, code: string])[] = [
      ["/v1/nothing", {}, 404, "MORTISE_GATEWAY_PATH"],
      ["/v1/chat/completions/", { method: "POST" }, 404, "MORTISE_GATEWAY_PATH"],
      ["/openai/v1/messages", { method: "POST" }, 404, "MORTISE_GATEWAY_PATH"],
      ["/v1/chat/completions", {}, 405, "MORTISE_GATEWAY_METHOD"],
      ["/v1/models", { method: "POST" }, 405, "MORTISE_GATEWAY_METHOD"],
      ["/v1/chat/completions", { method: "POST", body: "{}", headers: { "content-type": "text/plain" } }, 415, "MORTISE_GATEWAY_BODY_TYPE"],
      ["/v1/chat/completions", { method: "POST", body: new Uint8Array(2) }, 415, "MORTISE_GATEWAY_BODY_TYPE"],
      ["/v1/chat/completions", { method: "POST", body: "{}", headers: { ...type, "content-encoding": "gzip" } }, 415, "MORTISE_GATEWAY_BODY_TYPE"],
      ["/v1/chat/completions", { method: "POST", body: "{", headers: type }, 400, "MORTISE_GATEWAY_REQUEST"],
      ["/v1/chat/completions", { method: "POST", body: '{"model":"oai/m"}', headers: type }, 400, "MORTISE_GATEWAY_REQUEST"],
      ["/v1/chat/completions", posting(say.chat("a", { model: "unknown" })), 404, "MORTISE_GATEWAY_NO_MODEL"],
      ["/v1/chat/completions", posting(say.chat("a".repeat(2000))), 413, "MORTISE_GATEWAY_BODY_LIMIT"],
    ];
    for (const [path, init, status, code] of cases) {
      const response = await fetch(stage.url + path, init);
      const { error } = await json(response);
      assert.deepEqual([response.status, error.code], [status, code], path);
      assert.match(response.headers.get("x-request-id") ?? "", /./);
      assert.equal(response.headers.get("access-control-allow-origin"), null);
      if (status === 405) assert.match(response.headers.get("allow") ?? "", /GET|POST/);
    }
    const anthropic = await json(post(`${stage.url}/v1/messages`, "{}"));
    assert.deepEqual([anthropic.type, anthropic.error.type], ["error", "invalid_request_error"]);
    assert.equal(stage.standIn.counters.requests, 0);
  });

  it("refuse a body that is too long without a length, too", async () => {
    await using stage = await startStage({ limits: { bodyBytes: 2000 } });
    const body = new ReadableStream({
      start(controller) {
        for (let index = 0; index < 100; index++) controller.enqueue(new Uint8Array(100).fill(0x20));
        controller.close();
      },
    });
    const init = { method: "POST", body, duplex: "half", headers: { "content-type": "application/json" } };
    assert.equal((await fetch(`${stage.url}/v1/chat/completions`, init as RequestInit)).status, 413);
  });

  it("answer HEAD and OPTIONS without a body", async () => {
    await using stage = await startStage();
    const head = await fetch(`${stage.url}/v1/models`, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    assert.ok(Number(head.headers.get("content-length")) > 0);
    const options = await fetch(`${stage.url}/v1/chat/completions`, { method: "OPTIONS" });
    assert.deepEqual([options.status, options.headers.get("allow")], [204, "POST, OPTIONS"]);
    for (const path of ["/healthz", "/readyz"]) assert.equal((await fetch(stage.url + path)).status, 200);
  });

  it("do not answer to names that a page in a browser could have made up", async () => {
    await using stage = await startStage();
    const { port } = new URL(stage.url);
    for (const [host, status] of [
      ["evil.example", "421"],
      [`evil.example:${port}`, "421"],
      ["evil.localhost", "421"],
      ["", "421"],
      ["::1", "421"],
      ["127.0.0.2", "421"],
      [`localhost:${port}`, "200"],
      ["LOCALHOST", "200"],
      [`localhost.:${port}`, "200"],
      ["[::1]", "200"],
      [`[::1]:${port}`, "200"],
      ["127.0.0.1", "200"],
    ] as const)
      assert.equal(await statusFor(stage, host), status, host);
  });

  it("answer to the address at which they listen, wherever on this machine, and to names that are stated", async () => {
    await using second = await startStage({ listen: { host: "127.0.0.2" } });
    for (const [host, status] of [
      ["127.0.0.2", "200"],
      ["localhost", "200"],
      ["evil.example", "421"],
    ] as const)
      assert.equal(await statusFor(second, host), status, host);
    await using named = await startStage({ listen: { names: ["Gateway.example."] } });
    for (const [host, status] of [
      ["gateway.example:1", "200"],
      ["localhost", "421"],
    ] as const)
      assert.equal(await statusFor(named, host), status, host);
    await using open = await startStage({ listen: { host: "0.0.0.0" } });
    assert.equal(await statusFor(open, "any.example"), "200");
  });

  it("answer to any name once clients have keys, also from a reload on", async () => {
    await using stage = await startStage();
    assert.equal(await statusFor(stage, "any.example"), "421");
    const clients = [{ name: "a", sha256: sha256("key-a") }];
    await stage.gateway.reload({ providers: { oai: shipped("provider-openai", stage.standIn) }, clients });
    assert.equal(await statusFor(stage, "any.example"), "401");
  });
});

/** The status for a request with a header `host`. */
async function statusFor({ url }: { readonly url: string }, host: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET /v1/models HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  return (await text(socket)).split(" ", 2)[1] ?? "";
}

/** All that a socket gives. */
async function text(socket: Socket): Promise<string> {
  let all = "";
  for await (const piece of socket) all += String(piece);
  return all;
}

describe("Clients with keys", SOON, () => {
  it("are let in by either header, and nobody else", async () => {
    await using stage = await startStage({
      clients: [
        { name: "a", sha256: sha256("key-a") },
        { name: "b", sha256: sha256("key-b").toUpperCase() },
      ],
    });
    const url = `${stage.url}/v1/chat/completions`;
    for (const headers of [{ authorization: "Bearer key-a" }, { authorization: "bearer  key-b" }, { "x-api-key": "key-b" }])
      assert.equal((await post(url, say.chat("a"), headers)).status, 200);
    const cases: readonly Readonly<Record<string, string>>[] = [
      {},
      { authorization: "Bearer " },
      { authorization: "Bearer key-c" },
      { authorization: "Basic key-a" },
      { authorization: "key-a" },
      { "x-api-key": "" },
      { "x-api-key": sha256("key-a") },
      { "x-api-key": "k".repeat(2000) },
    ];
    for (const headers of cases) {
      const response = await post(url, say.chat("a"), headers);
      assert.deepEqual([response.status, (await json(response)).error.code], [401, "MORTISE_GATEWAY_KEY"], JSON.stringify(headers));
      assert.equal(response.headers.get("www-authenticate"), "Bearer");
    }
    assert.equal((await fetch(`${stage.url}/v1/models`)).status, 401);
    assert.equal((await fetch(`${stage.url}/healthz`)).status, 200);
    assert.equal(stage.standIn.counters.requests, 3);
  });

  it("are told apart where their hashes begin alike", () => {
    const begins = sha256("key-a").slice(0, 4);
    let other = 0;
    while (!sha256(`other-${other}`).startsWith(begins)) other++;
    const keys = new ClientKeys([{ name: "a", sha256: sha256("key-a") }]);
    assert.throws(() => keys.identify({ "x-api-key": `other-${other}` }), { code: "MORTISE_GATEWAY_KEY" });
    const both = new ClientKeys([
      { name: "a", sha256: sha256("key-a") },
      { name: "b", sha256: sha256(`other-${other}`) },
    ]);
    assert.equal(both.identify({ "x-api-key": `other-${other}` }).name, "b");
    assert.equal(both.identify({ "x-api-key": "key-a" }).name, "a");
  });

  it("must have different names, and hashes", async () => {
    const providers = { oai: { provider: {} as never } };
    for (const clients of [
      [{ name: "a b", sha256: sha256("k") }],
      [{ name: "a", sha256: "key-a" }],
      [1, 2].map(() => ({ name: "a", sha256: sha256("k") })),
    ])
      await assert.rejects(createGateway({ providers, clients }), { code: "MORTISE_INVALID_OPTION", message: /clients\[/ });
  });
});

describe("createGateway", SOON, () => {
  it("refuses what makes no sense, by name", async () => {
    const providers = { oai: { provider: {} as never } };
    const cases: readonly (readonly [options: object | undefined, option: string])[] = [
      [{ providers: {} }, "providers"],
      [{}, "providers"],
      [undefined, "options"],
      [{ providers, extra: 1 }, "extra"],
      [{ providers, limits: 5 }, "limits"],
      [{ providers, limits: { bodyBytes: 0 } }, "limits.bodyBytes"],
      [{ providers, limits: { bytes: 1 } }, "limits.bytes"],
      [{ providers, hooks: { timeout: 1 } }, "hooks.timeout"],
      [{ providers: { oai: { ...providers.oai, concurency: {} } } }, "providers.oai.concurency"],
      [{ providers: { oai: "openai" } }, "providers.oai"],
      [{ providers, clients: [{ name: "a", sha256: sha256("a"), key: "a" }] }, "clients[0].key"],
      [{ providers, rateLimits: { limits: [] } }, "rateLimits.store"],
      [{ providers, rateLimits: { store: createMemoryStore(), limit: [] } }, "rateLimits.limit"],
      [{ providers, limits: { requests: Number.POSITIVE_INFINITY } }, "limits.requests"],
      [{ providers, defaultProvider: "other" }, "defaultProvider"],
      [{ providers, hooks: { timeoutMs: -1 } }, "hook.bracket.timeoutMs"],
    ];
    for (const [options, option] of cases)
      await assert.rejects(
        createGateway(options as never),
        (error: { code: string; message: string }) => error.code === "MORTISE_INVALID_OPTION" && error.message.includes(`"${option}"`),
        option,
      );
  });

  it("closes providers that it loaded if another one cannot be loaded", async () => {
    const good = shipped("provider-openai", { url: "http://127.0.0.1:1" });
    await assert.rejects(createGateway({ providers: { good, bad: { source: Uint8Array.of(1, 2, 3) } } }), { code: "MORTISE_NOT_WASM" });
  });
});

describe("A full gateway", SOON, () => {
  it("refuses further requests, and says when to come again", async () => {
    await using stage = await startStage({ limits: { requests: 1 } }, { behaviour: { fault: "never" } });
    const aborter = new AbortController();
    const first = post(`${stage.url}/v1/chat/completions`, say.chat("a"), {}, aborter.signal);
    while (stage.gateway.health().requests === 0) await new Promise(setImmediate);
    const second = await post(`${stage.url}/v1/chat/completions`, say.chat("a"));
    assert.deepEqual([second.status, second.headers.get("retry-after"), (await json(second)).error.code], [503, "1", "MORTISE_GATEWAY_FULL"]);
    aborter.abort();
    await assert.rejects(first, { name: "AbortError" });
    while (stage.gateway.health().requests > 0) await new Promise(setImmediate);
    stage.standIn.behave({});
    assert.equal((await post(`${stage.url}/v1/chat/completions`, say.chat("a"))).status, 200);
  });
});

describe("A gateway that closes", SOON, () => {
  it("lets requests under way end, and takes no others", async () => {
    await using stage = await startStage({}, { behaviour: { chunkDelayMs: 5, chunks: 20 } });
    const url = `${stage.url}/v1/chat/completions`;
    const response = await post(url, say.chat("one two three four five six", { stream: true }));
    const closed = stage.gateway.close({ drainMs: 10_000 });
    assert.deepEqual([stage.gateway.health().status, stage.gateway.health().requests], ["closing", 1]);
    const injected = await stage.gateway.inject(new Request(url, posting(say.chat("a"))));
    assert.equal(injected.status, 503);
    await assert.rejects(fetch(`${stage.url}/readyz`), /fetch failed/);
    assert.match(await response.text(), /\[DONE\]/);
    await closed;
    await assert.rejects(stage.gateway.start(), { code: "MORTISE_HOST_CLOSED" });
  });

  it("breaks off what does not end in time, and idle connections at once", async () => {
    await using stage = await startStage({}, { behaviour: { fault: "stall" } });
    const idle = connect(Number(new URL(stage.url).port), "127.0.0.1");
    const gone = new Promise((resolve) => idle.once("close", resolve));
    idle.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await new Promise((resolve) => idle.once("data", resolve));
    const response = await post(`${stage.url}/v1/chat/completions`, say.chat("one two three", { stream: true }));
    const injected = await stage.gateway.inject(new Request("http://gateway/v1/chat/completions", posting(say.chat("one two", { stream: true }))));
    const closed = stage.gateway.close({ drainMs: 20 });
    await gone;
    await assert.rejects(response.text());
    await assert.rejects(injected.text());
    await closed;
    await stage.standIn.settled();
  });
});

describe("A gateway that is reloaded twice", SOON, () => {
  it("has what was asked for last, however long each takes to load", async () => {
    await using stage = await startStage();
    const slow = stage.gateway.reload({ providers: { slow: shipped("provider-openai", stage.standIn) } });
    const fast = stage.gateway.reload({ providers: { fast: { provider: {} as never } } });
    const failing = stage.gateway.reload({ providers: { bad: { source: Uint8Array.of(1) } } });
    await assert.rejects(failing, { code: "MORTISE_NOT_WASM" });
    await Promise.all([slow, fast]);
    assert.equal(stage.gateway.health().providers[0]?.name, "fast");
  });
});

describe("A reload", SOON, () => {
  it("refuses what cannot be replaced while a gateway runs, and changes nothing", async () => {
    await using stage = await startStage();
    const providers = { other: { provider: {} as never } };
    for (const [more, option] of [
      [{ limits: {} }, "limits"],
      [{ client: [] }, "client"],
      [{ clients: [{ name: "a b", sha256: "" }] }, "clients[0].name"],
    ] as const)
      await assert.rejects(
        stage.gateway.reload({ providers, ...more }),
        (error: { code: string; message: string }) => error.code === "MORTISE_INVALID_OPTION" && error.message.includes(`"${option}"`),
      );
    assert.notEqual(stage.gateway.health().providers[0]?.name, "other");
  });
});

describe("A gateway that cannot listen", SOON, () => {
  it("says so, and can be started once it can", async () => {
    await using other = await startStage();
    const port = Number(new URL(other.url).port);
    const gateway = await createGateway({ providers: { a: { provider: {} as never } }, listen: { port } });
    await assert.rejects(gateway.start(), { code: "EADDRINUSE" });
    await other.gateway.close();
    assert.equal((await gateway.start()).port, port);
    await gateway.close();
  });
});

describe("A body that comes slowly", SOON, () => {
  it("takes no time from plugins and providers, who are not to blame for it", async () => {
    let now = 0;
    await using stage = await startStage({ limits: { timeoutMs: 1000 }, clock: () => now });
    await stage.plugin("a", { http_pre_hook: "", pre_hook: "", post_hook: "" });
    const body = JSON.stringify(say.chat("hello"));
    const socket = connect(Number(new URL(stage.url).port), "127.0.0.1");
    const head = `host: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close`;
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\n${head}\r\n\r\n${body.slice(0, 10)}`);
    while (stage.gateway.health().requests === 0) await new Promise(setImmediate);
    now += 5000;
    socket.write(body.slice(10));
    assert.match(await text(socket), /^HTTP\/1\.1 200 /);
  });

  it("is given up with its client, without a socket as well", async () => {
    const stage = await startStage();
    const endless = (signal: AbortSignal): Promise<Response> => {
      const body = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) });
      const init = { method: "POST", body, duplex: "half", headers: { "content-type": "application/json" }, signal };
      return stage.gateway.inject(new Request("http://any/v1/chat/completions", init));
    };
    const client = new AbortController();
    const left = endless(client.signal);
    while (stage.gateway.health().requests === 0) await new Promise(setImmediate);
    client.abort();
    assert.equal((await left).type, "error");
    while (stage.gateway.health().requests > 0) await new Promise(setImmediate);
    const other = endless(new AbortController().signal);
    await stage.gateway.close({ drainMs: 1 });
    assert.equal((await other).type, "error");
    await stage.standIn.close();
  });
});

describe("A gateway that closes after a reload", SOON, () => {
  it("lets requests without a socket end that began before, and then closes the providers of that time", async () => {
    await using standIn = await startStandIn({ behaviour: { chunkDelayMs: 5, chunks: 20 } });
    const gateway = await createGateway({ providers: { before: shipped("provider-openai", standIn) } });
    const asked = say.chat("one two three four five six", { stream: true });
    const response = await gateway.inject(new Request("http://any/v1/chat/completions", posting(asked)));
    const done: string[] = [];
    const reloaded = gateway.reload({ providers: { after: shipped("provider-openai", standIn) } }).then(() => done.push("the first setup is closed"));
    while (gateway.health().providers[0]?.name !== "after") await new Promise(setImmediate);
    const read = response.text().then((said) => done.push(/\[DONE\]/.test(said) ? "the answer is whole" : said));
    await gateway.close().then(() => done.push("closed"));
    await Promise.all([reloaded, read]);
    assert.deepEqual(done, ["the answer is whole", "the first setup is closed", "closed"]);
  });
});

describe("gateway.inject", SOON, () => {
  it("is the same without a socket: whole answers, streams, errors and clients that leave", async () => {
    await using stage = await startStage();
    const inject = (body: unknown, signal?: AbortSignal): Promise<Response> =>
      stage.gateway.inject(new Request("http://any/v1/chat/completions?a=1", { ...posting(body), ...(signal && { signal }) }));
    assert.equal((await json(inject(say.chat("hello")))).choices[0].message.content, "hello");
    assert.match(await (await inject(say.chat("hello", { stream: true }))).text(), /\[DONE\]/);
    assert.equal((await inject("{}")).status, 400);
    stage.standIn.behave({ behaviour: { fault: "stall" } });
    const response = await inject(say.chat("one two three", { stream: true }));
    await response.body?.cancel();
    await stage.standIn.settled();
    assert.equal(stage.standIn.counters.clientsLeft, 1);
    const aborter = new AbortController();
    const stream = await inject(say.chat("one two three", { stream: true }), aborter.signal);
    aborter.abort();
    await assert.rejects(stream.text());
    await stage.standIn.settled();
  });
});
