// `mortise config`, as a process.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { parse } from "smol-toml";

import { parseConfig } from "../../src/config/read-config.ts";
import { type CliResult, ROOT, runCli } from "../cli/run-cli.ts";

const folder = mkdtempSync(join(tmpdir(), "mortise-config-command-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function config(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliResult> {
  return runCli(["config", ...args], { cwd: folder, env });
}

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
}

const PLUGIN = '[[plugins]]\nname = "a"\nsource = "a.wasm"\n';
const SECRET = "hunter2-hunter2";

describe("mortise config check", () => {
  it("says that mortise.toml is right, with its plugins and files", async () => {
    write("mortise.toml", `include = ["more.toml"]\n${PLUGIN}`);
    write("more.toml", '[[plugins]]\nname = "b"\nsource = "b.wasm"\n');
    const result = await config(["check"]);
    assert.deepEqual([result.stdout, result.stderr, result.exitCode], ["mortise.toml: no problems (2 plugins, 2 files)\n", "", 0]);
    const json = await config(["check", "--json"]);
    assert.deepEqual(JSON.parse(json.stdout), {
      ok: true,
      files: [join(folder, "mortise.toml"), join(folder, "more.toml")],
      plugins: ["a", "b"],
      warnings: [],
    });
  });

  it("prints every problem with its place, and exits with 3", async () => {
    write("bad.toml", `${PLUGIN}permissions.host = []\norder = "first\\u001b[2J"\n`);
    const result = await config(["check", "bad.toml"]);
    assert.deepEqual([result.stdout, result.exitCode], ["", 3]);
    assert.equal(
      result.stderr,
      `mortise: MORTISE_CONFIG_INVALID: Cannot use "bad.toml", line 4, column 13: plugins[0].permissions.host is unknown; did you mean hosts?; there is 1 more problem
  "bad.toml", line 5, column 1: plugins[0].order is "first\\u001b[2J" but must be a whole number
`,
    );
    const { ok, error } = JSON.parse((await config(["check", "bad.toml", "--json"])).stdout) as {
      ok: boolean;
      error: { code: string; details: { problems: { place: string }[] } };
    };
    assert.deepEqual(
      [ok, error.code, error.details.problems.map(({ place }) => place)],
      [false, "MORTISE_CONFIG_INVALID", ["plugins[0].permissions.host", "plugins[0].order"]],
    );
  });

  it("says how many problems there are besides those that it prints", async () => {
    write("many.toml", Array.from({ length: 30 }, (_unused, index) => `zz${index} = 1\n`).join(""));
    const { stderr } = await config(["check", "many.toml"]);
    assert.equal(stderr.split("\n").length, 22);
    assert.match(stderr, /there are 29 more problems\n/);
    assert.match(stderr, /\n {2}and 10 more\n$/);
  });

  it("says that a file is not there", async () => {
    const result = await config(["check", "none.toml"]);
    assert.deepEqual([result.stderr, result.exitCode], ['mortise: MORTISE_SOURCE_NOT_FOUND: Cannot read "none.toml": the file does not exist\n', 3]);
  });

  it("looks for secrets if it is told to, and prints none", async () => {
    write(
      "secret.toml",
      `${PLUGIN}config.key = { env = "H4_SECRET" }\nconfig.token = "${SECRET}"\n[[plugins]]\nname = "off"\nsource = "x"\nenabled = false\nconfig.key = { env = "H4_NONE" }\n`,
    );
    const plain = await config(["check", "secret.toml"]);
    assert.deepEqual([plain.stdout, plain.exitCode], ["secret.toml: no problems (2 plugins)\n", 0]);
    assert.match(
      plain.stderr,
      /^mortise: note: "secret.toml", line 5, column 8: plugins\[0\]\.config\.token looks like a secret in the clear; [^\n]+\n$/,
    );
    const missing = await config(["check", "secret.toml", "--secrets"]);
    assert.equal(
      missing.stderr,
      'mortise: MORTISE_SECRET_MISSING: Cannot use "secret.toml", line 4, column 8: plugins[0].config.key needs the environment variable "H4_SECRET", which is not set\n',
    );
    assert.equal(missing.exitCode, 3);
    const found = await config(["check", "secret.toml", "--secrets", "--json"], { H4_SECRET: SECRET });
    assert.equal(found.exitCode, 0);
    for (const { stdout, stderr } of [plain, missing, found]) assert.doesNotMatch(stdout + stderr, /hunter2/);
  });
});

describe("mortise config show", () => {
  const text = `[defaults]
log_level = "warn"
limits.timeout_ms = 50
[ceilings]
limits.memory_mb = 32
[store]
kind = "redis"
url = "redis://user:${SECRET}@host"
[databases.main]
kind = "sqlite"
path = "a.db"
[[native]]
path = "x.node"
digest = "sha256:${"0".repeat(64)}"
${PLUGIN}
config = { key = { env = "H4_SECRET" }, api_key = "${SECRET}", auth_tokens = ["${SECRET}"], apikey = "${SECRET}", "a b" = [1, { c = true }], plain = "x" }
permissions = { databases.main = "read", paths = { "./d" = { guest = "/d" } } }
filters.save = { "user.role" = ["a"], n = { gt = 1 } }
stateless = true
`;

  it("prints TOML that means the same, with every default, and no secret", async () => {
    write("show.toml", text);
    const { stdout, exitCode } = await config(["show", "show.toml"], { H4_SECRET: SECRET });
    assert.equal(exitCode, 0);
    assert.doesNotMatch(stdout, /hunter2/);
    const shown = parse(stdout) as { plugins: Record<string, Record<string, unknown>>[] };
    assert.deepEqual(JSON.parse(JSON.stringify(shown.plugins[0]?.["config"])), {
      key: "[secret env:H4_SECRET]",
      api_key: "[hidden]",
      auth_tokens: ["[hidden]"],
      apikey: "[hidden]",
      "a b": [1, { c: true }],
      plain: "x",
    });
    const meaning = async (toml: string): Promise<unknown> => {
      const { plugins, databases, native } = await parseConfig(toml, { folder });
      const [{ limits, permissions, filters, logLevel, source } = assert.fail()] = plugins;
      return JSON.parse(JSON.stringify({ limits: { ...limits, fuel: 0 }, permissions, filters, logLevel, source, databases, native }));
    };
    const before = (await meaning(text)) as { limits: object };
    const again = (await meaning(stdout.replace("[hidden]@", "x@"))) as { limits: object };
    assert.deepEqual({ ...again, limits: { ...again.limits, ...before.limits } }, { ...before, limits: { ...again.limits } });
  });

  it("marks what nobody wrote with who gave it", async () => {
    write("show.toml", text);
    const { stdout } = await config(["show", "show.toml"]);
    for (const line of [
      'log_level = "warn" # from [defaults]',
      "timeout_ms = 50 # from [defaults]",
      "memory_mb = 32 # from [ceilings]",
      'fuel = "unlimited" # default',
      "order = 0 # default",
      "stateless = true",
      "max_instances = 8 # default",
      'url = "redis://user:[hidden]@host"',
      'prefix = "mortise:" # default',
      "cache_mb = 64 # default",
      `path = ${JSON.stringify(join(folder, "a.db"))}`,
      "[plugins.filters.save]",
      "n = { gt = 1 }",
    ])
      assert.ok(stdout.split("\n").includes(line), `${line} in\n${stdout}`);
    const json = JSON.parse((await config(["show", "show.toml", "--json"])).stdout) as {
      origins: Record<string, string>;
      plugins: Record<string, unknown>[];
    };
    assert.deepEqual(
      ["log_level", "limits.timeout_ms", "limits.memory_mb", "order", "stateless"].map((key) => json.origins[`plugins[0].${key}`]),
      ["defaults", "defaults", "ceilings", "default", undefined],
    );
    assert.equal(JSON.stringify(json).includes(SECRET), false);
  });

  it("shows one instance for a plugin that is not stateless", async () => {
    write("one.toml", PLUGIN);
    assert.match((await config(["show", "one.toml"])).stdout, /\nmax_instances = 1 # default\n/);
  });
});

describe("mortise config schema", () => {
  it("prints the schema that stands in docs", async () => {
    const { stdout, exitCode } = await config(["schema"]);
    assert.equal(exitCode, 0);
    assert.ok(stdout === readFileSync(join(ROOT, "docs/mortise.schema.json"), "utf8"));
  });
});

describe("mortise config", () => {
  it("prints help of its commands, within 80 columns, and knows no others", async () => {
    for (const args of [["--help"], ["check", "--help"], ["show", "--help"], ["schema", "--help"]]) {
      const { stdout, exitCode } = await config(args);
      assert.equal(exitCode, 0);
      assert.ok(stdout.startsWith("Usage: mortise config"));
      assert.ok(stdout.split("\n").every((line) => line.length <= 80));
    }
    const wrong = await config(["chek"]);
    assert.deepEqual([wrong.stderr, wrong.exitCode], ["mortise: MORTISE_USAGE: unknown command 'chek'\n  hint: did you mean check?\n", 2]);
  });
});
