// Random bytes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { OUT, mortiseGuest } from "./guest.ts";

test("random_get() fills what it was asked to fill, and nothing else", () => {
  const guest = mortiseGuest();
  for (const size of [0, 1, 32, 65_536, 200_000]) {
    guest.bytes.fill(0x3f);
    assert.equal(guest.run("random_get", OUT, size), 0);
    assert.equal(guest.text(OUT - 4, 4), "????");
    assert.equal(guest.text(OUT + size, 4), "????");
    // Thirty-two question marks in a row come by chance once in 2^256 times.
    if (size >= 32) assert.notEqual(guest.text(OUT + size - 32, 32), "?".repeat(32));
  }
});

test("random_get() takes bytes from the user's function, which never sees the guest's memory", () => {
  let seen: Uint8Array | undefined;
  const guest = mortiseGuest({
    random: (bytes) => {
      seen = bytes;
      bytes.fill(0x41);
    },
  });
  assert.equal(guest.run("random_get", OUT, 3), 0);
  assert.equal(guest.text(OUT - 1, 5), "?AAA?");
  assert.notEqual(seen?.buffer, guest.memory.buffer);
});

test("random_get() refuses addresses outside the memory, and more than it does at once", () => {
  const guest = mortiseGuest();
  assert.equal(guest.run("random_get", guest.bytes.length - 3, 4), 21);
  assert.equal(guest.run("random_get", 0, -1), 21);
  guest.memory.grow(32);
  assert.equal(guest.run("random_get", 0, (1 << 20) + 1), 28);
  assert.equal(guest.run("random_get", 0, 1 << 20), 0);
});

test("random_get() is charged before it works", () => {
  const guest = mortiseGuest();
  guest.run("random_get", OUT, 5000);
  assert.equal(guest.host.charged, 5000);
});
