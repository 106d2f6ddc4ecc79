// The service in a process of its own: what the environment says of proxies, trust and parsing has no effect, and nothing keeps the process alive.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";

import { selfSigned } from "./certificate.ts";
import { httpServer, httpsServer, rawServer } from "./servers.ts";

const SERVICE = new URL("../../src/services/http/http-service.ts", import.meta.url).href;

/** Requests a URL in a new process, and gives what it printed: the body, or the error's code and reason. */
async function elsewhere(url: string, environment: Readonly<Record<string, string>>, close = true): Promise<string> {
  const program = `
    import { createHttpService } from ${JSON.stringify(SERVICE)};
    const service = createHttpService({ hosts: ["127.0.0.1", "private:a.example"] });
    const call = { plugin: "guest", function: "f", timeoutMs: 60_000, signal: new AbortController().signal };
    const request = { url: ${JSON.stringify(url)}, method: "GET", headers: {}, body: undefined };
    await service.request(request, call).then(
      ({ body }) => console.log(Buffer.from(body).toString()),
      (error) => console.log(error.code, error.details.reason),
    );
    ${close ? "service.close();" : ""}`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=source", "--input-type=module", "--eval", program], {
    env: { ...process.env, ...environment },
  });
  return stdout.trim();
}

describe("an HTTP service", () => {
  it("uses no proxy, whatever the environment says", async () => {
    await using proxy = await httpServer((_message, response) => response.end("proxy"));
    await using server = await httpServer((_message, response) => response.end("direct"));
    const address = `http://127.0.0.1:${proxy.port}`;
    const environment = {
      NODE_USE_ENV_PROXY: "1",
      HTTP_PROXY: address,
      HTTPS_PROXY: address,
      http_proxy: address,
      ALL_PROXY: address,
      NO_PROXY: "",
      no_proxy: "",
    };
    assert.equal(await elsewhere(`http://127.0.0.1:${server.port}`, environment), "direct");
    assert.equal(proxy.connections, 0);
  });

  it("checks certificates, whatever the environment says", async () => {
    await using server = await httpsServer(selfSigned("127.0.0.1"), (_message, response) => response.end("trusted"));
    const printed = await elsewhere(`https://127.0.0.1:${server.port}`, { NODE_TLS_REJECT_UNAUTHORIZED: "0" });
    assert.equal(printed, "MORTISE_HTTP_FAILED the server's certificate is not trusted: DEPTH_ZERO_SELF_SIGNED_CERT");
  });

  it("trusts the authorities that Node trusts, additional ones as well", async () => {
    const certificate = selfSigned("127.0.0.1");
    const folder = await mkdtemp(join(tmpdir(), "mortise-"));
    try {
      await writeFile(join(folder, "extra.pem"), certificate.cert);
      await using server = await httpsServer(certificate, (_message, response) => response.end("trusted"));
      assert.equal(await elsewhere(`https://127.0.0.1:${server.port}`, { NODE_EXTRA_CA_CERTS: join(folder, "extra.pem") }), "trusted");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("reads HTTP strictly, whatever the environment says", async () => {
    await using server = await rawServer((socket) => socket.end("HTTP/1.1 200 OK\r\nx: 1\0\r\ncontent-length: 2\r\n\r\nok"));
    const printed = await elsewhere(`http://127.0.0.1:${server.port}`, { NODE_OPTIONS: "--insecure-http-parser" });
    assert.match(printed, /^MORTISE_HTTP_FAILED the server does not speak HTTP/);
  });

  it("does not keep the process alive with idle connections", async () => {
    await using server = await httpServer((_message, response) => response.end("done"));
    assert.equal(await elsewhere(`http://127.0.0.1:${server.port}`, {}, false), "done");
  });
});
