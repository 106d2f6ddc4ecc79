// gateway_audit: a record of every request, in a chain that shows what was changed in it.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { describe, it } from "node:test";

import { type JsonObject, type LlmResult, type LoadOptions, type Store, createMemoryStore, createServices } from "../../../src/index.ts";
import { RUN, answerOf, completed } from "./completed.ts";
import { type Gateway, loadInto, openGateway, randomNumbers, say } from "./open-gateway.ts";

const AUDIT = "gateway_audit.ts";
const SPACE = "kv:audit";
const NOON = Date.UTC(2024, 1, 28, 12);

interface Opened {
  readonly host: Gateway;
  readonly store: ReturnType<typeof createMemoryStore>;
  readonly lines: string[];
  readonly time: { now: number };
  readonly tell: (id: string, result?: LlmResult, more?: JsonObject) => Promise<void>;
  readonly verify: () => Promise<JsonObject>;
}

async function open(
  t: Parameters<typeof openGateway>[0],
  config: LoadOptions["config"] = {},
  options: LoadOptions = {},
  reach: (store: Store) => Store = (store) => store,
): Promise<Opened> {
  const store = createMemoryStore();
  const time = { now: NOON };
  const services = createServices({ clock: () => time.now, store: reach(store) });
  t.after(() => services.close());
  const host = await openGateway(t, { services });
  const lines: string[] = [];
  const note = (line: unknown): void => void lines.push(String(line));
  const logger = { trace: note, debug: note, info: note, warn: note, error: note };
  await loadInto(host, AUDIT, config, { logger, logLevel: "info", ...options });
  let number = 0;
  const tell = async (id: string, result: LlmResult = answerOf(15, "Hello"), more: JsonObject = {}): Promise<void> => {
    number++;
    const request = host.request({ id, attributes: { client: "ann" } });
    await host.hooks.completed(completed(say("Hi"), result, request, { number, ...more }), { request });
  };
  const verify = async (): Promise<JsonObject> => (await host.plugins.get("audit")?.call("verify"))?.json() as JsonObject;
  return { host, store, lines, time, tell, verify };
}

const textOf = (store: Opened["store"], key: string): string => Buffer.from(store.get(SPACE, key) ?? []).toString();
const recordOf = (store: Opened["store"], number: number): JsonObject => JSON.parse(textOf(store, `r:${number}`)) as JsonObject;
const write = (store: Opened["store"], key: string, text: string): void => store.set(SPACE, key, Buffer.from(text));
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** A store that answers later: after a few turns, and now and then after many, so that others overtake. */
function slow(store: Store, seed: number): Store {
  const random = randomNumbers(seed);
  const later = async (): Promise<void> => {
    for (let turns = random(6) === 0 ? 60 : 1 + random(4); turns > 0; turns--) await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop -- turns come one after the other
  };
  return {
    ...store,
    kind: "slow",
    get: (...args) => later().then(() => store.get(...args)),
    set: (...args) => later().then(() => store.set(...args)),
    delete: (...args) => later().then(() => store.delete(...args)),
    list: (...args) => later().then(() => store.list(...args)),
    compareAndSet: (...args) => later().then(() => store.compareAndSet(...args)),
    increment: (...args) => later().then(() => store.increment(...args)),
    usage: (...args) => later().then(() => store.usage(...args)),
    clear: (...args) => later().then(() => store.clear(...args)),
    close: () => store.close(),
  };
}

describe("gateway_audit", () => {
  it("writes what a request was and what became of it, without its texts", async (t) => {
    const { store, tell, lines } = await open(t);
    await tell("r-1");
    const { hash, ...record } = recordOf(store, 1);
    assert.deepEqual(record, {
      seq: 1,
      time_ms: NOON,
      gateway: RUN,
      number: 1,
      request_id: "r-1",
      client: "ann",
      api: "chat",
      provider: "openai",
      model: "gpt-5",
      stream: false,
      status: 200,
      code: null,
      usage: { prompt_tokens: 1, completion_tokens: 14, total_tokens: 15 },
      attempts: 1,
      duration_ms: 12,
      request_sha256: sha256(JSON.stringify(say("Hi"))),
      answer_sha256: sha256(JSON.stringify(answerOf(15, "Hello").response)),
      previous: "0".repeat(64),
    });
    assert.equal(hash, sha256(JSON.stringify(record).slice(0, -1)));
    assert.deepEqual(lines, [textOf(store, "r:1")]);
  });

  it("writes requests that failed", async (t) => {
    const { store, tell } = await open(t);
    await tell(
      "r-1",
      { error: { status_code: 429, error: { message: "secret reason" } } },
      { error: { kind: "rate_limited", message: "secret reason", code: "slow_down", status: 429 } },
    );
    const { status, code, answer_sha256: answer, usage } = recordOf(store, 1);
    assert.deepEqual([status, code, answer, usage], [429, "slow_down", null, null]);
    assert.ok(!textOf(store, "r:1").includes("secret"));
  });

  it("writes the beginnings of texts if it is told to", async (t) => {
    const { store, tell, verify } = await open(t, { texts: true, text_bytes: 90 });
    await tell("r-1", answerOf(3, 'quoted "words" \\ and é😀'.repeat(40)));
    const { request, answer } = recordOf(store, 1) as { readonly request: string; readonly answer: string };
    assert.ok(JSON.stringify(say("Hi")).startsWith(request) && answer.startsWith('{"id":"chatcmpl-1"'));
    for (const text of [request, answer]) {
      const written = Buffer.byteLength(JSON.stringify(text)) - 2;
      assert.ok(written <= 90 && written >= 86, `${written} bytes, escapes counted`);
    }
    assert.equal((await verify())["ok"], true);
  });

  it("writes records that the store can hold, whatever the texts are made of", async (t) => {
    const { tell, verify } = await open(t, { texts: true, text_bytes: 24_000 });
    for (const text of ['"'.repeat(30_000), "\\".repeat(30_000), "\u0001".repeat(30_000), "😀".repeat(30_000)])
      await tell("r", answerOf(3, text), { request: say(text) }); // oxlint-disable-line no-await-in-loop -- one after the other
    assert.deepEqual(await verify(), { ok: true, records: 4, first: 1, last: 4 });
  });

  it("reads a request of many megabytes once, and not byte by byte", async (t) => {
    // Four times the fuel that it takes; what reads it byte by byte, for every member, takes a hundred times as much.
    const { tell, verify } = await open(t, {}, { limits: { fuel: 220_000_000, memoryBytes: 128 << 20 } });
    await tell("r", answerOf(3), { request: say("Hi", { params: { x: Array.from({ length: 4_000_000 }, () => 0) } }) });
    assert.equal((await verify())["ok"], true);
  });

  it("leaves out values that are too long for a record, and hashes texts of any length", async (t) => {
    const { store, tell, verify } = await open(t);
    const long = "x".repeat((2 << 20) + 5);
    await tell("r-1", answerOf(2, long), { model: "m".repeat(5000) });
    const { model, answer_sha256: answer } = recordOf(store, 1);
    assert.equal(model, null);
    const json = Buffer.from(JSON.stringify(answerOf(2, long).response));
    const pieces = [json.subarray(0, 1 << 20), json.subarray(1 << 20, 2 << 20), json.subarray(2 << 20)];
    const digests = pieces.map((piece) => createHash("sha256").update(piece).digest());
    assert.equal(answer, createHash("sha256").update(Buffer.concat(digests)).digest("hex"));
    assert.equal((await verify())["ok"], true);
  });

  it("chains records, and finds the chain whole", async (t) => {
    const { store, tell, verify } = await open(t);
    assert.deepEqual(await verify(), { ok: true, records: 0, first: 1, last: 0 });
    for (const id of ["a", "b", "c"]) await tell(id); // oxlint-disable-line no-await-in-loop -- one after the other
    assert.deepEqual(await verify(), { ok: true, records: 3, first: 1, last: 3 });
    assert.equal(recordOf(store, 3)["previous"], recordOf(store, 2)["hash"]);
    const named = `3 ${String(recordOf(store, 3)["hash"])}`;
    assert.equal(textOf(store, "head"), `${named} ${sha256(`head ${named}`)}`);
  });

  it("gives every one of many requests at once its place", async (t) => {
    const { store, tell, verify } = await open(t, {}, { stateless: true, pool: { maxInstances: 4 } });
    await Promise.all(Array.from({ length: 60 }, (_, index) => tell(`r-${index}`)));
    assert.deepEqual(await verify(), { ok: true, records: 60, first: 1, last: 60 });
    const ids = Array.from({ length: 60 }, (_, index) => recordOf(store, index + 1)["request_id"]);
    assert.equal(new Set(ids).size, 60);
  });

  it("gives them their places in a store that takes its time, too", async (t) => {
    const heads: string[] = [];
    const watched = (memory: Store): Store => {
      const slowed = slow(memory, 5);
      return {
        ...slowed,
        compareAndSet: async (space, key, expected, value, more) => {
          const done = await slowed.compareAndSet(space, key, expected, value, more);
          if (done && key === "head") heads.push(Buffer.from(value ?? []).toString());
          return done;
        },
      };
    };
    const { tell, verify } = await open(t, { records: 20 }, { stateless: true, pool: { maxInstances: 8 }, limits: { timeoutMs: 60_000 } }, watched);
    await Promise.all(Array.from({ length: 60 }, (_, index) => tell(`r-${index}`)));
    assert.deepEqual(await verify(), { ok: true, records: 20, first: 41, last: 60 });
    const numbers = heads.map((head) => Number.parseInt(head, 10));
    assert.deepEqual(
      numbers,
      numbers.toSorted((one, other) => one - other),
      "the head never goes back",
    );
    assert.equal(numbers.at(-1), 60);
  });

  it("goes on behind a record whose writer did not come to move the head", async (t) => {
    const { store, tell, verify } = await open(t);
    await tell("a");
    const head = textOf(store, "head");
    await tell("b");
    write(store, "head", head);
    await tell("c");
    assert.deepEqual(await verify(), { ok: true, records: 3, first: 1, last: 3 });
    assert.equal(recordOf(store, 3)["previous"], recordOf(store, 2)["hash"]);
  });

  it("keeps as many records as it is told to", async (t) => {
    const { store, tell, verify } = await open(t, { records: 10 });
    for (let index = 0; index < 25; index++) await tell(`r-${index}`); // oxlint-disable-line no-await-in-loop -- one after the other
    assert.deepEqual(await verify(), { ok: true, records: 10, first: 16, last: 25 });
    assert.equal(store.get(SPACE, "r:15"), undefined);
  });

  const falsified: readonly (readonly [how: string, falsify: (store: Opened["store"]) => void, broken: number, reason: RegExp])[] = [
    ["a value was changed", (store) => write(store, "r:3", textOf(store, "r:3").replace('"ann"', '"bob"')), 3, /changed/],
    [
      "a record was changed and its digest made anew",
      (store) => {
        const content = textOf(store, "r:3")
          .replace('"ann"', '"bob"')
          .replace(/,"hash":"[0-9a-f]*"}$/, "");
        write(store, "r:3", `${content},"hash":"${sha256(content)}"}`);
      },
      4,
      /does not follow/,
    ],
    ["a record was taken out", (store) => store.delete(SPACE, "r:3"), 3, /missing/],
    ["two records were exchanged", (store) => write(store, "r:3", textOf(store, "r:2")), 3, /another number/],
    ["the last record was taken out", (store) => store.delete(SPACE, "r:5"), 5, /missing/],
    [
      "the last record was replaced by one of its own digest",
      (store) => {
        const content = textOf(store, "r:5")
          .replace('"ann"', '"bob"')
          .replace(/,"hash":"[0-9a-f]*"}$/, "");
        write(store, "r:5", `${content},"hash":"${sha256(content)}"}`);
      },
      5,
      /written last/,
    ],
    ["a record is no record", (store) => write(store, "r:2", "{}"), 2, /not one/],
  ];
  for (const [how, falsify, broken, reason] of falsified) {
    it(`sees that ${how}`, async (t) => {
      const { store, tell, verify } = await open(t);
      for (const id of ["a", "b", "c", "d", "e"]) await tell(id); // oxlint-disable-line no-await-in-loop -- one after the other
      falsify(store);
      const found = await verify();
      assert.deepEqual([found["ok"], found["broken"]], [false, broken]);
      assert.match(String(found["reason"]), reason);
    });
  }

  it("sees every change of a single character", async (t) => {
    const { store, tell, verify } = await open(t);
    for (const id of ["a", "b", "c"]) await tell(id); // oxlint-disable-line no-await-in-loop -- one after the other
    const random = randomNumbers(9);
    const whole = textOf(store, "r:2");
    for (let round = 0; round < 100; round++) {
      const at = random(whole.length);
      const other = String.fromCharCode(33 + random(90));
      if (other === whole[at]) continue;
      write(store, "r:2", whole.slice(0, at) + other + whole.slice(at + 1));
      assert.equal((await verify())["ok"], false, `${other} at ${at}`); // oxlint-disable-line no-await-in-loop -- one after the other
    }
  });

  it("seals records with a key, so that who has no key cannot make the chain anew", async (t) => {
    const key = "0123456789abcdef";
    const { store, tell, verify } = await open(t, { key });
    await tell("a");
    const content = textOf(store, "r:1").replace(/,"hash":"[0-9a-f]*"}$/, "");
    assert.equal(recordOf(store, 1)["hash"], createHmac("sha256", key).update(content).digest("hex"));
    assert.equal((await verify())["ok"], true);
    write(store, "r:1", `${content},"hash":"${sha256(content)}"}`);
    assert.deepEqual(await verify(), { ok: false, broken: 1, reason: "the record was changed" });
  });

  it("sees that the last records were taken out, if who did it has no key", async (t) => {
    const { store, tell, verify } = await open(t, { key: "0123456789abcdef" });
    for (const id of ["a", "b", "c", "d", "e"]) await tell(id); // oxlint-disable-line no-await-in-loop -- one after the other
    for (const number of [4, 5]) store.delete(SPACE, `r:${number}`);
    const named = `3 ${String(recordOf(store, 3)["hash"])}`;
    const cut = { ok: false, broken: 3, reason: "what names the last record was changed" };
    for (const head of [named, `${named} ${sha256(`head ${named}`)}`]) {
      write(store, "head", head);
      assert.deepEqual(await verify(), cut); // oxlint-disable-line no-await-in-loop -- one after the other
    }
    await tell("f");
    assert.deepEqual(
      await verify(),
      { ok: false, broken: 4, reason: "the record does not follow the one before" },
      "nor is it hidden by what follows",
    );
  });

  it("sees that what names the last record is gone", async (t) => {
    const { store, time, tell, verify } = await open(t, { key: "0123456789abcdef" });
    for (const id of ["a", "b", "c"]) await tell(id); // oxlint-disable-line no-await-in-loop -- one after the other
    for (const key of ["r:3", "head"]) store.delete(SPACE, key);
    time.now += 60_000;
    assert.deepEqual(await verify(), { ok: false, broken: 1, reason: "what names the last record is gone" });
    await tell("d");
    assert.deepEqual(await verify(), { ok: false, broken: 3, reason: "the record does not follow the one before" });
  });

  describe("verify, of requests that have no record", () => {
    const gap = "records in front of it were never written";
    /** Tells of requests by the numbers that the gateway gave them. */
    const tellAll = async ({ tell }: Opened, numbers: readonly number[], gateway = RUN): Promise<void> => {
      for (const number of numbers) await tell(`r-${number}`, undefined, { gateway, number }); // oxlint-disable-line no-await-in-loop -- one after the other
    };
    const counted = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

    it("says in front of which record they are missing", async (t) => {
      const opened = await open(t);
      await tellAll(opened, [1, 2, 3, 6, 7]);
      assert.equal((await opened.verify())["ok"], true, "they may be on their way");
      opened.time.now += 60_000;
      assert.deepEqual(await opened.verify(), { ok: false, broken: 4, reason: gap });
      await tellAll(opened, [4, 5]);
      assert.equal((await opened.verify())["ok"], true, "however late");
    });

    it("takes them in any order, and from several gateways and several runs", async (t) => {
      const opened = await open(t);
      await tellAll(opened, [2, 1, 5, 3, 4]);
      await tellAll(opened, [1, 3, 2], "ffeeddccbbaa9988");
      await tellAll(opened, [7, 6]);
      opened.time.now += 60_000;
      assert.deepEqual(await opened.verify(), { ok: true, records: 10, first: 1, last: 10 });
      await tellAll(opened, [5], "ffeeddccbbaa9988");
      opened.time.now += 60_000;
      assert.deepEqual(await opened.verify(), { ok: false, broken: 11, reason: gap });
    });

    it("does not miss those that made room", async (t) => {
      const opened = await open(t, { records: 100 });
      await tellAll(opened, [...counted(1, 40), 60, ...counted(41, 59), ...counted(61, 221)].map((number) => number ^ 1).filter(Boolean));
      opened.time.now += 60_000;
      assert.equal((await opened.verify())["ok"], true);
      await tellAll(opened, [223]);
      opened.time.now += 60_000;
      assert.deepEqual([(await opened.verify())["reason"], (await opened.verify())["broken"]], [gap, 221]);
    });

    it("reads as many as are kept", async (t) => {
      const opened = await open(
        t,
        { records: 5000 },
        { quotas: { kvKeys: 6000, kvBytes: 64 << 20 }, limits: { memoryBytes: 1 << 20, timeoutMs: 20_000 } },
      );
      await tellAll(opened, counted(1, 3000));
      assert.deepEqual(await opened.verify(), { ok: true, records: 3000, first: 1, last: 3000 });
    });
  });

  it("fails where it may not write, and says so", async (t) => {
    const { tell } = await open(t, {}, { permissions: { kv: "read", clock: true, crypto: true } });
    await assert.rejects(tell("a"), { code: "MORTISE_HOOK_FAILED", message: /kv/ });
  });

  const wrong: readonly LoadOptions["config"][] = [{ records: 5 }, { texts: "yes" }, { key: "short" }, { more: 1 }];
  for (const config of wrong) {
    it(`does not start with the configuration ${JSON.stringify(config)}`, async (t) => {
      await assert.rejects(open(t, config), { code: "MORTISE_RETURN_CODE" });
    });
  }
});
