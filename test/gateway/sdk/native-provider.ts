// A provider that is no plugin but code of the application: it says the last text, and calls the first tool if it has to.

import { type ChatRequest, type ChatResponse, MortiseError, type Usage } from "mortise";
import type { ModelProvider } from "mortise/gateway";

const NOTHING: Usage = { input_tokens: 0, output_tokens: 0, reasoning_tokens: 0, cache_read: 0, cache_write: 0 };

/** What it was asked, besides. */
export interface NativeProvider extends ModelProvider {
  readonly requests: readonly ChatRequest[];
}

/** Makes one. */
export function nativeProvider(): NativeProvider {
  const requests: ChatRequest[] = [];
  const answer = (request: ChatRequest): ChatResponse => {
    requests.push(request);
    return answerTo(request);
  };
  return {
    requests,
    chat: (request) => Promise.resolve(answer(request)),
    // What waits for nothing has to be an iterable that is waited for.
    // oxlint-disable-next-line require-await
    async *chatStream(request) {
      const { text, tool_calls: calls, usage, finish_reason: reason } = answer(request);
      for (const word of text?.match(/\s*\S+/gu) ?? []) yield { text: word };
      for (const [index, call] of (calls ?? []).entries()) {
        yield { tool_use_start: { index, id: call.id, name: call.function.name } };
        yield { tool_use_complete: { index, tool_call: call } };
      }
      if (usage !== null) yield { usage };
      yield { done: { finish_reason: reason ?? "Stop" } };
    },
    embedWithUsage: (texts, options) => {
      const { dimensions = 3 } = (options?.config ?? {}) as { readonly dimensions?: number };
      const embeddings = texts.map((text) => [text.length, 1, 2, 3].slice(0, dimensions));
      return Promise.resolve({ embeddings, usage: { ...NOTHING, input_tokens: texts.length } });
    },
    listModels: () => Promise.resolve(["native"]),
    passes: () => false,
    forward: () => Promise.reject(new MortiseError("MORTISE_INTERNAL", { reason: "it passes nothing" })),
  };
}

function answerTo({ messages, tools, config }: ChatRequest): ChatResponse {
  const parts = messages.at(-1)?.content ?? [];
  const results = parts.flatMap((part) => (part.type === "tool_result" ? part.content : []));
  const text = [...parts, ...results].map((part) => (part.type === "text" ? part.text : "")).join("");
  const name = tools?.[0]?.function.name;
  const usage = { ...NOTHING, input_tokens: messages.length, output_tokens: 1 };
  const nothing = { text: null, tool_calls: null, thinking: null, usage };
  if (name === undefined || config?.["tool_choice"] !== "required") return { ...nothing, text, finish_reason: "Stop" };
  const call = { id: "call_1", type: "function", function: { name, arguments: JSON.stringify({ text }) } } as const;
  return { ...nothing, tool_calls: [call], finish_reason: "ToolCalls" };
}
