// The package openai against the whole gateway, with every provider: its base URL is set, and nothing else.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { BadRequestError, type OpenAI } from "openai";

import { PNG } from "../wires/samples.ts";
import { PARAMETERS, SUBJECTS, type Scene, lastSent, openScene } from "./subjects.ts";

const TOOLS = [{ type: "function" as const, function: { name: "weather", description: "of a town", parameters: PARAMETERS } }];
const ASKED = { model: "p/alpha", max_tokens: 2000 };
const user = (content: string) => ({ role: "user" as const, content });

for (const subject of SUBJECTS) {
  const { name, says, calls } = subject;
  describe(`package openai through the gateway, ${name}`, { timeout: 20_000 }, () => {
    let scene: Scene;
    let client: OpenAI;
    before(async () => {
      scene = await openScene(subject);
      client = scene.openai;
    });
    after(() => scene[Symbol.asyncDispose]());

    /** Fulfilled, or refused with 400 as the table says. */
    async function asTold<T>(ability: true | RegExp, asked: Promise<T>, check: (value: T) => void): Promise<void> {
      if (ability === true) return check(await asked);
      await assert.rejects(asked, (error) => {
        assert.ok(error instanceof BadRequestError, String(error));
        assert.match(`${error.param ?? ""} ${error.message}`, ability);
        return true;
      });
    }

    it("chats, and counts", async () => {
      const answer = await client.chat.completions.create({ ...ASKED, messages: [{ role: "system", content: "Be brief." }, user("zwölf Bäume 🌳")] });
      assert.deepEqual(
        [answer.object, answer.choices[0]?.message.content, answer.choices[0]?.finish_reason],
        ["chat.completion", says("zwölf Bäume 🌳"), "stop"],
      );
      assert.ok((answer.usage?.prompt_tokens ?? 0) > 0 && (answer.usage?.completion_tokens ?? 0) > 0);
      assert.equal(answer.usage?.total_tokens, (answer.usage?.prompt_tokens ?? 0) + (answer.usage?.completion_tokens ?? 0));
    });

    it("chats with the models that other clients name without the provider", async () => {
      const answer = await client.chat.completions.create({ model: "alpha", messages: [user("one")] });
      assert.equal(answer.choices[0]?.message.content, says("one"));
    });

    it("streams, and counts at the end", async () => {
      const stream = await client.chat.completions.create({
        ...ASKED,
        messages: [user("zwölf Bäume 🌳")],
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = "";
      const ends: unknown[] = [];
      let usage: OpenAI.CompletionUsage | null | undefined;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? "";
        if (chunk.choices[0]?.finish_reason) ends.push(chunk.choices[0].finish_reason);
        usage = chunk.usage ?? usage;
      }
      assert.deepEqual([text, ends], [says("zwölf Bäume 🌳"), ["stop"]]);
      assert.ok((usage?.total_tokens ?? 0) > 0);
    });

    it("calls tools, and goes on with their results", async () => {
      const first = await client.chat.completions.create({ ...ASKED, messages: [user("rain?")], tools: TOOLS, tool_choice: "required" });
      const [choice] = first.choices;
      assert.equal(choice?.finish_reason, "tool_calls");
      const [call] = choice.message.tool_calls ?? [];
      assert.ok(call?.type === "function" && call.id !== "");
      assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ["weather", calls("rain?")]);
      const second = await client.chat.completions.create({
        ...ASKED,
        tools: TOOLS,
        messages: [user("rain?"), choice.message, { role: "tool", tool_call_id: call.id, content: "it rains" }],
      });
      assert.match(second.choices[0]?.message.content ?? "", /it rains/);
      assert.equal(second.choices[0]?.finish_reason, "stop");
      if (subject.server) assert.match(lastSent(scene), /weather/);
    });

    it("calls tools in streams", async () => {
      const stream = client.chat.completions.stream({ ...ASKED, messages: [user("rain?")], tools: TOOLS, tool_choice: "required" });
      const { message, finish_reason: finish } = (await stream.finalChatCompletion()).choices[0] ?? assert.fail("no choice");
      const [call] = message.tool_calls ?? [];
      assert.ok(call?.type === "function");
      assert.deepEqual([finish, call.function.name, JSON.parse(call.function.arguments)], ["tool_calls", "weather", calls("rain?")]);
    });

    it("shows images", async () => {
      const content = [
        { type: "text" as const, text: "what?" },
        { type: "image_url" as const, image_url: { url: PNG } },
      ];
      const answer = await client.chat.completions.create({ ...ASKED, messages: [{ role: "user", content }] });
      assert.match(answer.choices[0]?.message.content ?? "", /what\?/);
      if (subject.image !== undefined) assert.match(lastSent(scene), subject.image);
    });

    it("gets answers by a schema", async () => {
      const format = { type: "json_schema" as const, json_schema: { name: "answer", strict: true, schema: PARAMETERS } };
      const asked = { ...ASKED, messages: [user('{"text":"echo"}')], response_format: format };
      await asTold(subject.schema, client.chat.completions.parse(asked), ({ choices }) => {
        assert.deepEqual(choices[0]?.message.parsed, { text: "echo" });
        if (subject.server) assert.match(lastSent(scene), /"properties":\{"text":\{"type":"(?:string|STRING)"/);
      });
    });

    it("gets vectors, in the encoding of the package and in others", async () => {
      const texts = ["a", "b c"];
      const asked = (more: object): Promise<OpenAI.CreateEmbeddingResponse> => client.embeddings.create({ model: "p/alpha", input: texts, ...more });
      const vectors: unknown[] = [];
      await asTold(subject.embeddings, asked({}), ({ data, usage }) => {
        vectors.push(...data.map(({ embedding }) => embedding));
        assert.deepEqual([data.map(({ index }) => index), vectors.length], [[0, 1], 2]);
        assert.ok(vectors.every((vector) => Array.isArray(vector) && vector.length >= 3));
        assert.ok(usage.prompt_tokens >= 0);
      });
      await asTold(subject.embeddings, asked({ encoding_format: "float" }), ({ data }) => {
        const pairs = data.map(({ embedding }, index) => [embedding, vectors[index] as readonly number[]] as const);
        for (const [exact, packed] of pairs) for (const [at, number] of exact.entries()) assert.ok(Math.abs(number - (packed[at] ?? NaN)) < 1e-6);
      });
      await asTold(subject.embeddings, asked({ encoding_format: "base64" }), ({ data }) => {
        assert.match(String(data[0]?.embedding), /^[A-Za-z0-9+/=]+$/);
      });
      await asTold(subject.dimensions, asked({ dimensions: 2 }), ({ data }) => assert.ok(data.every(({ embedding }) => embedding.length === 2)));
    });

    it("lists models, and tells of one", async () => {
      const ids: string[] = [];
      for await (const { id, owned_by: owner } of client.models.list()) if (owner === "p") ids.push(id);
      assert.deepEqual(ids, ["p/alpha", `p/${subject.lists}`]);
      assert.deepEqual(await client.models.retrieve("p/alpha"), { id: "p/alpha", object: "model", created: 0, owned_by: "p" });
      await assert.rejects(client.models.retrieve("p/no-such"), { status: 404 });
    });

    it("asks for responses", async () => {
      const answer = await client.responses.create({ model: "p/alpha", input: "zwölf Bäume 🌳", instructions: "Be brief." });
      assert.deepEqual([answer.object, answer.output_text, answer.status, answer.error], ["response", says("zwölf Bäume 🌳"), "completed", null]);
      assert.ok((answer.usage?.total_tokens ?? 0) > 0);
    });

    it("streams responses", async () => {
      const stream = client.responses.stream({ model: "p/alpha", input: "zwölf Bäume 🌳" });
      let text = "";
      stream.on("response.output_text.delta", ({ delta }) => void (text += delta));
      const final = await stream.finalResponse();
      assert.deepEqual([text, final.output_text, final.status], [says("zwölf Bäume 🌳"), says("zwölf Bäume 🌳"), "completed"]);
    });

    it("calls tools in responses, whole and streamed, and goes on with their results", async () => {
      const tools = [{ type: "function" as const, name: "weather", parameters: PARAMETERS, strict: true }];
      const asked = { model: "p/alpha", input: "rain?", tools, tool_choice: "required" as const };
      const whole = await client.responses.create(asked);
      const streamed = await client.responses.stream(asked).finalResponse();
      for (const { output } of [whole, streamed]) {
        const call = output.find(({ type }) => type === "function_call");
        assert.ok(call?.type === "function_call");
        assert.deepEqual([call.name, JSON.parse(call.arguments)], ["weather", calls("rain?")]);
      }
      const results = whole.output.flatMap((item) =>
        item.type === "function_call" ? [{ type: "function_call_output" as const, call_id: item.call_id, output: "it rains" }] : [],
      );
      const input = [{ role: "user", content: "rain?" }, ...whole.output, ...results] as OpenAI.Responses.ResponseInput;
      assert.match((await client.responses.create({ model: "p/alpha", input, tools })).output_text, /it rains/);
    });
  });
}
