// Blocks of what a user or a tool says, in Anthropic's form and in the common one.

import type { JsonObject } from "mortise";

import { isDataUrl, readDataUrl } from "../common/data-url.ts";
import { type Fields, type Path, at, isAbsent, isObject } from "../common/fields.ts";
import { field } from "../common/omit-absent.ts";
import { withOthers } from "../common/other-fields.ts";

/** A block of Anthropic's in the common form; what that does not have stays as it is. @throws the fault of `fields` */
export function toCommonBlock(value: unknown, fields: Fields, path: Path): JsonObject {
  const block = fields.object(value, path);
  const type = fields.name(block["type"], at(path, "type"));
  if (type === "text") fields.text(block["text"], at(path, "text"));
  if (type !== "image" && type !== "document") return block;
  const where = at(path, "source");
  const { source: given, type: _type, ...rest } = block;
  const source = fields.object(given, where);
  const made = (name: string, found: string, others: JsonObject): JsonObject => {
    const { type: _kind, ...more } = others;
    if (type === "image") return withOthers({ type: "image_url", image_url: withOthers({ url: found }, more, fields, where) }, rest, fields, path);
    const { title, ...beside } = rest;
    const file = withOthers({ [name]: found, ...field("filename", title) }, more, fields, where);
    return withOthers({ type: "file", file }, beside, fields, path);
  };
  const kind = fields.name(source["type"], at(where, "type"));
  if (kind === "base64") {
    const { media_type: mediaType, data, ...more } = source;
    const url = `data:${fields.name(mediaType, at(where, "media_type"))};base64,${fields.name(data, at(where, "data"))}`;
    readDataUrl(url, fields, at(where, "media_type"));
    return made("file_data", url, more);
  }
  if (kind === "url") {
    const { url, ...more } = source;
    return made("file_url", fields.name(url, at(where, "url")), more);
  }
  if (kind === "file" && type === "document") {
    const { file_id: id, ...more } = source;
    return made("file_id", fields.name(id, at(where, "file_id")), more);
  }
  return block;
}

/** Content that is text or blocks. */
export function toCommonContent(value: unknown, fields: Fields, path: Path): string | readonly JsonObject[] {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) throw fields.mismatch(value, path, "text or a list of blocks");
  return value.map((block, index) => toCommonBlock(block, fields, at(path, index)));
}

/** A part of the common form as a block of Anthropic's. @throws the fault of `fields` */
export function fromCommonBlock(part: JsonObject, fields: Fields, path: Path): JsonObject {
  const { type, ...rest } = part;
  if (type === "image_url") {
    const { image_url: image, ...extra } = rest;
    const url = fields.name(fields.object(image, at(path, "image_url"))["url"], at(at(path, "image_url"), "url"));
    return { type: "image", source: sourceOf(url, fields, at(at(path, "image_url"), "url")), ...extra };
  }
  if (type === "file") {
    const { file: given, ...extra } = rest;
    const where = at(path, "file");
    const { file_data: data, file_url: url, file_id: id, filename } = fields.object(given, where);
    return { type: "document", source: fileSource(data, url, id, fields, where), ...field("title", filename), ...extra };
  }
  if (type === "refusal") return { type: "text", text: fields.text(part["refusal"], at(path, "refusal")) };
  return part;
}

function sourceOf(url: string, fields: Fields, path: Path): JsonObject {
  if (!isDataUrl(url)) return { type: "url", url };
  const { mimeType, base64 } = readDataUrl(url, fields, path);
  return { type: "base64", media_type: mimeType, data: base64 };
}

function fileSource(data: unknown, url: unknown, id: unknown, fields: Fields, path: Path): JsonObject {
  if (!isAbsent(data)) {
    const text = fields.name(data, at(path, "file_data"));
    // OpenAI takes bare base64 here, which is a PDF then.
    return isDataUrl(text) ? sourceOf(text, fields, at(path, "file_data")) : { type: "base64", media_type: "application/pdf", data: text };
  }
  if (!isAbsent(url)) return { type: "url", url: fields.name(url, at(path, "file_url")) };
  return { type: "file", file_id: fields.name(id, at(path, "file_id")) };
}

/** Content of the common form as Anthropic has it. */
export function fromCommonContent(content: unknown, fields: Fields, path: Path): string | readonly JsonObject[] {
  if (typeof content === "string") return content;
  if (isAbsent(content)) return "";
  return fields.list(content, path).map((part, index) => fromCommonBlock(fields.object(part, at(path, index)), fields, at(path, index)));
}

/** The same as a list of blocks; empty text is no block. */
export function blocksOf(content: string | readonly JsonObject[]): readonly JsonObject[] {
  if (typeof content !== "string") return content;
  return content === "" ? [] : [{ type: "text", text: content }];
}

/** True for a block of a type. */
export function isBlock(value: unknown, type: string): value is JsonObject {
  return isObject(value) && value["type"] === type;
}
