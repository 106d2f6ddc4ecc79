// What can happen to the Redis server of a store, and to the way there.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { unlinkSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { type TestContext, test } from "node:test";

import { createClient } from "@redis/client";

import { isMortiseError } from "../../src/api/errors.ts";
import { type RedisStore, type RedisStoreOptions, createRedisStore } from "../../src/services/store/redis-store.ts";
import { type RedisServer, skip, startRedis } from "./redis-server.ts";

const one = Buffer.from("1");

function unavailable(reason: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isMortiseError(error));
    assert.equal(error.code, "MORTISE_STORE_UNAVAILABLE");
    assert.match(error.message, reason);
    return true;
  };
}

async function serverFor(context: TestContext, ...settings: string[]): Promise<RedisServer> {
  const server = await startRedis(...settings);
  context.after(() => server[Symbol.asyncDispose]());
  return server;
}

async function storeFor(context: TestContext, options: RedisStoreOptions): Promise<RedisStore> {
  const store = await createRedisStore(options);
  context.after(() => store.close());
  return store;
}

/** Lets the event loop turn until something holds. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => void setTimeout(resolve, 5));
}

/** The code of what an operation failed with, if it did. */
async function codeOf(operation: Promise<unknown>): Promise<string | undefined> {
  return operation.then(
    () => undefined,
    (error: unknown) => (isMortiseError(error) ? error.code : String(error)),
  );
}

test("a server that is killed amid traffic fails at once, and its return is noticed; what was done is there", { skip }, async (context) => {
  // So that what it has answered is in its file.
  const server = await serverFor(context, "--appendonly", "yes", "--appendfsync", "always");
  const store = await storeFor(context, { url: server.url, timeoutMs: 30_000 });
  let done = 0;
  let failed = 0;
  const stopping = new AbortController();
  context.after(() => stopping.abort());
  const quota = { maxKeys: 40, maxBytes: 100_000 };
  const traffic = Array.from({ length: 20 }, async (_, worker) => {
    for (let turn = 0; !stopping.signal.aborted; turn++) {
      const code = await codeOf(store.increment("space", "n", 1n));
      if (code === undefined) done++;
      else {
        assert.equal(code, "MORTISE_STORE_UNAVAILABLE");
        failed++;
      }
      await codeOf(store.set("space", `key ${(worker * 7 + turn) % 60}`, Buffer.alloc(turn % 3000), { quota, ttlMs: 1 + (turn % 20) }));
      await new Promise(setImmediate);
    }
  });
  for (let outage = 1; outage <= 2; outage++) {
    const before = done;
    await until(() => done >= before + 300);
    await server.kill();
    await assert.rejects(store.get("space", "n"), unavailable(/there is no connection|the connection was lost/));
    // There is nothing to wait for: each fails before the event loop turns.
    const answers = await Promise.all(Array.from({ length: 1000 }, () => codeOf(store.get("space", "n"))));
    assert.deepEqual([...new Set(answers)], ["MORTISE_STORE_UNAVAILABLE"]);
    await server.start();
    await until(async () => (await codeOf(store.get("space", "n"))) === undefined);
  }
  stopping.abort();
  await Promise.all(traffic);
  assert.ok(failed > 0);
  const sum = await store.increment("space", "n", 0n);
  assert.ok(sum >= BigInt(done) && sum <= BigInt(done + failed), `${sum} after ${done} and ${failed}`);
  const { keys, bytes } = await store.usage("space");
  const listed = await store.list("space", { limit: 1000 });
  const sizes = await Promise.all(listed.map(async (key) => Buffer.byteLength(key) + ((await store.get("space", key))?.length ?? 0)));
  assert.ok(keys <= 41);
  assert.ok(listed.length <= keys, "some may expire meanwhile");
  assert.ok(sizes.reduce((total, size) => total + size, 0) <= bytes);
  await until(async () => (await store.list("space", { limit: 1000 })).length === 1);
  assert.deepEqual(await store.usage("space"), { keys: 1, bytes: 1 + String(sum).length });
});

test(
  "a server that stops answering makes every operation end in time, keeps little waiting, and is used again afterwards",
  { skip },
  async (context) => {
    const server = await serverFor(context);
    const store = await storeFor(context, { url: server.url, timeoutMs: 100, maxPending: 50 });
    await store.set("space", "key", one);
    server.process.kill("SIGSTOP");
    const first = await Promise.all(Array.from({ length: 60 }, () => store.get("space", "key").catch((error: unknown) => String(error))));
    assert.equal(first.filter((text) => String(text).includes("50 commands wait for the server already")).length, 10);
    assert.equal(first.filter((text) => String(text).includes("did not answer in time")).length, 50);
    // The silent connection was given up, so that none of these waits.
    await assert.rejects(store.get("space", "key"), unavailable(/no connection/));
    server.process.kill("SIGCONT");
    await until(async () => (await codeOf(store.get("space", "key"))) === undefined);
    assert.deepEqual(await store.get("space", "key"), new Uint8Array(one));
  },
);

test("an operation ends when its signal does, and does not begin when that is over", { skip }, async (context) => {
  const server = await serverFor(context);
  const store = await storeFor(context, { url: server.url, timeoutMs: 60_000 });
  await assert.rejects(store.set("space", "key", one, { signal: AbortSignal.abort() }), unavailable(/the caller aborted it/));
  assert.equal(await store.get("space", "key"), undefined);
  server.process.kill("SIGSTOP");
  const operations: readonly ((signal: AbortSignal) => Promise<unknown>)[] = [
    (signal) => store.get("space", "key", signal),
    (signal) => store.set("space", "key", one, { signal }),
    (signal) => store.delete("space", "key", signal),
    (signal) => store.list("space", { limit: 1, signal }),
    (signal) => store.compareAndSet("space", "key", undefined, one, { signal }),
    (signal) => store.increment("space", "key", 1n, { signal }),
    (signal) => store.usage("space", signal),
    (signal) => store.clear("space", signal),
  ];
  for (const operation of operations) {
    const controller = new AbortController();
    const running = operation(controller.signal);
    controller.abort(new Error("enough"));
    await assert.rejects(running, unavailable(/the caller aborted it/));
  }
  server.process.kill("SIGCONT");
});

test("a server that accepts connections and says nothing is left for another attempt", { skip }, async (context) => {
  const real = await serverFor(context);
  const silent = silentServer(context);
  let now = 0;
  const store = await storeFor(context, { url: real.url, connectTimeoutMs: 1000, clock: () => now });
  await real.kill();
  await silent.listenAt(real.url.slice("unix://".length));
  await until(() => silent.connections > 0);
  await assert.rejects(store.get("space", "key"), unavailable(/no connection/));
  const before = silent.connections;
  now += 60_000;
  await assert.rejects(store.get("space", "key"), unavailable(/no connection/));
  await until(() => silent.connections > before);
});

function silentServer(context: TestContext): { readonly connections: number; listenAt(path: string): Promise<void> } {
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections++;
    socket.on("error", () => {});
    context.after(() => void socket.destroy());
  });
  context.after(() => server.close());
  return {
    get connections() {
      return connections;
    },
    async listenAt(path) {
      unlinkSync(path);
      server.listen(path);
      await once(server, "listening");
    },
  };
}

test("a server that forgot its scripts gets them again", { skip }, async (context) => {
  const server = await serverFor(context);
  const store = await storeFor(context, { url: server.url, timeoutMs: 30_000 });
  await store.set("space", "key", one);
  await server.command("SCRIPT", "FLUSH");
  await store.set("space", "key", Buffer.from("2"));
  assert.equal(await store.increment("space", "key", 1n), 3n);
});

test("keys expire by the server's own clock, whoever is connected, and leave the books with the next write", { skip }, async (context) => {
  const server = await serverFor(context);
  const store = await storeFor(context, { url: server.url, timeoutMs: 30_000 });
  await store.set("space", "long", one, { ttlMs: 3_600_000 });
  await store.increment("space", "counted", 1n, { ttlMs: 1 });
  for (let index = 0; index < 20; index++) await store.set("space", `short ${index}`, one, { ttlMs: 1 });
  await until(async () => (await server.command("DBSIZE")) === 5);
  await store.set("space", "new", one);
  await until(async () => Number(await server.command("ZCARD", "mortise:{space}:index")) <= 2 || (await store.delete("space", "none")));
  assert.deepEqual(await store.usage("space"), { keys: 2, bytes: 9 });
  await store.clear("space");
  assert.equal(await server.command("DBSIZE"), 0, "nothing is left behind");
  await store.set("space", "key", one);
  await store.delete("space", "key");
  assert.equal(await server.command("DBSIZE"), 0, "nor is it when the last key goes");
});

test("a server that is out of memory, or may not write, gives its reason", { skip }, async (context) => {
  const server = await serverFor(context);
  const store = await storeFor(context, { url: server.url, timeoutMs: 30_000 });
  await server.command("CONFIG", "SET", "maxmemory", "1");
  await assert.rejects(store.set("space", "key", one), unavailable(/OOM/));
  await assert.rejects(store.increment("space", "key", 1n), unavailable(/OOM/));
  await server.command("CONFIG", "SET", "maxmemory", "0");
  assert.deepEqual(await store.usage("space"), { keys: 0, bytes: 0 });
  await server.command("SET", "mortise:{space}:index", "not a sorted set");
  await assert.rejects(store.list("space", { limit: 1 }), unavailable(/WRONGTYPE/));
});

test("scripts keep to one slot, so that the node of a cluster runs them", { skip }, async (context) => {
  const server = await serverFor(context, "--cluster-enabled", "yes");
  await server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
  await until(async () => String(await server.command("CLUSTER", "INFO")).includes("cluster_state:ok"));
  const store = await storeFor(context, { url: server.url, timeoutMs: 30_000 });
  for (const space of ["a", "b}", "{c"]) {
    await store.set(space, "key", one, { ttlMs: 1, quota: { maxKeys: 1, maxBytes: 100 } });
    await until(async () => (await store.get(space, "key")) === undefined);
    await store.set(space, "{other}", one, { quota: { maxKeys: 1, maxBytes: 100 } });
    assert.deepEqual(await store.list(space, { limit: 10 }), ["{other}"]);
    await store.clear(space);
  }
});

test("prefixes keep stores on one server apart", { skip }, async (context) => {
  const server = await serverFor(context);
  const first = await storeFor(context, { url: server.url, prefix: "a:" });
  const second = await storeFor(context, { url: server.url, prefix: "b:" });
  await first.set("space", "key", one);
  assert.equal(await second.get("space", "key"), undefined);
  assert.deepEqual(await second.list("space", { limit: 1 }), []);
});

test("createRedisStore() fails with the reason if the server cannot be reached, and leaves nothing behind", { skip }, async (context) => {
  const server = await serverFor(context, "--requirepass", "right");
  const withPassword = (password: string): string => server.url.replace("unix://", `unix://:${password}@`);
  await assert.rejects(createRedisStore({ url: `${server.url}-not` }), unavailable(/connecting failed: .*ENOENT/));
  await assert.rejects(createRedisStore({ url: "redis://127.0.0.1:1" }), unavailable(/connecting failed: .*ECONNREFUSED/));
  await assert.rejects(createRedisStore({ url: server.url }), unavailable(/connecting failed: .*NOAUTH/));
  await assert.rejects(createRedisStore({ url: withPassword("wrong") }), unavailable(/connecting failed: .*WRONGPASS/));
  const store = await storeFor(context, { url: withPassword("right") });
  await store.set("space", "key", one);
  const silent = silentServer(context);
  const path = server.url.slice("unix://".length);
  await server.kill();
  await silent.listenAt(path);
  await assert.rejects(createRedisStore({ url: server.url, connectTimeoutMs: 50 }), unavailable(/no connection within 50 ms/));
});

test("createRedisStore() says which package to install where it is missing", () => {
  const module = new URL("../../src/services/store/redis-store.ts", import.meta.url).href;
  const code = `import { registerHooks } from "node:module";
    registerHooks({ resolve(name, context, next) {
      if (name === "@redis/client") throw new Error("Cannot find package");
      return next(name, context);
    } });
    const { createRedisStore } = await import(${JSON.stringify(module)});
    await createRedisStore({ url: "redis://localhost" }).catch((error) => console.log(error.code, error.message));`;
  const printed = execFileSync(process.execPath, ["--conditions=source", "--input-type=module", "-e", code], { encoding: "utf8" });
  assert.match(printed, /^MORTISE_STORE_UNAVAILABLE .*npm install @redis\/client/);
});

test("createRedisStore() refuses options that make no sense, and never prints a URL", async () => {
  const url = "redis://localhost";
  const bad: readonly RedisStoreOptions[] = [
    {},
    { url: "http://secret@host" },
    { url: "redis://secret@host:port" },
    { url: "secret" },
    { url, prefix: "a{b" },
    { url, prefix: "\ud800" },
    { url, timeoutMs: 0 },
    { url, timeoutMs: 1.5 },
    { url, connectTimeoutMs: -1 },
    { url, maxPending: 0 },
    { url, client: createClient() },
  ];
  for (const options of bad) {
    await assert.rejects(createRedisStore(options), (error: unknown) => {
      assert.ok(isMortiseError(error));
      assert.equal(error.code, "MORTISE_INVALID_OPTION");
      assert.doesNotMatch(JSON.stringify(error) + String(error.stack), /secret/);
      return true;
    });
  }
});

test("createRedisStore() uses a client of the application's, survives its errors, and leaves it open", { skip }, async (context) => {
  const server = await serverFor(context);
  const path = server.url.slice("unix://".length);
  // Without a listener for errors of its own.
  const client = createClient({ socket: { path, tls: false, reconnectStrategy: 10 } });
  const store = await storeFor(context, { client, timeoutMs: 60_000 });
  await assert.rejects(store.get("space", "key"), unavailable(/no connection/));
  await client.connect();
  context.after(() => client.destroy());
  await store.set("space", "key", one);
  await server.kill();
  await until(() => !client.isReady);
  await assert.rejects(store.get("space", "key"), unavailable(/no connection/));
  await server.start();
  await until(() => client.isReady);
  await store.set("space", "key", one);
  assert.deepEqual(await store.get("space", "key"), new Uint8Array(one));
  await store.close();
  assert.equal(client.isOpen, true);
  assert.equal(client.listenerCount("error"), 0);
  assert.equal(await client.get("mortise:{space}:v:key"), "1");
  client.on("error", () => {});
});
