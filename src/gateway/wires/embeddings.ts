// OpenAI's embeddings.

import type { JsonObject, LlmRequest, Usage } from "mortise";

import type { ClientRequest, Embeddings, Failure } from "../types.ts";
import { clientRequest } from "./common/client-request.ts";
import { ANSWER, REQUEST, at, isAbsent } from "./common/fields.ts";
import { openaiError } from "./common/wire-errors.ts";

/** Texts of one request that OpenAI takes. */
const MAX_INPUTS = 2048;

/** The input is always a list of texts in the common form. @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function readEmbeddings(body: JsonObject): ClientRequest {
  const { model: _model, input, fallbacks: _fallbacks, ...params } = body;
  const path = at(undefined, "input");
  REQUEST.given(params["dimensions"], at(undefined, "dimensions"), REQUEST.positive);
  REQUEST.given(params["encoding_format"], at(undefined, "encoding_format"), (value, where) => REQUEST.oneOf(value, where, ["float", "base64"]));
  REQUEST.given(params["user"], at(undefined, "user"), REQUEST.text);
  const texts = typeof input === "string" ? [input] : input;
  if (!Array.isArray(texts)) throw REQUEST.mismatch(input, path, "text or a list of texts");
  if (texts.length === 0 || texts.length > MAX_INPUTS) throw REQUEST.fault(path, `must have 1 to ${MAX_INPUTS} texts, but has ${texts.length}`);
  for (const [index, one] of texts.entries()) {
    if (typeof one === "number" || Array.isArray(one))
      throw REQUEST.fault(at(path, index), "must be text: numbers of tokens are not supported, as they differ between models");
    REQUEST.name(one, at(path, index));
  }
  return { ...clientRequest(body, { api: "embeddings", input: texts, params, streamUsage: false }), stream: false };
}

/** The texts of a request, which a hook may have changed. @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function embeddingTexts({ input }: LlmRequest): readonly string[] {
  return REQUEST.texts(input, at(undefined, "input"));
}

/** The body for a server of this wire, where the common form was changed. @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function embeddingsBody(llm: LlmRequest): JsonObject {
  return { ...REQUEST.object(llm.params ?? {}, at(undefined, "params")), model: llm.model, input: embeddingTexts(llm) };
}

/** What is known of vectors. */
export interface EmbeddingsOrigin {
  readonly model: string;
  /** @default zeros */
  readonly usage?: Pick<Usage, "input_tokens"> | undefined;
}

/** The common form of vectors: as numbers. */
export function embeddingsOf(vectors: readonly (readonly number[])[], { model, usage }: EmbeddingsOrigin): Embeddings {
  const tokens = usage?.input_tokens ?? 0;
  const data = vectors.map((embedding, index) => ({ object: "embedding", index, embedding }));
  return { object: "list", data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

/** The answer in the encoding that the client asked for: numbers, or base64 of 32-bit floats, little-endian. */
export function embeddingsResponse(embeddings: Embeddings, { body }: ClientRequest): JsonObject {
  if (body["encoding_format"] !== "base64") return embeddings;
  const data = embeddings.data.map((one) =>
    Array.isArray(one["embedding"]) ? { ...one, embedding: toBase64(one["embedding"] as readonly number[]) } : one,
  );
  return { ...embeddings, data };
}

function toBase64(numbers: readonly number[]): string {
  const bytes = Buffer.alloc(numbers.length * 4);
  for (let index = 0; index < numbers.length; index++) bytes.writeFloatLE(numbers[index] as number, index * 4);
  return bytes.toString("base64");
}

/** An answer of a server of this wire; vectors stay in their encoding. @throws MortiseError MORTISE_GATEWAY_UPSTREAM */
export function readEmbeddingsResponse(body: JsonObject): Embeddings {
  const path = at(undefined, "data");
  for (const [index, value] of ANSWER.list(body["data"], path).entries()) {
    const { embedding } = ANSWER.object(value, at(path, index));
    if (typeof embedding !== "string" && !Array.isArray(embedding))
      throw ANSWER.mismatch(embedding, at(at(path, index), "embedding"), "numbers or base64");
  }
  // Servers that count nothing leave the usage out, which clients rely on.
  return (body["usage"] === undefined ? { ...body, usage: { prompt_tokens: 0, total_tokens: 0 } } : body) as Embeddings;
}

/** Errors are those of OpenAI's other interfaces. */
export const embeddingsError: (failure: Failure) => JsonObject = openaiError;

/** True if the client wants a number of dimensions. */
export function dimensionsOf({ params }: LlmRequest): number | undefined {
  const wanted = REQUEST.given(params, at(undefined, "params"), REQUEST.object)?.["dimensions"];
  return isAbsent(wanted) ? undefined : REQUEST.positive(wanted, at(undefined, "dimensions"));
}
