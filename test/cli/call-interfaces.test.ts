// `mortise call` with plugins of other interfaces: services that are granted, an interface that is asked for, native plugins.

import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { makeFolder } from "./modules.ts";
import { type CliResult, ROOT, runCli } from "./run-cli.ts";

const GUARD = join(ROOT, "guests/prebuilt/helios_guard.c.wasm");
const QUERY = '{"query":"DROP TABLE t"}';

const folder = await makeFolder();
after(() => rm(folder, { recursive: true }));

const call = (...args: readonly string[]): Promise<CliResult> => runCli(["call", ...args]);

describe("mortise call --grant", () => {
  it("lets a plugin use a service, and says which option would", async () => {
    const denied = await call(GUARD, "post_query", "--input", "[]");
    assert.match(denied.stderr, /^mortise: MORTISE_PERMISSION: .*kv_get .*\n {2}hint: mortise call --grant kv=read grants it\n$/);
    const half = await call(GUARD, "post_query", "--input", "[]", "--grant", "kv=read");
    assert.match(half.stderr, /hint: mortise call --grant crypto grants it\n$/);
    const less = await call(GUARD, "post_query", "--input", "[]", "--grant", "kv=read", "--grant", "crypto");
    assert.match(less.stderr, /hint: mortise call --grant kv=read-write grants it\n$/);
    const { exitCode, stderr } = await call(GUARD, "post_query", "--input", "[]", "--grant", "kv", "--grant", "crypto");
    assert.deepEqual([exitCode, stderr], [0, ""]);
  });

  for (const given of ["", "kv=write", "kv=read=write", "crypto=true", "hosts", "__proto__"]) {
    it(`refuses ${JSON.stringify(given)}`, async () => {
      const { exitCode, stderr } = await call(GUARD, "pre_query", "--grant", given);
      assert.equal(exitCode, 2);
      assert.match(stderr, /It must be kv, cache \(with =read or =read-write\), crypto, clock or metrics/);
    });
  }
});

describe("mortise call --abi", () => {
  it("asks for an interface, which the module must fit", async () => {
    assert.equal((await call(GUARD, "pre_query", "--input", QUERY, "--abi", "helios")).exitCode, 0);
    const { exitCode, stderr } = await call(GUARD, "pre_query", "--input", QUERY, "--abi", "bifrost");
    assert.equal(exitCode, 3);
    assert.match(stderr, /^mortise: MORTISE_ABI_MISMATCH: .*it lacks an allocator: "plugin_malloc" or "malloc"/);
  });

  it("refuses names of none", async () => {
    const { exitCode, stderr } = await call(GUARD, "pre_query", "--abi", "wasi");
    assert.equal(exitCode, 2);
    assert.match(stderr, /Allowed choices are extism, querymt, bifrost, helios, native/);
  });
});

describe("mortise call --allow-native", () => {
  it("runs a file that would be refused otherwise", async () => {
    const path = join(folder, "shout.mjs");
    await writeFile(path, `export const shout = (input) => new TextDecoder().decode(input).toUpperCase();\n`);
    const refused = await call(path, "shout", "--input", "hello");
    assert.equal(refused.exitCode, 3);
    assert.match(refused.stderr, /^mortise: MORTISE_NATIVE_REFUSED: .*\n {2}hint: mortise call --allow-native runs it all the same\n$/);
    const { stdout, exitCode } = await call(path, "shout", "--input", "hello", "--allow-native");
    assert.deepEqual([stdout, exitCode], ["HELLO", 0]);
  });

  it("says that there is no such file", async () => {
    const { exitCode, stderr } = await call(join(folder, "missing.mjs"), "shout", "--allow-native");
    assert.equal(exitCode, 3);
    assert.match(stderr, /^mortise: MORTISE_SOURCE_NOT_FOUND: /);
  });
});
