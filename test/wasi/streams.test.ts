// Standard streams: what is read, what is written, and how much.

import assert from "node:assert/strict";
import { test } from "node:test";

import { resolveWasi } from "../../src/wasi/options.ts";
import { OUT, errnoName, instanceOf, mortiseGuest } from "./guest.ts";

const decoder = new TextDecoder();

/** Collects what is written as text. */
function collector(): { readonly texts: string[]; readonly take: (bytes: Uint8Array) => void } {
  const texts: string[] = [];
  return { texts, take: (bytes) => void texts.push(decoder.decode(bytes)) };
}

test("fd_write() hands text to its stream, all buffers of a call in one piece", () => {
  const out = collector();
  const error = collector();
  const guest = mortiseGuest({ stdout: out.take, stderr: error.take });
  assert.equal(guest.run("fd_write", 1, ...guest.vectors(guest.put("Hello, "), guest.put(""), guest.put("world!")), OUT), 0);
  assert.equal(guest.text(OUT - 1, 6), "?\x0d\0\0\0?");
  assert.equal(guest.write(2, "oh"), 2);
  assert.deepEqual([out.texts, error.texts], [["Hello, world!"], ["oh"]]);
});

test("fd_write() hands over a copy, which the guest cannot change", () => {
  let kept = new Uint8Array();
  const guest = mortiseGuest({ stdout: (bytes) => (kept = bytes as Uint8Array<ArrayBuffer>) });
  guest.write(1, "text");
  assert.notEqual(kept.buffer, guest.memory.buffer);
});

test("fd_write() drops what nobody takes, whatever its length", () => {
  const guest = mortiseGuest({ outputBytes: 10 });
  for (let round = 0; round < 4; round++) assert.equal(guest.write(1, "x".repeat(100)), 100);
});

test("fd_write() cuts what is over the limit of a call, then says that there is no space; the next call begins anew", () => {
  const out = collector();
  const guest = mortiseGuest({ stdout: out.take, stderr: out.take, outputBytes: 10 });
  assert.deepEqual([guest.write(1, "123456"), guest.write(2, "abcdef"), errnoName(guest.write(1, "x")), guest.write(1, "")], [6, 4, "nospc", 0]);
  guest.wasi.beginCall();
  assert.equal(guest.write(1, "again"), 5);
  assert.deepEqual(out.texts, ["123456", "abcd", "again"]);
});

test("fd_write() moves a mebibyte at most in one call", () => {
  let taken = 0;
  const guest = mortiseGuest({ stdout: (bytes) => (taken += bytes.length), outputBytes: 8 << 20 });
  guest.memory.grow(64);
  assert.equal(guest.run("fd_write", 1, ...guest.vectors([0, 1 << 20], [0, 1 << 20]), OUT), 0);
  assert.equal(guest.view.getUint32(OUT, true), 1 << 20);
  assert.equal(taken, 1 << 20);
  assert.equal(guest.host.charged, 1 << 20);
});

test("fd_write() lets the failure of a user's function out", () => {
  const failure = new Error("the sink is full");
  const guest = mortiseGuest({
    stdout: () => {
      throw failure;
    },
  });
  assert.throws(() => guest.write(1, "x"), failure);
});

test("standard streams can be used in one direction, and have no position", () => {
  const guest = mortiseGuest();
  assert.equal(errnoName(guest.write(0, "x")), "notcapable");
  assert.equal(errnoName(guest.read(1)), "notcapable");
  for (const fd of [0, 1, 2]) {
    assert.equal(guest.run("fd_seek", fd, 0n, 1, OUT), 70);
    assert.equal(guest.run("fd_tell", fd, OUT), 70);
    assert.equal(guest.run("fd_pread", fd, ...guest.vectors([OUT, 1]), 0n, OUT), 70);
    assert.equal(guest.run("fd_filestat_set_size", fd, 0n), 70);
  }
});

for (const [terminal, type] of [
  [false, 0],
  [true, 2],
] as const) {
  test(`fd_fdstat_get() and fd_filestat_get() of standard streams, ${terminal ? "a" : "no"} terminal`, () => {
    const guest = mortiseGuest({ terminal });
    assert.equal(guest.run("fd_fdstat_get", 1, OUT), 0);
    const rights = (1n << 3n) | (1n << 6n) | (1n << 21n) | (1n << 27n);
    assert.equal(guest.text(OUT, 8), `${String.fromCharCode(type)}${"\0".repeat(7)}`);
    assert.deepEqual([guest.view.getBigUint64(OUT + 8, true), guest.view.getBigUint64(OUT + 16, true)], [rights, 0n]);
    assert.equal(guest.text(OUT + 24, 4), "????");
    assert.equal(guest.run("fd_filestat_get", 1, OUT), 0);
    assert.equal(guest.bytes[OUT + 16], type);
    assert.equal(guest.text(OUT + 64, 4), "????");
  });
}

test("fd_read() reads given input to its end, each instance from the beginning", () => {
  const grants = resolveWasi({ stdin: "some input" });
  for (const guest of [instanceOf(grants), instanceOf(grants)]) {
    assert.deepEqual([guest.read(0, 4), guest.read(0, 0), guest.read(0, 100), guest.read(0)], ["some", "", " input", ""]);
  }
});

test("fd_read() spreads input over buffers and writes nothing else", () => {
  const guest = mortiseGuest({ stdin: new TextEncoder().encode("abcdef") });
  assert.equal(guest.run("fd_read", 0, ...guest.vectors([OUT + 8, 2], [OUT + 12, 0], [OUT + 16, 3]), OUT), 0);
  assert.equal(guest.text(OUT, 20), "\x05\0\0\0????ab??????cde?");
});

test("fd_read() asks live input for what fits, and keeps what did not", () => {
  const asked: number[] = [];
  const answers = ["long answer", ""];
  const guest = mortiseGuest({
    stdin: {
      read: (maxBytes) => {
        asked.push(maxBytes);
        return new TextEncoder().encode(answers.shift());
      },
    },
  });
  assert.deepEqual([guest.read(0, 4), guest.read(0, 100), guest.read(0, 5)], ["long", " answer", ""]);
  assert.deepEqual(asked, [4, 5]);
});

/** Live input whose answers a test gives. */
function lateInput(): {
  readonly read: () => Promise<Uint8Array>;
  readonly answer: (text: string) => void;
  readonly fail: (error: Error) => void;
  asked: number;
} {
  const pending: PromiseWithResolvers<Uint8Array>[] = [];
  const input = {
    asked: 0,
    read: () => {
      input.asked++;
      const next = Promise.withResolvers<Uint8Array>();
      pending.push(next);
      return next.promise;
    },
    answer: (text: string) => pending.shift()?.resolve(new TextEncoder().encode(text)),
    fail: (error: Error) => pending.shift()?.reject(error),
  };
  return input;
}

test("fd_read() waits for live input while the guest can be suspended, also if its memory grows meanwhile", async () => {
  const stdin = lateInput();
  const guest = mortiseGuest({ stdin });
  guest.host.suspend = true;
  const result = guest.start("fd_read", 0, ...guest.vectors([OUT + 8, 20]), OUT);
  guest.memory.grow(1);
  stdin.answer("late");
  assert.equal(await result, 0);
  assert.equal(guest.text(OUT, 14), "\x04\0\0\0????late??");
});

test("fd_read() says try again where the guest cannot be suspended, and asks once", async () => {
  const stdin = lateInput();
  const guest = mortiseGuest({ stdin });
  assert.deepEqual([errnoName(guest.read(0)), errnoName(guest.read(0)), stdin.asked], ["again", "again", 1]);
  stdin.answer("late");
  await Promise.resolve();
  await Promise.resolve();
  assert.equal(guest.read(0), "late");
});

test("fd_read() that was given up writes nothing, and leaves what came to the next reader", async () => {
  const stdin = lateInput();
  const grants = resolveWasi({ stdin });
  const first = instanceOf(grants);
  const second = instanceOf(grants);
  first.host.suspend = second.host.suspend = true;
  const result = first.start("fd_read", 0, ...first.vectors([OUT + 8, 20]), OUT);
  first.wasi.cancel();
  stdin.answer("late");
  assert.equal(await result, 27);
  assert.equal(first.text(OUT, 12), "????????????");
  assert.equal(second.read(0), "late");
});

test("fd_read() checks again where it writes when the input has come", async () => {
  const stdin = lateInput();
  const guest = mortiseGuest({ stdin });
  guest.host.suspend = true;
  const [list, count] = guest.vectors([OUT + 8, 20]);
  const result = guest.start("fd_read", 0, list, count, OUT);
  guest.view.setUint32(list, 0xffff_fff0, true);
  stdin.answer("late");
  assert.equal(await result, 21);
});

test("fd_read() lets the failure of live input out", async () => {
  const failure = new Error("the pipe broke");
  const stdin = lateInput();
  const guest = mortiseGuest({ stdin });
  guest.host.suspend = true;
  const result = guest.start("fd_read", 0, ...guest.vectors([OUT + 8, 20]), OUT) as Promise<number>;
  stdin.fail(failure);
  await assert.rejects(result, failure);
  const wrong = mortiseGuest({ stdin: { read: () => "text" as unknown as Uint8Array } });
  wrong.host.suspend = true;
  await assert.rejects(wrong.start("fd_read", 0, ...wrong.vectors([OUT + 8, 20]), OUT) as Promise<number>, TypeError);
});
