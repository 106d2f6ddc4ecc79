// What `mortise call` grants a plugin, what becomes of one that wants more, and plugins that are manifests.
import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { FETCH, FIXTURE, PROGRAMS, makeFolder, program, writeWat } from "./modules.ts";
import { type CliResult, ROOT, runCli } from "./run-cli.ts";

const VOWELS = join(ROOT, "guests/prebuilt/vowels.ts.wasm");

const folder = await makeFolder();
after(() => rm(folder, { recursive: true }));
const fetches = await writeWat(folder, "fetches", FETCH);
const fixture = await writeWat(folder, "fixture", FIXTURE);

const call = (...args: readonly string[]): Promise<CliResult> => runCli(["call", ...args]);

describe("mortise call --allow-host", () => {
  const seen: (string | undefined)[] = [];
  let server: Server;
  let origin = "";
  before(async () => {
    server = createServer((request, response) => {
      seen.push(request.url);
      if (request.url === "/slow") return;
      if (request.url === "/away") response.writeHead(302, { location: "http://169.254.169.254/" }).end();
      else response.end(`you asked for ${request.url}`);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close().closeAllConnections());

  const ask = (path: string, ...flags: readonly string[]): Promise<CliResult> =>
    call(fetches, "fetch", "--input", JSON.stringify({ url: origin + path }), ...flags);

  it("lets the plugin send requests to the host", async () => {
    const { stdout, stderr, exitCode } = await ask("/hello", "--allow-host", "api.example.com", "--allow-host", "127.0.0.1");
    assert.deepEqual([stdout, stderr, exitCode], ["you asked for /hello", "", 0]);
    assert.deepEqual(seen.splice(0), ["/hello"]);
  });

  it("is needed for any request", async () => {
    const { stdout, stderr, exitCode } = await ask("/hello");
    assert.match(
      stderr,
      /^mortise: MORTISE_PERMISSION: .* an HTTP request needs a permission .*\n {2}hint: mortise call --allow-host HOST grants it\n$/,
    );
    assert.deepEqual([stdout, exitCode, seen.splice(0)], ["", 1, []]);
  });

  it("is needed for this host, and for the one that a redirect leads to", async () => {
    const other = await ask("/hello", "--allow-host", "api.example.com");
    assert.match(other.stderr, /^mortise: MORTISE_HTTP_DENIED: .*HTTP to "127.0.0.1" .*\n {2}hint: mortise call --allow-host 127.0.0.1 grants it\n$/);
    assert.deepEqual([other.exitCode, seen.splice(0)], [1, []]);
    const away = await ask("/away", "--allow-host", "127.0.0.1");
    assert.match(away.stderr, /^mortise: MORTISE_HTTP_DENIED: .*HTTP to "169.254.169.254" .*\n {2}hint: /);
    assert.deepEqual([away.exitCode, seen.splice(0)], [1, ["/away"]]);
  });

  it("holds the plugin to its deadline while it waits for an answer", async () => {
    const { stderr, exitCode } = await ask("/slow", "--allow-host", "127.0.0.1", "--timeout-ms", "100");
    assert.deepEqual([exitCode, seen.splice(0)], [1, ["/slow"]]);
    assert.match(stderr, /^mortise: MORTISE_TIMEOUT: .*ran past its deadline/);
  });

  it("is needed for the hosts that a manifest asks for, or --manifest-grants is; hosts that are given replace them", async () => {
    const manifest = join(folder, "fetches.json");
    await writeFile(manifest, JSON.stringify({ wasm: [{ path: "fetches.wasm" }], allowed_hosts: ["127.0.0.1"] }));
    const input = JSON.stringify({ url: `${origin}/granted` });
    const refused = await call(manifest, "fetch", "--input", input);
    assert.match(
      refused.stderr,
      /^mortise: note: not granted: host 127\.0\.0\.1; --manifest-grants grants what the manifest asks for\nmortise: MORTISE_PERMISSION: /,
    );
    assert.deepEqual([refused.stdout, refused.exitCode, seen.splice(0)], ["", 1, []]);
    const granted = await call(manifest, "fetch", "--input", input, "--manifest-grants");
    assert.deepEqual([granted.stdout, granted.stderr, seen.splice(0)], ["you asked for /granted", "", ["/granted"]]);
    for (const flags of [[], ["--manifest-grants"]]) {
      const other = await call(manifest, "fetch", "--input", input, "--allow-host", "api.example.com", ...flags);
      assert.match(other.stderr, /^mortise: MORTISE_HTTP_DENIED/);
      assert.deepEqual(seen.splice(0), []);
    }
  });

  it("refuses what is no host", async () => {
    const { stderr, exitCode } = await ask("/hello", "--allow-host", "https://example.com");
    assert.match(stderr, /^mortise: MORTISE_INVALID_OPTION: .*"https:\/\/example.com", which has a scheme/);
    assert.deepEqual([exitCode, seen.splice(0)], [2, []]);
  });
});

describe("mortise call --allow-path and --env", () => {
  it("grant folders and variables of WASI", async () => {
    await mkdir(join(folder, "data"), { recursive: true });
    // Exits with 10 plus what asking for a granted folder returns, and 20 more for each variable.
    const path = await writeWat(
      folder,
      "grants",
      program(`
        (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
        (call $proc_exit (i32.add
          (i32.add (i32.const 10) (call $fd_prestat_get (i32.const 3) (i32.const 32)))
          (i32.mul (i32.const 20) (i32.load (i32.const 16)))))`),
    );
    const exitCode = async (...flags: readonly string[]): Promise<unknown> => {
      const { stdout } = await call(path, "_start", "--json", ...flags);
      return (JSON.parse(stdout) as { error: { details: { exitCode: number } } }).error.details.exitCode;
    };
    assert.equal(await exitCode(), 18);
    assert.equal(await exitCode("--allow-path", `${folder}/data:/data:ro`), 10);
    assert.equal(await exitCode("--env", "A=1", "--env", "B=2"), 58);
    const manifest = join(folder, "grants.json");
    await writeFile(manifest, JSON.stringify({ wasm: [{ path }], allowed_paths: { "ro:data": "/data" } }));
    const asked = await call(manifest, "_start", "--json");
    assert.match(asked.stdout, /"exitCode":18\b/);
    assert.ok(asked.stderr.startsWith(`mortise: note: not granted: folder ${join(folder, "data")}:/data:ro; --manifest-grants`), asked.stderr);
    assert.match((await call(manifest, "_start", "--json", "--manifest-grants")).stdout, /"exitCode":10\b/);
  });

  it("report a folder that cannot be granted", async () => {
    const { stderr, exitCode } = await call(fixture, "nothing", "--allow-path", `${folder}/none:/data`);
    assert.match(stderr, /^mortise: MORTISE_BAD_MOUNT: .*none": it does not exist\n$/);
    assert.equal(exitCode, 3);
  });
});

describe("mortise call of a program", () => {
  it("says that what _start writes is dropped, and what shows it", async () => {
    const path = await writeWat(folder, "writes", PROGRAMS.writes);
    const { stdout, stderr } = await call(path, "_start");
    assert.equal(stdout, "");
    assert.match(stderr, /^mortise: note: _start begins a program, whose output is dropped here; mortise run .*writes\.wasm shows it\n/);
  });

  it("points to mortise run", async () => {
    const path = await writeWat(folder, "returns", program(""));
    const { stderr, exitCode } = await call(path, "main");
    assert.match(stderr, /^mortise: MORTISE_UNKNOWN_FUNCTION: .*\n {2}hint: it is a program: mortise run .*returns.wasm\n$/);
    assert.equal(exitCode, 2);
  });
});

describe("mortise call of a manifest", () => {
  const manifest = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };

  it("loads the module that it names, with its settings", async () => {
    const json = await manifest("vowels.json", JSON.stringify({ wasm: [{ path: VOWELS }], config: { vowels: "lo" } }));
    assert.equal((await call(json, "count_vowels", "--input", "Hello, World!")).stdout, '{"count":5,"total":5,"vowels":"lo"}');
    const toml = await manifest("vowels.toml", `[[wasm]]\npath = ${JSON.stringify(VOWELS)}\n\n[config]\nvowels = "lo"\n`);
    assert.equal((await call(toml, "count_vowels", "--input", "Hello", "--config", "vowels=e")).stdout, '{"count":1,"total":1,"vowels":"e"}');
  });

  it("holds it to the manifest's limits, unless the command line states others", async () => {
    const path = await manifest("slow.json", `{"wasm":[{"path":"fixture.wasm"}],"timeout_ms":40}`);
    assert.match((await call(path, "spin")).stderr, /MORTISE_TIMEOUT: .*deadline of 40 ms/);
    assert.match((await call(path, "spin", "--timeout-ms", "60")).stderr, /MORTISE_TIMEOUT: .*deadline of 60 ms/);
  });

  const faults: readonly (readonly [title: string, name: string, text: string, code: string, message: RegExp])[] = [
    [
      "an unknown key",
      "key.json",
      `{\n  "wasm": [\n    { "pth": "a.wasm" }\n  ]\n}\n`,
      "MORTISE_MANIFEST_INVALID",
      /key\.json", line 3, column 7: wasm\[0\]\.pth is not a key of a module; did you mean "path"\?/,
    ],
    ["a fault in JSON", "comma.json", `{\n  "wasm": [],\n}\n`, "MORTISE_MANIFEST_INVALID", /comma\.json", line 3, column 1: /],
    ["a fault in TOML", "quote.toml", `[[wasm]]\npath = "a.wasm\n`, "MORTISE_MANIFEST_INVALID", /quote\.toml", line 2, column \d+: /],
    [
      "a value of the wrong kind in TOML",
      "kind.toml",
      `timeout_ms = "soon"\n\n[[wasm]]\npath = "a.wasm"\n`,
      "MORTISE_MANIFEST_INVALID",
      /kind\.toml", line 1, column \d+: timeout_ms /,
    ],
    [
      "a module that is not there",
      "missing.json",
      `{"wasm":[{"path":"none.wasm"}]}`,
      "MORTISE_SOURCE_NOT_FOUND",
      /none\.wasm": the file does not exist/,
    ],
    [
      "a digest that differs",
      "digest.json",
      `{"wasm":[{"path":"fixture.wasm","hash":"${"0".repeat(64)}"}]}`,
      "MORTISE_DIGEST_MISMATCH",
      /SHA-256 is [0-9a-f]{64} but must be 0{64}/,
    ],
  ];
  for (const [title, name, text, code, message] of faults) {
    it(`reports ${title} in one line`, async () => {
      const { stdout, stderr, exitCode } = await call(await manifest(name, text), "run");
      assert.ok(stderr.startsWith(`mortise: ${code}: `) && stderr.split("\n").length === 2, stderr);
      assert.match(stderr, message);
      assert.deepEqual([stdout, exitCode], ["", 3]);
    });
  }
});
