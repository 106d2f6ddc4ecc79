import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { HttpCall, HttpResponse, HttpService } from "../api/http.ts";
import { createGlobHttp } from "./glob-http.ts";

const ANSWER: HttpResponse = { status: 200, headers: {}, body: new Uint8Array(0) };

/** Services that tell by which list a request went. */
function recorded(): { readonly create: (hosts: readonly string[]) => HttpService; readonly lists: string[]; open: number } {
  const record = {
    lists: [] as string[],
    open: 0,
    create(hosts: readonly string[]): HttpService {
      record.open++;
      return {
        request: async () => {
          record.lists.push(hosts.join(" "));
          return ANSWER;
        },
        close: () => void record.open--,
      };
    },
  };
  return record;
}

const call: HttpCall = { plugin: "p", function: "f", timeoutMs: 1000, signal: new AbortController().signal };
const ask = (service: HttpService, url: string): Promise<unknown> => service.request({ url, method: "GET", headers: {}, body: undefined }, call);

describe("createGlobHttp", () => {
  const cases: readonly [url: string, list: string][] = [
    ["https://api.eu.example.com/", "listed.org api.eu.example.com"],
    ["https://API.EU.example.com./", "listed.org api.eu.example.com"],
    ["https://api.eu.west.example.com/", "listed.org api.eu.west.example.com"],
    ["https://api.eu.example.com.evil.org/", "listed.org"],
    ["https://evil.org/api.eu.example.com", "listed.org"],
    ["https://api.eu.example.com@evil.org/", "listed.org"],
    ["https://listed.org/", "listed.org"],
    ["http://127.0.0.1/", "listed.org"],
    ["http://2130706433/", "listed.org"],
    ["http://[::1]/", "listed.org"],
    ["http://localhost/", "listed.org"],
    ["http://api.localhost/", "listed.org"],
    ["not a url", "listed.org"],
  ];
  for (const [url, list] of cases) {
    it(`sends ${url} by the list "${list}"`, async () => {
      const { create, lists } = recorded();
      const globs = ["api.*.example.com", "1*", "local*", "*.localhost", "\\[*"];
      await ask(createGlobHttp({ entries: ["listed.org"], globs }, create), url);
      assert.deepEqual(lists, [list]);
    });
  }

  it("does not close a service that has a request under way", async () => {
    const answers = Promise.withResolvers<HttpResponse>();
    const closed: string[] = [];
    const create = (hosts: readonly string[]): HttpService => ({
      request: async () => (hosts.includes("busy.ab") ? answers.promise : ANSWER),
      close: () => void closed.push(...hosts),
    });
    const service = createGlobHttp({ entries: [], globs: ["*.ab"] }, create);
    const busy = ask(service, "https://busy.ab/");
    for (let number = 0; number < 66; number++) await ask(service, `https://host${number}.ab/`);
    assert.deepEqual(closed, ["host0.ab", "host1.ab", "host2.ab"]);
    answers.resolve(ANSWER);
    await busy;
  });

  it("keeps 64 lists at most, and closes all of them", async () => {
    const record = recorded();
    const service = createGlobHttp({ entries: [], globs: ["*.a?"] }, record.create);
    for (let number = 0; number < 100; number++) await ask(service, `https://host${number}.ab/`);
    assert.equal(record.open, 65);
    await ask(service, "https://host99.ab/");
    assert.equal(record.open, 65);
    service.close();
    assert.equal(record.open, 0);
  });
});
