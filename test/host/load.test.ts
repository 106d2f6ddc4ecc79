// loadPlugin: where a plugin comes from, and what its options may be.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { DEFAULT_LIMITS, resolveLimits } from "../../src/api/limits.ts";
import { type Limits, type PluginOptions, type PluginSource, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

const ECHO = new URL("../../guests/prebuilt/echo.c.wasm", import.meta.url);
const echo = Uint8Array.from(readFileSync(ECHO));

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "mortise-load-"));
});
after(() => rmSync(folder, { recursive: true }));

/** Passes what the types forbid. */
const load = (source: unknown, options?: unknown) => loadPlugin(source as PluginSource, options as PluginOptions);

describe("loadPlugin from a source that is good", () => {
  const larger = new Uint8Array(echo.length + 200).fill(0xff);
  larger.set(echo, 100);
  const shared = new Uint8Array(new SharedArrayBuffer(echo.length));
  shared.set(echo);
  const sources: readonly (readonly [what: string, source: () => PluginSource, name: string])[] = [
    ["an absolute path", () => ECHO.pathname, "echo.c"],
    ["a relative path", () => relative(process.cwd(), ECHO.pathname), "echo.c"],
    ["a file: URL", () => ECHO, "echo.c"],
    ["a file: URL as text", () => ECHO.href, "echo.c"],
    ["bytes", () => echo, "plugin"],
    ["a Buffer", () => Buffer.from(echo), "plugin"],
    ["an ArrayBuffer", () => echo.slice().buffer, "plugin"],
    ["a view into a larger buffer", () => larger.subarray(100, 100 + echo.length), "plugin"],
    ["a view of a shared buffer", () => shared, "plugin"],
    ["a path with spaces, umlauts and no extension", () => (copyFileSync(ECHO, join(folder, "größer als 1 #?%41")), join(folder, "größer als 1 #?%41")), "größer als 1 #?%41"], // prettier-ignore
    ["the file: URL of such a path", () => (copyFileSync(ECHO, join(folder, "a b#?%41.wasm")), pathToFileURL(join(folder, "a b#?%41.wasm"))), "a b#?%41"], // prettier-ignore
  ];
  for (const [what, source, name] of sources) {
    it(`takes ${what}`, async () => {
      await using plugin = await loadPlugin(source());
      assert.equal(plugin.name, name);
      assert.equal(plugin.abi, "extism");
      assert.equal(plugin.callSync("echo", "there and back").text(), "there and back");
    });
  }

  it("leaves the caller's bytes as they are, and does not need them afterwards", async () => {
    const bytes = echo.slice();
    await using plugin = await loadPlugin(bytes);
    assert.deepEqual(bytes, echo);
    bytes.fill(0);
    assert.equal(plugin.callSync("echo", "again").text(), "again");
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    assert.equal(plugin.callSync("echo", "and again").text(), "and again");
  });
});

describe("loadPlugin from a source that is bad", () => {
  const sources: readonly (readonly [what: string, source: () => unknown, code: string, message: RegExp])[] = [
    ["no file", () => join(folder, "none.wasm"), "MORTISE_SOURCE_NOT_FOUND", /the file does not exist$/],
    ["a file below a file", () => join(ECHO.pathname, "x"), "MORTISE_SOURCE_NOT_FOUND", /the file does not exist$/],
    ["an empty path", () => "", "MORTISE_SOURCE_NOT_FOUND", /""/],
    ["a path with a zero byte", () => "a\0b", "MORTISE_SOURCE_UNREADABLE", /"a\\u0000b"/],
    ["a folder", () => folder, "MORTISE_SOURCE_UNREADABLE", /it is a directory$/],
    ["a device", () => "/dev/null", "MORTISE_SOURCE_UNREADABLE", /it is not a regular file$/],
    ["a URL of another kind", () => new URL("ftp://example.com/a.wasm"), "MORTISE_INVALID_OPTION", /must be a path, a URL of file:/],
    ["a file: URL with a host", () => "file://host/a.wasm", "MORTISE_INVALID_OPTION", /must be a path or a file: URL$/],
    ["a compiled module", () => new WebAssembly.Module(echo), "MORTISE_INVALID_OPTION", /a compiled module, which cannot be instrumented/],
    ["an empty file", () => (writeFileSync(join(folder, "empty"), ""), join(folder, "empty")), "MORTISE_NOT_WASM", /nothing \(it is empty\)/],
    ["no bytes", () => new Uint8Array(0), "MORTISE_NOT_WASM", /nothing \(it is empty\)/],
    ["some text", () => Buffer.from("#!/bin/sh\n"), "MORTISE_NOT_WASM", /starts with bytes 23 21 2f 62/],
    ["WebAssembly text", () => Buffer.from("\n ;; comment\n(module)"), "MORTISE_WASM_TEXT", /wat2wasm$/],
    ["a component", () => Uint8Array.of(0, 0x61, 0x73, 0x6d, 13, 0, 1, 0), "MORTISE_WASM_COMPONENT", /wasm32-wasip1/],
    ["half a module", () => echo.subarray(0, 500), "MORTISE_WASM_MALFORMED", /passes the end of the module at byte \d+$/],
    ["a module that is not valid", () => Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 10, 4, 1, 2, 0, 11), "MORTISE_WASM_INVALID", /the engine rejects it: .*expected/i],
    ...([undefined, null, 5, 5n, true, Symbol("x"), () => {}, new DataView(new ArrayBuffer(8)), new Uint16Array(4), new SharedArrayBuffer(8)] as const).map(
      (source) => [`a value of type ${typeof source} ${Object.prototype.toString.call(source)}`, () => source, "MORTISE_INVALID_OPTION", /^Cannot use option "source": it is \w+ but must be a path/] as const,
    ),
  ]; // prettier-ignore
  for (const [what, source, code, message] of sources) {
    it(`refuses ${what} with ${code}`, async () => {
      await assert.rejects(load(source()), { name: "MortiseError", code, message });
    });
  }

  it("refuses a pipe with MORTISE_SOURCE_UNREADABLE, without waiting for it", async (t) => {
    const path = join(folder, "pipe");
    if (spawnSync("mkfifo", [path]).status !== 0) return t.skip("there is no mkfifo here");
    await assert.rejects(load(path), { code: "MORTISE_SOURCE_UNREADABLE", message: /it is not a regular file$/ });
  });

  it("refuses a file without permission with MORTISE_SOURCE_UNREADABLE", async (t) => {
    if (process.getuid?.() === 0) return t.skip("root may read everything");
    const path = join(folder, "secret.wasm");
    copyFileSync(ECHO, path);
    chmodSync(path, 0);
    await assert.rejects(load(path), { code: "MORTISE_SOURCE_UNREADABLE", message: /permission denied$/ });
  });

  it("refuses a buffer that was transferred away with a code", async () => {
    const view = echo.slice();
    const buffer = view.buffer;
    structuredClone(buffer, { transfer: [buffer] });
    for (const source of [buffer, view]) await assert.rejects(load(source), { name: "MortiseError" });
  });

  it("makes paths safe to print", async () => {
    mkdirSync(join(folder, "evil"));
    await assert.rejects(load(join(folder, "evil", "\u001b[2Jx\n.wasm")), { message: /evil\/\\u001b\[2Jx\\n\.wasm": the file does not exist$/ });
  });
});

describe("loadPlugin's options", () => {
  const bad: readonly (readonly [options: unknown, option: string])[] = [
    [{ unknown: 1 }, "unknown"],
    [{ wasi: true }, "wasi"],
    [{ abi: "raw" }, "abi"],
    [{ abi: null }, "abi"],
    [{ limits: { unknown: 1 } }, "limits.unknown"],
    [{ limits: { toString: 1 } }, "limits.toString"],
    [{ config: { a: () => 1 } }, "config.a"],
    [{ config: { a: undefined } }, "config.a"],
    [{ config: { a: Number.NaN } }, "config.a"],
    [{ config: { a: [1, { b: new Date() }] } }, "config.a[1].b"],
    [{ config: { a: new Map() } }, "config.a"],
    [{ abi: "wasi" }, "abi"],
    [{ native: {} }, "native"],
    [{ native: [{ path: "a" }] }, "native"],
    [{ services: {} }, "services"],
    [{ permissions: { kv: "write" } }, "permissions.kv"],
    [{ permissions: { cache: true } }, "permissions.cache"],
    [{ permissions: { metrics: "yes" } }, "permissions.metrics"],
    [{ permissions: { databases: ["main"] } }, "permissions.databases"],
    [{ permissions: { databases: { main: "write" } } }, "permissions.databases.main"],
    [{ permissions: { attributes: { reads: [] } } }, "permissions.attributes.reads"],
    [{ permissions: { attributes: { read: "*" } } }, "permissions.attributes.read"],
    [{ abi: "native" }, "abi"],
    [{ hostFunctions: { a: { b: 5 } } }, "hostFunctions.a.b"],
    [{ hostFunctions: { a: { b: undefined } } }, "hostFunctions.a.b"],
    [{ logLevel: "off" }, "logLevel"],
    [{ logLevel: "INFO" }, "logLevel"],
    [{ logLevel: 2 }, "logLevel"],
    [{ logLevel: null }, "logLevel"],
  ];
  for (const [options, option] of bad) {
    it(`refuse ${JSON.stringify(options)} by the name ${option}`, async () => {
      await assert.rejects(load(echo, options), (error: { code: string; details: { option: string } }) => {
        assert.deepEqual([error.code, error.details.option], ["MORTISE_INVALID_OPTION", option]);
        return true;
      });
    });
  }

  const unchecked: readonly (readonly [options: unknown, option: string])[] = [
    [null, "options"],
    [5, "options"],
    [{ name: 5 }, "name"],
    [{ name: "" }, "name"],
    [{ limits: null }, "limits"],
    [{ limits: 5 }, "limits"],
    [{ config: null }, "config"],
    [{ config: "text" }, "config"],
    [{ hostFunctions: null }, "hostFunctions"],
    [{ hostFunctions: { a: null } }, "hostFunctions.a"],
    [{ hostFunctions: { a: 5 } }, "hostFunctions.a"],
    [{ logger: {} }, "logger"],
    [{ logger: { info: () => {} } }, "logger"],
    [{ logger: "console" }, "logger"],
    [{ clock: 5 }, "clock"],
  ];
  for (const [options, option] of unchecked) {
    it(`refuse ${JSON.stringify(options)} by the name ${option}, whatever it is`, async () => {
      await assert.rejects(load(echo, options), { code: "MORTISE_INVALID_OPTION", message: new RegExp(`option "${option}`) });
    });
  }

  it("refuse a map as config, which has no entries of its own", async () => {
    await assert.rejects(load(echo, { config: new Map([["a", "b"]]) }), { code: "MORTISE_INVALID_OPTION" });
  });

  it("give the plugin its name, in stats and errors", async () => {
    await using plugin = await loadPlugin(echo, { name: "another name" });
    assert.equal(plugin.name, "another name");
    assert.throws(() => plugin.callSync("nope"), {
      message: 'Cannot call function "nope" of plugin "another name": there is no such export; did you mean "noop"?',
    });
  });

  it("may be undefined one by one, which is as if they were not there", async () => {
    const none = {
      limits: undefined,
      config: undefined,
      hostFunctions: undefined,
      logger: undefined,
      logLevel: undefined,
      clock: undefined,
      abi: undefined,
    };
    await using plugin = await load(echo, { ...none, name: undefined });
    assert.equal(plugin.callSync("echo", "x").text(), "x");
  });

  it("are read once: changing them later changes nothing", async () => {
    const config: Record<string, string> = { colour: "oak" };
    const limits = { outputBytes: 100 };
    await using plugin = await loadPlugin(new URL("../../guests/prebuilt/fixtures.c.wasm", import.meta.url), {
      config,
      limits,
      hostFunctions: { "extism:host/user": { host_reflect: (_context, handle: bigint) => handle } },
    });
    config["colour"] = "beech";
    limits.outputBytes = 1;
    assert.equal(plugin.callSync("config_echo", "colour").text(), "oak");
  });
});

describe("loadPlugin's checks of what is imported", () => {
  const text = `(module (import "extism:host/user" "now" (func (param i32) (result i64))))`;

  it("want a host function for each import, and say how to give it", async () => {
    const cases: readonly (readonly [hostFunctions: object, message: RegExp])[] = [
      [{}, /function "extism:host\/user" "now", which nothing provides; give it as hostFunctions\["extism:host\/user"\]\["now"\]$/],
      [{ "extism:host/user": {} }, /give it as/],
      [{ "extism:host/user": { nwo: () => 0n } }, /; did you mean "nwo"\?$/],
      [{ "extism:host/users": { now: () => 0n } }, /give it as/],
      [{ __proto__: { "extism:host/user": { now: () => 0n } } }, /give it as/],
    ];
    for (const [hostFunctions, message] of cases) {
      await assert.rejects(load(await assemble(text), { hostFunctions }), { code: "MORTISE_MISSING_IMPORT", message });
    }
  });

  it("do not take methods of Object for host functions", async () => {
    for (const name of ["toString", "constructor", "__proto__", "hasOwnProperty"]) {
      const bytes = await assemble(`(module (import "extism:host/user" "${name}" (func)))`);
      await assert.rejects(load(bytes, { hostFunctions: { "extism:host/user": {} } }), { code: "MORTISE_MISSING_IMPORT" }, name);
      const other = await assemble(`(module (import "${name}" "x" (func)))`);
      await assert.rejects(load(other, { hostFunctions: {} }), { code: "MORTISE_MISSING_IMPORT" }, name);
    }
  });

  it("refuse host functions of types that JavaScript cannot serve", async () => {
    for (const type of ["(param v128)", "(result v128)", "(param funcref)", "(param externref)", "(result externref)", "(result i32 i32)"]) {
      const bytes = await assemble(`(module (import "extism:host/user" "now" (func ${type})))`);
      await assert.rejects(
        load(bytes, { hostFunctions: { "extism:host/user": { now: () => 0 } } }),
        { code: "MORTISE_IMPORT_TYPE", message: /i32, i64, f32 and f64/ },
        type,
      );
    }
  });

  it("accept a host function under any import module", async () => {
    const bytes = await assemble(
      `(module (import "env" "five" (func $five (result i32))) (func (export "f") (result i32) (i32.sub (call $five) (i32.const 5))))`,
    );
    await using plugin = await loadPlugin(bytes, { hostFunctions: { env: { five: () => 5 } } });
    assert.equal(plugin.callSync("f").length, 0);
  });

  it("let nothing of the engine's be thrown into a guest that could catch it", async () => {
    const notes: number[] = [];
    const guest = `(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i64))) (import "host" "note" (func $note (param i32)))
        (func (export "f") (try (do (drop (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))) (catch_all (call $note (i32.const 1))))))`;
    try {
      const plugin = await loadPlugin(await assemble(guest), {
        hostFunctions: { host: { note: (_context, value: number) => void notes.push(value) } },
      });
      plugin.callSync("f");
    } catch {
      // Refused or stopped: either is well.
    }
    assert.deepEqual(notes, [], "the guest caught it and went on");
  });

  it("compare functions of WASI with their types", async () => {
    for (const type of [
      "(param i64 i32 i32 i32) (result i32)",
      "(param i32 i64 i32 i32) (result i32)",
      "(param i32 i32 i32 i32) (result i64)",
      "(result v128)",
    ]) {
      const bytes = await assemble(`(module (import "wasi_snapshot_preview1" "fd_write" (func ${type})))`);
      await assert.rejects(load(bytes), { code: "MORTISE_IMPORT_TYPE" }, type);
    }
  });
});

describe("loadPlugin's limits on what a module starts with", () => {
  it("refuse memories and tables beyond limits.memoryBytes and limits.tableEntries, and accept them at those", async () => {
    const pages = await assemble(`(module (memory 3) (func (export "f")))`);
    await using at = await loadPlugin(pages, { limits: { memoryBytes: 4 << 16 } });
    assert.equal(at.stats().memory.bytes, 4 << 16, "with the page of the kernel");
    await assert.rejects(loadPlugin(pages, { limits: { memoryBytes: (4 << 16) - 1 } }), { code: "MORTISE_INITIAL_MEMORY" });
    const entries = await assemble(`(module (table 30 funcref) (table 40 externref))`);
    await (await loadPlugin(entries, { limits: { tableEntries: 70 } })).close();
    await assert.rejects(loadPlugin(entries, { limits: { tableEntries: 69 } }), { code: "MORTISE_INITIAL_TABLE" });
  });

  it("refuse more memories and tables than limits allow, and functions above limits.functionBytes", async () => {
    const two = await assemble("(module (memory 1) (memory 1) (table 1 funcref) (table 1 funcref))");
    await (await loadPlugin(two, { limits: { memories: 2, tables: 2 } })).close();
    await assert.rejects(loadPlugin(two, { limits: { memories: 1 } }), { code: "MORTISE_TOO_MANY_MEMORIES" });
    await assert.rejects(loadPlugin(two, { limits: { tables: 1 } }), { code: "MORTISE_TOO_MANY_TABLES" });
    const long = await assemble(`(module (func ${"nop ".repeat(98)}))`);
    await (await loadPlugin(long, { limits: { functionBytes: 100 } })).close();
    await assert.rejects(loadPlugin(long, { limits: { functionBytes: 99 } }), { code: "MORTISE_FUNCTION_TOO_LARGE" });
  });
});

describe("resolveLimits", () => {
  it("fills in every default, and takes initTimeoutMs from timeoutMs", () => {
    assert.deepEqual(resolveLimits(), DEFAULT_LIMITS);
    assert.deepEqual(resolveLimits({}), DEFAULT_LIMITS);
    assert.deepEqual(resolveLimits({ timeoutMs: 5 }), { ...DEFAULT_LIMITS, timeoutMs: 5, initTimeoutMs: 5 });
    assert.deepEqual(resolveLimits({ timeoutMs: 5, initTimeoutMs: 7 }), { ...DEFAULT_LIMITS, timeoutMs: 5, initTimeoutMs: 7 });
    assert.deepEqual(resolveLimits({ fuel: undefined }), DEFAULT_LIMITS);
    assert.ok(Object.isFrozen(resolveLimits()));
  });

  const names = Object.keys(DEFAULT_LIMITS) as (keyof Limits)[];
  it("takes whole numbers and infinity, and fractions of milliseconds", () => {
    for (const name of names) {
      for (const value of name === "cpuShare" ? [1, 0.001] : [1, 2 ** 40, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])
        assert.equal(resolveLimits({ [name]: value })[name], value, name);
      const isTime = name.endsWith("Ms");
      if (isTime || name === "cpuShare") assert.equal(resolveLimits({ [name]: 0.25 })[name], 0.25);
      else assert.equal(resolveLimits({ [name]: 0 })[name], 0);
    }
  });

  it("refuses everything else, naming the limit", () => {
    for (const name of names) {
      const bad: unknown[] = [
        -1,
        Number.NaN,
        Number.NEGATIVE_INFINITY,
        "5",
        5n,
        null,
        true,
        {},
        [],
        name.endsWith("Ms") || name === "cpuShare" ? 0 : 1.5,
      ];
      for (const value of bad) {
        assert.throws(() => resolveLimits({ [name]: value }), {
          code: "MORTISE_INVALID_OPTION",
          message: new RegExp(`^Cannot use option "limits\\.${name}": it is`),
        });
      }
    }
  });
});
