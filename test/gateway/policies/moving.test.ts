// Attempts that a plugin sends to another provider: what stands before that one holds, and is told how they end.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { MortiseError } from "mortise";

import { resolveAttemptPolicy } from "../../../src/gateway/policies/attempt-policy.ts";
import type { Attempt } from "../../../src/gateway/policies/attempt.ts";
import { Gate, resolveGate } from "../../../src/gateway/policies/gate.ts";
import { KeyRing } from "../../../src/gateway/policies/key-ring.ts";
import { ProviderBreaker, resolveProviderBreaker } from "../../../src/gateway/policies/provider-breaker.ts";
import { type AttemptPlan, runAttempts } from "../../../src/gateway/policies/run-attempts.ts";
import type { Guards } from "../../../src/gateway/policies/seat.ts";
import { FakeTime } from "./fake-time.ts";

const A = { provider: "a", model: "m" };
const B = { provider: "b", model: "n" };
const NOBODY = { inside: 0, waiting: 0 };

/** Guards of one provider: one at a time, two keys of which one is for `n` alone, and a breaker that one failure opens. */
function guardsOf(
  name: string,
  time: FakeTime,
): Required<Guards> & { readonly gate: Gate; readonly keys: KeyRing; readonly breaker: ProviderBreaker } {
  const resolved = resolveProviderBreaker({ failures: 1, share: 0, openMs: 500 });
  assert.ok(resolved !== undefined);
  const keys = [
    { name: `${name} for n`, value: "sk-n", models: ["n"] },
    { name: `${name} for m`, value: "sk-m", models: ["m"] },
  ];
  return {
    keys: new KeyRing(name, keys, {}, time),
    gate: new Gate(`provider "${name}"`, resolveGate({ limit: 1, queueMs: 1000 }), time),
    breaker: new ProviderBreaker(name, resolved, time),
  };
}

function stage(): {
  time: FakeTime;
  a: ReturnType<typeof guardsOf>;
  b: ReturnType<typeof guardsOf>;
  plan: (more?: Partial<AttemptPlan>) => AttemptPlan;
} {
  const time = new FakeTime(0);
  const [a, b] = [guardsOf("a", time), guardsOf("b", time)];
  const { clock, random, sleep, after } = time;
  const base = { targets: [A], policy: resolveAttemptPolicy({ retries: 0 }), clock, random, sleep, after };
  const guards: AttemptPlan["guards"] = ({ provider }) => (provider === "a" ? a : b);
  return { time, a, b, plan: (more = {}) => ({ ...base, signal: new AbortController().signal, guards, ...more }) };
}

const failed = (status: number): MortiseError =>
  new MortiseError("MORTISE_PROVIDER_ERROR", { payload: { type: "http_status", status_code: status, message: "no" } });

/** Moves, and tells what it asks with then. */
async function moving(attempt: Attempt): Promise<string> {
  await attempt.moveTo(B);
  return `${attempt.target.provider} ${attempt.asks.provider}/${attempt.asks.model} ${attempt.key?.name}`;
}

describe("Attempt.moveTo", () => {
  test("asks with a key of the other provider, and gives the place at the first one back", async () => {
    const { a, b, plan } = stage();
    const told = await runAttempts(plan(), async (attempt) => {
      const before = a.gate.describe().inside;
      const said = await moving(attempt);
      return [said, before, a.gate.describe().inside, b.gate.describe().inside];
    });
    assert.deepEqual(told, ["a b/n b for n", 1, 0, 1]);
    assert.deepEqual([a.gate.describe(), b.gate.describe()], [NOBODY, NOBODY]);
  });

  test("waits for its turn there, not beyond the time of the attempt", async () => {
    const { time, a, b, plan } = stage();
    const pass = b.gate.enterNow();
    const run = runAttempts(plan(), moving);
    await time.pass(300);
    assert.deepEqual([a.gate.describe(), b.gate.describe()], [NOBODY, { inside: 1, waiting: 1 }]);
    pass?.leave();
    assert.equal(await time.until(run), "a b/n b for n");
    const other = b.gate.enterNow();
    const policy = resolveAttemptPolicy({ retries: 0, attemptTimeoutMs: 200 });
    await assert.rejects(time.until(runAttempts(plan({ policy }), moving)));
    assert.equal(time.now, 500);
    other?.leave();
    for (const { breaker } of [a, b]) assert.equal(breaker.describe().state, "closed");
    assert.deepEqual(b.gate.describe(), NOBODY);
  });

  test("is refused by the breaker and the keys of the other provider, which is held against nobody", async () => {
    const { time, a, b, plan } = stage();
    b.breaker.ended(b.breaker.enter(), { kind: "upstream", status: 500, message: "", retryable: false, allowFallbacks: true });
    await assert.rejects(time.until(runAttempts(plan(), moving)), { code: "MORTISE_GATEWAY_SUSPENDED" });
    await assert.rejects(time.until(runAttempts(plan(), (attempt) => attempt.moveTo({ provider: "b", model: "x" }))), {
      code: "MORTISE_GATEWAY_NO_KEY",
    });
    assert.equal(a.breaker.describe().state, "closed");
    assert.deepEqual([a.gate.describe(), b.gate.describe()], [NOBODY, NOBODY]);
  });

  test("tells the other provider how it ends, and the first one nothing", async () => {
    for (const [status, state, rests] of [
      [500, "open", false],
      [401, "closed", true],
    ] as const) {
      const { time, a, b, plan } = stage();
      const run = runAttempts(plan(), async (attempt) => {
        await moving(attempt);
        throw failed(status);
      });
      await assert.rejects(time.until(run), { code: "MORTISE_PROVIDER_ERROR" });
      assert.deepEqual([a.breaker.describe().state, b.breaker.describe().state], ["closed", state]);
      assert.ok(a.keys.describe().every(({ restMs }) => restMs === 0));
      assert.equal(
        b.keys.describe().some(({ restMs }) => restMs > 0),
        rests,
      );
    }
  });

  test("does not hold the other provider to time that was waited for it", async () => {
    for (const [waitsMs, state] of [
      [200, "closed"],
      [0, "open"],
    ] as const) {
      const { time, b, plan } = stage();
      const pass = b.gate.enterNow();
      time.after(waitsMs, () => pass?.leave());
      const policy = resolveAttemptPolicy({ retries: 0, attemptTimeoutMs: 250 });
      const run = runAttempts(plan({ policy }), async (attempt) => {
        await attempt.moveTo(B);
        await time.sleep(1000, attempt.signal);
        attempt.signal.throwIfAborted();
      });
      await assert.rejects(time.until(run), { code: "MORTISE_GATEWAY_DEADLINE" });
      assert.equal(b.breaker.describe().state, state);
    }
  });

  test("tells the other provider of a stream that breaks", async () => {
    const { a, b, plan } = stage();
    const release = await runAttempts(plan(), async (attempt) => {
      await moving(attempt);
      return attempt.hold();
    });
    assert.equal(b.gate.describe().inside, 1);
    release(failed(500));
    assert.deepEqual([a.breaker.describe().state, b.breaker.describe().state], ["closed", "open"]);
    assert.deepEqual([a.gate.describe(), b.gate.describe()], [NOBODY, NOBODY]);
  });

  test("tells the first provider what it is blamed for before, and can go back to it", async () => {
    const { a, b, plan } = stage();
    const told = await runAttempts(plan(), async (attempt) => {
      attempt.blame(failed(429));
      await attempt.moveTo(B);
      await attempt.moveTo({ provider: "a", model: "n" });
      return attempt.key?.name;
    });
    assert.equal(told, "a for n");
    assert.deepEqual(
      a.keys.describe().map(({ models }) => models),
      [[], ["m"]],
    );
    assert.deepEqual([a.gate.describe(), b.gate.describe()], [NOBODY, NOBODY]);
  });

  test("keeps the place where the other model is the same provider's, and chooses a key for it", async () => {
    const { a, plan } = stage();
    const run = runAttempts(plan(), async (attempt) => {
      assert.equal(attempt.key?.name, "a for m");
      void a.gate.enter().then((pass) => pass.leave());
      await attempt.moveTo({ provider: "a", model: "n" });
      assert.deepEqual([attempt.key?.name, a.gate.describe()], ["a for n", { inside: 1, waiting: 1 }]);
      throw failed(403);
    });
    await assert.rejects(run, { code: "MORTISE_PROVIDER_ERROR" });
    assert.deepEqual(
      a.keys.describe().map(({ models }) => models),
      [["n"], []],
    );
  });

  test("does not blame a provider for what is not its own", async () => {
    const { time, a, plan } = stage();
    const busy = new MortiseError("MORTISE_GATEWAY_BUSY", { what: "another", limit: 1, reason: "x" });
    const run = runAttempts(plan(), async (attempt) => {
      attempt.blame(busy);
      throw busy;
    });
    await assert.rejects(time.until(run), busy);
    assert.equal(a.breaker.describe().state, "closed");
  });
});
