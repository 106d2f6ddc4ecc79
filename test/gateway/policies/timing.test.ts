// Time as it is: waits that end with their signal.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";

import { REAL_TIME } from "../../../src/gateway/policies/timing.ts";

describe("REAL_TIME.sleep", () => {
  test("ends at once for a signal that is aborted, and when it is aborted", async () => {
    const aborter = new AbortController();
    const asleep = REAL_TIME.sleep(1_000_000_000, aborter.signal);
    aborter.abort();
    await asleep;
    await REAL_TIME.sleep(1_000_000_000, aborter.signal);
    assert.equal(getEventListeners(aborter.signal, "abort").length, 0);
  });

  test("leaves nothing at a signal that outlives it", async () => {
    const { signal } = new AbortController();
    await REAL_TIME.sleep(0, signal);
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });
});

describe("REAL_TIME.after", () => {
  test("can be called off", async () => {
    let ran = false;
    REAL_TIME.after(0, () => (ran = true))();
    await REAL_TIME.sleep(1, new AbortController().signal);
    assert.equal(ran, false);
  });
});
