// Lookups of names: who waits for whom, and what becomes of names that nobody waits for any more.

import assert from "node:assert/strict";
import type { LookupAddress } from "node:dns";
import dns from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";
import { type TestContext, describe, it } from "node:test";

import { Gate } from "../../src/services/http/gate.ts";
import { createHttpService } from "../../src/services/http/http-service.ts";
import { sharedLookup } from "../../src/services/http/name-lookup.ts";
import { callOf, failure, get, until } from "./requests.ts";

const ADDRESSES: LookupAddress[] = [{ address: "192.0.2.1", family: 4 }];
const endless = (): AbortSignal => new AbortController().signal;

/** A lookup whose answers a test gives when it wants to, in the order of the questions. */
function manual() {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const lookup = (hostname: string): Promise<LookupAddress[]> => {
    asked.push(hostname);
    return new Promise((resolve) => answers.push(() => resolve(ADDRESSES)));
  };
  return { lookup, asked, answer: () => answers.shift()?.() };
}

/** Lets everything that can go on go on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("sharedLookup", () => {
  it("asks for one name at a time through a gate with room for one", async () => {
    const { lookup, asked, answer } = manual();
    const names = sharedLookup(lookup, [new Gate(1)]);
    const [first, second] = [names("a", endless()), names("b", endless())];
    await settled();
    assert.deepEqual(asked, ["a"]);
    answer();
    assert.equal(await first, ADDRESSES);
    await until(() => asked.length === 2);
    answer();
    assert.equal(await second, ADDRESSES);
  });

  it("does not ask for a name whose requests have all ended before its turn", async () => {
    const { lookup, asked, answer } = manual();
    const names = sharedLookup(lookup, [new Gate(1)]);
    const first = names("a", endless());
    const ended = new AbortController();
    const gone = [names("b", ended.signal), names("b", ended.signal), names("c", ended.signal)];
    const last = names("c", endless());
    await settled();
    ended.abort("over");
    for (const { status } of await Promise.allSettled(gone)) assert.equal(status, "rejected");
    answer();
    await first;
    await until(() => asked.length === 2);
    answer();
    await last;
    assert.deepEqual(asked, ["a", "c"]);
  });

  it("asks again for a name that was dropped", async () => {
    const { lookup, asked, answer } = manual();
    const names = sharedLookup(lookup, [new Gate(1)]);
    const first = names("a", endless());
    const ended = new AbortController();
    const gone = names("b", ended.signal);
    await settled();
    ended.abort("over");
    const again = names("b", endless());
    await assert.rejects(gone, (error) => error === "over");
    answer();
    await first;
    await until(() => asked.length === 2);
    answer();
    assert.equal(await again, ADDRESSES);
  });

  it("gives the answer to a lookup of an ended request to the next one", async () => {
    const { lookup, asked, answer } = manual();
    const names = sharedLookup(lookup, [new Gate(1)]);
    const ended = new AbortController();
    const gone = names("a", ended.signal);
    await settled();
    ended.abort("over");
    await assert.rejects(gone, (error) => error === "over");
    const next = names("a", endless());
    answer();
    assert.equal(await next, ADDRESSES);
    assert.deepEqual(asked, ["a"]);
  });

  it("counts dropped names no longer", async () => {
    const names = sharedLookup(manual().lookup, [new Gate(1)]);
    const ended = new AbortController();
    const all = Array.from({ length: 64 }, (_unused, number) => names(`n${number}`, ended.signal));
    await assert.rejects(names("n64", endless()), { code: "EBUSY" });
    ended.abort("over");
    await Promise.allSettled(all);
    const other = new AbortController();
    const one = names("n64", other.signal);
    await settled();
    other.abort("over");
    await assert.rejects(one, (error) => error === "over");
  });

  it("is asked in turn by those that share a gate", async () => {
    const { lookup, asked, answer } = manual();
    const shared = new Gate(1);
    const [greedy, modest] = [sharedLookup(lookup, [new Gate(1), shared]), sharedLookup(lookup, [new Gate(1), shared])];
    const all = [greedy("g0", endless()), greedy("g1", endless()), greedy("g2", endless()), modest("m", endless())];
    for (let turn = 1; turn <= all.length; turn++) {
      await until(() => asked.length === turn);
      answer();
    }
    await Promise.all(all);
    assert.deepEqual(asked, ["g0", "m", "g1", "g2"]);
  });
});

describe("the system's lookup", () => {
  /** Puts a lookup in the place of the system's. */
  function replaceSystem({ mock }: TestContext, lookup: (hostname: string) => Promise<LookupAddress[]>): () => void {
    const { mock: replaced } = mock.method(dns, "lookup", lookup);
    syncBuiltinESMExports();
    return () => {
      replaced.restore();
      syncBuiltinESMExports();
    };
  }

  it("is used for one name at a time by all services, and not for names of ended requests", async (context) => {
    const { lookup, asked, answer } = manual();
    const restore = replaceSystem(context, lookup);
    const services = [createHttpService({ hosts: ["*"] }), createHttpService({ hosts: ["*"] })];
    try {
      const ended = new AbortController();
      const call = callOf({ signal: ended.signal });
      const requests = services.flatMap((service, index) =>
        ["a", "b"].map((name) => failure(service.request(get(`http://${name}${index}.example`), call), "MORTISE_ABORTED")),
      );
      await until(() => asked.length > 0);
      await settled();
      assert.deepEqual(asked, ["a0.example"]);
      ended.abort();
      await Promise.all(requests);
      const next = failure(services[0]!.request(get("http://c.example"), callOf()), "MORTISE_HTTP_DENIED");
      answer();
      await until(() => asked.length > 1);
      answer();
      await next;
      assert.deepEqual(asked, ["a0.example", "c.example"]);
    } finally {
      restore();
      for (const service of services) service.close();
    }
  });
});
