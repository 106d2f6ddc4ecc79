// What observers are to be told waits for its turn, within bounds.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type AllFunction, RequestContext } from "mortise";

import { PAUSE_MODULE } from "../hooks/guests.ts";
import { PATHS, post, say, startStage } from "./start-gateway.ts";
import { ReportQueue, type ReportQueueOptions } from "../../src/gateway/report-queue.ts";

interface Stand {
  readonly queue: ReportQueue<string>;
  /** What was told, oldest first. */
  readonly told: string[];
  /** Lines of the log. */
  readonly lines: (readonly [fields: object, message: string])[];
  /** Lets the oldest call end. */
  readonly end: (error?: Error) => Promise<void>;
  readonly add: (told: string, bytes?: number) => void;
}

function open(options: Partial<ReportQueueOptions<string>> = {}): Stand {
  const told: string[] = [];
  const lines: Stand["lines"] = [];
  const calls: PromiseWithResolvers<void>[] = [];
  const hook = Object.assign(
    (input: string): Promise<void> => {
      told.push(input);
      const call = Promise.withResolvers<void>();
      calls.push(call);
      return call.promise;
    },
    { plugins: ["a"], isIdle: false },
  ) satisfies AllFunction<string>;
  const line = (fields: object | string, message = ""): void => void lines.push([fields as object, message]);
  const logger = { trace: line, debug: line, info: line, warn: line, error: line };
  const queue = new ReportQueue({ name: "used", hook, atATime: () => 1, logger, maxBytes: 10_000, ...options });
  return {
    queue,
    told,
    lines,
    end: async (error) => {
      const call = calls.shift();
      if (error === undefined) call?.resolve();
      else call?.reject(error);
      await new Promise(setImmediate);
    },
    add: (text, bytes = 0) => queue.add(text, new RequestContext({ id: text, clock: () => 0 }), bytes),
  };
}

describe("a gateway", { timeout: 15_000 }, () => {
  for (const instances of [1, 2])
    it(`lets no report wait for an instance, which would cost it the time of its call: ${instances} at a time`, async () => {
      const pauses: PromiseWithResolvers<void>[] = [];
      const pause = (): Promise<void> => {
        const paused = Promise.withResolvers<void>();
        pauses.push(paused);
        return paused.promise;
      };
      const until = async (passes: () => boolean): Promise<void> => {
        while (!passes()) await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop -- the loop waits
      };
      await using stage = await startStage();
      const plugin = await stage.plugin(
        "a",
        { on_completion: { pauses: "" } },
        { hostFunctions: { [PAUSE_MODULE]: { pause } }, ...(instances > 1 && { stateless: true, pool: { maxInstances: instances } }) },
      );
      for (let request = 0; request < 4; request++) await (await post(stage.url + PATHS.chat, say.chat("x"))).text(); // oxlint-disable-line no-await-in-loop -- one after the other
      await until(() => pauses.length === instances);
      for (let ended = 0; ended < 4; ended++) {
        assert.deepEqual([plugin.stats().instances.waiting, plugin.stats().instances.waited], [0, 0]);
        await until(() => pauses[ended] !== undefined); // oxlint-disable-line no-await-in-loop -- one after the other
        pauses[ended]?.resolve();
      }
      await until(() => plugin.stats().instances.busy === 0);
      assert.deepEqual([plugin.stats().calls, stage.gateway.health().untold], [4, 0]);
    });

  it("tells what waits before it closes, for as long as that may take", async () => {
    const pauses: PromiseWithResolvers<void>[] = [];
    let calls = 0;
    const pause = (): Promise<void> => {
      calls++;
      const paused = Promise.withResolvers<void>();
      pauses.push(paused);
      return paused.promise;
    };
    await using stage = await startStage();
    await stage.plugin("a", { on_usage: { pauses: "" } }, { hostFunctions: { [PAUSE_MODULE]: { pause } } });
    for (let request = 0; request < 3; request++) await (await post(stage.url + PATHS.chat, say.chat("x"))).text(); // oxlint-disable-line no-await-in-loop -- one after the other
    const closed = stage.gateway.close({ drainMs: 10_000 });
    for (let ended = 0; ended < 3; ended++) {
      while (pauses[ended] === undefined) await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop -- the loop waits
      pauses[ended]?.resolve();
    }
    await closed;
    assert.equal(calls, 3);
  });
});

describe("ReportQueue", { timeout: 15_000 }, () => {
  it("tells as many at a time as may be, the others in order when there is room, whatever becomes of those before", async () => {
    const { add, told, end, lines, queue } = open({ atATime: () => 2 });
    for (const text of ["a", "b", "c", "d"]) add(text);
    assert.deepEqual([told, queue.waiting], [["a", "b"], 2]);
    await end(new Error("trapped"));
    assert.deepEqual([told, queue.waiting], [["a", "b", "c"], 1]);
    assert.deepEqual(lines, [[{ request_id: "a" }, "Error: trapped"]]);
    await end();
    await end();
    await end();
    add("e");
    assert.deepEqual(told, ["a", "b", "c", "d", "e"]);
  });

  it("drops what has no room, and says so", async () => {
    const { add, told, end, lines, queue } = open();
    for (const text of ["a", "b", "c"]) add(text, 4000);
    assert.equal(queue.dropped, 1);
    assert.deepEqual(lines, [
      [
        { request_id: "c", code: "MORTISE_GATEWAY_UNTOLD" },
        'Dropped what plugins of hook "used" were to be told of a request: it has 5024 bytes, 5024 bytes wait, and 10000 may',
      ],
    ]);
    await end();
    add("d", 4000);
    await end();
    assert.deepEqual(told, ["a", "b", "d"]);
  });

  it("keeps room for short ones, and has one wait that is longer than all that may", async () => {
    const { add, queue, end, told } = open({ maxBytes: 400_000 });
    add("running");
    add("longest", 1_000_000);
    add("short");
    assert.deepEqual([queue.waiting, queue.dropped], [1, 1]);
    await end();
    for (let long = 0; long < 4; long++) add(`long ${long}`, 99_000);
    assert.deepEqual([queue.waiting, queue.dropped], [2, 3]);
    for (let short = 0; short < 4; short++) add(`short ${short}`, 1000);
    assert.equal(queue.dropped, 3);
    assert.deepEqual(told, ["running", "longest"]);
  });

  it("does not hold the thread for all that waits", async () => {
    const told: number[] = [];
    const first = Promise.withResolvers<void>();
    const hook = Object.assign(
      (input: number): Promise<void> => {
        told.push(input);
        return input === 0 ? first.promise : Promise.resolve();
      },
      { plugins: ["a"], isIdle: false },
    );
    const queue = new ReportQueue<number>({ name: "used", hook, atATime: () => 1, logger: undefined, maxBytes: 1 << 30 });
    for (let report = 0; report < 5000; report++) queue.add(report, new RequestContext({ clock: () => 0 }), 0);
    first.resolve();
    await new Promise(setImmediate);
    assert.ok(told.length > 1 && told.length < 200, String(told.length));
    await queue.settled();
    assert.deepEqual(
      told,
      Array.from({ length: 5000 }, (_, report) => report),
    );
  });

  it("settles when none waits, or drops what does", async () => {
    const { add, queue, end, told, lines } = open();
    await queue.settled();
    for (const text of ["a", "b", "c"]) add(text);
    let isSettled = false;
    const settled = queue.settled().then(() => (isSettled = true));
    await end();
    assert.equal(isSettled, false);
    queue.close();
    await settled;
    add("d");
    assert.deepEqual([told, queue.dropped, lines.length], [["a", "b"], 2, 2]);
  });
});
