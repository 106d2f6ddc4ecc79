// The wires of a gateway's HTTP hooks, as Bifrost's plugins speak them: http_pre_hook, http_post_hook, http_stream_chunk_hook.

import type { BracketEnd } from "../bracket-wire.ts";
import { CONTINUE, type Decision, withAttributes } from "../decision.ts";
import { MAX_REASON } from "../generic-wire.ts";
import { isJsonObject, readGuestJson, sameJson } from "../guest-json.ts";
import { type GuestAnswer, type Wire, toJson } from "../wire.ts";
import { contextChanges, contextJson, errorText, flag, present, readEnvelope, refuseError } from "./bifrost-context.ts";
import type { HttpRequest, HttpResponse, StreamChunk } from "./bifrost-types.ts";

type Json = Readonly<Record<string, unknown>>;

/** Fields of answers. */
const PRE_FIELDS: readonly string[] = ["context", "request", "response", "has_response", "error"];
const POST_FIELDS: readonly string[] = ["context", "request", "response", "error"];
const CHUNK_FIELDS: readonly string[] = ["context", "request", "chunk", "has_chunk", "skip", "error"];

/** `http_pre_hook`: the request as it is, another one, or a response in its place. */
export const HTTP_PRE_WIRE: Wire<HttpRequest, HttpResponse> = {
  encode: (request) => ['{"context":', `,"request":${requestJson(request)}}`],
  context: contextJson,
  unchanged: ["null", "{}"],
  decode(answer): Decision<HttpRequest, HttpResponse> {
    const envelope = readEnvelope(answer, PRE_FIELDS);
    refuseError(envelope["error"], "error", answer);
    const attributes = contextChanges(envelope["context"], answer);
    const response = present(envelope["response"], "response", answer);
    const has = flag(envelope["has_response"], "has_response", answer) ?? response !== undefined;
    if (has) {
      if (response === undefined) throw answer.fault('has "has_response", but no response');
      return withAttributes({ action: "answer", value: readResponse(response, answer) }, attributes);
    }
    // A response without a status is how some languages write none.
    if ((response?.["status_code"] ?? 0) !== 0) throw answer.fault('has a response, but "has_response" is false');
    const changed = readRequest(present(envelope["request"], "request", answer), answer.given, answer);
    if (changed === answer.given) return withAttributes(CONTINUE, attributes);
    return withAttributes({ action: "replace", value: changed }, attributes);
  },
};

/** `http_post_hook`: is shown the response, and cannot change it. */
export const HTTP_POST_WIRE: Wire<BracketEnd<HttpRequest, HttpResponse>, HttpResponse> = {
  encode: ({ input, ending }) => ['{"context":', `,"request":${requestJson(input)},"response":${ending.ok ? responseJson(ending.output) : "null"}}`],
  context: contextJson,
  unchanged: ["null", "{}"],
  decode(answer): Decision<BracketEnd<HttpRequest, HttpResponse>, HttpResponse> {
    const envelope = readEnvelope(answer, POST_FIELDS);
    refuseError(envelope["error"], "error", answer);
    return withAttributes(CONTINUE, contextChanges(envelope["context"], answer));
  },
};

/** `http_stream_chunk_hook`: the chunk as it is, another one, or null for none. */
export const STREAM_CHUNK_WIRE: Wire<StreamChunk, null> = {
  encode: ({ request, chunk }) => ['{"context":', `,"request":${requestJson(request)},"chunk":${toJson(chunk)}}`],
  context: contextJson,
  unchanged: ["null", "{}"],
  decode(answer): Decision<StreamChunk, null> {
    const envelope = readEnvelope(answer, CHUNK_FIELDS);
    const error = errorText(envelope["error"], "error", answer);
    const chunk = readChunk(envelope["chunk"], answer);
    const has = flag(envelope["has_chunk"], "has_chunk", answer);
    const skips = flag(envelope["skip"], "skip", answer) ?? false;
    const attributes = contextChanges(envelope["context"], answer);
    if (error !== "") {
      // With a chunk it is a warning, which the hook's policy deals with; without one, the stream ends with it.
      if (chunk !== undefined) throw answer.failure(error);
      return withAttributes({ action: "reject", reason: error.slice(0, MAX_REASON) }, attributes);
    }
    if (skips && chunk === undefined && has !== true) return withAttributes({ action: "answer", value: null }, attributes);
    if (skips) throw answer.fault('has both "skip" and a chunk');
    if (has === true && chunk === undefined) throw answer.fault('has "has_chunk", but no chunk');
    // Of native plugins, no chunk means to drop it: one that says so, and not how, is not understood as "unchanged".
    if (has === false || (chunk === undefined && Object.hasOwn(envelope, "chunk"))) throw answer.fault('has neither a chunk nor "skip"');
    if (chunk === undefined || sameJson(chunk, answer.given.chunk)) return withAttributes(CONTINUE, attributes);
    return withAttributes({ action: "replace", value: { ...answer.given, chunk } }, attributes);
  },
};

/** A chunk: an object, or its JSON in base64, as one of Bifrost's samples has it. */
function readChunk(value: unknown, answer: GuestAnswer<StreamChunk>): Json | undefined {
  if (typeof value !== "string") return present(value, "chunk", answer);
  const json = readBase64(value, "chunk", answer);
  const { value: chunk } = readGuestJson(json, json.length, (reason) => answer.fault(`has a chunk whose text ${reason}`));
  if (!isJsonObject(chunk)) throw answer.fault('has a "chunk" that is not an object');
  return chunk;
}

// ---- requests and responses in JSON

function requestJson({ method, path, headers, query, body, path_params: params }: HttpRequest): string {
  const named = params === undefined ? "" : `,"path_params":${toJson(params)}`;
  return `{"method":${toJson(method)},"path":${toJson(path)},"headers":${toJson(headers)},"query":${toJson(query)},"body":${bodyJson(body)}${named}}`;
}

function responseJson({ status_code: status, headers, body }: HttpResponse): string {
  return `{"status_code":${toJson(status)},"headers":${toJson(headers)},"body":${bodyJson(body)}}`;
}

/** Base64 needs no escapes. */
function bodyJson(body: Uint8Array | null): string {
  return body === null ? "null" : `"${Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("base64")}"`;
}

/** The request as a plugin made it: what it leaves out or gives as null stays, and headers and query keys are set, never removed. */
function readRequest(changed: Json | undefined, given: HttpRequest, answer: GuestAnswer<unknown>): HttpRequest {
  if (changed === undefined) return given;
  const method = readText(changed["method"], "method", /^[\w!#$%&'*+.^`|~-]+$/, answer) ?? given.method;
  const path = readText(changed["path"], "path", /^[^\s\u0000-\u001f\u007f]*$/, answer) ?? given.path; // oxlint-disable-line no-control-regex -- they are what is refused
  const headers = merged(given.headers, readMap(changed["headers"], "headers", true, answer), true);
  const query = merged(given.query, readMap(changed["query"], "query", false, answer), false);
  const body = readBody(changed["body"], answer);
  const sameBody = body === undefined || sameBytes(body, given.body);
  if (method === given.method && path === given.path && headers === given.headers && query === given.query && sameBody) return given;
  return { ...given, method, path, headers, query, body: sameBody ? given.body : body };
}

function readResponse(response: Json, answer: GuestAnswer<unknown>): HttpResponse {
  const status = response["status_code"];
  if (!(typeof status === "number" && Number.isInteger(status) && status >= 200 && status <= 599))
    throw answer.fault("has a response whose status_code is not a number from 200 to 599");
  return {
    status_code: status,
    headers: readMap(response["headers"], "headers", true, answer) ?? {},
    body: readBody(response["body"], answer) ?? null,
  };
}

function readText(value: unknown, name: string, form: RegExp, answer: GuestAnswer<unknown>): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string" || !form.test(value)) throw answer.fault(`has a "${name}" that is none`);
  return value;
}

const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const HEADER_VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/** Texts by name. Headers must be such as can be sent: a line break would make two of one. */
function readMap(value: unknown, name: string, areHeaders: boolean, answer: GuestAnswer<unknown>): Readonly<Record<string, string>> | undefined {
  const map = present(value, name, answer);
  if (map === undefined) return undefined;
  for (const [key, text] of Object.entries(map)) {
    if (typeof text !== "string") throw answer.fault(`has a "${name}" whose values are not all text`);
    if (areHeaders && !(HEADER_NAME.test(key) && HEADER_VALUE.test(text))) throw answer.fault("has a header that cannot be sent");
  }
  return map as Readonly<Record<string, string>>;
}

/** Entries set over others; `given` itself if nothing changes. Header names are the same in any case. */
function merged(given: Readonly<Record<string, string>>, changes: Readonly<Record<string, string>> | undefined, areHeaders: boolean): typeof given {
  if (changes === undefined) return given;
  const own = areHeaders ? new Map(Object.keys(given).map((name) => [name.toLowerCase(), name])) : undefined;
  const result: Record<string, string> = { ...given };
  let differs = false;
  for (const [name, value] of Object.entries(changes)) {
    const key = own?.get(name.toLowerCase()) ?? name;
    if (Object.hasOwn(given, key) && given[key] === value) continue;
    result[key] = value;
    differs = true;
  }
  return differs ? result : given;
}

function readBody(value: unknown, answer: GuestAnswer<unknown>): Uint8Array | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw answer.fault('has a "body" that is not base64');
  return readBase64(value, "body", answer);
}

function readBase64(text: string, name: string, answer: GuestAnswer<unknown>): Uint8Array {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw answer.fault(`has a "${name}" that is not base64`);
  return Uint8Array.from(Buffer.from(text, "base64"));
}

function sameBytes(a: Uint8Array, b: Uint8Array | null): boolean {
  return b !== null && Buffer.compare(a, b) === 0;
}
