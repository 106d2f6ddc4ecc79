// The provider without models: what it says to what, and that it always says the same.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type ChatRequest, type Provider, loadProvider } from "mortise";
import { readPrebuilt } from "../../../scripts/guests-manifest.ts";
import { guestNamed } from "../../../scripts/guests-table.ts";
import { collect, endOf, say } from "./vendor-server.ts";

const echo = (config: Readonly<Record<string, unknown>> = {}): Promise<Provider> =>
  loadProvider(readPrebuilt(guestNamed("provider_echo.c")), { name: "echo", config });

describe("The provider echo", () => {
  it("says what it is, needs no key and asks for no host", async () => {
    await using provider = await echo();
    const { report } = provider;
    assert.deepEqual([report.generation, report.reportedName, report.baseUrl, report.apiKeyName], [2, "echo", undefined, undefined]);
    assert.deepEqual([report.hosts, report.streaming.supported], [{ granted: [], notGranted: [] }, true]);
    assert.deepEqual(await provider.listModels(), ["echo"]);
  });

  const text = (role: "User" | "Assistant", ...texts: string[]): ChatRequest["messages"][number] => ({
    role,
    content: texts.map((one) => ({ type: "text" as const, text: one })),
  });
  const cases: readonly (readonly [what: string, request: ChatRequest, answer: string, input: number, output: number])[] = [
    [
      "the last text of the user",
      { messages: [text("User", "one"), text("Assistant", "two three"), text("User", "four five")] },
      "echo: four five",
      5,
      3,
    ],
    ["all texts of a message", { messages: [text("User", "a b", "c")] }, "echo: a b\nc", 3, 4],
    ["letters of all kinds", say('größer 😀 "\\ \u0001\n\t…'), 'echo: größer 😀 "\\ \u0001\n\t…', 5, 6],
    ["nothing", { messages: [] }, "echo: (no text)", 0, 3],
    ["an image", { messages: [{ role: "User", content: [{ type: "image_url", url: "https://x.example" }] }] }, "echo: (no text)", 0, 3],
    [
      "the result of a tool",
      { messages: [{ role: "User", content: [{ type: "tool_result", id: "c", is_error: false, content: [{ type: "text", text: "rain" }] }] }] },
      "echo: rain",
      1,
      2,
    ],
    ["system text, which it counts alone", { ...say("x"), config: { system: ["be brief", "and kind"] } }, "echo: x", 5, 2],
    ["braces and brackets in texts", say('"}]{[\\"'), 'echo: "}]{[\\"', 1, 2],
  ];
  for (const [what, request, answer, input, output] of cases)
    it(`answers with ${what}, at once and word by word`, async () => {
      await using provider = await echo();
      const usage = { input_tokens: input, output_tokens: output, reasoning_tokens: 0, cache_read: 0, cache_write: 0 };
      assert.deepEqual(await provider.chat(request), { text: answer, tool_calls: null, thinking: null, usage, finish_reason: "Stop" });
      const chunks = await collect(provider.chatStream(request));
      const words = chunks.flatMap((chunk) => ("text" in chunk ? [chunk.text] : []));
      assert.deepEqual(
        words,
        answer.match(/\s*\S+\s*/gu)?.map((word) => word),
      );
      assert.deepEqual(chunks.slice(words.length), [{ usage }, { done: { finish_reason: "Stop" } }]);
    });

  const parameters = {
    type: "object",
    required: ["town", "days", "exact", "unit", "tags", "more", "unknown"],
    properties: {
      town: { type: "string" },
      days: { type: "integer", minimum: 3 },
      exact: { type: "boolean" },
      unit: { enum: ["°C", "°F"] },
      tags: { type: "array", minItems: 2, items: { const: 'a"b' } },
      more: { type: ["object", "null"], required: ["n"], properties: { n: { type: "number" } } },
      optional: { type: "string" },
    },
  };
  const derived = { town: "echo", days: 3, exact: true, unit: "°C", tags: ['a"b', 'a"b'], more: { n: 1 }, unknown: {} };
  const tools = ["first", "second"].map((name) => ({
    type: "function" as const,
    function: { name, description: "", parameters: name === "first" ? parameters : {} },
  }));

  for (const [tool_choice, name, args] of [
    ["required", "first", derived],
    [{ type: "function", function: { name: "second" } }, "second", {}],
  ] as const)
    it(`calls the tool that ${JSON.stringify(tool_choice)} wants, with arguments that its schema takes`, async () => {
      await using provider = await echo();
      const request = say("x y", { tools, config: { tool_choice } });
      const call = { id: "call_echo", type: "function", function: { name, arguments: JSON.stringify(args) } };
      const answer = await provider.chat(request);
      assert.deepEqual([answer.text, answer.tool_calls, answer.finish_reason], [null, [call], "ToolCalls"]);
      const chunks = await collect(provider.chatStream(request));
      assert.deepEqual(chunks.slice(0, 3), [
        { tool_use_start: { index: 0, id: "call_echo", name } },
        { tool_use_input_delta: { index: 0, partial_json: JSON.stringify(args) } },
        { tool_use_complete: { index: 0, tool_call: call } },
      ]);
      assert.deepEqual(chunks.at(-1), { done: { finish_reason: "ToolCalls" } });
    });

  it("calls no tool that it need not, and none that is not there", async () => {
    await using provider = await echo();
    for (const config of [{}, { tool_choice: "auto" }, { tool_choice: { type: "function", function: { name: "third" } } }])
      assert.equal((await provider.chat(say("x", { tools, config }))).text, "echo: x");
    assert.equal((await provider.chat(say("x", { config: { tool_choice: "required" } }))).text, "echo: x");
  });

  it("answers with JSON where a schema is asked for, in either form", async () => {
    await using provider = await echo();
    for (const config of [
      { json_schema: { name: "n", schema: parameters } },
      { response_format: { type: "json_schema", json_schema: { schema: parameters } } },
    ])
      assert.deepEqual(JSON.parse((await provider.chat(say("x", { config }))).text ?? ""), derived);
    let deep: unknown = {};
    for (let level = 0; level < 60; level++) deep = { type: "object", required: ["a"], properties: { a: deep } };
    const { text: nested } = await provider.chat(say("x", { config: { json_schema: { schema: deep } } }));
    assert.equal((nested ?? "").split("a").length - 1, 16);
  });

  it("stops at a limit of words", async () => {
    await using provider = await echo();
    const request = say("a b c d", { config: { max_tokens: 3 } });
    const { text: said, usage, finish_reason } = await provider.chat(request);
    assert.deepEqual([said, usage?.output_tokens, finish_reason], ["echo: a b ", 3, "Length"]);
    assert.deepEqual((await collect(provider.chatStream(request))).at(-1), { done: { finish_reason: "Length" } });
    assert.equal((await provider.chat(say("a b c d", { config: { max_completion_tokens: 5 } }))).finish_reason, "Stop");
  });

  it("does not stream when its configuration says so", async () => {
    await using provider = await echo({ stream: false });
    assert.equal(provider.report.streaming.because, "supports_streaming said no");
    assert.deepEqual((await collect(provider.chatStream(say("a b"))))[0], { text: "echo: a b" });
  });

  it("embeds: a vector of length 1 for each text, the same for the same", async () => {
    await using provider = await echo();
    const [one, two, again] = await provider.embed(["one", "two", "one"]);
    assert.deepEqual(one, again);
    assert.notDeepEqual(one, two);
    for (const vector of [one, two]) {
      assert.equal(vector?.length, 8);
      assert.ok(Math.abs(Math.hypot(...(vector ?? [])) - 1) < 1e-5);
    }
    // In every release, as stored vectors are compared with new ones.
    assert.deepEqual(one, FIXED);
    await using wide = await echo({ embedding_dimensions: 1536 });
    assert.equal((await wide.embed(["x"]))[0]?.length, 1536);
    assert.deepEqual(await provider.embed([]), []);
    const { usage } = await provider.embedWithUsage(["a b", "c"]);
    assert.deepEqual(usage, { input_tokens: 3, output_tokens: 0, reasoning_tokens: 0, cache_read: 0, cache_write: 0 });
    for (const dimensions of [0, 4097]) {
      await using odd = await echo({ dimensions });
      assert.equal((await endOf(odd.embed(["x"]))).payload["type"], "invalid_request");
    }
  });

  it("answers long texts, many at a time", async () => {
    await using provider = await echo();
    const texts = Array.from({ length: 20 }, (_unused, index) => `${index} `.repeat(20_000).trim());
    const answers = await Promise.all(texts.map(async (one) => (await provider.chat(say(one))).text));
    assert.deepEqual(
      answers,
      texts.map((one) => `echo: ${one}`),
    );
    const streams = await Promise.all(
      texts
        .slice(0, 4)
        .map(async (one) => (await collect(provider.chatStream(say(one)))).flatMap((chunk) => ("text" in chunk ? [chunk.text] : [])).join("")),
    );
    assert.deepEqual(
      streams,
      texts.slice(0, 4).map((one) => `echo: ${one}`),
    );
  });

  it("leaves out keys that it does not know", async () => {
    await using provider = await echo({ model: "echo", temperature: 1 });
    assert.deepEqual(provider.report.droppedKeys, ["temperature"]);
  });
});

const FIXED = [0.347902, 0.142117, 0.206745, -0.509126, -0.477587, 0.338482, 0.286984, 0.363035];
