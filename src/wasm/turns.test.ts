import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { takeTurn } from "./turns.ts";

describe("takeTurn", () => {
  it("lets one go on for each turn of the event loop, in the order they came", async () => {
    const log: string[] = [];
    for (const name of ["a", "b", "c"]) takeTurn(() => log.push(name));
    assert.deepEqual(log, []);
    for (const expected of [["a"], ["a", "b"], ["a", "b", "c"]]) {
      await turn();
      assert.deepEqual(log, expected);
    }
  });

  it("puts who comes again behind those who wait", async () => {
    const log: string[] = [];
    const again = (name: string, times: number): void =>
      takeTurn(() => {
        log.push(name);
        if (times > 1) again(name, times - 1);
      });
    again("a", 3);
    again("b", 3);
    for (let times = 0; times < 6; times++) await turn();
    assert.deepEqual(log, ["a", "b", "a", "b", "a", "b"]);
  });

  it("leaves room for timers and other work between two turns", async () => {
    const log: string[] = [];
    takeTurn(() => log.push("one"));
    takeTurn(() => log.push("two"));
    setImmediate(() => log.push("other"));
    await turn();
    await turn();
    assert.deepEqual(log, ["one", "other", "two"]);
  });

  it("leaves nothing behind when nobody waits", async () => {
    takeTurn(() => {});
    await turn();
    assert.ok(!process.getActiveResourcesInfo().includes("Immediate"));
  });
});
