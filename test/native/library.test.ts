// What is said of libraries before any of their code runs: from real ones, written ones and broken ones.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { readElfSymbols } from "../../src/native/elf.ts";
import { whyNoAddon } from "../../src/native/library.ts";
import { type ElfPlan, writeElf } from "./elf-writer.ts";
import { C_ADDON, NO_ADDONS, RUST_ADDON, temporaryFolder } from "./open-native.ts";

const LINUX = { platform: "linux", arch: "x64" };

describe("whyNoAddon()", () => {
  const cases: readonly (readonly [what: string, bytes: Uint8Array, reason: RegExp | undefined])[] = [
    ["an addon", writeElf({ defined: ["other", "napi_register_module_v1"] }), undefined],
    ["an addon that registers itself", writeElf({ wanted: ["napi_module_register"], defined: ["other"] }), undefined],
    ["an addon that also has a factory", writeElf({ defined: ["plugin_factory", "napi_register_module_v1"] }), undefined],
    ["Rust trait objects", writeElf({ defined: ["plugin_factory"] }), /^it hands out Rust trait objects/],
    ["Rust trait objects for HTTP", writeElf({ defined: ["_init", "plugin_http_factory"] }), /^it hands out Rust trait objects/],
    ["a wanted factory, which is none", writeElf({ wanted: ["plugin_factory"] }), /^it is no Node-API addon/],
    ["a Go plugin", writeElf({ defined: ["GetName", "go:link.pkghashbytes.x"] }), /^it is a Go plugin/],
    ["an addon for V8", writeElf({ defined: ["node_register_module_v137"] }), /^it is an addon for one version of V8/],
    ["a library of any other kind", writeElf({ defined: ["main"] }), /^it is no Node-API addon: it has no symbol/],
    ["a name that only begins like the symbol", writeElf({ defined: ["plugin_factory_of_mine"] }), /^it is no Node-API addon/],
    ["another machine", writeElf({ machine: 183, defined: ["napi_register_module_v1"] }), /^it is built for arm64, and this process runs on x64/],
    ["an unknown machine", writeElf({ machine: 999 }), /^it is built for machine 999/],
    ["a 32-bit library of the other byte order", writeElf({ machine: 62, wide: false, little: false, defined: ["plugin_factory"] }), /trait objects/],
    ["a program", writeElf({ change: (field, value) => (field === "type" ? 2 : value) }), /^its symbols cannot be read: it is no shared library/],
    ["a library for macOS", magic("cffaedfe"), /^it is a library in the format Mach-O, and linux loads ELF/],
    ["a library for Windows", magic("4d5a9000"), /^it is a library in the format PE, and linux loads ELF/],
    ["text", new TextEncoder().encode("no library at all, ".repeat(9)), /^it is no shared library/],
    ["nothing", new Uint8Array(0), /^it is no shared library/],
  ];
  for (const [what, bytes, reason] of cases) {
    it(`${reason === undefined ? "takes" : "refuses"} ${what}`, () => {
      const found = whyNoAddon(bytes, LINUX);
      if (reason === undefined) assert.equal(found, undefined);
      else assert.match(found ?? "it takes it", reason);
    });
  }

  for (const plan of [{ wide: true }, { wide: false }, { hash: "plain" }, { little: false }] satisfies ElfPlan[]) {
    it(`finds a symbol behind others in a library with ${JSON.stringify(plan)}`, () => {
      const defined = [...Array.from({ length: 40 }, (_none, index) => `filler_${index}`), "napi_register_module_v1"];
      assert.equal(whyNoAddon(writeElf({ ...plan, wanted: ["a", "b"], defined }), LINUX), undefined);
    });
  }

  it("searches libraries of other systems for names", () => {
    const named = (...names: string[]): Uint8Array => Buffer.concat([magic("cffaedfe"), Buffer.from(names.map((name) => `_${name}\0`).join(""))]);
    const mac = { platform: "darwin", arch: "arm64" };
    assert.equal(whyNoAddon(named("napi_register_module_v1"), mac), undefined);
    assert.match(whyNoAddon(named("plugin_factory"), mac) ?? "", /trait objects/);
    assert.match(whyNoAddon(named("main"), mac) ?? "", /no Node-API addon/);
  });

  it("takes the prebuilt addons", { skip: NO_ADDONS }, () => {
    for (const path of [C_ADDON, RUST_ADDON]) assert.equal(whyNoAddon(readFileSync(path)), undefined);
  });

  it("knows what a C compiler makes of the factory's name", { skip: NO_ADDONS || noCompiler() }, (t) => {
    const library = join(temporaryFolder(t), "factory.so");
    execFileSync("gcc", ["-shared", "-fPIC", "-nostdlib", "-xc", "-", "-o", library], { input: "void *plugin_factory(void) { return 0; }" });
    assert.match(whyNoAddon(readFileSync(library)) ?? "", /trait objects/);
  });
});

describe("readElfSymbols()", () => {
  const broken: readonly (readonly [what: string, plan: ElfPlan])[] = [
    ["no hash table", { hash: "none" }],
    ["program headers beyond the end", { change: changing("headers", 1 << 20) }],
    ["program headers at the end of all addresses", { change: changing("headers", Number.MAX_SAFE_INTEGER) }],
    ["program headers that are too small", { change: changing("headerBytes", 8) }],
    ["no program headers", { change: changing("headerCount", 0) }],
    ["more program headers than fit", { change: changing("headerCount", 0xffff) }],
    ["a dynamic section beyond the end", { change: changing("dynamic", 1 << 20) }],
    ["an empty dynamic section", { change: changing("dynamicBytes", 0) }],
    ["names outside of the memory", { change: changing("strings", 0x10) }],
    ["symbols outside of the memory", { change: changing("symbols", 0x9000_0000) }],
    ["a hash table outside of the memory", { change: changing("hash", 0) }],
    ["buckets beyond the end", { change: changing("buckets", 0xffff_ffff) }],
    ["a bloom filter beyond the end", { change: changing("bloom", 0xffff_ffff) }],
    ["a bucket beyond the end", { change: changing("bucket", 0xffff_fffe) }],
  ];
  for (const [what, plan] of broken) {
    it(`refuses a library with ${what}`, () => {
      assert.throws(() => readElfSymbols(writeElf({ defined: ["plugin_factory"], ...plan }), ["plugin_factory"]), RangeError);
    });
  }

  it("reads what is there of more symbols than fit, and of names beyond the table of names", () => {
    const many = writeElf({ hash: "plain", defined: ["a"], change: changing("count", 0xffff_ffff) });
    assert.deepEqual([...readElfSymbols(many, ["a"]).defined], ["a"]);
    const endless = writeElf({ defined: ["a"], change: changing("end", 2) });
    assert.deepEqual([...readElfSymbols(endless, ["a"]).defined], ["a"]);
    const short = writeElf({ defined: ["a", "b"], change: changing("stringBytes", 3) });
    assert.deepEqual([...readElfSymbols(short, ["a", "b"]).defined], ["a"]);
    const beyond = writeElf({ defined: ["a", "b"], change: changing("name b", 0xffff_fff0) });
    assert.deepEqual([...readElfSymbols(beyond, ["a", "b"]).defined], ["a"]);
  });

  it("ends with symbols or a RangeError for any damage to a library", () => {
    const whole = NO_ADDONS === false ? Uint8Array.from(readFileSync(C_ADDON)) : writeElf({ defined: ["napi_register_module_v1"] });
    const edits = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 12 });
    const near = fc.array(fc.tuple(fc.nat(1200), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.oneof(edits, near), fc.option(fc.nat(whole.length)), (changes, length) => {
        const bytes = whole.slice(0, length ?? whole.length);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        try {
          readElfSymbols(bytes, ["napi_register_module_v*", "plugin_factory"]);
        } catch (error) {
          assert.ok(error instanceof RangeError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});

function changing(wanted: string, to: number): NonNullable<ElfPlan["change"]> {
  return (field, value) => (field === wanted ? to : value);
}

function magic(hex: string): Uint8Array {
  return Buffer.concat([Buffer.from(hex, "hex"), Buffer.alloc(200)]);
}

function noCompiler(): string | false {
  try {
    execFileSync("gcc", ["--version"], { stdio: "ignore" });
    return false;
  } catch {
    return "there is no C compiler here";
  }
}
