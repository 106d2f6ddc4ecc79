// Answers that plugins look at or make, in the common form.

import { isUtf8 } from "node:buffer";

import { type JsonObject, MortiseError } from "mortise";

import type { Turn } from "./turn.ts";
import type { Completion, CompletionChunk } from "./types.ts";
import { isObject } from "./wires/common/fields.ts";
import { MAX_DEPTH, isDeeper } from "./wires/common/is-deeper.ts";

/** The body of a server's answer. @throws MortiseError MORTISE_GATEWAY_UPSTREAM */
export function parseAnswer(bytes: Uint8Array = new Uint8Array()): JsonObject {
  if (!isUtf8(bytes)) throw unreadable("is not UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
  } catch {
    // What the parser says would quote the server.
  }
  if (!isObject(value)) throw unreadable("is not a JSON object");
  if (isDeeper(value)) throw unreadable(`is nested deeper than ${MAX_DEPTH} levels`);
  return value;
}

function unreadable(reason: string): MortiseError {
  return new MortiseError("MORTISE_GATEWAY_UPSTREAM", { what: "the body", reason });
}

/** A plugin's response, with what a completion has besides. */
export function toCompletion(response: JsonObject, turn: Turn): Completion {
  if (response["object"] === "chat.completion" && typeof response["id"] === "string") return response as Completion;
  const own = { ...turn.answerIds(), model: turn.model, choices: [] };
  return { ...own, ...response, object: "chat.completion" };
}

/** A plugin's piece of a stream, with what the piece before it had besides. */
export function toChunk(response: JsonObject, before: CompletionChunk): CompletionChunk {
  return { ...before, ...response, object: "chat.completion.chunk" };
}
