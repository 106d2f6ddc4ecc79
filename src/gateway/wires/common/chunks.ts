// Chunks of the common form.

import type { JsonObject } from "mortise";

import type { CompletionChunk } from "../../types.ts";

/** What every chunk of an answer says. */
export interface ChunkIds {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

/** A chunk with one choice. */
export function deltaChunk({ id, created, model }: ChunkIds, delta: JsonObject, finish: JsonObject = { finish_reason: null }): CompletionChunk {
  return { id, object: "chat.completion.chunk", created, model, choices: [{ index: 0, delta, logprobs: null, ...finish }] };
}

/** The chunk without choices that has the usage. */
export function usageChunk({ id, created, model }: ChunkIds, usage: JsonObject): CompletionChunk {
  return { id, object: "chat.completion.chunk", created, model, choices: [], usage };
}
