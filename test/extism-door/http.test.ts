import assert from "node:assert/strict";
import { type IncomingMessage, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";

import { compare, thrown } from "./side-by-side.ts";
import { HTTP_GUEST } from "./modules.ts";
import { type Create, assemble } from "./sdks.ts";

const guest = await assemble(HTTP_GUEST);
const seen: IncomingMessage[] = [];
const server = createServer((request, response) => {
  seen.push(request);
  switch (request.url) {
    case "/redirect":
      return response.writeHead(302, { location: `http://localhost:${port}/ok` }).end();
    case "/missing":
      return response.writeHead(404).end("not here");
    case "/ten":
      return response.end("x".repeat(10));
    default:
      return response.writeHead(200, { "x-answer": "42" }).end(`${request.method} ${request.url}`);
  }
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;
after(() => {
  server.closeAllConnections();
  server.close();
});

const ask = (path: string, more: object = {}): string => JSON.stringify({ url: `http://127.0.0.1:${port}${path}`, ...more });

/** Calls the guest once with a request, and gives what it answers. */
function answerTo(options: Record<string, unknown>, input: string, fn: string = "get") {
  return async (create: Create): Promise<unknown> => {
    const plugin = await create({ wasm: [{ data: guest }] }, options);
    try {
      const output = await plugin.call(fn, input);
      return fn === "headers" && output !== null && output.byteLength > 0 ? (output.json() as Record<string, string>)["x-answer"] : output;
    } finally {
      await plugin.close();
    }
  };
}

const allowed = { allowedHosts: ["127.0.0.1"] };
const DENIED = thrown("Error", "Call error: ");

compare("allowedHosts", [
  { name: "allows a host", run: answerTo(allowed, ask("/ok")) },
  { name: "allows a host in the manifest", run: async (create) => (await create({ wasm: [{ data: guest }], ...allowed })).call("get", ask("/ok")) },
  {
    name: "of the options takes the place of the manifest's",
    run: async (create) =>
      (await create({ wasm: [{ data: guest }], ...allowed }, { allowedHosts: ["example.com"] })).call("get", ask("/ok")).catch(() => "denied"),
  },
  ...[{}, { allowedHosts: [] }, { allowedHosts: ["example.com"] }, { allowedHosts: ["127.0.0.2"] }].map((options) => ({
    name: `denies what ${JSON.stringify(options)} does not have`,
    run: answerTo(options, ask("/ok")),
    expect: { because: "the message says what would grant it", door: DENIED, package: DENIED },
  })),
  {
    name: "with a star and an address of this machine",
    run: answerTo({ allowedHosts: ["*"] }, ask("/ok")),
    expect: { because: "a star stands for public hosts", door: DENIED, package: { output: "GET /ok" } },
  },
  {
    name: "with a port",
    run: answerTo({ allowedHosts: [`127.0.0.1:${port}`] }, ask("/ok")),
    expect: { because: "that port is allowed", door: { output: "GET /ok" }, package: DENIED },
  },
  {
    name: "with a glob over addresses",
    run: answerTo({ allowedHosts: ["127.*"] }, ask("/ok")),
    expect: { because: "globs are for names", door: DENIED, package: { output: "GET /ok" } },
  },
  {
    name: "with alternatives",
    run: answerTo({ allowedHosts: ["{127.0.0.1,127.0.0.2}"] }, ask("/ok")),
  },
  {
    name: "with a negation",
    run: answerTo({ allowedHosts: ["!example.com"] }, ask("/ok")),
    expect: {
      because: "only what is listed is allowed",
      door: thrown("TypeError", 'Cannot use option "allowedHosts[0]"'),
      package: { output: "GET /ok" },
    },
  },
  {
    name: "and a redirect to a host that is not listed",
    run: answerTo(allowed, ask("/redirect")),
    expect: { because: "redirects are checked as well", door: DENIED, package: { output: "GET /ok" } },
  },
  { name: "and a redirect to a host that is listed", run: answerTo({ allowedHosts: ["127.0.0.1", "localhost"] }, ask("/redirect")) },
]);

compare("HTTP", [
  { name: "posts", run: answerTo(allowed, ask("/ok", { method: "POST" })) },
  { name: "takes methods in small letters", run: answerTo(allowed, ask("/ok", { method: "post" })) },
  { name: "gives bodies of failures", run: answerTo(allowed, ask("/missing")) },
  { name: "gives the status", run: answerTo(allowed, ask("/ok"), "status") },
  { name: "shows headers if it may", run: answerTo({ ...allowed, allowHttpResponseHeaders: true }, ask("/ok"), "headers") },
  {
    name: "hides headers otherwise",
    run: async (create) => (await (await create({ wasm: [{ data: guest }] }, allowed)).call("headers", ask("/ok")))?.text().includes("x-answer"),
  },
  {
    name: "sends headers",
    run: async (create) => {
      await answerTo(allowed, ask("/ok", { headers: { "x-sent": "yes" } }))(create);
      return seen.at(-1)?.headers["x-sent"];
    },
  },
  { name: "gives bodies below the limit", run: answerTo({ ...allowed, memory: { maxHttpResponseBytes: 11 } }, ask("/ten")) },
  {
    name: "gives a body as long as the limit",
    run: answerTo({ ...allowed, memory: { maxHttpResponseBytes: 10 } }, ask("/ten")),
    expect: { because: "a limit can be reached", door: { output: "x".repeat(10) }, package: { output: "\0" } },
  },
  {
    name: "for a body above the limit",
    run: answerTo({ ...allowed, memory: { maxHttpResponseBytes: 5 } }, ask("/ten")),
    expect: {
      because: "the call fails instead of going on without a body",
      door: thrown("MortiseError", "Failed in function"),
      package: { output: "\0" },
    },
  },
  {
    name: "for a request that is no JSON",
    run: answerTo(allowed, "{"),
    expect: {
      because: "it is the plugin's fault, which has a code",
      door: thrown("MortiseError", "Failed in function"),
      package: thrown("SyntaxError", ""),
    },
  },
  {
    name: "for a server that is not there",
    run: answerTo({ allowedHosts: ["127.0.0.1:1"] }, JSON.stringify({ url: "http://127.0.0.1:1/" })),
    expect: { because: "it says why", door: thrown("TypeError", "fetch failed: http://127.0.0.1:1: ") },
  },
]);

compare("HTTP with globs", [
  {
    name: "to names that DNS cannot hold",
    run: async (create) => {
      const codes: unknown[] = [];
      for (const host of [`${"a-".repeat(60_000)}.example.com`, "a..example.com", "-a-.example.com"]) {
        const options = { allowedHosts: ["*-*-*.example.com", "a*.example.com", "-*.example.com"] };
        const answer = answerTo(options, JSON.stringify({ url: `http://${host}/` }))(create);
        codes.push(await answer.catch((error: { readonly code?: unknown }) => error.code));
      }
      return codes;
    },
    expect: { because: "it is the plugin's fault, which has a code", door: Array(3).fill("MORTISE_HTTP_INVALID") },
  },
]);

compare("fetch", [
  {
    name: "carries requests",
    run: async (create) => {
      const calls: unknown[] = [];
      const fetch = async (url: unknown, init?: RequestInit): Promise<Response> => {
        calls.push(url, init?.method, new Headers(init?.headers).get("a"));
        return new Response("answer");
      };
      const input = JSON.stringify({ url: "http://example.com/x", headers: { a: "b" } });
      const output = await answerTo({ allowedHosts: ["*"], fetch }, input)(create);
      return [output, ...calls];
    },
  },
  {
    name: "is not asked for hosts that are not listed",
    run: async (create) => {
      let calls = 0;
      const fetch = async (): Promise<Response> => {
        calls++;
        return new Response("answer");
      };
      await answerTo({ allowedHosts: ["example.org"], fetch }, JSON.stringify({ url: "http://example.com/x" }))(create).catch(() => {});
      return calls;
    },
  },
  {
    name: "gets modules",
    run: async (create) => {
      const fetch = async (): Promise<Response> => new Response(guest, { headers: { "content-type": "application/wasm" } });
      return (await (await create({ wasm: [{ url: "http://example.com/x.wasm" }] }, { fetch })).getExports()).length;
    },
  },
  {
    name: "matches globs over names",
    run: async (create) => {
      const fetch = async (url: unknown): Promise<Response> => new Response(String(url));
      const options = { allowedHosts: ["api.*.example.com", "static?.example.com"], fetch };
      const answers: string[] = [];
      for (const host of ["api.eu.example.com", "static1.example.com", "static12.example.com", "api.example.com"]) {
        const answer = answerTo(options, JSON.stringify({ url: `http://${host}/` }))(create);
        answers.push(
          await answer.then(
            () => "allowed",
            () => "denied",
          ),
        );
      }
      return answers;
    },
  },
]);

after(() => assert.ok(seen.length > 0));
