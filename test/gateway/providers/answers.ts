// Answers that the tests of all providers have servers give, and what becomes of them.

import type { StreamChunk, Usage } from "mortise";

import type { Said } from "./vendors.ts";

/** An answer in words. */
export const SAID: Said = { text: ["Hello", ", größer ", "😀"], finish: "stop" };
/** An answer with calls of tools. */
export const CALLS: Said = {
  thinking: "hm, ü",
  signature: "c2ln",
  calls: [
    { id: "c1", name: "weather", arguments: { town: "Köln", days: 2 } },
    { id: "c2", name: "clock", arguments: {} },
  ],
  finish: "tools",
};

/** Chunks that go together as one, since servers cut where they like. */
export function joined(chunks: readonly StreamChunk[]): {
  text: string;
  thinking: string;
  usage: Usage[];
  done: unknown[];
  calls: unknown[];
  deltas: string[];
} {
  const all = { text: "", thinking: "", usage: [] as Usage[], done: [] as unknown[], calls: [] as unknown[], deltas: [] as string[] };
  for (const chunk of chunks) {
    if ("text" in chunk) all.text += chunk.text;
    else if ("thinking" in chunk) all.thinking += chunk.thinking;
    else if ("usage" in chunk) all.usage.push(chunk.usage);
    else if ("done" in chunk) all.done.push(chunk.done.finish_reason);
    else if ("tool_use_complete" in chunk) all.calls.push(chunk.tool_use_complete.tool_call);
    else if ("tool_use_input_delta" in chunk) {
      const { index, partial_json: piece } = chunk.tool_use_input_delta;
      all.deltas[index] = (all.deltas[index] ?? "") + piece;
    }
  }
  return all;
}

/** Calls as providers tell them. */
export const called = (said: Said): unknown[] =>
  (said.calls ?? []).map((call) => ({ id: call.id, type: "function", function: { name: call.name, arguments: JSON.stringify(call.arguments) } }));
