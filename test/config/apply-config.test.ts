// A configuration at work: its services opened, its plugins in a host, its hooks overridden.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { type Config, loadConfigured, openServices, parseConfig, withConfiguredHooks } from "../../src/config/index.ts";
import { createHost, hook } from "../../src/index.ts";
import { ROOT } from "../cli/run-cli.ts";

const folder = await mkdtemp(join(tmpdir(), "mortise-apply-"));
after(() => rm(folder, { recursive: true }));

const GUARD = join(ROOT, "guests/prebuilt/hooks.c.wasm");
const sources = { env: { WORD: "swordfish" } };

const parse = (text: string): Promise<Config> => parseConfig(text, { source: "mortise.toml", folder });
const plugin = (name: string, more: string = ""): string => `[[plugins]]\nname = "${name}"\nsource = "${GUARD}"\n${more}\n`;

describe("loadConfigured()", () => {
  it("loads the enabled plugins in their order, each with its own configuration and secrets", async () => {
    const config = await parse(
      plugin("late", `order = 2\nconfig = { deny = { env = "WORD" } }`) + plugin("off", "enabled = false") + plugin("early", "order = 1"),
    );
    await using host = await createHost({ hooks: { check: hook.chain<string>() } });
    assert.deepEqual(
      (await loadConfigured(host, config, sources)).map(({ name }) => name),
      ["early", "late"],
    );
    await assert.rejects(host.hooks.check("a swordfish"), { code: "MORTISE_HOOK_REJECTED", message: /plugin "late"/ });
    assert.equal(await host.hooks.check("a trout"), "a trout");
  });

  it("leaves nothing behind if one of them cannot be loaded, and says why", async () => {
    const config = await parse(plugin("first") + plugin("second", `config = { deny = { env = "MISSING" } }`));
    await using host = await createHost({ hooks: { check: hook.chain<string>() } });
    await assert.rejects(loadConfigured(host, config, sources), { code: "MORTISE_SECRET_MISSING" });
    assert.deepEqual(host.plugins.list(), []);
  });

  it("refuses a module with another digest than the file says", async () => {
    const config = await parse(plugin("guard", `digest = "sha256:${"0".repeat(64)}"`));
    await using host = await createHost({ hooks: { check: hook.chain<string>() } });
    await assert.rejects(loadConfigured(host, config, sources), { code: "MORTISE_DIGEST_MISMATCH" });
  });
});

describe("openServices()", () => {
  it("opens the store that the file names, and closes it", async () => {
    const config = await parse(`[store]\nkind = "sqlite"\npath = "kept.db"\n`);
    const services = await openServices(config, sources);
    assert.equal(services.store.kind, "sqlite");
    await services.store.set("namespace", "key", new Uint8Array([1]));
    await services.close();
    assert.ok(existsSync(join(folder, "kept.db")));
    await using again = await openServices(config, sources);
    assert.deepEqual(await again.store.get("namespace", "key"), new Uint8Array([1]));
  });

  it("keeps everything in memory if it names none", async () => {
    await using services = await openServices(await parse(""), sources);
    assert.equal(services.store.kind, "memory");
  });

  it("closes the store again if the services cannot be made", async () => {
    const config = await parse(`[store]\nkind = "sqlite"\npath = "refused.db"\n`);
    const broken = { ...config, services: { ...config.services, hashAlgorithms: ["rot13"] } };
    await assert.rejects(openServices(broken, sources), { code: "MORTISE_INVALID_OPTION" });
    // With the database still open, its journal would be there.
    assert.ok(!existsSync(join(folder, "refused.db-wal")));
  });

  it("says that a Redis server cannot be reached, at once", async () => {
    const config = await parse(`[store]\nkind = "redis"\nurl = "redis://127.0.0.1:1"\n`);
    await assert.rejects(openServices(config, sources), { code: "MORTISE_STORE_UNAVAILABLE" });
  });
});

describe("withConfiguredHooks()", () => {
  it("takes policies and times from the file, and leaves what it does not name", async () => {
    const definitions = { check: hook.chain<string>(), save: hook.chain<string>({ timeoutMs: 7 }) };
    const changed = withConfiguredHooks(definitions, await parse(`[hooks.check]\non_failure = "open"\ntimeout_ms = 50\n`));
    assert.deepEqual([changed.check.onFailure, changed.check.timeoutMs], ["open", 50]);
    assert.deepEqual(changed.save, definitions.save);
  });

  it("refuses what is said of a hook that there is not, since it would hold for none", async () => {
    const config = await parse(`[hooks.check]\non_failure = "open"\n\n[hooks.saev]\non_failure = "closed"\n`);
    assert.throws(() => withConfiguredHooks({ check: hook.chain<string>(), save: hook.all<string>() }, config), {
      code: "MORTISE_CONFIG_INVALID",
      message: /"mortise.toml", line 4, column 8: hooks.saev is no hook of the host; did you mean "save"\?$/,
    });
    assert.throws(() => withConfiguredHooks({}, config), { code: "MORTISE_CONFIG_INVALID", message: /which has none; there is 1 more problem$/ });
  });

  it("is not fooled by names that every object has", async () => {
    const definitions = { toString: hook.all<string>() };
    assert.equal(withConfiguredHooks(definitions, await parse("")).toString.onFailure, "open");
  });
});
