// Keys of mortise.toml about versions, dependencies, breakers, probes and watching: what is written is what the host does.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { isMortiseError } from "../../src/api/errors.ts";
import { loadConfigured } from "../../src/config/apply-config.ts";
import type { Config } from "../../src/config/config.ts";
import { toPluginOptions } from "../../src/config/plugin-options.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { resolveSecrets } from "../../src/config/resolve-secrets.ts";
import { TRAP, guest } from "../hooks/guests.ts";
import { answering, open } from "./hosts.ts";

const folder = mkdtempSync(join(tmpdir(), "mortise-configured-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const plugin = (name: string, more: string = ""): string => `[[plugins]]\nname = "${name}"\nsource = "${name}.wasm"\n${more}\n`;
const read = (...plugins: readonly string[]): Promise<Config> => parseConfig(plugins.join("\n"), { folder });

describe("loadConfigured", () => {
  it("loads plugins after those that they depend on, and gives the host what their tables say", async () => {
    for (const name of ["a", "b", "c"]) writeFileSync(join(folder, `${name}.wasm`), await answering(name));
    const config = await read(
      plugin("a", 'depends_on = ["c"]\norder = 1'),
      plugin("b", 'order = 2\nversion = "2.1"\nwatch = true\nbreaker = { failures = 1, open_ms = 60_000 }'),
      plugin("c", 'order = 3\nbreaker.enabled = false\nprobe.function = "check"'),
    );
    await using host = await open();
    const loaded = await loadConfigured(host, config, { env: {} });
    assert.deepEqual(
      loaded.map(({ name }) => name),
      ["c", "a", "b"],
    );
    const [a, b, c] = ["a", "b", "c"].map((name) => host.plugins.describe(name));
    assert.deepEqual([a?.dependsOn, b?.version, b?.watched, c?.versions[0]?.breaker], [["c"], "2.1", true, undefined]);
  });

  it("does not load a plugin that does not pass its probe", async () => {
    writeFileSync(join(folder, "broken.wasm"), await guest({ check: TRAP }));
    await using host = await open();
    const config = await read(plugin("broken", 'probe = { function = "check", input = "x" }'));
    await assert.rejects(loadConfigured(host, config, { env: {} }), {
      code: "MORTISE_PROBE_FAILED",
      message: /^Cannot use version "1" of plugin "broken": its probe "check" failed: .*trapped/,
    });
    assert.deepEqual(host.plugins.list(), []);
  });
});

describe("toPluginOptions", () => {
  it("leaves out what is not written", async () => {
    const { plugins } = await read(plugin("a"), plugin("b", "breaker = { failures = 3, window_ms = 10, share = 1, open_ms = 20, probes = 2 }"));
    const options = await Promise.all(plugins.map(async (each) => toPluginOptions(each, await resolveSecrets(each, { env: {} })).options));
    for (const key of ["version", "dependsOn", "watch", "probe", "breaker", "requires"]) assert.ok(!Object.hasOwn(options[0] as object, key), key);
    assert.deepEqual(options[1]?.breaker, { failures: 3, windowMs: 10, share: 1, openMs: 20, probes: 2 });
  });
});

describe("depends_on", () => {
  it("names plugins of the configuration, without a circle, and its faults have a place", async () => {
    const cases: readonly (readonly [plugins: readonly string[], reasons: readonly RegExp[]])[] = [
      [[plugin("a", 'depends_on = ["b"]')], [/ is "b", which is no plugin of the configuration$/]],
      [[plugin("a", 'depends_on = ["a"]')], [/ is "a", which depends on this one$/]],
      [[plugin("a", 'depends_on = ["b"]'), plugin("b", "enabled = false")], [/ is "b", which is not enabled$/]],
      [
        [plugin("a", 'depends_on = ["b"]'), plugin("b", 'depends_on = ["c"]'), plugin("c", 'depends_on = ["a"]')],
        [/"b", which depends/, /"c", which depends/, /"a", which depends/],
      ],
    ];
    for (const [plugins, reasons] of cases) {
      const problems = await read(...plugins).then(
        () => [],
        (error: unknown) => (isMortiseError(error) ? (error.details["problems"] as { reason: string; place: unknown; line: number }[]) : []),
      );
      assert.equal(problems.length, reasons.length, plugins.join());
      for (const [index, { reason, line }] of problems.entries()) {
        assert.match(reason, reasons[index] as RegExp);
        assert.equal(line, 4 + index * 5);
      }
    }
  });
});
