// Why a model stopped, in the words of each interface.

import type { FinishReason } from "mortise";

/** The words of chat completions, which are the common form's. */
export type CommonFinish = "stop" | "length" | "tool_calls" | "content_filter";

const FROM_MESSAGES: Readonly<Record<string, CommonFinish>> = {
  end_turn: "stop",
  max_tokens: "length",
  stop_sequence: "stop",
  tool_use: "tool_calls",
  pause_turn: "stop",
  refusal: "content_filter",
  model_context_window_exceeded: "length",
};

/** For Anthropic's `stop_reason`; a word that is new to us ends an answer like any other. */
export function fromStopReason(reason: unknown): CommonFinish | null {
  if (typeof reason !== "string") return null;
  return Object.hasOwn(FROM_MESSAGES, reason) ? (FROM_MESSAGES[reason] ?? "stop") : "stop";
}

const TO_MESSAGES: Readonly<Record<string, string>> = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  function_call: "tool_use",
  content_filter: "refusal",
};

/** Anthropic's `stop_reason`. */
export function toStopReason(finish: unknown): string {
  return typeof finish === "string" && Object.hasOwn(TO_MESSAGES, finish) ? (TO_MESSAGES[finish] ?? "end_turn") : "end_turn";
}

/** True for reasons that the way there and back does not keep. */
export function isNativeStopReason(reason: string): boolean {
  return toStopReason(fromStopReason(reason)) !== reason;
}

const FROM_PROVIDER: Readonly<Record<Exclude<FinishReason, "Error">, CommonFinish>> = {
  Stop: "stop",
  Length: "length",
  ContentFilter: "content_filter",
  ToolCalls: "tool_calls",
  Other: "stop",
  Unknown: "stop",
};

/** For QueryMT's reason. Who asks for tools has not just stopped. */
export function fromProviderFinish(reason: Exclude<FinishReason, "Error"> | null, hasCalls: boolean): CommonFinish {
  const finish = reason === null ? "stop" : FROM_PROVIDER[reason];
  return finish === "stop" && hasCalls ? "tool_calls" : finish;
}
