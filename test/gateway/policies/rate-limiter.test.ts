// Rate limits: what is let in, what is counted where, and what becomes of a store that is away.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

import { MortiseError, type Store, createMemoryStore, createSqliteStore, isMortiseError } from "mortise";

import { type Admission, type RateLimit, RateLimiter, type RateLimiterOptions } from "../../../src/gateway/policies/rate-limiter.ts";

/** A limiter, and the time since 1970, which is moved by hand. */
function limiterOf(
  limits: readonly RateLimit[],
  options: Partial<RateLimiterOptions> = {},
): { readonly limiter: RateLimiter; readonly time: { now: number } } {
  const time = { now: 1_000_000_020_000 };
  // The window that this falls into began 20 seconds before.
  time.now -= time.now % 60_000;
  time.now += 20_000;
  const limiter = new RateLimiter({ store: createMemoryStore(), limits, clock: () => time.now, ...options });
  return { limiter, time };
}

async function refusal(admission: Admission | Promise<Admission> | (() => Admission | Promise<Admission>)): Promise<MortiseError> {
  try {
    await (typeof admission === "function" ? admission() : admission);
  } catch (error) {
    if (isMortiseError(error)) return error;
    throw error;
  }
  assert.fail("it was let in");
}

/** Answers with promises, and fails while it is down. */
function distant(store: Store): { readonly store: Store; down: boolean } {
  const state = { store, down: false };
  const increment: Store["increment"] = async (...parameters) => {
    await Promise.resolve();
    if (state.down) throw new MortiseError("MORTISE_STORE_UNAVAILABLE", { store: "redis", reason: "it is down" });
    return store.increment(...parameters);
  };
  return Object.assign(state, {
    store: new Proxy(store, { get: (target, name) => (name === "increment" ? increment : Reflect.get(target, name)) as unknown }),
  });
}

describe("RateLimiter.admit", () => {
  test("lets in as many requests as a window allows, and says when the next one begins", async () => {
    const { limiter, time } = limiterOf([{ requests: 2 }]);
    const first = limiter.admit("a");
    assert.ok(!(first instanceof Promise), "a store that answers at once is not waited for");
    assert.deepEqual(first.headers, {
      "x-ratelimit-limit-requests": "2",
      "x-ratelimit-remaining-requests": "1",
      "x-ratelimit-reset-requests": "40s",
    });
    await limiter.admit("a");
    const error = await refusal(() => limiter.admit("a"));
    assert.equal(error.code, "MORTISE_GATEWAY_RATE_LIMIT");
    assert.match(error.message, /client "a" may use 2 requests in 60000 ms/);
    assert.equal(error.details["retryAfterMs"], 40_000);
    assert.deepEqual((error.details["headers"] as Record<string, string>)["x-ratelimit-remaining-requests"], "0");
    await limiter.admit("b");
    time.now += 39_999;
    await refusal(() => limiter.admit("a"));
    time.now += 1;
    await limiter.admit("a");
  });

  test("counts tokens when they are known, and refuses once they are used up", async () => {
    const { limiter } = limiterOf([{ tokens: 100 }]);
    await (await limiter.admit("a")).settle(60);
    const second = await limiter.admit("a");
    assert.equal(second.headers["x-ratelimit-remaining-tokens"], "40");
    await second.settle(50);
    const error = await refusal(() => limiter.admit("a"));
    assert.equal(error.details["unit"], "tokens");
  });

  test("counts an estimate at once, and corrects it", async () => {
    const { limiter } = limiterOf([{ tokens: 100 }]);
    const first = await limiter.admit("a", { tokens: 80 });
    await refusal(() => limiter.admit("a", { tokens: 30 }));
    await first.settle(10);
    const second = await limiter.admit("a", { tokens: 90 });
    assert.equal(second.headers["x-ratelimit-remaining-tokens"], "0");
    await second.settle(Number.NaN);
    await refusal(() => limiter.admit("a"));
  });

  test("lets in an estimate that could never fit, if nothing else is used", async () => {
    const { limiter } = limiterOf([{ tokens: 100 }]);
    const first = await limiter.admit("a", { tokens: 5000 });
    await refusal(() => limiter.admit("a", { tokens: 1 }));
    await first.settle(20);
    assert.equal((await limiter.admit("a")).headers["x-ratelimit-remaining-tokens"], "80");
  });

  test("counts what was used where it ends, and gives back where it was counted", async () => {
    const { limiter, time } = limiterOf([{ tokens: 100 }]);
    const [long, short] = [await limiter.admit("a", { tokens: 10 }), await limiter.admit("a", { tokens: 10 })];
    time.now += 60_000;
    await long.settle(95);
    await short.settle(1);
    assert.equal((await limiter.admit("a")).headers["x-ratelimit-remaining-tokens"], "15");
  });

  test("takes back what a refused request counted in other windows", async () => {
    const day = { requests: 3, windowMs: 86_400_000 };
    const { limiter, time } = limiterOf([{ requests: 1 }, day]);
    await limiter.admit("a");
    for (let times = 0; times < 5; times++) await refusal(() => limiter.admit("a"));
    time.now += 60_000;
    await limiter.admit("a");
    time.now += 60_000;
    await limiter.admit("a");
    time.now += 60_000;
    const error = await refusal(() => limiter.admit("a"));
    assert.equal(error.details["windowMs"], 86_400_000);
  });

  test("has limits for a client, in place of those for all", async () => {
    const { limiter } = limiterOf([{ requests: 1 }], { clients: { big: [{ requests: 3 }], free: [] } });
    for (let times = 0; times < 3; times++) await limiter.admit("big");
    await refusal(() => limiter.admit("big"));
    const free = await limiter.admit("free");
    assert.deepEqual(free.headers, {});
    assert.equal(free.settle(5), undefined);
    await limiter.admit("toString");
    await refusal(() => limiter.admit("toString"));
  });

  test("never lets in more than allowed, whoever asks at the same time", async () => {
    const { store } = distant(createMemoryStore());
    const options = { store, limits: [{ requests: 10 }], clock: () => 1_000_000_000_000 };
    const limiters = [new RateLimiter(options), new RateLimiter(options)];
    const all = await Promise.allSettled(Array.from({ length: 40 }, async (_unused, index) => limiters[index % 2]?.admit("a")));
    assert.equal(all.filter(({ status }) => status === "fulfilled").length, 10);
  });

  test("shares what is counted among processes through a file", async (context) => {
    const folder = await mkdtemp(join(tmpdir(), "mortise-rates-"));
    context.after(() => rm(folder, { recursive: true }));
    await using one = createSqliteStore({ path: join(folder, "rates") });
    await using two = createSqliteStore({ path: join(folder, "rates") });
    const clock = (): number => 1_000_000_000_000;
    const [first, second] = [one, two].map((store) => new RateLimiter({ store, limits: [{ requests: 2 }], clock }));
    await first?.admit("a");
    await second?.admit("a");
    await refusal(async () => (await first?.admit("a")) as Admission);
  });

  test("refuses while the store is away, or lets in uncounted and tells somebody", async () => {
    const closed = distant(createMemoryStore());
    closed.down = true;
    assert.equal((await refusal(limiterOf([{ requests: 1 }], { store: closed.store }).limiter.admit("a"))).code, "MORTISE_STORE_UNAVAILABLE");
    const told: unknown[] = [];
    const { limiter } = limiterOf([{ requests: 1 }], { store: closed.store, onStoreFailure: "open", onError: (error) => told.push(error) });
    for (let times = 0; times < 3; times++) assert.deepEqual((await limiter.admit("a")).headers, {});
    assert.equal(told.length, 3);
    closed.down = false;
    await limiter.admit("a");
    assert.equal((await refusal(limiter.admit("a"))).code, "MORTISE_GATEWAY_RATE_LIMIT");
  });

  test("does not fail a request that is answered, when the store goes away before it is counted", async () => {
    const away = distant(createMemoryStore());
    const told: unknown[] = [];
    const { limiter } = limiterOf([{ tokens: 10 }], { store: away.store, onError: (error) => told.push(error) });
    const admission = await limiter.admit("a");
    away.down = true;
    await admission.settle(5);
    assert.equal(told.length, 1);
  });
});

describe("RateLimiter", () => {
  for (const [what, limits, option] of [
    ["nothing to count", [{}], "rateLimits.limits[0]"],
    ["requests below 0", [{ requests: -1 }], "rateLimits.limits[0].requests"],
    ["parts of tokens", [{ requests: 1 }, { tokens: 1.5 }], "rateLimits.limits[1].tokens"],
    ["no window", [{ requests: 1, windowMs: 0 }], "rateLimits.limits[0].windowMs"],
    ["an unknown option", [{ request: 1 }], "rateLimits.limits[0].request"],
  ] as const)
    test(`refuses ${what}`, () =>
      assert.throws(
        () => new RateLimiter({ store: createMemoryStore(), limits: limits as readonly RateLimit[] }),
        (error) => isMortiseError(error) && error.details["option"] === option,
      ));
});
