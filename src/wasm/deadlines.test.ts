import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it, mock } from "node:test";
import { promisify } from "node:util";

import { type Expiring, forget, watch } from "./deadlines.ts";

describe("watch", () => {
  let time = 0;

  /** Moves clock and timers, a millisecond at a time. */
  const advance = (ms: number): void => {
    for (let step = 0; step < ms; step++) {
      time++;
      mock.timers.tick(1);
    }
  };
  const log: string[] = [];
  const item = (name: string, expiresAt: number, expire: () => void = () => {}): Expiring => ({
    expiresAt,
    expire: () => {
      log.push(`${name} at ${time}`);
      expire();
    },
  });
  const logged = (): string[] => log.splice(0);

  before(() => {
    mock.timers.enable({ apis: ["setTimeout"] });
    mock.method(performance, "now", () => time);
  });
  after(() => {
    // The timer that is left over is one of the mock's: let it fire.
    advance(100_000);
    mock.timers.reset();
    mock.restoreAll();
  });

  it("ends each item at its time, whatever the order they came in", () => {
    time = 0;
    for (const at of [30, 10, 20, 10]) watch(item(`${at}`, at));
    advance(9);
    assert.deepEqual(logged(), []);
    advance(1);
    assert.deepEqual(logged(), ["10 at 10", "10 at 10"]);
    advance(30);
    assert.deepEqual(logged(), ["20 at 20", "30 at 30"]);
  });

  it("ends nothing that forget took out, and what remains at its time", () => {
    const start = time;
    const items = [10, 20, 30].map((at) => item(`${at}`, start + at));
    for (const each of items) watch(each);
    forget(items[0] as Expiring);
    forget(items[2] as Expiring);
    forget(items[2] as Expiring);
    advance(50);
    assert.deepEqual(logged(), [`20 at ${start + 20}`]);
  });

  it("ends an item that is past already with the next timer", () => {
    watch(item("past", time - 5));
    assert.deepEqual(logged(), []);
    advance(1);
    assert.deepEqual(logged(), [`past at ${time}`]);
  });

  it("asks an item again whose end has moved meanwhile", () => {
    let at = time + 5;
    const moving = { get expiresAt() { return at; }, expire: () => void log.push(`moved to ${time}`) }; // prettier-ignore
    watch(moving);
    at += 7;
    advance(5);
    assert.deepEqual(logged(), []);
    advance(7);
    assert.deepEqual(logged(), [`moved to ${at}`]);
  });

  it("does not end items early that last longer than a timer can", () => {
    const start = time;
    const set = mock.method(globalThis, "setTimeout", globalThis.setTimeout);
    watch(item("long", start + 2 ** 31 + 10));
    // One for more would fire at once.
    assert.equal(set.mock.calls.at(-1)?.arguments[1], 2 ** 31 - 1);
    set.mock.restore();
    advance(3);
    time += 2 ** 31 - 10;
    mock.timers.tick(2 ** 31 - 1);
    assert.deepEqual(logged(), []);
    advance(20);
    assert.deepEqual(logged(), [`long at ${start + 2 ** 31 + 10}`]);
  });

  it("bears an end that takes others out, or that brings others in", () => {
    const start = time;
    const victim = item("victim", start + 10);
    watch(item("killer", start + 10, () => forget(victim)));
    watch(victim);
    watch(item("parent", start + 10, () => watch(item("child", start + 12))));
    watch(item("last", start + 15));
    advance(20);
    assert.deepEqual(logged(), [`killer at ${start + 10}`, `parent at ${start + 10}`, `child at ${start + 12}`, `last at ${start + 15}`]);
  });

  it("sets one timer for a thousand items of one length", () => {
    advance(1000);
    const set = mock.method(globalThis, "setTimeout", globalThis.setTimeout);
    const items = Array.from({ length: 1000 }, (_unused, index) => item("x", time + 100 + index));
    for (const each of items) {
      watch(each);
      forget(each);
    }
    assert.equal(set.mock.callCount(), 1);
    set.mock.restore();
    advance(3000);
    assert.deepEqual(logged(), []);
  });
});

/** A process that watches and forgets items which would end in 1,000 seconds, and counts its timers after each step. */
const CHILD = `
  const { forget, watch } = await import(process.argv[1]);
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const items = [1, 2, 3].map((n) => ({ expiresAt: performance.now() + n * 1_000_000, expire() {} }));
  const counts = [timers()];
  const step = (work, item) => (work(item), counts.push(timers()));
  for (const item of items) step(watch, item);
  for (const item of items.toReversed()) step(forget, item);
  step(watch, items[2]);
  step(forget, items[2]);
  console.log(counts.join(" "));`;

describe("A watched item", () => {
  it("keeps the process alive until it is forgotten", async () => {
    const module = new URL("deadlines.ts", import.meta.url).href;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", CHILD, module], { timeout: 20_000 });
    assert.equal(stdout.trim(), "0 1 1 1 1 1 0 1 0");
  });
});
