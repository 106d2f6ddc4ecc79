// The HTTP service against servers on this machine: requests, responses, limits, TLS, options.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";

import type { HttpRequest } from "../../src/api/http.ts";
import { createHttpService } from "../../src/services/http/http-service.ts";
import type { HttpOptions } from "../../src/services/http/options.ts";
import { selfSigned } from "./certificate.ts";
import { callOf, failure, fetchOnce, get, names, textOf, withService } from "./requests.ts";
import { type Listening, httpServer, httpsServer, mirror, rawServer } from "./servers.ts";

const HERE: HttpOptions = { hosts: ["127.0.0.1"] };
const at = ({ port }: Listening, path = "/"): string => `http://127.0.0.1:${port}${path}`;

interface Mirrored {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly string[];
  readonly body: string;
}

async function mirrored(request: Partial<HttpRequest>, path = "/"): Promise<Mirrored> {
  await using server = await mirror();
  return JSON.parse(textOf(await fetchOnce(HERE, get(at(server, path), request)))) as Mirrored;
}

describe("HttpService.request", () => {
  it("sends method, path, query, headers and body as stated", async () => {
    const body = new TextEncoder().encode("größer");
    const sent = await mirrored({ method: "patch", headers: { "X-Custom": " v ", cookie: "a=1" }, body }, "/a%20b/?q=1&r=%C3%BC#hash");
    assert.deepEqual([sent.method, sent.url, sent.body], ["PATCH", "/a%20b/?q=1&r=%C3%BC", "größer"]);
    const text = sent.headers.join("|");
    assert.match(text, /^host\|127\.0\.0\.1:\d+\|connection\|keep-alive\|x-custom\|v\|cookie\|a=1\|user-agent\|mortise\|content-length\|8$/);
  });

  it("adds nothing but host, user-agent and connection", async () => {
    const { headers } = await mirrored({});
    assert.deepEqual(
      headers.filter((_name, index) => index % 2 === 0),
      ["host", "connection", "user-agent"],
    );
  });

  it("lets the guest say who it is", async () => {
    const { headers } = await mirrored({ headers: { "User-Agent": "acme/1" } });
    assert.ok(headers.includes("acme/1") && !headers.includes("mortise"));
  });

  const harmless: readonly Readonly<Record<string, string>>[] = [
    { "Content-Length": "4" },
    { Connection: "keep-alive" },
    { connection: "Close" },
    { "keep-alive": "timeout=5" },
  ];
  for (const headers of harmless) {
    it(`ignores ${JSON.stringify(headers)}`, async () => {
      const sent = await mirrored({ method: "POST", headers, body: new TextEncoder().encode("body") });
      assert.equal(sent.body, "body");
      assert.equal(
        sent.headers.filter((name) => /^(?:content-length|connection|keep-alive)$/i.test(name)).length,
        3,
        "content-length, connection: keep-alive",
      );
    });
  }

  it("ignores a host header that names the URL's host", async () => {
    await using server = await mirror();
    for (const host of ["127.0.0.1", `127.0.0.1:${server.port}`])
      assert.match(textOf(await fetchOnce(HERE, get(at(server), { headers: { host } }))), /"host"/);
  });

  it("delivers a response of any status, its headers by lower-case name, repeated ones joined", async () => {
    await using server = await httpServer((message, response) => {
      const status = Number(message.url?.slice(1));
      response.writeHead(status, { "X-Upper": "Value", "set-cookie": ["a=1", "b=2"], via: ["x", "y"] });
      response.end(status === 304 ? undefined : `body of ${status}`);
    });
    for (const status of [200, 201, 304, 400, 404, 418, 500, 503]) {
      const response = await fetchOnce(HERE, get(at(server, `/${status}`)));
      assert.equal(response.status, status);
      assert.equal(textOf(response), status === 304 ? "" : `body of ${status}`);
      const { headers } = response;
      assert.deepEqual([headers["x-upper"], headers["set-cookie"], headers["via"]], ["Value", "a=1, b=2", "x, y"]);
    }
  });

  it("delivers bytes as they come, compressed or not", async () => {
    await using server = await httpServer((_message, response) => response.setHeader("content-encoding", "gzip").end(gzipSync("a".repeat(10_000))));
    const { body, headers } = await fetchOnce({ ...HERE, maxResponseBytes: 1000 }, get(at(server)));
    assert.equal(headers["content-encoding"], "gzip");
    assert.equal(gunzipSync(body).length, 10_000);
  });

  it("answers HEAD without a body, whatever length it states", async () => {
    await using server = await httpServer((_message, response) => response.setHeader("content-length", 1_000_000).end());
    const { body, headers } = await fetchOnce({ ...HERE, maxResponseBytes: 10 }, get(at(server), { method: "HEAD" }));
    assert.deepEqual([body.length, headers["content-length"]], [0, "1000000"]);
  });

  it("reaches IPv6 addresses, by literal and by name", async () => {
    await using server = await httpServer((message, response) => response.end(message.headers.host), "::1");
    assert.equal(textOf(await fetchOnce({ hosts: ["::1"] }, get(`http://[::1]:${server.port}`))), `[::1]:${server.port}`);
    const lookup = names({ "six.example": "::1" });
    assert.equal(
      textOf(await fetchOnce({ hosts: ["private:six.example"], lookup }, get(`http://six.example:${server.port}`))),
      `six.example:${server.port}`,
    );
  });

  it("tries every permitted address of a name", async () => {
    await using server = await httpServer((_message, response) => response.end("reached"));
    const lookup = names({ "two.example": ["127.0.0.2", "127.0.0.1"] });
    assert.equal(textOf(await fetchOnce({ hosts: ["private:two.example"], lookup }, get(`http://two.example:${server.port}`))), "reached");
  });

  it("refuses invalid requests with MORTISE_HTTP_INVALID, before anything is sent", async () => {
    await using server = await mirror();
    const body = new TextEncoder().encode("body");
    const cases: readonly (readonly [request: Partial<HttpRequest>, reason: RegExp])[] = [
      [{ method: "CONNECT" }, /the method CONNECT/],
      [{ method: "TRACE" }, /the method TRACE/],
      [{ method: "GET\r\n" }, /not a token/],
      [{ headers: { "x\r\ny": "1" } }, /name is not a token/],
      [{ headers: { "": "1" } }, /name is not a token/],
      [{ headers: { "x y": "1" } }, /name is not a token/],
      [{ headers: { "x:": "1" } }, /name is not a token/],
      [{ headers: { x: "1\r\ny: 2" } }, /the value of the header "x"/],
      [{ headers: { x: "1\n" } }, /the value of the header "x"/],
      [{ headers: { x: "1\0" } }, /the value of the header "x"/],
      [{ headers: { x: "😀" } }, /the value of the header "x"/],
      [{ headers: { X: "1", x: "1" } }, /the header "x" is there twice/],
      [{ headers: { host: "evil.example" } }, /names another host/],
      [{ headers: { Host: "127.0.0.1:1" } }, /names another host/],
      [{ headers: { "content-length": "3" }, body }, /not the length/],
      [{ headers: { "content-length": "4" } }, /not the length/],
      [{ headers: { "content-length": "+4" }, body }, /not the length/],
      [{ headers: { connection: "upgrade" } }, /the host's own/],
      [{ headers: { connection: "close, x-a" } }, /the host's own/],
      ...["Transfer-Encoding", "te", "trailer", "upgrade", "expect", "http2-settings", "proxy-authorization", "Proxy-Connection"].map(
        (name) => [{ headers: { [name]: "chunked" } }, /is the host's own/] as const,
      ),
    ];
    for (const [request, reason] of cases) {
      const error = await failure(fetchOnce(HERE, get(at(server), request)), "MORTISE_HTTP_INVALID");
      assert.match(error.message, reason);
      assert.deepEqual([error.details["plugin"], error.details["function"]], ["guest", "f"]);
    }
    assert.equal(server.connections, 0);
  });

  it("tells nothing of a URL but its origin, and nothing of headers", async () => {
    const url = "http://127.0.0.1:1/path-secret?query-secret#hash-secret";
    const secrets = { headers: { authorization: "header-secret" }, method: "POST", body: new TextEncoder().encode("body-secret") };
    const failed = await failure(fetchOnce({ hosts: ["127.0.0.1:1"] }, get(url, secrets)), "MORTISE_HTTP_FAILED");
    const denied = await failure(fetchOnce({}, get(url, secrets)), "MORTISE_HTTP_DENIED");
    const limit = await failure(fetchOnce({ hosts: ["127.0.0.1:1"], maxRequestBytes: 1 }, get(url, secrets)), "MORTISE_HTTP_LIMIT");
    const invalid = await failure(fetchOnce({}, get("http://user:user-secret@a.example/", secrets)), "MORTISE_HTTP_INVALID");
    for (const error of [failed, denied, limit, invalid]) assert.ok(!/secret/.test(JSON.stringify(error)), error.message);
    assert.equal(
      failed.message,
      'Failed in function "f" of plugin "guest": the HTTP request to http://127.0.0.1:1 failed: the connection was refused',
    );
  });

  it("says why a request failed", async () => {
    const cases: readonly (readonly [code: string, reason: string])[] = [
      ["ENOTFOUND", "the name is unknown"],
      ["EAI_AGAIN", "the name server does not answer"],
      ["EWEIRD", "EWEIRD"],
    ];
    for (const [code, reason] of cases) {
      const lookup = (): Promise<never> => Promise.reject(Object.assign(new Error("secret"), { code }));
      const error = await failure(fetchOnce({ hosts: ["*"], lookup }, get("http://a.example")), "MORTISE_HTTP_FAILED");
      assert.equal(error.details["reason"], reason);
    }
    const nothing = await failure(fetchOnce({ hosts: ["*"], lookup: async () => [] }, get("http://a.example")), "MORTISE_HTTP_FAILED");
    assert.equal(nothing.details["reason"], "the name is unknown");
  });
});

describe("HttpService limits", () => {
  it("maxResponseBytes lets exactly so many bytes through, stated or streamed", async () => {
    await using server = await httpServer((message, response) => {
      const [, kind, bytes] = message.url?.split("/") ?? [];
      if (kind === "stated") response.setHeader("content-length", Number(bytes));
      response.write("x");
      response.end("x".repeat(Number(bytes) - 1));
    });
    const options = { ...HERE, maxResponseBytes: 100_000 };
    for (const kind of ["stated", "streamed"]) {
      assert.equal((await fetchOnce(options, get(at(server, `/${kind}/100000`)))).body.length, 100_000);
      const error = await failure(fetchOnce(options, get(at(server, `/${kind}/100001`))), "MORTISE_HTTP_LIMIT");
      assert.equal(
        error.message,
        `Failed in function "f" of plugin "guest": the response of http://127.0.0.1:${server.port} passes the 100000 bytes that maxResponseBytes allows`,
      );
    }
  });

  it("maxRequestBytes refuses a larger body before it is sent", async () => {
    await using server = await mirror();
    const options = { ...HERE, maxRequestBytes: 10 };
    const post = (bytes: number): HttpRequest => get(at(server), { method: "POST", body: new Uint8Array(bytes) });
    assert.equal((await fetchOnce(options, post(10))).status, 200);
    assert.match((await failure(fetchOnce(options, post(11)), "MORTISE_HTTP_LIMIT")).message, /10 bytes that maxRequestBytes/);
    assert.equal(server.connections, 1);
  });

  it("maxHeaderBytes limits the head of a request, URL included, and of a response", async () => {
    await using server = await httpServer((message, response) => response.setHeader("x", "x".repeat(Number(message.url?.slice(1)))).end());
    const options = { ...HERE, maxHeaderBytes: 1000 };
    assert.equal((await fetchOnce(options, get(at(server, "/500"), { headers: { x: "x".repeat(500) } }))).status, 200);
    const requests = [get(at(server, "/1"), { headers: { x: "x".repeat(1000) } }), get(at(server, `/${"1".repeat(1000)}`)), get(at(server, "/1000"))];
    for (const request of requests)
      assert.match((await failure(fetchOnce(options, request), "MORTISE_HTTP_LIMIT")).message, /1000 bytes that maxHeaderBytes/);
  });

  it("delivers many small headers within maxHeaderBytes, and drops none", async () => {
    await using server = await rawServer((socket) =>
      socket.end(`HTTP/1.1 200 OK\r\n${Array.from({ length: 3000 }, (_x, i) => `${i}:\r\n`).join("")}\r\n`),
    );
    assert.equal(Object.keys((await fetchOnce({ ...HERE, maxHeaderBytes: 100_000 }, get(at(server)))).headers).length, 3000);
  });

  it("maxConcurrent makes others wait for their turn, in order", async () => {
    const held: (() => void)[] = [];
    const order: string[] = [];
    let arrived: (() => void) | undefined;
    await using server = await httpServer((message, response) => {
      order.push(message.url ?? "");
      held.push(() => response.end());
      arrived?.();
    });
    await withService({ ...HERE, maxConcurrent: 2 }, async (service) => {
      const all = ["/1", "/2", "/3", "/4"].map((path) => service.request(get(at(server, path)), callOf()));
      for (let done = 0; done < 4; done++) {
        while (held.length === 0) await new Promise<void>((resolve) => (arrived = resolve));
        assert.ok(order.length <= done + 2, `at most two at a time: ${order.join()}`);
        held.shift()?.();
      }
      assert.deepEqual(
        (await Promise.all(all)).map(({ status }) => status),
        [200, 200, 200, 200],
      );
      assert.deepEqual(order.slice(2), ["/3", "/4"]);
    });
  });

  it("allowHttp: false refuses what is not encrypted", async () => {
    const error = await failure(fetchOnce({ ...HERE, allowHttp: false }, get("http://127.0.0.1")), "MORTISE_HTTP_DENIED");
    assert.match(error.message, /without encryption, and allowHttp is false/);
  });
});

describe("HttpService over TLS", () => {
  const certificate = selfSigned("a.example", "127.0.0.1");
  const lookup = names({ "a.example": "127.0.0.1", "b.example": "127.0.0.1" });
  const options: HttpOptions = { hosts: ["private:*.example", "127.0.0.1"], lookup };

  it("reaches servers that an authority of `ca` vouches for, by name and by address", async () => {
    await using server = await httpsServer(certificate, (_message, response) => response.end("secure"));
    for (const host of ["a.example", "A.Example.", "127.0.0.1"])
      for (const ca of [certificate.cert, [selfSigned("other").cert, certificate.cert]])
        assert.equal(textOf(await fetchOnce({ ...options, ca }, get(`https://${host}:${server.port}`))), "secure");
  });

  it("fails with MORTISE_HTTP_FAILED if the certificate is not trusted, or of another name", async () => {
    await using server = await httpsServer(certificate, (_message, response) => response.end("secure"));
    const untrusted = await failure(fetchOnce(options, get(`https://a.example:${server.port}`)), "MORTISE_HTTP_FAILED");
    assert.equal(untrusted.details["reason"], "the server's certificate is not trusted: DEPTH_ZERO_SELF_SIGNED_CERT");
    const other = await failure(fetchOnce({ ...options, ca: certificate.cert }, get(`https://b.example:${server.port}`)), "MORTISE_HTTP_FAILED");
    assert.equal(other.details["reason"], "the server's certificate is not trusted: ERR_TLS_CERT_ALTNAME_INVALID");
  });

  it("ends during a handshake that does not end", async () => {
    const controller = new AbortController();
    await using server = await rawServer(() => controller.abort());
    await failure(fetchOnce(HERE, get(`https://127.0.0.1:${server.port}`), callOf({ signal: controller.signal })), "MORTISE_ABORTED");
    await server.allClosed();
  });
});

describe("createHttpService", () => {
  const cases: readonly (readonly [options: object | null, message: RegExp])[] = [
    [null, /option "options": it is null/],
    [{ host: ["a"] }, /option "host": it is unknown but must be one of hosts, allowHttp,/],
    [{ hosts: "a.example" }, /option "hosts": it is string but must be a list/],
    [{ hosts: ["a/b"] }, /option "hosts\[0\]"/],
    [{ maxResponseBytes: -1 }, /option "maxResponseBytes": it is -1/],
    [{ maxRequestBytes: 1.5 }, /option "maxRequestBytes": it is 1\.5/],
    [{ maxHeaderBytes: 10 }, /a whole number from 256 to 131072/],
    [{ maxRedirects: "5" }, /option "maxRedirects": it is string/],
    [{ maxConcurrent: 0 }, /option "maxConcurrent": it is 0/],
    [{ timeoutMs: Number.POSITIVE_INFINITY }, /option "timeoutMs": it is Infinity/],
    [{ allowHttp: 1 }, /option "allowHttp"/],
    [{ ca: [5] }, /option "ca"/],
    [{ lookup: {} }, /option "lookup"/],
  ];
  for (const [options, message] of cases) {
    it(`refuses ${JSON.stringify(options)} with MORTISE_INVALID_OPTION`, () =>
      assert.throws(() => createHttpService(options as HttpOptions), { code: "MORTISE_INVALID_OPTION", message }));
  }

  it("looks names up with the system by default", async () => {
    await using server = await mirror();
    assert.equal((await fetchOnce({ hosts: ["localhost"] }, get(`http://localhost:${server.port}`))).status, 200);
  });
});
