// Observers: what they are told of requests that are over.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { readPrebuilt } from "../../scripts/guests-manifest.ts";
import { guestNamed } from "../../scripts/guests-table.ts";
import { TRAP } from "../hooks/guests.ts";
import { PATHS, type Sent, completion, post, say, startStage } from "./start-gateway.ts";

/** What the observer was told in all; requests do not wait for observers. */
// oxlint-disable-next-line typescript/no-explicit-any -- their shape is what is tested
async function told(sent: Sent, count: number, name = "on_completion"): Promise<any[]> {
  while (sent(name).length < count) await new Promise(setImmediate);
  return sent(name).map(({ input }) => input);
}

const EVERY = (["chat", "messages", "responses"] as const).flatMap((api) => [false, true].map((stream) => [api, stream] as const));
/** Looks at every answer and every piece of one, and finds nothing. */
const PII = { name: "pii", permissions: { attributes: { read: ["*"], write: ["pii.*"] } } };

describe("on_completion", { timeout: 15_000 }, () => {
  it("is told of every request: who asked what, and what was answered, streams put together", async () => {
    await using stage = await startStage();
    const sent = await stage.spy("a", { on_completion: "" });
    const bodies = [];
    for (const api of ["chat", "messages", "responses"] as const)
      for (const stream of [false, true]) {
        const model = api === "messages" ? "ant/m" : "oai/m";
        const direct = await post(`${stage.standIn.url}${PATHS[api]}`, say[api]("one two", { stream, model: "m" }), { authorization: "Bearer k" });
        const response = await post(`${stage.url}${PATHS[api]}`, say[api]("one two", { stream, model }));
        assert.equal(await response.text(), await direct.text(), "an observer changes nothing");
        bodies.push([api, stream, response.headers.get("x-request-id")] as const);
      }
    const inputs = await told(sent, 6);
    for (const [index, [api, stream, id]] of bodies.entries()) {
      const input = inputs[index];
      assert.deepEqual([input.api, input.stream, input.request_id, input.attempts, input.error], [api, stream, id, 1, null]);
      assert.equal(input.provider, api === "messages" ? "ant" : "oai");
      assert.deepEqual(input.request.input, [{ role: "user", content: "one two" }]);
      assert.equal(input.response.choices[0].message.content, "one two");
      assert.ok(input.duration_ms > 0);
      assert.equal(input.usage.prompt_tokens, 2);
    }
    assert.deepEqual(
      inputs.map(({ number }) => number),
      [1, 2, 3, 4, 5, 6],
    );
    assert.match(inputs[0].gateway, /^[0-9a-f]{16}$/);
    assert.equal(new Set(inputs.map(({ gateway }) => gateway)).size, 1);
  });

  it("has a number for every request, and another name for every run of a gateway", async () => {
    const runs = new Set<string>();
    for (const _ of [1, 2]) {
      await using stage = await startStage(); // oxlint-disable-line no-await-in-loop -- one after the other
      await post(`${stage.url}/v1/chat/completions`, say.chat("before anybody is told")); // oxlint-disable-line no-await-in-loop -- as above
      const sent = await stage.spy("a", { on_completion: "" }); // oxlint-disable-line no-await-in-loop -- as above
      await Promise.all(Array.from({ length: 9 }, () => post(`${stage.url}/v1/chat/completions`, say.chat("a")))); // oxlint-disable-line no-await-in-loop -- as above
      const inputs = await told(sent, 9); // oxlint-disable-line no-await-in-loop -- as above
      assert.deepEqual(
        inputs.map(({ number }) => number),
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
      );
      runs.add(inputs[0].gateway);
    }
    assert.equal(runs.size, 2);
  });

  it("is told of errors, and of clients that left", async () => {
    await using stage = await startStage({}, { behaviour: { fault: 500 } });
    const sent = await stage.spy("a", { on_completion: "" });
    await post(`${stage.url}/v1/chat/completions`, say.chat("a"));
    const [first] = await told(sent, 1);
    assert.deepEqual([first.error.kind, first.error.status, first.response], ["upstream", 500, null]);
    stage.standIn.behave({ behaviour: { fault: "drop_mid_body" } });
    await (await post(`${stage.url}/v1/chat/completions`, say.chat("one two three four", { stream: true }))).text();
    const [, second] = await told(sent, 2);
    assert.equal(second.error.kind, "upstream");
    assert.match(second.response.choices[0].message.content, /^one/, "what the client got");
    stage.standIn.behave({ behaviour: { fault: "stall" } });
    const aborter = new AbortController();
    await post(`${stage.url}/v1/chat/completions`, say.chat("one two", { stream: true }), {}, aborter.signal);
    aborter.abort();
    const [, , third] = await told(sent, 3);
    assert.equal(third.error.kind, "cancelled");
  });

  it("sees what plugins made of the answer, and does no harm by failing", async () => {
    await using stage = await startStage();
    const sent = await stage.spy("a", { on_completion: "" });
    await stage.plugin("b", { post_hook: JSON.stringify({ response: completion("better") }), on_completion: TRAP });
    const response = await post(`${stage.url}/v1/chat/completions`, say.chat("a"));
    assert.equal(response.status, 200);
    const [input] = await told(sent, 1);
    assert.equal(input.response.choices[0].message.content, "better");
  });
});

describe("on_usage", { timeout: 15_000 }, () => {
  for (const looks of [false, true]) {
    it(`is told what every request took, and nothing of what was said${looks ? ", where a plugin looks at answers" : ""}`, async () => {
      await using stage = await startStage();
      const sent = await stage.spy("a", { on_usage: "" });
      if (looks) await stage.gateway.host.plugins.load(readPrebuilt(guestNamed("gateway_pii.rs")), PII);
      for (const [index, [api, stream]] of EVERY.entries()) {
        const [model, provider] = api === "messages" ? ["ant/m", "ant"] : ["oai/m", "oai"];
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const response = await post(`${stage.url}${PATHS[api]}`, say[api]("one two", { stream, model }));
        const body = await response.text(); // oxlint-disable-line no-await-in-loop -- as above
        assert.match(body, /one/);
        const inputs = await told(sent, index + 1, "on_usage"); // oxlint-disable-line no-await-in-loop -- as above
        const { duration_ms: ms, ...input } = inputs[index];
        assert.ok(ms > 0);
        assert.deepEqual(input, {
          request_id: response.headers.get("x-request-id"),
          client: null,
          api,
          provider,
          model: "m",
          stream,
          error: null,
          attempts: 1,
          answered: true,
          usage: { prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 },
        });
      }
    });
  }

  it("is told of errors, of clients that left, and of what plugins answered", async () => {
    await using stage = await startStage({}, { behaviour: { fault: 500 } });
    const sent = await stage.spy("a", { on_usage: "" });
    await post(`${stage.url}/v1/chat/completions`, say.chat("a"));
    const [first] = await told(sent, 1, "on_usage");
    assert.deepEqual([first.error.kind, first.error.status, first.answered, first.usage], ["upstream", 500, false, null]);
    stage.standIn.behave({ behaviour: { fault: "stall" } });
    const aborter = new AbortController();
    const response = await post(`${stage.url}/v1/chat/completions`, say.chat("one two", { stream: true }), {}, aborter.signal);
    await response.body?.getReader().read();
    aborter.abort();
    const [, second] = await told(sent, 2, "on_usage");
    assert.deepEqual([second.error.kind, second.stream, second.answered, second.usage.estimated], ["cancelled", true, true, true]);
    assert.ok(second.usage.total_tokens > 0);
    stage.standIn.behave({});
    const answer = { ...completion("mine"), usage: { prompt_tokens: 7, completion_tokens: 1, total_tokens: 8 } };
    await stage.plugin("b", { pre_hook: JSON.stringify({ short_circuit: { response: answer } }) });
    await post(`${stage.url}/v1/chat/completions`, say.chat("a"));
    const [, , third] = await told(sent, 3, "on_usage");
    assert.deepEqual([third.answered, third.usage], [true, answer.usage]);
  });

  it("is told beside on_completion, and does no harm by failing", async () => {
    await using stage = await startStage();
    const sent = await stage.spy("a", { on_usage: "", on_completion: "" });
    await stage.plugin("b", { on_usage: TRAP });
    assert.equal((await post(`${stage.url}/v1/chat/completions`, say.chat("a"))).status, 200);
    const [used] = await told(sent, 1, "on_usage");
    const [completed] = await told(sent, 1);
    assert.deepEqual([used.request_id, used.usage], [completed.request_id, completed.usage]);
    assert.ok(!("request" in used) && !("response" in used));
  });

  it("does not have streams read that pass through, but for their end", async (t) => {
    const pieces = 200;
    const parsed = async (name: string): Promise<number> => {
      await using stage = await startStage();
      const sent = await stage.spy("a", { [name]: "" });
      const parse = t.mock.method(JSON, "parse");
      const text = Array.from({ length: pieces }, () => "word").join(" ");
      await (await post(`${stage.url}/v1/chat/completions`, say.chat(text, { stream: true }))).text();
      while (sent(name).length === 0) await new Promise(setImmediate);
      const count = parse.mock.callCount();
      parse.mock.restore();
      return count;
    };
    assert.ok((await parsed("on_completion")) > pieces);
    assert.ok((await parsed("on_usage")) < pieces / 4);
  });
});
