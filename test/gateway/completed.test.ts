// Observers: what they are told of requests that are over.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { TRAP } from "../hooks/guests.ts";
import { PATHS, type Sent, completion, post, say, startStage } from "./start-gateway.ts";

/** What the observer was told in all; requests do not wait for observers. */
// oxlint-disable-next-line typescript/no-explicit-any -- their shape is what is tested
async function told(sent: Sent, count: number): Promise<any[]> {
  while (sent("on_completion").length < count) await new Promise(setImmediate);
  return sent("on_completion").map(({ input }) => input);
}

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
      if (!stream || api !== "chat") assert.equal(input.usage.prompt_tokens, 2);
    }
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
