// Requests of OpenAI's responses, both ways.

import type { JsonObject, LlmRequest } from "mortise";

import type { ClientRequest } from "../../types.ts";
import { clientRequest } from "../common/client-request.ts";
import { type Path, REQUEST, at, isAbsent } from "../common/fields.ts";
import { withOthers } from "../common/other-fields.ts";
import { type Part, messageOf, partsOf } from "../common/parts.ts";
import { readInputContent, writeInputContent } from "./input-content.ts";
import { isModelItem, readModelItem, withoutMarks, writeModelItems } from "./output-items.ts";
import { readResponseParams, writeResponseParams } from "./response-params.ts";

/** @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function readResponseRequest(body: JsonObject): ClientRequest {
  const { model: _model, input, instructions, stream: _stream, fallbacks: _fallbacks, ...rest } = body;
  const params = readResponseParams(rest);
  const path = at(undefined, "input");
  const messages: JsonObject[] = [];
  if (!isAbsent(instructions)) messages.push({ role: "system", content: REQUEST.text(instructions, at(undefined, "instructions")) });
  if (typeof input === "string") messages.push({ role: "user", content: input });
  else if (Array.isArray(input)) readItems(input, path, messages);
  else throw REQUEST.mismatch(input, path, "text or a list of items");
  if (messages.length === 0) throw REQUEST.fault(path, "must have one item at least");
  return clientRequest(body, { api: "responses", input: messages, params, streamUsage: true });
}

/** Items of a model that follow each other are one message: thinking, text, calls. */
function readItems(items: readonly unknown[], path: Path, messages: JsonObject[]): void {
  let parts: Part[] = [];
  let hasText = false;
  let hasCalls = false;
  let others: JsonObject = {};
  const endTurn = (): void => {
    if (parts.length > 0 || Object.keys(others).length > 0) messages.push(withOthers(messageOf(parts), others, REQUEST, path));
    parts = [];
    others = {};
    hasText = hasCalls = false;
  };
  for (const [index, value] of items.entries()) {
    const where = at(path, index);
    const item = REQUEST.object(value, where);
    if (!isModelItem(item)) {
      endTurn();
      messages.push(readItem(item, where));
      continue;
    }
    const isCall = item["type"] === "function_call";
    // Text or thoughts after a call, and a second text, are of another turn.
    if (!isCall && (hasCalls || hasText)) endTurn();
    const isMessage = !isCall && item["type"] !== "reasoning";
    hasCalls ||= isCall;
    hasText ||= isMessage;
    if (isMessage) others = besideContent(item);
    parts.push(...readModelItem(item, REQUEST, where));
  }
  endTurn();
}

/** What a message says beside its content. */
function besideContent(item: JsonObject): JsonObject {
  const { type: _type, role: _role, content: _content, ...rest } = withoutMarks(item);
  return rest;
}

function readItem(item: JsonObject, path: Path): JsonObject {
  const { type, role, content } = item;
  if (type === "function_call_output") {
    const { type: _type, call_id: id, output, ...rest } = withoutMarks(item);
    const result = { role: "tool", tool_call_id: REQUEST.name(id, at(path, "call_id")), content: readInputContent(output, at(path, "output")) };
    return withOthers(result, rest, REQUEST, path);
  }
  if (!isAbsent(type) && type !== "message") {
    REQUEST.name(type, at(path, "type"));
    throw REQUEST.fault(
      at(path, "type"),
      "must be message, reasoning, function_call or function_call_output: the gateway keeps no items, and has no built-in tools",
    );
  }
  const known = REQUEST.oneOf(role, at(path, "role"), ["user", "system", "developer", "assistant"]);
  return withOthers({ role: known, content: readInputContent(content, at(path, "content")) }, besideContent(item), REQUEST, path);
}

/** The body for a server of OpenAI's responses. It is to keep nothing, as the gateway's clients cannot ask for it. @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function writeResponseRequest(llm: LlmRequest, request: ClientRequest): JsonObject {
  const path = at(undefined, "messages");
  const messages = REQUEST.list(llm.input, path).map((message, index) => REQUEST.object(message, at(path, index)));
  const [first] = messages;
  const instructions = first?.["role"] === "system" && typeof first["content"] === "string" ? first["content"] : undefined;
  const items = messages.slice(instructions === undefined ? 0 : 1).flatMap((message, index) => writeMessage(message, index, at(path, index)));
  return {
    model: llm.model,
    ...(instructions === undefined ? {} : { instructions }),
    input: items,
    ...writeResponseParams(REQUEST.object(llm.params ?? {}, at(undefined, "params"))),
    ...(typeof request.body["store"] === "boolean" ? { store: request.body["store"] } : {}),
    ...(request.stream ? { stream: true } : {}),
  };
}

function writeMessage(message: JsonObject, index: number, path: Path): JsonObject[] {
  const { role, content, tool_call_id: id } = message;
  if (role === "tool") return [{ type: "function_call_output", call_id: id, output: writeInputContent(content, REQUEST, at(path, "content")) }];
  if (role !== "assistant") return [{ type: "message", role, content: writeInputContent(content, REQUEST, at(path, "content")) }];
  let count = 0;
  return writeModelItems(partsOf(message, REQUEST, path), (prefix) => `${prefix}${index}_${count++}`);
}
