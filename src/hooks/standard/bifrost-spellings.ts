// Requests and responses of models have three spellings in Bifrost's plugins: flat, `chat_request`, and Go's `ChatRequest`.
// All are sent, and whichever a plugin changed is read.

import { isJsonObject, sameJson } from "../guest-json.ts";
import { type GuestAnswer, toJson } from "../wire.ts";
import type { JsonObject, LlmRequest } from "./bifrost-types.ts";

/** Which spellings plugins are sent: all, or one, to save bytes. */
export type Spelling = "all" | "flat" | "snake" | "go";

/** The names that a kind of request has in the two spellings with envelopes. */
interface VariantNames {
  readonly snake: string;
  readonly go: string;
}

const VARIANTS: readonly (readonly [type: string, names: VariantNames])[] = [
  ["chat_completion", { snake: "chat", go: "Chat" }],
  ["text_completion", { snake: "text_completion", go: "TextCompletion" }],
  ["responses", { snake: "responses", go: "Responses" }],
  ["embedding", { snake: "embedding", go: "Embedding" }],
];

const FIELDS = ["provider", "model", "input", "params", "fallbacks"] as const;

function variantOf({ request_type: type = "chat_completion" }: LlmRequest): VariantNames | undefined {
  return VARIANTS.find(([beginning]) => type.startsWith(beginning))?.[1];
}

/** A request in the spellings that are wanted. What is not there is left out. */
export function llmRequestJson(request: LlmRequest, spelling: Spelling): string {
  const { request_type: type = "chat_completion" } = request;
  let fields = "";
  for (const name of FIELDS) {
    const value = request[name];
    if (value !== undefined) fields += `${fields === "" ? "" : ","}"${name}":${toJson(value)}`;
  }
  const variant = variantOf(request);
  const wants = (one: Spelling): boolean => spelling === "all" || spelling === one;
  const parts: string[] = [];
  // A request without an envelope of its own has the flat spelling alone.
  if (wants("flat") || variant === undefined) parts.push(fields);
  if (wants("flat") || wants("snake") || variant === undefined) parts.push(`"request_type":${toJson(type)}`);
  if (variant !== undefined && wants("snake")) parts.push(`"${variant.snake}_request":{${fields}}`);
  if (variant !== undefined && wants("go")) parts.push(`"RequestType":${toJson(type)},"${variant.go}Request":{${fields}}`);
  return `{${parts.join(",")}}`;
}

/** The request as a plugin made it: of Go's spelling, the envelope and the flat one, the first that differs; `given` if none does. */
export function readLlmRequest(changed: JsonObject, given: LlmRequest, answer: GuestAnswer<unknown>): LlmRequest {
  const variant = variantOf(given);
  const candidates = [variant && changed[`${variant.go}Request`], variant && changed[`${variant.snake}_request`], changed];
  for (const candidate of candidates) {
    if (candidate === undefined || candidate === null) continue;
    if (!isJsonObject(candidate)) throw answer.fault("has a request that is not an object");
    const differing = FIELDS.filter((name) => (candidate[name] ?? null) !== null && !sameJson(candidate[name], given[name]));
    if (differing.length === 0) continue;
    const result = { ...given, ...Object.fromEntries(differing.map((name) => [name, candidate[name]])) };
    if (typeof result.provider !== "string" || typeof result.model !== "string")
      throw answer.fault("has a request whose provider or model is not text");
    return result;
  }
  return given;
}

/** A response in the spellings that are wanted. */
export function llmResponseJson(response: JsonObject, request: LlmRequest, spelling: Spelling): string {
  const variant = variantOf(request);
  const json = toJson(response);
  if (variant === undefined || spelling === "flat") return json;
  const parts: string[] = [];
  if (spelling !== "go") parts.push(`"${variant.snake}_response":${json}`);
  if (spelling !== "snake") parts.push(`"${variant.go}Response":${json}`);
  return `{${parts.join(",")}}`;
}

/** Names of envelopes around responses, in either spelling. */
const ENVELOPE = /^(?:[a-z_]+_response|[A-Z][A-Za-z]*Response)$/;

/**
 * The response as a plugin gives it, out of whichever envelope it is in. Of several the first that differs from `given`
 * is taken; undefined if there is none.
 */
export function readLlmResponse(response: JsonObject, given: JsonObject | undefined, answer: GuestAnswer<unknown>): JsonObject | undefined {
  const envelopes = Object.keys(response).filter((name) => ENVELOPE.test(name));
  if (envelopes.length === 0) return response;
  const found = envelopes.toSorted(goFirst).flatMap((name) => {
    const value = response[name] ?? undefined;
    if (value === undefined) return [];
    if (!isJsonObject(value)) throw answer.fault(`has a "${name}" that is not an object`);
    return Object.keys(value).length === 0 ? [] : [value];
  });
  return found.find((value) => !sameJson(value, given)) ?? found[0];
}

function goFirst(a: string, b: string): number {
  return Number(/^[a-z]/.test(a)) - Number(/^[a-z]/.test(b));
}
