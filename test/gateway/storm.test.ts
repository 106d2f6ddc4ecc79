// The gateway in a storm: many streams at a time, many clients that do not read, many requests, and a server that comes and goes.
// `npm run soak` has the same for longer, with more of everything.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type ServerResponse, createServer } from "node:http";
import { type AddressInfo, type Socket, connect } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";

import { createGateway } from "mortise/gateway";

import { addressOf, readStream, sendRequests } from "../../scripts/soak-gateway-clients.ts";
import { say, shipped, startStage } from "./start-gateway.ts";
import { startStandIn } from "./stand-in/start-stand-in.ts";

/** Against waiting for ever: on a busy machine they take many times as long as on a quiet one. */
const SOON = { timeout: 120_000 };
/** As many requests to a server at a time as there are. */
const MANY = { options: { http: { maxConcurrent: 10_000 } } };
const NO_WAIT = { retries: 1, backoffMs: 0 };
const PREBUILT = join(import.meta.dirname, "..", "..", "guests", "prebuilt");
const turn = (): Promise<void> => new Promise(setImmediate);

describe("A gateway with many streams", SOON, () => {
  it("serves them all at the same time, each of them whole", async () => {
    const count = 300;
    const { promise: everybodyIsHere, resolve: goOn } = Promise.withResolvers<void>();
    await using standIn = await startStandIn({ behaviour: { bytes: 300, chunks: 10, chunkDelayMs: 1 }, sleep: () => everybodyIsHere, keep: 0 });
    await using gateway = await createGateway({ providers: { oai: shipped("provider-openai", standIn, MANY) } });
    const { url } = await gateway.start();
    const streams = Array.from({ length: count }, () => readStream(addressOf(url), JSON.stringify(say.chat("a", { stream: true }))));
    const ended = Promise.race(streams);
    // Nobody gets a second piece before everybody has the first: they are open all together.
    const state: { early?: string } = {};
    void ended.then((fault) => (state.early = fault ?? "whole"));
    while (standIn.counters.open < count && state.early === undefined) await turn(); // oxlint-disable-line no-await-in-loop -- nothing but turns of the loop
    assert.equal(state.early, undefined);
    assert.equal(gateway.health().requests, count);
    goOn();
    assert.deepEqual(new Set(await Promise.all(streams)), new Set([undefined]));
    await standIn.settled();
    assert.deepEqual([standIn.counters.mostOpen, standIn.counters.clientsLeft, gateway.health().requests], [count, 0, 0]);
  });
});

describe("A gateway whose clients do not read", SOON, () => {
  it("holds their servers back, serves others meanwhile, and lets go of everything when they leave", async () => {
    const count = 20;
    const offered = 64 << 20;
    let sent = 0;
    const answers = new Set<ServerResponse>();
    const piece = Buffer.from(`data: {"choices":[],"pad":"${"x".repeat(65_500)}"}\n\n`);
    const server = createServer((request, response) => {
      answers.add(response);
      response.on("close", () => answers.delete(response));
      let own = 0;
      const more = (): void => {
        while (own < offered && !response.destroyed) {
          own += piece.length;
          sent += piece.length;
          if (!response.write(piece)) return void response.once("drain", more);
        }
        response.end();
      };
      request.resume().on("end", () => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        more();
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    await using standIn = await startStandIn({ behaviour: { bytes: 300 }, keep: 0 });
    const endless = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
    const providers = { endless: shipped("provider-openai", endless, MANY), quick: shipped("provider-openai", standIn) };
    await using gateway = await createGateway({ providers });
    const { url } = await gateway.start();
    const body = JSON.stringify(say.chat("a", { model: "endless/m", stream: true }));
    const sockets = Array.from({ length: count }, (): Socket => {
      const socket = connect(addressOf(url));
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      return socket.pause();
    });
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    // Requests of others are the clock: there is time enough for the servers to send all that they are let.
    let served = 0;
    const quick = JSON.stringify(say.chat("a", { model: "quick/m" }));
    const tally = await sendRequests(addressOf(url), quick, { connections: 4, isOver: () => served >= 1500, onAnswer: () => served++ });
    assert.deepEqual(Object.keys(tally.statuses), ["200"]);
    assert.equal(answers.size, count);
    assert.ok(sent < (count * offered) / 4, `the servers have sent ${sent} of ${count * offered} bytes`);
    for (const socket of sockets) socket.destroy();
    while (gateway.health().requests > 0 || answers.size > 0) await turn();
    server.closeAllConnections();
    server.close();
  });
});

describe("A gateway with many requests", SOON, () => {
  it("keeps nothing of them, also with plugins", async () => {
    await using stage = await startStage({}, { behaviour: { bytes: 300 }, keep: 0 });
    for (const name of ["gateway_pii.rs", "gateway_guard.c"]) {
      await stage.gateway.host.plugins.load(join(PREBUILT, `${name}.wasm`), { name }); // oxlint-disable-line no-await-in-loop -- in order
    }
    const body = JSON.stringify(say.chat("The mortise takes the tenon. ".repeat(30)));
    const heapAfter = async (count: number): Promise<number> => {
      let answers = 0;
      const { statuses } = await sendRequests(addressOf(stage.url), body, {
        connections: 16,
        isOver: () => answers >= count,
        onAnswer: () => answers++,
      });
      assert.deepEqual(Object.keys(statuses), ["200"]);
      for (let pass = 0; pass < 3; pass++) {
        globalThis.gc?.();
        await turn();
      }
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const early = await heapAfter(1500);
    const grown = (await heapAfter(3000)) - early;
    // One KiB that each left behind would be 3 MiB. Without a collector that can be called there is nothing to be seen.
    if (globalThis.gc !== undefined) assert.ok(grown < 2 << 20, `${grown} bytes more`);
  });
});

describe("A gateway whose server is killed and comes back", SOON, () => {
  const KILLS = 4;
  /** Requests between one thing that happens to the server and the next. */
  const REQUESTS = 100;
  const behaviour = { bytes: 300 };

  /** Kills the server every so many requests, and brings it back after as many more. */
  async function storm(withFallback: boolean): Promise<{ readonly statuses: Readonly<Record<string, number>>; readonly last: readonly string[] }> {
    let server = await startStandIn({ behaviour, keep: 0 });
    await using other = await startStandIn({ behaviour, keep: 0 });
    const providers = { first: shipped("provider-openai", server, { breaker: false }), other: shipped("provider-openai", other) };
    const aliases = { any: withFallback ? [{ to: "first/m" }, { to: "other/m", weight: 0 }] : "first/m" };
    await using gateway = await createGateway({ providers, aliases, attempts: NO_WAIT });
    const { url } = await gateway.start();
    const last: string[] = [];
    const seen = { answers: 0, isOver: false };
    const onAnswer = (status: string): void => {
      seen.answers++;
      last.push(status);
      if (last.length > REQUESTS / 2) last.shift();
    };
    const clients = sendRequests(addressOf(url), JSON.stringify(say.chat("a", { model: "any" })), {
      connections: 16,
      isOver: () => seen.isOver,
      onAnswer,
    });
    const more = async (): Promise<void> => {
      const until = seen.answers + REQUESTS;
      while (seen.answers < until) await turn(); // oxlint-disable-line no-await-in-loop -- nothing but turns of the loop
    };
    for (let kill = 0; kill < KILLS; kill++) {
      await more(); // oxlint-disable-line no-await-in-loop -- one thing after the other
      await server.close(); // oxlint-disable-line no-await-in-loop -- as above
      await more(); // oxlint-disable-line no-await-in-loop -- as above
      server = await startStandIn({ behaviour, keep: 0, port: server.port }); // oxlint-disable-line no-await-in-loop -- as above
    }
    await more();
    seen.isOver = true;
    const { statuses } = await clients;
    await server.close();
    return { statuses, last };
  }

  it("loses no request as long as there is another server to ask", async () => {
    const { statuses } = await storm(true);
    assert.deepEqual(Object.keys(statuses), ["200"]);
  });

  it("fails with 502 while there is none, and not any more when it is back", async () => {
    const { statuses, last } = await storm(false);
    assert.deepEqual(Object.keys(statuses).toSorted(), ["200", "502"]);
    assert.deepEqual(new Set(last), new Set(["200"]));
  });
});
