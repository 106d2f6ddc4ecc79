// Attempts: who is asked, how often, after how long, with which key, and that nothing is held in the end.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";

import * as fc from "fast-check";
import { MortiseError, isMortiseError } from "mortise";

import { type AttemptOptions, resolveAttemptPolicy } from "../../../src/gateway/policies/attempt-policy.ts";
import type { Attempt } from "../../../src/gateway/policies/attempt.ts";
import { Gate, resolveGate } from "../../../src/gateway/policies/gate.ts";
import { KeyRing } from "../../../src/gateway/policies/key-ring.ts";
import { ProviderBreaker, resolveProviderBreaker } from "../../../src/gateway/policies/provider-breaker.ts";
import { type AttemptPlan, type FailedAttempt, runAttempts } from "../../../src/gateway/policies/run-attempts.ts";
import type { Guards } from "../../../src/gateway/policies/seat.ts";
import type { Failure, FailureKind } from "../../../src/gateway/types.ts";
import { FakeTime } from "./fake-time.ts";

const A = { provider: "a", model: "m" };
const B = { provider: "b", model: "n" };

/** An error of a provider. */
function providerError(status: number, retryAfterSecs?: number): MortiseError {
  const retryable = status === 429 || status >= 500;
  const wait = retryAfterSecs === undefined ? {} : { retryAfterSecs };
  return new MortiseError("MORTISE_PROVIDER_ERROR", {
    payload: { type: "http_status", status_code: status, message: `it was ${status}` },
    retryable,
    ...wait,
  });
}

/** What a plugin answers in place of a provider. */
function answered(kind: FailureKind, allowFallbacks: boolean): MortiseError {
  const failure: Failure = { kind, status: 500, message: "no", retryable: false, allowFallbacks };
  return new MortiseError("MORTISE_GATEWAY_ANSWERED", { reason: "no", failure });
}

interface Setting extends Partial<Omit<AttemptPlan, "policy">> {
  readonly options?: AttemptOptions;
  readonly time?: FakeTime;
}

/** Runs attempts in a time of their own. */
function plan({ options = {}, time = new FakeTime(), ...rest }: Setting = {}): AttemptPlan {
  const { clock, random, sleep, after } = time;
  return { targets: [A], policy: resolveAttemptPolicy(options), signal: new AbortController().signal, clock, random, sleep, after, ...rest };
}

/** An attempt that fails with these errors in turn, and then gives who was asked; who was asked is written down. */
function failing(errors: readonly Error[], asked: string[] = []): (attempt: Attempt) => Promise<string> {
  const left = [...errors];
  return ({ target, key, index, retry }) => {
    const who = `${target.provider}${key === undefined ? "" : `:${key.name}`} ${index}.${retry}`;
    asked.push(who);
    const error = left.shift();
    return error === undefined ? Promise.resolve(who) : Promise.reject(error);
  };
}

const code = (wanted: string) => (error: unknown) => isMortiseError(error) && error.code === wanted;

describe("runAttempts retries", () => {
  test("after waits that grow, up to a limit, with full jitter", async () => {
    const time = new FakeTime(0.5, 0.999, 0, 0.5, 0.5);
    const errors = [500, 502, 503, 504, 529].map((status) => providerError(status));
    const value = await time.until(runAttempts(plan({ time, options: { retries: 5, backoffMs: 100, maxBackoffMs: 500 } }), failing(errors)));
    assert.equal(value, "a 5.5");
    assert.deepEqual(time.slept.map(Math.round), [50, 200, 250, 250]);
  });

  test("not before the time that the target asks for", async () => {
    const time = new FakeTime(0.5);
    await time.until(runAttempts(plan({ time }), failing([providerError(429, 7)])));
    assert.deepEqual(time.slept, [7000]);
  });

  for (const [what, error, options] of [
    ["for a failure that will not pass", providerError(400), {}],
    ["if the target asks for too long a wait", providerError(429, 11), {}],
    ["if the request would be over by then", providerError(429, 5), { totalTimeoutMs: 5000 }],
    ["if there are to be no retries", providerError(500), { retries: 0 }],
    ["after enough attempts", providerError(500), { maxAttempts: 1 }],
  ] as const)
    test(`not at all ${what}`, async () => {
      const time = new FakeTime();
      await assert.rejects(time.until(runAttempts(plan({ time, options }), failing([error]))), (thrown) => thrown === error);
      assert.deepEqual(time.slept, []);
    });

  test("never once something was sent to the client", async () => {
    const time = new FakeTime();
    const asked: string[] = [];
    const error = providerError(500);
    const attempt = (each: Attempt): Promise<string> => {
      each.commit();
      return failing([error], asked)(each);
    };
    await assert.rejects(time.until(runAttempts(plan({ time, targets: [A, B] }), attempt)), (thrown) => thrown === error);
    assert.deepEqual(asked, ["a 0.0"]);
  });
});

describe("runAttempts falls back", () => {
  test("to the next target when retries are used up, and tells of everything", async () => {
    const time = new FakeTime(0);
    const told: string[] = [];
    const onFailed = ({ target, index, retry, failure, next, waitMs }: FailedAttempt): void =>
      void told.push(`${target.provider} ${index}.${retry} ${failure.kind} ${next} ${waitMs}`);
    const value = await time.until(
      runAttempts(plan({ time, targets: [A, B], options: { retries: 1 }, onFailed }), failing([providerError(503), providerError(503)])),
    );
    assert.equal(value, "b 2.0");
    assert.deepEqual(told, ["a 0.0 overloaded retry 0", "a 1.1 overloaded fallback 0"]);
  });

  for (const [what, error, options, wanted] of [
    ["for a refused key", providerError(401), {}, "b 1.0"],
    ["for a plugin that allows it", answered("upstream", true), {}, "b 1.0"],
    ["for a status that is named", providerError(404), { fallbackOn: [404] }, "b 1.0"],
    ["for a wait that is too long", providerError(429, 1000), {}, "b 1.0"],
  ] as const)
    test(what, async () => {
      const time = new FakeTime();
      assert.equal(await time.until(runAttempts(plan({ time, options, targets: [A, B] }), failing([error]))), wanted);
    });

  for (const [what, error, options] of [
    ["for what is wrong with the request", providerError(400), {}],
    ["for a plugin that forbids it", answered("upstream", false), {}],
    ["for a kind that is not named", providerError(503), { fallbackOn: ["timeout", 500], retries: 0 }],
    ["without attempts left", providerError(503), { maxAttempts: 1 }],
  ] as const)
    test(`not ${what}`, async () => {
      const time = new FakeTime();
      await assert.rejects(time.until(runAttempts(plan({ time, options, targets: [A, B] }), failing([error]))), (thrown) => thrown === error);
    });

  test("and throws the first target's error if all fail, or the one that forbids to go on", async () => {
    const time = new FakeTime();
    const options = { retries: 0 };
    const errors = [providerError(503), providerError(401)];
    await assert.rejects(time.until(runAttempts(plan({ time, options, targets: [A, B] }), failing(errors))), (thrown) => thrown === errors[0]);
    const forbidden = [providerError(503), answered("blocked", false)];
    await assert.rejects(time.until(runAttempts(plan({ time, options, targets: [A, B] }), failing(forbidden))), (thrown) => thrown === forbidden[1]);
  });
});

/** Takes so many milliseconds, or ends when it is told to. */
function slow(time: FakeTime, ms: number): (attempt: Attempt) => Promise<string> {
  return async ({ signal, target }) => {
    await time.sleep(ms, signal);
    signal.throwIfAborted();
    return target.provider;
  };
}

describe("runAttempts ends", () => {
  test("an attempt that takes too long, and tries again", async () => {
    const time = new FakeTime(0);
    const client = new AbortController();
    let count = 0;
    const value = await time.until(
      runAttempts(plan({ time, signal: client.signal, options: { attemptTimeoutMs: 100 } }), (each) => slow(time, count++ === 0 ? 200 : 50)(each)),
    );
    assert.equal(value, "a");
    assert.equal(getEventListeners(client.signal, "abort").length, 0);
    assert.equal(time.now, 150);
    assert.equal(time.timers, 0);
  });

  test("the whole when its time is over", async () => {
    const time = new FakeTime(0);
    const run = runAttempts(plan({ time, targets: [A, B], options: { attemptTimeoutMs: 100, totalTimeoutMs: 250 } }), slow(time, 1000));
    await assert.rejects(
      time.until(run),
      (error) => code("MORTISE_GATEWAY_DEADLINE")(error) && /the request.*250 ms that totalTimeoutMs/.test(String(error)),
    );
    assert.equal(time.now, 250);
  });

  for (const when of ["before it begins", "while it runs", "while it waits"] as const)
    test(`when the client leaves ${when}`, async () => {
      const time = new FakeTime();
      const aborter = new AbortController();
      const asked: string[] = [];
      if (when === "before it begins") aborter.abort();
      else time.after(when === "while it runs" ? 10 : 110, () => aborter.abort());
      const attempt = async (each: Attempt): Promise<string> => {
        asked.push("a");
        await slow(time, 100)(each);
        throw providerError(429, 5);
      };
      await assert.rejects(
        time.until(runAttempts(plan({ time, targets: [A, B], signal: aborter.signal }), attempt)),
        code("MORTISE_GATEWAY_CANCELLED"),
      );
      assert.deepEqual(asked, when === "before it begins" ? [] : ["a"]);
      assert.equal(time.timers, 0);
    });
});

/** All guards for one provider. */
function guardsOf(
  time: FakeTime,
  { limit = 1, keys = ["one", "two"] }: { readonly limit?: number; readonly keys?: readonly string[] } = {},
): Required<Guards> & {
  readonly gate: Gate;
  readonly breaker: ProviderBreaker;
} {
  const resolved = resolveProviderBreaker({ failures: 3, openMs: 500 });
  assert.ok(resolved !== undefined);
  return {
    keys: new KeyRing(
      "a",
      keys.map((name) => ({ name, value: `sk-${name}` })),
      {},
      time,
    ),
    gate: new Gate('provider "a"', resolveGate({ limit, queueMs: 1000 }), time),
    breaker: new ProviderBreaker("a", resolved, time),
  };
}

describe("runAttempts minds", () => {
  test("keys: another one at once after 401 and 429, whose failures are not to be tried again", async () => {
    for (const status of [401, 403, 429]) {
      const time = new FakeTime(0);
      const guards = guardsOf(time);
      assert.equal(await time.until(runAttempts(plan({ time, guards: () => guards }), failing([providerError(status, 100)]))), "a:two 1.1");
      assert.deepEqual(time.slept, []);
    }
  });

  test("keys: waits for the only one if that is soon, and says so if it is not", async () => {
    const time = new FakeTime(0);
    const guards = guardsOf(time, { keys: ["one"] });
    assert.equal(await time.until(runAttempts(plan({ time, guards: () => guards }), failing([providerError(429, 2)]))), "a:one 1.1");
    assert.deepEqual(time.slept, [2000]);
    const refused = providerError(401);
    await assert.rejects(time.until(runAttempts(plan({ time, guards: () => guards }), failing([refused]))), (error) => error === refused);
    await assert.rejects(time.until(runAttempts(plan({ time, guards: () => guards }), failing([]))), code("MORTISE_GATEWAY_NO_KEY"));
    const both = plan({ time, targets: [A, B], guards: ({ provider }) => (provider === "a" ? guards : undefined) });
    assert.equal(await time.until(runAttempts(both, failing([]))), "b 0.0");
  });

  test("keys and breaker: does not hold against a provider what plugins and requests are to blame for", async () => {
    const time = new FakeTime(0);
    const guards = guardsOf(time);
    const errors = [
      answered("authentication", true),
      answered("upstream", true),
      new MortiseError("MORTISE_HOOK_FAILED", {}),
      new MortiseError("MORTISE_GATEWAY_REQUEST", {}),
    ];
    for (const error of [...errors, ...errors]) await assert.rejects(time.until(runAttempts(plan({ time, guards: () => guards }), failing([error]))));
    assert.equal(guards.breaker.describe().state, "closed");
    assert.equal(guards.keys?.choose("m").name, "one");
  });

  test("keys and breaker: is told whom to blame where plugins make something else of a failure", async () => {
    const time = new FakeTime(0);
    const guards = guardsOf(time);
    for (const error of [providerError(401), providerError(500), providerError(500), providerError(500)])
      await time.until(
        runAttempts(plan({ time, guards: () => guards }), (attempt) => {
          attempt.blame(error);
          return Promise.resolve("recovered");
        }),
      );
    assert.equal(guards.breaker.describe().state, "open");
    assert.equal(guards.keys?.choose("m").name, "two");
  });

  test("breaker: asks the next target, and does not wait", async () => {
    const time = new FakeTime(0);
    const guards = guardsOf(time);
    const targets = plan({ time, targets: [A, B], guards: ({ provider }) => (provider === "a" ? guards : undefined) });
    const errors = [providerError(500), providerError(500), providerError(500)];
    assert.equal(await time.until(runAttempts(targets, failing(errors))), "b 3.0");
    assert.equal(guards.breaker.describe().state, "open");
    assert.equal(await time.until(runAttempts(targets, failing([]))), "b 0.0");
    await assert.rejects(time.until(runAttempts(plan({ time, guards: () => guards }), failing([]))), code("MORTISE_GATEWAY_SUSPENDED"));
  });

  test("gate: waits for its turn, not beyond the end of the request, and leaves it", async () => {
    const time = new FakeTime(0);
    const guards = guardsOf(time);
    const first = runAttempts(plan({ time, guards: () => guards }), slow(time, 300));
    const second = runAttempts(plan({ time, guards: () => guards }), slow(time, 100));
    const third = runAttempts(plan({ time, guards: () => guards, options: { totalTimeoutMs: 200 } }), slow(time, 1));
    await assert.rejects(time.until(third), (error) => isMortiseError(error) && error.status === 504);
    assert.equal(time.now, 200);
    await time.until(Promise.all([first, second]));
    assert.equal(time.now, 400);
    assert.deepEqual(guards.gate.describe(), { inside: 0, waiting: 0 });
  });

  test("breaker: is not told of an attempt for which others had left too little time", async () => {
    /** As a provider does that is given its time, and ends itself. */
    const endsItself =
      (time: FakeTime) =>
      async (attempt: Attempt): Promise<string> => {
        await time.sleep(attempt.timeoutMs, new AbortController().signal);
        const error = new MortiseError("MORTISE_TIMEOUT", { plugin: "a", function: "f", limit: 1 });
        attempt.blame(error);
        throw error;
      };
    const resolved = resolveProviderBreaker({ failures: 1, share: 0 });
    assert.ok(resolved !== undefined);
    const recovers = (time: FakeTime) => (attempt: Attempt) => endsItself(time)(attempt).catch(() => "recovered");
    // That has nothing to do with time.
    const fails = (): ((attempt: Attempt) => Promise<string>) => failing([providerError(500)]);
    for (const work of [(time: FakeTime) => slow(time, 500), endsItself, recovers, fails])
      for (const [waitsMs, state] of [
        [900, work === fails ? "open" : "closed"],
        [50, "open"],
      ] as const) {
        const time = new FakeTime(0);
        const gate: Gate = new Gate("a", resolveGate({ limit: 1 }), time);
        const breaker: ProviderBreaker = new ProviderBreaker("a", resolved, time);
        const pass = gate.enterNow();
        const options = { retries: 0, attemptTimeoutMs: 400, totalTimeoutMs: 1000 };
        const run = runAttempts(plan({ time, guards: () => ({ gate, breaker }), options }), work(time));
        const cancel = time.after(waitsMs, () => pass?.leave());
        const error = await time.until(run.catch((thrown: unknown) => thrown));
        assert.ok(error === "recovered" || (isMortiseError(error) && (error.status === 504 || work === fails)));
        cancel();
        assert.equal(breaker.describe().state, state);
        assert.deepEqual(gate.describe(), { inside: 0, waiting: 0 });
      }
  });

  test("bound: ends with what is left of the request's own time, and says which limit it was", async () => {
    for (const [limitMs, leftMs, option, limit, endsAt] of [
      [500, 300, "limits.timeoutMs", 500, 300],
      [5000, 800, "totalTimeoutMs", 1000, 800],
      [5000, 4000, "totalTimeoutMs", 1000, 1000],
      [500, -1, "limits.timeoutMs", 500, 0],
    ] as const) {
      const time = new FakeTime(0);
      const run = runAttempts(plan({ time, bound: { limitMs, leftMs }, options: { totalTimeoutMs: 1000 } }), slow(time, 2000));
      await assert.rejects(
        time.until(run),
        (error) => isMortiseError(error) && error.details["option"] === option && error.details["limit"] === limit,
      );
      assert.equal(time.now, endsAt);
    }
  });

  test("gate: does not begin for a client that leaves in the moment of its turn", async () => {
    const time = new FakeTime(0);
    const guards = guardsOf(time);
    const pass = guards.gate.enterNow();
    const aborter = new AbortController();
    const asked: string[] = [];
    const run = runAttempts(plan({ time, guards: () => guards, signal: aborter.signal }), failing([], asked));
    await Promise.resolve();
    pass?.leave();
    aborter.abort();
    await assert.rejects(time.until(run), code("MORTISE_GATEWAY_CANCELLED"));
    assert.deepEqual(asked, []);
    assert.deepEqual(guards.gate.describe(), { inside: 0, waiting: 0 });
  });

  test("breaker: does not close for attempts that say nothing of the provider", async () => {
    const time = new FakeTime(0);
    const guards = guardsOf(time);
    await assert.rejects(
      time.until(runAttempts(plan({ time, guards: () => guards }), failing([500, 500, 500].map((status) => providerError(status))))),
    );
    time.advance(500);
    for (let times = 0; times < 5; times++)
      await assert.rejects(time.until(runAttempts(plan({ time, guards: () => guards }), failing([answered("blocked", false)]))));
    assert.equal(guards.breaker.describe().state, "half-open");
  });

  test("hold: keeps its place until a stream is over, follows the client, and counts a stream that breaks", async () => {
    const time = new FakeTime(0);
    const guards = guardsOf(time);
    const aborter = new AbortController();
    const begin = (attempt: Attempt): Promise<{ release: (error?: unknown) => void; signal: AbortSignal }> =>
      Promise.resolve({ release: attempt.hold(), signal: attempt.signal });
    const begun = await time.until(
      runAttempts(plan({ time, guards: () => guards, signal: aborter.signal, options: { attemptTimeoutMs: 50 } }), begin),
    );
    assert.equal(time.timers, 0);
    assert.equal(guards.gate.describe().inside, 1);
    aborter.abort();
    assert.equal(begun.signal.aborted, true);
    begun.release();
    begun.release();
    assert.equal(guards.gate.describe().inside, 0);
    for (const state of ["closed", "closed", "open"]) {
      const { release } = await time.until(runAttempts(plan({ time, guards: () => guards }), begin));
      release(new MortiseError("MORTISE_HTTP_IDLE", {}));
      release(new MortiseError("MORTISE_HTTP_IDLE", {}));
      assert.equal(guards.breaker.describe().state, state);
    }
  });

  test("hold: is nothing for an attempt that fails", async () => {
    const time = new FakeTime(0);
    const guards = guardsOf(time);
    const attempt = (each: Attempt): Promise<string> => {
      each.hold();
      return Promise.reject(providerError(400));
    };
    await assert.rejects(time.until(runAttempts(plan({ time, guards: () => guards }), attempt)));
    assert.equal(guards.gate.describe().inside, 0);
  });
});

const LIMITS = { a: 1, b: 2 };

describe("runAttempts", () => {
  test("keeps to its policy, whatever happens, and holds nothing in the end", async () => {
    const errors = [400, 401, 403, 429, 500, 503].map((status) => () => providerError(status));
    const outcome = fc.record({
      ms: fc.integer({ min: 0, max: 400 }),
      error: fc.constantFrom(
        undefined,
        () => providerError(429, 1),
        () => answered("upstream", false),
        () => answered("upstream", true),
        () => new Error("defect"),
        ...errors,
      ),
      holds: fc.boolean(),
      moves: fc.boolean(),
    });
    const options = fc.record({
      retries: fc.integer({ min: 0, max: 3 }),
      maxAttempts: fc.integer({ min: 1, max: 6 }),
      backoffMs: fc.integer({ min: 0, max: 300 }),
      attemptTimeoutMs: fc.integer({ min: 1, max: 300 }),
      totalTimeoutMs: fc.integer({ min: 1, max: 1500 }),
    });
    const request = fc.record({
      options,
      outcomes: fc.array(outcome, { maxLength: 12 }),
      leavesAt: fc.option(fc.integer({ min: 0, max: 1000 })),
      random: fc.double({ min: 0, max: 0.999, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 4 }), async (requests) => {
        const time = new FakeTime(0.3);
        const guards = { a: guardsOf(time, { limit: LIMITS.a }), b: guardsOf(time, { limit: LIMITS.b, keys: ["x"] }) };
        const inside = new Map<string, number>();
        // An attempt that throws is tried again: what is wrong has to be kept apart.
        const wrong: string[] = [];
        const check = (holds: boolean, what: string): void => void (holds || wrong.push(what));
        const serve = async ({ options: given, outcomes, leavesAt, random }: (typeof requests)[number]): Promise<void> => {
          const aborter = new AbortController();
          const cancel = leavesAt === null ? undefined : time.after(leavesAt, () => aborter.abort());
          const perTarget = new Map<string, number>();
          const left = [...outcomes];
          let attempts = 0;
          let release: ((error?: unknown) => void) | undefined;
          const attempt = async (each: Attempt): Promise<void> => {
            const { provider } = each.target;
            const { ms, error, holds, moves } = left.shift() ?? { ms: 1, error: undefined, holds: false, moves: false };
            const began = time.now;
            check(!aborter.signal.aborted, "began after the client had left");
            check(began < given.totalTimeoutMs, "began after the deadline");
            check(++attempts <= given.maxAttempts, "too many attempts");
            perTarget.set(provider, (perTarget.get(provider) ?? 0) + 1);
            check((perTarget.get(provider) ?? 0) <= given.retries + 1, "too many attempts of a target");
            if (moves) await each.moveTo(provider === "a" ? B : A);
            const asked = each.asks.provider;
            inside.set(asked, (inside.get(asked) ?? 0) + 1);
            check((inside.get(asked) ?? 0) <= LIMITS[asked as keyof typeof LIMITS], "more than the gate lets in");
            const hold = holds ? each.hold() : undefined;
            try {
              await time.sleep(ms, each.signal);
              // Waits are no whole numbers.
              check(time.now - began <= given.attemptTimeoutMs + 1e-6, "an attempt that takes too long was not ended");
              each.signal.throwIfAborted();
              if (error !== undefined) throw error();
              release = hold;
            } finally {
              inside.set(asked, (inside.get(asked) ?? 0) - 1);
            }
          };
          try {
            const { clock, sleep, after } = time;
            const policy = resolveAttemptPolicy(given);
            const guardsFor: AttemptPlan["guards"] = ({ provider }) => guards[provider as keyof typeof guards];
            const run = { targets: [A, B], policy, signal: aborter.signal, clock, sleep, after, random: () => random, guards: guardsFor };
            await runAttempts(run, attempt);
          } catch {
            // As every request that fails.
          }
          check(time.now <= given.totalTimeoutMs, "ended after the deadline");
          release?.();
          cancel?.();
        };
        await time.until(Promise.all(requests.map((each) => serve(each))));
        assert.deepEqual(wrong, []);
        for (const { gate } of Object.values(guards)) assert.deepEqual(gate.describe(), { inside: 0, waiting: 0 });
        assert.equal(time.timers, 0);
      }),
      { numRuns: 300 },
    );
  });

  test("says that a request without targets is a defect", async () => {
    await assert.rejects(runAttempts(plan({ targets: [] }), failing([])), code("MORTISE_INTERNAL"));
  });
});

describe("resolveAttemptPolicy", () => {
  for (const [name, value, option] of [
    ["retries", -1, "attempts.retries"],
    ["maxAttempts", 0, "attempts.maxAttempts"],
    ["backoffMs", -1, "attempts.backoffMs"],
    ["totalTimeoutMs", 0, "attempts.totalTimeoutMs"],
    ["attemptTimeoutMs", Number.NaN, "attempts.attemptTimeoutMs"],
    ["fallbackOn", ["rate_limit"], "attempts.fallbackOn[0]"],
    ["fallbackOn", [500, 200], "attempts.fallbackOn[1]"],
    ["retry", 1, "attempts.retry"],
  ] as const)
    test(`refuses ${name}: ${JSON.stringify(value)}`, () =>
      assert.throws(
        () => resolveAttemptPolicy({ [name]: value }),
        (error) => isMortiseError(error) && error.details["option"] === option,
      ));
});
