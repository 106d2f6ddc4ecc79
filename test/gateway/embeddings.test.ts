// Embeddings by providers that build the request themselves: model, dimensions, key and usage.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { readPrebuilt } from "../../scripts/guests-manifest.ts";
import { guestNamed } from "../../scripts/guests-table.ts";
import { loadKit } from "../providers/loading.ts";
import { upstream } from "../providers/upstream.ts";
import { nativeProvider } from "./sdk/native-provider.ts";
import { type Stage, json, post, say, startStage } from "./start-gateway.ts";

const embed = (stage: Stage, more: object): Promise<Response> => post(`${stage.url}/v1/embeddings`, { ...say.embeddings("a b"), ...more });

describe("Embeddings of a plugin that passes nothing", { timeout: 15_000 }, () => {
  it("are asked for with the model, and are counted", async () => {
    await using stage = await startStage({ providers: { echo: { source: readPrebuilt(guestNamed("provider_echo.c")) } }, defaultProvider: "echo" });
    const answer = await json(embed(stage, { model: "echo/any", input: ["one two", "three"], dimensions: 5 }));
    assert.deepEqual([answer.object, answer.model, answer.usage], ["list", "any", { prompt_tokens: 3, total_tokens: 3 }]);
    assert.deepEqual(
      (answer.data as { readonly index: number; readonly embedding: readonly number[] }[]).map(({ index, embedding }) => [index, embedding.length]),
      [
        [0, 5],
        [1, 5],
      ],
    );
    const refused = await embed(stage, { dimensions: 4097 });
    assert.equal(refused.status, 400);
  });

  it("are asked for with a key of the ring, and as the plugins of the hooks left the request", async () => {
    await using server = await upstream();
    await using provider = await loadKit("provider3-rust", server);
    await using stage = await startStage({ providers: { p: { provider, keys: [{ value: "sk-of-the-ring" }] } }, defaultProvider: "p" });
    await stage.plugin("a", { pre_hook: '{"request":{"model":"other","input":["c d e"]}}' });
    const answer = await json(embed(stage, {}));
    assert.equal(answer.object, "list");
    const sent = server.asked.at(-1);
    assert.equal(sent?.headers.authorization, "Bearer sk-of-the-ring");
    assert.deepEqual(JSON.parse(sent?.text ?? ""), { model: "other", input: ["c d e"] });
  });

  it("are an error where they are not as many as the texts", async () => {
    for (const embeddings of [[[1, 2]], [[1], [2], [3]]]) {
      const provider = { ...nativeProvider(), embedWithUsage: () => Promise.resolve({ embeddings, usage: null }) };
      await using stage = await startStage({ providers: { p: { provider } }, defaultProvider: "p" });
      const answer = await embed(stage, { input: ["a", "b"] });
      assert.equal(answer.status, 502);
      assert.match((await json(answer)).error.message, new RegExp(`are ${embeddings.length}, for 2 texts`));
    }
  });

  it("are refused where they have another length than was asked for", async () => {
    const provider = { ...nativeProvider(), embedWithUsage: () => Promise.resolve({ embeddings: [[1, 2, 3]], usage: null }) };
    await using stage = await startStage({ providers: { p: { provider } }, defaultProvider: "p" });
    assert.deepEqual((await json(embed(stage, { dimensions: 3 }))).usage, { prompt_tokens: 0, total_tokens: 0 });
    const refused = await embed(stage, { dimensions: 2 });
    const { error } = await json(refused);
    assert.deepEqual([refused.status, error.param], [400, "dimensions"]);
    assert.match(error.message, /must be 3/);
  });
});
