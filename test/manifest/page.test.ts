// docs/manifest.md: its examples are manifests, and mean the same.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { codeBlocks, readPage } from "../docs/pages.ts";
import { MODULE, read, temporaryFolder } from "./modules.ts";

const page = readPage("docs/manifest.md");
const folder = temporaryFolder();

describe("docs/manifest.md", () => {
  it("shows one manifest in JSON and in TOML", async () => {
    mkdirSync(join(folder, "modules"));
    writeFileSync(join(folder, "modules", "rules.wasm"), MODULE);
    const options = { fetch: () => Promise.resolve(new Response(MODULE)) };
    const [json, toml] = await Promise.all(
      ["json", "toml"].map(async (form) => {
        const blocks = codeBlocks(page).filter(({ info }) => info === form);
        assert.equal(blocks.length, 1);
        const path = join(folder, `plugin.${form}`);
        writeFileSync(path, blocks[0]?.body ?? "");
        return read(path, options);
      }),
    );
    assert.deepEqual({ ...json, origin: undefined }, { ...toml, origin: undefined });
    assert.deepEqual([json?.modules.length, json?.memory.maxPages, json?.timeoutMs, json?.allowedPaths[0]?.readOnly], [2, 256, 250, true]);
  });

  it("shows a message as it is", async () => {
    const path = join(folder, "plugin.json");
    writeFileSync(path, `{\n  "wasm": [\n    { "name": "main", "data": "" }, {   "pth": "a.wasm" }]}`);
    const shown = codeBlocks(page)
      .find(({ info }) => info === "text")
      ?.body.trim();
    await assert.rejects(read(path), (error: Error) => error.message.replace(path, "plugin.json").replace(/column \d+/, "column 40") === shown);
  });
});
