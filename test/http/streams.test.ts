// Bodies that are read while they come: the same rules as for whole ones, and what a stream needs besides.

import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, it } from "node:test";

import type { HttpStream, StreamingHttpService } from "../../src/api/http.ts";
import { createFetchService } from "../../src/services/http/fetch-service.ts";
import { createHttpService } from "../../src/services/http/http-service.ts";
import type { HttpLimits } from "../../src/services/http/options.ts";
import { callOf, failure, get, until } from "./requests.ts";
import { type Listening, httpServer, rawServer } from "./servers.ts";

const HERE = { hosts: ["127.0.0.1"] };
const at = ({ port }: Listening, path = "/"): string => `http://127.0.0.1:${port}${path}`;

const WAYS: readonly (readonly [name: string, create: (limits: HttpLimits) => StreamingHttpService])[] = [
  ["createHttpService", (limits) => createHttpService({ ...HERE, ...limits })],
  ["createFetchService", (limits) => createFetchService({ ...HERE, ...limits, fetch: (url, init) => fetch(url, init) })],
];

/** A server whose response a test writes. */
async function scripted(): Promise<{ readonly server: Listening; readonly response: Promise<ServerResponse> }> {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  const server = await httpServer((_message, response) => {
    response.writeHead(200, { "x-kind": "stream" });
    response.flushHeaders();
    resolve(response);
  });
  return { server, response: promise };
}

async function textsOf({ body }: HttpStream): Promise<string[]> {
  const texts: string[] = [];
  for await (const piece of body) texts.push(new TextDecoder().decode(piece));
  return texts;
}

for (const [name, create] of WAYS) {
  describe(`${name}.open`, () => {
    it("gives the head at once and each piece when it comes", async () => {
      const { server, response } = await scripted();
      await using _server = server;
      const service = create({});
      const stream = await service.open(get(at(server)), callOf());
      assert.deepEqual([stream.status, stream.headers["x-kind"]], [200, "stream"]);
      const pieces = stream.body[Symbol.asyncIterator]();
      for (const text of ["one", "two", "größer"]) {
        (await response).write(text);
        const { value } = await pieces.next();
        assert.equal(new TextDecoder().decode(value as Uint8Array), text);
      }
      (await response).end();
      assert.deepEqual(await pieces.next(), { done: true, value: undefined });
      assert.deepEqual(await pieces.next(), { done: true, value: undefined });
      service.close();
    });

    it("delivers a response without success, and one without a body", async () => {
      await using server = await httpServer((message, response) =>
        response.writeHead(message.url === "/none" ? 204 : 429).end(message.url === "/none" ? "" : "slow down"),
      );
      const service = create({});
      const busy = await service.open(get(at(server)), callOf());
      assert.deepEqual([busy.status, await textsOf(busy)], [429, ["slow down"]]);
      const none = await service.open(get(at(server, "/none")), callOf());
      assert.deepEqual([none.status, await textsOf(none)], [204, []]);
      service.close();
    });

    it("asks nobody that the allow-list does not cover, and no such target of a redirect", async () => {
      let asked = 0;
      await using server = await httpServer((message, response) => {
        asked++;
        if (message.url === "/away") response.writeHead(302, { location: `http://localhost:${server.port}/` }).end();
        else response.end("here");
      });
      const service = create({});
      await failure(service.open(get(`http://localhost:${server.port}/`), callOf()), "MORTISE_HTTP_DENIED");
      assert.equal(asked, 0);
      await failure(service.open(get(at(server, "/away")), callOf()), "MORTISE_HTTP_DENIED");
      assert.equal(asked, 1);
      service.close();
    });

    it("follows a redirect to what it covers", async () => {
      await using server = await httpServer((message, response) => {
        if (message.url === "/first") response.writeHead(307, { location: "/second" }).end();
        else response.end(message.url);
      });
      const service = create({});
      assert.deepEqual(await textsOf(await service.open(get(at(server, "/first")), callOf())), ["/second"]);
      service.close();
    });

    it("lets maxResponseBytes through, and no byte more", async () => {
      // What is too large never ends: its connection is closed by the service, or not at all.
      await using server = await httpServer((message, response) => {
        if (message.url === "/more") response.write(Buffer.alloc(1001));
        else response.setHeader("connection", "close").end(Buffer.alloc(1000));
      });
      const service = create({ maxResponseBytes: 1000 });
      assert.equal((await textsOf(await service.open(get(at(server)), callOf()))).join("").length, 1000);
      const error = await failure(textsOf(await service.open(get(at(server, "/more")), callOf())), "MORTISE_HTTP_LIMIT");
      assert.equal(error.details["option"], "maxResponseBytes");
      await server.allClosed();
      service.close();
    });

    it("ends a body that stops for longer than idleTimeoutMs, and closes its connection", async () => {
      const { server, response } = await scripted();
      await using _server = server;
      const service = create({ idleTimeoutMs: 30 });
      const stream = await service.open(get(at(server)), callOf());
      (await response).write("a beginning");
      const error = await failure(textsOf(stream), "MORTISE_HTTP_IDLE");
      assert.deepEqual({ ...error.details }, { plugin: "guest", function: "f", url: `http://127.0.0.1:${server.port}`, limit: 30 });
      await server.allClosed();
      service.close();
    });

    it("does not count the time in which nobody reads as idle", async () => {
      const { server, response } = await scripted();
      await using _server = server;
      const service = create({ idleTimeoutMs: 40 });
      const stream = await service.open(get(at(server)), callOf());
      // Longer than idleTimeoutMs, by the clock that it is counted with.
      await new Promise((resolve) => setTimeout(resolve, 80));
      (await response).end("late, but not too late");
      assert.deepEqual(await textsOf(stream), ["late, but not too late"]);
      service.close();
    });

    it("waits for the head for timeoutMs only, and for the body longer", async () => {
      const { server, response } = await scripted();
      await using silent = await httpServer(() => {});
      await using _server = server;
      const service = create({ timeoutMs: 60 });
      await failure(service.open(get(at(silent)), callOf()), "MORTISE_HTTP_TIMEOUT");
      const stream = await service.open(get(at(server)), callOf());
      await new Promise((resolve) => setTimeout(resolve, 120));
      (await response).end("after timeoutMs");
      assert.deepEqual(await textsOf(stream), ["after timeoutMs"]);
      service.close();
    });

    it("ends a body at the call's own deadline, also while nobody reads", async () => {
      const { server } = await scripted();
      await using _server = server;
      const service = create({});
      const stream = await service.open(get(at(server)), callOf({ timeoutMs: 40, statedMs: 41 }));
      await server.allClosed();
      const error = await failure(textsOf(stream), "MORTISE_TIMEOUT");
      assert.equal(error.details["limit"], 41);
      service.close();
    });

    it("fails with MORTISE_ABORTED when the call is aborted, while a piece is waited for and before", async () => {
      for (const whileWaiting of [true, false]) {
        const { server } = await scripted();
        await using _server = server;
        const service = create({});
        const abort = new AbortController();
        const stream = await service.open(get(at(server)), callOf({ signal: abort.signal }));
        const reading = whileWaiting ? textsOf(stream) : undefined;
        abort.abort(new Error("enough"));
        await failure(reading ?? textsOf(stream), "MORTISE_ABORTED");
        await server.allClosed();
        service.close();
      }
    });

    it("closes the connection when the reader leaves, or closes it before reading, or while it waits", async () => {
      for (const leave of ["break", "close", "close while waiting"]) {
        const { server, response } = await scripted();
        await using _server = server;
        const service = create({});
        const stream = await service.open(get(at(server)), callOf());
        if (leave === "break") {
          (await response).write("one");
          for await (const _piece of stream.body) break;
        } else if (leave === "close") stream.close();
        else {
          const next = stream.body[Symbol.asyncIterator]().next();
          stream.close();
          assert.deepEqual(await next, { done: true, value: undefined });
        }
        await server.allClosed();
        service.close();
      }
    });

    it("gives its place back to others when the body has ended, and not before", async () => {
      const { server, response } = await scripted();
      await using _server = server;
      await using other = await httpServer((_message, answer) => answer.end("next"));
      const service = create({ maxConcurrent: 1 });
      const stream = await service.open(get(at(server)), callOf());
      let began = false;
      const second = service.open(get(at(other)), callOf()).then((opened) => ((began = true), opened));
      (await response).write("one");
      const pieces = stream.body[Symbol.asyncIterator]();
      await pieces.next();
      assert.deepEqual([began, other.connections], [false, 0]);
      await pieces.return?.();
      assert.deepEqual(await textsOf(await second), ["next"]);
      service.close();
    });

    it("fails with MORTISE_HTTP_FAILED when the server drops the connection within the body", async () => {
      const { server, response } = await scripted();
      await using _server = server;
      const service = create({});
      const stream = await service.open(get(at(server)), callOf());
      (await response).write("half a");
      const pieces = stream.body[Symbol.asyncIterator]();
      await pieces.next();
      (await response).destroy();
      const error = await failure(pieces.next() as Promise<unknown>, "MORTISE_HTTP_FAILED");
      assert.match(error.message, /closed before the response was complete/);
      service.close();
    });

    it("fails what is open when the service is closed", async () => {
      const { server } = await scripted();
      await using _server = server;
      const service = create({});
      const stream = await service.open(get(at(server)), callOf());
      const reading = failure(textsOf(stream), "MORTISE_HTTP_FAILED");
      service.close();
      assert.match((await reading).message, /the service is closed/);
      await failure(service.open(get(at(server)), callOf()), "MORTISE_HTTP_FAILED");
    });
  });
}

describe("createHttpService.open", () => {
  it("holds the server back while nobody reads", async () => {
    const whole = 64 << 20;
    let sent = 0;
    await using server = await httpServer((_message, response) => {
      const piece = Buffer.alloc(1 << 16);
      const more = (): void => {
        while (sent < whole) {
          sent += piece.length;
          if (!response.write(piece)) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    });
    const service = createHttpService({ ...HERE, maxResponseBytes: whole });
    const stream = await service.open(get(at(server)), callOf());
    // What fits into the buffers on the way is sent, and no more.
    let before = -1;
    for (let turns = 0; turns < 50 || sent !== before; turns++) {
      before = sent;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(sent < whole / 2, `${sent} bytes were sent to nobody`);
    let read = 0;
    for await (const piece of stream.body) read += piece.length;
    assert.equal(read, whole);
    service.close();
  });

  it("keeps the connection of a body that was read to its end", async () => {
    await using server = await httpServer((_message, response) => response.end("all of it"));
    const service = createHttpService(HERE);
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(await textsOf(await service.open(get(at(server)), callOf())), ["all of it"]);
      // The connection is put away in a turn of its own.
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(server.connections, 1);
    service.close();
  });

  it("makes few pieces of many tiny ones that came together", async () => {
    await using server = await rawServer((socket) => {
      socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n${"1\r\nx\r\n".repeat(20_000)}0\r\n\r\n`);
    });
    const service = createHttpService(HERE);
    const pieces = await textsOf(await service.open(get(at(server)), callOf()));
    assert.equal(pieces.join("").length, 20_000);
    assert.ok(pieces.length < 2000, `${pieces.length} pieces`);
    service.close();
  });

  it("refuses a broken chunk within the body", async () => {
    await using server = await rawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
      setImmediate(() => socket.write("zz\r\n"));
    });
    const service = createHttpService(HERE);
    const error = await failure(textsOf(await service.open(get(at(server)), callOf())), "MORTISE_HTTP_FAILED");
    assert.match(error.message, /does not speak HTTP/);
    service.close();
  });
});

describe("createFetchService.open", () => {
  it("ends with the call although the function watches no signal", async () => {
    const never = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
    const service = createFetchService({ ...HERE, fetch: async () => new Response(never) });
    const abort = new AbortController();
    const stream = await service.open(get("http://127.0.0.1/"), callOf({ signal: abort.signal }));
    const reading = failure(textsOf(stream), "MORTISE_ABORTED");
    abort.abort();
    await reading;
  });

  it("gives up a body that nobody reads when the call ends, and its place", async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
    const service = createFetchService({ ...HERE, maxConcurrent: 1, fetch: async () => new Response(cancelled ? "next" : body) });
    const abort = new AbortController();
    await service.open(get("http://127.0.0.1/"), callOf({ signal: abort.signal }));
    abort.abort();
    assert.deepEqual(await textsOf(await service.open(get("http://127.0.0.1/"), callOf())), ["next"]);
  });

  it("refuses a body in more than 16,384 pieces of fewer than 32 bytes", async () => {
    const tiny = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(Uint8Array.of(1)) });
    const service = createFetchService({ ...HERE, fetch: async () => new Response(tiny) });
    const error = await failure(textsOf(await service.open(get("http://127.0.0.1/"), callOf())), "MORTISE_HTTP_FAILED");
    assert.match(error.message, /too many too small pieces/);
  });

  it("gives up a response that comes after the call has ended", async () => {
    let cancelled = false;
    const { promise, resolve } = Promise.withResolvers<Response>();
    const service = createFetchService({ ...HERE, fetch: () => promise });
    const abort = new AbortController();
    const opening = failure(service.open(get("http://127.0.0.1/"), callOf({ signal: abort.signal })), "MORTISE_ABORTED");
    abort.abort();
    await opening;
    resolve(new Response(new ReadableStream({ cancel: () => void (cancelled = true) })));
    await until(() => cancelled);
  });
});
