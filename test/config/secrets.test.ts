// Secret and resolveSecrets: what a configuration names is read for one plugin alone, and shown nowhere.

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { format, inspect } from "node:util";

import type { Config, PluginConfig } from "../../src/config/config.ts";
import type { ConfigProblem } from "../../src/config/problems.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { type SecretSources, resolveSecrets, resolveStoreUrl } from "../../src/config/resolve-secrets.ts";
import { Secret } from "../../src/config/secret.ts";
import { errorOf, shown } from "./faults.ts";

const folder = mkdtempSync(join(tmpdir(), "mortise-secrets-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const VALUE = "hunter2-hunter2";

async function pluginOf(lines: string): Promise<PluginConfig> {
  const { plugins } = await parseConfig(`[[plugins]]\nname = "a"\nsource = "a.wasm"\n${lines}`, { source: "mortise.toml", folder });
  return plugins[0] ?? assert.fail();
}

function secretFile(name: string, content: string | Uint8Array, mode: number = 0o600): void {
  writeFileSync(join(folder, name), content);
  chmodSync(join(folder, name), mode);
}

describe("Secret", () => {
  const secret = new Secret("env", "REDACT_KEY");

  it("shows its name alone, however it is printed", () => {
    const text = "[secret env:REDACT_KEY]";
    assert.equal(String(secret), text);
    assert.equal([secret].join(), text);
    assert.equal(JSON.stringify({ secret }), `{"secret":"${text}"}`);
    assert.equal(inspect({ secret }), `{ secret: ${text} }`);
    assert.equal(format("%s %o %j", secret, secret, secret), `${text} ${text} "${text}"`);
  });
});

describe("resolveSecrets", () => {
  const env = { REDACT_KEY: VALUE, EMPTY: "" };

  it("puts values where the configuration names them, at any depth, and lists them", async () => {
    secretFile("token", `${VALUE}-file\n`);
    const plugin = await pluginOf('config = { key = { env = "REDACT_KEY" }, deep = [{ a = { file = "token" } }], plain = "x" }');
    const resolved = await resolveSecrets(plugin, { env });
    assert.deepEqual(JSON.parse(JSON.stringify(resolved.config)), { key: VALUE, deep: [{ a: `${VALUE}-file` }], plain: "x" });
    assert.deepEqual({ ...resolved.configText }, { key: VALUE, deep: `[{"a":"${VALUE}-file"}]`, plain: "x" });
    assert.deepEqual(resolved.secrets, [VALUE, `${VALUE}-file`]);
  });

  it("gives text by text what is no text as JSON", async () => {
    const plugin = await pluginOf(
      'config = { n = 1.5, big = 9007199254740991, yes = true, list = [1, "a"], table = { a = 1 }, text = "1", day = 1979-05-27 }',
    );
    const { config, configText } = await resolveSecrets(plugin, { env });
    assert.deepEqual(
      { ...configText },
      { n: "1.5", big: "9007199254740991", yes: "true", list: '[1,"a"]', table: '{"a":1}', text: "1", day: "1979-05-27" },
    );
    assert.deepEqual([config["n"], config["yes"], config["text"]], [1.5, true, "1"]);
  });

  it("leaves a literal table as it is", async () => {
    const plugin = await pluginOf(
      'config = { a = { literal = { env = "REDACT_KEY" } }, b = { literal = { x = [{ file = "y" }] } }, c = { env = "REDACT_KEY", d = 1 } }',
    );
    const { config, secrets } = await resolveSecrets(plugin, { env });
    assert.deepEqual(JSON.parse(JSON.stringify(config)), { a: { env: "REDACT_KEY" }, b: { x: [{ file: "y" }] }, c: { env: "REDACT_KEY", d: 1 } });
    assert.deepEqual(secrets, []);
  });

  it("reads certificates and variables of WASI as well", async () => {
    secretFile("ca.pem", "-----BEGIN CERTIFICATE-----\n");
    const plugin = await pluginOf('http.ca = [{ file = "ca.pem" }, "pem"]\nwasi.env = { KEY = { env = "REDACT_KEY" }, LANG = "en" }');
    const { ca, env: variables } = await resolveSecrets(plugin, { env });
    assert.deepEqual([ca, { ...variables }], [["-----BEGIN CERTIFICATE-----", "pem"], { KEY: VALUE, LANG: "en" }]);
  });

  it("looks at nothing that the plugin does not name", async () => {
    const touched: string[] = [];
    const watched = new Proxy(env, {
      get: (target, name) => (touched.push(String(name)), Reflect.get(target, name) as unknown),
      ownKeys: () => assert.fail("it lists the environment"),
    });
    await resolveSecrets(await pluginOf('config.key = { env = "REDACT_KEY" }'), { env: watched });
    assert.deepEqual(touched, ["REDACT_KEY"]);
  });

  it("is not done when a configuration is read", async () => {
    const plugin = await pluginOf('config = { key = { env = "NO_SUCH" }, file = { file = "no-such" } }');
    assert.doesNotMatch(`${JSON.stringify(plugin)}${inspect(plugin, { depth: 20 })}`, /hunter2/);
    assert.ok(plugin.config["key"] instanceof Secret);
  });

  const missing: readonly (readonly [config: string, message: string])[] = [
    ['config.key = { env = "NO_SUCH" }', 'plugins[0].config.key needs the environment variable "NO_SUCH", which is not set'],
    ['config.key = { env = "EMPTY" }', 'plugins[0].config.key needs the environment variable "EMPTY", which is empty'],
    ['config.key = { env = "toString" }', 'plugins[0].config.key needs the environment variable "toString", which is not set'],
    ['config.key = { file = "none" }', `plugins[0].config.key needs the file "${join(folder, "none")}", which does not exist`],
    ['config.key = { file = "." }', `plugins[0].config.key needs the file "${folder}", which is a directory`],
    ['config.key = { file = "/dev/zero" }', 'plugins[0].config.key needs the file "/dev/zero", which is not a regular file'],
    ['config.key = { file = "empty" }', `plugins[0].config.key needs the file "${join(folder, "empty")}", which is empty`],
    ['config.key = { file = "odd" }', `plugins[0].config.key needs the file "${join(folder, "odd")}", which is not valid UTF-8`],
    [
      'config.key = { file = "large" }',
      `plugins[0].config.key needs the file "${join(folder, "large")}", which has more than the 65536 bytes that it may have`,
    ],
  ];
  for (const [config, message] of missing) {
    it(`fails for ${config}, with the place`, async () => {
      secretFile("empty", "\n");
      secretFile("odd", Buffer.from(`${VALUE}\xff`, "latin1"));
      secretFile("large", VALUE.repeat(10_000));
      const error = await errorOf(resolveSecrets(await pluginOf(config), { env }));
      assert.equal(error.code, "MORTISE_SECRET_MISSING");
      assert.equal(error.message, `Cannot use "mortise.toml", line 4, column 8: ${message}`);
      assert.doesNotMatch(JSON.stringify(error) + inspect(error), /hunter2/);
    });
  }

  it("keeps a trailing line break only where there are two", async () => {
    for (const [content, value] of [
      ["a", "a"],
      ["a\n", "a"],
      ["a\r\n", "a"],
      ["a\n\n", "a\n"],
      [" a ", " a "],
    ] as const) {
      secretFile("trim", content);
      const { config } = await resolveSecrets(await pluginOf('config.key = { file = "trim" }'), { env });
      assert.equal(config["key"], value);
    }
  });

  it("warns of files that others may use", { skip: process.platform === "win32" && "Windows has no such bits" }, async () => {
    const warned = async (mode: number): Promise<string[]> => {
      secretFile("open", VALUE, mode);
      const warnings: ConfigProblem[] = [];
      await resolveSecrets(await pluginOf('config.key = { file = "open" }'), { env, onWarning: (warning) => void warnings.push(warning) });
      return warnings.map(shown);
    };
    assert.deepEqual(await warned(0o600), []);
    assert.deepEqual(await warned(0o644), [
      `4:8 plugins[0].config.key names the file "${join(folder, "open")}", which others may use (mode 644); chmod 600 keeps it to its owner`,
    ]);
    assert.equal((await warned(0o620)).length, 1);
  });
});

describe("resolveStoreUrl", () => {
  const storeOf = (url: string): Promise<Config> => parseConfig(`[store]\nkind = "redis"\nurl = ${url}`, { folder });
  const sources: SecretSources = { env: { URL: `redis://user:${VALUE}@host`, BAD: `http://${VALUE}` } };

  it("gives what the configuration says or names", async () => {
    assert.equal(await resolveStoreUrl(await storeOf('"redis://host"'), sources), "redis://host");
    assert.equal(await resolveStoreUrl(await storeOf('{ env = "URL" }'), sources), `redis://user:${VALUE}@host`);
    assert.equal(await resolveStoreUrl(await parseConfig(""), sources), undefined);
  });

  it("refuses what is no URL of a store without showing it", async () => {
    const bad = await errorOf(resolveStoreUrl(await storeOf('{ env = "BAD" }'), sources));
    assert.equal(
      bad.message,
      "Cannot use the configuration, line 3, column 1: store.url names a secret that is not a URL of redis:, rediss: or unix:",
    );
    const none = await errorOf(resolveStoreUrl(await storeOf('{ env = "NONE" }'), sources));
    assert.equal(none.message, 'Cannot use the configuration, line 3, column 1: store.url needs the environment variable "NONE", which is not set');
  });
});
