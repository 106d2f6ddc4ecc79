// readManifest: what a source may be, and how its content is told.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, relative } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import vm from "node:vm";

import { BASE64, MODULE, base64, moduleOf, read, sha256, temporaryFolder, withModule } from "./modules.ts";

const folder = temporaryFolder();
const path = join(folder, "plug in.wasm");
writeFileSync(path, MODULE);
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const JSON_TEXT = JSON.stringify(withModule({ config: { a: "b" } }));
const TOML_TEXT = `[[wasm]]\ndata = "${BASE64}"\n[config]\na = "b"\n`;

describe("readManifest from a module", () => {
  const larger = new Uint8Array(100).fill(0xff);
  larger.set(MODULE, 50);
  const shared = new Uint8Array(new SharedArrayBuffer(MODULE.length));
  shared.set(MODULE);
  const foreign = vm.runInNewContext(`new Uint8Array([${MODULE.join()}])`) as Uint8Array;
  const sources: readonly (readonly [what: string, source: unknown, name: string, source: string])[] = [
    ["an absolute path", path, "plug in", `"${path}"`],
    ["a relative path", relative(process.cwd(), path), "plug in", `"${relative(process.cwd(), path)}"`],
    ["a file: URL", pathToFileURL(path), "plug in", `"${path}"`],
    ["a file: URL as text", pathToFileURL(path).href, "plug in", `"${path}"`],
    ["a file: URL in capitals", pathToFileURL(path).href.replace("file", "FILE"), "plug in", `"${path}"`],
    ["a link to a file", (symlinkSync(path, join(folder, "link.wasm")), join(folder, "link.wasm")), "link", `"${join(folder, "link.wasm")}"`],
    ["a path with = and brackets", file("[id] a=[b].wasm", MODULE), "[id] a=[b]", `"${join(folder, "[id] a=[b].wasm")}"`],
    ["a path with a line break", file("a\nb.wasm", MODULE), "a\nb", `"${join(folder, "a\\nb.wasm")}"`],
    ["a path without extension", file("none", MODULE), "none", `"${join(folder, "none")}"`],
    ["a module that is called .json", file("wrong.json", MODULE), "wrong", `"${join(folder, "wrong.json")}"`],
    ["a file that is called .wasm and nothing else", file(".wasm", MODULE), "plugin", `"${join(folder, ".wasm")}"`],
    ["bytes", MODULE, "plugin", "the module"],
    ["a Buffer", Buffer.from(MODULE), "plugin", "the module"],
    ["an ArrayBuffer", MODULE.slice().buffer, "plugin", "the module"],
    ["a view into a larger buffer", larger.subarray(50, 58), "plugin", "the module"],
    ["a view of a shared buffer", shared, "plugin", "the module"],
    ["bytes of another realm", foreign, "plugin", "the module"],
    ["a Response", new Response(MODULE), "plugin", "the response"],
    ["a promise of bytes", Promise.resolve(MODULE), "plugin", "the module"],
  ]; // prettier-ignore
  for (const [what, source, name, shown] of sources) {
    it(`takes ${what}`, async () => {
      const found = await read(source);
      assert.deepEqual(found.modules, [{ name: "main", bytes: MODULE, source: shown }]);
      assert.equal(found.name, name);
      assert.deepEqual([found.allowedHosts, found.allowedPaths, { ...found.config }, found.timeoutMs], [[], [], {}, undefined]);
    });
  }

  it("copies bytes, so that they may change afterwards", async () => {
    for (const make of [(bytes: Uint8Array) => bytes, (bytes: Uint8Array) => ({ wasm: [{ data: bytes }] })]) {
      const bytes = MODULE.slice();
      const { modules } = await read(make(bytes));
      bytes.fill(0xff);
      assert.deepEqual(modules[0]?.bytes, MODULE);
    }
  });

  it("gives bytes that compile", async () => {
    const { modules, name } = await read(new URL("../../guests/prebuilt/echo.c.wasm", import.meta.url));
    assert.equal(name, "echo.c");
    await WebAssembly.compile(modules[0]?.bytes as Uint8Array<ArrayBuffer>);
    for (const size of [15, 138, 10_000]) assert.ok(WebAssembly.validate(moduleOf(size, 7)), `${size}`);
  });
});

describe("readManifest from a manifest", () => {
  const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
  const sources: readonly (readonly [what: string, source: unknown, name?: string])[] = [
    ["an object", withModule({ config: { a: "b" } })],
    ["an object without a prototype", Object.assign(Object.create(null) as object, withModule({ config: { a: "b" } }))],
    ["an object of another realm", vm.runInNewContext(`(${JSON_TEXT})`)],
    ["a promise of an object", Promise.resolve(withModule({ config: { a: "b" } }))],
    ["JSON text", JSON_TEXT],
    ["JSON text after space and a byte order mark", `\ufeff\n  ${JSON_TEXT}\n`],
    ["TOML text", TOML_TEXT],
    ["TOML text with carriage returns", TOML_TEXT.replaceAll("\n", "\r\n")],
    ["TOML text of one line", `wasm = [{ data = "${BASE64}" }]\nconfig.a = "b"`],
    ["TOML text that begins with a comment", `# nothing = here\n\n${TOML_TEXT}`],
    ["bytes of JSON", bytesOf(JSON_TEXT)],
    ["bytes of JSON with a byte order mark", bytesOf(`\ufeff${JSON_TEXT}`)],
    ["bytes of TOML", bytesOf(TOML_TEXT)],
    ["bytes of TOML with a byte order mark", bytesOf(`\ufeff${TOML_TEXT}`)],
    ["a .json file", file("m.json", JSON_TEXT), "m"],
    ["a .toml file", file("m.toml", TOML_TEXT), "m"],
    ["a .toml file with a byte order mark", file("bom.toml", `\ufeff${TOML_TEXT}`), "bom"],
    ["a JSON file that is called .toml", file("odd.toml", JSON_TEXT), "odd"],
    ["a TOML file without extension", file("bare", TOML_TEXT), "bare"],
    ["a JSON file that is called .wasm", file("odd.wasm", JSON_TEXT), "odd"],
    ["a Response of JSON", new Response(JSON_TEXT)],
    ["a Response of TOML", new Response(`# x\n${TOML_TEXT}`, { headers: { "content-type": "Application/TOML; charset=utf-8" } })],
  ];
  for (const [what, source, name = "plugin"] of sources) {
    it(`takes ${what}`, async () => {
      const found = await read(source);
      assert.deepEqual(
        found.modules.map((module) => [module.name, module.bytes]),
        [["main", MODULE]],
      );
      assert.deepEqual({ ...found.config }, { a: "b" });
      assert.equal(found.name, name);
    });
  }

  it("names a plugin whose manifest has no file after its main module", async () => {
    assert.equal((await read({ wasm: [{ data: MODULE, name: "x" }, { path }] })).name, "plug in");
    assert.equal((await read({ wasm: [{ path }, { data: MODULE, name: "main" }] })).name, "plugin");
  });

  it("starts relative paths at the manifest's folder, or at the working directory if the manifest has none", async () => {
    mkdirSync(join(folder, "sub"));
    const inner = moduleOf(20, 1);
    writeFileSync(join(folder, "sub", "inner.wasm"), inner);
    const text = JSON.stringify({ wasm: [{ path: "inner.wasm" }], allowed_paths: { "ro:data": "/data", "/abs": "/abs" } });
    for (const source of [join(folder, "sub", "m.json"), relative(process.cwd(), join(folder, "sub", "m.json"))]) {
      writeFileSync(source, text);
      const { modules, allowedPaths } = await read(source);
      assert.deepEqual([modules[0]?.bytes, modules[0]?.source], [inner, `"${join(folder, "sub", "inner.wasm")}"`]);
      assert.deepEqual(allowedPaths, [
        { hostPath: join(folder, "sub", "data"), guestPath: "/data", readOnly: true },
        { hostPath: "/abs", guestPath: "/abs", readOnly: false },
      ]);
    }
    await assert.rejects(read(text), { code: "MORTISE_SOURCE_NOT_FOUND", details: { source: `"${join(process.cwd(), "inner.wasm")}"` } });
    const fromHere = relative(process.cwd(), join(folder, "sub"));
    for (const make of [(value: object) => value, (value: object) => JSON.stringify(value)]) {
      const { modules, allowedPaths } = await read(make({ wasm: [{ path: join(fromHere, "inner.wasm") }], allowedPaths: { data: "/d" } }));
      assert.deepEqual([modules[0]?.bytes, allowedPaths[0]?.hostPath], [inner, join(process.cwd(), "data")]);
    }
  });

  it("takes a file: URL as path and as url of a module", async () => {
    for (const module of [{ path: pathToFileURL(path).href }, { url: pathToFileURL(path).href }, { url: pathToFileURL(path) }]) {
      const found = await read({ wasm: [module] });
      assert.deepEqual([found.modules[0]?.source, found.name], [`"${path}"`, "plug in"]);
    }
  });

  it("takes a Response as a module", async () => {
    const { modules } = await read({ wasm: [{ response: new Response(MODULE), hash: sha256(MODULE) }] });
    assert.deepEqual(modules, [{ name: "main", bytes: MODULE, source: "wasm[0] of the manifest" }]);
  });
});

describe("readManifest from what is no source", () => {
  const gone = MODULE.slice();
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  const used = new Response(MODULE);
  const reading = used.arrayBuffer();
  const sources: readonly (readonly [what: string, source: unknown, code: string, message: RegExp])[] = [
    ["no file", join(folder, "none.wasm"), "MORTISE_SOURCE_NOT_FOUND", /none\.wasm": the file does not exist$/],
    ["a file below a file", join(path, "x"), "MORTISE_SOURCE_NOT_FOUND", /the file does not exist$/],
    ["an empty path", "", "MORTISE_SOURCE_NOT_FOUND", /^Cannot read "": /],
    ["a path with a zero byte", "a\0b", "MORTISE_SOURCE_UNREADABLE", /"a\\u0000b"/],
    ["a folder", folder, "MORTISE_SOURCE_UNREADABLE", /it is a directory$/],
    ["a device", "/dev/null", "MORTISE_SOURCE_UNREADABLE", /it is not a regular file$/],
    ["an endless device", "/dev/zero", "MORTISE_SOURCE_UNREADABLE", /it is not a regular file$/],
    ["a URL of another scheme", "oci://example.com/a", "MORTISE_INVALID_OPTION", /"source": it is a URL of oci: but must be a path, a URL of file:, http: or https:/],
    ["a data: URL", new URL("data:application/wasm;base64,AGFzbQEAAAA="), "MORTISE_INVALID_OPTION", /a URL of data:/],
    ["a URL that is none", "http://user:secret@[", "MORTISE_INVALID_OPTION", /^(?!.*secret).*a URL that cannot be parsed/],
    ["a file: URL with a host", "file://host/a.wasm", "MORTISE_INVALID_OPTION", /it is file:\/\/host\/a\.wasm but must be a path or a file: URL$/],
    ["a compiled module", new WebAssembly.Module(MODULE), "MORTISE_INVALID_OPTION", /a compiled module, which cannot be instrumented but must be its bytes/],
    ["an empty file", file("empty", ""), "MORTISE_NOT_WASM", /nothing \(it is empty\)/],
    ["no bytes", new Uint8Array(0), "MORTISE_NOT_WASM", /nothing \(it is empty\)/],
    ["some text", Buffer.from("#!/bin/sh\necho\n"), "MORTISE_NOT_WASM", /starts with bytes 23 21 2f 62/],
    ["a page", file("page.wasm", "<!doctype html>\n<a href=x>"), "MORTISE_NOT_WASM", /bytes 3c 21 64 6f/],
    ["half a magic number", Uint8Array.of(0, 0x61, 0x73), "MORTISE_NOT_WASM", /bytes 00 61 73,/],
    ["WebAssembly text", Buffer.from("\n ;; comment\n(module)"), "MORTISE_WASM_TEXT", /the module: .*wat2wasm$/],
    ["a string of WebAssembly text", " (module\n (func))\n", "MORTISE_WASM_TEXT", /wat2wasm$/],
    ["a .wat file", file("a.wat", "\n"), "MORTISE_WASM_TEXT", /a\.wat": .*wat2wasm$/],
    ["JSON in UTF-16", Buffer.from(`\ufeff${JSON_TEXT}`, "utf16le"), "MORTISE_MANIFEST_INVALID", /UTF-16; save it as UTF-8$/],
    ["JSON in UTF-16 of the other order", Buffer.from(`\ufeff${JSON_TEXT}`, "utf16le").swap16(), "MORTISE_MANIFEST_INVALID", /UTF-16/],
    ["JSON in Latin-1", Buffer.from(`{"config":\n {"é": ""}}`, "latin1"), "MORTISE_MANIFEST_INVALID", /^Cannot use the manifest, line 2, column 4: it is not valid UTF-8$/],
    ["an empty .json file", file("empty.json", ""), "MORTISE_MANIFEST_INVALID", /line 1, column 1: it has its end where a value must be$/],
    ["an empty .toml file", file("empty.toml", ""), "MORTISE_MANIFEST_INVALID", /: wasm names no module/],
    ["an array in a .json file", file("array.json", "[]"), "MORTISE_MANIFEST_INVALID", /array\.json": it is an array but must be an object$/],
    ["a page that is called JSON", new Response("<p>", { headers: { "content-type": "application/json" } }), "MORTISE_MANIFEST_INVALID", /"<p>" where a value must be$/],
    ["a buffer that was transferred away", gone.buffer, "MORTISE_INVALID_OPTION", /transferred away/],
    ["a view of a buffer that was transferred away", gone, "MORTISE_INVALID_OPTION", /transferred away/],
    ["a Response that was read", used, "MORTISE_SOURCE_UNREADABLE", /^Cannot read the response: its body is being read already, or was$/],
    ["a Response with a bad status", new Response("gone", { status: 410 }), "MORTISE_SOURCE_STATUS", /answered with status 410$/],
    ["a failed Response", Response.error(), "MORTISE_SOURCE_STATUS", /status 0$/],
    ["a Response of text", new Response(new ReadableStream({ start: (to) => to.enqueue("text") })), "MORTISE_SOURCE_UNREADABLE", /not made of bytes$/],
    ["a Response whose body fails", new Response(new ReadableStream({ start: (to) => to.error(new Error("secret")) })), "MORTISE_SOURCE_UNREADABLE", /the request failed$/],
    ...([undefined, null, 5, 5n, true, [], Symbol("x"), () => {}, new DataView(new ArrayBuffer(8)), new Uint16Array(4), new SharedArrayBuffer(8), new Map(), new Date()] as const).map(
      (source) => [`a value of type ${typeof source} ${Object.prototype.toString.call(source)}`, source, "MORTISE_INVALID_OPTION", /^Cannot use option "source": it is \w+ but must be a path/] as const,
    ),
  ]; // prettier-ignore
  for (const [what, source, code, message] of sources) {
    it(`refuses ${what} with ${code}`, async () => {
      await reading;
      await assert.rejects(read(source), { name: "MortiseError", code, message });
    });
  }

  it("refuses a pipe, without waiting for a writer", async (t) => {
    const pipe = join(folder, "pipe");
    if (spawnSync("mkfifo", [pipe]).status !== 0) return t.skip("there is no mkfifo here");
    for (const source of [pipe, { wasm: [{ path: pipe }] }])
      await assert.rejects(read(source), { code: "MORTISE_SOURCE_UNREADABLE", message: /it is not a regular file$/ });
  });

  it("refuses a socket", async (t) => {
    const socket = join(folder, "socket");
    const server = createServer();
    await new Promise<void>((listening) => server.listen(socket, listening));
    t.after(() => server.close());
    await assert.rejects(read(socket), { code: "MORTISE_SOURCE_UNREADABLE", message: /it is not a regular file$/ });
  });

  it("tells why a promise of a source was rejected by its cause", async () => {
    const cause = new Error("https://user:secret@host");
    await assert.rejects(read(Promise.reject(cause)), { code: "MORTISE_SOURCE_UNREADABLE", message: /^(?!.*secret).*promise/, cause });
  });

  it("reads files that do not tell their size", async (t) => {
    if (process.platform !== "linux") return t.skip("there is no /proc here");
    await assert.rejects(read("/proc/self/status"), { code: "MORTISE_NOT_WASM", message: /bytes 4e 61 6d 65/ });
  });

  it("refuses manifests and text where a module must stand", async () => {
    copyFileSync(join(folder, "m.json"), join(folder, "inner.json"));
    await assert.rejects(read({ wasm: [{ path: join(folder, "inner.json") }] }), { code: "MORTISE_NOT_WASM", message: /bytes 7b 22/ });
    await assert.rejects(read({ wasm: [{ path: join(folder, "a.wat") }] }), { code: "MORTISE_WASM_TEXT" });
  });
});

describe("readManifest's sizes", () => {
  const large = moduleOf(10_000, 3);
  writeFileSync(join(folder, "large.wasm"), large);
  const twice = { wasm: [{ data: large, name: "a" }, { path: join(folder, "large.wasm") }] };
  const sources: readonly (readonly [what: string, source: () => unknown, bytes: number, shown: string, size: unknown])[] = [
    ["bytes", () => large, 10_000, "the module", 10_000],
    ["a file", () => join(folder, "large.wasm"), 10_000, `"${join(folder, "large.wasm")}"`, 10_000],
    ["a Response", () => new Response(large), 10_000, "the response", "more than 9999"],
    ["a Response that tells its size", () => new Response(large, { headers: { "content-length": "10000" } }), 10_000, "the response", 10_000],
    ["base64", () => JSON.stringify({ wasm: [{ data: base64(large) }] }), 10_000, "wasm[0] of the manifest", 10_000],
    ["bytes in a manifest", () => ({ wasm: [{ data: large }] }), 10_000, "wasm[0] of the manifest", 10_000],
    ["a file in a manifest", () => ({ wasm: [{ path: join(folder, "large.wasm") }] }), 10_000, `"${join(folder, "large.wasm")}"`, 10_000],
    ["modules together", () => twice, 20_000, `"${join(folder, "large.wasm")}" with the modules before it`, 20_000],
    ["modules together, the last one a Response", () => ({ wasm: [{ data: large, name: "a" }, { response: new Response(large) }] }), 20_000, "wasm[1] of the manifest with the modules before it", "more than 19999"],
  ]; // prettier-ignore
  for (const [what, source, bytes, shown, size] of sources) {
    it(`are limited for ${what} by maxBytes, and are no less than that`, async () => {
      const found = await read(source(), { maxBytes: bytes });
      for (const module of found.modules) assert.deepEqual(module.bytes, large);
      await assert.rejects(read(source(), { maxBytes: bytes - 1 }), {
        code: "MORTISE_MODULE_LIMIT",
        details: { source: shown, size, limit: bytes - 1 },
      });
    });
  }

  it("take no limit as none", async () => {
    const { modules } = await read(twice, { maxBytes: Number.POSITIVE_INFINITY });
    assert.equal(modules.length, 2);
  });

  it("let a manifest's text have 1 MiB beside its data, in every form", async () => {
    const data = base64(moduleOf(900_000));
    const text = (size: number): string => {
      const empty = JSON.stringify({ wasm: [{ data }], config: { fill: "" } });
      return JSON.stringify({ wasm: [{ data }], config: { fill: "x".repeat(size - empty.length + data.length) } });
    };
    for (const make of [
      (all: string) => all,
      (all: string) => Buffer.from(all),
      (all: string) => file("big.json", all),
      (all: string) => new Response(all),
    ]) {
      await read(make(text(1 << 20)));
      await assert.rejects(read(make(text((1 << 20) + 1))), {
        code: "MORTISE_MANIFEST_INVALID",
        message: /it has 1048577 bytes beside its data, but may have 1048576$/,
      });
    }
  });

  it("stop reading what is too large for a manifest with all its data", async () => {
    const long = `{"config": {"a": "${"x".repeat(1_100_000)}"}}`;
    for (const [source, found] of [
      [file("long.json", long), /it has 1100021 bytes, but a manifest may have 1048576 and what base64/],
      [new Response(long), /it has more than 1048580 bytes, but a manifest may have/],
    ] as const)
      await assert.rejects(read(source, { maxBytes: 3 }), { code: "MORTISE_MANIFEST_INVALID", message: found });
    await assert.rejects(read(Buffer.from(long), { maxBytes: 3 }), { code: "MORTISE_MANIFEST_INVALID", message: /it has 1100021 bytes/ });
  });

  it("do not take a length for granted that a server states", async () => {
    const { modules } = await read(new Response(large, { headers: { "content-length": "11" } }));
    assert.deepEqual(modules[0]?.bytes, large);
    for (const stated of ["abc", "-5", "1e999"]) {
      const found = await read(new Response(large, { headers: { "content-length": stated } }));
      assert.equal(found.modules[0]?.bytes.length, 10_000);
    }
  });
});
