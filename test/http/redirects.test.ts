// Redirects: which are followed, and what the next request is.

import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { describe, it } from "node:test";

import type { HttpRequest, HttpResponse } from "../../src/api/http.ts";
import type { HttpOptions } from "../../src/services/http/options.ts";
import { selfSigned } from "./certificate.ts";
import { failure, fetchOnce, get, names, textOf } from "./requests.ts";
import { type Listening, bodyOf, httpServer, httpsServer } from "./servers.ts";

const HERE: HttpOptions = { hosts: ["127.0.0.1"] };

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Redirects as a path such as `/302/next` says, and tells of everything else what it got. */
function redirector(hosts: Readonly<Record<string, string>> = {}): Promise<Listening> {
  return httpServer(async (message, response) => {
    const [, status, ...rest] = message.url?.split("/") ?? [];
    const target = rest.join("/");
    if (/^3\d\d$/.test(status ?? "")) {
      response.writeHead(Number(status), { location: hosts[target] ?? `/${target}` }).end("moved");
      return;
    }
    const seen = { method: message.method, url: message.url, headers: message.headers, body: (await bodyOf(message)).toString() };
    response.end(JSON.stringify(seen));
  });
}

const seen = (response: HttpResponse): Seen => JSON.parse(textOf(response)) as Seen;

describe("a redirect", () => {
  const post: Partial<HttpRequest> = {
    method: "POST",
    headers: { "content-type": "text/plain", "content-language": "de", "x-kept": "1" },
    body: new TextEncoder().encode("body"),
  };
  const rules: readonly (readonly [status: number, method: string, next: string])[] = [
    [301, "POST", "GET"],
    [302, "POST", "GET"],
    [303, "POST", "GET"],
    [307, "POST", "POST"],
    [308, "POST", "POST"],
    [301, "PUT", "PUT"],
    [302, "DELETE", "DELETE"],
    [303, "PUT", "GET"],
    [303, "HEAD", "HEAD"],
    [301, "GET", "GET"],
    [308, "PATCH", "PATCH"],
  ];
  for (const [status, method, next] of rules) {
    it(`of status ${status} makes ${next} of ${method}`, async () => {
      const methods: string[] = [];
      await using server = await httpServer(async (message, response) => {
        methods.push(message.method ?? "");
        const body = (await bodyOf(message)).toString();
        if (message.url === "/next") response.end(JSON.stringify({ body, headers: message.headers }));
        else response.writeHead(status, { location: "next" }).end();
      });
      const request = method === "GET" || method === "HEAD" ? { method } : { ...post, method };
      const response = await fetchOnce(HERE, get(`http://127.0.0.1:${server.port}/first`, request));
      assert.deepEqual(methods, [method, next]);
      if (next === "HEAD") return;
      const { body, headers } = seen(response);
      const keeps = next === method && "body" in request;
      assert.equal(body, keeps ? "body" : "");
      assert.equal(headers["content-type"], keeps ? "text/plain" : undefined);
      assert.equal(headers["content-language"], keeps ? "de" : undefined);
      assert.equal(headers["x-kept"], "body" in request ? "1" : undefined);
    });
  }

  it("is delivered if it leads nowhere, or if its status is no redirect", async () => {
    await using server = await httpServer((message, response) => {
      const status = Number(message.url?.slice(1));
      response.writeHead(status, status === 302 ? {} : { location: "http://evil.example/" }).end();
    });
    for (const status of [302, 300, 304, 201, 305, 404])
      assert.equal((await fetchOnce(HERE, get(`http://127.0.0.1:${server.port}/${status}`))).status, status);
  });

  it("is delivered with maxRedirects: 0", async () => {
    await using server = await redirector();
    const response = await fetchOnce({ ...HERE, maxRedirects: 0 }, get(`http://127.0.0.1:${server.port}/302/next`));
    assert.deepEqual([response.status, response.headers["location"], textOf(response)], [302, "/next", "moved"]);
  });

  it("is followed maxRedirects times", async () => {
    await using server = await redirector();
    const url = (times: number): string => `http://127.0.0.1:${server.port}${"/302".repeat(times)}/end`;
    const options = { ...HERE, maxRedirects: 3 };
    assert.equal(seen(await fetchOnce(options, get(url(3)))).url, "/end");
    assert.match((await failure(fetchOnce(options, get(url(4))), "MORTISE_HTTP_LIMIT")).message, /passes the 3 redirects that maxRedirects allows$/);
  });

  it("may name its target in UTF-8, and keeps no fragment", async () => {
    await using server = await httpServer((message, response) => {
      if (message.url === "/") response.writeHead(302, { location: Buffer.from("/größer#x").toString("latin1") }).end();
      else response.end(message.url);
    });
    assert.equal(textOf(await fetchOnce(HERE, get(`http://127.0.0.1:${server.port}/`))), "/gr%C3%B6%C3%9Fer");
  });

  it("to another origin loses every header that may hold a secret, and keeps the others", async () => {
    const secrets = {
      authorization: "s",
      cookie: "s",
      "x-api-key": "s",
      "x-auth-token": "s",
      "x-amz-security-token": "s",
      "x-session-id": "s",
      "client-secret": "s",
    };
    await using other = await redirector();
    await using server = await redirector({ other: `http://127.0.0.1:${other.port}/end`, same: "/end" });
    const request = (path: string): HttpRequest =>
      get(`http://127.0.0.1:${server.port}/307/${path}`, { headers: { ...secrets, accept: "text/plain" } });
    const away = seen(await fetchOnce(HERE, request("other"))).headers;
    assert.equal(away["accept"], "text/plain");
    for (const name of Object.keys(secrets)) assert.equal(away[name], undefined, name);
    const same = seen(await fetchOnce(HERE, request("same"))).headers;
    for (const name of Object.keys(secrets)) assert.equal(same[name], "s", name);
  });

  it("to another origin and back does not bring secrets back", async () => {
    let home = "";
    await using other = await httpServer((_message, response) => response.writeHead(307, { location: `${home}/end` }).end());
    await using server = await redirector({ other: `http://127.0.0.1:${other.port}/` });
    home = `http://127.0.0.1:${server.port}`;
    const response = await fetchOnce(HERE, get(`${home}/307/other`, { headers: { authorization: "s" } }));
    assert.equal(seen(response).headers.authorization, undefined);
  });

  it("states the new host to the new host", async () => {
    await using other = await redirector();
    const lookup = names({ "a.example": "127.0.0.1", "b.example": "127.0.0.1" });
    await using server = await redirector({ other: `http://b.example:${other.port}/end` });
    const request = get(`http://a.example:${server.port}/302/other`, { headers: { host: "a.example" } });
    const response = await fetchOnce({ hosts: ["private:*.example"], lookup }, request);
    assert.equal(seen(response).headers.host, `b.example:${other.port}`);
  });

  const certificate = selfSigned("127.0.0.1");
  it("from http to https is followed, from https to http refused with MORTISE_HTTP_DENIED", async () => {
    await using plain = await httpServer((_message, response) => response.writeHead(302, { location: secureUrl }).end());
    await using secure = await httpsServer(certificate, (message, response) => {
      if (message.url === "/down") response.writeHead(302, { location: `http://127.0.0.1:${plain.port}/` }).end();
      else response.end("secure");
    });
    const secureUrl = `https://127.0.0.1:${secure.port}/`;
    const options = { ...HERE, ca: certificate.cert };
    assert.equal(textOf(await fetchOnce(options, get(`http://127.0.0.1:${plain.port}/`))), "secure");
    const connections = plain.connections;
    assert.match((await failure(fetchOnce(options, get(`${secureUrl}down`)), "MORTISE_HTTP_DENIED")).message, /it would go on without encryption$/);
    assert.equal(plain.connections, connections);
  });
});
