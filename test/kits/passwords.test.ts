// The password plugin, built with Extism's kit for Rust: PHC strings that other implementations agree with.

import assert from "node:assert/strict";
import { argon2Sync } from "node:crypto";
import { describe, it } from "node:test";

import { readKitPrebuilt } from "../../scripts/kits-manifest.ts";
import { kitNamed } from "../../scripts/kits-table.ts";
import { loadPlugin } from "../../src/index.ts";
import { type HostedPlugin, openInExtism, openInMortise } from "./hosts.ts";

const wasm = readKitPrebuilt(kitNamed("argon2"));
const PHC = /^\$argon2id\$v=19\$m=19456,t=2,p=1\$(?<salt>[A-Za-z0-9+/]+)\$(?<tag>[A-Za-z0-9+/]+)$/;
const PASSWORD = "correct horse 🐎 battery staple";

async function answer(plugin: HostedPlugin, name: string, question: unknown): Promise<Readonly<Record<string, unknown>>> {
  const outcome = await plugin.call(name, JSON.stringify(question));
  assert.ok("output" in outcome, JSON.stringify(outcome));
  return JSON.parse(outcome.output) as Record<string, unknown>;
}

/** The hash as Node's own implementation makes it. */
function hashOf(password: string, salt: Buffer): string {
  const tag = argon2Sync("argon2id", { message: password, nonce: salt, parallelism: 1, tagLength: 32, memory: 19 * 1024, passes: 2 });
  const base64 = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");
  return `$argon2id$v=19$m=19456,t=2,p=1$${base64(salt)}$${base64(tag)}`;
}

for (const [host, open] of Object.entries({ "Extism's own host": openInExtism, Mortise: openInMortise })) {
  describe(`The password plugin in ${host}`, () => {
    it("hash gives what Node's own Argon2 gives for the same salt", async () => {
      await using plugin = await open(wasm);
      const { hash } = await answer(plugin, "hash", { password: PASSWORD });
      const salt = PHC.exec(String(hash))?.groups?.["salt"];
      assert.ok(salt !== undefined, String(hash));
      assert.equal(hash, hashOf(PASSWORD, Buffer.from(salt, "base64")));
    });

    it("hash takes another salt each time", async () => {
      await using plugin = await open(wasm);
      const hashes = [await answer(plugin, "hash", { password: PASSWORD }), await answer(plugin, "hash", { password: PASSWORD })];
      assert.notDeepEqual(hashes[0], hashes[1]);
    });

    it("verify knows the right password from others", async () => {
      await using plugin = await open(wasm);
      const hash = hashOf(PASSWORD, Buffer.from("sixteen bytes ok"));
      assert.deepEqual(await answer(plugin, "verify", { password: PASSWORD, hash }), { valid: true });
      assert.deepEqual(await answer(plugin, "verify", { password: `${PASSWORD} `, hash }), { valid: false });
      assert.deepEqual(await answer(plugin, "verify", { password: "", hash }), { valid: false });
    });

    it("verify fails for what is no hash, and hash for what is no request", async () => {
      await using plugin = await open(wasm);
      for (const [name, question] of [
        ["verify", { password: PASSWORD, hash: "nonsense" }],
        ["verify", { password: PASSWORD }],
        ["hash", "text"],
      ] as const) {
        assert.ok("failure" in (await plugin.call(name, JSON.stringify(question))), `${name} ${JSON.stringify(question)}`);
      }
      assert.ok("hash" in (await answer(plugin, "hash", { password: "again" })));
    });
  });
}

describe("The password plugin under limits", () => {
  const question = JSON.stringify({ password: PASSWORD });

  it("hash stops with MORTISE_MEMORY_LIMIT below 19 MiB", async () => {
    await using plugin = await loadPlugin(wasm, { limits: { memoryBytes: 16 << 20, timeoutMs: 60_000 } });
    await assert.rejects(plugin.call("hash", question), { code: "MORTISE_MEMORY_LIMIT" });
    assert.ok(plugin.stats().memory.peak <= 16 << 20);
  });

  it("hash stops with MORTISE_FUEL when it may not work that long", async () => {
    await using plugin = await loadPlugin(wasm, { limits: { fuel: 1_000_000, timeoutMs: 60_000 } });
    await assert.rejects(plugin.call("hash", question), { code: "MORTISE_FUEL" });
  });
});
