import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { pathToFileURL } from "node:url";

import { type Deviation, compare, thrown } from "./side-by-side.ts";
import { CALLER } from "./modules.ts";
import { type Create, REFLECT, assemble, guestBytes, guestPath } from "./sdks.ts";

const path = guestPath("echo.c");
const echo = guestBytes("echo.c");
const digest = createHash("sha256").update(echo).digest("hex");
const compiled = await WebAssembly.compile(echo);
const folder = await mkdtemp(join(tmpdir(), "door-"));
after(() => rm(folder, { recursive: true }));
const manifestFile = join(folder, "plugin.json");
await writeFile(manifestFile, JSON.stringify({ wasm: [{ path }] }));

const tomlFile = join(folder, "plugin.toml");
await writeFile(tomlFile, `[[wasm]]\npath = ${JSON.stringify(path)}\n`);

const answer = (body: BodyInit, type: string): Response => new Response(body, { headers: { "content-type": type } });
const echoes = (source: () => unknown) => async (create: Create) => (await create(source())).call("echo", "x");
const refused = (door: unknown, theirs: unknown, because: string): Deviation => ({ because, door, package: theirs });
const taken = (theirs: unknown, because: string): Deviation => ({ because, door: { output: "x" }, package: theirs });

compare("createPlugin", [
  { name: "takes a path", run: echoes(() => path) },
  { name: "takes a promise", run: echoes(() => Promise.resolve(path)) },
  { name: "takes a buffer", run: echoes(() => echo.slice().buffer) },
  { name: "takes an answer of fetch with a module", run: echoes(() => answer(echo, "application/wasm")) },
  {
    name: "takes an answer of fetch with a manifest",
    run: echoes(() => answer(JSON.stringify({ wasm: [{ path }] }), "application/json")),
    expect: refused(thrown("TypeError", "Cannot use the response"), { output: "x" }, "a manifest from the network names no files of this machine"),
  },
  { name: "takes a manifest with a path", run: echoes(() => ({ wasm: [{ path }] })) },
  { name: "takes a manifest with bytes", run: echoes(() => ({ wasm: [{ data: echo }] })) },
  { name: "takes a manifest with a buffer", run: echoes(() => ({ wasm: [{ data: echo.slice().buffer }] })) },
  { name: "takes a manifest with an answer of fetch", run: echoes(() => ({ wasm: [{ response: answer(echo, "application/wasm") }] })) },
  { name: "takes a manifest as JSON", run: echoes(() => JSON.stringify({ wasm: [{ path }] })) },
  { name: "takes no notice of unknown keys", run: echoes(() => ({ wasm: [{ path, comment: "ours" }], version: 1 })) },
  { name: "takes no notice of unknown keys in JSON", run: echoes(() => JSON.stringify({ wasm: [{ path, comment: "ours" }], version: 1 })) },
  { name: "takes no notice of unknown options", run: async (create) => (await create(path, { verbose: true })).call("echo", "x") },
  { name: "takes null for options", run: async (create) => (await create(path, null as never)).call("echo", "x") },
  { name: "checks a hash", run: echoes(() => ({ wasm: [{ data: echo, hash: digest }] })) },
  {
    name: "refuses a wrong hash",
    run: echoes(() => ({ wasm: [{ data: echo, hash: digest.replace(/./, (first) => (first === "0" ? "1" : "0")) }] })),
  },
  {
    name: "refuses what is no hash",
    run: echoes(() => ({ wasm: [{ data: echo, hash: "00" }] })),
    expect: refused(thrown("TypeError", "Cannot use"), thrown("Error", "Plugin error: hash mismatch"), "no bytes have it"),
  },
  { name: "refuses a manifest without modules", run: echoes(() => ({})) },
  { name: "refuses a manifest whose modules are no list", run: echoes(() => ({ wasm: { path } })) },
  { name: "refuses a module from nowhere", run: echoes(() => ({ wasm: [{ name: "main" }] })) },
  {
    name: "refuses a hash of a compiled module",
    run: echoes(() => ({ wasm: [{ module: compiled, hash: digest }] })),
    expect: refused(
      thrown("TypeError", "Item specified a hash but WebAssembly.Module"),
      thrown("Error", "Item specified a hash but WebAssembly.Module"),
      "it is a TypeError, as for other manifests",
    ),
  },
  {
    name: "refuses a file that is not there",
    run: echoes(() => "/not/there.wasm"),
    expect: refused(
      thrown("Error", `ENOENT: no such file or directory, open "/not/there.wasm"`),
      thrown("Error", "ENOENT: no such file or directory, open '/not/there.wasm'"),
      "its quotes are those of other messages",
    ),
  },
  {
    name: "refuses bytes that are no module",
    run: echoes(() => ({ wasm: [{ data: new Uint8Array(8) }] })),
    expect: refused(thrown("CompileError", "Cannot read"), thrown("CompileError", "WebAssembly.compile()"), "it says which"),
  },
  { name: "takes bytes", run: echoes(() => echo), expect: taken(thrown("TypeError", 'Expected "wasm" key in manifest'), "bytes are bytes") },
  {
    name: "takes a Buffer",
    run: echoes(() => Buffer.from(echo)),
    expect: taken(thrown("TypeError", 'Expected "wasm" key in manifest'), "bytes are bytes"),
  },
  {
    name: "takes a URL of a file",
    run: echoes(() => pathToFileURL(path)),
    expect: taken(thrown("TypeError", "fetch failed"), "the documentation says so"),
  },
  {
    name: "takes a URL of a file as text",
    run: echoes(() => pathToFileURL(path).href),
    expect: taken(thrown("TypeError", "fetch failed"), "the documentation says so"),
  },
  {
    name: "takes a manifest with a URL of a file",
    run: echoes(() => ({ wasm: [{ url: pathToFileURL(path) }] })),
    expect: taken(thrown("TypeError", "fetch failed"), "the documentation says so"),
  },
  {
    name: "takes base64",
    run: echoes(() => JSON.stringify({ wasm: [{ data: Buffer.from(echo).toString("base64") }] })),
    expect: taken(thrown("TypeError", "WebAssembly.compile()"), "Extism's manifests have it"),
  },
  { name: "takes a hash in capitals", run: echoes(() => ({ wasm: [{ data: echo, hash: digest.toUpperCase() }] })), expect: "same" },
  {
    name: "takes a file with a manifest",
    run: echoes(() => manifestFile),
    expect: taken(thrown("CompileError", "WebAssembly.compile()"), "what a file holds is seen from its content"),
  },
  {
    name: "takes a file with a manifest in TOML",
    run: echoes(() => tomlFile),
    expect: taken(thrown("CompileError", "WebAssembly.compile()"), "what a file holds is seen from its content"),
  },
  {
    name: "takes an answer without a type",
    run: echoes(() => ({ wasm: [{ response: new Response(echo) }] })),
    expect: taken(thrown("TypeError", "WebAssembly response has unsupported MIME type"), "what it holds is seen from its content"),
  },
  {
    name: "is given a compiled module",
    run: echoes(() => compiled),
    expect: refused(
      thrown("TypeError", 'Cannot use option "manifest": it is a compiled WebAssembly.Module'),
      { output: "x" },
      "limits cannot be built into it any more",
    ),
  },
  {
    name: "is given a manifest with a compiled module",
    run: echoes(() => ({ wasm: [{ module: compiled }] })),
    expect: refused(thrown("TypeError", 'Cannot use option "manifest.wasm[0].module"'), { output: "x" }, "limits cannot be built into it any more"),
  },
  {
    name: "is given two modules of one name",
    run: echoes(() => ({
      wasm: [
        { name: "main", data: echo },
        { name: "main", data: echo },
      ],
    })),
    expect: refused(thrown("TypeError", "Cannot use the manifest"), { output: "x" }, "a name has one meaning"),
  },
  {
    name: "is given a manifest with an empty list",
    run: echoes(() => ({ wasm: [] })),
    expect: refused(
      thrown("TypeError", "Cannot use the manifest"),
      thrown("Error", "manifest with multiple modules must designate"),
      "it says what is wrong",
    ),
  },
  {
    name: "is given null",
    run: echoes(() => null),
    expect: refused(thrown("TypeError", 'Cannot use option "source"'), thrown("TypeError", "Cannot use 'in' operator"), "it says what is wrong"),
  },
  {
    name: "is given broken JSON",
    run: echoes(() => '{"wasm": [}'),
    expect: refused(thrown("TypeError", "Cannot use the manifest"), thrown("SyntaxError", "Unexpected token"), "it says where"),
  },
]);

const upper = await assemble('(module (func (export "host_reflect") (param i64) (result i64) (local.get 0)))');
const caller = await assemble(CALLER);
const own = await assemble('(module (func (export "f")))');

compare("createPlugin with several modules", [
  {
    name: "links them by name",
    run: async (create) => {
      const plugin = await create({ wasm: [{ name: "extism:host/user", data: upper }, { path: guestPath("fixtures.c") }] });
      return [await plugin.call("host_reflect", "x"), (await plugin.getExports()).length, (await plugin.getImports()).length];
    },
  },
  {
    name: "calls the one that is main",
    run: async (create) =>
      (
        await create({
          wasm: [
            { name: "main", path },
            { name: "other", data: upper },
          ],
        })
      ).call("echo", "x"),
  },
  {
    name: "prefers them to host functions",
    run: async (create) => {
      let calls = 0;
      const functions = { u: { f: () => void calls++ } };
      await (
        await create(
          {
            wasm: [
              { name: "u", data: own },
              { name: "main", data: caller },
            ],
          },
          { functions },
        )
      ).call("go");
      return calls;
    },
  },
  {
    name: "takes the last for main if none is called so",
    run: async (create) =>
      (
        await create({
          wasm: [
            { name: "other", data: upper },
            { name: "echo", path },
          ],
        })
      ).call("echo", "x"),
    expect: {
      because: "Extism's own runtime does",
      door: { output: "x" },
      package: thrown("Error", 'manifest with multiple modules must designate one "main" module'),
    },
  },
]);

const settings = (create: Create, manifest: object, options: object = {}) =>
  create({ wasm: [{ path: guestPath("fixtures.c") }], ...manifest }, { functions: REFLECT, ...options });
const configOf = async (create: Create, manifest: object, options?: object): Promise<unknown> => {
  const plugin = await settings(create, manifest, options);
  const values: unknown[] = [];
  for (const key of ["a", "b"]) {
    values.push(
      await plugin.call("config_echo", key).then(
        (output) => output?.text(),
        () => "absent",
      ),
    );
  }
  return values;
};

compare("Configuration", [
  { name: "comes from the manifest", run: (create) => configOf(create, { config: { a: "1" } }), expect: "same" },
  { name: "comes from the options", run: (create) => configOf(create, {}, { config: { a: "1" } }) },
  {
    name: "of the options takes the place of all of the manifest's",
    run: (create) => configOf(create, { config: { a: "1", b: "2" } }, { config: { a: "3" } }),
  },
  { name: "of the options may be empty", run: (create) => configOf(create, { config: { a: "1", b: "2" } }, { config: {} }) },
  {
    name: "of numbers",
    run: (create) => configOf(create, {}, { config: { a: 5 } }),
    expect: { because: "values are text", door: thrown("TypeError", 'Cannot use option "config.a"') },
  },
]);
