// Time, random bytes, hashes and keyed hashes, against published vectors.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createServices } from "../../src/services/create-services.ts";
import { bytes, failure, now } from "./calls.ts";

const permissions = { clock: true, crypto: true } as const;

function hex(value: unknown): string {
  assert.ok(value instanceof Uint8Array);
  return Buffer.from(value).toString("hex");
}

/** FIPS 180-4 examples for "abc", and RFC 1321 and 3174 for the broken ones. */
const HASHES: readonly (readonly [algorithm: string, data: string, digest: string])[] = [
  ["sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ["sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["SHA-256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ["sha384", "abc", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"],
  [
    "sha512",
    "abc",
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
  ],
  ["sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"],
  ["md5", "abc", "900150983cd24fb0d6963f7d28e17f72"],
];

/** RFC 4231, test cases 1, 2 and 6. */
const MACS: readonly (readonly [key: string, data: string, digest: string])[] = [
  ["0b".repeat(20), Buffer.from("Hi There").toString("hex"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
  [
    Buffer.from("Jefe").toString("hex"),
    Buffer.from("what do ya want for nothing?").toString("hex"),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  ],
  [
    "aa".repeat(131),
    Buffer.from("Test Using Larger Than Block-Size Key - Hash Key First").toString("hex"),
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
  ],
];

describe("crypto", () => {
  for (const [algorithm, data, digest] of HASHES) {
    it(`hash gives ${algorithm} of "${data}"`, async () => {
      await using services = createServices({ hashAlgorithms: ["sha256", "sha384", "sha512", "sha1", "md5"] });
      assert.equal(hex(now(services.forPlugin({ plugin: "p", permissions }), "hash", algorithm, bytes(data))), digest);
    });
  }

  for (const [key, data, digest] of MACS) {
    it(`hmac gives ${digest.slice(0, 8)}… of RFC 4231`, async () => {
      await using services = createServices();
      const table = services.forPlugin({ plugin: "p", permissions });
      assert.equal(hex(now(table, "hmac", "sha256", Buffer.from(key, "hex"), Buffer.from(data, "hex"))), digest);
    });
  }

  for (const algorithm of ["sha1", "md5", "sha3-256", "", "constructor", "sha256 ", "sha512-256", "x".repeat(65)]) {
    it(`hash and hmac refuse "${algorithm.slice(0, 20)}" unless it is listed`, async () => {
      await using services = createServices();
      const table = services.forPlugin({ plugin: "p", permissions });
      await failure(() => now(table, "hash", algorithm, bytes("")), "MORTISE_SERVICE_ARGUMENT");
      await failure(() => now(table, "hmac", algorithm, bytes(""), bytes("")), "MORTISE_SERVICE_ARGUMENT");
    });
  }

  it("hash and hmac bound what they work on", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions });
    assert.equal(hex(now(table, "hash", "sha256", new Uint8Array(1 << 20))).length, 64);
    await failure(() => now(table, "hash", "sha256", new Uint8Array((1 << 20) + 1)), "MORTISE_SERVICE_ARGUMENT");
    await failure(() => now(table, "hmac", "sha256", bytes(""), new Uint8Array((1 << 20) + 1)), "MORTISE_SERVICE_ARGUMENT");
    await failure(() => now(table, "hmac", "sha256", new Uint8Array(65_537), bytes("")), "MORTISE_SERVICE_ARGUMENT");
  });

  it("random gives so many bytes, others each time, or those of the operator's source", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions });
    assert.deepEqual(
      [now(table, "random", 0), now(table, "random", 65_536)].map((value) => (value as Uint8Array).length),
      [0, 65_536],
    );
    assert.notEqual(hex(now(table, "random", 32)), hex(now(table, "random", 32)));
    for (const length of [-1, 65_537, 1.5, Number.NaN]) await failure(() => now(table, "random", length), "MORTISE_SERVICE_ARGUMENT");
    await using fixed = createServices({ random: (length) => new Uint8Array(length).fill(7) });
    assert.equal(hex(now(fixed.forPlugin({ plugin: "p", permissions }), "random", 3)), "070707");
  });
});

describe("clock", () => {
  it("time_ms gives the operator's time as whole milliseconds, and the real one by default", async () => {
    await using fixed = createServices({ clock: () => 1_700_000_000_123.9 });
    assert.equal(now(fixed.forPlugin({ plugin: "p", permissions }), "time_ms"), 1_700_000_000_123n);
    await using services = createServices();
    const before = BigInt(Date.now());
    const time = now(services.forPlugin({ plugin: "p", permissions }), "time_ms") as bigint;
    assert.ok(time >= before && time <= BigInt(Date.now()));
  });
});
