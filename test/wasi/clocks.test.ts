// Clocks: which there are, how fine they are, and what they say.

import assert from "node:assert/strict";
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import type { WasiClock } from "../../src/wasi/options.ts";
import { OUT, mortiseGuest } from "./guest.ts";
import { hostFolder } from "./host-folder.ts";

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

for (const [clock, grain] of [
  ["coarse", 1_000_000n],
  ["precise", 1000n],
] as const) {
  test(`path_filestat_get() and fd_filestat_get() tell the times of files as finely as clocks, ${clock}`, () => {
    using folder = hostFolder({ file: "" });
    utimesSync(join(folder.path, "file"), 1_700_000_000.123_456, 1_700_000_001.234_567);
    const guest = mortiseGuest({ clock }, { [folder.path]: "/data" });
    const times = (): bigint[] => [40, 48, 56].map((at) => guest.view.getBigUint64(OUT + at, true));
    const expected = [1_700_000_000_123_456_000n, 1_700_000_001_234_567_000n].map((time) => time - (time % grain));
    assert.equal(guest.run("path_filestat_get", 3, 0, ...guest.put("file"), OUT), 0);
    const byPath = times();
    const fd = guest.openRead("file");
    assert.equal(guest.run("fd_filestat_get", fd, OUT), 0);
    for (const [accessed, modified, changed] of [byPath, times()]) {
      // Seconds are a floating-point number in Node, a microsecond coarse.
      assert.ok(Math.abs(Number((accessed as bigint) - (expected[0] as bigint))) <= 1000, `${accessed}`);
      assert.ok(Math.abs(Number((modified as bigint) - (expected[1] as bigint))) <= 1000, `${modified}`);
      if (clock === "coarse") assert.deepEqual([accessed, modified, changed].map((time) => (time as bigint) % grain), [0n, 0n, 0n]); // prettier-ignore
    }
    guest.close();
  });
}
