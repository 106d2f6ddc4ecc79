// Plugins at the pieces of streams that go out: all that they can decide.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { TRAP } from "../hooks/guests.ts";
import { PATHS, type Stage, completion, eventsOf, post, say, startStage, textOf } from "./start-gateway.ts";

const stream = (stage: Stage, text = "one two three"): Promise<Response> =>
  post(`${stage.url}/v1/chat/completions?a=1`, say.chat(text, { stream: true }));

describe("http_stream_chunk_hook", () => {
  it("sees each piece without its framing, and the request without its body; what it leaves alone goes out as it came", async () => {
    await using stage = await startStage();
    const direct = await (
      await post(`${stage.standIn.url}/v1/chat/completions`, say.chat("one two three", { stream: true }), { authorization: "Bearer k" })
    ).text();
    const sent = await stage.spy("a", { http_stream_chunk_hook: "" });
    assert.equal(await (await stream(stage)).text(), direct);
    const messages = sent("http_stream_chunk_hook");
    assert.equal(messages.length, eventsOf(direct).length - 1);
    assert.deepEqual(
      messages.map(({ chunk }) => chunk),
      eventsOf(direct).slice(0, -1),
    );
    const [{ request }] = messages;
    assert.deepEqual([request.path, request.query, request.body], [PATHS.chat, { a: "1" }, null]);
  });

  it("is asked in reverse", async () => {
    await using stage = await startStage();
    const change = (mark: string): string => JSON.stringify({ has_chunk: true, chunk: { choices: [{ index: 0, delta: { content: mark } }] } });
    await stage.plugin("a", { http_stream_chunk_hook: change("a") }, { order: 1 });
    await stage.plugin("b", { http_stream_chunk_hook: change("b") }, { order: 2 });
    assert.match(textOf(await (await stream(stage)).text()), /^a+$/);
  });

  it("changes pieces, drops them, or ends the stream with an error, in every interface", async () => {
    const apis = ["chat", "messages", "responses"] as const;
    for (const api of apis) {
      await using stage = await startStage();
      const model = api === "messages" ? "ant/m" : "oai/m";
      const ask = async (): Promise<Response> => post(`${stage.url}${PATHS[api]}`, say[api]("one two three", { stream: true, model }));
      const load = (does: object | string): Promise<unknown> =>
        stage.plugin("a", { http_stream_chunk_hook: typeof does === "string" ? does : JSON.stringify(does) }, { replace: true });
      await load({ has_chunk: true, chunk: { choices: [{ index: 0, delta: { content: "#" }, finish_reason: null }] } });
      const changed = await (await ask()).text();
      assert.ok(changed.includes("#") && !changed.includes("two"), api);
      await load({ chunk: null, has_chunk: false, skip: true });
      const dropped = await (await ask()).text();
      assert.ok(!dropped.includes("two"), api);
      await load({ error: "enough of this" });
      const ended = await ask();
      assert.equal(ended.status, 403, "nothing had been sent");
      assert.match(await ended.text(), /enough of this/);
    }
  });

  it("ends a stream with an error event where something had been sent", async () => {
    await using stage = await startStage();
    await stage.plugin(
      "a",
      { http_stream_chunk_hook: '{"error":"enough of this"}' },
      { filters: { httpStreamChunk: { "chunk.choices.0.delta.content": { contains: "three" } } } },
    );
    const response = await stream(stage);
    assert.equal(response.status, 200);
    const events = eventsOf(await response.text()) as { error?: { message: string } }[];
    assert.ok(events.length > 1);
    assert.equal(events.at(-1)?.error?.message, "enough of this");
  });

  it("ends the stream when it fails, and is left out if it is open", async () => {
    for (const onFailure of ["closed", "open"] as const) {
      await using stage = await startStage();
      await stage.plugin("a", { http_stream_chunk_hook: TRAP }, { onFailure });
      const response = await stream(stage);
      assert.equal(response.status, onFailure === "open" ? 200 : 500);
      if (onFailure === "open") assert.equal(textOf(await response.text()), "one two three");
    }
  });

  it("sees what a plugin answers in the place of a model, too", async () => {
    await using stage = await startStage();
    const sent = await stage.spy("a", { http_stream_chunk_hook: "" });
    await stage.plugin("b", { pre_hook: JSON.stringify({ short_circuit: { response: completion("short") } }) });
    assert.equal(textOf(await (await stream(stage)).text()), "short");
    assert.ok(sent("http_stream_chunk_hook").length > 0);
  });

  it("does not make a stream whole that was not", async () => {
    for (const api of ["chat", "messages", "responses"] as const) {
      await using stage = await startStage({}, { behaviour: { fault: "no_end" } });
      await stage.plugin("a", { http_stream_chunk_hook: "" });
      const model = api === "messages" ? "ant/m" : "oai/m";
      const text = await (await post(`${stage.url}${PATHS[api]}`, say[api]("one two three", { stream: true, model }))).text();
      assert.match(text, /ended before the model had stopped/, api);
      assert.ok(!/\[DONE\]|message_stop|response\.completed/.test(text), api);
    }
  });

  it("is not asked for answers that are no streams", async () => {
    await using stage = await startStage();
    await stage.plugin("a", { http_stream_chunk_hook: TRAP });
    assert.equal((await post(`${stage.url}/v1/chat/completions`, say.chat("a"))).status, 200);
  });

  it("ends the request to the server when it ends the stream", async () => {
    await using stage = await startStage({}, { behaviour: { fault: "stall" } });
    await stage.plugin("a", { http_stream_chunk_hook: '{"error":"enough"}' });
    await (await stream(stage)).text();
    await stage.standIn.settled();
    assert.equal(stage.standIn.counters.clientsLeft, 1);
  });
});
