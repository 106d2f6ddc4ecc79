// `mortise inspect`: what it says of good, refused and broken modules.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { gzipSync } from "node:zlib";

import { tar } from "../manifest/tar.ts";
import { EVIL_NAMES, NEEDS_HOST, SHARED_MEMORY, makeFolder, writeWat } from "./modules.ts";
import { ROOT, runCli } from "./run-cli.ts";
import { assertSample } from "./samples.ts";

const folder = await makeFolder();
after(() => rm(folder, { recursive: true }));

describe("mortise inspect", () => {
  for (const guest of ["sha256.c", "vowels.ts", "fixtures.c", "readability.go", "helios_guard.c", "bifrost_guard.rs", "bifrost_first.c"]) {
    it(`describes ${guest} as the sample has it`, async () => {
      const result = await runCli(["inspect", `guests/prebuilt/${guest}.wasm`]);
      assert.equal(result.stderr, "");
      assert.equal(result.exitCode, 0);
      await assertSample(`inspect-${guest}.txt`, result.stdout);
    });
  }

  it("says what a module nearly is, and what it lacks", async () => {
    const path = await writeWat(folder, "nearly", `(module (memory (export "memory") 1) (func (export "get_name") (result i64) (i64.const 0)))`);
    const { stdout, exitCode } = await runCli(["inspect", path]);
    assert.equal(exitCode, 0);
    assert.match(
      stdout,
      /\ninterface {2}raw: .*\nnearly {5}bifrost, but it lacks an allocator: "plugin_malloc" or "malloc" of type \(i32\) -> i32\n/,
    );
  });

  it("says whether a module fits an interface that is asked for", async () => {
    const guard = "guests/prebuilt/helios_guard.c.wasm";
    assert.match((await runCli(["inspect", guard, "--abi", "helios"])).stdout, /\nasked for {2}helios: it fits\n/);
    assert.match((await runCli(["inspect", guard, "--abi", "bifrost"])).stdout, /\nasked for {2}bifrost: it lacks an allocator: /);
    const { asked } = JSON.parse((await runCli(["inspect", guard, "--abi", "querymt", "--json"])).stdout) as { asked: { missing: string[] } };
    assert.deepEqual(asked.missing, ['"name"', '"init_logging"', '"config_schema"', '"from_config"']);
    assert.equal((await runCli(["inspect", guard, "--abi", "native"])).exitCode, 2);
  });

  it("describes an archive of HeliosProxy's, and asks nobody for what it asks for", async () => {
    const wasm = await readFile(join(ROOT, "guests/prebuilt/helios_guard.c.wasm"));
    const manifest = {
      schema_version: "1.0",
      name: "guard",
      version: "1.2.0",
      description: "blocks what changes a whole table",
      license: "Apache-2.0",
      hooks: ["pre_query"],
      wasm_sha256: createHash("sha256").update(wasm).digest("hex"),
    };
    const path = join(folder, "guard.tar.gz");
    await writeFile(path, gzipSync(tar({ name: "manifest.json", content: JSON.stringify(manifest) }, { name: "plugin.wasm", content: wasm })));
    const { stdout, stderr, exitCode } = await runCli(["inspect", path]);
    assert.deepEqual([stderr, exitCode], ["", 0]);
    assert.match(
      stdout,
      /\nmanifest {3}guard 1\.2\.0: blocks what changes a whole table\nhooks {6}pre_query\nasks for {3}none\nmemory {5}64 MiB at most\nsignature {2}none\n/,
    );
    const { helios } = JSON.parse((await runCli(["inspect", path, "--json"])).stdout) as { helios: { name: string; signed: boolean } };
    assert.deepEqual([helios.name, helios.signed], ["guard", false]);
    // Hooks that the manifest leaves out cannot be called.
    const refused = await runCli(["call", path, "route", "--input", "{}"]);
    assert.match(refused.stderr, /^mortise: MORTISE_BAD_SIGNATURE: .*a hook that its manifest does not name/);
    assert.match((await runCli(["call", path, "pre_query", "--input", '{"query":"DROP TABLE t"}'])).stdout, /"block"/);
  });

  it("says of a native plugin what would allow it, and runs nothing of it", async () => {
    const path = join(folder, "loud.mjs");
    await writeFile(path, `console.log("it ran"); export const f = () => "called";\n`);
    const { stdout, exitCode } = await runCli(["inspect", path]);
    assert.equal(exitCode, 0);
    assert.match(
      stdout,
      /\ninterface {2}native: .*\nrefused {4}it would run without a sandbox, .*\nallowed by native = \[\{ path = ".*loud\.mjs", digest = "sha256:[0-9a-f]{64}" \}\]\n$/,
    );
    assert.doesNotMatch(stdout, /it ran/);
    assert.equal((JSON.parse((await runCli(["inspect", path, "--json"])).stdout) as { interface: { name: string } }).interface.name, "native");
  });

  it("says why a module would be refused, and succeeds", async () => {
    const path = await writeWat(folder, "shared", SHARED_MEMORY);
    const result = await runCli(["inspect", path]);
    assert.equal(result.exitCode, 0);
    assert.match(result.stdout, /refused {4}yes, for 1 reason\n/);
    assert.match(
      result.stdout,
      /refused because \(1\)\n {2}MORTISE_SHARED_MEMORY\n {4}Cannot run ".*" in this thread: .* could block the event loop/,
    );
  });

  it("marks host functions as the user's to provide", async () => {
    const path = await writeWat(folder, "needs-host", NEEDS_HOST);
    assert.match((await runCli(["inspect", path])).stdout, / {2}app {2}host functions: yours to provide\n {4}notify {2}\(i64\) -> i64\n/);
  });

  it("escapes names that would act on a terminal", async () => {
    const path = await writeWat(folder, "evil", EVIL_NAMES);
    const { stdout } = await runCli(["inspect", path]);
    assert.match(stdout, /\\u\{1b\}\[2J\\u\{202e\}clear/);
    const both = stdout + (await runCli(["inspect", path, "--json"])).stdout;
    assert.ok(!both.includes("\u001b") && !both.includes("\u202e"));
  });

  it("is plain in a pipe and coloured if FORCE_COLOR asks for it", async () => {
    const args = ["inspect", "guests/prebuilt/echo.c.wasm"];
    const plain = await runCli(args);
    const coloured = await runCli(args, { env: { FORCE_COLOR: "1" } });
    assert.ok(!plain.stdout.includes("\u001b"));
    assert.ok(coloured.stdout.includes("\u001b[1m"));
    assert.equal(stripVTControlCharacters(coloured.stdout), plain.stdout);
  });

  it("describes the main module of a manifest, with what the manifest is made of and asks for", async () => {
    const path = await writeWat(folder, "main", EVIL_NAMES);
    const manifest = join(folder, "two.json");
    const size = (await readFile(path)).length;
    const wasm = [
      { path: "main.wasm", name: "main" },
      { path: "shared.wasm", name: "other" },
    ];
    await writeWat(folder, "shared", SHARED_MEMORY);
    await writeFile(manifest, JSON.stringify({ wasm, allowed_hosts: ["a.example", "b.example"], allowed_paths: { "ro:/data": "/d" } }));
    const { stdout, exitCode } = await runCli(["inspect", manifest]);
    assert.equal(exitCode, 0);
    assert.ok(stdout.startsWith(`${manifest}\nmanifest   its main module is described below\nmodules    main: "${path}", ${size} bytes\n`), stdout);
    assert.match(stdout, /\n {11}other: ".*shared\.wasm", \d+ bytes\nhosts {6}a\.example\n {11}b\.example\nfolders {4}\/data:\/d:ro\n/);
    assert.match(stdout, /\n {2}plain +\(\) -> \(\) +can be called\n/);
    const json = JSON.parse((await runCli(["inspect", manifest, "--json"])).stdout) as { size: number; manifest: { modules: unknown } };
    assert.equal(json.size, size);
    assert.deepEqual(json.manifest, {
      modules: [
        { name: "main", source: `"${path}"`, size },
        { name: "other", source: `"${join(folder, "shared.wasm")}"`, size: (await readFile(join(folder, "shared.wasm"))).length },
      ],
      hosts: ["a.example", "b.example"],
      folders: [{ host: "/data", guest: "/d", readOnly: true }],
    });
  });

  it("takes a URL", async (t) => {
    const module = await readFile(join(ROOT, "guests/prebuilt/echo.c.wasm"));
    const server = createServer((_request, response) => response.end(module));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close().closeAllConnections());
    const { stdout, exitCode } = await runCli(["inspect", `http://127.0.0.1:${(server.address() as AddressInfo).port}/echo.wasm`, "--json"]);
    assert.deepEqual([(JSON.parse(stdout) as { size: number }).size, exitCode], [module.length, 0]);
  });

  it("prints the same as one object with --json", async () => {
    const file = "guests/prebuilt/sha256.c.wasm";
    const result = await runCli(["inspect", file, "--json"]);
    const { ok, ...description } = JSON.parse(result.stdout) as Record<string, unknown>;
    assert.equal(ok, true);
    assert.equal(description["file"], file);
    assert.equal(description["size"], (await readFile(join(ROOT, file))).length);
    assert.deepEqual(description["exports"], [
      { name: "memory", kind: "memory", type: "memory 1.. pages" },
      { name: "sha256", kind: "function", type: "() -> i32" },
    ]);
    assert.deepEqual(description["refusals"], []);
  });
});

describe("mortise inspect, on what is no core module,", () => {
  const component = Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0);
  const cases: readonly (readonly [name: string, contents: string | Uint8Array, code: string])[] = [
    ["empty.wasm", "", "MORTISE_NOT_WASM"],
    ["page.html", "<!doctype html>", "MORTISE_NOT_WASM"],
    ["module.wat", "(module)", "MORTISE_WASM_TEXT"],
    ["component.wasm", component, "MORTISE_WASM_COMPONENT"],
  ];
  for (const [name, contents, code] of cases) {
    it(`fails with ${code} for ${name}`, async () => {
      const path = join(folder, name);
      await writeFile(path, contents);
      const result = await runCli(["inspect", path]);
      assert.match(result.stderr, new RegExp(`^mortise: ${code}: Cannot read ".*${name}": [^\n]*\n$`));
      assert.deepEqual([result.stdout, result.exitCode], ["", 3]);
    });
  }

  for (const length of [1, 4, 7, 9, 30, 300, 2500, 5070]) {
    it(`fails in one line for a module cut after ${length} bytes`, async () => {
      const whole = await readFile(join(ROOT, "guests/prebuilt/sha256.c.wasm"));
      const path = join(folder, `cut-${length}.wasm`);
      await writeFile(path, whole.subarray(0, length));
      for (const args of [
        ["inspect", path],
        ["call", path, "sha256"],
      ]) {
        const result = await runCli(args);
        assert.match(result.stderr, /^mortise: MORTISE_(NOT_WASM|WASM_MALFORMED): Cannot read [^\n]*\n$/);
        assert.deepEqual([result.stdout, result.exitCode], ["", 3]);
      }
    });
  }

  it("says that the file is not there, or is a directory", async () => {
    const missing = await runCli(["inspect", "none.wasm"]);
    assert.equal(missing.stderr, 'mortise: MORTISE_SOURCE_NOT_FOUND: Cannot read "none.wasm": the file does not exist\n');
    const directory = await runCli(["inspect", "src"]);
    assert.equal(directory.stderr, 'mortise: MORTISE_SOURCE_UNREADABLE: Cannot read "src": it is a directory\n');
    assert.deepEqual([missing.exitCode, directory.exitCode], [3, 3]);
  });

  it("gives the failure as an object with --json", async () => {
    const result = await runCli(["inspect", "none.wasm", "--json"]);
    const { ok, error } = JSON.parse(result.stdout) as { ok: boolean; error: { code: string } };
    assert.deepEqual([ok, error.code, result.exitCode, result.stderr], [false, "MORTISE_SOURCE_NOT_FOUND", 3, ""]);
  });
});
