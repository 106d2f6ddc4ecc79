// Items of OpenAI's responses in which a model speaks, and parts of messages.

import type { JsonObject } from "mortise";

import { type Fields, type Path, at, isAbsent, isObject } from "../common/fields.ts";
import { field } from "../common/omit-absent.ts";
import { otherFields } from "../common/other-fields.ts";
import { CALL_NAMES, DETAIL_NAMES, type Part, extraOf } from "../common/parts.ts";

/** True for items that are a model's. */
export function isModelItem(item: JsonObject): boolean {
  const { type, role } = item;
  return type === "reasoning" || type === "function_call" || ((isAbsent(type) || type === "message") && role === "assistant");
}

/** What an item is called, and how far it is: of no meaning to a model, and left out where it looks as servers write it. */
export function withoutMarks(item: JsonObject): JsonObject {
  const { id, status, ...rest } = item;
  return {
    ...rest,
    ...(typeof id === "string" && /^[\w-]{0,128}$/.test(id) ? {} : field("id", id)),
    ...(status === "completed" || status === "in_progress" || status === "incomplete" ? {} : field("status", status)),
  };
}

/** Parts of an item of a model; what a message says beside its content is not among them. @throws the fault of `fields` */
export function readModelItem(item: JsonObject, fields: Fields, path: Path): Part[] {
  const { type } = item;
  if (type === "reasoning") return readReasoning(item, fields, path);
  if (type !== "function_call") return readMessage(item["content"], fields, at(path, "content"));
  const { type: _type, call_id: id, name, arguments: given, ...rest } = withoutMarks(item);
  return [
    {
      kind: "call",
      id: fields.name(id, at(path, "call_id")),
      name: fields.name(name, at(path, "name")),
      arguments: fields.text(given, at(path, "arguments")),
      ...extraOf(otherFields(rest, CALL_NAMES, fields, path)),
    },
  ];
}

/** What was thought, in full or in short; `encrypted_content` is its signature, or all that there is. */
function readReasoning(item: JsonObject, fields: Fields, path: Path): Part[] {
  const { id, ...unnamed } = item;
  const { type: _type, summary, content, encrypted_content: encrypted, ...rest } = withoutMarks(unnamed);
  const texts = (value: unknown, name: string): string[] =>
    isAbsent(value)
      ? []
      : fields.list(value, at(path, name)).map((one, index) => fields.text(isObject(one) ? one["text"] : one, at(at(at(path, name), index), "text")));
  const full = texts(content, "content");
  const short = texts(summary, "summary");
  const text = (full.length > 0 ? full : short).join("\n\n");
  const signature = fields.given(encrypted, at(path, "encrypted_content"), fields.text);
  const known = typeof id === "string" && id !== "" ? { id } : {};
  const others = extraOf({
    ...otherFields(rest, DETAIL_NAMES, fields, path),
    ...((full.length > 0 && short.length > 0) || !isPlain(summary) ? { summary } : {}),
    ...(isPlain(content) ? {} : { content }),
  });
  if (text === "" && signature !== undefined) return [{ kind: "redacted", data: signature, ...known, ...others }];
  if (text === "" && others.extra === undefined) return [];
  return [{ kind: "thinking", text, ...(signature === undefined ? {} : { signature }), ...known, ...others }];
}

/** True if texts of thoughts have nothing beside them. */
function isPlain(texts: unknown): boolean {
  const isText = (one: unknown): boolean => {
    if (!isObject(one)) return true;
    const { type, text: _text, ...rest } = one;
    return (isAbsent(type) || type === "summary_text" || type === "reasoning_text") && Object.keys(rest).length === 0;
  };
  return !Array.isArray(texts) || texts.every(isText);
}

function readMessage(content: unknown, fields: Fields, path: Path): Part[] {
  if (typeof content === "string") return content === "" ? [] : [{ kind: "text", text: content }];
  return fields.list(content, path).map((part, index) => readMessagePart(fields.object(part, at(path, index)), fields, at(path, index)));
}

function readMessagePart({ type, text, refusal, ...extra }: JsonObject, fields: Fields, path: Path): Part {
  if (type === "refusal") {
    const said = fields.text(refusal, at(path, "refusal"));
    const { extra: others } = extraOf({ ...extra, text });
    return others === undefined ? { kind: "refusal", text: said } : { kind: "other", block: { type, refusal: said, ...others } };
  }
  if (type === "output_text" || type === "text" || type === "input_text")
    return { kind: "text", text: fields.text(text, at(path, "text")), ...extraOf(extra) };
  throw fields.fault(at(path, "type"), "must be output_text or refusal");
}

/** Ids of items are those of the answer with their place. */
export type ItemId = (prefix: string) => string;

/** Items of a message of a model: each thought and call is one, and all text together. */
export function writeModelItems(parts: readonly Part[], itemId: ItemId): JsonObject[] {
  const items: JsonObject[] = [];
  let content: JsonObject[] | undefined;
  for (const part of parts) {
    if (part.kind === "thinking" || part.kind === "redacted") items.push(reasoningItem(part, itemId));
    else if (part.kind === "call") items.push(callItem(part, itemId));
    else if (part.kind !== "other") {
      if (content === undefined) items.push(messageItem((content = []), itemId));
      content.push(contentPart(part));
    }
  }
  return items;
}

function contentPart(part: Extract<Part, { kind: "text" | "refusal" }>): JsonObject {
  if (part.kind === "refusal") return { type: "refusal", refusal: part.text };
  return { type: "output_text", text: part.text, annotations: [], logprobs: [], ...part.extra };
}

function messageItem(content: readonly JsonObject[], itemId: ItemId): JsonObject {
  return { id: itemId("msg_"), type: "message", role: "assistant", status: "completed", content };
}

function callItem({ id, name, arguments: given }: Extract<Part, { kind: "call" }>, itemId: ItemId): JsonObject {
  return { id: itemId("fc_"), type: "function_call", call_id: id, name, arguments: given, status: "completed" };
}

function reasoningItem(part: Extract<Part, { kind: "thinking" | "redacted" }>, itemId: ItemId): JsonObject {
  const secret = part.kind === "redacted" ? part.data : part.signature;
  return {
    id: part.id ?? itemId("rs_"),
    type: "reasoning",
    summary: part.kind === "redacted" ? [] : [{ type: "summary_text", text: part.text }],
    ...field("encrypted_content", secret),
  };
}
