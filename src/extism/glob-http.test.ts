import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { HttpCall, HttpResponse, HttpService } from "../api/http.ts";
import { createHttpService } from "../services/http/http-service.ts";
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

  it("refuses a 65th name while 64 have requests under way", async () => {
    const answers = Promise.withResolvers<HttpResponse>();
    const create = (): HttpService => ({ request: () => answers.promise, close: () => {} });
    const service = createGlobHttp({ entries: [], globs: ["h*.ab"] }, create);
    const busy = Array.from({ length: 64 }, (_unused, number) => ask(service, `https://h${number}.ab/`));
    await assert.rejects(ask(service, "https://h64.ab/"), { code: "MORTISE_HTTP_FAILED", message: /requests to 64 hosts are under way$/ });
    answers.resolve(ANSWER);
    await Promise.all(busy);
    assert.equal(await ask(service, "https://h64.ab/"), ANSWER);
  });

  it("makes no service after close", async () => {
    const record = recorded();
    const service = createGlobHttp({ entries: ["listed.org"], globs: ["h*.ab"] }, record.create);
    service.close();
    await ask(service, "https://host.ab/");
    assert.deepEqual([record.open, record.lists], [0, ["listed.org"]]);
  });

  const invalid: readonly [what: string, url: string][] = [
    ["longer than DNS allows", `https://${"a-".repeat(200)}.ab/`],
    ["with an empty part", "https://a..ab/"],
    ["that begins with a dash", "https://-a.ab/"],
    ["in a URL that is too long", `https://a.ab/${"x".repeat(9000)}`],
    ["after a user name", "https://user@a.ab/"],
    ["in a URL with a backslash", "https://a.ab\\x"],
  ];
  for (const [what, url] of invalid) {
    it(`answers a name ${what} with MORTISE_HTTP_INVALID`, async () => {
      const service = createGlobHttp({ entries: [], globs: ["*a*", "-*", "*.ab*"] }, (hosts) => createHttpService({ hosts }));
      await assert.rejects(ask(service, url), { code: "MORTISE_HTTP_INVALID" });
      service.close();
    });
  }

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
