// Tells what a chunk of a stream says, piece by piece, to who writes it in blocks or items.

import type { JsonObject } from "mortise";

import type { CompletionChunk } from "../../types.ts";
import { isAbsent, isObject } from "./fields.ts";
import { readDetail } from "./parts.ts";

/** A piece of a call of a tool; `id` and `name` come with its first piece. */
export interface CallPiece {
  readonly index: number;
  readonly id: string | undefined;
  readonly name: string | undefined;
  readonly arguments: string;
}

/** Who is told. */
export interface DeltaSink {
  text(text: string): void;
  refusal(text: string): void;
  /** `id` is that of the thought, where a server gave it one; the text may be empty then. */
  thinking(text: string, id?: string): void;
  signature(signature: string): void;
  redacted(data: string): void;
  call(piece: CallPiece): void;
  /** An event of Anthropic's that has no place in the common form. */
  native(event: JsonObject): void;
  finish(reason: string, choice: JsonObject): void;
  usage(usage: JsonObject): void;
}

/** The first choice is told: interfaces with blocks or items have one. */
export function readDelta({ choices, usage }: CompletionChunk, sink: DeltaSink): void {
  for (const choice of choices) {
    if ((choice["index"] ?? 0) !== 0) continue;
    const { delta, finish_reason: reason } = choice;
    if (isObject(delta)) readPieces(delta, sink);
    if (typeof reason === "string") sink.finish(reason, choice);
  }
  if (isObject(usage)) sink.usage(usage);
}

function readPieces(delta: JsonObject, sink: DeltaSink): void {
  const { content, refusal, reasoning_details: details, tool_calls: calls, anthropic_event: event } = delta;
  if (Array.isArray(details)) readDetails(details, sink);
  else {
    const reasoning = delta["reasoning"] ?? delta["reasoning_content"];
    if (typeof reasoning === "string" && reasoning !== "") sink.thinking(reasoning);
  }
  if (typeof content === "string" && content !== "") sink.text(content);
  if (typeof refusal === "string" && refusal !== "") sink.refusal(refusal);
  if (isObject(event)) sink.native(event);
  if (Array.isArray(calls)) for (const [position, call] of calls.entries()) readCall(call, position, sink);
}

function readDetails(details: readonly unknown[], sink: DeltaSink): void {
  for (const part of details.flatMap(readDetail)) {
    if (part.kind === "redacted") sink.redacted(part.data);
    else if (part.kind === "thinking") {
      if (part.text !== "" || part.id !== undefined) sink.thinking(part.text, part.id);
      if (part.signature !== undefined) sink.signature(part.signature);
    }
  }
}

function readCall(value: unknown, position: number, sink: DeltaSink): void {
  if (!isObject(value)) return;
  const { index, id, function: called } = value;
  const { name, arguments: given }: JsonObject = isObject(called) ? called : {};
  sink.call({
    index: typeof index === "number" ? index : position,
    id: typeof id === "string" && id !== "" ? id : undefined,
    name: typeof name === "string" && name !== "" ? name : undefined,
    arguments: isAbsent(given) ? "" : typeof given === "string" ? given : JSON.stringify(given),
  });
}
