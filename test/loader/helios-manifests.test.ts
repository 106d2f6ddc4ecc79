// What loadPlugin finds beside a HeliosProxy module, whichever way the module is named.

import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { pathToFileURL } from "node:url";

import { loadPlugin } from "../../src/index.ts";
import type { ManifestSource } from "../../src/manifest/manifest.ts";

const GUARD = join(import.meta.dirname, "..", "..", "guests", "prebuilt", "helios_guard.c.wasm");

/** A folder with a module, its manifest, and a manifest of Extism's that names the module. */
async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "mortise-test-"));
  t.after(() => rm(path, { recursive: true }));
  await copyFile(GUARD, join(path, "guard.wasm"));
  await writeFile(join(path, "guard.yaml"), "name: guard\nversion: 1.2.3\nhooks: [pre_query]\n");
  await writeFile(join(path, "plugin.json"), JSON.stringify({ wasm: [{ path: join(path, "guard.wasm") }] }));
  return path;
}

describe("loadPlugin of a HeliosProxy module", () => {
  const sources: readonly (readonly [what: string, source: (folder: string) => ManifestSource, version: string | undefined])[] = [
    ["takes what its manifest says, for a path", (path) => join(path, "guard.wasm"), "1.2.3"],
    ["for a URL of the file", (path) => pathToFileURL(join(path, "guard.wasm")), "1.2.3"],
    ["for such a URL as text", (path) => pathToFileURL(join(path, "guard.wasm")).href, "1.2.3"],
    ["finds none where a manifest of Extism's names the module, and loads it all the same", (path) => join(path, "plugin.json"), undefined],
  ];
  for (const [what, source, version] of sources) {
    it(what, async (t) => {
      await using plugin = await loadPlugin(source(await folder(t)));
      assert.equal(plugin.abi, "helios");
      assert.equal(plugin.declared.version, version);
      // A hook that the manifest leaves out is not there.
      assert.deepEqual([plugin.has("pre_query"), plugin.has("post_query")], [true, version === undefined]);
    });
  }
});
