// The three wires, as servers speak them: answers, streams and errors of the same meaning in each. Shapes are those of the
// vendors' references; ids and texts are made up.

import type { FinishReason, Usage } from "mortise";

import type { ShippedProviderName } from "../../../scripts/kits-table.ts";

/** What a model says. */
export interface Said {
  readonly thinking?: string;
  readonly signature?: string;
  readonly text?: readonly string[];
  readonly calls?: readonly { readonly id: string; readonly name: string; readonly arguments: object }[];
  readonly finish: "stop" | "length" | "tools" | "filter";
}

export interface Vendor {
  readonly kit: ShippedProviderName;
  readonly name: string;
  readonly keyName: string;
  readonly defaultUrl: string;
  readonly keyHeader: string;
  readonly keyValue: (key: string) => string;
  readonly path: string;
  readonly chatPath: (stream: boolean) => string;
  readonly modelsPath: string;
  readonly modelsBody: unknown;
  readonly answer: (said: Said) => Record<string, unknown>;
  readonly events: (said: Said) => string;
  readonly error: (status: number, message: string) => Record<string, unknown>;
  /** An error in the midst of a stream: the server has too much to do. */
  readonly errorEvent: string;
  /** Words for each place in the request. */
  readonly sentSystem: (body: Body) => unknown;
  readonly sentTurns: (body: Body) => unknown;
  readonly sentTools: (body: Body) => unknown;
  readonly sentChoice: (body: Body) => unknown;
  readonly sentLimit: (body: Body) => unknown;
  readonly sentStops: (body: Body) => unknown;
  /** A part of what it counts that is not a number. */
  readonly brokenUsage: Record<string, unknown>;
  /** Whether signatures of thoughts cross. */
  readonly signs: boolean;
}

// Bodies of three vendors have no type in common.
export type Body = Record<string, any>; // oxlint-disable-line typescript/no-explicit-any

/** What the counts below come to. */
export const COUNTS: Usage = { input_tokens: 20, output_tokens: 9, reasoning_tokens: 4, cache_read: 12, cache_write: 0 };

export const FINISHES: Readonly<Record<Said["finish"], FinishReason>> = {
  stop: "Stop",
  length: "Length",
  tools: "ToolCalls",
  filter: "ContentFilter",
};

const sse = (data: unknown): string => `data: ${JSON.stringify(data)}\n\n`;

const OPENAI_FINISH = { stop: "stop", length: "length", tools: "tool_calls", filter: "content_filter" } as const;
const OPENAI_USAGE = {
  prompt_tokens: 20,
  completion_tokens: 9,
  total_tokens: 29,
  prompt_tokens_details: { cached_tokens: 12, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 4 },
};

const openai: Vendor = {
  kit: "provider-openai",
  name: "openai",
  keyName: "OPENAI_API_KEY",
  defaultUrl: "https://api.openai.com/v1/",
  keyHeader: "authorization",
  keyValue: (key) => `Bearer ${key}`,
  path: "/v1",
  chatPath: () => "/v1/chat/completions",
  modelsPath: "/v1/models",
  modelsBody: { object: "list", data: [{ id: "small", object: "model", owned_by: "x" }, { id: "large" }, { object: "model" }] },
  answer: ({ thinking, text, calls, finish }) => ({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: "small-2026",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: text === undefined ? null : text.join(""),
          ...(thinking !== undefined && { reasoning_content: thinking }),
          ...(calls !== undefined && {
            tool_calls: calls.map((call) => ({
              id: call.id,
              type: "function",
              function: { name: call.name, arguments: JSON.stringify(call.arguments) },
            })),
          }),
        },
        logprobs: null,
        finish_reason: OPENAI_FINISH[finish],
      },
    ],
    usage: OPENAI_USAGE,
  }),
  events: ({ thinking, text = [], calls = [], finish }) => {
    const chunk = (delta: unknown, reason: string | null = null): string =>
      sse({ id: "chatcmpl-1", object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: reason }], usage: null });
    return [
      chunk({ role: "assistant", content: "" }),
      ": keep alive\n\n",
      ...(thinking === undefined ? [] : [chunk({ reasoning_content: thinking })]),
      ...text.map((content) => chunk({ content })),
      ...calls.flatMap((call, index) => {
        const [head, tail] = halves(JSON.stringify(call.arguments));
        return [
          chunk({ tool_calls: [{ index, id: call.id, type: "function", function: { name: call.name, arguments: "" } }] }),
          chunk({ tool_calls: [{ index, function: { arguments: head } }] }),
          chunk({ tool_calls: [{ index, function: { arguments: tail } }] }),
        ];
      }),
      chunk({}, OPENAI_FINISH[finish]),
      sse({ id: "chatcmpl-1", object: "chat.completion.chunk", choices: [], usage: OPENAI_USAGE }),
      "data: [DONE]\n\n",
    ].join("");
  },
  error: (status, message) => ({ error: { message, type: status === 429 ? "requests" : "some_error", param: null, code: null } }),
  errorEvent: sse({ error: { message: "Overloaded", type: "overloaded_error", code: 503 } }),
  sentSystem: ({ messages }) => (messages as Body[]).filter(({ role }) => role === "system").map(({ content }) => content as unknown),
  sentTurns: ({ messages }) => (messages as Body[]).filter(({ role }) => role !== "system"),
  sentTools: ({ tools }) => (tools as Body[]).map((tool) => tool["function"]["name"] as unknown),
  sentChoice: (body) => body["tool_choice"],
  sentLimit: (body) => body["max_tokens"],
  sentStops: (body) => body["stop"],
  brokenUsage: { usage: { prompt_tokens: -3.5, completion_tokens: 4_294_967_301, prompt_tokens_details: "x" } },
  signs: false,
};

const ANTHROPIC_FINISH = { stop: "end_turn", length: "max_tokens", tools: "tool_use", filter: "refusal" } as const;
const ANTHROPIC_USAGE = {
  input_tokens: 8,
  cache_read_input_tokens: 12,
  cache_creation_input_tokens: 0,
  output_tokens: 9,
  output_tokens_details: { thinking_tokens: 4 },
};

const anthropic: Vendor = {
  kit: "provider-anthropic",
  name: "anthropic",
  keyName: "ANTHROPIC_API_KEY",
  defaultUrl: "https://api.anthropic.com/v1/",
  keyHeader: "x-api-key",
  keyValue: (key) => key,
  path: "/v1",
  chatPath: () => "/v1/messages",
  modelsPath: "/v1/models?limit=1000",
  modelsBody: { data: [{ type: "model", id: "small" }, { type: "model", id: "large" }, { type: "model" }], has_more: false },
  answer: ({ thinking, signature, text, calls = [], finish }) => ({
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "small-2026",
    content: [
      ...(thinking === undefined ? [] : [{ type: "thinking", thinking, signature: signature ?? "sig" }]),
      ...(text === undefined ? [] : [{ type: "text", text: text.join("") }]),
      ...calls.map((call) => ({ type: "tool_use", id: call.id, name: call.name, input: call.arguments })),
    ],
    stop_reason: ANTHROPIC_FINISH[finish],
    stop_sequence: null,
    usage: ANTHROPIC_USAGE,
  }),
  events: ({ thinking, signature, text = [], calls = [], finish }) => {
    const named = (event: { type: string }): string => `event: ${event.type}\n${sse(event)}`;
    const blocks: string[] = [];
    let index = 0;
    const block = (start: unknown, deltas: readonly unknown[]): void => {
      blocks.push(named({ type: "content_block_start", index, content_block: start } as { type: string }));
      for (const delta of deltas) blocks.push(named({ type: "content_block_delta", index, delta } as { type: string }));
      blocks.push(named({ type: "content_block_stop", index } as { type: string }));
      index++;
    };
    if (thinking !== undefined)
      block({ type: "thinking", thinking: "", signature: "" }, [
        { type: "thinking_delta", thinking },
        { type: "signature_delta", signature: signature ?? "sig" },
      ]);
    if (text.length > 0)
      block(
        { type: "text", text: "" },
        text.map((piece) => ({ type: "text_delta", text: piece })),
      );
    for (const call of calls)
      block(
        { type: "tool_use", id: call.id, name: call.name, input: {} },
        ["", ...halves(JSON.stringify(call.arguments))].map((partial_json) => ({ type: "input_json_delta", partial_json })),
      );
    const { output_tokens: _output, output_tokens_details: _details, ...before } = ANTHROPIC_USAGE;
    return [
      named({ type: "message_start", message: { id: "msg_1", content: [], usage: { ...before, output_tokens: 1 } } } as { type: string }),
      named({ type: "ping" }),
      ...blocks,
      named({
        type: "message_delta",
        delta: { stop_reason: ANTHROPIC_FINISH[finish], stop_sequence: null },
        usage: { output_tokens: 9, output_tokens_details: { thinking_tokens: 4 }, input_tokens: null },
      } as { type: string }),
      named({ type: "message_stop" }),
    ].join("");
  },
  error: (status, message) => ({
    type: "error",
    error: { ...(ANTHROPIC_ERRORS[status] !== undefined && { type: ANTHROPIC_ERRORS[status] }), message },
    request_id: "req_1",
  }),
  errorEvent: `event: error\n${sse({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } })}`,
  sentSystem: ({ system }) => (system as Body[]).map(({ text }) => text as unknown),
  sentTurns: ({ messages }) => messages as unknown,
  sentTools: ({ tools }) => (tools as Body[]).map(({ name }) => name as unknown),
  sentChoice: (body) => body["tool_choice"],
  sentLimit: (body) => body["max_tokens"],
  sentStops: (body) => body["stop_sequences"],
  brokenUsage: { usage: { input_tokens: -3, output_tokens: 4_294_967_301, cache_read_input_tokens: "x" } },
  signs: true,
};

const ANTHROPIC_ERRORS: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  500: "api_error",
  529: "overloaded_error",
};

const GOOGLE_FINISH = { stop: "STOP", length: "MAX_TOKENS", tools: "STOP", filter: "SAFETY" } as const;
const GOOGLE_USAGE = { promptTokenCount: 20, candidatesTokenCount: 5, thoughtsTokenCount: 4, cachedContentTokenCount: 12, totalTokenCount: 29 };

const google: Vendor = {
  kit: "provider-google",
  name: "google",
  keyName: "GEMINI_API_KEY",
  defaultUrl: "https://generativelanguage.googleapis.com/v1beta/",
  keyHeader: "x-goog-api-key",
  keyValue: (key) => key,
  path: "/v1beta",
  chatPath: (stream) => `/v1beta/models/small:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`,
  modelsPath: "/v1beta/models?pageSize=1000",
  modelsBody: { models: [{ name: "models/small" }, { name: "models/large", displayName: "Large" }, { displayName: "x" }] },
  answer: (said) => ({
    candidates: [{ content: { parts: googleParts(said), role: "model" }, finishReason: GOOGLE_FINISH[said.finish], index: 0 }],
    usageMetadata: GOOGLE_USAGE,
    modelVersion: "small-2026",
    responseId: "r1",
  }),
  events: (said) => {
    const parts = googleParts(said);
    return parts
      .map((part, index) => {
        const isLast = index === parts.length - 1;
        const candidate = { content: { parts: [part], role: "model" }, index: 0, ...(isLast && { finishReason: GOOGLE_FINISH[said.finish] }) };
        return sse({ candidates: [candidate], usageMetadata: isLast ? GOOGLE_USAGE : { promptTokenCount: 20 }, responseId: "r1" });
      })
      .join("")
      .replaceAll("\n", "\r\n");
  },
  error: (status, message) => ({ error: { code: status, message, ...(GOOGLE_ERRORS[status] !== undefined && { status: GOOGLE_ERRORS[status] }) } }),
  errorEvent: sse({ error: { code: 503, message: "Overloaded", status: "UNAVAILABLE" } }),
  sentSystem: ({ systemInstruction }) => ((systemInstruction as Body)["parts"] as Body[]).map(({ text }) => text as unknown),
  sentTurns: ({ contents }) => contents as unknown,
  sentTools: ({ tools }) => (tools as Body[]).flatMap((tool) => (tool["functionDeclarations"] as Body[]).map(({ name }) => name as unknown)),
  sentChoice: ({ toolConfig }) => (toolConfig as Body)["functionCallingConfig"] as unknown,
  sentLimit: ({ generationConfig }) => (generationConfig as Body)["maxOutputTokens"] as unknown,
  sentStops: ({ generationConfig }) => (generationConfig as Body)["stopSequences"] as unknown,
  brokenUsage: { usageMetadata: { promptTokenCount: -3, candidatesTokenCount: 4_294_967_301, cachedContentTokenCount: "x" } },
  signs: true,
};

const GOOGLE_ERRORS: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
};

function googleParts({ thinking, signature, text = [], calls = [] }: Said): object[] {
  return [
    ...(thinking === undefined ? [] : [{ text: thinking, thought: true }]),
    ...text.map((piece) => ({ text: piece })),
    ...calls.map((call, index) => ({
      functionCall: { id: call.id, name: call.name, args: call.arguments },
      ...(index === 0 && signature !== undefined && { thoughtSignature: signature }),
    })),
  ];
}

function halves(text: string): [string, string] {
  const middle = text.length >> 1;
  return [text.slice(0, middle), text.slice(middle)];
}

export const VENDORS: readonly Vendor[] = [openai, anthropic, google];
