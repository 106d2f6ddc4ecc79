// Plugins around requests of clients: what they see, what they can change, and what they can stop.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";

import { TRAP } from "../hooks/guests.ts";
import { type Stage, base64, json, post, say, startStage, unbase64 } from "./start-gateway.ts";

const ask = (stage: Stage, body: unknown = say.chat("hello"), headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
  post(`${stage.url}/v1/chat/completions?a=1`, body, headers);

describe("http_pre_hook", () => {
  it("sees the request: method, path, query, headers and body", async () => {
    await using stage = await startStage();
    const sent = await stage.spy("a", { http_pre_hook: "" });
    const response = await ask(stage, say.chat("hello"), { "x-own": "1" });
    const [{ context, request }] = sent("http_pre_hook");
    assert.equal(context.request_id, response.headers.get("x-request-id"));
    assert.deepEqual([request.method, request.path, request.query], ["POST", "/v1/chat/completions", { a: "1" }]);
    assert.equal(request.headers["x-own"], "1");
    assert.equal(unbase64(request.body), JSON.stringify(say.chat("hello")));
  });

  it("changes the body: the server gets what plugins made of it, byte by byte", async () => {
    await using stage = await startStage();
    const changed = '{"model":"oai/x",  "messages":[{"role":"user","content":"changed"}]}';
    await stage.plugin("a", { http_pre_hook: `{"request":{"body":"${base64(changed)}"}}` });
    const { choices } = await json(ask(stage));
    assert.equal(choices[0].message.content, "changed");
    assert.equal(stage.standIn.requests[0]?.body, changed.replace("oai/x", "x"));
  });

  it("is checked like a client: a body that is no request is refused", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { http_pre_hook: `{"request":{"body":"${base64('{"model":"a","model":"b"}')}"}}` });
    assert.equal((await ask(stage)).status, 400);
  });

  it("responds in the place of the gateway: nobody else is asked, before or after", async () => {
    await using stage = await startStage();
    const headers = { "content-type": "text/plain", "x-plugin": "a", "content-length": "999", "transfer-encoding": "chunked" };
    const answer = JSON.stringify({ response: { status_code: 418, headers, body: base64("short and stout") } });
    const first = await stage.spy("a", { http_pre_hook: answer, http_post_hook: "" });
    const second = await stage.spy("b", { http_pre_hook: "", http_post_hook: "", pre_hook: "" }, { order: 1 });
    const response = await ask(stage, "this is no JSON");
    assert.deepEqual([response.status, response.headers.get("x-plugin"), await response.text()], [418, "a", "short and stout"]);
    assert.deepEqual([first("http_post_hook"), second("http_pre_hook"), second("http_post_hook"), second("pre_hook")], [[], [], [], []]);
    assert.equal(stage.standIn.counters.requests, 0);
  });

  it("cannot change method or path: that is a conflict", async () => {
    for (const change of [{ method: "PUT" }, { path: "/v1/embeddings" }]) {
      await using stage = await startStage();
      await stage.plugin("a", { http_pre_hook: JSON.stringify({ request: change }) });
      const response = await ask(stage);
      assert.equal(response.status, 409);
      assert.equal((await json(response)).error.code, "MORTISE_GATEWAY_MOVED");
      assert.equal(stage.standIn.counters.requests, 0);
    }
  });

  it("sets headers and query keys, and removes none", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { http_pre_hook: '{"request":{"headers":{"X-Added":"1","X-OWN":"2"},"query":{"b":"3"}}}' });
    const sent = await stage.spy("b", { http_pre_hook: "", http_post_hook: "" }, { order: 1 });
    await ask(stage, say.chat("hello"), { "x-own": "0", "x-keep": "k" });
    for (const [{ request }] of [sent("http_pre_hook"), sent("http_post_hook")]) {
      const { "X-Added": added, "x-own": own, "x-keep": kept } = request.headers;
      assert.deepEqual([added, own, kept, request.query], ["1", "2", "k", { a: "1", b: "3" }]);
    }
  });

  it("does not see the key that is the gateway's own, and knows the client by name", async () => {
    const clients = [{ name: "tester", sha256: createHash("sha256").update("key-1").digest("hex") }];
    await using stage = await startStage({ clients });
    const sent = await stage.spy("a", { http_pre_hook: "" }, { permissions: { attributes: { read: ["client", "api"] } } });
    for (const header of [{ authorization: "Bearer key-1" }, { "x-api-key": "key-1" }]) await ask(stage, say.chat("hello"), header);
    for (const { context, request } of sent("http_pre_hook")) {
      assert.deepEqual([context.client, context.api], ["tester", "chat"]);
      assert.ok(!JSON.stringify(request.headers).includes("key-1"));
    }
    assert.equal(sent("http_pre_hook").length, 2);
    await using open = await startStage();
    const all = await open.spy("a", { http_pre_hook: "" });
    await ask(open, say.chat("hello"), { authorization: "Bearer key-1" });
    assert.equal(all("http_pre_hook")[0].request.headers.authorization, "Bearer key-1", "without client keys it is nobody else's");
  });

  it("keeps the request out when it fails, and is left out if it is open", async () => {
    for (const [onFailure, status] of [
      ["closed", 500],
      ["open", 200],
    ] as const) {
      await using stage = await startStage();
      await stage.plugin("a", { http_pre_hook: TRAP }, { onFailure });
      assert.equal((await ask(stage)).status, status);
      assert.equal(stage.standIn.counters.requests, status === 200 ? 1 : 0);
    }
  });
});

describe("http_post_hook", () => {
  it("is asked in reverse, and sees the answer as it goes out, also an error", async () => {
    await using stage = await startStage();
    const order: string[] = [];
    for (const name of ["a", "b"]) {
      const sent = await stage.spy(name, { http_pre_hook: "", http_post_hook: "" });
      order.push(name);
      const response = await ask(stage);
      const { response: seen } = sent("http_post_hook")[0];
      assert.deepEqual([seen.status_code, unbase64(seen.body)], [200, await response.text()]);
      assert.equal(seen.headers["x-request-id"], response.headers.get("x-request-id"));
      const refused = await ask(stage, "{}");
      assert.deepEqual(
        [sent("http_post_hook")[1].response.status_code, unbase64(sent("http_post_hook")[1].response.body)],
        [400, await refused.text()],
      );
    }
  });

  it("keeps an answer back when it fails", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { http_post_hook: TRAP });
    const response = await ask(stage);
    assert.deepEqual([response.status, (await json(response)).error.code], [500, "MORTISE_HOOK_FAILED"]);
  });

  it("is told of a stream when that is over, without a body; its failure changes nothing", async () => {
    await using stage = await startStage();
    const sent = await stage.spy("z", { http_post_hook: "" });
    await stage.plugin("a", { http_post_hook: TRAP });
    const response = await ask(stage, say.chat("hello", { stream: true }));
    assert.match(await response.text(), /\[DONE\]/);
    while (sent("http_post_hook").length === 0) await new Promise(setImmediate);
    const [{ response: seen }] = sent("http_post_hook");
    assert.deepEqual([seen.status_code, seen.body], [200, null]);
  });
});
