// `mortise plugin import` as a process: what goes where, exit codes, and that no file is overwritten.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { readConfig } from "../../src/config/read-config.ts";
import { type CliResult, runCli } from "../cli/run-cli.ts";
import { MODULE } from "../manifest/modules.ts";

const folder = mkdtempSync(join(tmpdir(), "mortise-import-"));
after(() => rmSync(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);
const run = (...args: string[]): Promise<CliResult> => runCli(["plugin", "import", ...args]);

const PROVIDERS = '[[providers]]\nname = "openai"\npath = "/p/openai.wasm"\n\n[providers.config]\napi_key = "sk-secret"\n';
writeFileSync(at("providers.toml"), PROVIDERS);

describe("mortise plugin import", () => {
  it("prints the configuration to stdout and the notes to stderr", async () => {
    const { stdout, stderr, exitCode } = await run(at("providers.toml"));
    assert.equal(exitCode, 0);
    assert.ok(stdout.startsWith(`# Imported from "${at("providers.toml")}" of QueryMT.\n`), stdout);
    assert.ok(stdout.endsWith('[gateway.providers.config]\napi_key = { env = "OPENAI_API_KEY" }\n'), stdout);
    assert.ok(stderr.startsWith("mortise: note: line 6, column 1: providers[0].config.api_key\n  a secret in the clear: "), stderr);
    assert.match(stderr, /\n {2}→ set the variable OPENAI_API_KEY, and revoke the secret/);
    assert.ok(!`${stdout}${stderr}`.includes("sk-secret"));
  });

  it("writes a file that can be read, and never overwrites one", async () => {
    const out = at("mortise.toml");
    const first = await run(at("providers.toml"), "--out", out);
    assert.deepEqual([first.stdout, first.exitCode], ["", 0], first.stderr);
    const { gateway } = await readConfig(out);
    assert.deepEqual(
      gateway?.providers.map(({ name, source }) => [name, source]),
      [["openai", "/p/openai.wasm"]],
    );
    writeFileSync(out, "mine");
    const second = await run(at("providers.toml"), "--out", out);
    assert.equal(second.exitCode, 2);
    assert.equal(
      second.stderr,
      `mortise: MORTISE_USAGE: cannot write "${out}": it exists already\n  hint: name another file, or move that one away\n`,
    );
    assert.equal(readFileSync(out, "utf8"), "mine");
    const third = await run(at("providers.toml"), "--out", at("none/mortise.toml"));
    assert.equal(third.exitCode, 2);
    assert.match(third.stderr, /^mortise: MORTISE_USAGE: cannot write ".*mortise\.toml": it does not exist\n$/);
  });

  it("prints one object with --json", async () => {
    const { stdout, stderr, exitCode } = await run(at("providers.toml"), "--json");
    assert.deepEqual([stderr, exitCode], ["", 0]);
    const { ok, system, toml, config, notes } = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([ok, system, typeof toml, Array.isArray(notes)], [true, "QueryMT", "string", true]);
    assert.deepEqual(config, {
      gateway: { providers: [{ name: "openai", source: "/p/openai.wasm", config: { api_key: { env: "OPENAI_API_KEY" } } }] },
    });
    const failed = await run(at("missing.toml"), "--json");
    assert.equal(failed.exitCode, 3);
    assert.equal((JSON.parse(failed.stdout) as { error: { code: string } }).error.code, "MORTISE_SOURCE_NOT_FOUND");
  });

  it("looks into the folder of HeliosProxy's plugins", async () => {
    mkdirSync(at("plugins"));
    writeFileSync(at("plugins/guard.wasm"), MODULE);
    writeFileSync(at("plugins/guard.yaml"), "name: sql-guard\nhooks: [pre_query]\npermissions: [kv_write, crypto]\n");
    writeFileSync(at("plugins/broken.wasm"), "no module");
    writeFileSync(at("plugins/README"), "not a plugin");
    writeFileSync(at("proxy.toml"), `[plugins]\nenabled = true\nplugin_dir = ${JSON.stringify(at("plugins"))}\n`);
    const { stdout, stderr, exitCode } = await run(at("proxy.toml"));
    assert.equal(exitCode, 0, stderr);
    const digest = createHash("sha256").update(MODULE).digest("hex");
    assert.ok(
      stdout.includes(
        `[[plugins]]\nname = "sql-guard"\nsource = ${JSON.stringify(at("plugins/guard.wasm"))}\ndigest = "sha256:${digest}"\nabi = "helios"\n`,
      ),
      stdout,
    );
    assert.match(
      stdout,
      /# asks for, under \[plugins\.permissions\]: kv = "read-write"\n# asks for, under \[plugins\.permissions\]: crypto = true\n/,
    );
    assert.match(stdout, /# .*broken\.wasm was left out: Cannot read ".*broken\.wasm": it starts with bytes 6e 6f 20 6d/);
  });

  const files: readonly (readonly [title: string, name: string, content: string | Uint8Array, code: string])[] = [
    ["what is none", "Cargo.toml", "[package]\n", "MORTISE_CONFIG_INVALID"],
    ["what cannot be read", "bad.toml", "providers = [", "MORTISE_CONFIG_INVALID"],
    ["what is not UTF-8", "latin.toml", Uint8Array.of(0x61, 0xe4), "MORTISE_CONFIG_INVALID"],
    ["what is too large", "large.toml", "#".repeat((1 << 20) + 1), "MORTISE_SOURCE_UNREADABLE"],
  ];
  for (const [title, name, content, code] of files) {
    it(`fails for ${title} with exit code 3`, async () => {
      writeFileSync(at(name), content);
      const { stdout, stderr, exitCode } = await run(at(name));
      assert.deepEqual([stdout, exitCode], ["", 3]);
      assert.ok(stderr.startsWith(`mortise: ${code}: Cannot `), stderr);
    });
  }

  it("says what is wrong with the command line", async () => {
    const none = await run();
    assert.deepEqual([none.exitCode, none.stderr.split("\n")[0]], [2, "mortise: MORTISE_USAGE: missing required argument 'file'"]);
    const folderGiven = await run(folder);
    assert.equal(folderGiven.exitCode, 3);
    assert.match(folderGiven.stderr, /^mortise: MORTISE_SOURCE_UNREADABLE: .*: it is a directory\n$/);
  });

  it("prints nothing that acts on a terminal", async () => {
    writeFileSync(
      at("escape.json"),
      JSON.stringify({ providers: [{ name: "a\u001b[2J", path: "/x\u202e.wasm", "k\u001b": 1, config: { "c\u009b": null, d: "\u001b[2J" } }] }),
    );
    const { stdout, stderr, exitCode } = await run(at("escape.json"));
    assert.equal(exitCode, 0, stderr);
    // oxlint-disable-next-line no-control-regex -- control characters are what this is about
    assert.doesNotMatch(`${stdout}${stderr}`, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  });
});
