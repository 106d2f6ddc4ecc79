// readManifest has none of the defects that reading a manifest has in @extism/extism 2.0.0-rc13; one test for each.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { MODULE, read, sha256, temporaryFolder, withModule } from "./modules.ts";
import { serve } from "./server.ts";

const folder = temporaryFolder();

describe("readManifest, where @extism/extism fails,", () => {
  it("takes timeoutMs and timeout_ms from objects and JSON, which there count as an option only", async () => {
    for (const key of ["timeoutMs", "timeout_ms"])
      for (const source of [withModule({ [key]: 250 }), JSON.stringify(withModule({ [key]: 250 }))])
        assert.equal((await read(source)).timeoutMs, 250);
  });

  it("takes allowed_hosts from an object, which there counts in JSON only", async () => {
    assert.deepEqual((await read(withModule({ allowed_hosts: ["example.com"] }))).allowedHosts, ["example.com"]);
  });

  it("takes memory from JSON, which there lands at the wrong level", async () => {
    const { memory } = await read(JSON.stringify(withModule({ memory: { max_pages: 4, max_http_response_bytes: 5, max_var_bytes: 0 } })));
    assert.deepEqual(memory, { maxPages: 4, maxHttpResponseBytes: 5, maxVarBytes: 0 });
  });

  it("hashes a view, and not the buffer behind it", async () => {
    const large = new Uint8Array(4096).fill(9);
    large.set(MODULE, 100);
    const data = large.subarray(100, 108);
    assert.deepEqual((await read({ wasm: [{ data, hash: sha256(data) }] })).modules[0]?.bytes, MODULE);
    await assert.rejects(read({ wasm: [{ data, hash: sha256(large) }] }), { code: "MORTISE_DIGEST_MISMATCH" });
  });

  it("takes a Uint8Array as the source, which there is a TypeError", async () => {
    assert.deepEqual((await read(MODULE)).modules[0]?.bytes, MODULE);
  });

  it("reads a file: URL, which there is fetched", async () => {
    const path = join(folder, "a.wasm");
    writeFileSync(path, MODULE);
    for (const source of [pathToFileURL(path).href, { wasm: [{ url: pathToFileURL(path).href }] }])
      assert.deepEqual((await read(source)).modules[0]?.bytes, MODULE);
  });

  it("sends the headers and the method of a url, which there are dropped", async () => {
    const requests: unknown[] = [];
    const origin = await serve((request, response) => {
      requests.push([request.method, request.headers.authorization]);
      response.end(MODULE);
    });
    await read({ wasm: [{ url: `${origin}/a.wasm`, method: "POST", headers: { Authorization: "Bearer x" } }] });
    assert.deepEqual(requests, [["POST", "Bearer x"]]);
  });

  it("reads a manifest that JSON embeds modules in as base64, and one in TOML", async () => {
    const data = Buffer.from(MODULE).toString("base64");
    for (const source of [JSON.stringify({ wasm: [{ data }] }), `[[wasm]]\ndata = "${data}"\n`])
      assert.deepEqual((await read(source)).modules[0]?.bytes, MODULE);
  });

  it("keeps a config value that is called like something of JavaScript, and finds none that is not there", async () => {
    const { config } = await read(withModule({ config: { constructor: "x" } }));
    assert.deepEqual([config["constructor"], config["toString"]], ["x", undefined]);
  });
});
