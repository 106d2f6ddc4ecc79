// The host functions of HeliosProxy, called as a guest calls them, on a memory with canaries around what is written.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MortiseError } from "../../src/api/errors.ts";
import type { Permissions } from "../../src/api/permissions.ts";
import type { ServiceTable } from "../../src/api/services.ts";
import { type ServicesOptions, createServices } from "../../src/services/create-services.ts";
import { HELIOS_FUNCTIONS, type HeliosFunction, type HeliosValue } from "../../src/services/helios-functions.ts";
import type { LinearAccess } from "../../src/services/linear-record.ts";
import { bytes, callOf, failure, recorder } from "./calls.ts";

const CANARY = 0x3f;
const SIZE = 70_000;

/** The memory of a guest: inputs come one after the other, allocations after them. */
class Memory implements LinearAccess {
  readonly bytes = new Uint8Array(SIZE).fill(CANARY);
  #next = 8;

  /** Puts a text into the memory; pointer and length. */
  put(text: string | Uint8Array): [number, number] {
    const data = typeof text === "string" ? bytes(text) : text;
    const address = this.allocate(data.length);
    this.bytes.set(data, address);
    return [address, data.length];
  }

  read(address: number, length: number): Uint8Array {
    this.#check(address, length);
    return this.bytes.slice(address, address + length);
  }

  write(address: number, data: Uint8Array): void {
    this.#check(address, data.length);
    this.bytes.set(data, address);
  }

  allocate(size: number): number {
    const address = this.#next;
    this.#next += size + 8;
    return address;
  }

  /** The bytes of a record; what comes after them must be untouched. */
  record(address: number): Uint8Array {
    const length = new DataView(this.bytes.buffer).getUint32(address, true);
    assert.deepEqual(Array.from(this.bytes.subarray(address + 4 + length, address + 12 + length)), Array<number>(8).fill(CANARY), "canary");
    return this.read(address + 4, length);
  }

  #check(address: number, length: number): void {
    if (address + length > SIZE) throw new MortiseError("MORTISE_BAD_POINTER", { plugin: "p", function: "f", what: "bytes", size: length, address });
  }
}

const ALL: Permissions = { kv: "read-write", cache: "read-write", metrics: true, clock: true, crypto: true, databases: { main: "read-write" } };

class Guest {
  readonly memory = new Memory();
  readonly #table: ServiceTable;

  constructor(table: ServiceTable) {
    this.#table = table;
  }

  /** Calls a function; texts become pointer and length. */
  call(name: string, ...values: readonly (HeliosValue | string | Uint8Array)[]): Promise<HeliosValue | undefined> | HeliosValue | undefined {
    const flat = values.flatMap((value): HeliosValue[] =>
      typeof value === "string" || value instanceof Uint8Array ? this.memory.put(value) : [value],
    );
    return find(name).run(this.#table, callOf(), this.memory, flat);
  }

  /** The text of a record that a function gives. */
  async record(name: string, ...values: readonly (HeliosValue | string | Uint8Array)[]): Promise<string> {
    const address = Number(await this.call(name, ...values));
    assert.ok(address > 0, `${name} gave ${address}`);
    return Buffer.from(this.memory.record(address)).toString("latin1");
  }
}

function find(name: string): HeliosFunction {
  const found = HELIOS_FUNCTIONS.find((each) => `${each.module}.${each.name}` === name);
  assert.ok(found, name);
  return found;
}

async function withGuest(work: (guest: Guest) => Promise<void>, permissions: Permissions = ALL, options: ServicesOptions = {}): Promise<void> {
  const query = async (sql: string): Promise<{ columns: string[]; rows: unknown[][] }> => {
    if (sql.includes("wrong")) throw new Error("syntax error");
    if (sql.includes("down")) throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    return { columns: ["sql"], rows: [[sql]] };
  };
  await using services = createServices({ databases: { main: { kind: "custom", query } }, clock: () => 1234, ...options });
  const http = {
    showsHeaders: true,
    request: async (json: string, body: Uint8Array | undefined) => ({ status: 200, headers: {}, body: bytes(`${json}|${body?.length ?? 0}`) }),
  };
  const quotas = { kvKeys: 2, kvValueBytes: 100, kvKeyBytes: 20 };
  await work(new Guest(services.forPlugin({ plugin: "p", permissions, http, quotas, config: new Map([["mode", "strict"]]) })));
}

describe("HELIOS_FUNCTIONS", () => {
  it("has the four that are linked and the 22 that are documented, each once", () => {
    const names = HELIOS_FUNCTIONS.map(({ module, name }) => `${module}.${name}`);
    assert.deepEqual(
      names,
      [
        ["env.kv_get", "env.kv_set", "env.kv_delete", "env.sha256_hex"],
        ["helios.log", "helios.metric_inc", "helios.metric_gauge", "helios.get_config", "helios.get_time"],
        ["query.execute", "query.prepare", "query.get_tables", "query.normalize"],
        ["cache.get", "cache.set", "cache.delete", "cache.exists", "http.fetch", "http.post"],
        ["crypto.hash", "crypto.hmac", "crypto.random", "kv.get", "kv.set", "kv.delete", "kv.list"],
      ].flat(),
    );
    assert.equal(new Set(names).size, 26);
  });

  const TYPES: Readonly<Record<string, string>> = {
    "env.kv_get": "i32 i32 i32 i32 -> i32",
    "env.sha256_hex": "i32 i32 i32 -> i32",
    "helios.log": "i32 i32 i32 -> none",
    "helios.metric_inc": "i32 i32 f64 -> none",
    "helios.get_time": " -> i64",
    "query.execute": "i32 i32 -> i32",
    "cache.set": "i32 i32 i32 i32 i64 -> none",
    "cache.delete": "i32 i32 -> none",
    "http.post": "i32 i32 i32 i32 -> i32",
    "crypto.random": "i32 -> i32",
    "kv.list": "i32 i32 -> i32",
  };
  for (const [name, type] of Object.entries(TYPES)) {
    it(`${name} has the documented type`, () => {
      const { params, result } = find(name);
      assert.equal(`${params.join(" ")} -> ${result}`, type);
    });
  }

  it("env.kv_get, kv_set and kv_delete give exactly what HeliosProxy gives", () =>
    withGuest(async (guest) => {
      const out = guest.memory.allocate(16);
      const get = (key: string, room: number): unknown => guest.call("env.kv_get", key, out, room);
      assert.equal(get("k", 16), -1); // missing
      assert.equal(guest.call("env.kv_set", "k", "value"), 0);
      assert.equal(get("k", 4), -2); // too small: nothing is written
      assert.deepEqual(Array.from(guest.memory.read(out, 16)), Array<number>(16).fill(CANARY));
      assert.equal(get("k", 5), 5);
      assert.deepEqual(Buffer.from(guest.memory.read(out, 6)).toString(), "value?");
      assert.equal(guest.call("env.kv_set", "empty", ""), 0);
      assert.equal(get("empty", 0), 0);
      assert.equal(guest.call("env.kv_set", "third", "x"), -1); // a cap
      assert.equal(guest.call("env.kv_set", "k", "x".repeat(101)), -1); // another one
      assert.equal(get("k", 5), 5);
      assert.equal(guest.call("env.kv_delete", "k"), 0);
      assert.equal(guest.call("env.kv_delete", "k"), 0);
      assert.equal(get("k", 5), -1);
    }));

  it("env.sha256_hex writes 64 digits and no more", () =>
    withGuest(async (guest) => {
      const out = guest.memory.allocate(64);
      assert.equal(guest.call("env.sha256_hex", "abc", out), 64);
      const written = Buffer.from(guest.memory.read(out, 65)).toString();
      assert.equal(written, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad?");
    }));

  it("functions that give data give records, 0 for nothing, and records without bytes for what is empty", () =>
    withGuest(async (guest) => {
      assert.equal(await guest.record("helios.get_config", "mode"), "strict");
      assert.equal(guest.call("helios.get_config", "none"), 0);
      assert.equal(guest.call("helios.get_time"), 1234n);
      assert.equal(guest.call("cache.set", "k", "v", 0n), undefined);
      assert.equal(await guest.record("cache.get", "k"), "v");
      assert.deepEqual([guest.call("cache.exists", "k"), guest.call("cache.delete", "k"), guest.call("cache.exists", "k")], [1, undefined, 0]);
      assert.equal(guest.call("cache.get", "k"), 0);
      assert.deepEqual([guest.call("kv.set", "b", ""), guest.call("kv.set", "a", "1")], [0, 0]);
      assert.equal(await guest.record("kv.get", "b"), "");
      assert.equal(await guest.record("kv.list", ""), '["a","b"]');
      assert.equal(guest.call("kv.get", "none"), 0);
      assert.equal(guest.call("kv.set", "c", "1"), -3);
      assert.equal(guest.call("kv.delete", "a"), 0);
      assert.equal(
        Buffer.from(await guest.record("crypto.hash", "sha256", "abc"), "latin1")
          .toString("hex")
          .slice(0, 8),
        "ba7816bf",
      );
      assert.equal(
        Buffer.from(await guest.record("crypto.hmac", "Jefe", "what do ya want for nothing?"), "latin1")
          .toString("hex")
          .slice(0, 8),
        "5bdcc146",
      );
      assert.equal((await guest.record("crypto.random", 10)).length, 10);
      assert.equal(await guest.record("query.normalize", "SELECT  5"), "select ?");
      assert.equal(await guest.record("query.get_tables", "SELECT * FROM A, b"), '["a","b"]');
    }));

  it("query.execute, query.prepare, http.fetch and http.post wait", () =>
    withGuest(async (guest) => {
      assert.deepEqual(JSON.parse(await guest.record("query.execute", "SELECT 1")), { columns: ["sql"], rows: [["SELECT 1"]], changes: 0 });
      assert.equal(await guest.call("query.prepare", "SELECT 1"), 0);
      assert.equal(await guest.call("query.prepare", "wrong"), -1);
      await failure(() => guest.call("query.execute", "wrong"), "MORTISE_DATABASE_FAILED");
      await failure(() => guest.call("query.prepare", "down"), "MORTISE_DATABASE_FAILED");
      assert.match(await guest.record("http.fetch", "https://x/"), /\{"url":"https:\/\/x\/"\}\|0$/);
      assert.match(await guest.record("http.post", "https://x/", "body"), /"method":"POST"\}\|4$/);
    }));

  /** What each function takes, so that it could work. */
  const VALUES: Readonly<Record<string, readonly (HeliosValue | string)[]>> = {
    "env.kv_get": ["k", 8, 8],
    "env.kv_set": ["k", "v"],
    "env.sha256_hex": ["x", 8],
    "helios.log": [2, "x"],
    "helios.metric_inc": ["m", 1],
    "helios.metric_gauge": ["m", 1],
    "helios.get_time": [],
    "cache.set": ["k", "v", 0n],
    "http.post": ["https://x/", "b"],
    "crypto.hash": ["sha256", "x"],
    "crypto.hmac": ["k", "x"],
    "crypto.random": [4],
    "kv.set": ["k", "v"],
  };
  const FREE: ReadonlySet<string> = new Set(["helios.log", "helios.get_config", "query.get_tables", "query.normalize"]);

  for (const { module, name, params, result } of HELIOS_FUNCTIONS) {
    const full = `${module}.${name}`;
    const values = VALUES[full] ?? ["k"];

    it(`${full} stops the call when it is denied, unless it reaches nothing`, async () => {
      await using services = createServices();
      const guest = new Guest(services.forPlugin({ plugin: "p", logger: recorder() }));
      if (FREE.has(full)) await guest.call(full, ...values);
      else await failure(() => guest.call(full, ...values), "MORTISE_PERMISSION");
    });

    it(`${full} takes as many values as its type says`, () =>
      withGuest(async (guest) => {
        const flat = values.flatMap((value) => (typeof value === "string" ? guest.memory.put(value) : [value]));
        assert.equal(flat.length, params.length);
      }));

    // Each pair of pointer and length, with what no memory holds.
    for (const [index, value] of values.entries()) {
      if (typeof value !== "string") continue;
      const BAD: Readonly<Record<string, readonly [number, number]>> = {
        "a negative length": [8, -1],
        "the most negative length": [8, -2_147_483_648],
        "a pointer beyond the memory": [SIZE - 1, 2],
        "a negative pointer": [-4, 4],
        "a length that overflows": [-1, 2_147_483_647],
      };
      for (const [what, pair] of Object.entries(BAD)) {
        it(`${full} refuses ${what} as value ${index}`, () =>
          withGuest(async (guest) => {
            const flat = values.flatMap((each, at): readonly HeliosValue[] =>
              typeof each !== "string" ? [each] : at === index ? pair : guest.memory.put(each),
            );
            const before = guest.memory.bytes.slice();
            const work = (): unknown => guest.call(full, ...flat);
            if (result === "none") await failure(work, pair[1] < 0 ? "MORTISE_SERVICE_ARGUMENT" : "MORTISE_BAD_POINTER");
            else assert.equal(await work(), -1);
            assert.deepEqual(guest.memory.bytes, before);
          }));
      }
    }
  }

  it("texts that are not UTF-8 are bad arguments", () =>
    withGuest(async (guest) => {
      const broken = new Uint8Array([0x61, 0xff]);
      assert.equal(guest.call("kv.get", broken), -1);
      assert.equal(guest.call("env.kv_get", broken, 8, 8), -1);
      assert.equal(guest.call("query.normalize", broken), -1);
      const error = await failure(() => guest.call("helios.log", 2, broken), "MORTISE_SERVICE_ARGUMENT");
      assert.deepEqual([error.details["service"], error.details["argument"]], ["helios.log", "2"]);
    }));

  it("outputs beyond the memory are bad arguments, and -1 is a length that cannot be", () =>
    withGuest(async (guest) => {
      assert.equal(guest.call("env.kv_set", "k", "value"), 0);
      assert.equal(guest.call("env.kv_get", "k", SIZE - 2, 16), -1);
      assert.equal(guest.call("env.kv_get", "k", 8, -1), -1);
      assert.equal(guest.call("env.sha256_hex", "abc", SIZE - 63), -1);
      assert.equal(guest.call("crypto.random", -1), -1);
      assert.equal(guest.call("crypto.random", 65_537), -1);
    }));

  it("functions say which service they may wait for", () => {
    const waiting = HELIOS_FUNCTIONS.filter(({ waits }) => waits !== false).map(({ module, name, waits }) => `${module}.${name}:${String(waits)}`);
    assert.deepEqual(
      waiting,
      [
        ["env.kv_get:kv_get", "env.kv_set:kv_set", "env.kv_delete:kv_delete", "query.execute:database_query", "query.prepare:database_query"],
        ["http.fetch:http_request", "http.post:http_request", "kv.get:kv_get", "kv.set:kv_set", "kv.delete:kv_delete", "kv.list:kv_list"],
      ].flat(),
    );
  });
});
