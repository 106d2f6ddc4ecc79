// Anthropic's messages, as the stand-in answers them.

import { type Answer, type Reply, type SseEvent, named } from "./answer.ts";
import { type Asked, isJson } from "./request.ts";

/** What it thinks, where the request turns thinking on, and what it signs that with. */
const THOUGHT = "I say what I hear.";
const SIGNATURE = "c3RhbmQtaW4=";

function stopReason({ call, cut }: Answer): string {
  return call === undefined ? (cut ? "max_tokens" : "end_turn") : "tool_use";
}

export function messagesReply(asked: Asked, answer: Answer): Reply {
  const thinks = isJson(asked.body["thinking"]) && asked.body["thinking"]["type"] === "enabled";
  const { call, text, inputWords, outputWords } = answer;
  const thinking = thinks ? [{ type: "thinking", thinking: THOUGHT, signature: SIGNATURE }] : [];
  const said =
    call === undefined
      ? { type: "text", text }
      : { type: "tool_use", id: "toolu_stand_in", name: call.name, input: JSON.parse(call.arguments) as unknown };
  const message = (content: readonly object[], stop_reason: string | null, output_tokens: number): object => ({
    id: "msg_stand_in",
    type: "message",
    role: "assistant",
    model: asked.model,
    content,
    stop_reason,
    stop_sequence: null,
    usage: { input_tokens: inputWords, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens },
  });
  if (!asked.stream) return { json: message([...thinking, said], stopReason(answer), outputWords) };
  const index = thinking.length;
  return {
    events: [
      named({ type: "message_start", message: message([], null, 0) }),
      ...(thinks ? thinkingEvents() : []),
      named({
        type: "content_block_start",
        index,
        content_block: call === undefined ? { type: "text", text: "" } : { ...said, input: {} },
      }),
      ...answer.pieces.map((piece) =>
        named({
          type: "content_block_delta",
          index,
          delta: call === undefined ? { type: "text_delta", text: piece } : { type: "input_json_delta", partial_json: piece },
        }),
      ),
      named({ type: "content_block_stop", index }),
      named({
        type: "message_delta",
        delta: { stop_reason: stopReason(answer), stop_sequence: null },
        usage: { output_tokens: outputWords },
      }),
      named({ type: "message_stop" }),
    ],
  };
}

function thinkingEvents(): SseEvent[] {
  const delta = (value: object): SseEvent => named({ type: "content_block_delta", index: 0, delta: value });
  return [
    named({ type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } }),
    delta({ type: "thinking_delta", thinking: THOUGHT }),
    delta({ type: "signature_delta", signature: SIGNATURE }),
    named({ type: "content_block_stop", index: 0 }),
  ];
}
