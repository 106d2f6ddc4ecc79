// Routes and policies in a gateway: which provider is asked, with which key, how often, and what clients may use.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";

import { createMemoryStore } from "mortise";

import { json, post, say, shipped, startStage } from "./start-gateway.ts";
import { startStandIn } from "./stand-in/start-stand-in.ts";

const SOON = { timeout: 15_000 };
const NO_WAIT = { retries: 2, backoffMs: 0 };
const url = (stage: { readonly url: string }): string => `${stage.url}/v1/chat/completions`;

describe("A request that fails", SOON, () => {
  it("is tried again, and then with the next target; what is wrong with it is not", async () => {
    await using stage = await startStage(
      { attempts: NO_WAIT },
      { byModel: { flaky: { fault: 503, failFirst: 2 }, bad: { fault: 500 }, wrong: { fault: 400 } } },
    );
    assert.equal((await post(url(stage), say.chat("a", { model: "flaky" }))).status, 200);
    assert.equal(stage.standIn.counters.requests, 3);
    assert.equal((await json(post(url(stage), say.chat("hello", { model: "bad", fallbacks: ["ant/good"] })))).choices[0].message.content, "hello");
    assert.equal(stage.standIn.counters.requests, 7);
    assert.equal((await post(url(stage), say.chat("a", { model: "wrong", fallbacks: ["ant/good"] }))).status, 400);
    assert.equal(stage.standIn.counters.requests, 8);
  });

  it("is tried again as long as nothing was sent, and not after", async () => {
    await using stage = await startStage(
      { attempts: NO_WAIT },
      {
        byModel: { early: { fault: "drop_before_head", failFirst: 1, scenario: "a" }, late: { fault: "drop_mid_body", failFirst: 1, scenario: "b" } },
      },
    );
    assert.match(await (await post(url(stage), say.chat("one two", { model: "early", stream: true }))).text(), /\[DONE\]/);
    assert.equal(stage.standIn.counters.requests, 2);
    assert.doesNotMatch(await (await post(url(stage), say.chat("one two three four", { model: "late", stream: true }))).text(), /\[DONE\]/);
    assert.equal(stage.standIn.counters.requests, 3);
  });

  it("leads to another provider that really answers, by an alias with several targets", async () => {
    await using dead = await startStandIn();
    await dead.close();
    await using stage = await startStage();
    const providers = { dead: shipped("provider-openai", dead), live: shipped("provider-openai", stage.standIn) };
    await stage.gateway.reload({ providers, aliases: { any: [{ to: "dead/m" }, { to: "live/m", weight: 0 }] }, attempts: NO_WAIT });
    const response = await post(url(stage), say.chat("hello", { model: "any" }));
    assert.equal((await json(response)).choices[0].message.content, "hello");
  });

  it("ends at its deadline", async () => {
    await using stage = await startStage({ attempts: { retries: 0, attemptTimeoutMs: 50 } }, { behaviour: { fault: "never" } });
    for (const stream of [false, true]) assert.equal((await post(url(stage), say.chat("a", { stream }))).status, 504);
    await stage.standIn.settled();
    assert.equal(stage.standIn.counters.clientsLeft, 2);
  });
});

describe("A provider", SOON, () => {
  it("is asked with several keys, and not with one that it refused", async () => {
    await using stage = await startStage({}, { byKey: { "sk-bad": { fault: 401 } } });
    const keys = [
      { name: "bad", value: "sk-bad", weight: 1000 },
      { name: "good", value: "sk-good", weight: 0 },
    ];
    const { options, ...rest } = shipped("provider-openai", stage.standIn);
    const { apiKey: _none, ...others } = options ?? {};
    await stage.gateway.reload({ providers: { oai: { ...rest, options: others, keys } }, attempts: NO_WAIT });
    for (let index = 0; index < 3; index++) assert.equal((await post(url(stage), say.chat("a"))).status, 200);
    assert.deepEqual(
      stage.standIn.requests.map(({ key }) => key),
      ["sk-bad", "sk-good", "sk-good", "sk-good"],
    );
    const described = stage.gateway.health().providers[0]?.keys ?? [];
    assert.ok((described[0]?.restMs ?? 0) > 0);
    assert.ok(!JSON.stringify(stage.gateway.health()).includes("sk-"));
  });

  it("is left alone for a while after it failed too often", async () => {
    await using stage = await startStage({}, { behaviour: { fault: 500 } });
    await stage.gateway.reload({
      providers: { oai: { ...shipped("provider-openai", stage.standIn), breaker: { failures: 2 } } },
      attempts: { retries: 0 },
    });
    for (let index = 0; index < 4; index++) await post(url(stage), say.chat("a"));
    assert.equal(stage.standIn.counters.requests, 2);
    const refused = await post(url(stage), say.chat("a"));
    assert.deepEqual([refused.status, (await json(refused)).error.code], [503, "MORTISE_GATEWAY_SUSPENDED"]);
  });

  it("serves so many at a time; a stream counts until its end", async () => {
    await using stage = await startStage({}, { byModel: { slow: { fault: "stall" } } });
    const concurrency = { limit: 1, queue: 0 };
    await stage.gateway.reload({ providers: { oai: { ...shipped("provider-openai", stage.standIn), concurrency } }, attempts: { retries: 0 } });
    const aborter = new AbortController();
    await post(url(stage), say.chat("one two three", { model: "slow", stream: true }), {}, aborter.signal);
    assert.equal((await json(post(url(stage), say.chat("a")))).error.code, "MORTISE_GATEWAY_BUSY");
    aborter.abort();
    while (stage.gateway.health().requests > 0) await new Promise(setImmediate);
    assert.equal((await post(url(stage), say.chat("a"))).status, 200);
  });
});

describe("Clients", SOON, () => {
  const clients = ["a", "b"].map((name) => ({ name, sha256: createHash("sha256").update(name).digest("hex") }));

  it("may use so many requests and tokens, each for itself, and are told how much is left", async () => {
    await using store = createMemoryStore();
    const rateLimits = { store, limits: [{ requests: 2, tokens: 1000, windowMs: 3_600_000 }] };
    await using stage = await startStage({ clients, rateLimits });
    const ask = (key: string, body: object = say.chat("one two")): Promise<Response> => post(url(stage), body, { "x-api-key": key });
    const first = await ask("a");
    assert.deepEqual([first.status, first.headers.get("x-ratelimit-remaining-requests")], [200, "1"]);
    assert.match(await (await ask("a", say.chat("one two", { stream: true }))).text(), /\[DONE\]/);
    const third = await ask("a");
    assert.deepEqual([third.status, third.headers.get("x-ratelimit-remaining-requests")], [429, "0"]);
    assert.ok(Number(third.headers.get("retry-after")) > 0);
    const other = await ask("b");
    assert.equal(other.status, 200);
    const last = await ask("b");
    // The estimate of the first one has been replaced by what it took.
    const left = Number(last.headers.get("x-ratelimit-remaining-tokens"));
    assert.ok(left > 1000 - 4 - 40 && left < 1000, String(left));
  });

  it("have so many requests under way", async () => {
    await using stage = await startStage({ clients, clientConcurrency: { limit: 1, queue: 0 } }, { byModel: { slow: { fault: "never" } } });
    const aborter = new AbortController();
    const first = post(url(stage), say.chat("a", { model: "slow" }), { "x-api-key": "a" }, aborter.signal);
    while (stage.standIn.counters.open === 0) await new Promise(setImmediate);
    assert.equal((await json(post(url(stage), say.chat("a"), { "x-api-key": "a" }))).error.code, "MORTISE_GATEWAY_BUSY");
    assert.equal((await post(url(stage), say.chat("a"), { "x-api-key": "b" })).status, 200);
    aborter.abort();
    await assert.rejects(first);
  });
});

describe("gateway.reload", SOON, () => {
  it("replaces providers and routes while requests under way keep theirs", async () => {
    await using stage = await startStage({}, { behaviour: { chunkDelayMs: 2, chunks: 10 } });
    const stream = await post(url(stage), say.chat("one two three", { stream: true }));
    const reloaded = stage.gateway.reload({ providers: { other: shipped("provider-openai", stage.standIn) } });
    assert.match(await stream.text(), /\[DONE\]/);
    await reloaded;
    assert.equal((await json(fetch(`${stage.url}/v1/models/x`))).owned_by, "other");
    assert.equal((await post(url(stage), say.chat("a"))).status, 200);
  });

  it("changes nothing if something is wrong", async () => {
    await using stage = await startStage();
    await assert.rejects(stage.gateway.reload({ providers: { bad: { source: Uint8Array.of(1) } } }), { code: "MORTISE_NOT_WASM" });
    await assert.rejects(stage.gateway.reload({ providers: {} }), { code: "MORTISE_INVALID_OPTION" });
    assert.equal((await post(url(stage), say.chat("a"))).status, 200);
  });
});
