// Writes what guests get of a conversation: JSON with bytes as arrays of numbers.

import { invalidOption } from "../api/limits.ts";
import { JsonBytes } from "./byte-arrays.ts";
import type { ChatMessage, ChatRequest, Content } from "./types.ts";

/** Messages of tools' results can hold content again; deeper than this is a mistake. */
const MAX_DEPTH = 16;

/**
 * `{"cfg", "messages", "tools"}`.
 *
 * @param cfg JSON text
 * @throws MortiseError MORTISE_INVALID_OPTION for what cannot be written as JSON
 */
export function writeChatRequest(cfg: string, { messages, tools = [] }: ChatRequest): Uint8Array<ArrayBuffer> {
  if (!Array.isArray(messages)) throw invalidOption("messages", typeof messages, "a list of messages");
  const json = new JsonBytes().text(`{"cfg":${cfg},"messages":[`);
  for (const [index, message] of messages.entries()) {
    if (index > 0) json.text(",");
    writeMessage(json, message as ChatMessage);
  }
  return json.text(`],"tools":${tools.length === 0 ? "null" : toJson("tools", tools)}}`).take();
}

function writeMessage(json: JsonBytes, { role, content, cache }: ChatMessage): void {
  if (!Array.isArray(content)) throw invalidOption("messages.content", typeof content, "a list of parts");
  json.text(`{"role":${toJson("messages.role", role)},"content":`);
  writeContent(json, content as readonly Content[], 0);
  json.text(cache === undefined ? "}" : `,"cache":${toJson("messages.cache", cache)}}`);
}

function writeContent(json: JsonBytes, parts: readonly Content[], depth: number): void {
  if (depth > MAX_DEPTH) throw invalidOption("messages", "nested too deeply", `${MAX_DEPTH} levels of content at most`);
  json.text("[");
  for (const [index, part] of parts.entries()) {
    if (index > 0) json.text(",");
    writePart(json, part, depth);
  }
  json.text("]");
}

function writePart(json: JsonBytes, part: Content, depth: number): void {
  if ("data" in part && part.data instanceof Uint8Array) {
    const { data, ...rest } = part;
    json
      .text(`${toJson("messages", rest).slice(0, -1)},"data":`)
      .array(data)
      .text("}");
  } else if (part.type === "tool_result") {
    const { content, ...rest } = part;
    json.text(`${toJson("messages", rest).slice(0, -1)},"content":`);
    writeContent(json, content, depth + 1);
    json.text("}");
  } else json.text(toJson("messages", part));
}

/** @throws MortiseError MORTISE_INVALID_OPTION for what has no JSON form */
export function toJson(option: string, value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // Circles and bigints; the reason would quote values.
  }
  if (text === undefined) throw invalidOption(option, "without a JSON form", "what JSON can hold");
  return text;
}
