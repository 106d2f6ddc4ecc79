// Reads answers of providers: whole ones, pieces of streams, embeddings, lists of models.

import { type ChatResponse, type Embeddings, FINISH_REASONS, type FinishReason, type StreamChunk, type ToolCall, type Usage } from "./types.ts";
import { type ShapeReader, isRecord } from "./shapes.ts";

/** @throws MortiseError MORTISE_PROVIDER_OUTPUT */
export function readChatResponse(value: unknown, shape: ShapeReader): ChatResponse {
  const answer = shape.record(value, "the answer");
  const text = (from: unknown, where: string): string => shape.text(from, where);
  return {
    text: shape.orNull(answer["text"], "text", text),
    tool_calls: shape.orNull(answer["tool_calls"], "tool_calls", (calls, where) => shape.list(calls, where).map((call) => readToolCall(call, shape))),
    thinking: shape.orNull(answer["thinking"], "thinking", text),
    ...signatureOf(answer["thinking_signature"], shape),
    usage: shape.orNull(answer["usage"], "usage", (usage) => readUsage(usage, shape)),
    finish_reason: shape.orNull(answer["finish_reason"], "finish_reason", (reason) => readFinishReason(reason, shape)),
  };
}

function signatureOf(value: unknown, shape: ShapeReader): Pick<ChatResponse, "thinking_signature"> {
  return value === undefined || value === null || value === "" ? {} : { thinking_signature: shape.text(value, "thinking_signature") };
}

function readToolCall(value: unknown, shape: ShapeReader): ToolCall {
  const call = shape.record(value, "a tool call");
  const fn = shape.record(call["function"], "the function of a tool call");
  return {
    id: shape.text(call["id"], "the id of a tool call"),
    type: "function",
    function: { name: shape.text(fn["name"], "the name of a tool call"), arguments: shape.text(fn["arguments"], "the arguments of a tool call") },
  };
}

/** Names under which servers have a count; the first that is there counts. */
const COUNTS: Readonly<Record<keyof Usage, readonly string[]>> = {
  input_tokens: ["input_tokens", "prompt_tokens", "prompt_eval_count", "promptTokenCount"],
  output_tokens: ["output_tokens", "completion_tokens", "eval_count", "candidatesTokenCount"],
  reasoning_tokens: ["reasoning_tokens"],
  cache_read: ["cache_read", "cache_read_input_tokens"],
  cache_write: ["cache_write", "cache_creation_input_tokens"],
};

function readUsage(value: unknown, shape: ShapeReader): Usage {
  const usage = shape.record(value, "usage");
  const count = (name: keyof Usage): number => {
    const found = COUNTS[name].find((alias) => Object.hasOwn(usage, alias));
    return found === undefined ? 0 : shape.count(usage[found], found);
  };
  return {
    input_tokens: count("input_tokens"),
    output_tokens: count("output_tokens"),
    reasoning_tokens: count("reasoning_tokens"),
    cache_read: count("cache_read"),
    cache_write: count("cache_write"),
  };
}

function readFinishReason(value: unknown, shape: ShapeReader): FinishReason {
  const found = FINISH_REASONS.find((reason) => reason === value);
  if (found === undefined) throw shape.fault("finish_reason", `one of ${FINISH_REASONS.join(", ")}`);
  return found;
}

/** The chunk of a stream item; what else the item says is said in chunks too. @throws MortiseError MORTISE_PROVIDER_OUTPUT */
export function readStreamItem(value: unknown, shape: ShapeReader): StreamChunk {
  const chunk = shape.record(shape.record(value, "an item of the stream")["chunk"], "the chunk of an item");
  const [kind = "", ...others] = Object.keys(chunk);
  const read = Object.hasOwn(CHUNKS, kind) ? CHUNKS[kind] : undefined;
  if (read === undefined || others.length > 0) throw shape.fault("a chunk", `one of ${Object.keys(CHUNKS).join(", ")}`);
  return read(chunk[kind], shape);
}

const CHUNKS: Readonly<Record<string, (value: unknown, shape: ShapeReader) => StreamChunk>> = {
  text: (value, shape) => ({ text: shape.text(value, "text") }),
  thinking: (value, shape) => ({ thinking: shape.text(value, "thinking") }),
  thinking_signature: (value, shape) => ({ thinking_signature: shape.text(value, "thinking_signature") }),
  tool_use_start: (value, shape) => {
    const start = shape.record(value, "tool_use_start");
    return {
      tool_use_start: { index: shape.count(start["index"], "index"), id: shape.text(start["id"], "id"), name: shape.text(start["name"], "name") },
    };
  },
  tool_use_input_delta: (value, shape) => {
    const delta = shape.record(value, "tool_use_input_delta");
    return { tool_use_input_delta: { index: shape.count(delta["index"], "index"), partial_json: shape.text(delta["partial_json"], "partial_json") } };
  },
  tool_use_complete: (value, shape) => {
    const complete = shape.record(value, "tool_use_complete");
    return { tool_use_complete: { index: shape.count(complete["index"], "index"), tool_call: readToolCall(complete["tool_call"], shape) } };
  },
  usage: (value, shape) => ({ usage: readUsage(value, shape) }),
  done: (value, shape) => ({ done: { finish_reason: readFinishReason(shape.record(value, "done")["finish_reason"], shape) } }),
};

/** @throws MortiseError MORTISE_PROVIDER_OUTPUT */
export function readTexts(value: unknown, shape: ShapeReader): string[] {
  return shape.list(value, "the list of models").map((name) => shape.text(name, "a model"));
}

/** A list of vectors, one for each of `count` texts, or `{embeddings, usage}` with one. @throws MortiseError MORTISE_PROVIDER_OUTPUT */
export function readEmbeddings(value: unknown, shape: ShapeReader, count: number): Embeddings {
  if (!isRecord(value)) return { embeddings: readVectors(value, shape, count), usage: null };
  const usage = shape.orNull(value["usage"], "usage", (given) => readUsage(given, shape));
  return { embeddings: readVectors(value["embeddings"], shape, count), usage };
}

function readVectors(value: unknown, shape: ShapeReader, count: number): number[][] {
  const rows = shape.list(value, "the embeddings");
  // Which of the texts has none nobody could tell.
  if (rows.length !== count) throw shape.fault("the embeddings", `${count} vectors, one for each text, and not ${rows.length}`);
  return rows.map((row) => {
    const numbers = shape.list(row, "an embedding");
    if (!numbers.every((one) => typeof one === "number")) throw shape.fault("an embedding", "a list of numbers");
    return numbers as number[];
  });
}

/** An answer as the chunks of a stream, for providers that do not stream. */
export function* chunksOf({ text, thinking, thinking_signature, tool_calls, usage, finish_reason }: ChatResponse): Iterable<StreamChunk> {
  if (thinking !== null && thinking !== "") yield { thinking };
  if (thinking_signature !== undefined) yield { thinking_signature };
  if (text !== null && text !== "") yield { text };
  for (const [index, tool_call] of (tool_calls ?? []).entries()) {
    yield { tool_use_start: { index, id: tool_call.id, name: tool_call.function.name } };
    yield { tool_use_complete: { index, tool_call } };
  }
  if (usage !== null) yield { usage };
  yield { done: { finish_reason: finish_reason ?? "Unknown" } };
}
