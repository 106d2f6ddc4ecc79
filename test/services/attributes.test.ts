// The request that a plugin works for, and HTTP.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { HttpCall } from "../../src/api/http.ts";
import { RequestContext } from "../../src/api/request.ts";
import { matchesAttribute } from "../../src/services/attributes.ts";
import { createServices } from "../../src/services/create-services.ts";
import type { ServiceHttp } from "../../src/services/http-function.ts";
import { bytes, callOf, failure, nowIn, run, runIn, text } from "./calls.ts";

const permissions = { attributes: { read: ["tenant", "user.*"], write: ["user.*", "score"] } };

describe("attributes", () => {
  it("attribute_get and attribute_set work on the request of the call", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions });
    const context = new RequestContext({ id: "r1", attributes: { tenant: "acme", secret: "x" } });
    const call = callOf({ context });
    assert.equal(text(nowIn(call, table, "request_id")), "r1");
    assert.equal(text(nowIn(call, table, "attribute_get", "tenant")), "acme");
    assert.equal(nowIn(call, table, "attribute_get", "user.name"), undefined);
    nowIn(call, table, "attribute_set", "user.name", "Ada");
    assert.equal(text(nowIn(call, table, "attribute_get", "user.name")), "Ada");
    assert.equal(context.attributes.get("user.name"), "Ada");
    assert.equal(text(nowIn(callOf({ context: new RequestContext() }), table, "attribute_get", "user.name")), undefined);
  });

  it("attribute_get, attribute_set and request_id know when there is no request", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions });
    for (const context of [undefined, null, 5, { id: "r", attributes: new Map([["tenant", "x"]]) }]) {
      const call = callOf({ context });
      assert.equal(nowIn(call, table, "request_id"), undefined);
      assert.equal(nowIn(call, table, "attribute_get", "tenant"), undefined);
      const error = await failure(() => nowIn(call, table, "attribute_set", "score", "1"), "MORTISE_NO_REQUEST");
      assert.match(error.message, /RequestContext as context/);
    }
  });

  const DENIED: readonly (readonly [service: string, name: string])[] = [
    ["attribute_get", "score"],
    ["attribute_get", "tenants"],
    ["attribute_get", "Tenant"],
    ["attribute_get", "user"],
    ["attribute_get", "__proto__"],
    ["attribute_set", "tenant"],
    ["attribute_set", "scores"],
    ["attribute_set", "user"],
  ];
  for (const [service, name] of DENIED) {
    it(`${service} is denied for "${name}"`, async () => {
      await using services = createServices();
      const table = services.forPlugin({ plugin: "p", permissions });
      const context = new RequestContext({ attributes: { [name]: "x" } });
      await failure(() => nowIn(callOf({ context }), table, service, name, "y"), "MORTISE_PERMISSION");
      assert.equal(context.attributes.get(name), "x");
    });
  }

  it("attribute_set bounds names, values and how many there are", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions: { attributes: { write: ["*"] } } });
    const context = new RequestContext();
    const call = callOf({ context });
    for (let index = 0; index < 64; index++) nowIn(call, table, "attribute_set", `a${index}`, "x".repeat(4096));
    await failure(() => nowIn(call, table, "attribute_set", "another", ""), "MORTISE_SERVICE_ARGUMENT");
    nowIn(call, table, "attribute_set", "a0", "changed");
    assert.deepEqual([context.attributes.size, context.attributes.get("a0")], [64, "changed"]);
    for (const [name, value] of [
      ["", ""],
      ["__proto__", "x"],
      ["n".repeat(257), ""],
      ["a1", "x".repeat(4097)],
      ["a1", "\ud800"],
      ["\udc00", ""],
    ] as const)
      await failure(() => nowIn(call, table, "attribute_set", name, value), "MORTISE_SERVICE_ARGUMENT");
  });

  it("matchesAttribute takes a star at the end alone as a wildcard", () => {
    const cases: readonly (readonly [pattern: string, name: string, matches: boolean])[] = [
      ["*", "anything", true],
      ["a*", "a", true],
      ["a*", "b", false],
      ["*a", "ba", false],
      ["a*b", "axb", false],
      ["a.b", "axb", false],
      ["a", "a", true],
    ];
    for (const [pattern, name, matches] of cases) assert.equal(matchesAttribute([pattern], name), matches, `${pattern} ${name}`);
  });
});

describe("http_request", () => {
  const seen: { json: string; body: Uint8Array | undefined; call: HttpCall }[] = [];
  const http = (showsHeaders: boolean): ServiceHttp => ({
    showsHeaders,
    request: async (json, body, call) => {
      seen.push({ json, body, call });
      return { status: 418, headers: { "x-tea": "é" }, body: bytes("pot") };
    },
  });

  it("http_request hands on request, body and call, and frames the response", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", http: http(true) });
    const call = callOf({ timeoutMs: 77 });
    const answer = (await runIn(call, table, "http_request", '{"url":"https://x/"}', bytes("in"))) as Uint8Array;
    const length = new DataView(answer.buffer, answer.byteOffset).getUint32(0, true);
    assert.deepEqual(JSON.parse(text(answer.subarray(4, 4 + length)) ?? ""), { status: 418, headers: { "x-tea": "é" } });
    assert.equal(text(answer.subarray(4 + length)), "pot");
    assert.deepEqual(
      [seen[0]?.json, text(seen[0]?.body), seen[0]?.call.timeoutMs, seen[0]?.call.signal],
      ['{"url":"https://x/"}', "in", 77, call.signal],
    );
  });

  it("http_request sends no body for an empty one, and shows no headers that are not to be seen", async () => {
    await using services = createServices();
    const answer = (await run(services.forPlugin({ plugin: "p", http: http(false) }), "http_request", "{}", bytes(""))) as Uint8Array;
    assert.equal(seen.at(-1)?.body, undefined);
    assert.ok(text(answer)?.includes('{"status":418,"headers":{}}'));
  });
});
