// Checks messages in OpenAI's chat form, which is the common form too. Types of content that are not known pass.

import type { JsonObject } from "mortise";

import { isDataUrl, readDataUrl } from "../common/data-url.ts";
import { type Fields, type Path, at, isAbsent } from "../common/fields.ts";

const ROLES = ["system", "developer", "user", "assistant", "tool", "function"] as const;

/** @throws the fault of `fields` */
export function checkMessages(value: unknown, fields: Fields, path: Path): readonly JsonObject[] {
  const messages = fields.list(value, path);
  if (messages.length === 0) throw fields.fault(path, "must have one message at least");
  for (let index = 0; index < messages.length; index++) checkMessage(messages[index], fields, at(path, index));
  return messages as readonly JsonObject[];
}

function checkMessage(value: unknown, fields: Fields, path: Path): void {
  const message = fields.object(value, path);
  const role = fields.oneOf(message["role"], at(path, "role"), ROLES);
  const { content, tool_calls: calls, name } = message;
  fields.given(name, at(path, "name"), fields.text);
  if (role === "tool") fields.name(message["tool_call_id"], at(path, "tool_call_id"));
  if (role === "assistant" && !isAbsent(calls)) checkCalls(calls, fields, at(path, "tool_calls"));
  if (typeof content === "string") return;
  if (isAbsent(content)) {
    if (role === "assistant" || role === "function") return;
    throw fields.mismatch(content, at(path, "content"), "text or a list of parts");
  }
  const where = at(path, "content");
  if (!Array.isArray(content)) throw fields.mismatch(content, where, "text or a list of parts");
  for (let index = 0; index < content.length; index++) checkPart(content[index], fields, at(where, index));
}

function checkPart(value: unknown, fields: Fields, path: Path): void {
  const part = fields.object(value, path);
  const type = fields.name(part["type"], at(path, "type"));
  if (type === "text") fields.text(part["text"], at(path, "text"));
  else if (type === "image_url") checkImage(part["image_url"], fields, at(path, "image_url"));
  else if (type === "refusal") fields.text(part["refusal"], at(path, "refusal"));
  else if (type === "input_audio") {
    const where = at(path, "input_audio");
    const audio = fields.object(part["input_audio"], where);
    fields.name(audio["data"], at(where, "data"));
    fields.name(audio["format"], at(where, "format"));
  } else if (type === "file") {
    const where = at(path, "file");
    const file = fields.object(part["file"], where);
    for (const name of ["file_data", "file_id", "file_url", "filename"]) fields.given(file[name], at(where, name), fields.text);
  }
}

function checkImage(value: unknown, fields: Fields, path: Path): void {
  const image = fields.object(value, path);
  const url = fields.name(image["url"], at(path, "url"));
  if (isDataUrl(url)) readDataUrl(url, fields, at(path, "url"));
  fields.given(image["detail"], at(path, "detail"), fields.text);
}

function checkCalls(value: unknown, fields: Fields, path: Path): void {
  const calls = fields.list(value, path);
  for (let index = 0; index < calls.length; index++) {
    const where = at(path, index);
    const call = fields.object(calls[index], where);
    fields.name(call["id"], at(where, "id"));
    const type = fields.oneOf(call["type"] ?? "function", at(where, "type"), ["function", "custom"]);
    const inner = at(where, type);
    const called = fields.object(call[type], inner);
    fields.name(called["name"], at(inner, "name"));
    const text = type === "function" ? "arguments" : "input";
    fields.text(called[text], at(inner, text));
  }
}
