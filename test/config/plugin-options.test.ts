// toPluginOptions: what a configuration says is what a plugin gets, and nothing else.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { toPluginOptions } from "../../src/config/plugin-options.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { resolveSecrets } from "../../src/config/resolve-secrets.ts";
import { resolveOptions } from "../../src/host/options.ts";
import type { Plugin } from "../../src/host/plugin.ts";
import { loadPlugin } from "../../src/loader/load-plugin.ts";
import { ROOT } from "../cli/run-cli.ts";
import { errorOf } from "./faults.ts";

const VOWELS = "guests/prebuilt/vowels.ts.wasm";
const folder = mkdtempSync(join(tmpdir(), "mortise-plugin-options-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function optionsOf(lines: string, source: string = VOWELS): Promise<ReturnType<typeof toPluginOptions>> {
  const { plugins, native } = await parseConfig(`[[plugins]]\nname = "a"\nsource = "${source}"\n${lines}`, { folder: ROOT });
  const [plugin] = plugins;
  assert.ok(plugin !== undefined);
  return toPluginOptions(plugin, await resolveSecrets(plugin, { env: { VOWELS: "lo" } }), native);
}

/** Loads as `loadPlugin` does, which knows nothing of hooks. */
async function load({ source, options }: Awaited<ReturnType<typeof optionsOf>>): Promise<Plugin> {
  const { order: _order, onFailure: _onFailure, filters: _filters, requires: _requires, ...own } = options;
  return loadPlugin(source, own);
}

describe("toPluginOptions", () => {
  it("gives options that the host takes, with everything in them", async () => {
    const { options } = await optionsOf(`
order = 3
on_failure = "open"
requires = ["beforeSave"]
isolation = "thread"
stateless = true
log_level = "warn"
abi = "extism"
limits = { timeout_ms = 70, memory_mb = 8 }
pool = { max_instances = 2 }
http = { max_redirects = 0, ca = ["pem"] }
wasi = { args = ["x"], env = { A = { env = "VOWELS" } }, clock = "precise", files = { "/a" = "b" }, output_kb = 1 }
permissions = { hosts = ["a.example"], kv = "read", paths = { "ro:guests" = "/g" }, metrics = true }
quotas = { kv_keys = 5 }
filters = { beforeSave = { kind = "x" } }
config = { a = { env = "VOWELS" }, b = [1] }`);
    const { order, onFailure, filters, requires, ...own } = options;
    resolveOptions(own);
    assert.deepEqual([order, onFailure, requires, JSON.stringify(filters)], [3, "open", ["beforeSave"], '{"beforeSave":{"kind":"x"}}']);
    assert.deepEqual(JSON.parse(JSON.stringify(own)), {
      name: "a",
      abi: "extism",
      isolation: "thread",
      stateless: true,
      logLevel: "warn",
      limits: { timeoutMs: 70, memoryBytes: 8 << 20 },
      permissions: { hosts: ["a.example"], kv: "read", paths: { [`ro:${join(ROOT, "guests")}`]: "/g" }, metrics: true },
      pool: { maxInstances: 2 },
      http: { maxRedirects: 0, ca: ["pem"] },
      wasi: { outputBytes: 1024, args: ["x"], clock: "precise", files: { "/a": "b" }, env: { A: "lo" } },
      config: { a: "lo", b: [1] },
      secrets: ["lo"],
      quotas: { kvKeys: 5 },
    });
  });

  it("loads a plugin with its configuration and limits", async () => {
    await using plugin = await load(await optionsOf('config.vowels = { env = "VOWELS" }\nlimits.timeout_ms = 500'));
    assert.equal(plugin.callSync("count_vowels", "Hello, World").text(), '{"count":5,"total":5,"vowels":"lo"}');
    assert.equal(plugin.name, "a");
  });

  it("denies the hosts and folders that a manifest asks for", async () => {
    const manifest = join(folder, "plugin.json");
    writeFileSync(
      manifest,
      JSON.stringify({ wasm: [{ path: join(ROOT, VOWELS) }], allowed_hosts: ["example.com"], allowed_paths: { "/no/such/folder": "/x" } }),
    );
    const { options } = await optionsOf("", manifest);
    assert.deepEqual(options.permissions, { hosts: [], paths: {} });
    // The folder does not exist: who granted it would fail.
    await using plugin = await load(await optionsOf("", manifest));
    assert.equal(plugin.has("count_vowels"), true);
    await errorOf(loadPlugin(manifest));
  });

  it("pins the module by its digest", async () => {
    const digest = createHash("sha256")
      .update(readFileSync(join(ROOT, VOWELS)))
      .digest("hex");
    await using plugin = await load(await optionsOf(`digest = "sha256:${digest}"`));
    assert.equal(plugin.has("count_vowels"), true);
    const other = await errorOf(load(await optionsOf(`digest = "sha256:${"0".repeat(64)}"`)));
    assert.equal(other.code, "MORTISE_DIGEST_MISMATCH");
  });

  it("hands on the native plugins that may be loaded", async () => {
    const { options } = await optionsOf(`[[native]]\npath = "x.node"\ndigest = "sha256:${"0".repeat(64)}"`);
    assert.deepEqual(options.native, [{ path: join(ROOT, "x.node"), digest: `sha256:${"0".repeat(64)}` }]);
  });
});
