// Clocks: which there are, how fine they are, and what they say.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { WasiClock } from "../../src/wasi/options.ts";
import { OUT, mortiseGuest } from "./guest.ts";

/** A clock that a test moves. */
function fakeClock(): WasiClock & { now: bigint } {
  const clock = { now: 5_000_000_000n, realtimeNs: () => 1_700_000_000_123_456_789n + clock.now, monotonicNs: () => clock.now, block: () => {} };
  return clock;
}

test("clock_time_get() tells a rounded time, and everything but the time of day since the instance was made", () => {
  const now = fakeClock();
  const guest = mortiseGuest({ now });
  now.now += 1_999_999n;
  const times = [0, 1, 2, 3].map((id) => {
    assert.equal(guest.run("clock_time_get", id, 0n, OUT), 0);
    return guest.view.getBigUint64(OUT, true);
  });
  assert.deepEqual(times, [1_700_000_005_125_000_000n, 1_001_000_000n, 1_001_000_000n, 1_001_000_000n]);
  assert.equal(guest.text(OUT + 8, 4), "????");
});

test("clock_time_get() tells the exact time if that was granted", () => {
  const now = fakeClock();
  const guest = mortiseGuest({ now, clock: "precise" });
  now.now += 1_999_999n;
  assert.equal(guest.run("clock_time_get", 1, 0n, OUT), 0);
  assert.equal(guest.view.getBigUint64(OUT, true), 1_001_999_999n);
  assert.equal(guest.run("clock_res_get", 1, OUT), 0);
  assert.equal(guest.view.getBigUint64(OUT, true), 1n);
});

test("clock_res_get() tells a millisecond for every clock", () => {
  const guest = mortiseGuest();
  for (const id of [0, 1, 2, 3]) {
    assert.equal(guest.run("clock_res_get", id, OUT), 0);
    assert.equal(guest.view.getBigUint64(OUT, true), 1_000_000n);
  }
});

test("clock_time_get() and clock_res_get() refuse clocks that do not exist, and addresses outside the memory", () => {
  const guest = mortiseGuest();
  for (const id of [-1, 4, 0x7fff_ffff]) {
    assert.equal(guest.run("clock_time_get", id, 0n, OUT), 28);
    assert.equal(guest.run("clock_res_get", id, OUT), 28);
  }
  assert.equal(guest.run("clock_time_get", 0, 0n, guest.bytes.length - 7), 21);
  assert.equal(guest.run("clock_res_get", 0, -8), 21);
  assert.ok(guest.bytes.every((byte) => byte === 0x3f));
});

for (const clock of ["coarse", "precise"] as const) {
  test(`clock_time_get() agrees with the system's time of day, ${clock}`, () => {
    const guest = mortiseGuest({ clock });
    const before = Date.now();
    assert.equal(guest.run("clock_time_get", 0, 0n, OUT), 0);
    const found = Number(guest.view.getBigUint64(OUT, true)) / 1e6;
    // A precise clock was set when the process started; it may have drifted a little.
    assert.ok(found >= before - 1000 && found <= Date.now() + 1000, `${found} at ${before}`);
  });
}
