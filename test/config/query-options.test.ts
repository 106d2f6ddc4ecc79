// resolveQueryOptions: what each key of Query's plugin options means, cell by cell, and that none passes the ceiling.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import * as fc from "fast-check";

import type { HttpService } from "../../src/api/http.ts";
import { overlapOfHosts } from "../../src/config/query-hosts.ts";
import { resolveQueryOptions } from "../../src/config/query-options.ts";
import type { PluginOptions } from "../../src/host/options.ts";
import { judge } from "../../src/services/http/allow-list.ts";
import { readHostRules } from "../../src/services/http/host-rules.ts";
import { readTarget } from "../../src/services/http/target.ts";

const MIB = 1 << 20;
const PAGE = 65_536;

const root = realpathSync.native(mkdtempSync(join(tmpdir(), "mortise-query-")));
after(() => rmSync(root, { recursive: true }));
for (const name of ["data", "data/in", "data/out", "data/out/deep", "database", "elsewhere", "library"]) mkdirSync(join(root, name));
symlinkSync(join(root, "elsewhere"), join(root, "data/escape"));
symlinkSync(join(root, "data/in"), join(root, "way-in"));
const at = (name: string): string => join(root, name);

const CEILING: PluginOptions = {
  name: "argon2",
  limits: { memoryBytes: 32 * MIB, varBytes: 2 * MIB, timeoutMs: 500, fuel: 1000 },
  config: { region: "eu" },
  permissions: {
    hosts: ["api.example.com", "*.internal.example.com:8443", "private:db.lan"],
    paths: { [at("data")]: { guest: "/d", maxBytes: 1000 }, [`ro:${at("library")}`]: "/l" },
    kv: "read",
  },
  http: { maxResponseBytes: 10 * MIB, allowHttp: false },
};
const SERVICE: HttpService = { request: () => Promise.reject(new Error("unused")), close: () => {} };

const resolve = (given: unknown, ceiling: PluginOptions = CEILING): PluginOptions => resolveQueryOptions(given as object, ceiling);
const refuses = (given: unknown, message: RegExp, ceiling: PluginOptions = CEILING): void =>
  assert.throws(() => resolve(given, ceiling), { code: "MORTISE_INVALID_OPTION", message });

describe("resolveQueryOptions of no options", () => {
  for (const given of [null, undefined, "", "null", "{}", {}]) {
    it(`gives all that the operator allows, without folders, for ${JSON.stringify(given) ?? "undefined"}`, () => {
      const { permissions, config, ...rest } = resolve(given);
      assert.deepEqual(rest, { name: "argon2", limits: CEILING.limits, http: CEILING.http });
      assert.deepEqual({ ...config }, { region: "eu" });
      assert.deepEqual({ ...permissions, paths: { ...permissions?.paths } }, { hosts: CEILING.permissions?.hosts, kv: "read", paths: {} });
    });
  }

  it("grants nothing where the operator allows nothing", () => {
    assert.deepEqual(JSON.parse(JSON.stringify(resolve(null, {}))), { limits: {}, config: {}, permissions: { hosts: [], paths: {} } });
  });
});

describe("resolveQueryOptions of memory", () => {
  const cases: readonly (readonly [memory: unknown, limits: object, http?: number])[] = [
    [null, {}],
    [{}, { varBytes: MIB }],
    [{ max_pages: 10 }, { memoryBytes: 10 * PAGE, varBytes: MIB }],
    [{ max_pages: 0 }, { memoryBytes: 0, varBytes: MIB }],
    [{ max_pages: 65_536 }, { memoryBytes: 32 * MIB, varBytes: MIB }],
    [{ max_pages: null }, { varBytes: MIB }],
    [{ maximum: 10 }, { memoryBytes: 10 * PAGE, varBytes: MIB }],
    [
      { maximum: 10, requested: 10 },
      { memoryBytes: 10 * PAGE, varBytes: MIB },
    ],
    [{ requested: 512 }, { varBytes: MIB }],
    [{ max_var_bytes: 5 }, { varBytes: 5 }],
    [{ max_var_bytes: 0 }, { varBytes: 0 }],
    [{ max_var_bytes: 3 * MIB }, { varBytes: 2 * MIB }],
    [{ max_http_response_bytes: 5 }, { varBytes: MIB }, 5],
    [{ max_http_response_bytes: 11 * MIB }, { varBytes: MIB }, 10 * MIB],
  ];
  for (const [memory, limits, response] of cases) {
    it(`of ${JSON.stringify(memory)} lowers limits and raises none`, () => {
      const found = resolve({ memory });
      assert.deepEqual(found.limits, { ...CEILING.limits, ...limits });
      assert.equal(found.http?.maxResponseBytes, response ?? 10 * MIB);
    });
  }

  it("is held to the defaults where the operator says nothing", () => {
    const { limits, http } = resolve(
      { memory: { max_pages: 65_536, max_var_bytes: 9 * MIB, max_http_response_bytes: 2 ** 40 }, timeout: 90_000 },
      {},
    );
    assert.deepEqual(limits, { memoryBytes: 64 * MIB, varBytes: MIB, timeoutMs: 1000, initTimeoutMs: 1000 });
    assert.deepEqual(http, { maxResponseBytes: 50 * MIB });
  });

  const faults: readonly (readonly [memory: unknown, message: RegExp])[] = [
    [5, /"options\.memory": it is 5 but must be an object$/],
    [[], /"options\.memory": it is an array but must be an object$/],
    [{ max_page: 5 }, /"options\.memory\.max_page": it is unknown but must be one of max_pages, .*; did you mean "max_pages"\?$/],
    [{ max_pages: -1 }, /"options\.memory\.max_pages": it is -1 but must be a whole number from 0 to 65536$/],
    [{ max_pages: 65_537 }, /must be a whole number from 0 to 65536$/],
    [{ max_pages: "5" }, /it is "5" but must be a whole number/],
    [{ max_pages: 1.5 }, /it is 1\.5 but/],
    [
      { max_pages: 5, maximum: 5 },
      /"options\.memory\.maximum": it is given beside its other name but must be left out where options\.memory\.max_pages is given$/,
    ],
    [{ requested: 513 }, /"options\.memory\.requested": it is 513 but must be 512 pages at most$/],
    [{ maximum: 2, requested: 3 }, /it is 3 but must be 2 pages at most$/],
    [{ max_var_bytes: Number.NaN }, /it is NaN but/],
    [{ max_http_response_bytes: -1 }, /"options\.memory\.max_http_response_bytes": it is -1/],
  ];
  for (const [memory, message] of faults) it(`refuses ${JSON.stringify(memory)}`, () => refuses({ memory }, message));
});

describe("resolveQueryOptions of timeout", () => {
  const cases: readonly (readonly [given: object, limits: object])[] = [
    [{ timeout: null }, {}],
    [{ timeout: 20 }, { timeoutMs: 20, initTimeoutMs: 500 }],
    [{ timeout_ms: 20 }, { timeoutMs: 20, initTimeoutMs: 500 }],
    [
      { timeout: 20, timeout_ms: null },
      { timeoutMs: 20, initTimeoutMs: 500 },
    ],
    [{ timeout: 501 }, { timeoutMs: 500, initTimeoutMs: 500 }],
  ];
  for (const [given, limits] of cases)
    it(`gives ${JSON.stringify(given)} up to the ceiling`, () => assert.deepEqual(resolve(given).limits, { ...CEILING.limits, ...limits }));

  it("refuses no time at all, other kinds, and both names", () => {
    refuses({ timeout: 0 }, /"options\.timeout": it is 0 but must be a whole number from 1 up$/);
    refuses({ timeout_ms: "20" }, /"options\.timeout_ms": it is "20" but must be a whole number from 1 up$/);
    refuses({ timeout: 1, timeout_ms: 1 }, /"options\.timeout_ms": it is given beside its other name/);
  });
});

describe("resolveQueryOptions of allowed_hosts", () => {
  const all = CEILING.permissions?.hosts ?? [];
  const cases: readonly (readonly [hosts: unknown, granted: readonly string[]])[] = [
    [null, all],
    [[], []],
    [["api.example.com"], ["api.example.com"]],
    [["API.Example.COM."], ["api.example.com"]],
    [["evil.com"], []],
    [["example.com"], []],
    [["notapi.example.com"], []],
    [["api.example.com:8080"], ["api.example.com:8080"]],
    [["api.example.com:22"], []],
    [["*.example.com"], ["api.example.com", "*.internal.example.com:8443"]],
    [["a.internal.example.com"], ["a.internal.example.com:8443"]],
    [["a.internal.example.com:443"], []],
    [["*.a.internal.example.com:8443"], ["*.a.internal.example.com:8443"]],
    [["internal.example.com"], []],
    [["*"], ["api.example.com", "*.internal.example.com:8443", "db.lan"]],
    [["*:8443"], ["api.example.com:8443", "*.internal.example.com:8443", "db.lan:8443"]],
    [["db.lan"], ["db.lan"]],
    [["private:db.lan"], ["private:db.lan"]],
    [["private:api.example.com"], ["api.example.com"]],
    [["localhost", "127.0.0.1", "10.0.0.1", "8.8.8.8"], []],
    [["api.example.com", "api.example.com"], ["api.example.com"]],
  ];
  for (const [hosts, granted] of cases)
    it(`of ${JSON.stringify(hosts)} grants what both sides name`, () =>
      assert.deepEqual(resolve({ allowed_hosts: hosts }).permissions?.hosts, granted));

  const addresses: readonly (readonly [asked: string, granted: string, result: readonly string[]])[] = [
    ["8.8.8.8", "*", ["8.8.8.8"]],
    ["10.0.0.1", "*", []],
    ["*", "10.0.0.1", []],
    ["*", "8.8.8.8:8443", ["8.8.8.8:8443"]],
    ["10.0.0.1", "10.0.0.1", ["10.0.0.1"]],
    ["[::1]:80", "::1", ["[::1]:80"]],
    ["localhost", "*", []],
    ["localhost", "localhost:3000", ["localhost:3000"]],
    ["0:0:0:0:0:0:0:1", "::1", ["::1"]],
  ];
  for (const [asked, granted, result] of addresses)
    it(`of ${asked} under ${granted} grants ${result.join() || "nothing"}`, () =>
      assert.deepEqual(overlapOfHosts([asked], "a", [granted], "b"), result));

  it("refuses patterns that the grammar does not have, instead of widening them", () => {
    for (const host of ["api.*", "*example.com", "a*b.example.com", "https://api.example.com", "api.example.com/x", "{a,b}.com", "", "!x"])
      refuses({ allowed_hosts: [host] }, /^Cannot use option "options\.allowed_hosts\[0\]": it is "/);
    refuses({ allowed_hosts: [5] }, /"options\.allowed_hosts\[0\]": it is number/);
    refuses({ allowed_hosts: "api.example.com" }, /"options\.allowed_hosts": it is "api\.example\.com" but must be a list of hosts$/);
  });

  const HOSTS = [
    "*",
    "*.b.c",
    "*.c",
    "a.b.c",
    "b.c",
    "c.d",
    "localhost",
    "x.localhost",
    "8.8.8.8",
    "10.0.0.1",
    "127.0.0.1",
    "::1",
    "2606:4700::1",
    "169.254.1.1",
  ];
  const PORTS = ["", ":80", ":443", ":22", ":8080"];
  const entry = fc
    .tuple(fc.constantFrom("", "", "private:"), fc.constantFrom(...HOSTS), fc.constantFrom(...PORTS))
    .map(([scope, host, port]) => `${scope}${host.includes(":") && port !== "" ? `[${host}]` : host}${port}`)
    .filter((text) => isEntry(text));
  const target = fc
    .tuple(
      fc.constantFrom("https", "http"),
      fc.constantFrom("a.b.c", "b.c", "z.c", "c", "c.d", "localhost", "x.localhost", "8.8.8.8", "10.0.0.1", "127.0.0.1", "[::1]", "[2606:4700::1]"),
      fc.constantFrom(...PORTS),
    )
    .map(([scheme, host, port]) => readTarget(`${scheme}://${host}${port}/`) as URL);

  it("grants a request exactly if both lists do, and the same addresses behind its name", () => {
    const list = fc.array(entry, { maxLength: 3 });
    fc.assert(
      fc.property(list, list, target, (asked, granted, url) => {
        const verdict = (hosts: readonly string[]): ReturnType<typeof judge> => judge(readHostRules(hosts, "hosts"), url);
        const [one, other, both] = [verdict(asked), verdict(granted), verdict(overlapOfHosts(asked, "asked", granted, "granted"))];
        const kinds = one.granted && other.granted ? [...one.kinds].filter((kind) => other.kinds.has(kind)) : [];
        // A name without any kind of address that both allow is refused, or can never be connected to.
        assert.deepEqual(both.granted ? [...both.kinds].toSorted() : [], kinds.toSorted());
      }),
      { numRuns: 20_000 },
    );
  });

  it("cannot narrow a service of the operator's, and says so; no hosts take it away", () => {
    const ceiling: PluginOptions = { ...CEILING, http: { service: SERVICE, allowHttp: false } };
    refuses({ allowed_hosts: ["api.example.com"] }, /it is a list of hosts but must be null or empty/, ceiling);
    refuses({ memory: { max_http_response_bytes: 1 } }, /"options\.memory\.max_http_response_bytes": it is 1 but must be left out/, ceiling);
    assert.deepEqual(resolve({ allowed_hosts: [] }, ceiling).http, { allowHttp: false });
    assert.equal(resolve({ allowed_hosts: null }, ceiling).http?.service, SERVICE);
    assert.equal(resolve(null, { http: { service: SERVICE } }).http?.service, SERVICE);
  });
});

describe("resolveQueryOptions of allowed_paths", () => {
  const grants = (paths: Record<string, unknown> | null): object => ({ ...resolve({ allowed_paths: paths }).permissions?.paths });
  const write = (guest: string, maxBytes: number): object => ({ guest, access: "read-write", maxBytes });
  const read = (guest: string): object => ({ guest, access: "read-only" });
  const cases: readonly (readonly [title: string, paths: Record<string, string> | null, granted: object])[] = [
    ["null grants none", null, {}],
    ["an empty object grants none", {}, {}],
    ["the folder itself, by any guest path", { [at("data")]: "/x" }, { [at("data")]: write("/x", 1000) }],
    ["a folder below", { [at("data/in")]: "/x" }, { [at("data/in")]: write("/x", 1000) }],
    ["less access than is granted", { [`ro:${at("data")}`]: "/x" }, { [at("data")]: read("/x") }],
    ["the access that is granted", { [`ro:${at("library")}`]: "/x" }, { [at("library")]: read("/x") }],
    ["a link that leads into a granted folder, as the folder itself", { [at("way-in")]: "/x" }, { [at("data/in")]: write("/x", 1000) }],
    ["dots that stay inside", { [at("data/out/../in")]: "/x" }, { [at("data/in")]: write("/x", 1000) }],
    [
      "two folders, which share the quota",
      { [at("data/in")]: "/x", [at("data/out")]: "/y", [`ro:${at("data")}`]: "/z" },
      { [at("data/in")]: write("/x", 500), [at("data/out")]: write("/y", 500), [at("data")]: read("/z") },
    ],
    [
      "a folder twice",
      { [at("data/in")]: "/x", [at("way-in")]: "/y" },
      { [at("data/in")]: write("/x", 500), [`${at("data/in")}/.`]: write("/y", 500) },
    ],
  ];
  for (const [title, paths, granted] of cases) it(`grants ${title}`, () => assert.deepEqual(grants(paths), granted));

  it("lets the deepest of the operator's folders decide", () => {
    const ceiling: PluginOptions = { permissions: { paths: { [at("data")]: "/d", [`ro:${at("data/out")}`]: "/o" } } };
    refuses({ allowed_paths: { [at("data/out/deep")]: "/x" } }, /since it may only be read$/, ceiling);
    assert.deepEqual(
      { ...resolve({ allowed_paths: { [at("data/in")]: "/x" } }, ceiling).permissions?.paths },
      { [at("data/in")]: write("/x", 64 * MIB) },
    );
  });

  const none = /it is no folder that is granted but must be one of the operator's, or below one$/;
  const faults: readonly (readonly [title: string, paths: unknown, message: RegExp])[] = [
    ["a folder above", { [root]: "/x" }, none],
    ["a folder beside it", { [at("elsewhere")]: "/x" }, none],
    ["a folder whose name only begins like it", { [at("database")]: "/x" }, none],
    ["a way out by dots", { [at("data/../elsewhere")]: "/x" }, none],
    ["a way out by a link", { [at("data/escape")]: "/x" }, none],
    ["the root", { "/": "/x" }, none],
    ["what does not exist, in the same words", { [at("data/missing")]: "/x" }, none],
    ["what does not exist elsewhere, in the same words", { "/no/such/folder": "/x" }, none],
    ["an empty path", { "": "/x" }, none],
    ["a path with a NUL", { [`${at("data")}\0`]: "/x" }, none],
    ["more access than is granted", { [at("library")]: "/x" }, /it is a folder to write to but must be "ro:" and a path, since it may only be read$/],
    ["a guest path that is no text", { [at("data")]: 5 }, /it is 5 but must be the guest's path$/],
    ["a list", [], /"options\.allowed_paths": it is an array but must be an object$/],
    [
      "too many",
      Object.fromEntries(Array.from({ length: 65 }, (_unused, index) => [`/${index}`, "/x"])),
      /it is 65 folders but must be 64 folders at most$/,
    ],
  ];
  for (const [title, paths, message] of faults) it(`refuses ${title}`, () => refuses({ allowed_paths: paths }, message));

  it("refuses every folder where the operator grants none", () => refuses({ allowed_paths: { [at("data")]: "/x" } }, none, {}));
});

describe("resolveQueryOptions of config", () => {
  it("passes text on, everything else as JSON, beside the operator's", () => {
    const { config } = resolve({ config: { a: "x", b: "", c: 5, d: true, e: [1, { f: null }] } });
    assert.deepEqual({ ...config }, { region: "eu", a: "x", b: "", c: "5", d: "true", e: '[1,{"f":null}]' });
    assert.deepEqual({ ...resolve({ config: null }).config }, { region: "eu" });
    assert.deepEqual({ ...resolve({ config: {} }).config }, { region: "eu" });
  });

  it("refuses what the operator sets, null, and names and texts that are none", () => {
    refuses({ config: { region: "us" } }, /"options\.config\.region": it is given but must be left out: the operator sets it$/);
    refuses({ config: { a: null } }, /"options\.config\.a": it is null but must be text, or what JSON can express$/);
    refuses({ config: { a: "\ud800" } }, /must be text/);
    refuses('{"config": {"__proto__": "x"}}', /"options\.config\.__proto__"/);
    refuses({ config: "a" }, /"options\.config": it is "a" but must be an object$/);
  });

  it("reads names that plain objects inherit as names", () => {
    const { config } = resolve('{"config": {"toString": "x", "constructor": "y"}}');
    assert.deepEqual({ ...config }, { region: "eu", toString: "x", constructor: "y" });
  });
});

describe("resolveQueryOptions as a whole", () => {
  it("refuses unknown keys with the nearest known one", () => {
    refuses({ allowed_host: [] }, /"options\.allowed_host": it is unknown but must be one of memory, .*; did you mean "allowed_hosts"\?$/);
    refuses({ timeoutMs: 5 }, /did you mean "timeout" or "timeout_ms"\?$/);
    refuses('{"__proto__": {}}', /"options\.__proto__": it is unknown/);
    refuses({ wasi: true }, /"options\.wasi": it is unknown/);
  });

  it("refuses what is no object of options", () => {
    refuses("[]", /"options": it is an array but must be an object$/);
    refuses("5", /"options": it is 5 but/);
    refuses("{", /it is text that is no JSON \(line 1, column 2: it has its end where a key in double quotes must be\) but must be a JSON object$/);
    refuses('{"timeout": 1, "timeout": 2}', /the key "timeout" is given twice/);
    refuses(" ".repeat((1 << 20) + 1), /it is text of 1048577 characters but/);
    refuses(5, /"options": it is 5 but/);
    refuses(new Map(), /"options": it is a Map but/);
  });

  it("changes nothing of the ceiling", () => {
    const before = JSON.stringify(CEILING);
    resolve({ memory: { max_pages: 1 }, allowed_hosts: [], allowed_paths: { [at("data")]: "/x" }, config: { a: "b" }, timeout: 1 });
    assert.equal(JSON.stringify(CEILING), before);
  });
});

function isEntry(text: string): boolean {
  try {
    readHostRules([text], "hosts");
    return true;
  } catch {
    return false;
  }
}
