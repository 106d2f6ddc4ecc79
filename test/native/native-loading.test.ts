// What native plugins may be loaded: files that are allowed by path and digest, and no other bytes than those.

import assert from "node:assert/strict";
import { appendFileSync, readFileSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { isNativePath } from "../../src/native/compile-native.ts";
import { checkGrants, sha256 } from "../../src/native/grants.ts";
import { loadAddon } from "../../src/native/load-addon.ts";
import { loadModule } from "../../src/native/load-module.ts";
import { readNativeFile } from "../../src/native/read-file.ts";
import { writeElf } from "./elf-writer.ts";
import { C_ADDON, MODULE, NO_ADDONS, grantFor, openNative, temporaryCopy, temporaryFile, temporaryFolder } from "./open-native.ts";

const REFUSED = "MORTISE_NATIVE_REFUSED";
const PLAIN = `export const hello = () => "hello";`;

describe("loading a native plugin", () => {
  it("is refused unless something allows it, with the line that would", async (t) => {
    const path = temporaryFile(t, "plain.mjs", PLAIN);
    const line = `native = [{ path = ${JSON.stringify(path)}, digest = "sha256:${sha256(readFileSync(path))}" }]`;
    await assert.rejects(openNative(t, path, { allow: [] }), (error) => {
      assert.ok(error instanceof Error && "code" in error && "details" in error);
      assert.equal(error.code, REFUSED);
      assert.match(error.message, /^Cannot load native plugin ".*plain\.mjs": it would run without a sandbox, and nothing allows that/);
      assert.equal((error.details as { grant: string }).grant, line);
      return error.message.endsWith(line);
    });
  });

  it("takes nothing else for the file: not its bytes under another path, not its path with other bytes", async (t) => {
    const path = temporaryFile(t, "plain.mjs", PLAIN);
    const grant = grantFor(path);
    const other = temporaryFile(t, "plain.mjs", PLAIN);
    await assert.rejects(openNative(t, other, { allow: [grant] }), { code: REFUSED, message: /nothing allows that for this file/ });
    appendFileSync(path, " ");
    const found = sha256(readFileSync(path));
    await assert.rejects(openNative(t, path, { allow: [grant] }), {
      code: REFUSED,
      message: new RegExp(`it was changed: its SHA-256 is ${found}, but only ${grant.digest} is allowed`),
    });
  });

  it("follows links in both paths, and allows what they lead to", async (t) => {
    const path = temporaryFile(t, "plain.mjs", PLAIN);
    const link = join(temporaryFolder(t), "link.mjs");
    symlinkSync(path, link);
    const { digest } = grantFor(path);
    for (const [opened, allowed] of [
      [link, path],
      [path, link],
      [join(dirname(path), ".", "plain.mjs"), path],
    ] as const) {
      const plugin = await openNative(t, opened, { allow: [{ path: allowed, digest }] });
      assert.equal((await plugin.call("hello")).text(), "hello");
    }
  });

  it("takes a digest in capitals, and with its prefix", async (t) => {
    const path = temporaryFile(t, "plain.mjs", PLAIN);
    const { digest } = grantFor(path);
    await openNative(t, path, {
      allow: [
        { path: "/no/such/file", digest },
        { path, digest: `sha256:${digest.toUpperCase()}` },
      ],
    });
  });

  const badGrants: readonly (readonly [what: string, grant: unknown, message: RegExp])[] = [
    ["a digest that is too short", { path: "x", digest: "abc" }, /"native\[0\].digest": it is abc/],
    ["no digest", { path: "x" }, /"native\[0\].digest": it is undefined/],
    ["no path", { digest: "0".repeat(64) }, /"native\[0\].path": it is undefined/],
  ];
  for (const [what, grant, message] of badGrants) {
    it(`refuses a grant with ${what}`, async (t) => {
      const path = temporaryFile(t, "plain.mjs", PLAIN);
      await assert.rejects(openNative(t, path, { allow: [grant as never] }), { code: "MORTISE_INVALID_OPTION", message });
    });
  }

  it("checks the digest that the plugin's own entry states", async (t) => {
    const path = temporaryFile(t, "plain.mjs", PLAIN);
    await openNative(t, path, { digest: grantFor(path).digest });
    await assert.rejects(openNative(t, path, { digest: "0".repeat(64) }), { code: "MORTISE_DIGEST_MISMATCH" });
    await assert.rejects(openNative(t, path, { digest: "none" }), { code: "MORTISE_INVALID_OPTION" });
  });

  const files: readonly (readonly [what: string, name: string, content: string | Uint8Array, code: string, message: RegExp])[] = [
    ["a name of another kind", "plugin.wasm", "", REFUSED, /its name must end with one of \.js, \.mjs, \.node, \.so, \.dylib, \.dll/],
    ["a module that is not UTF-8", "a.mjs", Uint8Array.of(0xff), REFUSED, /it is not UTF-8 text/],
    ["a module with an error of syntax", "a.mjs", "export export", "MORTISE_INSTANCE_FAILED", /SyntaxError: Unexpected token 'export'/],
    ["a module that throws", "a.mjs", `throw new Error("no\\nluck")`, "MORTISE_INSTANCE_FAILED", /Error: no\\nluck$/],
    ["a script of the older kind", "a.js", "module.exports = {}", "MORTISE_INSTANCE_FAILED", /module is not defined/],
    ["an import of a neighbour", "a.mjs", `import "./b.mjs"`, REFUSED, /it imports "\.\/b\.mjs", which its digest does not cover; bundle it/],
    ["an import of a package", "a.mjs", `import "zod"`, REFUSED, /it imports "zod"/],
    ["an import by URL", "a.mjs", `import "${pathToFileURL(MODULE).href}"`, REFUSED, /it imports "file:/],
    ["an import of data", "a.mjs", `import "data:text/javascript,0"`, REFUSED, /it imports "data:/],
    ["an import in its top level", "a.mjs", `await import("./b.mjs")`, REFUSED, /it imports "\.\/b\.mjs"/],
    ["text for a library", "a.so", "x".repeat(500), REFUSED, /it is no shared library/],
  ];
  for (const [what, name, content, code, message] of files) {
    it(`refuses ${what}`, async (t) => {
      await assert.rejects(openNative(t, temporaryFile(t, name, content)), { code, message });
    });
  }

  it("refuses a library of Rust trait objects without saying how to allow it", async (t) => {
    const path = temporaryFile(t, "libqmt.so", writeElf({ machine: process.arch === "x64" ? 62 : 183, defined: ["plugin_factory"] }));
    const message = process.platform === "linux" ? /Rust trait objects/ : /format ELF/;
    await assert.rejects(openNative(t, path, { allow: [] }), (error) => {
      assert.match(String(error), message);
      assert.doesNotMatch(String(error), /native\.allow/);
      return true;
    });
  });

  it("says why a file cannot be read", async (t) => {
    await assert.rejects(openNative(t, "/no/such/file.mjs", { allow: [] }), { code: "MORTISE_SOURCE_NOT_FOUND" });
    const folder = temporaryFolder(t);
    const named = join(dirname(folder), `${basename(folder)}.mjs`);
    renameSync(folder, named);
    t.after(() => renameSync(named, folder));
    await assert.rejects(openNative(t, named, { allow: [] }), { code: "MORTISE_SOURCE_UNREADABLE", message: /not a regular file/ });
    const path = temporaryFile(t, "plain.mjs", PLAIN);
    await assert.rejects(openNative(t, path, { limits: { moduleBytes: PLAIN.length - 1 } }), { code: "MORTISE_MODULE_LIMIT" });
    await openNative(t, path, { limits: { moduleBytes: PLAIN.length } });
  });

  it("imports what is built into Node.js", async (t) => {
    const plugin = await openNative(t, MODULE);
    assert.equal((await plugin.call("sha256", "abc")).text(), sha256(new TextEncoder().encode("abc")));
  });

  it("gives up a module whose top level waits for too long", async (t) => {
    const path = temporaryFile(t, "slow.mjs", "await new Promise(() => {});");
    await assert.rejects(openNative(t, path, { limits: { initTimeoutMs: 5 } }), { code: "MORTISE_TIMEOUT", message: /"start"/ });
  });

  for (const [what, specifier] of [
    ["of a neighbour", "./b.mjs"],
    ["by URL", pathToFileURL(MODULE).href],
    ["of data", "data:text/javascript,export const b = 1"],
    ["of a package", "zod"],
  ] as const) {
    it(`fails an import ${what} that a function makes later`, async (t) => {
      const path = temporaryFile(t, "late.mjs", `export const go = async () => String(Object.keys(await import(${JSON.stringify(specifier)})));`);
      writeFileSync(join(dirname(path), "b.mjs"), "export const b = 1;");
      const plugin = await openNative(t, path);
      await assert.rejects(plugin.call("go"), { code: "MORTISE_GUEST_ERROR", message: /which its digest does not cover/ });
    });
  }

  it("does not keep the rest of the program from importing what it likes", async (t) => {
    await openNative(t, temporaryFile(t, "plain.mjs", PLAIN));
    const address: string = "data:text/javascript,export const b = 1";
    const imported = (await import(address)) as { readonly b: number };
    assert.equal(imported.b, 1);
  });
});

describe("the bytes of a native plugin", () => {
  it("are those that were checked, if the module is swapped afterwards", async (t) => {
    const path = temporaryFile(t, "swapped.mjs", PLAIN);
    const allow = [grantFor(path)];
    const file = await readNativeFile(path, 1 << 20);
    // Between reading and running, by somebody who may write to the folder.
    const other = temporaryFile(t, "other.mjs", `export const hello = () => "swapped";`);
    renameSync(other, path);
    await checkGrants(file, allow);
    const exported = await loadModule(file);
    assert.equal((exported["hello"] as () => string)(), "hello");
  });

  it("are those that were checked, if the addon is swapped afterwards", { skip: NO_ADDONS }, async (t) => {
    const path = temporaryCopy(t, C_ADDON, "swapped.node");
    const allow = [grantFor(path)];
    const file = await readNativeFile(path, 1 << 20);
    writeFileSync(path, "no library");
    await checkGrants(file, allow);
    const exported = loadAddon(file);
    assert.deepEqual((exported["echo"] as (input: Uint8Array, context: object) => Uint8Array)(Uint8Array.of(1), {}), Buffer.of(1));
  });

  it("leave nothing behind in the folder for temporary files", { skip: NO_ADDONS }, async (t) => {
    // A folder of the test's own: others load addons at the same time.
    const folder = temporaryFolder(t);
    const { TMPDIR = tmpdir() } = process.env;
    process.env["TMPDIR"] = folder;
    t.after(() => (process.env["TMPDIR"] = TMPDIR));
    await openNative(t, C_ADDON);
    const file = { path: "/x/broken.node", bytes: Uint8Array.from(readFileSync(C_ADDON).subarray(0, 100)), digest: "" };
    assert.throws(() => loadAddon(file), {
      code: REFUSED,
      message: /^Cannot load native plugin "\/x\/broken.node": the system does not load it: the library/,
    });
    assert.deepEqual(readdirSync(folder), []);
  });
});

describe("isNativePath()", () => {
  for (const [path, native] of [
    ["a/b.mjs", true],
    ["b.NODE", true],
    ["libqmt.so", true],
    ["b.wasm", false],
    ["b.so.wasm", false],
    ["mjs", false],
  ] as const) {
    it(`is ${native} for "${path}"`, () => assert.equal(isNativePath(path), native));
  }
});
