// Gates: so many inside, in turn, not for longer than allowed, and left by everybody.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";

import * as fc from "fast-check";
import { isMortiseError } from "mortise";

import { Gate, Gates, type Pass, resolveGate } from "../../../src/gateway/policies/gate.ts";
import { FakeTime } from "./fake-time.ts";

const busy = (reason: RegExp) => (error: unknown) => isMortiseError(error) && error.code === "MORTISE_GATEWAY_BUSY" && reason.test(error.message);

describe("Gate", () => {
  test("lets in as many as it may, and the next when one leaves; leaving twice counts once", async () => {
    const gate = new Gate('provider "a"', resolveGate({ limit: 2 }), new FakeTime());
    const [first, second] = [gate.enterNow(), gate.enterNow()];
    assert.equal(gate.enterNow(), undefined);
    const third = gate.enter();
    assert.deepEqual(gate.describe(), { inside: 2, waiting: 1 });
    first?.leave();
    first?.leave();
    (await third).leave();
    assert.deepEqual(gate.describe(), { inside: 1, waiting: 0 });
    second?.leave();
    assert.deepEqual(gate.describe(), { inside: 0, waiting: 0 });
  });

  test("takes turns among clients, and keeps each one's order", async () => {
    const gate = new Gate("g", resolveGate({ limit: 1 }), new FakeTime());
    const inside: string[] = [];
    const first = gate.enterNow();
    const all = ["a1", "a2", "a3", "b1", "c1", "b2"].map(async (name) => {
      const pass = await gate.enter({ client: name[0] });
      inside.push(name);
      pass.leave();
    });
    first?.leave();
    await Promise.all(all);
    assert.deepEqual(inside, ["a1", "b1", "c1", "a2", "b2", "a3"]);
  });

  test("refuses who waits for too long, or has no time, or no place", async () => {
    const time = new FakeTime();
    const gate = new Gate('provider "a"', resolveGate({ limit: 1, queue: 2, queueMs: 100 }), time);
    gate.enterNow();
    const slow = gate.enter();
    const hurried = gate.enter({ waitMs: 40 });
    await assert.rejects(gate.enter(), busy(/provider "a" serves 1 at a time, and 2 wait already/));
    time.advance(40);
    await assert.rejects(hurried, busy(/after 40 ms/));
    await assert.rejects(gate.enter({ waitMs: 0 }), busy(/no time/));
    time.advance(60);
    await assert.rejects(slow, busy(/after 100 ms/));
    assert.equal(time.timers, 0);
    await assert.rejects(
      new Gate("g", resolveGate({ limit: 1, queue: 0 }), time).enter().then(() => gate.enter({ waitMs: 0 })),
      busy(/no time/),
    );
  });

  test("lets a newcomer in a full queue take the place of whoever has most there", async () => {
    const gate = new Gate("g", resolveGate({ limit: 1, queue: 3 }), new FakeTime());
    gate.enterNow();
    const flood = [gate.enter({ client: "a" }), gate.enter({ client: "a" }), gate.enter({ client: "a" })];
    await assert.rejects(gate.enter({ client: "a" }), busy(/3 wait already/));
    const other = gate.enter({ client: "b" });
    await assert.rejects(flood[2] ?? other, busy(/others wait who sent less/));
    await assert.rejects(gate.enter({ client: "b" }), busy(/3 wait already/));
    assert.deepEqual(gate.describe(), { inside: 1, waiting: 3 });
  });

  test("forgets who is aborted, before and while waiting", async () => {
    const time = new FakeTime();
    const gate = new Gate("g", resolveGate({ limit: 1 }), time);
    const pass = gate.enterNow();
    const aborter = new AbortController();
    const waiting = gate.enter({ signal: aborter.signal });
    aborter.abort(new Error("left"));
    await assert.rejects(waiting, /left/);
    await assert.rejects(gate.enter({ signal: aborter.signal }), /left/);
    assert.equal(time.timers, 0);
    const patient = new AbortController();
    const next = gate.enter({ signal: patient.signal });
    pass?.leave();
    (await next).leave();
    assert.equal(getEventListeners(patient.signal, "abort").length, 0);
    assert.deepEqual(gate.describe(), { inside: 0, waiting: 0 });
  });

  test("never has more inside than it may, nobody waits longer than allowed, and in the end nobody is left", async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("enter" as const), client: fc.constantFrom("a", "b", "c"), waitMs: fc.integer({ min: 0, max: 150 }) }),
      fc.record({ do: fc.constant("leave" as const) }),
      fc.record({ do: fc.constant("abort" as const) }),
      fc.record({ do: fc.constant("advance" as const), ms: fc.integer({ min: 1, max: 60 }) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 4 }),
        fc.array(step, { maxLength: 40 }),
        async (limit, queue, steps) => {
          const time = new FakeTime();
          const gate = new Gate("g", resolveGate({ limit, queue, queueMs: 100 }), time);
          const inside: Pass[] = [];
          const aborters: AbortController[] = [];
          const all: Promise<void>[] = [];
          const enter = async (client: string, waitMs: number): Promise<void> => {
            const aborter = new AbortController();
            aborters.push(aborter);
            const began = time.now;
            try {
              inside.push(await gate.enter({ client, waitMs, signal: aborter.signal }));
            } catch {
              // Refused, late, or aborted.
            }
            assert.ok(time.now - began <= Math.min(waitMs, 100), "waited for too long");
          };
          for (const each of steps) {
            if (each.do === "enter") all.push(enter(each.client, each.waitMs));
            else if (each.do === "leave") inside.shift()?.leave();
            else if (each.do === "abort") aborters.shift()?.abort();
            else await time.pass(each.ms);
            // What the step has set off happens before time goes on.
            for (let turns = 0; turns < 5; turns++) await Promise.resolve();
            const { inside: count, waiting } = gate.describe();
            assert.ok(count <= limit && waiting <= queue);
            assert.ok(waiting === 0 || count === limit, "somebody waits before an open gate");
          }
          await time.pass(1000);
          await Promise.all(all);
          for (const pass of inside) pass.leave();
          assert.deepEqual(gate.describe(), { inside: 0, waiting: 0 });
          assert.equal(time.timers, 0);
        },
      ),
    );
  });
});

describe("Gates", () => {
  test("keeps a gate for each name, for as long as somebody uses it", async () => {
    const gates = new Gates("client", resolveGate({ limit: 1, queue: 0 }), new FakeTime());
    const pass = await gates.of("a").enter();
    await assert.rejects(gates.of("a").enter(), busy(/client "a" serves 1 at a time, and nobody may wait/));
    (await gates.of("b").enter()).leave();
    assert.equal(gates.size, 1);
    pass.leave();
    assert.equal(gates.size, 0);
  });
});

describe("resolveGate", () => {
  for (const [name, value] of Object.entries({ limit: 0, queue: -1, queueMs: 0, limt: 3 }))
    test(`refuses ${name}: ${value}`, () =>
      assert.throws(
        () => resolveGate({ [name]: value }, "providers.a.concurrency"),
        new RegExp(`MortiseError.*"providers\\.a\\.concurrency\\.${name}"`),
      ));
});
