// A plugin that sends HTTP requests: to hosts that it was granted, and to no others.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { isMortiseError, loadPlugin } from "mortise";

// The service, on this very thread: it answers while the plugin is suspended.
const server = createServer((request, response) => {
  if (request.url === "/elsewhere") response.writeHead(302, { location: "http://169.254.169.254/secrets" }).end();
  else response.writeHead(request.url === "/hello" ? 200 : 404, { "x-kit": "seen" }).end(`this is ${request.url}`);
});
await once(server.listen(0, "127.0.0.1"), "listening");
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

// Built with Extism's kit for Rust. Loopback is not public: it is granted by its address, not by "*".
await using plugin = await loadPlugin(new URL("../guests/kits/prebuilt/rust.wasm", import.meta.url), {
  name: "client",
  permissions: { hosts: ["127.0.0.1", "*.example.com"] },
  http: { maxResponseBytes: 1024, timeoutMs: 5000 },
  limits: { timeoutMs: 10_000 },
  hostFunctions: { "extism:host/user": { reverse: () => 0n } },
});

for (const url of [`${origin}/hello`, `${origin}/missing`, `${origin}/elsewhere`, "http://example.org/", "file:///etc/passwd"]) {
  try {
    console.log((await plugin.call("fetch", url)).json());
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    console.log(`${error.code}: ${error.message}`);
  }
}
server.close().closeAllConnections();
