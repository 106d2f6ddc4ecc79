// Thinking that a server has signed goes to the client and back to the server with its signature, whole and streamed, whatever
// interface the client speaks.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { readKitPrebuilt } from "../../scripts/kits-manifest.ts";
import { kitNamed } from "../../scripts/kits-table.ts";
import { stream as streamed, json as whole, vendorServer } from "./providers/vendor-server.ts";
import { type Body, type Said, VENDORS } from "./providers/vendors.ts";
import { type Stage, eventsOf, json, post, say, sentTo, startStage } from "./start-gateway.ts";
import { assembleChunks } from "../../src/gateway/wires/common/assemble-chunks.ts";
import type { CompletionChunk } from "../../src/gateway/types.ts";

const SAID: Said = {
  thinking: "Rain? I look.",
  signature: "c2lnbmVk",
  calls: [{ id: "c1", name: "weather", arguments: { town: "Köln" } }],
  finish: "tools",
};
const THINKING = { type: "thinking", thinking: "Rain? I look.", signature: "c2lnbmVk" };
const CALL = { type: "tool_use", id: "c1", name: "weather", input: { town: "Köln" } };
const TOOLS = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: { town: { type: "string" } } } } }];

const anthropic = VENDORS.find(({ name }) => name === "anthropic") ?? assert.fail("there is no vendor anthropic");

/** A gateway in front of a server that thinks, calls, and then has an answer; with the bodies that the server was sent. */
async function thinking(more: object = {}): Promise<Stage & { readonly bodies: () => readonly Body[] }> {
  const server = await vendorServer((response, sent) => {
    const last = JSON.stringify((sent.body["messages"] as unknown[]).at(-1));
    const said: Said = last.includes("tool_result") ? { text: ["It rains."], finish: "stop" } : SAID;
    return (sent.body["stream"] === true ? streamed(anthropic.events(said)) : whole(anthropic.answer(said)))(response, sent);
  });
  const options = {
    apiKey: "k-4711",
    permissions: { hosts: [server.host] },
    config: { base_url: `${server.url}/v1`, model: "m", thinking: { type: "enabled", budget_tokens: 1024 }, ...more },
  };
  const stage = await startStage({
    providers: { ant: { source: readKitPrebuilt(kitNamed("provider-anthropic")), options } },
    defaultProvider: "ant",
  });
  const close = async (): Promise<void> => {
    await stage[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  };
  return { ...stage, bodies: () => server.sent.map(({ body }) => body), [Symbol.asyncDispose]: close };
}

/** The message of an answer of chat completions, whole or streamed. */
async function messageOf(stage: Stage, body: object, isStream: boolean): Promise<Record<string, unknown>> {
  const response = await post(`${stage.url}/v1/chat/completions`, { ...body, stream: isStream });
  if (!isStream) return (await json(response)).choices[0].message;
  const assembly = assembleChunks();
  for (const event of eventsOf(await response.text())) if (event !== "[DONE]") assembly.push(event as CompletionChunk);
  return assembly.completion().choices[0]?.["message"] as Record<string, unknown>;
}

describe("Signed thinking, in another interface than the server's", { timeout: 15_000 }, () => {
  for (const isStream of [false, true])
    for (const streams of [true, false])
      it(`keeps its signature, ${isStream ? "streamed" : "whole"}, of a provider that ${streams ? "streams" : "does not stream"}`, async () => {
        await using stage = await thinking(streams ? {} : { stream: false });
        const asked = { model: "ant/m", messages: [{ role: "user", content: "Rain?" }], tools: TOOLS };
        const message = await messageOf(stage, asked, isStream);
        assert.deepEqual(
          [message["reasoning"], message["reasoning_details"]],
          ["Rain? I look.", [{ type: "reasoning.text", text: "Rain? I look.", signature: "c2lnbmVk" }]],
        );
        const results = { role: "tool", tool_call_id: "c1", content: "heavy" };
        const next = await messageOf(stage, { ...asked, messages: [...asked.messages, message, results] }, isStream);
        assert.equal(next["content"], "It rains.");
        const [, answer, result] = (stage.bodies()[1]?.["messages"] ?? []) as readonly Body[];
        assert.deepEqual([answer?.["role"], answer?.["content"]], ["assistant", [THINKING, CALL]]);
        assert.partialDeepStrictEqual(result?.["content"], [{ type: "tool_result", tool_use_id: "c1" }]);
      });

  it("is given to clients of the server's own interface as well, where plugins have changed the request", async () => {
    await using stage = await startStage();
    const params = { max_completion_tokens: 2000, thinking: { type: "enabled", budget_tokens: 1024 } };
    await stage.plugin("a", { pre_hook: JSON.stringify({ request: { params } }), post_hook: "" });
    const thought = { type: "thinking", thinking: "I say what I hear.", signature: "c3RhbmQtaW4=" };
    assert.deepEqual((await json(post(`${stage.url}/v1/messages`, say.messages("why?")))).content, [thought, { type: "text", text: "why?" }]);
    const events = eventsOf(await (await post(`${stage.url}/v1/messages`, say.messages("why?", { stream: true }))).text()) as readonly Body[];
    const deltas = events.filter(({ type }) => type === "content_block_delta").map((event) => event["delta"] as Body);
    const joined = (name: string): string => deltas.map((delta) => String(delta[name] ?? "")).join("");
    assert.deepEqual([joined("thinking"), joined("signature"), joined("text")], ["I say what I hear.", "c3RhbmQtaW4=", "why?"]);
    assert.equal(sentTo(stage, 1).max_tokens, 2000);
  });
});
