// docs/writing-a-guard.md: its guard is the one that is built, is loaded as the page says, and does what the page says.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { parseConfig, resolveSecrets, toPluginOptions } from "mortise/config";

import { ROOT } from "../cli/run-cli.ts";
import { codeBlocks, readPage } from "../docs/pages.ts";
import { PATHS, type Stage, eventsOf, json, post, say, startStage, textOf } from "./start-gateway.ts";

const PAGE = readPage("docs/writing-a-guard.md");
const blockOf = (kind: string): string => codeBlocks(PAGE).find(({ info }) => info === kind)?.body ?? "";
const ask = (stage: Stage, text: string, stream = false): Promise<Response> => post(stage.url + PATHS.chat, say.chat(text, { stream }));

/** A gateway with the guard of the page. */
async function start(text?: string): Promise<Stage> {
  const stage = await startStage({}, text === undefined ? {} : { behaviour: { text } });
  const { plugins } = await parseConfig(blockOf("toml"), { folder: ROOT });
  for (const plugin of plugins) {
    const { source, options } = toPluginOptions(plugin, await resolveSecrets(plugin, { env: {} }));
    await stage.gateway.host.plugins.load(source, options);
  }
  return stage;
}

describe("docs/writing-a-guard.md", { timeout: 15_000 }, () => {
  it("shows the source that the prebuilt module is made from", () => {
    assert.equal(blockOf("typescript"), readFileSync(join(ROOT, "guests/assemblyscript/code_names.ts"), "utf8"));
  });
});

describe("The guard of docs/writing-a-guard.md", { timeout: 15_000 }, () => {
  it("refuses requests with a name, and no others", async () => {
    await using stage = await start();
    for (const text of ["How does the Nightjar sing?", String.raw`"kestrel\n"`, "xNIGHTJARx"]) {
      const answer = await ask(stage, text);
      assert.deepEqual([answer.status, (await json(answer)).error.code], [403, "code_name"], text);
    }
    assert.equal(stage.standIn.counters.requests, 0);
    assert.equal((await ask(stage, "How do nightingales sing?")).status, 200);
    assert.equal((await post(stage.url + PATHS.embeddings, say.embeddings("birds"))).status, 200);
  });

  it("keeps back answers with a name, and ends streams, wherever they are cut", async () => {
    await using stage = await start("the nightjar sings");
    assert.equal((await ask(stage, "What sings?")).status, 502);
    for (let chunks = 1; chunks <= 18; chunks++) {
      stage.standIn.behave({ behaviour: { text: "the nightjar sings", chunks } });
      const answer = await ask(stage, "What sings?", true);
      const text = await answer.text();
      assert.ok(text.includes("code_name") && !text.includes("[DONE]"), `${chunks}: ${text}`);
      if (answer.status === 200) assert.ok(!textOf(text).includes("nightjar") && eventsOf(text).length > 0, text);
    }
    stage.standIn.behave({ behaviour: { text: "the night jar sings", chunks: 9 } });
    assert.equal(textOf(await (await ask(stage, "What sings?", true)).text()), "the night jar sings");
  });

  it("lets pass nothing that it cannot read", async () => {
    await using stage = await start();
    for (const fn of ["pre_hook", "post_hook"])
      for (const message of ["", "{", "[]", '{"request":{}}', '{"response":{}}']) {
        const output = await stage.gateway.host.plugins.get("names")?.call(fn, message);
        assert.match(output?.text() ?? "", /"(?:hook_)?error":"the message is not one/, `${fn} ${message}`);
      }
  });

  it("does not start with a configuration that is wrong", async () => {
    await using stage = await startStage();
    const source = join(ROOT, "guests/prebuilt/code_names.ts.wasm");
    for (const config of [
      {},
      { names: [] },
      { names: ["ab"] },
      { names: "nightjar" },
      { names: ["nightjar", 5] },
      { names: ["größe"] },
      { names: ["kestrel"], more: 1 },
    ])
      await assert.rejects(
        stage.gateway.host.plugins.load(source, { name: "names", config }),
        { code: "MORTISE_RETURN_CODE" },
        JSON.stringify(config),
      );
  });
});
