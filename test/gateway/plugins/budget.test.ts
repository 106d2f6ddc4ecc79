// gateway_budget: tokens that clients may use up in a window, also when many of their requests come at once.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { LlmResult, LoadOptions, RequestContext } from "../../../src/index.ts";
import { createMemoryStore, createServices } from "../../../src/index.ts";
import { answerOf, exchange } from "./completed.ts";
import { type Gateway, chat, loadInto, openGateway, pass, say } from "./open-gateway.ts";

const BUDGET = "gateway_budget.ts";
/** In the middle of an hour. */
const NOON = Date.UTC(2024, 1, 28, 12, 30, 0);

interface Opened {
  readonly host: Gateway;
  readonly store: ReturnType<typeof createMemoryStore>;
  readonly time: { now: number };
  readonly ask: (client?: string, tokens?: number) => Promise<LlmResult>;
}

async function open(
  t: Parameters<typeof openGateway>[0],
  config: LoadOptions["config"] = { tokens: 1000, window: "hour" },
  options: LoadOptions = {},
): Promise<Opened> {
  const time = { now: NOON };
  const store = createMemoryStore();
  const services = createServices({ clock: () => time.now, store });
  t.after(() => services.close());
  const host = await openGateway(t, { services });
  await loadInto(host, BUDGET, config, options);
  const ask = (client = "ann", tokens = 400): Promise<LlmResult> =>
    exchange(host, say("Hi"), answerOf(tokens), host.request({ attributes: { client } }));
  return { host, store, time, ask };
}

const codeOf = ({ error }: LlmResult): string | undefined => error?.error.code;

describe("gateway_budget", () => {
  it("lets a client use its tokens up, and then tells it when there are more", async (t) => {
    const { ask, time } = await open(t);
    for (const _ of [1, 2, 3]) assert.equal(codeOf(await ask()), undefined); // oxlint-disable-line no-await-in-loop -- one after the other
    const { error } = await ask();
    assert.deepEqual(error, {
      status_code: 429,
      allow_fallbacks: false,
      type: "budget_exceeded",
      error: {
        message: "The token budget of this hour is used up; the next one begins in 1800 seconds",
        type: "budget_exceeded",
        code: "budget_exceeded",
      },
      extra_fields: { retry_after_ms: 1_800_000 },
    });
    time.now = NOON + 1_799_999;
    assert.match((await ask()).error?.error.message ?? "", /in 1 second$/);
    time.now++;
    assert.equal(codeOf(await ask()), undefined);
  });

  it("keeps clients apart, and has one budget for all that have no name", async (t) => {
    const { ask, host } = await open(t);
    await ask("ann", 1000);
    assert.equal(codeOf(await ask("ann")), "budget_exceeded");
    assert.equal(codeOf(await ask("ann:")), undefined);
    assert.equal(codeOf(await ask("bob")), undefined);
    const nobody = (): Promise<LlmResult> => exchange(host, say("Hi"), answerOf(1000), host.request());
    assert.equal(codeOf(await nobody()), undefined);
    assert.equal(codeOf(await nobody()), "budget_exceeded");
  });

  const windows: readonly (readonly [window: string, now: number, ends: number])[] = [
    ["minute", Date.UTC(2024, 1, 28, 12, 30, 15), Date.UTC(2024, 1, 28, 12, 31)],
    ["day", NOON, Date.UTC(2024, 1, 29)],
    ["month", NOON, Date.UTC(2024, 2, 1)],
    ["month", Date.UTC(2023, 1, 28, 23, 59, 59), Date.UTC(2023, 2, 1)],
    ["month", Date.UTC(2024, 11, 31, 12), Date.UTC(2025, 0, 1)],
    ["month", Date.UTC(2100, 1, 28, 12), Date.UTC(2100, 2, 1)],
    ["month", Date.UTC(2000, 0, 1), Date.UTC(2000, 1, 1)],
  ];
  for (const [window, now, ends] of windows) {
    it(`ends the ${window} of ${new Date(now).toISOString()} where it ends in UTC`, async (t) => {
      const { ask, time } = await open(t, { tokens: 100, window });
      time.now = now;
      await ask("ann", 100);
      assert.equal((await ask()).error?.["extra_fields" as never]?.["retry_after_ms"], ends - now);
      time.now = ends - 1;
      assert.equal(codeOf(await ask()), "budget_exceeded");
      time.now = ends;
      assert.equal(codeOf(await ask()), undefined);
    });
  }

  it("reserves what a request may take, so that many at once cannot take more than one of them too much", async (t) => {
    const { host } = await open(t, { tokens: 10_000, window: "day" });
    const contexts: RequestContext[] = Array.from({ length: 100 }, () => host.request({ attributes: { client: "ann" } }));
    const request = say("Hi", { params: { max_completion_tokens: 990 } });
    const results = await Promise.all(contexts.map((context) => pass(host, request, answerOf(1000), context)));
    const let_in = results.filter(({ sent }) => sent !== undefined).length;
    // Each reserves 990 and what it says itself; the last begins just below the limit.
    assert.equal(let_in, 11);
    assert.ok(let_in * 1000 - 10_000 <= 1000);
  });

  it("gives back what was reserved and not used", async (t) => {
    const { ask } = await open(t, { tokens: 1000, window: "day", reserve: 900 });
    for (let turn = 0; turn < 10; turn++) assert.equal(codeOf(await ask("ann", 10)), undefined, `turn ${turn}`); // oxlint-disable-line no-await-in-loop -- one after the other
  });

  it("counts nothing for requests that failed, and the estimate for answers that do not say", async (t) => {
    const { host, ask } = await open(t, { tokens: 1000, window: "day", reserve: 600 });
    const failed: LlmResult = { error: { status_code: 500, error: { message: "down" } } };
    for (let turn = 0; turn < 5; turn++)
      assert.equal((await exchange(host, say("Hi"), failed, host.request({ attributes: { client: "ann" } }))).error, failed.error); // oxlint-disable-line no-await-in-loop -- one after the other
    const silent = async (): Promise<LlmResult> =>
      exchange(host, say("Hi"), { response: { object: "chat.completion", choices: [] } }, host.request({ attributes: { client: "ann" } }));
    assert.equal(codeOf(await silent()), undefined);
    assert.equal(codeOf(await silent()), undefined);
    assert.equal(codeOf(await ask()), "budget_exceeded");
  });

  it("settles a request once, however many attempts it took and however often it is told of the end", async (t) => {
    const { host, store } = await open(t, { tokens: 5000, window: "day" });
    const context = host.request({ attributes: { client: "ann" } });
    for (const _ of [1, 2, 3]) await pass(host, say("Hi"), answerOf(70), context); // oxlint-disable-line no-await-in-loop -- attempts follow each other
    for (const _ of [1, 2]) await host.hooks.used({ answered: true, usage: { total_tokens: 70 } }, { request: context }); // oxlint-disable-line no-await-in-loop -- one after the other
    assert.deepEqual(counts(store), ["70"]);
    assert.equal(context.attributes.get("budget.reserved"), "");
  });

  it("does not stop a request that has its share when others use up the rest between its attempts", async (t) => {
    const { host, ask } = await open(t, { tokens: 1000, window: "day", reserve: 100 });
    const context = host.request({ attributes: { client: "ann" } });
    await pass(host, say("Hi"), answerOf(70), context);
    await ask("ann", 5000);
    assert.equal(codeOf(await ask()), "budget_exceeded");
    const { sent } = await pass(host, say("Hi"), answerOf(70), context);
    assert.notEqual(sent, undefined);
  });

  it("counts each model for itself, if it is told to, and a fallback where it went", async (t) => {
    const { host, store } = await open(t, { tokens: 5000, window: "day", by_model: true });
    const context = host.request({ attributes: { client: "ann" } });
    await pass(host, say("Hi", { model: "big" }), answerOf(70), context);
    await exchange(host, say("Hi", { model: "small" }), answerOf(70), context);
    assert.deepEqual(counts(store), ["70"], "nothing is kept of a model that said nothing");
  });

  it("counts so many models of a client for themselves, and all further ones together", async (t) => {
    const { host, store, time } = await open(t, { tokens: 1000, window: "hour", by_model: true, models: 3 });
    const ask = async (model: string, client = "ann", tokens = 300): Promise<string | undefined> =>
      codeOf(await exchange(host, say("Hi", { model }), answerOf(tokens), host.request({ attributes: { client } })));
    for (const model of ["a", "b", "c", "x1", "x2", "x3", "x4", "a"]) assert.equal(await ask(model), undefined, model); // oxlint-disable-line no-await-in-loop -- one after the other
    assert.deepEqual(used(store), { a: 600, b: 300, c: 300, "": 1200 });
    assert.equal(await ask("x5"), "budget_exceeded");
    assert.equal(await ask("b"), undefined, "those that came first have their own");
    assert.equal(await ask("x1", "bob"), undefined, "others have theirs");
    time.now += 3_600_000;
    assert.equal(await ask("x5"), undefined, "and each window begins anew");
  });

  it("does not let a client fill the store with models that there are not", async (t) => {
    const { host, store } = await open(t, { tokens: 1000, window: "hour", by_model: true }, { quotas: { kvKeys: 40 } });
    const failed: LlmResult = { error: { status_code: 404, error: { message: "no such model" } } };
    const ask = async (model: string, client: string, answer: LlmResult): Promise<LlmResult> =>
      exchange(host, say("Hi", { model }), answer, host.request({ attributes: { client } }));
    for (let index = 0; index < 100; index++) await ask(`none-${index}`, "ann", failed); // oxlint-disable-line no-await-in-loop -- one after the other
    assert.deepEqual(used(store), {});
    for (let index = 0; index < 100; index++) await ask(`made-up-${index}`, "ann", answerOf(5)); // oxlint-disable-line no-await-in-loop -- one after the other
    assert.equal(Object.keys(used(store)).length, 33);
    assert.equal((await ask("m", "bob", answerOf(5))).error, undefined);
  });

  it("reserves the whole budget at most, whatever a client asks for", async (t) => {
    const { host, store } = await open(t, { tokens: 1000, window: "day" });
    for (const most of [9_007_199_254_740_991, 1e21, -5, "many"]) {
      const context = host.request({ attributes: { client: String(most) } });
      await pass(host, say("Hi", { params: { max_completion_tokens: most } }), answerOf(1), context); // oxlint-disable-line no-await-in-loop -- one after the other
    }
    for (const count of counts(store)) assert.ok(Number(count) <= 1000);
  });

  it("fails, and lets nothing pass, without permission to know the client", async (t) => {
    const { host } = await open(t, undefined, {
      permissions: { kv: "read-write", clock: true, attributes: { read: ["budget.*"], write: ["budget.*"] } },
    });
    await assert.rejects(pass(host, say("Hi"), answerOf(1), host.request({ attributes: { client: "ann" } })), {
      code: "MORTISE_HOOK_FAILED",
      message: /attributes/,
    });
  });

  it("counts texts to embed", async (t) => {
    const { host, store } = await open(t);
    const context = host.request({ attributes: { client: "ann" } });
    await pass(host, chat(["x".repeat(400)], { request_type: "embedding" }), { response: { object: "list" } }, context);
    assert.deepEqual(counts(store), ["101"]);
  });

  const wrong: readonly LoadOptions["config"][] = [
    {},
    { tokens: 0, window: "day" },
    { tokens: 5, window: "year" },
    { tokens: 5, window: "day", extra: 1 },
    { tokens: 5, window: "day", by_model: true, models: 0 },
  ];
  for (const config of wrong) {
    it(`does not start with the configuration ${JSON.stringify(config)}`, async (t) => {
      await assert.rejects(open(t, config), { code: "MORTISE_RETURN_CODE" });
    });
  }
});

/** What models have used, by name, all clients together. */
function used(store: Opened["store"]): Readonly<Record<string, number>> {
  const keys = store.list("kv:budget", { prefix: "used:", limit: 100 });
  return Object.fromEntries(keys.map((key) => [key.split(":")[4], Number(Buffer.from(store.get("kv:budget", key) ?? []).toString())]));
}

/** What all clients have used, as the store has it. */
function counts(store: Opened["store"]): string[] {
  const keys = store.list("kv:budget", { prefix: "used:", limit: 100 });
  return keys.map((key) => Buffer.from(store.get("kv:budget", key) ?? []).toString());
}
