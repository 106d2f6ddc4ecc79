// Content of messages in OpenAI's responses and in the common form.

import type { JsonObject } from "mortise";

import { isDataUrl, readDataUrl } from "../common/data-url.ts";
import { type Fields, type Path, REQUEST, at, isAbsent } from "../common/fields.ts";
import { field } from "../common/omit-absent.ts";
import { withOthers } from "../common/other-fields.ts";
import { extraOf } from "../common/parts.ts";

/** Content of a message or of a tool's result. @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function readInputContent(value: unknown, path: Path): string | readonly JsonObject[] {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) throw REQUEST.mismatch(value, path, "text or a list of parts");
  return value.map((part, index) => readPart(part, at(path, index)));
}

function readPart(value: unknown, path: Path): JsonObject {
  const part = REQUEST.object(value, path);
  const { type, ...rest } = part;
  switch (REQUEST.name(type, at(path, "type"))) {
    case "input_text":
    case "output_text":
    case "text": {
      const { text, ...extra } = rest;
      return { type: "text", text: REQUEST.text(text, at(path, "text")), ...extraOf(extra).extra };
    }
    case "refusal":
      return { ...rest, type: "refusal", refusal: REQUEST.text(rest["refusal"], at(path, "refusal")) };
    case "input_image": {
      const { image_url: url, file_id: id, detail, ...extra } = rest;
      if (!isAbsent(id)) throw REQUEST.fault(at(path, "file_id"), "is not supported for images: give an image_url");
      const known = REQUEST.name(url, at(path, "image_url"));
      if (isDataUrl(known)) readDataUrl(known, REQUEST, at(path, "image_url"));
      const detailed = REQUEST.given(detail, at(path, "detail"), REQUEST.text);
      // The interface wants the field; "auto" is what its absence means elsewhere.
      const image = { url: known, ...(detailed === "auto" ? {} : field("detail", detailed)) };
      return withOthers({ type: "image_url", image_url: image }, extra, REQUEST, path);
    }
    case "input_file": {
      const { file_data: data, file_id: id, file_url: url, filename, ...extra } = rest;
      for (const name of ["file_data", "file_id", "file_url", "filename"]) REQUEST.given(rest[name], at(path, name), REQUEST.name);
      if (isAbsent(data) && isAbsent(id) && isAbsent(url)) throw REQUEST.fault(path, "must have file_data, file_url or file_id");
      const file = { ...field("file_data", data), ...field("file_id", id), ...field("file_url", url), ...field("filename", filename) };
      return withOthers({ type: "file", file }, extra, REQUEST, path);
    }
    case "input_audio": {
      const where = at(path, "input_audio");
      const audio = REQUEST.object(rest["input_audio"], where);
      REQUEST.name(audio["data"], at(where, "data"));
      REQUEST.name(audio["format"], at(where, "format"));
      return part;
    }
    default:
      throw REQUEST.fault(at(path, "type"), "must be input_text, input_image, input_file or input_audio, or output_text or refusal of a model");
  }
}

/** Content of what a user or a tool says. @throws the fault of `fields` */
export function writeInputContent(content: unknown, fields: Fields, path: Path): string | readonly JsonObject[] {
  if (typeof content === "string") return content;
  if (isAbsent(content)) return "";
  return fields.list(content, path).map((value, index) => writePart(fields.object(value, at(path, index)), fields, at(path, index)));
}

function writePart(part: JsonObject, fields: Fields, path: Path): JsonObject {
  const { type, ...rest } = part;
  if (type === "text") return { type: "input_text", ...rest };
  if (type === "image_url") {
    const { image_url: given, ...extra } = rest;
    const { url, detail } = fields.object(given, at(path, "image_url"));
    return { type: "input_image", image_url: url, detail: detail ?? "auto", ...extra };
  }
  if (type === "file") {
    const { file, ...extra } = rest;
    return { type: "input_file", ...fields.object(file, at(path, "file")), ...extra };
  }
  return part;
}
