// What a manifest that a server sent may grant and set, and what one of this machine may.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { type PluginOptions, loadPlugin } from "../../src/index.ts";
import { FETCH, program } from "../cli/modules.ts";
import { assembleText } from "../wasm/assemble.ts";
import { base64, temporaryFolder } from "./modules.ts";
import { serve } from "./server.ts";

const GROWS = `(module (memory 1)
  (func (export "grow") (drop (memory.grow (i32.const 1500))))
  (func (export "spin") (loop $again (br $again))))`;

const folder = temporaryFolder();
const fetches = base64(await assembleText("fetches", FETCH));
const grows = base64(await assembleText("grows", GROWS));

let manifest = "";
const origin = await serve((_request, response) => response.writeHead(200, { "content-type": "application/json" }).end(manifest));

const fromNetwork = (value: object, options: PluginOptions = {}): ReturnType<typeof loadPlugin> => {
  manifest = JSON.stringify(value);
  return loadPlugin(`${origin}/plugin.json`, options);
};

describe("loadPlugin of a manifest from the network", () => {
  const data = (hosts: readonly string[]): object => ({ wasm: [{ data: fetches }], allowed_hosts: hosts });

  for (const host of ["127.0.0.1", "[::1]", "10.0.0.1:8080", "localhost", "private:*.internal", "private:example.com", "100.64.0.1"]) {
    it(`refuses that it grants ${host}, at its place`, async () => {
      await assert.rejects(fromNetwork(data(["example.com", host])), {
        code: "MORTISE_MANIFEST_INVALID",
        message: new RegExp(`^Cannot use "${origin}/plugin\\.json", line 1, column \\d+: allowed_hosts\\[1\\] grants "[^"]+", which is not public`),
      });
      await assert.rejects(loadPlugin(new Response(JSON.stringify(data([host])))), {
        code: "MORTISE_MANIFEST_INVALID",
        message: /^Cannot use the response/,
      });
      await using local = await loadPlugin(data([host]));
      assert.deepEqual(local.exports, ["fetch"]);
    });
  }

  it("lets it grant public names and addresses", async () => {
    await using plugin = await fromNetwork(data(["example.com", "*.example.com:8443", "*", "9.9.9.9", "[2620:fe::fe]"]));
    assert.deepEqual(plugin.exports, ["fetch"]);
  });

  it("lets the options grant what it may not", async () => {
    const target = createServer((_request, response) => response.end("here"));
    await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
    after(() => target.close().closeAllConnections());
    await using plugin = await fromNetwork(data(["127.0.0.1"]), { permissions: { hosts: ["127.0.0.1"] } });
    const url = `http://127.0.0.1:${(target.address() as AddressInfo).port}/`;
    assert.equal((await plugin.call("fetch", JSON.stringify({ url }))).text(), "here");
  });

  const limits = { wasm: [{ data: grows }], timeout_ms: 100_000_000, memory: { max_pages: 65_536 } };

  it("raises no limit", async () => {
    await using plugin = await fromNetwork(limits);
    await assert.rejects(plugin.call("grow"), { code: "MORTISE_MEMORY_LIMIT", message: /67108864/ });
    await assert.rejects(plugin.call("spin"), { code: "MORTISE_TIMEOUT", message: /deadline of 1000 ms/ });
  });

  it("may lower them, and the options may raise them", async () => {
    await using lower = await fromNetwork({ ...limits, timeout_ms: 20, memory: { max_pages: 100 } });
    await assert.rejects(lower.call("grow"), { code: "MORTISE_MEMORY_LIMIT", message: /6553600/ });
    await assert.rejects(lower.call("spin"), { code: "MORTISE_TIMEOUT", message: /deadline of 20 ms/ });
    await using higher = await fromNetwork(limits, { limits: { memoryBytes: 128 << 20 } });
    await higher.call("grow");
  });
});

describe("loadPlugin of a manifest of this machine", () => {
  it("raises limits", async () => {
    await using plugin = await loadPlugin({ wasm: [{ data: grows }], memory: { max_pages: 2000 } });
    await plugin.call("grow");
  });

  it("grants one folder by two paths", async () => {
    mkdirSync(join(folder, "a"));
    const opens = program(`(call $proc_exit (i32.add
      (i32.mul (i32.const 100) (call $fd_prestat_get (i32.const 3) (i32.const 32)))
      (i32.add (i32.const 1) (call $fd_prestat_get (i32.const 4) (i32.const 32)))))`);
    const path = join(folder, "two.json");
    const wasm = [{ data: base64(await assembleText("opens", opens)) }];
    writeFileSync(path, JSON.stringify({ wasm, allowed_paths: { "ro:a": "/read", "./a": "/write" } }));
    await using plugin = await loadPlugin(path);
    await assert.rejects(plugin.call("_start"), { code: "MORTISE_EXIT", details: { plugin: "two", function: "_start", exitCode: 1 } });
  });
});
