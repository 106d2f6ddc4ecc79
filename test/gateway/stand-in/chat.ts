// OpenAI's chat completions, as the stand-in answers them.

import { type Answer, CREATED, type Reply, type SseEvent, data } from "./answer.ts";
import { type Asked, isJson } from "./request.ts";

const ID = "chatcmpl-stand-in";
const CALL_ID = "call_stand_in";

function usage({ inputWords, outputWords }: Answer): object {
  return { prompt_tokens: inputWords, completion_tokens: outputWords, total_tokens: inputWords + outputWords };
}

function finishReason({ call, cut }: Answer): string {
  return call === undefined ? (cut ? "length" : "stop") : "tool_calls";
}

function message({ text, call }: Answer): object {
  if (call === undefined) return { role: "assistant", content: text, refusal: null };
  return { role: "assistant", content: null, refusal: null, tool_calls: [{ id: CALL_ID, type: "function", function: call }] };
}

export function chatReply(asked: Asked, answer: Answer): Reply {
  if (asked.stream) return { events: events(asked, answer) };
  const choice = { index: 0, message: message(answer), logprobs: null, finish_reason: finishReason(answer) };
  return { json: { id: ID, object: "chat.completion", created: CREATED, model: asked.model, choices: [choice], usage: usage(answer) } };
}

function events(asked: Asked, answer: Answer): SseEvent[] {
  const withUsage = isJson(asked.body["stream_options"]) && asked.body["stream_options"]["include_usage"] === true;
  const chunk = (choices: readonly object[], total: object | null = null): SseEvent =>
    data({
      id: ID,
      object: "chat.completion.chunk",
      created: CREATED,
      model: asked.model,
      choices,
      ...(withUsage ? { usage: total } : {}),
    });
  const delta = (value: object, finish_reason: string | null = null): SseEvent => chunk([{ index: 0, delta: value, finish_reason }]);
  const { call } = answer;
  const first = { index: 0, id: CALL_ID, type: "function", function: { name: call?.name, arguments: "" } };
  return [
    call === undefined ? delta({ role: "assistant", content: "" }) : delta({ role: "assistant", content: null, tool_calls: [first] }),
    ...answer.pieces.map((piece) => delta(call === undefined ? { content: piece } : { tool_calls: [{ index: 0, function: { arguments: piece } }] })),
    delta({}, finishReason(answer)),
    ...(withUsage ? [chunk([], usage(answer))] : []),
    { data: "[DONE]" },
  ];
}

/** Vectors of three numbers: characters, words, and a sum over the characters' codes; at most `dimensions` of them. */
export function embeddingsReply(asked: Asked): Reply {
  const { input, dimensions, encoding_format: format } = asked.body as Record<string, unknown>;
  const texts = (Array.isArray(input) && typeof input[0] !== "number" ? input : [input]).map((text) =>
    typeof text === "string" ? text : JSON.stringify(text),
  );
  const vectors = texts.map((text) => {
    const sum = Array.from(text).reduce((total, character) => (total * 31 + (character.codePointAt(0) ?? 0)) % 65_521, 7);
    return [text.length, text.match(/\S+/gu)?.length ?? 0, sum].slice(0, typeof dimensions === "number" ? dimensions : 3);
  });
  const words = vectors.reduce((total, vector) => total + (vector[1] ?? 0), 0);
  return {
    json: {
      object: "list",
      data: vectors.map((vector, index) => ({ object: "embedding", index, embedding: format === "base64" ? floats(vector) : vector })),
      model: asked.model,
      usage: { prompt_tokens: words, total_tokens: words },
    },
  };
}

function floats(vector: readonly number[]): string {
  return Buffer.from(new Float32Array(vector).buffer).toString("base64");
}
