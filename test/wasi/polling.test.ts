// Polling: waiting for a time, suspended or not, and descriptors.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { WasiClock } from "../../src/wasi/options.ts";
import { type Guest, type MortiseGuest, OUT, mortiseGuest } from "./guest.ts";

interface Wish {
  readonly userData: bigint;
  /** For a clock. */
  readonly clock?: number;
  readonly timeout?: bigint;
  readonly flags?: number;
  /** For a descriptor: 1 to read, 2 to write. */
  readonly type?: number;
  readonly fd?: number;
}

/** Puts subscriptions into the memory. */
function subscribe(guest: Guest, ...wishes: readonly Wish[]): [input: number, output: number, count: number, eventsAt: number] {
  const bytes = new Uint8Array(48 * wishes.length);
  const view = new DataView(bytes.buffer);
  for (const [index, { userData, clock = 1, timeout = 0n, flags = 0, type = 0, fd = 0 }] of wishes.entries()) {
    const at = index * 48;
    view.setBigUint64(at, userData, true);
    view.setUint8(at + 8, type);
    view.setUint32(at + 16, type === 0 ? clock : fd, true);
    if (type !== 0) continue;
    view.setBigUint64(at + 24, timeout, true);
    view.setUint16(at + 40, flags, true);
  }
  return [guest.put(bytes)[0], OUT + 8, wishes.length, OUT];
}

/** What was reported: user data, error, type and bytes. */
function events(guest: Guest): unknown[] {
  const count = guest.view.getUint32(OUT, true);
  return Array.from({ length: count }, (_, index) => {
    const at = OUT + 8 + index * 32;
    return [
      guest.view.getBigUint64(at, true),
      guest.view.getUint16(at + 8, true),
      guest.view.getUint8(at + 10),
      guest.view.getBigUint64(at + 16, true),
    ];
  });
}

/** A clock that stands still unless it is waited for. */
function fakeClock(): WasiClock & { now: bigint; readonly blocked: number[] } {
  const clock = {
    now: 0n,
    blocked: [] as number[],
    realtimeNs: () => 1_000_000_000_000n + clock.now,
    monotonicNs: () => clock.now,
    block: (milliseconds: number) => {
      clock.blocked.push(milliseconds);
      clock.now += BigInt(Math.round(milliseconds * 1e6));
    },
  };
  return clock;
}

const MS = 1_000_000n;

test("poll_oneoff() holds the thread until the first time has come, where the guest cannot be suspended", () => {
  const now = fakeClock();
  const guest = mortiseGuest({ now });
  const wishes = subscribe(guest, { userData: 7n, timeout: 30n * MS }, { userData: 8n, timeout: 20n * MS - 1n }, { userData: 9n, timeout: 20n * MS });
  assert.equal(guest.run("poll_oneoff", ...wishes), 0);
  assert.deepEqual(now.blocked, [20]);
  assert.deepEqual(events(guest), [
    [8n, 0, 0, 0n],
    [9n, 0, 0, 0n],
  ]);
  assert.equal(guest.text(OUT + 8 + 64, 4), "????");
});

test("poll_oneoff() does not hold the thread past the deadline", () => {
  const now = fakeClock();
  const guest = mortiseGuest({ now });
  guest.host.timeLeftMs = 5.5;
  assert.equal(guest.run("poll_oneoff", ...subscribe(guest, { userData: 1n, timeout: 3600n * 1000n * MS })), 27);
  assert.deepEqual([now.blocked, events(guest)], [[6], []]);
  guest.host.timeLeftMs = -3;
  assert.equal(guest.run("poll_oneoff", ...subscribe(guest, { userData: 1n, timeout: MS })), 27);
  assert.deepEqual(now.blocked, [6, 0]);
});

test("poll_oneoff() knows times of every clock, and refuses others in the event", () => {
  const now = fakeClock();
  const guest = mortiseGuest({ now });
  const at = (clock: number, timeout: bigint): void => {
    assert.equal(guest.run("poll_oneoff", ...subscribe(guest, { userData: 1n, clock, timeout, flags: 1 })), 0);
  };
  at(0, 1_000_000_000_000n + 10n * MS);
  at(1, 1_000_000_000n + 15n * MS);
  at(2, 1_000_000_000n + 21n * MS);
  at(3, 1_000_000_000n + 28n * MS);
  at(1, 5n);
  assert.deepEqual(now.blocked, [10, 5, 6, 7]);
  assert.equal(guest.run("poll_oneoff", ...subscribe(guest, { userData: 1n, clock: 4 }, { userData: 2n, flags: 2 })), 0);
  assert.deepEqual(events(guest), [
    [1n, 28, 0, 0n],
    [2n, 28, 0, 0n],
  ]);
});

test("poll_oneoff() compares times with the rounded clock, so that it tells no finer time", () => {
  const now = fakeClock();
  const guest = mortiseGuest({ now });
  const second = 1_000_000_000n;
  now.now = 2n * MS - 1n;
  const wishes = [second, second + MS, second + MS + 1n, second + 2n * MS - 1n].map((timeout, index) => ({
    userData: BigInt(index),
    timeout,
    flags: 1,
  }));
  assert.equal(guest.run("poll_oneoff", ...subscribe(guest, ...wishes, { userData: 9n, type: 2, fd: 1 })), 0);
  assert.deepEqual(
    events(guest).map((event) => (event as unknown[])[0]),
    [0n, 1n, 9n],
  );
});

test("poll_oneoff() reports descriptors at once, with what a file has left", () => {
  const now = fakeClock();
  const guest = mortiseGuest({ now, files: { "/file": "0123456789" } });
  const fd = guest.openRead("file");
  guest.read(fd, 3);
  const wishes = [
    { userData: 1n, type: 1, fd },
    { userData: 2n, timeout: 1000n * MS },
    { userData: 3n, type: 2, fd },
    { userData: 4n, type: 2, fd: 1 },
    { userData: 5n, type: 1, fd: 77 },
    { userData: 6n, timeout: 0n },
  ];
  assert.equal(guest.run("poll_oneoff", ...subscribe(guest, ...wishes)), 0);
  assert.deepEqual(now.blocked, []);
  assert.deepEqual(events(guest), [
    [1n, 0, 1, 7n],
    [3n, 76, 2, 0n],
    [4n, 0, 2, 1n],
    [5n, 8, 1, 0n],
    [6n, 0, 0, 0n],
  ]);
});

test("poll_oneoff() refuses no subscription, too many, unknown kinds, and addresses outside the memory", () => {
  const guest = mortiseGuest();
  const end = guest.bytes.length;
  const refused: readonly (readonly [values: readonly number[], errno: number])[] = [
    [[OUT, OUT, 0, OUT], 28],
    [[OUT, OUT, 1025, OUT], 28],
    [[OUT, OUT, -1, OUT], 28],
    [[end - 47, OUT, 1, OUT], 21],
    [[OUT, end - 31, 1, OUT], 21],
    [[OUT, OUT + 64, 1, end - 3], 21],
    [[OUT, OUT + 64, 1, OUT], 28], // question marks are no kind
  ];
  for (const [values, errno] of refused) assert.equal(guest.run("poll_oneoff", ...values), errno, values.join());
  assert.ok(guest.bytes.every((byte) => byte === 0x3f));
});

/** A guest that can be suspended, with timers that a test moves. */
function suspendable(context: { mock: { timers: { enable: (options: { apis: ["setTimeout"] }) => void } } }): MortiseGuest {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const guest = mortiseGuest({ now: fakeClock() });
  guest.host.suspend = true;
  return guest;
}

test("poll_oneoff() suspends a guest until the time has come, also if its memory grows meanwhile", async (context) => {
  const guest = suspendable(context);
  let settled = false;
  const result = (guest.start("poll_oneoff", ...subscribe(guest, { userData: 5n, timeout: 100n * MS })) as Promise<number>).finally(
    () => (settled = true),
  );
  context.mock.timers.tick(99);
  await Promise.resolve();
  assert.equal(settled, false);
  guest.memory.grow(1);
  context.mock.timers.tick(1);
  assert.equal(await result, 0);
  assert.deepEqual(events(guest), [[5n, 0, 0, 0n]]);
});

test("poll_oneoff() suspends a guest no longer than to the deadline, which has passed then", async (context) => {
  const guest = suspendable(context);
  guest.host.timeLeftMs = 20;
  const result = guest.start("poll_oneoff", ...subscribe(guest, { userData: 5n, timeout: 2n ** 63n }));
  context.mock.timers.tick(21);
  assert.equal(await result, 27);
  assert.equal(guest.view.getUint32(OUT, true), 0);
});

test("poll_oneoff() waits longer than a timer can", async (context) => {
  const guest = suspendable(context);
  const days = 60n * 24n * 3600n * 1000n;
  const result = guest.start("poll_oneoff", ...subscribe(guest, { userData: 5n, timeout: days * MS }));
  for (const step of [0x7fff_ffff, 0x7fff_ffff, Number(days) - 2 * 0x7fff_ffff]) context.mock.timers.tick(step);
  assert.equal(await result, 0);
});

for (const end of ["cancel", "close"] as const) {
  test(`${end}() clears the timer of a suspended guest, and nothing is written any more`, async (context) => {
    const guest = suspendable(context);
    let settled = false;
    void (guest.start("poll_oneoff", ...subscribe(guest, { userData: 5n, timeout: 100n * MS })) as Promise<number>).finally(() => (settled = true));
    guest.wasi[end]();
    context.mock.timers.tick(1000);
    await Promise.resolve();
    assert.deepEqual([settled, guest.text(OUT, 12)], [false, "????????????"]);
  });
}

test("poll_oneoff() really waits, with a timer and with the thread", async () => {
  const guest = mortiseGuest();
  const before = process.hrtime.bigint();
  assert.equal(guest.run("poll_oneoff", ...subscribe(guest, { userData: 1n, timeout: 3n * MS })), 0);
  guest.host.suspend = true;
  assert.equal(await guest.start("poll_oneoff", ...subscribe(guest, { userData: 1n, timeout: 3n * MS })), 0);
  // Waiting may take longer, but not less; timers are a millisecond coarse.
  assert.ok(process.hrtime.bigint() - before >= 4n * MS);
});
