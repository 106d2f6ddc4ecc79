// OpenAI's responses, as the stand-in answers them.

import { type Answer, CREATED, type Reply, type SseEvent, named } from "./answer.ts";
import type { Asked } from "./request.ts";

const ITEM = "item_stand_in";

/** The one item of an answer. */
function item({ text, call }: Answer, status: string): object {
  if (call === undefined) return { type: "message", id: ITEM, status, role: "assistant", content: status === "in_progress" ? [] : [part(text)] };
  const args = status === "in_progress" ? "" : call.arguments;
  return { type: "function_call", id: ITEM, call_id: "call_stand_in", name: call.name, arguments: args, status };
}

function part(text: string): object {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

function response(asked: Asked, answer: Answer, finished: boolean): object {
  const { inputWords, outputWords, cut } = answer;
  const usage = {
    input_tokens: inputWords,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: outputWords,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: inputWords + outputWords,
  };
  const status = finished ? (cut ? "incomplete" : "completed") : "in_progress";
  return {
    id: "resp_stand_in",
    object: "response",
    created_at: CREATED,
    status,
    error: null,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: asked.body["instructions"] ?? null,
    metadata: {},
    model: asked.model,
    output: finished ? [item(answer, status)] : [],
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: asked.body["tool_choice"] ?? "auto",
    tools: asked.body["tools"] ?? [],
    top_p: 1,
    usage: finished ? usage : null,
  };
}

export function responsesReply(asked: Asked, answer: Answer): Reply {
  if (!asked.stream) return { json: response(asked, answer, true) };
  const at = { item_id: ITEM, output_index: 0 };
  const said = { ...at, content_index: 0 };
  const { call, text, pieces, cut } = answer;
  const inner =
    call === undefined
      ? [
          { type: "response.content_part.added", ...said, part: part("") },
          ...pieces.map((delta) => ({ type: "response.output_text.delta", ...said, delta, logprobs: [] })),
          { type: "response.output_text.done", ...said, text, logprobs: [] },
          { type: "response.content_part.done", ...said, part: part(text) },
        ]
      : [
          ...pieces.map((delta) => ({ type: "response.function_call_arguments.delta", item_id: ITEM, output_index: 0, delta })),
          { type: "response.function_call_arguments.done", ...at, name: call.name, arguments: call.arguments },
        ];
  const all = [
    { type: "response.created", response: response(asked, answer, false) },
    { type: "response.in_progress", response: response(asked, answer, false) },
    { type: "response.output_item.added", output_index: 0, item: item(answer, "in_progress") },
    ...inner,
    { type: "response.output_item.done", output_index: 0, item: item(answer, cut ? "incomplete" : "completed") },
    { type: cut ? "response.incomplete" : "response.completed", response: response(asked, answer, true) },
  ];
  return { events: all.map((event, sequence_number): SseEvent => named({ ...event, sequence_number })) };
}
