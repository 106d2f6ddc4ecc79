// HTTP messages as they cross: `{"req": …}` and `{"resp": …}` with head and body, the body an array of numbers.

import type { HttpRequest, HttpResponse } from "../api/http.ts";
import { JsonBytes, type ReadArray, readByteArray } from "./byte-arrays.ts";
import { type ShapeReader, isRecord, parseJson } from "./shapes.ts";

const VERSIONS: readonly unknown[] = ["HTTP/0.9", "HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0"];
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a request. Its URL, method and headers are judged when it is sent.
 *
 * @throws MortiseError MORTISE_PROVIDER_OUTPUT
 */
export function readRequestBox(json: Uint8Array, shape: ShapeReader): HttpRequest {
  const found = findBody(json);
  const request = shape.record(shape.record(parseParts(json, found), "the request")["req"], "req");
  const head = shape.record(request["head"], "req.head");
  if (!VERSIONS.includes(head["version"])) throw shape.fault("req.head.version", `one of ${VERSIONS.join(", ")}`);
  const headers = Object.entries(shape.record(head["headers"], "req.head.headers"));
  return {
    method: shape.text(head["method"], "req.head.method"),
    url: shape.text(head["uri"], "req.head.uri"),
    headers: Object.fromEntries(headers.map(([name, value]) => [name, headerOf(name, value, shape)])),
    body: bodyOf(request["body"], found, shape),
  };
}

/** The value of the text with the body as null, or of the text as it is. */
function parseParts(json: Uint8Array, found: FoundBody | undefined): unknown {
  try {
    if (found === undefined) return parseJson(strict.decode(json));
    return parseJson(`${strict.decode(json.subarray(0, found.start))}null${strict.decode(json.subarray(found.end))}`);
  } catch {
    return undefined;
  }
}

function bodyOf(value: unknown, found: FoundBody | undefined, shape: ShapeReader): Uint8Array | undefined {
  // Null is what was put there; if a second body follows, that one counts.
  if (value === null && found !== undefined) return found.bytes.length === 0 ? undefined : found.bytes;
  const numbers = shape.list(value, "req.body");
  if (!numbers.every((one) => typeof one === "number" && Number.isInteger(one) && one >= 0 && one <= 255))
    throw shape.fault("req.body", "a list of numbers from 0 to 255");
  return numbers.length === 0 ? undefined : Uint8Array.from(numbers as readonly number[]);
}

function headerOf(name: string, value: unknown, shape: ShapeReader): string {
  if (!Array.isArray(value)) return shape.text(value, `the header ${name}`);
  // RFC 9110, and RFC 6265 for cookies
  return value.map((one) => shape.text(one, `the header ${name}`)).join(name.toLowerCase() === "cookie" ? "; " : ", ");
}

interface FoundBody extends ReadArray {
  readonly start: number;
}

const BODY = new TextEncoder().encode('"body":[');
const REQ = new TextEncoder().encode('"req":');
const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d];

/** Finds `{"req":{"body":[…]}}`, spelt without white space; anything else is left to a JSON reader. */
function findBody(json: Uint8Array): FoundBody | undefined {
  let depth = 0;
  let inRequest = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === OPEN || byte === OPEN_LIST) depth++;
    else if (byte === CLOSE || byte === CLOSE_LIST) depth--;
    else if (byte === QUOTE) {
      if (depth === 1) inRequest = startsWith(json, at, REQ);
      if (depth === 2 && inRequest && startsWith(json, at, BODY)) {
        const start = at + BODY.length - 1;
        const read = readByteArray(json, start);
        return read === undefined ? undefined : { ...read, start };
      }
      for (at++; at < json.length && json[at] !== QUOTE; at++) if (json[at] === BACKSLASH) at++;
    }
  }
  return undefined;
}

function startsWith(json: Uint8Array, at: number, prefix: Uint8Array): boolean {
  return prefix.every((byte, index) => json[at + index] === byte);
}

/** Writes `{"resp": …}` for a response. */
export function writeResponseBox(json: JsonBytes, { status, headers, body }: HttpResponse): JsonBytes {
  const head = JSON.stringify({ status, headers, version: "HTTP/1.1" });
  return json.text(`{"resp":{"head":${head},"body":`).array(body).text("}}");
}

/** `{"resp": HttpResponse}`. */
export function responseBox(response: HttpResponse): Uint8Array<ArrayBuffer> {
  return writeResponseBox(new JsonBytes(), response).take();
}

/** `{"cfg": …, "resp": {"resp": HttpResponse}}`: `resp` twice, of the request and of the box. */
export function parseRequest(cfg: string, response: HttpResponse): Uint8Array<ArrayBuffer> {
  return writeResponseBox(new JsonBytes().text(`{"cfg":${cfg},"resp":`), response)
    .text("}")
    .take();
}

/** True for a status that means success. */
export function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

/** Bytes of an error's body that are looked at. */
export const MAX_ERROR_BYTES: number = 256 << 10;

/** The value at a path of an error's body that may be JSON; undefined for a body that is too long to be looked at. */
export function jsonAt(body: Uint8Array, ...path: readonly string[]): unknown {
  if (body.length > MAX_ERROR_BYTES) return undefined;
  let value = parseJson(new TextDecoder().decode(body));
  for (const name of path) value = isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return value;
}
