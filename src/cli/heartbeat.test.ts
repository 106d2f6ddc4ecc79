import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { Heartbeat } from "./heartbeat.ts";

describe("Heartbeat", () => {
  it("counts ticks and measures how long the event loop stood still", async () => {
    const heartbeat = new Heartbeat(1);
    await heartbeat.beat(2);
    heartbeat.forget();
    const until = performance.now() + 30;
    while (performance.now() < until);
    await heartbeat.beat(1);
    heartbeat.stop();
    assert.ok(heartbeat.ticks >= 3);
    assert.ok(heartbeat.longestPauseMs >= 29, `${heartbeat.longestPauseMs} ms`);
  });
});
