// Bodies of requests under way: bounded together, counted as soon as their length is known, and forgotten when requests end.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import { describe, it } from "node:test";

import { BodyRoom, PendingBodies } from "../../src/gateway/pending-bodies.ts";
import { PATHS, type Stage, json, post, posting, say, startStage } from "./start-gateway.ts";

const SOON = { timeout: 15_000 };
const FULL = { code: "MORTISE_GATEWAY_FULL" };
/** Room for one body and a half. */
const LIMITS = { bodyBytes: 1000, pendingBodyBytes: 1500 };
const clients = ["a", "b"].map((name) => ({ name, sha256: createHash("sha256").update(name).digest("hex") }));

/** A body of 900 bytes or so. */
const long = say.chat("x".repeat(830));
const ask = ({ url }: Stage, body: unknown = long, key = ""): Promise<Response> =>
  post(url + PATHS.chat, body, key === "" ? {} : { "x-api-key": key });
const codeOf = async (response: Promise<Response>): Promise<unknown> => (await json(response)).error?.code;

/** Begins a request whose body does not come. */
function begin({ url }: Stage, header: string): Socket {
  const socket = connect(Number(new URL(url).port), "127.0.0.1").on("error", () => {});
  socket.write(`POST ${PATHS.chat} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n${header}\r\n\r\n`);
  return socket;
}

/** The next that a socket gives. */
async function answerOf(socket: Socket): Promise<string> {
  return String((await once(socket, "data"))[0]);
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop -- it is looked at again and again
}

describe("PendingBodies", () => {
  it("has so much room for all, of which one of several clients has a half", () => {
    const bodies = new PendingBodies({ bodyBytes: 10, pendingBodyBytes: 100 });
    const [one, other, own, more, stranger] = ["", "", "a", "a", "b"].map((client) => new BodyRoom(bodies, client === "" ? undefined : client));
    one?.take(60);
    assert.throws(() => other?.take(41), FULL);
    other?.take(30);
    own?.take(10);
    assert.throws(() => stranger?.take(1), FULL);
    one?.leave();
    one?.leave();
    more?.take(40);
    assert.throws(() => more?.take(1), { ...FULL, message: /one client's/ });
    stranger?.take(20);
    for (const room of [other, own, more, stranger]) room?.leave();
    more?.take(50);
    one?.take(50);
    assert.throws(() => stranger?.take(1), FULL);
  });

  it("has room for one body of each client, however little it is", () => {
    const bodies = new PendingBodies({ bodyBytes: 10, pendingBodyBytes: 10 });
    new BodyRoom(bodies, "a").take(10);
    assert.throws(() => new BodyRoom(bodies, "b").take(1), FULL);
  });
});

describe("limits.pendingBodyBytes", SOON, () => {
  it("counts a body as soon as its length is stated, until its client leaves", async () => {
    await using stage = await startStage({ limits: LIMITS });
    const slow = begin(stage, "content-length: 1000");
    await until(() => stage.gateway.health().requests === 1);
    const refused = await ask(stage);
    assert.deepEqual([refused.status, refused.headers.get("retry-after"), (await json(refused)).error.code], [503, "1", FULL.code]);
    assert.equal((await ask(stage, say.chat("short"))).status, 200);
    slow.destroy();
    await until(() => stage.gateway.health().requests === 0);
    assert.equal((await ask(stage)).status, 200);
  });

  it("counts a body of no stated length as it comes, and refuses it in its middle", async () => {
    await using stage = await startStage({ limits: LIMITS });
    const piece = `320\r\n${" ".repeat(0x320)}\r\n`;
    const sockets = [1, 2].map(() => begin(stage, "transfer-encoding: chunked"));
    await until(() => stage.gateway.health().requests === 2);
    for (const socket of sockets) socket.write(piece);
    const late = await Promise.race(sockets.map(async (socket) => ({ socket, answer: await answerOf(socket) })));
    assert.match(late.answer, /^HTTP\/1\.1 503 .*MORTISE_GATEWAY_FULL/s);
    await until(() => stage.gateway.health().requests === 1);
    assert.equal(await codeOf(ask(stage)), FULL.code);
    for (const socket of sockets) socket.destroy();
    await until(() => stage.gateway.health().requests === 0);
    assert.equal((await ask(stage)).status, 200);
  });

  it("counts a body until its request is over, however that ends", async () => {
    await using stage = await startStage({ limits: LIMITS }, { byModel: { bad: { fault: 400 }, slow: { fault: "never" } } });
    const ways: readonly (readonly [body: unknown, status: number])[] = [
      [long, 200],
      [{ ...long, stream: true }, 200],
      [{ ...long, model: "bad" }, 400],
      ["x".repeat(900), 400],
      ["x".repeat(1001), 413],
    ];
    for (const [body, status] of [...ways, ...ways]) {
      const response = await ask(stage, body);
      assert.equal(response.status, status);
      await response.text();
    }
    const client = new AbortController();
    const slow = post(stage.url + PATHS.chat, { ...long, model: "slow" }, {}, client.signal);
    await until(() => stage.standIn.counters.open === 1);
    assert.equal(await codeOf(ask(stage)), FULL.code);
    client.abort();
    await assert.rejects(slow);
    await until(() => stage.gateway.health().requests === 0);
    assert.equal((await ask(stage)).status, 200);
  });

  it("holds without a socket as well", async () => {
    await using stage = await startStage({ limits: LIMITS }, { byModel: { slow: { fault: "never" } } });
    const inject = (body: object, signal?: AbortSignal): Promise<Response> =>
      stage.gateway.inject(new Request(`http://any${PATHS.chat}`, { ...posting(body), ...(signal && { signal }) }));
    const client = new AbortController();
    const slow = inject({ ...long, model: "slow" }, client.signal);
    await until(() => stage.standIn.counters.open === 1);
    assert.equal(await codeOf(inject(long)), FULL.code);
    client.abort();
    await slow;
    await until(() => stage.gateway.health().requests === 0);
    assert.equal((await inject(long)).status, 200);
  });

  it("leaves a half to others than one client", async () => {
    await using stage = await startStage({ clients, limits: { bodyBytes: 1000, pendingBodyBytes: 3000 } });
    const slow = begin(stage, "x-api-key: a\r\ncontent-length: 1000");
    await until(() => stage.gateway.health().requests === 1);
    assert.equal(await codeOf(ask(stage, long, "a")), FULL.code);
    assert.equal((await ask(stage, long, "b")).status, 200);
    slow.destroy();
  });

  it("must be no less than one body may have, which is so by default", async () => {
    const limits = { bodyBytes: 1000, pendingBodyBytes: 999 };
    await assert.rejects(startStage({ limits }), { code: "MORTISE_INVALID_OPTION", message: /limits\.pendingBodyBytes/ });
    await using stage = await startStage({ limits: { bodyBytes: 2 ** 31 } });
    assert.equal((await ask(stage)).status, 200);
  });
});

describe("clientConcurrency", SOON, () => {
  it("is looked at before a body is read", async () => {
    await using stage = await startStage({ clients, clientConcurrency: { limit: 1, queue: 0 } });
    const slow = begin(stage, "x-api-key: a\r\ncontent-length: 1000");
    await until(() => stage.gateway.health().requests === 1);
    const second = begin(stage, "x-api-key: a\r\ncontent-length: 1000");
    assert.match(await answerOf(second), /^HTTP\/1\.1 503 .*MORTISE_GATEWAY_BUSY/s);
    assert.equal((await ask(stage, long, "b")).status, 200);
    slow.destroy();
    second.destroy();
    await until(() => stage.gateway.health().requests === 0);
    assert.equal((await ask(stage, long, "a")).status, 200);
  });
});
