// Keys of providers: which one is used, which ones rest, and what is said when all of them do.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { isMortiseError } from "mortise";

import { type KeyOptions, KeyRing } from "../../../src/gateway/policies/key-ring.ts";
import type { Failure, FailureKind } from "../../../src/gateway/types.ts";
import { FakeTime } from "./fake-time.ts";

function failure(kind: FailureKind, retryAfterMs?: number): Failure {
  return { kind, status: 400, message: "no", retryable: false, allowFallbacks: true, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

const TWO = [
  { name: "one", value: "sk-1", weight: 3 },
  { name: "two", value: "sk-2" },
];

function refusal(run: () => unknown): { readonly code: string; readonly message: string; readonly details: Readonly<Record<string, unknown>> } {
  try {
    run();
  } catch (error) {
    if (isMortiseError(error)) return error;
    throw error;
  }
  assert.fail("nothing was refused");
}

describe("KeyRing.choose", () => {
  test("chooses by weight", () => {
    const time = new FakeTime(0.74, 0.76);
    const ring = new KeyRing("openai", TWO, {}, time);
    assert.deepEqual([ring.choose("m").name, ring.choose("m").name], ["one", "two"]);
  });

  for (const [kind, retryAfterMs, elsewhere, restMs] of [
    ["authentication", undefined, "two", 300_000],
    ["quota", undefined, "two", 300_000],
    ["permission", undefined, "one", 300_000],
    ["rate_limited", undefined, "one", 5000],
    ["rate_limited", 30_000, "one", 30_000],
    ["rate_limited", 9_999_999, "one", 600_000],
  ] as const)
    test(`lets a key rest ${restMs} ms after ${kind}${retryAfterMs === undefined ? "" : ` that asks for ${retryAfterMs} ms`}`, () => {
      const time = new FakeTime(0);
      const ring = new KeyRing("openai", TWO, {}, time);
      ring.failed(ring.choose("m"), "m", failure(kind, retryAfterMs));
      assert.equal(ring.choose("m").name, "two");
      assert.equal(ring.choose("other").name, elsewhere);
      time.advance(restMs - 1);
      assert.equal(ring.choose("m").name, "two");
      time.advance(1);
      assert.equal(ring.choose("m").name, "one");
    });

  for (const kind of ["upstream", "timeout", "overloaded", "invalid_request", "cancelled", "internal", "not_found"] as const)
    test(`does not hold ${kind} against a key`, () => {
      const ring = new KeyRing("openai", TWO, {}, new FakeTime(0));
      ring.failed(ring.choose("m"), "m", failure(kind, 1000));
      assert.equal(ring.choose("m").name, "one");
    });

  test("says so when all keys rest, for how long and why", () => {
    const time = new FakeTime(0);
    const ring = new KeyRing("openai", TWO, {}, time);
    ring.failed({ name: "one", value: "sk-1" }, "m", failure("authentication"));
    ring.failed({ name: "two", value: "sk-2" }, "m", failure("rate_limited", 2000));
    time.advance(500);
    const error = refusal(() => ring.choose("m"));
    assert.equal(error.code, "MORTISE_GATEWAY_NO_KEY");
    assert.match(error.message, /provider "openai".*rate_limited \(400\): no$/);
    assert.equal(error.details["retryAfterMs"], 1500);
    assert.equal(error.details["kind"], "rate_limited");
    assert.equal(ring.readyInMs("m"), 1500);
    assert.doesNotMatch(JSON.stringify(error), /sk-/);
    assert.deepEqual(
      ring.describe().map(({ name, restMs, models }) => ({ name, restMs, models })),
      [
        { name: "one", restMs: 299_500, models: [] },
        { name: "two", restMs: 0, models: ["m"] },
      ],
    );
  });

  test("keeps keys to their models, and keys without weight for when no other may be used", () => {
    const time = new FakeTime(0.999);
    const keys = [
      { name: "mini", value: "a", models: ["*-mini"] },
      { name: "all", value: "b", weight: 0 },
    ];
    const ring = new KeyRing("openai", keys, {}, time);
    assert.equal(ring.choose("gpt-mini").name, "mini");
    assert.equal(ring.choose("gpt").name, "all");
    const strict = new KeyRing("openai", keys.slice(0, 1), {}, time);
    assert.match(refusal(() => strict.choose("gpt")).message, /none is for this model/);
    assert.equal(strict.readyInMs("gpt"), Number.POSITIVE_INFINITY);
  });

  test("gives a key of any model for what is not about one, unless it rests for all", () => {
    const time = new FakeTime(0);
    const ring = new KeyRing("openai", [{ value: "sk-1", models: ["m"] }], {}, time);
    ring.failed(ring.choose("m"), "m", failure("rate_limited"));
    const known = ring.choose();
    assert.equal(known.value, "sk-1");
    ring.failed(known, "m", failure("authentication"));
    assert.equal(refusal(() => ring.choose()).code, "MORTISE_GATEWAY_NO_KEY");
  });

  test("a shorter rest does not end a longer one", () => {
    const time = new FakeTime(0);
    const ring = new KeyRing("openai", TWO.slice(0, 1), {}, time);
    const key = ring.choose("m");
    ring.failed(key, "m", failure("rate_limited", 60_000));
    ring.failed(key, "m", failure("rate_limited", 1000));
    assert.equal(ring.readyInMs("m"), 60_000);
  });

  test("remembers a bounded number of models, and forgets the one that rests shortest", () => {
    const time = new FakeTime(0);
    const ring = new KeyRing("openai", TWO.slice(0, 1), {}, time);
    const [key] = TWO;
    assert.ok(key !== undefined);
    for (let model = 0; model <= 300; model++) ring.failed(key, `m${model}`, failure("rate_limited", 1000 + model));
    assert.equal(ring.describe()[0]?.models.length, 256);
    assert.equal(ring.choose("m0").name, "one");
    assert.equal(ring.readyInMs("m300"), 1300);
  });
});

describe("KeyRing", () => {
  for (const [what, keys, message] of [
    ["no keys", [], /"providers\.openai\.keys"/],
    ["an empty key", [{ value: "" }], /"providers\.openai\.keys\[0\]\.value"/],
    ["a key that would break a header", [{ value: "sk-1\r\nx: y" }], /keys\[0\]\.value/],
    [
      "two of one name",
      [
        { value: "a", name: "x" },
        { value: "b", name: "x" },
      ],
      /two keys named "x"/,
    ],
    ["a weight below 0", [{ value: "a", weight: -1 }], /keys\[0\]\.weight/],
    ["an unknown option", [{ value: "a", wieght: 1 }], /did you mean "weight"/],
  ] as const)
    test(`refuses ${what}, without saying the key`, () => {
      const error = refusal(() => new KeyRing("openai", keys as readonly KeyOptions[]));
      assert.equal(error.code, "MORTISE_INVALID_OPTION");
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /sk-/);
    });

  test("refuses rests that are no time", () =>
    assert.match(refusal(() => new KeyRing("a", TWO, { refusedRestMs: 0 })).message, /providers\.a\.keyRest\.refusedRestMs/));
});
