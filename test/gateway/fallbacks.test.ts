// Fallbacks that plugins set: taken in place of the client's, while the first target is asked.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { grantFor, temporaryFile } from "../native/open-native.ts";
import { type Stage, json, post, say, startStage } from "./start-gateway.ts";

const FAULTS = { byModel: { bad: { fault: 500 }, worse: { fault: 500 } } } as const;
const ask = (stage: Stage, model: string, more: object = {}): Promise<Response> =>
  post(`${stage.url}/v1/chat/completions`, say.chat("hello", { model, ...more }));
const asked = ({ standIn }: Stage): readonly string[] => standIn.requests.map(({ model }) => model);
/** A plugin that wants these. */
const wanting = (fallbacks: unknown): { readonly pre_hook: string } => ({ pre_hook: JSON.stringify({ request: { fallbacks } }) });

describe("Fallbacks that a pre_hook sets", { timeout: 15_000 }, () => {
  it("are asked in their order, in place of those of the client", async () => {
    for (const fallbacks of [undefined, ["oai/of-the-client"]]) {
      await using stage = await startStage({}, FAULTS);
      await stage.plugin("a", wanting([{ provider: "oai", model: "worse" }, "ant/good", "oai/never"]));
      const answer = await json(ask(stage, "oai/bad", { fallbacks }));
      assert.equal(answer.choices[0].message.content, "hello");
      assert.deepEqual(asked(stage), ["bad", "worse", "good"]);
    }
  });

  it("stand behind the other targets of an alias, and are asked once each", async () => {
    await using stage = await startStage({ aliases: { fast: [{ to: "oai/bad" }, { to: "ant/worse", weight: 0 }] } }, FAULTS);
    await stage.plugin("a", wanting(["ant/worse", "oai/bad", "ant/good", "ant/good"]));
    assert.equal((await ask(stage, "fast")).status, 200);
    assert.deepEqual(asked(stage), ["bad", "worse", "good"]);
  });

  it("take the client's away, if there are none", async () => {
    await using stage = await startStage({}, FAULTS);
    await stage.plugin("a", wanting([]));
    assert.equal((await ask(stage, "oai/bad", { fallbacks: ["ant/good"] })).status, 500);
    assert.deepEqual(asked(stage), ["bad"]);
  });

  it("stay the client's where the plugin's mean nothing, which the log says", async () => {
    const wrong = ["ant/good", [7], [{ provider: 1, model: "x" }], Array.from({ length: 17 }, () => "ant/good"), ["ant/good", ""]];
    for (const fallbacks of wrong) {
      const lines: string[] = [];
      const write = (_fields: unknown, text?: string): void => void lines.push(String(text));
      const logger = { trace: write, debug: write, info: write, warn: write, error: write };
      await using stage = await startStage({ logger }, FAULTS);
      await stage.plugin("a", wanting(fallbacks));
      assert.equal((await ask(stage, "oai/bad", { fallbacks: ["oai/other"] })).status, 200);
      assert.deepEqual(asked(stage), ["bad", "other"], JSON.stringify(fallbacks));
      assert.equal(lines.filter((line) => line.startsWith("the fallbacks of a plugin are left aside: ")).length, 1);
    }
  });

  it("are not taken of a request that is a fallback already", async (t) => {
    await using stage = await startStage({}, { behaviour: { fault: 500 } });
    const source = `export function pre_hook(input) {
      const { request } = JSON.parse(new TextDecoder().decode(input));
      return JSON.stringify({ request: { fallbacks: ["oai/" + request.model + "x"] } });
    }`;
    const path = temporaryFile(t, "more.mjs", source);
    const { digest } = grantFor(path);
    await stage.gateway.host.plugins.load(path, { name: "more", abi: "native", native: [{ path, digest }] });
    assert.equal((await ask(stage, "oai/m")).status, 500);
    assert.deepEqual(asked(stage), ["m", "mx"]);
  });

  it("are as bounded as others: so many attempts", async () => {
    await using stage = await startStage({ attempts: { retries: 0, maxAttempts: 2 } }, FAULTS);
    await stage.plugin("a", wanting(["ant/bad", "ant/worse", "ant/good"]));
    assert.equal((await ask(stage, "oai/bad")).status, 500);
    assert.deepEqual(asked(stage), ["bad", "bad"]);
  });
});
