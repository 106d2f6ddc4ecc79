// gateway_cache: the same request is answered once.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JsonObject, LlmRequest, LlmResult, LoadOptions } from "../../../src/index.ts";
import { answerOf, completed } from "./completed.ts";
import { type Gateway, chat, completion, loadInto, openGateway, pass, say } from "./open-gateway.ts";

const CACHE = "gateway_cache.ts";
const exact = (content: string, params: JsonObject = {}): LlmRequest => say(content, { params: { temperature: 0, ...params } });

async function open(t: Parameters<typeof openGateway>[0], config: LoadOptions["config"] = {}, options: LoadOptions = {}): Promise<Gateway> {
  const host = await openGateway(t, { clock: () => 1_700_000_000_000 });
  await loadInto(host, CACHE, config, options);
  return host;
}

/** True if the model was asked; a request from its beginning to its end. */
async function isAsked(
  host: Gateway,
  request: LlmRequest,
  answer: LlmResult = answerOf(5),
  attributes: Readonly<Record<string, string>> = { client: "ann" },
): Promise<boolean> {
  const context = host.request({ attributes });
  const { sent, result } = await pass(host, request, answer, context);
  if (sent === undefined) assert.deepEqual(result, answer);
  await host.hooks.completed(completed(request, result, context), { request: context });
  return sent !== undefined;
}

describe("gateway_cache", () => {
  it("answers a request that was answered before", async (t) => {
    const host = await open(t);
    assert.equal(await isAsked(host, exact("Hi")), true);
    assert.equal(await isAsked(host, exact("Hi")), false);
    assert.equal(await isAsked(host, exact("Hi")), false);
  });

  const same: readonly (readonly [what: string, a: LlmRequest, b: LlmRequest])[] = [
    ["parameters in another order", exact("Hi", { top_p: 1, seed: 4 }), say("Hi", { params: { seed: 4, top_p: 1, temperature: 0 } })],
    ["another user and other metadata", exact("Hi", { user: "a", metadata: { x: 1 } }), exact("Hi", { user: "b" })],
    ["a stream", exact("Hi"), exact("Hi", { stream: true, stream_options: { include_usage: true } })],
    ["the kind of a stream", exact("Hi"), { ...exact("Hi"), request_type: "chat_completion_stream" }],
  ];
  for (const [what, a, b] of same) {
    it(`takes ${what} for the same request`, async (t) => {
      const host = await open(t);
      assert.deepEqual([await isAsked(host, a), await isAsked(host, b)], [true, false]);
    });
  }

  const different: readonly (readonly [what: string, a: LlmRequest, b: LlmRequest])[] = [
    ["another text", exact("Hi"), exact("hi")],
    ["another role", exact("Hi"), chat([{ role: "system", content: "Hi" }], { params: { temperature: 0 } })],
    ["another model", exact("Hi"), { ...exact("Hi"), model: "gpt-6" }],
    ["another provider", exact("Hi"), { ...exact("Hi"), provider: "other" }],
    ["another parameter", exact("Hi"), exact("Hi", { seed: 1 })],
    ["a value that moved from one parameter to another", exact("Hi", { a: 1, b: 2 }), exact("Hi", { a: 2, b: 1 })],
    ["texts to embed", exact("Hi"), { ...exact("Hi"), request_type: "embedding" }],
  ];
  for (const [what, a, b] of different) {
    it(`takes ${what} for another request`, async (t) => {
      const host = await open(t);
      assert.deepEqual([await isAsked(host, a), await isAsked(host, b)], [true, true]);
    });
  }

  it("keeps clients apart, unless it is told to share", async (t) => {
    const own = await open(t);
    assert.deepEqual(
      [
        await isAsked(own, exact("Hi")),
        await isAsked(own, exact("Hi"), undefined, { client: "bob" }),
        await isAsked(own, exact("Hi"), undefined, {}),
      ],
      [true, true, true],
    );
    const shared = await open(t, { shared: true });
    assert.deepEqual([await isAsked(shared, exact("Hi")), await isAsked(shared, exact("Hi"), undefined, { client: "bob" })], [true, false]);
  });

  it("keeps answers to requests that leave nothing to chance, or to all", async (t) => {
    for (const [config, params, asked] of [
      [{}, { temperature: 0.1 }, true],
      [{}, {}, true],
      [{}, { temperature: 0 }, false],
      [{ always: true }, { temperature: 0.1 }, false],
      [{ always: true }, {}, false],
    ] as const) {
      const host = await open(t, config); // oxlint-disable-line no-await-in-loop -- one after the other
      await isAsked(host, say("Hi", { params })); // oxlint-disable-line no-await-in-loop -- one after the other
      assert.equal(await isAsked(host, say("Hi", { params })), asked, JSON.stringify([config, params])); // oxlint-disable-line no-await-in-loop -- one after the other
    }
  });

  const call = { role: "assistant", content: null, tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }] };
  const choice = (finish: string | null, message: JsonObject = { role: "assistant", content: "x" }): LlmResult => ({
    response: completion({}, { choices: [{ index: 0, message, finish_reason: finish }] }),
  });
  const answers: readonly (readonly [what: string, config: LoadOptions["config"], answer: LlmResult, kept: boolean])[] = [
    ["an answer that was cut off", {}, choice("length"), false],
    ["an answer that was held back", {}, choice("content_filter"), false],
    ["an answer that did not come to its end", {}, choice(null), false],
    ["no answer at all", {}, { response: completion({}, { choices: [] }) }, false],
    ["an error", {}, { error: { status_code: 500, error: { message: "down" } } }, false],
    ["calls of tools", {}, choice("tool_calls", call), false],
    ["calls of tools that say they are none", {}, choice("stop", call), false],
    ["calls of tools, if it is told to", { tool_calls: true }, choice("tool_calls", call), true],
    ["an answer that is too long", { max_kb: 1 }, answerOf(5, "x".repeat(1024)), false],
    ["vectors", {}, { response: { object: "list", data: [{ embedding: [1, 2] }] } }, true],
    ["an answer with brackets and quotes in it", {}, answerOf(5, '}]"\\{['), true],
  ];
  for (const [what, config, answer, kept] of answers) {
    it(`${kept ? "keeps" : "does not keep"} ${what}`, async (t) => {
      const host = await open(t, config);
      await isAsked(host, exact("Hi"), answer);
      assert.equal(await isAsked(host, exact("Hi"), answer), !kept);
    });
  }

  it("does what a client says of caching", async (t) => {
    const host = await open(t);
    const client = "ann";
    await isAsked(host, exact("Hi"), undefined, { client, "cache-control": "no-store" });
    assert.equal(await isAsked(host, exact("Hi")), true, "no-store is not stored");
    assert.equal(await isAsked(host, exact("Hi"), undefined, { client, "cache-control": "max-age=0, no-store" }), true);
    assert.equal(await isAsked(host, exact("Hi"), answerOf(7, "New."), { client, "cache-control": "no-cache" }), true);
    assert.equal(await isAsked(host, exact("Hi"), answerOf(7, "New.")), false, "no-cache is stored anew");
  });

  it("takes a request with other headers that ask for more for another one", async (t) => {
    const host = await open(t);
    const ask = async (beta?: string): Promise<boolean> =>
      isAsked(host, exact("Hi"), undefined, { client: "ann", ...(beta !== undefined && { beta }) });
    assert.deepEqual(
      [await ask(), await ask("context-1m"), await ask("context-2m"), await ask("context-1m"), await ask()],
      [true, true, true, false, false],
    );
  });

  it("stores what the last attempt asked for, not what an earlier one did", async (t) => {
    const host = await open(t);
    const context = host.request({ attributes: { client: "ann" } });
    await pass(host, exact("Hi"), answerOf(5), context);
    const other = { ...say("Hi"), model: "fallback" };
    const { result } = await pass(host, other, answerOf(5), context);
    await host.hooks.completed(completed(other, result, context), { request: context });
    assert.equal(await isAsked(host, exact("Hi")), true);
  });

  it("leaves requests alone that are too long to hash, or have too many parameters", async (t) => {
    const host = await open(t);
    const long = exact("x".repeat(1 << 20));
    assert.deepEqual([await isAsked(host, long), await isAsked(host, long)], [true, true]);
    const many = exact("Hi", Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`p${index}`, index])));
    assert.deepEqual([await isAsked(host, many), await isAsked(host, many)], [true, true]);
  });

  it("fails without permission for the cache or to know the client", async (t) => {
    for (const permissions of [
      { crypto: true, attributes: { read: ["*"], write: ["cache.*"] } },
      { crypto: true, cache: "read-write" as const },
    ]) {
      const host = await open(t, {}, { permissions }); // oxlint-disable-line no-await-in-loop -- one after the other
      await assert.rejects(pass(host, exact("Hi"), answerOf(5), host.request()), { code: "MORTISE_HOOK_FAILED" }); // oxlint-disable-line no-await-in-loop -- one after the other
    }
  });

  const wrong: readonly LoadOptions["config"][] = [{ ttl_s: 0 }, { max_kb: "1" }, { always: "yes" }, { extra: true }];
  for (const config of wrong) {
    it(`does not start with the configuration ${JSON.stringify(config)}`, async (t) => {
      await assert.rejects(open(t, config), { code: "MORTISE_RETURN_CODE" });
    });
  }
});
