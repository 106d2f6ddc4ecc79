// Content of the common form as QueryMT's providers have it: what has bytes has them as bytes.

import type { Content, JsonObject } from "mortise";

import { decodeBase64, isDataUrl, readDataUrl } from "../common/data-url.ts";
import { type Path, REQUEST, at, isAbsent, isObject } from "../common/fields.ts";

const PDF = "application/pdf";
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Parts of a message; none for empty text. @throws MortiseError MORTISE_GATEWAY_REQUEST for what providers cannot be given */
export function providerContent(content: unknown, path: Path): Content[] {
  if (isAbsent(content) || content === "") return [];
  if (typeof content === "string") return [{ type: "text", text: content }];
  return REQUEST.list(content, path).flatMap((part, index) => contentOf(REQUEST.object(part, at(path, index)), at(path, index)));
}

function contentOf(part: JsonObject, path: Path): Content[] {
  const { type } = part;
  switch (type) {
    case "text": {
      const text = REQUEST.text(part["text"], at(path, "text"));
      return text === "" ? [] : [{ type, text }];
    }
    case "refusal":
      return [{ type: "text", text: REQUEST.text(part["refusal"], at(path, "refusal")) }];
    case "image_url":
      return [imageOf(REQUEST.object(part["image_url"], at(path, "image_url"))["url"], at(at(path, "image_url"), "url"))];
    case "input_audio":
      return [audioOf(part["input_audio"], at(path, "input_audio"))];
    case "file":
      return [fileOf(part["file"], at(path, "file"))];
    case "document":
      return documentOf(part["source"], at(path, "source"));
    default:
      throw REQUEST.fault(at(path, "type"), "is not supported by this provider");
  }
}

function imageOf(value: unknown, path: Path): Content {
  const url = REQUEST.name(value, path);
  if (!isDataUrl(url)) return { type: "image_url", url };
  const { mimeType, base64 } = readDataUrl(url, REQUEST, path);
  return { type: "image", mime_type: mimeType, data: decodeBase64(base64, REQUEST, path) };
}

function audioOf(value: unknown, path: Path): Content {
  const audio = REQUEST.object(value, path);
  const format = REQUEST.name(audio["format"], at(path, "format"));
  const base64 = REQUEST.name(audio["data"], at(path, "data"));
  return { type: "audio", mime_type: format === "mp3" ? "audio/mpeg" : `audio/${format}`, data: decodeBase64(base64, REQUEST, at(path, "data")) };
}

function fileOf(value: unknown, path: Path): Content {
  const { file_data: data, file_url: url, filename } = REQUEST.object(value, path);
  const name = typeof filename === "string" ? { name: filename } : {};
  if (!isAbsent(url)) return { type: "resource_link", uri: REQUEST.name(url, at(path, "file_url")), ...name };
  if (isAbsent(data)) throw REQUEST.fault(path, "must have file_data or file_url for this provider, which has no files that could be named by an id");
  const where = at(path, "file_data");
  const text = REQUEST.name(data, where);
  const { mimeType, base64 } = isDataUrl(text) ? readDataUrl(text, REQUEST, where) : { mimeType: PDF, base64: text };
  const bytes = decodeBase64(base64, REQUEST, where);
  if (mimeType === PDF) return { type: "pdf", data: bytes };
  if (mimeType.startsWith("image/")) return { type: "image", mime_type: mimeType, data: bytes };
  if (mimeType.startsWith("audio/")) return { type: "audio", mime_type: mimeType, data: bytes };
  if (mimeType.startsWith("text/")) return { type: "text", text: utf8Of(bytes, where) };
  throw REQUEST.fault(where, "is a file of a type that this provider cannot be given: it takes PDF, images, audio and text");
}

function utf8Of(bytes: Uint8Array, path: Path): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw REQUEST.fault(path, "is text that is not UTF-8");
  }
}

/** A document of Anthropic's that has no place in the common form: text, or blocks of it. */
function documentOf(value: unknown, path: Path): Content[] {
  const source = REQUEST.object(value, path);
  if (source["type"] === "text") return [{ type: "text", text: REQUEST.text(source["data"], at(path, "data")) }];
  if (source["type"] === "content") return providerContent(source["content"], at(path, "content"));
  throw REQUEST.fault(at(path, "type"), "is not supported by this provider");
}

/** Five minutes and an hour are what Anthropic has. */
const CACHE_SECONDS: Readonly<Record<string, number>> = { "5m": 300, "1h": 3600 };

/** Whether a message is to be cached: QueryMT marks messages, Anthropic blocks. */
export function cacheOf(message: JsonObject): { readonly cache?: { readonly ephemeral: { readonly ttl_seconds?: number } } } {
  const { content, cache_control: own } = message;
  const parts: readonly unknown[] = Array.isArray(content) ? content : [];
  const controls = [own, ...parts.map((part) => (isObject(part) ? part["cache_control"] : undefined))].filter(isObject);
  const control = controls.at(-1);
  if (control === undefined) return {};
  const { ttl } = control;
  const seconds = typeof ttl === "string" && Object.hasOwn(CACHE_SECONDS, ttl) ? CACHE_SECONDS[ttl] : undefined;
  return { cache: { ephemeral: seconds === undefined ? {} : { ttl_seconds: seconds } } };
}
