// Answers and streams of QueryMT's providers in the common form.

import { type ChatResponse, type FinishReason, type JsonObject, type StreamChunk, type ToolCall, type Usage } from "mortise";

import type { Completion, CompletionChunk } from "../../types.ts";
import { type ChunkIds, deltaChunk, usageChunk } from "../common/chunks.ts";
import { ANSWER, at } from "../common/fields.ts";
import { fromProviderFinish } from "../common/finish-reasons.ts";
import { type Part, messageOf } from "../common/parts.ts";
import { fromProviderUsage } from "../common/usage.ts";
import { REDACTED_PREFIX } from "./to-provider-request.ts";

/** @throws MortiseError MORTISE_GATEWAY_UPSTREAM for an answer that ended with an error */
function finishOf(reason: FinishReason | null, hasCalls: boolean): string {
  if (reason === "Error") throw ANSWER.fault(at(undefined, "finish_reason"), "says that the model failed");
  return fromProviderFinish(reason, hasCalls);
}

function thinkingOf(text: string, signature: string | undefined): Part[] {
  if (signature?.startsWith(REDACTED_PREFIX) === true) return [{ kind: "redacted", data: signature.slice(REDACTED_PREFIX.length) }];
  if (text === "" && signature === undefined) return [];
  return [{ kind: "thinking", text, ...(signature === undefined ? {} : { signature }) }];
}

/** A whole answer. @throws MortiseError MORTISE_GATEWAY_UPSTREAM for one that ended with an error */
export function fromProviderResponse(response: ChatResponse, { id, created, model }: ChunkIds): Completion {
  const { text, tool_calls: calls, thinking, usage, finish_reason: reason } = response;
  const message = messageOf([
    ...thinkingOf(thinking ?? "", response.thinking_signature),
    ...(text === null || text === "" ? [] : [{ kind: "text", text } as const]),
    ...(calls ?? []).map((call) => ({ kind: "call", id: call.id, name: call.function.name, arguments: call.function.arguments }) as const),
  ]);
  const hasCalls = calls !== null && calls.length > 0;
  // An answer of nothing is empty text: null stands for calls in its place.
  const content = message["content"] ?? (hasCalls ? null : "");
  return {
    id,
    object: "chat.completion",
    created,
    model,
    choices: [{ index: 0, message: { ...message, content, refusal: null }, logprobs: null, finish_reason: finishOf(reason, hasCalls) }],
    ...(usage === null ? {} : { usage: fromProviderUsage(usage) }),
  };
}

/** Providers number calls as they like; in the common form they are numbered from 0. */
interface Call {
  readonly number: number;
  /** Pieces of its arguments have come. */
  hasPieces: boolean;
}

/** Writes the chunks of one stream. */
class ChunkWriter {
  readonly #ids: ChunkIds;
  readonly #calls = new Map<number, Call>();
  #hasStarted = false;
  #isDone = false;
  #usage: Usage | undefined;

  constructor(ids: ChunkIds) {
    this.#ids = ids;
  }

  write(chunk: StreamChunk): CompletionChunk[] {
    if ("text" in chunk) return chunk.text === "" ? [] : [this.#delta({ content: chunk.text })];
    if ("thinking" in chunk) return chunk.thinking === "" ? [] : [this.#delta({ reasoning: chunk.thinking })];
    if ("thinking_signature" in chunk) return [this.#delta({ reasoning_details: [signatureDetail(chunk.thinking_signature)] })];
    if ("tool_use_start" in chunk) {
      const { index, id, name } = chunk.tool_use_start;
      return [this.#startCall(index, id, name, "")];
    }
    if ("tool_use_input_delta" in chunk) return this.#pieces(chunk.tool_use_input_delta.index, chunk.tool_use_input_delta.partial_json);
    if ("tool_use_complete" in chunk) return this.#completeCall(chunk.tool_use_complete.index, chunk.tool_use_complete.tool_call);
    if ("usage" in chunk) return this.#count(chunk.usage);
    return this.#done(chunk.done.finish_reason);
  }

  #delta(delta: JsonObject): CompletionChunk {
    if (this.#hasStarted) return deltaChunk(this.#ids, delta);
    this.#hasStarted = true;
    return deltaChunk(this.#ids, { role: "assistant", content: null, ...delta });
  }

  #startCall(index: number, id: string, name: string, text: string): CompletionChunk {
    const call: Call = { number: this.#calls.size, hasPieces: text !== "" };
    this.#calls.set(index, call);
    return this.#delta({ tool_calls: [{ index: call.number, id, type: "function", function: { name, arguments: text } }] });
  }

  #pieces(index: number, text: string): CompletionChunk[] {
    const call = this.#calls.get(index);
    if (call === undefined) throw ANSWER.fault(at(undefined, "tool_use_input_delta"), "is of a call that was not begun");
    if (text === "") return [];
    call.hasPieces = true;
    return [this.#delta({ tool_calls: [{ index: call.number, function: { arguments: text } }] })];
  }

  /** The whole call is told once more: what is news of it goes on. */
  #completeCall(index: number, { id, function: { name, arguments: text } }: ToolCall): CompletionChunk[] {
    const call = this.#calls.get(index);
    if (call === undefined) return [this.#startCall(index, id, name, text)];
    return call.hasPieces ? [] : this.#pieces(index, text);
  }

  /** Some tell the usage in parts, at the start and at the end: of each count the largest is right. */
  #count(usage: Usage): CompletionChunk[] {
    this.#usage = this.#usage === undefined ? usage : largest(this.#usage, usage);
    return this.#isDone ? [usageChunk(this.#ids, fromProviderUsage(this.#usage))] : [];
  }

  #done(reason: FinishReason): CompletionChunk[] {
    const finish = { finish_reason: finishOf(reason, this.#calls.size > 0) };
    const chunks = this.#hasStarted ? [] : [this.#delta({ content: "" })];
    this.#isDone = true;
    chunks.push(deltaChunk(this.#ids, {}, finish));
    if (this.#usage !== undefined) chunks.push(usageChunk(this.#ids, fromProviderUsage(this.#usage)));
    return chunks;
  }
}

function signatureDetail(signature: string): JsonObject {
  if (signature.startsWith(REDACTED_PREFIX)) return { type: "reasoning.encrypted", data: signature.slice(REDACTED_PREFIX.length) };
  return { type: "reasoning.text", text: "", signature };
}

function largest(a: Usage, b: Usage): Usage {
  return {
    input_tokens: Math.max(a.input_tokens, b.input_tokens),
    output_tokens: Math.max(a.output_tokens, b.output_tokens),
    reasoning_tokens: Math.max(a.reasoning_tokens, b.reasoning_tokens),
    cache_read: Math.max(a.cache_read, b.cache_read),
    cache_write: Math.max(a.cache_write, b.cache_write),
  };
}

/**
 * Gives the chunks of the common form for each of a provider's; none where nothing is to be said yet. The usage comes after
 * the reason to stop, wherever the provider tells it. Throws MORTISE_GATEWAY_UPSTREAM where the model failed.
 */
export function chunkWriter(ids: ChunkIds): (chunk: StreamChunk) => CompletionChunk[] {
  const writer = new ChunkWriter(ids);
  return (chunk) => writer.write(chunk);
}
