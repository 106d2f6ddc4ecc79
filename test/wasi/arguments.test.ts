// Arguments and environment, byte by byte.

import assert from "node:assert/strict";
import { test } from "node:test";

import { OUT, mortiseGuest } from "./guest.ts";

const LISTS = [
  { sizes: "args_sizes_get", get: "args_get", options: { args: ["a", "", "bé"] }, texts: "a\0\0bé\0", starts: [0, 2, 3], bytes: 7 },
  { sizes: "environ_sizes_get", get: "environ_get", options: { env: { A: "1", B: "" } }, texts: "A=1\0B=\0", starts: [0, 4], bytes: 7 },
];

for (const { sizes, get, options, texts, starts, bytes } of LISTS) {
  test(`${sizes}() writes two numbers and nothing else`, () => {
    const guest = mortiseGuest(options);
    assert.equal(guest.run(sizes, OUT, OUT + 8), 0);
    assert.equal(guest.text(OUT, 16), `${String.fromCharCode(starts.length)}\0\0\0????${String.fromCharCode(bytes)}\0\0\0????`);
  });

  test(`${get}() writes addresses and texts and nothing else`, () => {
    const guest = mortiseGuest(options);
    assert.equal(guest.run(get, OUT, OUT + 32), 0);
    for (const [index, start] of starts.entries()) assert.equal(guest.view.getUint32(OUT + index * 4, true), OUT + 32 + start);
    assert.equal(guest.text(OUT + starts.length * 4, 4), "????");
    assert.equal(guest.text(OUT + 30, bytes + 4), `??${texts}??`);
  });

  test(`${get}() writes nothing at all if the table or the texts leave the memory`, () => {
    const guest = mortiseGuest(options);
    const end = guest.bytes.length;
    assert.equal(guest.run(get, OUT, end - bytes + 1), 21);
    assert.equal(guest.run(get, end - 4, OUT), 21);
    assert.equal(guest.run(sizes, OUT, end - 3), 21);
    assert.equal(guest.run(sizes, end - 3, OUT), 21);
    assert.ok(guest.bytes.every((byte) => byte === 0x3f));
  });

  test(`${sizes}() says that there is nothing without a grant, whatever the process has`, () => {
    const guest = mortiseGuest();
    assert.equal(guest.run(sizes, OUT, OUT + 4), 0);
    assert.equal(guest.text(OUT, 8), "\0".repeat(8));
    assert.equal(guest.run(get, OUT + 8, OUT + 8), 0);
    assert.equal(guest.text(OUT + 8, 8), "????????");
  });
}
