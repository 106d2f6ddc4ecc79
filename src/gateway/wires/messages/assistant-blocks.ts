// Blocks of what a model says, in Anthropic's form and as parts.

import type { JsonObject } from "mortise";

import { type Fields, type Path, at } from "../common/fields.ts";
import { otherFields } from "../common/other-fields.ts";
import { CALL_NAMES, DETAIL_NAMES, type Part, extraOf } from "../common/parts.ts";
import { fromCommonBlock, toCommonBlock } from "./blocks.ts";
import { argumentsText, toolInput } from "./tool-input.ts";

/** @throws the fault of `fields` */
export function readAssistantBlock(value: unknown, fields: Fields, path: Path): Part {
  const block = fields.object(value, path);
  const type = fields.name(block["type"], at(path, "type"));
  const { type: _type, ...rest } = block;
  switch (type) {
    case "text": {
      const { text, ...extra } = rest;
      return { kind: "text", text: fields.text(text, at(path, "text")), ...extraOf(extra) };
    }
    case "thinking": {
      const { thinking, signature, ...extra } = rest;
      const signed = fields.given(signature, at(path, "signature"), fields.text);
      return {
        kind: "thinking",
        text: fields.text(thinking, at(path, "thinking")),
        ...(signed === undefined || signed === "" ? {} : { signature: signed }),
        ...extraOf(otherFields(extra, DETAIL_NAMES, fields, path)),
      };
    }
    case "redacted_thinking": {
      const { data, ...extra } = rest;
      return { kind: "redacted", data: fields.text(data, at(path, "data")), ...extraOf(otherFields(extra, DETAIL_NAMES, fields, path)) };
    }
    case "tool_use": {
      const { id, name, input, ...extra } = rest;
      const where = at(path, "input");
      return {
        kind: "call",
        id: fields.name(id, at(path, "id")),
        name: fields.name(name, at(path, "name")),
        arguments: argumentsText(fields.object(input ?? {}, where), (given) => fields.json(given, where)),
        ...extraOf(otherFields(extra, CALL_NAMES, fields, path)),
      };
    }
    default:
      return { kind: "other", block: toCommonBlock(block, fields, path) };
  }
}

/** Blocks of a part. Parts of thinking come as they are, signed or not. */
export function writeAssistantBlock(part: Part, fields: Fields): JsonObject {
  switch (part.kind) {
    case "text":
      return { type: "text", text: part.text, ...part.extra };
    case "refusal":
      return { type: "text", text: part.text };
    case "thinking":
      return { type: "thinking", thinking: part.text, signature: part.signature ?? "" };
    case "redacted":
      return { type: "redacted_thinking", data: part.data };
    case "call":
      return { type: "tool_use", id: part.id, name: part.name, input: toolInput(part.arguments), ...part.extra };
    case "other":
      return fromCommonBlock(part.block, fields, { up: undefined, key: "content" });
  }
}
