// The service over a fetch function: the same rules, as far as fetch shows what it does.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";

import type { HttpRequest, HttpResponse } from "../../src/api/http.ts";
import { createFetchService } from "../../src/services/http/fetch-service.ts";
import type { FetchFunction, FetchServiceOptions } from "../../src/services/http/options.ts";
import { callOf, failure, get, textOf, until } from "./requests.ts";
import { bodyOf, httpServer, rawServer } from "./servers.ts";

/** Node's own fetch, as a user would give it. */
const nodeFetch: FetchFunction = (url, init) => fetch(url, init);

function once(options: Partial<FetchServiceOptions>, request: HttpRequest, call = callOf()): Promise<HttpResponse> {
  return createFetchService({ fetch: nodeFetch, hosts: ["127.0.0.1"], ...options }).request(request, call);
}

/** A fetch that answers by a table, and notes what it was asked. */
function table(responses: Readonly<Record<string, () => Response>>): FetchFunction & { readonly asked: (readonly [string, RequestInit])[] } {
  const asked: (readonly [string, RequestInit])[] = [];
  const answer: FetchFunction = async (url, init) => {
    asked.push([url, init]);
    return responses[url]?.() ?? new Response(null, { status: 404 });
  };
  return Object.assign(answer, { asked });
}

const moved = (location: string, status = 302): Response => new Response(null, { status, headers: { location } });

describe("createFetchService", () => {
  it("sends through the function and delivers what it returns", async () => {
    await using server = await httpServer(async (message, response) => {
      const body = await bodyOf(message);
      response.writeHead(418, { "X-Got": `${message.method} ${message.url} ${String(message.headers["x-a"])} ${body.toString()}` }).end("tea");
    });
    const request = get(`http://127.0.0.1:${server.port}/p?q#h`, { method: "POST", headers: { "X-A": "1" }, body: new TextEncoder().encode("body") });
    const response = await once({}, request);
    assert.deepEqual([response.status, textOf(response), response.headers["x-got"]], [418, "tea", "POST /p?q 1 body"]);
  });

  it("asks fetch not to follow redirects, to send no credentials, and for plain bodies", async () => {
    const fetch = table({});
    await once({ hosts: ["a.example"], fetch }, get("https://A.example/", { headers: { accept: "x" } }));
    const [[url, init] = ["", {}]] = fetch.asked;
    assert.equal(url, "https://a.example/");
    assert.deepEqual([init.redirect, init.credentials, init.method], ["manual", "omit", "GET"]);
    assert.deepEqual(init.headers, [
      ["accept", "x"],
      ["user-agent", "mortise"],
      ["accept-encoding", "identity"],
    ]);
    await once({ hosts: ["a.example"], fetch }, get("https://a.example/", { headers: { "Accept-Encoding": "br" } }));
    assert.ok((fetch.asked[1]?.[1].headers as string[][] | undefined)?.some(([name, value]) => name === "accept-encoding" && value === "br"));
  });

  it("applies the allow-list to requests, before fetch is called", async () => {
    const fetch = table({});
    for (const url of [
      "https://b.example/",
      "http://127.0.0.1/",
      "http://localhost/",
      "http://[::1]/",
      "http://169.254.169.254/",
      "https://x.localhost/",
    ])
      await failure(once({ hosts: ["a.example"], fetch }, get(url)), "MORTISE_HTTP_DENIED");
    for (const url of ["http://127.0.0.1/", "http://localhost/", "http://10.0.0.1", "http://x.localhost/"])
      await failure(once({ hosts: ["*"], fetch }, get(url)), "MORTISE_HTTP_DENIED");
    await failure(once({ hosts: [], fetch }, get("https://a.example")), "MORTISE_HTTP_DENIED");
    assert.equal(fetch.asked.length, 0);
  });

  it("follows redirects itself, each checked", async () => {
    const fetch = table({
      "https://a.example/": () => moved("/next"),
      "https://a.example/next": () => moved("https://b.example/", 307),
      "https://b.example/": () => new Response("end"),
      "https://a.example/away": () => moved("https://evil.example/"),
      "https://a.example/file": () => moved("file:///etc/passwd"),
      "https://a.example/down": () => moved("http://a.example/"),
    });
    const hosts = ["a.example", "b.example"];
    const response = await once({ hosts, fetch }, get("https://a.example/", { headers: { authorization: "s" } }));
    assert.equal(textOf(response), "end");
    const authorised = fetch.asked.map(([, init]) => (init.headers as string[][]).some(([name]) => name === "authorization"));
    assert.deepEqual(authorised, [true, true, false]);
    for (const path of ["away", "file", "down"]) await failure(once({ hosts, fetch }, get(`https://a.example/${path}`)), "MORTISE_HTTP_DENIED");
    assert.ok(!fetch.asked.some(([url]) => url.includes("evil") || url.startsWith("http:")));
  });

  it("refuses what a fetch got by following a redirect by itself", async () => {
    await using server = await httpServer((message, response) => {
      if (message.url === "/") response.writeHead(302, { location: "/end" }).end();
      else response.end("end");
    });
    const obstinate: FetchFunction = (url, init) => fetch(url, { ...init, redirect: "follow" });
    const error = await failure(once({ fetch: obstinate }, get(`http://127.0.0.1:${server.port}/`)), "MORTISE_HTTP_DENIED");
    assert.match(error.message, /fetch followed a redirect, whose target was not checked$/);
  });

  it("fails if a fetch hides where a redirect leads to", async () => {
    const hidden = Object.defineProperty(new Response(null), "type", { value: "opaqueredirect" });
    const error = await failure(once({ fetch: async () => hidden }, get("http://127.0.0.1/")), "MORTISE_HTTP_FAILED");
    assert.match(error.message, /this fetch hides where redirects lead to$/);
  });

  it("limits what a response inflates to", async () => {
    await using server = await httpServer((_message, response) =>
      response.setHeader("content-encoding", "gzip").end(gzipSync("a".repeat(1_000_000))),
    );
    const error = await failure(once({ maxResponseBytes: 10_000 }, get(`http://127.0.0.1:${server.port}/`)), "MORTISE_HTTP_LIMIT");
    assert.match(error.message, /10000 bytes that maxResponseBytes allows$/);
  });

  it("limits bodies, exactly, and heads", async () => {
    const body = (bytes: number): FetchFunction => table({ "http://127.0.0.1/": () => new Response(new Uint8Array(bytes)) });
    assert.equal((await once({ maxResponseBytes: 1000, fetch: body(1000) }, get("http://127.0.0.1/"))).body.length, 1000);
    await failure(once({ maxResponseBytes: 1000, fetch: body(1001) }, get("http://127.0.0.1/")), "MORTISE_HTTP_LIMIT");
    const head = table({ "http://127.0.0.1/": () => new Response(null, { headers: { x: "x".repeat(1000) } }) });
    assert.match(
      (await failure(once({ maxHeaderBytes: 1000, fetch: head }, get("http://127.0.0.1/")), "MORTISE_HTTP_LIMIT")).message,
      /maxHeaderBytes/,
    );
  });

  it("refuses a body with GET or HEAD, which fetch does not send", async () => {
    for (const method of ["GET", "HEAD"])
      await failure(once({}, get("http://127.0.0.1/", { method, body: new Uint8Array(1) })), "MORTISE_HTTP_INVALID");
  });

  it("says why fetch failed", async () => {
    await using server = await rawServer((socket) => socket.destroy());
    const closed = await failure(once({}, get(`http://127.0.0.1:${server.port}/`)), "MORTISE_HTTP_FAILED");
    assert.equal(closed.details["reason"], "the connection was closed before the response was complete");
    const thrown = await failure(once({ fetch: () => Promise.reject(new TypeError("secret")) }, get("http://127.0.0.1/")), "MORTISE_HTTP_FAILED");
    assert.equal(thrown.details["reason"], "TypeError");
    const cut = new ReadableStream({ pull: (controller) => controller.error(new Error("cut")) });
    await failure(once({ fetch: async () => new Response(cut) }, get("http://127.0.0.1/")), "MORTISE_HTTP_FAILED");
  });

  it("ends with the call, and what a fetch that goes on returns is given up", async () => {
    const controller = new AbortController();
    const answer = Promise.withResolvers<Response>();
    const asked = Promise.withResolvers<void>();
    const deaf: FetchFunction = () => {
      asked.resolve();
      return answer.promise;
    };
    const response = failure(once({ fetch: deaf }, get("http://127.0.0.1/"), callOf({ signal: controller.signal })), "MORTISE_ABORTED");
    await asked.promise;
    controller.abort();
    await response;
    const cancelled = Promise.withResolvers<void>();
    answer.resolve(new Response(new ReadableStream({ cancel: () => cancelled.resolve() })));
    await cancelled.promise;
  });

  it("ends while a body trickles, and stops reading it", async () => {
    const controller = new AbortController();
    const cancelled = Promise.withResolvers<void>();
    const reading = Promise.withResolvers<void>();
    let pulls = 0;
    const trickle = new ReadableStream({
      pull: (stream) => {
        if (++pulls < 5) stream.enqueue(Uint8Array.of(1));
        else reading.resolve();
      },
      cancel: () => cancelled.resolve(),
    });
    const response = failure(
      once({ fetch: async () => new Response(trickle) }, get("http://127.0.0.1/"), callOf({ signal: controller.signal })),
      "MORTISE_ABORTED",
    );
    await reading.promise;
    controller.abort();
    await response;
    await cancelled.promise;
  });

  it("ends at a deadline, also with a fetch that never settles, and gives its turn back", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    let asked = 0;
    const service = createFetchService({ fetch: () => (asked++, new Promise(() => {})), hosts: ["*"], maxConcurrent: 1, timeoutMs: 100 });
    for (let turn = 1; turn <= 2; turn++) {
      const response = failure(service.request(get("http://a.example"), callOf()), "MORTISE_HTTP_TIMEOUT");
      await until(() => asked >= turn);
      context.mock.timers.tick(100);
      await response;
    }
    service.close();
    await failure(service.request(get("http://a.example"), callOf()), "MORTISE_HTTP_FAILED");
  });

  it("refuses options that it does not have with MORTISE_INVALID_OPTION", () => {
    for (const options of [
      {},
      { fetch: "fetch" },
      { fetch: nodeFetch, ca: "x" },
      { fetch: nodeFetch, lookup: () => {} },
      { fetch: nodeFetch, hosts: ["a/b"] },
    ])
      assert.throws(() => createFetchService(options as FetchServiceOptions), { code: "MORTISE_INVALID_OPTION" });
  });
});
