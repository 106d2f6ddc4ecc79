// Streams that the gateway writes, of pieces in any order.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JsonObject } from "mortise";

import type { CompletionChunk } from "../../../src/gateway/types.ts";
import { CLIENT_WIRES } from "../../../src/gateway/wires/index.ts";
import { IDS, REQUESTS, write } from "./write-stream.ts";

const chunk = (delta: JsonObject, more: JsonObject = { finish_reason: null }): CompletionChunk => ({
  ...IDS,
  object: "chat.completion.chunk",
  model: "m",
  choices: [{ index: 0, delta, ...more }],
});
const USAGE: CompletionChunk = {
  ...chunk({}),
  choices: [],
  usage: { prompt_tokens: 10, completion_tokens: 4, total_tokens: 14, prompt_tokens_details: { cached_tokens: 6 } },
};
const call = (index: number, text: string, id?: string): CompletionChunk =>
  chunk({
    tool_calls: [
      {
        index,
        ...(id === undefined ? {} : { id, type: "function" }),
        function: { ...(id === undefined ? {} : { name: `f${index}` }), arguments: text },
      },
    ],
  });
const FINISH = chunk({}, { finish_reason: "tool_calls" });

/** The first text of these names. */
function textIn(object: JsonObject | undefined, ...names: readonly string[]): string {
  const found = names.map((name) => object?.[name]).find((value) => typeof value === "string");
  return typeof found === "string" ? found : "";
}

/** Blocks of Anthropic's messages in short: what was begun, told and ended. */
function blocksOf(events: readonly JsonObject[]): readonly string[] {
  return events.flatMap((event) => {
    const { type, index, content_block: block, delta } = event as { readonly content_block?: JsonObject; readonly delta?: JsonObject } & JsonObject;
    if (type === "content_block_start") return [`${String(index)} ${String(block?.["type"])} ${textIn(block, "name", "data")}`.trimEnd()];
    if (type === "content_block_delta")
      return [`${String(index)} + ${String(delta?.["text"] ?? delta?.["thinking"] ?? delta?.["partial_json"] ?? delta?.["signature"])}`];
    return type === "content_block_stop" ? [`${String(index)} end`] : [];
  });
}

describe("stream() of chat completions", () => {
  const writer = CLIENT_WIRES.chat.stream(REQUESTS.chat, IDS);
  const counting = CLIENT_WIRES.chat.stream(REQUESTS.counted, IDS);

  it("writes chunks as they are", () => {
    const one = chunk({ content: "a\nb\u2028" });
    assert.equal(writer.push(one), `data: ${JSON.stringify(one)}\n\n`);
    assert.equal(writer.end(), "data: [DONE]\n\n");
  });

  it("tells the usage to those who asked for it", () => {
    assert.equal(writer.push(USAGE), "");
    assert.equal(counting.push(USAGE), `data: ${JSON.stringify(USAGE)}\n\n`);
    const both = { ...chunk({ content: "a" }), usage: { total_tokens: 1 } };
    assert.equal(writer.push(both), `data: ${JSON.stringify(chunk({ content: "a" }))}\n\n`);
    const none = { ...both, usage: null };
    assert.equal(writer.push(none), `data: ${JSON.stringify(chunk({ content: "a" }))}\n\n`);
    assert.equal(counting.push(none), `data: ${JSON.stringify(none)}\n\n`);
  });

  it("tells of a failure, and not that it was the end", async () => {
    const [, failed] = await write("chat", [chunk({ content: "a" })], "fail");
    assert.deepEqual(failed, { error: { message: "Too much to do", type: "server_error", param: null, code: "overloaded" } });
  });
});

describe("stream() of Anthropic's messages", () => {
  it("tells an answer from its start to its end", async () => {
    const events = await write("messages", [
      chunk({ role: "assistant", content: "" }),
      chunk({ content: "Hel" }),
      chunk({ content: "lo" }),
      chunk({}, { finish_reason: "stop" }),
      USAGE,
    ]);
    const zeros = { input_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 0 };
    const message = {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "m",
      content: [],
      stop_reason: null,
      stop_sequence: null,
      stop_details: null,
      usage: zeros,
    };
    assert.deepEqual(events, [
      { type: "message_start", message },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hel" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "lo" } },
      { type: "content_block_stop", index: 0 },
      {
        type: "message_delta",
        delta: { stop_reason: "end_turn", stop_sequence: null, stop_details: null },
        usage: { input_tokens: 4, cache_creation_input_tokens: 0, cache_read_input_tokens: 6, output_tokens: 4 },
      },
      { type: "message_stop" },
    ]);
  });

  const cases: readonly (readonly [what: string, chunks: readonly CompletionChunk[], blocks: readonly string[]])[] = [
    [
      "calls one after the other as they come",
      [call(0, "", "a"), call(0, '{"x":'), call(0, "1}"), call(1, "{}", "b"), FINISH],
      ["0 tool_use f0", '0 + {"x":', "0 + 1}", "0 end", "1 tool_use f1", "1 + {}", "1 end"],
    ],
    [
      "calls that come interleaved one after the other, without losing a piece",
      [call(0, '{"x":', "a"), call(1, '{"y":', "b"), call(0, "1}"), chunk({ content: "late" }), call(1, "2}"), FINISH],
      ["0 tool_use f0", '0 + {"x":', "0 + 1}", "0 end", "1 tool_use f1", '1 + {"y":2}', "1 end", "2 text", "2 + late", "2 end"],
    ],
    [
      "thinking with its signature at the end, in one",
      [
        chunk({ reasoning: "a" }),
        chunk({ reasoning_details: [{ type: "reasoning.text", text: "b", signature: "s1" }] }),
        chunk({ reasoning_details: [{ type: "reasoning.text", signature: "s2" }] }),
        chunk({ content: "t" }),
        FINISH,
      ],
      ["0 thinking", "0 + a", "0 + b", "0 + s1s2", "0 end", "1 text", "1 + t", "1 end"],
    ],
    [
      "thoughts after a signed one as others",
      [
        chunk({
          reasoning_details: [
            { type: "reasoning.text", text: "a", signature: "s" },
            { type: "reasoning.encrypted", data: "d" },
            { type: "reasoning.text", text: "b" },
          ],
        }),
        FINISH,
      ],
      ["0 thinking", "0 + a", "0 + s", "0 end", "1 redacted_thinking d", "1 end", "2 thinking", "2 + b", "2 end"],
    ],
    ["what other servers call reasoning_content", [chunk({ reasoning_content: "a" }), FINISH], ["0 thinking", "0 + a", "0 end"]],
    ["a refusal as text", [chunk({ refusal: "no" }), FINISH], ["0 text", "0 + no", "0 end"]],
    ["a call whose name comes late", [call(0, '{"x"'), call(0, ":1}", "a"), FINISH], ["0 tool_use f0", '0 + {"x":1}', "0 end"]],
    [
      "a call that never gets whole",
      [call(0, '{"x"', "a"), chunk({ content: "b" })],
      ["0 tool_use f0", '0 + {"x"', "0 end", "1 text", "1 + b", "1 end"],
    ],
    [
      "several calls that never get whole, and what comes after",
      [call(0, "{", "a"), call(1, "{", "b"), chunk({ content: "t" }), call(2, "", "c")],
      ["0 tool_use f0", "0 + {", "0 end", "1 tool_use f1", "1 + {", "1 end", "2 text", "2 + t", "2 end", "3 tool_use f2", "3 end"],
    ],
    [
      "nothing after the closing brace of a call that is over",
      [call(0, "{}", "a"), chunk({ content: "t" }), call(0, "}")],
      ["0 tool_use f0", "0 + {}", "0 end", "1 text", "1 + t", "1 end"],
    ],
    ["nothing of other choices", [{ ...chunk({ content: "a" }), choices: [{ index: 1, delta: { content: "a" } }] }], []],
  ];
  for (const [what, chunks, blocks] of cases)
    it(`tells ${what}`, async () => {
      assert.deepEqual(blocksOf(await write("messages", chunks)), blocks);
    });

  it("is whole even if nothing came", async () => {
    assert.deepEqual(
      (await write("messages", [])).map(({ type }) => type),
      ["message_start", "message_delta", "message_stop"],
    );
  });

  it("tells of a failure", async () => {
    const events = await write("messages", [chunk({ content: "a" })], "fail");
    assert.deepEqual(events.at(-1), { type: "error", error: { type: "overloaded_error", message: "Too much to do" } });
  });
});

describe("stream() of OpenAI's responses", () => {
  it("numbers its events, and tells an answer from its start to its end", async () => {
    const events = await write("responses", [chunk({ content: "Hel" }), chunk({ content: "lo" }), chunk({}, { finish_reason: "stop" }), USAGE]);
    assert.deepEqual(
      events.map(({ sequence_number: number }) => number),
      events.map((_, index) => index),
    );
    assert.deepEqual(
      events.map(({ type }) => type),
      [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
      ],
    );
    const place = { item_id: "msg_1_0", output_index: 0, content_index: 0 };
    assert.deepEqual(events[4], { type: "response.output_text.delta", ...place, delta: "Hel", logprobs: [], sequence_number: 4 });
    const { response } = events.at(-1) as { readonly response: JsonObject };
    assert.deepEqual(
      [response["id"], response["status"], response["instructions"], response["temperature"]],
      ["resp_1", "completed", "Be brief.", 0.5],
    );
    assert.deepEqual(response["output"], [
      {
        id: "msg_1_0",
        type: "message",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: "Hello", annotations: [], logprobs: [] }],
      },
    ]);
    assert.deepEqual(response["usage"], {
      input_tokens: 10,
      input_tokens_details: { cached_tokens: 6, cache_write_tokens: 0 },
      output_tokens: 4,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 14,
    });
  });

  /** The output of the last event, in short. */
  const outputOf = (events: readonly JsonObject[]): readonly string[] => {
    const { response } = events.at(-1) as { readonly response: { readonly output: readonly JsonObject[] } };
    return response.output.map((one) => {
      const parts = (one["content"] ?? one["summary"] ?? []) as readonly JsonObject[];
      const words = ["type", "name", "arguments"].map((name) => textIn(one, name));
      return [...words, ...parts.map((part) => textIn(part, "text", "refusal")), textIn(one, "encrypted_content")]
        .filter((word) => word !== "")
        .join(" ");
    });
  };

  it("keeps calls that come interleaved apart", async () => {
    const events = await write("responses", [
      call(0, '{"x":', "a"),
      call(1, '{"y":', "b"),
      call(0, "1}"),
      chunk({ content: "late" }),
      call(1, "2}"),
      FINISH,
    ]);
    assert.deepEqual(outputOf(events), ['function_call f0 {"x":1}', 'function_call f1 {"y":2}', "message late"]);
    const deltas = events
      .filter(({ type }) => type === "response.function_call_arguments.delta")
      .map(({ output_index: index, delta }) => [index, delta]);
    assert.deepEqual(deltas, [
      [0, '{"x":'],
      [1, '{"y":'],
      [0, "1}"],
      [1, "2}"],
    ]);
  });

  it("tells nothing after the closing brace of a call that is over", async () => {
    const events = await write("responses", [call(0, "{}", "a"), chunk({ content: "t" }), call(0, "}")]);
    assert.deepEqual(outputOf(events), ["function_call f0 {}", "message t"]);
  });

  it("tells thoughts with what signs them, and keeps their ids", async () => {
    const events = await write("responses", [
      chunk({ reasoning_details: [{ type: "reasoning.text", text: "", id: "rs_9" }] }),
      chunk({ reasoning: "a" }),
      chunk({ reasoning_details: [{ type: "reasoning.text", text: "", signature: "s" }] }),
      chunk({ reasoning_details: [{ type: "reasoning.encrypted", data: "d" }] }),
      chunk({ content: "t" }),
      chunk({ refusal: "no" }),
      chunk({}, { finish_reason: "stop" }),
    ]);
    assert.deepEqual(outputOf(events), ["reasoning a s", "reasoning d", "message t no"]);
    assert.deepEqual((events[2] as { readonly item: JsonObject }).item["id"], "rs_9");
  });

  for (const [finish, reason] of [
    ["length", "max_output_tokens"],
    ["content_filter", "content_filter"],
  ] as const)
    it(`says that an answer is incomplete: ${finish}`, async () => {
      const last = (await write("responses", [chunk({ content: "a" }), chunk({}, { finish_reason: finish })])).at(-1) as {
        readonly type: string;
        readonly response: JsonObject;
      };
      assert.deepEqual([last.type, last.response["status"], last.response["incomplete_details"]], ["response.incomplete", "incomplete", { reason }]);
    });

  it("tells of a failure", async () => {
    const events = await write("responses", [chunk({ content: "a" })], "fail");
    assert.deepEqual(events.at(-1), { type: "error", code: "overloaded", message: "Too much to do", param: null, sequence_number: 5 });
  });
});

describe("Items of responses", () => {
  const itemsOf = async (chunks: readonly CompletionChunk[]): Promise<readonly string[]> =>
    (await write("responses", chunks)).flatMap(({ type, output_index: index }) =>
      typeof type === "string" && type.startsWith("response.output_item.") ? [`${String(index)} ${type.split(".").at(-1)}`] : [],
    );

  it("end where the next one begins, but for calls that lack arguments", async () => {
    const said = chunk({ content: "a" });
    assert.deepEqual(await itemsOf([said, call(0, "{}", "id"), said, FINISH]), ["0 added", "0 done", "1 added", "1 done", "2 added", "2 done"]);
    const lacks = [call(0, "{", "id"), call(1, "{}", "id1"), said, FINISH];
    assert.deepEqual(await itemsOf(lacks), ["0 added", "1 added", "1 done", "2 added", "0 done", "2 done"]);
    // Whoever goes on after the last brace is not understood, and not cut off either.
    assert.deepEqual(await itemsOf([call(0, "{}", "id"), call(0, "x"), said, FINISH]), ["0 added", "1 added", "0 done", "1 done"]);
  });
});

describe("A stream of thousands of calls", () => {
  const CALLS = 2000;
  const opened = Array.from({ length: CALLS }, (_none, index) => call(index, '{"a":{}', `id${index}`));
  const whole = Array.from({ length: CALLS }, (_none, index) => call(index, "}"));
  const cases: Readonly<Record<string, readonly CompletionChunk[]>> = {
    "that stay open side by side": [...opened, ...whole, FINISH],
    "each whole before the next": [...opened.flatMap((begin, index) => [begin, whole[index] ?? FINISH]), FINISH],
    "with texts between them": [...opened.flatMap((begin) => [begin, chunk({ content: "t" })]), ...whole, FINISH],
    "and one of many pieces beside many texts": [call(0, "{", "id"), ...opened.flatMap(() => [call(0, '"a":{}'), chunk({ content: "t" })]), FINISH],
  };

  for (const api of ["messages", "responses"] as const)
    for (const [name, chunks] of Object.entries(cases))
      it(`is written with work in proportion to it: ${api}, ${name}`, () => {
        const writer = CLIENT_WIRES[api].stream(REQUESTS[api], IDS);
        let written = 0;
        const work = workOf(() => {
          for (let at = 0; at < chunks.length; at++) written += writer.push(chunks[at] ?? FINISH).length;
          written += writer.end().length;
        });
        assert.ok(written > CALLS * 50);
        assert.ok(work > chunks.length && work < 30 * CALLS, String(work / CALLS));
      });
});

/** Elements of lists that are looked through, and characters that are parsed, while something runs. */
function workOf(run: () => void): number {
  let work = 0;
  const lists = Array.prototype as unknown as Record<PropertyKey, (...given: readonly unknown[]) => unknown>;
  const names = [Symbol.iterator, "some", "find", "filter", "map"] as const;
  const originals = names.map((name) => [name, lists[name]] as const);
  const { parse } = JSON;
  JSON.parse = (text: string) => ((work += text.length), parse(text));
  for (let at = 0; at < originals.length; at++) {
    const [name, original] = originals[at] ?? [];
    if (name === undefined || original === undefined) continue;
    lists[name] = function counted(this: readonly unknown[], ...given) {
      work += this.length;
      return Reflect.apply(original, this, given);
    };
  }
  try {
    run();
  } finally {
    JSON.parse = parse;
    for (let at = 0; at < originals.length; at++) lists[originals[at]?.[0] ?? ""] = originals[at]?.[1] as (typeof lists)[string];
  }
  return work;
}
