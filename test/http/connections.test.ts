// Connections: who may have whose, how many there are, and what loading their parser does to a process.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";

import type { AddressKind } from "../../src/services/http/addresses.ts";
import { failureReport } from "../../src/services/http/failures.ts";
import { createHttpService } from "../../src/services/http/http-service.ts";
import { sharedLookup } from "../../src/services/http/name-lookup.ts";
import type { Ending, Incoming } from "../../src/services/http/transport.ts";
import { undiciTransport } from "../../src/services/http/undici-transport.ts";
import { callOf, failure, get, names, textOf, until, withService } from "./requests.ts";
import { type Listening, httpServer, mirror, rawServer } from "./servers.ts";

/** Answers, ends the connection, and counts in the first word those that are ended, in the second the requests. */
const CLOSING_SERVER = `
  const { parentPort, workerData: words } = require("node:worker_threads");
  const server = require("node:net").createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      Atomics.add(words, 1, 1);
      socket.end("HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\n\\r\\nx", () => {
        Atomics.add(words, 0, 1);
        Atomics.notify(words, 0);
      });
    });
  });
  server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));`;

const at = ({ port }: Listening, path = "/"): string => `http://127.0.0.1:${port}${path}`;

describe("undiciTransport", () => {
  it("never hands a connection to a request that may not reach its address", async () => {
    await using server = await mirror();
    const lookup = sharedLookup(names({ "a.example": "127.0.0.1" }));
    const transport = undiciTransport({ maxResponseBytes: 1000, maxHeaderBytes: 1000, maxConnections: 10, ca: undefined, lookup });
    const report = failureReport({ plugin: "guest", function: "f" });
    const ending: Ending = { reason: undefined, signal: new AbortController().signal, watch: () => {} };
    const ask = (...kinds: readonly AddressKind[]): Promise<Incoming> => {
      const head = { url: new URL(`http://a.example:${server.port}/`), method: "GET", headers: [], kinds: new Set(kinds) };
      return transport.exchange({ head, body: undefined }, { report, ending, wants: "body", follows: false });
    };
    for (const kinds of [
      ["public", "loopback"],
      ["loopback", "public"],
    ] as const)
      assert.equal((await ask(...kinds)).status, 200);
    assert.equal(server.connections, 1);
    await failure(ask("public"), "MORTISE_HTTP_DENIED");
    assert.equal(server.connections, 1);
    transport.close();
  });
});

describe("HttpService connections", () => {
  it("are maxConcurrent at most: the one that was idle for longest makes room", async () => {
    const servers = await Promise.all([mirror(), mirror(), mirror()]);
    const [first, second, third] = servers;
    await withService({ hosts: ["127.0.0.1"], maxConcurrent: 2 }, async (service) => {
      for (const server of [first, second, third]) await service.request(get(at(server)), callOf());
      // Others go to and fro, which is less than the four seconds that an idle connection is kept.
      for (let turn = 0; turn < 10; turn++) await service.request(get(at(third)), callOf());
      assert.equal(first.open.size, 0);
      assert.deepEqual([second.open.size, third.open.size], [1, 1]);
      await service.request(get(at(second)), callOf());
      assert.equal(second.connections, 1);
    });
    for (const server of servers) await server[Symbol.asyncDispose]();
  });

  it("that the server has closed are replaced for any method, since nothing was sent", async () => {
    await using server = await rawServer((socket, _input, connection) => {
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${connection}`);
    });
    await withService({ hosts: ["127.0.0.1"] }, async (service) => {
      for (const expected of ["1", "2", "3"]) {
        assert.equal(textOf(await service.request(get(at(server), { method: "POST", body: new Uint8Array(5) }), callOf())), expected);
        await server.allClosed();
      }
    });
  });

  it("that the server has closed without this process knowing are replaced for any method, since nothing was sent", async () => {
    // A server in a thread of its own: it closes while this one stands still, so that its end comes after the next request was begun.
    const words = new Int32Array(new SharedArrayBuffer(8));
    const server = new Worker(CLOSING_SERVER, { eval: true, workerData: words });
    const [port] = (await once(server, "message")) as [number];
    const requests = withService({ hosts: ["127.0.0.1"] }, async (service) => {
      const post = () => service.request(get(`http://127.0.0.1:${port}/`, { method: "POST", body: new Uint8Array(5) }), callOf());
      for (let turn = 1; turn <= 5; turn++) {
        assert.equal((await post()).status, 200);
        // Out of the turn in which the answer came: in the same, nothing could look at the connection before it is used.
        await new Promise((resolve) => setImmediate(resolve));
        while (Atomics.load(words, 0) < turn) Atomics.wait(words, 0, turn - 1);
      }
      assert.equal(words[1], 5, "requests that came");
    });
    await requests.finally(() => server.terminate());
  });

  it("carry a POST once, also if it dies with the connection and others wait", async () => {
    let posts = 0;
    await using server = await rawServer((socket, input) => {
      if (!input.startsWith("POST")) return void socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
      posts++;
      socket.destroy();
    });
    await withService({ hosts: ["127.0.0.1"], maxConcurrent: 1 }, async (service) => {
      await service.request(get(at(server)), callOf());
      const post = failure(service.request(get(at(server), { method: "POST", body: new Uint8Array(9) }), callOf()), "MORTISE_HTTP_FAILED");
      const after = service.request(get(at(server)), callOf());
      await post;
      assert.deepEqual([(await after).status, posts], [200, 1]);
    });
  });

  it("are closed with their service while they wait", async () => {
    await using server = await httpServer((_message, response) => response.end("x"));
    const service = createHttpService({ hosts: ["127.0.0.1"] });
    await Promise.all([1, 2, 3].map(() => service.request(get(at(server)), callOf())));
    service.close();
    await server.allClosed();
  });
});

describe("Requests with one head", () => {
  it("are each judged by their own body and headers", async () => {
    const seen: (string | undefined)[] = [];
    await using server = await httpServer((message, response) => {
      seen.push(message.headers["x-a"] as string | undefined);
      message.resume();
      response.end();
    });
    await withService({ hosts: ["127.0.0.1"] }, async (service) => {
      const post = (headers: Record<string, string>, bytes = 4) =>
        service.request(get(at(server), { method: "POST", headers, body: new Uint8Array(bytes) }), callOf());
      for (const headers of [{ "x-a": "1" }, { "x-a": "1" }, { "x-a": "2" }, {}]) await post(headers);
      await post({ "content-length": "4" });
      await failure(post({ "content-length": "4" }, 5), "MORTISE_HTTP_INVALID");
      await failure(post({ "x-a": "1\n" }), "MORTISE_HTTP_INVALID");
      await until(() => seen.length === 5);
      assert.deepEqual(seen, ["1", "1", "2", undefined, undefined]);
    });
  });
});

describe("The first request", () => {
  it("leaves the fetch of the process as it is", async () => {
    await using server = await mirror();
    const program = `
      import { createHttpService } from ${JSON.stringify(new URL("../../src/services/http/http-service.ts", import.meta.url).href)};
      const call = { plugin: "guest", function: "f", timeoutMs: 60_000, signal: new AbortController().signal };
      const service = createHttpService({ hosts: ["127.0.0.1"] });
      await service.request({ url: ${JSON.stringify(at(server))}, method: "GET", headers: {}, body: undefined }, call);
      service.close();
      console.log(Object.getOwnPropertySymbols(globalThis).filter((symbol) => String(symbol).includes("undici")).length);`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=source", "--input-type=module", "--eval", program]);
    assert.equal(stdout.trim(), "0");
  });
});
