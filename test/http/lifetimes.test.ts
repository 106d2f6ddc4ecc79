// How long requests and connections of the HTTP service last: deadlines, the call's signal, connections that are kept.

import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { type TestContext, describe, it } from "node:test";

import { MortiseError } from "../../src/api/errors.ts";
import { createHttpService } from "../../src/services/http/http-service.ts";
import type { HttpOptions } from "../../src/services/http/options.ts";
import { callOf, failure, fetchOnce, get, textOf, until, withService } from "./requests.ts";
import { type Listening, httpServer, mirror, rawServer } from "./servers.ts";

const HERE: HttpOptions = { hosts: ["127.0.0.1"] };
const at = ({ port }: Listening, path = "/"): string => `http://127.0.0.1:${port}${path}`;

/** A promise that a server resolves when a request has come. */
function arrival(): { readonly came: Promise<IncomingMessage>; readonly listener: (message: IncomingMessage) => void } {
  const { promise, resolve } = Promise.withResolvers<IncomingMessage>();
  return { came: promise, listener: resolve };
}

describe("HttpService deadlines", () => {
  /** A clock that only moves when told to; Node's own timers go on. */
  const fakeClock = ({ mock }: TestContext): void => mock.timers.enable({ apis: ["setTimeout"] });

  it("ends a request at timeoutMs with MORTISE_HTTP_TIMEOUT, and closes its connection", async (context) => {
    fakeClock(context);
    const { came, listener } = arrival();
    await using server = await httpServer(listener);
    await withService({ ...HERE, timeoutMs: 5000 }, async (service) => {
      const response = failure(service.request(get(at(server)), callOf({ timeoutMs: 5001 })), "MORTISE_HTTP_TIMEOUT");
      await came;
      context.mock.timers.tick(4999);
      assert.equal(server.open.size, 1);
      context.mock.timers.tick(1);
      assert.match((await response).message, /to http:\/\/127\.0\.0\.1:\d+ took longer than the 5000 ms/);
      await server.allClosed();
    });
  });

  it("ends a request at the call's own deadline with MORTISE_TIMEOUT", async (context) => {
    fakeClock(context);
    const { came, listener } = arrival();
    await using server = await httpServer(listener);
    await withService({ ...HERE, timeoutMs: 5000 }, async (service) => {
      const response = failure(service.request(get(at(server)), callOf({ timeoutMs: 70 })), "MORTISE_TIMEOUT");
      await came;
      context.mock.timers.tick(70);
      assert.deepEqual({ ...(await response).details }, { plugin: "guest", function: "f", limit: 70 });
      await server.allClosed();
    });
  });

  it("does not begin without time", async (context) => {
    // No timer ever fires.
    fakeClock(context);
    await using server = await mirror();
    for (const timeoutMs of [0, -5]) await failure(fetchOnce(HERE, get(at(server)), callOf({ timeoutMs })), "MORTISE_TIMEOUT");
    assert.equal(server.connections, 0);
  });

  it("takes any amount of time", async () => {
    await using server = await mirror();
    assert.equal((await fetchOnce(HERE, get(at(server)), callOf({ timeoutMs: Number.POSITIVE_INFINITY }))).status, 200);
  });

  it("counts the lookup of the name", async (context) => {
    fakeClock(context);
    const asked = Promise.withResolvers<void>();
    const lookup = (): Promise<never> => {
      asked.resolve();
      return new Promise(() => {});
    };
    await withService({ hosts: ["*"], lookup, timeoutMs: 100 }, async (service) => {
      const response = failure(service.request(get("http://a.example"), callOf()), "MORTISE_HTTP_TIMEOUT");
      await asked.promise;
      context.mock.timers.tick(100);
      await response;
    });
  });

  it("counts waiting for a turn, and a request that gave up takes no turn", async (context) => {
    fakeClock(context);
    const { came, listener } = arrival();
    const paths: string[] = [];
    await using server = await httpServer((message, response) => {
      paths.push(message.url ?? "");
      if (message.url === "/third") response.end("answered");
      else listener(message);
    });
    await withService({ ...HERE, maxConcurrent: 1 }, async (service) => {
      const first = failure(service.request(get(at(server)), callOf({ timeoutMs: 1000 })), "MORTISE_TIMEOUT");
      const second = failure(service.request(get(at(server, "/second")), callOf({ timeoutMs: 10 })), "MORTISE_TIMEOUT");
      const third = service.request(get(at(server, "/third")), callOf({ timeoutMs: 5000 }));
      await came;
      context.mock.timers.tick(10);
      await second;
      context.mock.timers.tick(990);
      await first;
      assert.equal(textOf(await third), "answered");
      assert.deepEqual(paths, ["/", "/third"]);
    });
  });

  it("leaves no timer and no listener behind", async () => {
    await using server = await mirror();
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...parameters: Parameters<typeof add>) => (listeners++, add(...parameters));
    signal.removeEventListener = (...parameters: Parameters<typeof remove>) => (listeners--, remove(...parameters));
    const before = timers();
    await fetchOnce(HERE, get(at(server)), callOf({ signal }));
    await failure(fetchOnce({}, get(at(server)), callOf({ signal })), "MORTISE_HTTP_DENIED");
    await failure(fetchOnce({ hosts: ["127.0.0.1:1"] }, get("http://127.0.0.1:1"), callOf({ signal })), "MORTISE_HTTP_FAILED");
    assert.deepEqual([timers() - before, listeners], [0, 0]);
  });
});

describe("HttpService and the call's signal", () => {
  it("ends a request with MORTISE_ABORTED and closes its connection", async () => {
    const { came, listener } = arrival();
    await using server = await httpServer(listener);
    const controller = new AbortController();
    await withService(HERE, async (service) => {
      const response = failure(service.request(get(at(server)), callOf({ signal: controller.signal })), "MORTISE_ABORTED");
      await came;
      controller.abort("enough");
      assert.equal((await response).cause, "enough");
      await server.allClosed();
    });
  });

  it("ends the reading of a body", async () => {
    await using server = await httpServer((_message, response) => void response.write("first"));
    const controller = new AbortController();
    await withService(HERE, async (service) => {
      const response = failure(service.request(get(at(server)), callOf({ signal: controller.signal })), "MORTISE_ABORTED");
      await until(() => [...server.open].some(({ bytesWritten }) => bytesWritten > 0));
      controller.abort();
      await response;
      await server.allClosed();
    });
  });

  it("passes a coded reason on", async () => {
    const reason = new MortiseError("MORTISE_CLOSED", { plugin: "guest", function: "f" });
    await using server = await mirror();
    const error = await failure(fetchOnce(HERE, get(at(server)), callOf({ signal: AbortSignal.abort(reason) })), "MORTISE_CLOSED");
    assert.equal(error, reason);
    assert.equal(server.connections, 0);
  });

  it("makes no connection for a request that ended during the lookup", async () => {
    await using server = await mirror();
    const controller = new AbortController();
    const answer = Promise.withResolvers<{ address: string; family: number }[]>();
    const asked = Promise.withResolvers<void>();
    const lookup = (): typeof answer.promise => {
      asked.resolve();
      return answer.promise;
    };
    await withService({ hosts: ["private:a.example"], lookup }, async (service) => {
      const response = failure(service.request(get(`http://a.example:${server.port}`), callOf({ signal: controller.signal })), "MORTISE_ABORTED");
      await asked.promise;
      controller.abort();
      await response;
      answer.resolve([{ address: "127.0.0.1", family: 4 }]);
      assert.equal((await service.request(get(`http://a.example:${server.port}`), callOf())).status, 200);
      assert.equal(server.connections, 1);
    });
  });
});

describe("HttpService connections", () => {
  it("are kept for the next request, and closed by close", async () => {
    await using server = await mirror();
    const service = createHttpService(HERE);
    for (let turn = 0; turn < 3; turn++)
      assert.equal((await service.request(get(at(server), { method: "POST", body: new Uint8Array(5) }), callOf())).status, 200);
    assert.deepEqual([server.connections, server.open.size], [1, 1]);
    const [kept] = server.open;
    service.close();
    // Others go to and fro, which is less than the four seconds that an idle connection is kept.
    for (let turn = 0; turn < 10; turn++) await fetchOnce(HERE, get(at(server)));
    assert.equal(kept?.destroyed, true);
  });

  it("are not shared between services", async () => {
    await using server = await mirror();
    await withService(HERE, (one) =>
      withService(HERE, async (other) => {
        for (const service of [one, other]) await service.request(get(at(server)), callOf());
        assert.equal(server.connections, 2);
      }),
    );
  });

  it("are not kept after a body that servers may leave unread", async () => {
    await using server = await mirror();
    await withService(HERE, async (service) => {
      for (const method of ["GET", "DELETE", "REPORT"]) await service.request(get(at(server), { method, body: new Uint8Array(5) }), callOf());
      assert.equal(server.connections, 3);
      await server.allClosed();
    });
  });

  it("are closed when the server answers without reading the request", async () => {
    // More than the buffers of both sides hold.
    const body = new Uint8Array(15 << 20);
    await using server = await rawServer((socket) => {
      if (!socket.isPaused()) socket.pause().write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    await withService(HERE, async (service) => {
      assert.equal(textOf(await service.request(get(at(server), { method: "POST", body }), callOf())), "ok");
      // The server learns of it when it reads on, and never gets the rest.
      const [socket] = server.open;
      socket?.removeAllListeners("data").resume();
      await server.allClosed();
      assert.ok((socket?.bytesRead ?? body.length) < body.length);
    });
  });

  it("that turn out to be closed are replaced, for methods that may be repeated", async () => {
    await using server = await rawServer((socket, input, connection) => {
      if (connection === 1 && input.includes("/again")) socket.resetAndDestroy();
      else socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${connection}`);
    });
    await withService(HERE, async (service) => {
      assert.equal(textOf(await service.request(get(at(server)), callOf())), "1");
      assert.equal(textOf(await service.request(get(at(server, "/again")), callOf())), "2");
    });
  });

  it("that turn out to be closed fail a POST, which may have been acted upon", async () => {
    await using server = await rawServer((socket, input) => {
      if (input.includes("/again")) socket.resetAndDestroy();
      else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
    await withService(HERE, async (service) => {
      await service.request(get(at(server)), callOf());
      await failure(service.request(get(at(server, "/again"), { method: "POST" }), callOf()), "MORTISE_HTTP_FAILED");
      assert.equal(server.connections, 1);
    });
  });

  it("close fails what is under way and what comes later", async () => {
    const { came, listener } = arrival();
    await using server = await httpServer(listener);
    const service = createHttpService({ ...HERE, maxConcurrent: 1 });
    const pending = [
      failure(service.request(get(at(server)), callOf()), "MORTISE_HTTP_FAILED"),
      failure(service.request(get(at(server)), callOf()), "MORTISE_HTTP_FAILED"),
    ];
    await came;
    service.close();
    service.close();
    for (const error of await Promise.all(pending)) assert.match(error.message, /the service is closed$/);
    await server.allClosed();
    await failure(service.request(get(at(server)), callOf()), "MORTISE_HTTP_FAILED");
    assert.equal(server.connections, 1);
  });
});
