// readManifest over HTTP: what is sent, what is followed, and what ends it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { EventEmitter, getEventListeners, once } from "node:events";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";

import { BASE64, MODULE, moduleOf, read, sha256, withModule } from "./modules.ts";
import { serve } from "./server.ts";

interface Seen {
  readonly host: "first" | "other";
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

let seen: Seen[] = [];
/** Emits `begun` and `ended` for answers that never come to an end by themselves. */
const endless = new EventEmitter();

/** Sends pieces for as long as someone takes them. */
function trickle(response: ServerResponse, piece: Uint8Array): void {
  const more = (): void => {
    if (!response.destroyed) response.write(piece, () => setImmediate(more));
  };
  response.on("close", () => endless.emit("ended"));
  more();
  endless.emit("begun");
}

const large = moduleOf(300_000, 5);
/** Nothing packs it: what is sent has more bytes than it. */
const noise = moduleOf(2000);
noise.set(randomBytes(1985), 15);
const ANSWERS: Readonly<Record<string, (response: ServerResponse, request: IncomingMessage) => void>> = {
  "/a.wasm": (response) => response.end(MODULE),
  "/typed": (response) => response.writeHead(200, { "content-type": "text/html" }).end(MODULE),
  "/plugin.json": (response) => response.end(JSON.stringify(withModule({ config: { a: "b" } }))),
  "/toml": (response) => response.writeHead(200, { "content-type": "application/toml" }).end(`# m\n[[wasm]]\nurl = "${origin}/a.wasm"\n`),
  "/paths.json": (response) => response.end(`{"wasm": [{"url": "${origin}/a.wasm"}],\n "allowed_paths": {".": "/"}}`),
  "/path.json": (response) => response.end(`{"wasm": [{"path": "a.wasm"}]}`),
  "/file-url.json": (response) => response.end(`{"wasm": [{"url": "file:///a.wasm"}]}`),
  "/file-path.json": (response) => response.end(`{"wasm": [{"path": "file:///a.wasm"}]}`),
  "/page": (response) => response.end("<!doctype html>"),
  "/404": (response) => response.writeHead(404).end("not here"),
  "/500": (response) => response.writeHead(500).end("oh"),
  "/204": (response) => response.writeHead(204).end(),
  "/304": (response) => response.writeHead(304).end(),
  "/302-to-nowhere": (response) => response.writeHead(302).end(),
  "/large": (response) => response.writeHead(200, { "content-length": String(large.length) }).end(large),
  "/large-chunked": (response) => response.write(large, () => response.end()),
  "/gzip": (response) => response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(large)),
  "/gzip-larger": (response) =>
    response.writeHead(200, { "content-encoding": "gzip", "content-length": gzipSync(noise).length }).end(gzipSync(noise)),
  "/cut": (response) => response.writeHead(200, { "content-length": "100" }).write(MODULE, () => response.destroy()),
  "/hang": (response) => {
    response.on("close", () => endless.emit("ended"));
    endless.emit("begun");
  },
  "/half": (response) => {
    response.writeHead(200).write(MODULE);
    response.on("close", () => endless.emit("ended"));
    endless.emit("begun");
  },
  "/trickle": (response) => trickle(response, moduleOf(500)),
  "/loop": (response) => response.writeHead(302, { location: "/loop" }).end(),
  "/to-other": (response) => response.writeHead(307, { location: `${other}/a.wasm` }).end(),
  "/to-user": (response) => response.writeHead(302, { location: `http://eve:hidden@${new URL(other).host}/a.wasm` }).end(),
  "/to-file": (response) => response.writeHead(301, { location: "file:///etc/passwd" }).end(),
  "/to-nothing": (response) => response.writeHead(301, { location: "http://[" }).end(),
};
for (const status of [301, 302, 303, 307, 308])
  Object.assign(ANSWERS, { [`/${status}`]: (response: ServerResponse) => response.writeHead(status, { location: "a.wasm" }).end("moved") });
for (const steps of [1, 2, 3, 4, 5, 6])
  Object.assign(ANSWERS, { [`/steps/${steps}`]: (response: ServerResponse) => response.writeHead(302, { location: steps === 1 ? "/a.wasm" : `/steps/${steps - 1}` }).end() }); // prettier-ignore

const answering = (host: Seen["host"]) => (request: IncomingMessage, response: ServerResponse) => {
  seen.push({ host, method: request.method ?? "", url: request.url ?? "", headers: request.headers });
  const answer = ANSWERS[new URL(request.url ?? "", "http://x").pathname];
  if (answer === undefined) response.writeHead(404).end();
  else answer(response, request);
};
const origin = await serve(answering("first"));
const other = await serve(answering("other"));

/** What the server saw while `work` went on. */
async function watching(work: () => Promise<unknown>): Promise<Seen[]> {
  seen = [];
  await work();
  return seen;
}

describe("readManifest from a URL", () => {
  it("takes a module, whatever its media type, and names the plugin after the URL", async () => {
    for (const [source, name, shown] of [
      [`${origin}/a.wasm`, "a", `"${origin}/a.wasm"`],
      [new URL(`${origin}/a.wasm?token=secret#part`), "a", `"${origin}/a.wasm?…"`],
      [`${origin}/typed`, "typed", `"${origin}/typed"`],
      [origin.replace("http", "HTTP").concat("/a.wasm"), "a", `"${origin}/a.wasm"`],
    ] as const) {
      const found = await read(source);
      assert.deepEqual([found.modules, found.name], [[{ name: "main", bytes: MODULE, source: shown }], name]);
    }
    assert.equal((await read(fetch(`${origin}/a.wasm?x=y`))).modules[0]?.source, `"${origin}/a.wasm?…"`);
  });

  it("takes a manifest, and the modules that it names", async () => {
    assert.deepEqual({ ...(await read(`${origin}/plugin.json`)).config }, { a: "b" });
    assert.equal((await read(`${origin}/plugin.json`)).name, "plugin");
    const requests = await watching(async () => assert.deepEqual((await read(`${origin}/toml`)).modules[0]?.bytes, MODULE));
    assert.deepEqual(
      requests.map(({ url }) => url),
      ["/toml", "/a.wasm"],
    );
  });

  it("refuses paths of this machine in a manifest that came over the network", async () => {
    for (const [source, place] of [
      [`${origin}/path.json`, /line 1, column 12: wasm\[0\]\.path names a file of this machine, which a manifest from the network may not/],
      [`${origin}/file-url.json`, /wasm\[0\]\.url names a file of this machine/],
      [`${origin}/file-path.json`, /wasm\[0\]\.path names a file of this machine/],
      [`${origin}/paths.json`, /line 2, column 20: allowed_paths\["\."\] names a path of this machine/],
      [new Response(`{"wasm": [{"path": "a.wasm"}]}`), /^Cannot use the response, line 1, column 12: wasm\[0\]\.path names a file/],
    ] as const)
      await assert.rejects(read(source), { code: "MORTISE_MANIFEST_INVALID", message: place });
  });
});

describe("readManifest's requests", () => {
  it("have the method and the headers that the manifest gives", async () => {
    const headers = { Authorization: "Bearer secret", "x-api-key": "also secret" };
    for (const [method, sent] of [
      ["post", "POST"],
      [undefined, "GET"],
    ] as const) {
      const [request] = await watching(() => read({ wasm: [{ url: `${origin}/a.wasm?a=b`, headers, method, hash: sha256(MODULE) }] }));
      assert.deepEqual([request?.method, request?.url], [sent, "/a.wasm?a=b"]);
      assert.deepEqual([request?.headers.authorization, request?.headers["x-api-key"]], ["Bearer secret", "also secret"]);
    }
  });

  it("turn name and password of the URL into a header, unless there is one", async () => {
    const url = `${origin.replace("//", "//us%20er:se%2Fcret@")}/a.wasm`;
    const basic = `Basic ${Buffer.from("us er:se/cret").toString("base64")}`;
    const [plain] = await watching(() => read(url));
    assert.equal(plain?.headers.authorization, basic);
    const [given] = await watching(() => read({ wasm: [{ url, headers: { AUTHORIZATION: "Bearer x" } }] }));
    assert.equal(given?.headers.authorization, "Bearer x");
  });

  it("go through the fetch that is given", async () => {
    const urls: string[] = [];
    const options = {
      fetch: (url: URL | RequestInfo) => {
        urls.push((url as URL).href);
        return Promise.resolve(new Response(MODULE));
      },
    };
    const { modules } = await read({ wasm: [{ url: "https://example.com/a.wasm" }] }, options);
    assert.deepEqual([urls, modules[0]?.bytes], [["https://example.com/a.wasm"], MODULE]);
  });

  it("come one after the other, and end with the first that fails", async () => {
    const wasm = ["a.wasm", "404", "500", "a.wasm"].map((path, index) => ({ url: `${origin}/${path}`, name: `m${index}` }));
    const requests = await watching(() =>
      assert.rejects(read({ wasm }), { code: "MORTISE_SOURCE_STATUS", details: { source: `"${origin}/404"`, status: 404 } }),
    );
    assert.deepEqual(
      requests.map(({ url }) => url),
      ["/a.wasm", "/404"],
    );
  });
});

describe("readManifest's redirects", () => {
  it("are followed within an origin with all headers, and with the method where the status says so", async () => {
    for (const [status, method] of [[301, "GET"], [302, "GET"], [303, "GET"], [307, "POST"], [308, "POST"]] as const) {
      const requests = await watching(() => read({ wasm: [{ url: `${origin}/${status}`, method: "POST", headers: { "x-key": "k" } }] }));
      assert.deepEqual(requests.map((each) => [each.method, each.headers["x-key"]]), [["POST", "k"], [method, "k"]]);
    }
  }); // prettier-ignore

  it("lose every header that may be a credential when they leave the origin", async () => {
    const headers = { authorization: "Bearer secret", cookie: "a=b", "x-api-key": "secret", accept: "application/wasm", "user-agent": "mine" };
    for (const url of [`${origin}/to-other`, `${origin.replace("//", "//user:secret@")}/to-other`, `${origin}/to-user`]) {
      const [first, second] = await watching(() => read({ wasm: [{ url, headers }] }));
      assert.equal(first?.headers.cookie, "a=b");
      assert.equal(second?.host, "other");
      assert.doesNotMatch(JSON.stringify(second?.headers), /secret|cookie|api-key|authorization|hidden|eve/);
      assert.deepEqual([second?.headers.accept, second?.headers["user-agent"]], ["application/wasm", "mine"]);
    }
  });

  it("are followed five times", async () => {
    assert.equal((await read(`${origin}/steps/5`)).modules.length, 1);
    for (const path of ["steps/6", "loop"]) {
      const requests = await watching(() => assert.rejects(read(`${origin}/${path}`), { code: "MORTISE_SOURCE_UNREADABLE", message: `Cannot read "${origin}/${path}": it redirects more than 5 times` })); // prettier-ignore
      assert.equal(requests.length, 6);
    }
  });

  it("may not lead from https: to http:, to a file or to nothing", async () => {
    const downgrade = { fetch: () => Promise.resolve(new Response(null, { status: 302, headers: { location: `${origin}/a.wasm` } })) };
    const cases: readonly (readonly [url: string, message: RegExp, options?: object])[] = [
      [`${origin}/to-file`, /it redirects to a URL of file:$/],
      [`${origin}/to-nothing`, /it redirects to something that is no URL$/],
      ["https://example.com/", /it redirects from https: to http:$/, downgrade],
    ];
    for (const [url, message, options] of cases) await assert.rejects(read(url, options), { code: "MORTISE_SOURCE_UNREADABLE", message });
  });
});

describe("readManifest's downloads that fail", () => {
  const cases: readonly (readonly [path: string, code: string, message: RegExp])[] = [
    ["404", "MORTISE_SOURCE_STATUS", /\/404": the server answered with status 404$/],
    ["500", "MORTISE_SOURCE_STATUS", /status 500$/],
    ["304", "MORTISE_SOURCE_STATUS", /status 304$/],
    ["302-to-nowhere", "MORTISE_SOURCE_STATUS", /status 302$/],
    ["204", "MORTISE_NOT_WASM", /nothing \(it is empty\)/],
    ["page", "MORTISE_NOT_WASM", /bytes 3c 21 64 6f/],
    ["cut", "MORTISE_SOURCE_UNREADABLE", /the connection broke$/],
  ];
  for (const [path, code, message] of cases) {
    it(`have a code: ${code} for ${path}`, async () => {
      await assert.rejects(read(`${origin}/${path}`), { code, message });
      await assert.rejects(read({ wasm: [{ url: `${origin}/${path}` }] }), { code, message });
    });
  }

  it("say that nobody listens", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const gone = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    server.close();
    await once(server, "close");
    await assert.rejects(read(gone), { code: "MORTISE_SOURCE_UNREADABLE", message: /: the connection was refused$/ });
  });

  it("never show credentials, whatever fails", async () => {
    const secret = (path: string): string => `${origin.replace("//", "//user:secret@")}/${path}?token=secret#secret`;
    for (const path of ["404", "page", "cut", "to-file", "loop", "to-nothing"])
      for (const source of [secret(path), new URL(secret(path)), { wasm: [{ url: secret(path), headers: { authorization: "secret" } }] }])
        await assert.rejects(read(source), (error: Error & { details: object }) => !/secret/.test(error.message + JSON.stringify(error.details)) && error.message.includes("?…"));
    const talkative = { fetch: (url: unknown) => Promise.reject(new Error(`cannot reach ${String(url)}`)) };
    await assert.rejects(read(secret("a.wasm"), talkative), { code: "MORTISE_SOURCE_UNREADABLE", message: /^[^?]*\?…": the request failed$/ });
    await assert.rejects(read("http://user:secret@host:99999/"), (error: Error) => !error.message.includes("secret"));
  }); // prettier-ignore
});

describe("readManifest's downloads that are too large", () => {
  it("end before the first byte is taken if the server tells the size", async () => {
    await assert.rejects(read(`${origin}/large`, { maxBytes: 299_999 }), {
      code: "MORTISE_MODULE_LIMIT",
      details: { source: `"${origin}/large"`, size: 300_000, limit: 299_999 },
    });
    assert.deepEqual((await read(`${origin}/large`, { maxBytes: 300_000 })).modules[0]?.bytes, large);
  });

  it("end on the way if it does not, or if it packs them", async () => {
    for (const path of ["large-chunked", "gzip"]) {
      const limited = { code: "MORTISE_MODULE_LIMIT", details: { source: `"${origin}/${path}"`, size: "more than 299999", limit: 299_999 } };
      await assert.rejects(read(`${origin}/${path}`, { maxBytes: 299_999 }), limited);
      await assert.rejects(read({ wasm: [{ url: `${origin}/${path}` }] }, { maxBytes: 299_999 }), limited);
      assert.deepEqual((await read(`${origin}/${path}`, { maxBytes: 300_000 })).modules[0]?.bytes, large);
    }
  });

  it("are measured by what a packed answer becomes, and not by what is sent", async () => {
    assert.deepEqual((await read(`${origin}/gzip-larger`, { maxBytes: 2000 })).modules[0]?.bytes, noise);
  });

  it("let go of a server that would send for ever", async () => {
    const ended = once(endless, "ended");
    await assert.rejects(read(`${origin}/trickle`, { maxBytes: 100_000 }), { code: "MORTISE_MODULE_LIMIT" });
    await ended;
  });
});

describe("readManifest's deadline", () => {
  for (const path of ["hang", "half", "trickle"]) {
    it(`ends a server that answers with /${path}, and the connection`, async () => {
      for (const source of [() => `${origin}/${path}`, () => ({ wasm: [{ data: BASE64, name: "a" }, { url: `${origin}/${path}` }] })]) {
        const ended = once(endless, "ended");
        await assert.rejects(read(source(), { timeoutMs: 100, maxBytes: Number.POSITIVE_INFINITY }), {
          code: "MORTISE_SOURCE_TIMEOUT",
          message: `Cannot read "${origin}/${path}": it was not there within 100 ms`,
        });
        await ended;
      }
    });

    it(`is not waited for when the caller aborts /${path}`, async () => {
      const controller = new AbortController();
      const begun = once(endless, "begun");
      const ended = once(endless, "ended");
      const failed = assert.rejects(read(`${origin}/${path}`, { signal: controller.signal, maxBytes: Number.POSITIVE_INFINITY }), {
        code: "MORTISE_SOURCE_ABORTED",
        message: `Cannot read "${origin}/${path}": the caller aborted it`,
        cause: "enough",
      });
      await begun;
      controller.abort("enough");
      await failed;
      await ended;
    });
  }

  it("ends the wait for a promise of a source, and for a body that never comes", async () => {
    let cancelled: unknown;
    const body = new ReadableStream({ cancel: (reason) => ((cancelled = reason ?? "yes"), new Promise<void>(() => {})) });
    for (const [source, what] of [[new Promise(() => {}), "the source"], [new Response(body), "the response"]] as const)
      await assert.rejects(read(source, { timeoutMs: 20 }), { code: "MORTISE_SOURCE_TIMEOUT", message: `Cannot read ${what}: it was not there within 20 ms` }); // prettier-ignore
    assert.equal(cancelled, "yes");
  });

  it("refuses at once what the caller aborted before, without a request or a look at the file", async () => {
    const signal = AbortSignal.abort(new Error("before"));
    const requests = await watching(async () => {
      for (const source of [`${origin}/a.wasm`, "/dev/null", MODULE, withModule()])
        await assert.rejects(read(source, { signal }), { code: "MORTISE_SOURCE_ABORTED", cause: signal.reason });
    });
    assert.deepEqual(requests, []);
  });

  it("leaves neither timers nor listeners behind", async () => {
    const { signal } = new AbortController();
    const timers = (): number => process.getActiveResourcesInfo().filter((each) => each === "Timeout").length;
    const running = timers();
    for (let index = 0; index < 20; index++) await read(MODULE, { signal, timeoutMs: 1_000_000 });
    await assert.rejects(read("/dev/null", { signal, timeoutMs: 1_000_000 }));
    assert.deepEqual([timers(), getEventListeners(signal, "abort").length], [running, 0]);
  });

  it("may be longer than a timer can be, or none", async () => {
    for (const timeoutMs of [2 ** 40, Number.POSITIVE_INFINITY]) assert.equal((await read(`${origin}/a.wasm`, { timeoutMs })).modules.length, 1);
  });
});
