// A message of a model in parts, in the order in which wires with blocks or items tell them: thinking, text, calls of tools.

import type { JsonObject } from "mortise";

import { type Fields, type Path, at, isAbsent, isObject } from "./fields.ts";
import { field } from "./omit-absent.ts";

/** A part of a message. `extra` are fields that only some wire has, such as `cache_control` or `annotations`. */
export type Part =
  | { readonly kind: "text"; readonly text: string; readonly extra?: JsonObject }
  | { readonly kind: "refusal"; readonly text: string }
  | { readonly kind: "thinking"; readonly text: string; readonly signature?: string; readonly id?: string; readonly extra?: JsonObject }
  | { readonly kind: "redacted"; readonly data: string; readonly id?: string; readonly extra?: JsonObject }
  | { readonly kind: "call"; readonly id: string; readonly name: string; readonly arguments: string; readonly extra?: JsonObject }
  | { readonly kind: "other"; readonly block: JsonObject };

/** Parts of an assistant's message of the common form. @throws the fault of `fields` */
export function partsOf(message: JsonObject, fields: Fields, path: Path | undefined): Part[] {
  const parts = thinkingOf(message);
  readContent(message["content"], parts, fields, at(path, "content"));
  const { refusal, tool_calls: calls, function_call: single } = message;
  if (typeof refusal === "string" && refusal !== "") parts.push({ kind: "refusal", text: refusal });
  if (!isAbsent(calls)) {
    const where = at(path, "tool_calls");
    for (const [index, call] of fields.list(calls, where).entries()) parts.push(readCall(call, fields, at(where, index)));
  }
  if (isObject(single) && typeof single["name"] === "string")
    parts.push({ kind: "call", id: `call_${single["name"]}`, name: single["name"], arguments: textOf(single["arguments"]) });
  return parts;
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Thinking as it is told by `reasoning_details`, or else by `reasoning`, which some servers call `reasoning_content`. */
function thinkingOf(message: JsonObject): Part[] {
  const { reasoning_details: details } = message;
  if (Array.isArray(details)) return details.flatMap(readDetail);
  const reasoning = message["reasoning"] ?? message["reasoning_content"];
  return typeof reasoning === "string" && reasoning !== "" ? [{ kind: "thinking", text: reasoning }] : [];
}

/** A part for an entry of `reasoning_details`; none for one that cannot be understood. */
export function readDetail(detail: unknown): Part[] {
  if (!isObject(detail)) return [];
  const { type, text, summary, signature, data, id } = detail;
  const known = typeof id === "string" ? { id } : {};
  if (type === "reasoning.encrypted") return typeof data === "string" ? [{ kind: "redacted", data, ...known }] : [];
  const said = textOf(type === "reasoning.summary" ? summary : text);
  if (said === "" && typeof signature !== "string" && typeof id !== "string") return [];
  return [{ kind: "thinking", text: said, ...(typeof signature === "string" ? { signature } : {}), ...known }];
}

function readContent(content: unknown, parts: Part[], fields: Fields, path: Path): void {
  if (isAbsent(content) || content === "") return;
  if (typeof content === "string") {
    parts.push({ kind: "text", text: content });
    return;
  }
  for (const [index, value] of fields.list(content, path).entries()) {
    const block = fields.object(value, at(path, index));
    const { type, text, refusal, ...extra } = block;
    if (type === "text") parts.push({ kind: "text", text: fields.text(text, at(at(path, index), "text")), ...extraOf(extra) });
    else if (type === "refusal") parts.push({ kind: "refusal", text: fields.text(refusal, at(at(path, index), "refusal")) });
    else parts.push({ kind: "other", block });
  }
}

/** Fields that say something, to be spread into a part. */
export function extraOf(rest: JsonObject): { readonly extra?: JsonObject } {
  const said = Object.entries(rest).filter(([, value]) => !isAbsent(value) && !(Array.isArray(value) && value.length === 0));
  return said.length === 0 ? {} : { extra: Object.fromEntries(said) };
}

function readCall(value: unknown, fields: Fields, path: Path): Part {
  const { id, type, function: called, custom, index: _index, ...extra } = fields.object(value, path);
  const known = fields.text(id ?? "", at(path, "id"));
  if (type === "custom") {
    const { name, input } = fields.object(custom, at(path, "custom"));
    return { kind: "call", id: known, name: fields.text(name, at(at(path, "custom"), "name")), arguments: JSON.stringify({ input }) };
  }
  const where = at(path, "function");
  const { name, arguments: given } = fields.object(called, where);
  return {
    kind: "call",
    id: known,
    name: fields.text(name, at(where, "name")),
    arguments: fields.text(given ?? "", at(where, "arguments")),
    ...extraOf(extra),
  };
}

/**
 * A message of the common form. One plain text is text, several with nothing beside them are joined, and only what other
 * wires have in blocks makes a list.
 */
export function messageOf(parts: readonly Part[]): JsonObject {
  const thinking = parts.filter((part) => part.kind === "thinking" || part.kind === "redacted");
  const refusals = parts.filter((part) => part.kind === "refusal");
  const calls = parts.filter((part) => part.kind === "call");
  const reasoning = thinking.map((part) => (part.kind === "thinking" ? part.text : "")).join("");
  const [first] = thinking;
  const plain = thinking.length === 1 && first?.kind === "thinking" && (first.signature ?? first.id ?? first.extra) === undefined;
  return {
    role: "assistant",
    content: contentOf(parts),
    ...(refusals.length === 0 ? {} : { refusal: refusals.map(({ text }) => text).join("") }),
    ...(reasoning === "" ? {} : { reasoning }),
    ...(thinking.length === 0 || plain ? {} : { reasoning_details: thinking.map(detailOf) }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(callOf) }),
  };
}

function contentOf(parts: readonly Part[]): string | readonly JsonObject[] | null {
  const said = parts.filter((part) => part.kind === "text" || part.kind === "other");
  if (said.length === 0) return null;
  if (said.every((part) => part.kind === "text" && part.extra === undefined))
    return said.map((part) => (part.kind === "text" ? part.text : "")).join("");
  return said.map(blockOf);
}

function blockOf(part: Extract<Part, { kind: "text" | "other" }>): JsonObject {
  return part.kind === "text" ? { type: "text", text: part.text, ...part.extra } : part.block;
}

function callOf({ id, name, arguments: given, extra }: Extract<Part, { kind: "call" }>): JsonObject {
  return { id, type: "function", function: { name, arguments: given }, ...extra };
}

/** Names in calls and in entries of `reasoning_details` that no field of another interface may take. */
export const CALL_NAMES: JsonObject = { id: true, type: true, function: true };
export const DETAIL_NAMES: JsonObject = { type: true, text: true, summary: true, signature: true, data: true, id: true };

/** An entry of `reasoning_details`. */
export function detailOf(part: Extract<Part, { kind: "thinking" | "redacted" }>): JsonObject {
  if (part.kind === "redacted") return { type: "reasoning.encrypted", data: part.data, ...field("id", part.id), ...part.extra };
  return { type: "reasoning.text", text: part.text, ...field("signature", part.signature), ...field("id", part.id), ...part.extra };
}
