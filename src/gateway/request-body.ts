// The body of a client's request: read once, checked to mean one thing only, and sent on with another model if need be.

import { isUtf8 } from "node:buffer";

import { type JsonObject, MortiseError } from "mortise";

import { MAX_DEPTH } from "./wires/common/is-deeper.ts";

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const MODEL = Buffer.from('"model"');
const STREAM_OPTIONS = "stream_options";
/** The first member of a body that has others: a request without a model or messages is refused before. */
const ASKS_USAGE = Buffer.from('"stream_options":{"include_usage":true},');

/** A body, and where it names the model. */
export interface RequestBody {
  readonly bytes: Uint8Array;
  readonly json: JsonObject;
  /** Where the value of the outermost `model` stands; undefined if its name is written with escapes. */
  readonly model: { readonly from: number; readonly to: number } | undefined;
}

/**
 * Reads a body. One that names a key twice is refused: plugins would look at one of the two, and a model server might go by
 * the other.
 *
 * @throws MortiseError MORTISE_GATEWAY_REQUEST
 */
export function readBody(bytes: Uint8Array): RequestBody {
  if (!isUtf8(bytes)) throw bad("is not UTF-8");
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw bad(`is not JSON: ${(error as Error).message}`);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw bad("is not a JSON object");
  const { colons, model } = scan(bytes);
  if (countMembers(json, 1) !== colons) throw bad("has an object with the same key twice");
  return { bytes, json: json as JsonObject, model };
}

function bad(reason: string): MortiseError {
  return new MortiseError("MORTISE_GATEWAY_REQUEST", { what: "the body", reason });
}

/** Members of all objects. */
function countMembers(value: object, depth: number): number {
  if (depth > MAX_DEPTH) throw bad(`is nested deeper than ${MAX_DEPTH} levels`);
  let members = 0;
  if (Array.isArray(value)) {
    for (const item of value as readonly unknown[]) if (typeof item === "object" && item !== null) members += countMembers(item, depth + 1);
    return members;
  }
  for (const key of Object.keys(value)) {
    if (key === "__proto__") throw bad('has an object with the key "__proto__"');
    const item = (value as Record<string, unknown>)[key];
    members++;
    if (typeof item === "object" && item !== null) members += countMembers(item, depth + 1);
  }
  return members;
}

/** Colons outside of texts, one for each member that is written, and where the model's name stands. The text is JSON. */
function scan(json: Uint8Array): { readonly colons: number; readonly model: RequestBody["model"] } {
  let colons = 0;
  let depth = 0;
  let model: RequestBody["model"];
  let isModelNext = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) {
      const end = endOfText(json, at + 1);
      if (isModelNext) {
        model = { from: at, to: end + 1 };
        isModelNext = false;
      } else if (depth === 1 && model === undefined && isModelKey(json, at, end)) isModelNext = isKey(json, end);
      at = end;
    } else if (byte === COLON) colons++;
    else if (byte === OPEN || byte === OPEN_ARRAY) depth++;
    else if (byte === CLOSE || byte === CLOSE_ARRAY) depth--;
  }
  return { colons, model };
}

function isModelKey(json: Uint8Array, from: number, end: number): boolean {
  return end + 1 - from === MODEL.length && MODEL.compare(json, from, end + 1) === 0;
}

/** True if the text that ends there is a key, not a value. */
function isKey(json: Uint8Array, end: number): boolean {
  let at = end + 1;
  while (json[at] === 0x20 || json[at] === 0x0a || json[at] === 0x0d || json[at] === 0x09) at++;
  return json[at] === COLON;
}

/** Where the quote stands that ends a text: one before which there is an even number of backslashes. */
function endOfText(json: Uint8Array, from: number): number {
  for (let end = json.indexOf(QUOTE, from); ; end = json.indexOf(QUOTE, end + 1)) {
    if (json[end - 1] !== BACKSLASH) return end;
    let first = end;
    while (json[first - 1] === BACKSLASH) first--;
    if ((end - first) % 2 === 0) return end;
  }
}

/** The body with another model, and everything else as the client wrote it, but for a usage that is asked for besides. */
export function withModel({ bytes, json, model }: RequestBody, name: string, addsUsage: boolean = false): Uint8Array {
  const isSame = json["model"] === name;
  if (isSame && !addsUsage) return bytes;
  if ((!isSame && model === undefined) || (addsUsage && Object.hasOwn(json, STREAM_OPTIONS))) {
    const named = { ...json, model: name };
    return Buffer.from(JSON.stringify(addsUsage ? withStreamUsage(named) : named));
  }
  const parts: Uint8Array[] = [];
  let from = 0;
  if (addsUsage) {
    from = bytes.indexOf(OPEN) + 1;
    parts.push(bytes.subarray(0, from), ASKS_USAGE);
  }
  if (!isSame && model !== undefined) {
    parts.push(bytes.subarray(from, model.from), Buffer.from(JSON.stringify(name)));
    from = model.to;
  }
  return Buffer.concat([...parts, bytes.subarray(from)]);
}

/** A body of a chat completion that asks for the usage at the end of its stream. */
export function withStreamUsage(body: JsonObject): JsonObject {
  return { ...body, [STREAM_OPTIONS]: { ...(body[STREAM_OPTIONS] as JsonObject | null | undefined), include_usage: true } };
}
