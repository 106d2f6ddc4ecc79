// The part of the thread's time that a plugin may have: who waits, for how long, and in which order. On a clock of the test's own.

import assert from "node:assert/strict";
import { type TestContext, describe, it } from "node:test";

import type { MortiseError } from "../../src/api/errors.ts";
import { CpuShare } from "../../src/manager/cpu-share.ts";

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
};

/** A share of a tenth that owes `debtMs`, and what happened to the calls that wait for it. */
function bench(t: TestContext, debtMs: number) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let now = 0;
  const share = new CpuShare(0.1, () => now);
  share.use(100 + debtMs);
  const ends: string[] = [];
  return {
    share,
    ends,
    call: (name: string, timeoutMs: number, signal?: AbortSignal, usesMs: number = 0): void => {
      const begin = (leftMs: number): void => {
        share.use(usesMs);
        ends.push(`${name} began with ${leftMs}`);
      };
      share.wait({ plugin: "p", function: name, timeoutMs, signal }, begin).catch(({ code }: MortiseError) => ends.push(`${name} ${code}`));
    },
    advance: async (ms: number): Promise<void> => {
      await turns();
      now += ms;
      t.mock.timers.tick(ms);
      await turns();
    },
  };
}

describe("CpuShare", () => {
  it("ends a call at its own deadline, also behind others that wait for longer", async (t) => {
    const { ends, call, advance } = bench(t, 100);
    call("first", 5000);
    call("second", 20);
    await advance(19);
    assert.deepEqual(ends, []);
    await advance(1);
    assert.deepEqual(ends, ["second MORTISE_TIMEOUT"]);
  });

  it("ends a call that is aborted, also behind others", async (t) => {
    const { ends, call } = bench(t, 100);
    const controller = new AbortController();
    call("first", 5000);
    call("second", 5000, controller.signal);
    await turns();
    controller.abort();
    await turns();
    assert.deepEqual(ends, ["second MORTISE_ABORTED"]);
  });

  it("lets calls begin in their order when one between them gives up, and each only when there is time for it", async (t) => {
    const { ends, call, advance } = bench(t, 50);
    call("first", 5000, undefined, 100);
    call("second", 20);
    call("third", 5000);
    await advance(20);
    await advance(490);
    assert.deepEqual(ends, ["second MORTISE_TIMEOUT", "first began with 4490"]);
    await advance(900);
    assert.equal(ends.length, 2, "the first has used 100 ms, which take 1,000");
    await advance(100);
    assert.deepEqual(ends.slice(2), ["third began with 3490"]);
  });

  it("lets all go at once when it is opened", async (t) => {
    const { share, ends, call } = bench(t, 1000);
    call("first", Number.POSITIVE_INFINITY);
    call("second", Number.POSITIVE_INFINITY);
    await turns();
    share.open();
    await turns();
    assert.deepEqual(ends, ["first began with Infinity", "second began with Infinity"]);
  });

  it("is calm when those that wait have begun or were given up, and not before", async (t) => {
    const { share, ends, call, advance } = bench(t, 10);
    call("first", 5000);
    call("second", 20);
    void share.whenCalm.then(() => ends.push("calm"));
    await advance(20);
    await advance(80);
    assert.deepEqual(ends, ["second MORTISE_TIMEOUT"]);
    await advance(1);
    assert.deepEqual(ends.slice(1), ["first began with 4899", "calm"]);
  });
});
