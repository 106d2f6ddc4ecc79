// Breakers of providers: when they open, and how they close again.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { isMortiseError } from "mortise";

import { type BreakerState, ProviderBreaker, resolveProviderBreaker } from "../../../src/gateway/policies/provider-breaker.ts";
import type { Failure, FailureKind } from "../../../src/gateway/types.ts";
import { FakeTime } from "./fake-time.ts";

function failure(kind: FailureKind): Failure {
  return { kind, status: 503, message: "no", retryable: true, allowFallbacks: true };
}

function breakerOf(time: FakeTime, options = {}): { readonly breaker: ProviderBreaker; readonly states: BreakerState[] } {
  const resolved = resolveProviderBreaker({ failures: 3, windowMs: 1000, openMs: 500, probes: 2, ...options });
  assert.ok(resolved !== undefined);
  const states: BreakerState[] = [];
  return { breaker: new ProviderBreaker("openai", resolved, time, (state) => states.push(state)), states };
}

function fail(breaker: ProviderBreaker, times: number, kind: FailureKind = "overloaded"): void {
  for (let time = 0; time < times; time++) breaker.ended(breaker.enter(), failure(kind));
}

const suspended = (error: unknown): boolean => isMortiseError(error) && error.code === "MORTISE_GATEWAY_SUSPENDED";

describe("ProviderBreaker", () => {
  for (const kind of ["timeout", "overloaded", "upstream", "internal"] as const)
    test(`opens after failures of kind ${kind}, and says for how long`, () => {
      const time = new FakeTime();
      const { breaker } = breakerOf(time);
      fail(breaker, 3, kind);
      time.advance(100);
      assert.throws(
        () => breaker.enter(),
        (error) => suspended(error) && isMortiseError(error) && error.details["retryAfterMs"] === 400,
      );
      assert.deepEqual(breaker.describe(), { state: "open", lastFailure: `${kind} (503)`, retryInMs: 400 });
    });

  for (const kind of ["invalid_request", "authentication", "rate_limited", "quota", "not_found", "cancelled", "blocked"] as const)
    test(`does not open for ${kind}`, () => {
      const { breaker, states } = breakerOf(new FakeTime());
      fail(breaker, 20, kind);
      assert.deepEqual(states, []);
    });

  test("does not open for failures that are far apart, or few among many", () => {
    const time = new FakeTime();
    const { breaker, states } = breakerOf(time);
    for (let round = 0; round < 9; round++) {
      fail(breaker, 1);
      time.advance(501);
    }
    for (let round = 0; round < 9; round++) {
      fail(breaker, 1);
      for (let well = 0; well < 5; well++) breaker.ended(breaker.enter());
    }
    assert.deepEqual(states, []);
  });

  test("asks one at a time to see, and closes when enough went well", () => {
    const time = new FakeTime();
    const { breaker, states } = breakerOf(time);
    fail(breaker, 3);
    time.advance(500);
    const probe = breaker.enter();
    assert.throws(() => breaker.enter(), suspended);
    breaker.ended(probe);
    breaker.ended(breaker.enter(), failure("cancelled"));
    assert.equal(breaker.describe().state, "half-open");
    breaker.ended(breaker.enter());
    assert.deepEqual(states, ["open", "half-open", "closed"]);
    fail(breaker, 2);
    assert.equal(breaker.describe().state, "closed");
  });

  test("opens again if a probe fails, and does not wait for one that never ends", () => {
    const time = new FakeTime();
    const { breaker, states } = breakerOf(time);
    fail(breaker, 3);
    time.advance(500);
    breaker.enter();
    time.advance(500);
    fail(breaker, 1);
    assert.deepEqual(states, ["open", "half-open", "open"]);
  });

  test("does not listen to requests of an earlier time", () => {
    const time = new FakeTime();
    const { breaker, states } = breakerOf(time);
    const early = breaker.enter();
    fail(breaker, 3);
    time.advance(500);
    const probe = breaker.enter();
    breaker.ended(early, failure("upstream"));
    breaker.ended(probe);
    breaker.ended(breaker.enter());
    assert.deepEqual(states, ["open", "half-open", "closed"]);
  });
});

describe("resolveProviderBreaker", () => {
  test("gives none where there should be none", () => assert.equal(resolveProviderBreaker(false), undefined));
  for (const [name, value] of Object.entries({ failures: 0, windowMs: -1, share: 2, openMs: 0, probes: 1.5, fails: 1 }))
    test(`refuses ${name}: ${value}`, () =>
      assert.throws(() => resolveProviderBreaker({ [name]: value }, "providers.a.breaker"), new RegExp(`"providers\\.a\\.breaker\\.${name}"`)));
});
