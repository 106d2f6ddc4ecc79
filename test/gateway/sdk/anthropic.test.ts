// The package @anthropic-ai/sdk against the whole gateway, with every provider: its base URL is set, and nothing else.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import type { Anthropic } from "@anthropic-ai/sdk";

import { PNG } from "../wires/samples.ts";
import { PARAMETERS, SUBJECTS, type Scene, lastSent, openScene } from "./subjects.ts";

const TOOLS: Anthropic.Tool[] = [{ name: "weather", description: "of a town", input_schema: PARAMETERS as unknown as Anthropic.Tool.InputSchema }];
const ASKED = { model: "p/alpha", max_tokens: 2000 };
const THINKING = { type: "enabled" as const, budget_tokens: 1024 };
const user = (content: string | Anthropic.ContentBlockParam[]) => ({ role: "user" as const, content });

/** The text of all blocks. */
function textOf({ content }: Anthropic.Message): string {
  return content.map((block) => (block.type === "text" ? block.text : "")).join("");
}

for (const subject of SUBJECTS) {
  const { name, says, calls, thinking } = subject;
  describe(`package @anthropic-ai/sdk through the gateway, ${name}`, { timeout: 20_000 }, () => {
    let scene: Scene;
    let client: Anthropic;
    before(async () => {
      scene = await openScene(subject);
      client = scene.anthropic;
    });
    after(() => scene[Symbol.asyncDispose]());

    it("asks for messages, and counts", async () => {
      const answer = await client.messages.create({ ...ASKED, system: "Be brief.", messages: [user("zwölf Bäume 🌳")] });
      assert.deepEqual([answer.type, answer.role, answer.stop_reason], ["message", "assistant", "end_turn"]);
      assert.deepEqual(
        answer.content.map(({ type }) => type),
        ["text"],
      );
      assert.equal(textOf(answer), says("zwölf Bäume 🌳"));
      assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
    });

    it("streams messages", async () => {
      const stream = client.messages.stream({ ...ASKED, messages: [user("zwölf Bäume 🌳")] });
      let text = "";
      stream.on("text", (delta) => void (text += delta));
      const final = await stream.finalMessage();
      assert.deepEqual([text, textOf(final), final.stop_reason], [says("zwölf Bäume 🌳"), says("zwölf Bäume 🌳"), "end_turn"]);
      assert.ok(final.usage.output_tokens > 0);
    });

    for (const way of ["whole", "streamed"] as const)
      it(`calls tools, ${way}, and goes on with their results`, async () => {
        const asked = { ...ASKED, messages: [user("rain?")], tools: TOOLS, tool_choice: { type: "any" as const } };
        const first = way === "whole" ? await client.messages.create(asked) : await client.messages.stream(asked).finalMessage();
        assert.equal(first.stop_reason, "tool_use");
        const call = first.content.find(({ type }) => type === "tool_use");
        assert.ok(call?.type === "tool_use" && call.id !== "");
        assert.deepEqual([call.name, call.input], ["weather", calls("rain?")]);
        const results = [{ type: "tool_result" as const, tool_use_id: call.id, content: "it rains" }];
        const messages = [user("rain?"), { role: "assistant" as const, content: first.content }, user(results)];
        assert.match(textOf(await client.messages.create({ ...ASKED, messages, tools: TOOLS })), /it rains/);
      });

    it("shows images", async () => {
      const image = { type: "base64" as const, media_type: "image/png" as const, data: PNG.slice(PNG.indexOf(",") + 1) };
      const answer = await client.messages.create({
        ...ASKED,
        messages: [
          user([
            { type: "image", source: image },
            { type: "text", text: "what?" },
          ]),
        ],
      });
      assert.match(textOf(answer), /what\?/);
      if (subject.image !== undefined) assert.match(lastSent(scene), subject.image);
    });

    for (const way of ["whole", "streamed"] as const)
      it(`thinks, ${way}, where the provider does`, async () => {
        const asked = { ...ASKED, messages: [user("why?")], thinking: THINKING };
        const answer = way === "whole" ? await client.messages.create(asked) : await client.messages.stream(asked).finalMessage();
        const thoughts = answer.content.filter(({ type }) => type === "thinking");
        const wanted = thinking === "none" ? [] : [{ type: "thinking", thinking: thinking.text, signature: thinking.signature }];
        assert.deepEqual([thoughts, textOf(answer)], [wanted, says("why?")]);
      });

    it("lists models, and tells of one", async () => {
      const ids: string[] = [];
      for await (const { id } of client.models.list()) ids.push(id);
      assert.deepEqual(ids, ["p/alpha", `p/${subject.lists}`]);
      const model = await client.models.retrieve("p/alpha");
      assert.deepEqual([model.id, model.type, model.display_name], ["p/alpha", "model", "p/alpha"]);
      await assert.rejects(client.models.retrieve("p/no-such"), { status: 404 });
    });
  });
}
