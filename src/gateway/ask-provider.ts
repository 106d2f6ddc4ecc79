// Asks a provider: in the client's own interface, if the server behind it speaks that, else in the common form.

import { type ChatRequest, type ForwardRequest, type ForwardResponse, type JsonObject, type LlmRequest, MortiseError, isMortiseError } from "mortise";

import { EventStream, byteStream, endedEarly, saysWhyItStopped } from "./event-stream.ts";
import type { Given, PieceStream } from "./given.ts";
import type { ModelProvider } from "./options.ts";
import type { Attempt } from "./policies/attempt.ts";
import type { KeyChoice } from "./policies/key-ring.ts";
import { headersFor } from "./pass-headers.ts";
import { withModel, withStreamUsage } from "./request-body.ts";
import type { Asked, Turn } from "./turn.ts";
import type { ClientApi, CompletionChunk } from "./types.ts";
import { chunkWriter, dimensionsOf, embeddingTexts, embeddingsOf, fromProviderResponse, toProviderRequest } from "./wires/index.ts";

/** What the client's interfaces are called by providers. */
const PASS_APIS = {
  chat: "openai.chat",
  responses: "openai.responses",
  embeddings: "openai.embeddings",
  messages: "anthropic.messages",
} as const satisfies Record<ClientApi, string>;

/** What is to be asked, and how. */
export interface Question {
  readonly turn: Turn;
  readonly asked: Asked;
  /** The request as plugins made it, routed. */
  readonly llm: LlmRequest;
  readonly provider: ModelProvider;
  readonly attempt: Attempt;
  /** Somebody looks at the answer in the common form. */
  readonly looks: boolean;
}

/** @throws MortiseError of the provider, or MORTISE_GATEWAY_UPSTREAM for an answer of the wrong type */
export async function askProvider(question: Question): Promise<Given> {
  const { turn, provider } = question;
  if (provider.passes(PASS_APIS[turn.api])) {
    const body = ownBody(question);
    if (body !== undefined) return forward(question, body);
  }
  if (turn.api === "embeddings") return { kind: "whole", whole: { result: await embed(question) } };
  return question.asked.request.stream ? { kind: "stream", stream: chatStream(question) } : chat(question);
}

/** The body in the client's interface: its own if nothing was changed; undefined if the change cannot be said there. */
function ownBody({ turn, asked, llm }: Question): Uint8Array | undefined {
  const { llm: own } = asked.request;
  const addsUsage = asked.addsUsage && turn.setup.asksUsage(llm.provider);
  if (llm.input === own.input && llm.params === own.params && own.fallbacks === undefined) return withModel(asked.body, llm.model, addsUsage);
  try {
    const body = turn.codec.body(llm, asked.request);
    return Buffer.from(JSON.stringify(addsUsage ? withStreamUsage(body) : body));
  } catch (error) {
    if (isMortiseError(error) && error.code === "MORTISE_GATEWAY_REQUEST") return undefined;
    throw error;
  }
}

async function forward(question: Question, body: Uint8Array): Promise<Given> {
  const { turn, asked, provider, looks } = question;
  const { stream } = asked.request;
  const key = question.attempt.key?.value;
  const api = PASS_APIS[turn.api];
  const request: ForwardRequest = { api, body, stream, ...(key !== undefined && { config: { api_key: key } }), ...headersFor(turn, asked, api) };
  const answer = await provider.forward(request, boundsOf(question));
  turn.upstreamId = upstreamIdOf(answer.headers);
  try {
    checkHead(answer, stream);
    if (!stream) return { kind: "whole", whole: { bytes: nonEmpty(await answer.bytes()) } };
  } catch (error) {
    answer.close();
    throw error;
  }
  const source = { body: answer.body, close: () => answer.close() };
  // OpenAI's chunks are the common form itself.
  const pieces = looks ? new EventStream(source, turn.codec.streamReader(), turn.api === "chat") : byteStream(source);
  return { kind: "stream", stream: pieces };
}

/** What ends a request to a provider. A stream's own end comes after that of the attempt. */
function boundsOf({ turn, asked, attempt }: Question): { readonly signal: AbortSignal; readonly timeoutMs: number } {
  const left = Math.max(1, turn.timeLeftMs);
  if (asked.request.stream) return { signal: attempt.signal, timeoutMs: left };
  return { signal: turn.exchange.signal, timeoutMs: Math.max(1, Math.min(left, attempt.timeoutMs)) };
}

/** A page of a proxy in between must not look like an answer, and neither must a response without one. */
function checkHead({ status, headers }: ForwardResponse, isStream: boolean): void {
  if (status < 200 || status > 299 || status === 204 || status === 205) throw unusable("the status", `is ${status}, which has no answer`);
  const { "content-type": type, "content-encoding": coding } = headers;
  const wanted = isStream ? "text/event-stream" : "application/json";
  if (type?.toLowerCase().startsWith(wanted) !== true) throw unusable("the content type", `must be ${wanted}, but is ${type ?? "missing"}`);
  // Nobody has asked for it, and plugins and clients would get bytes that they cannot read.
  if (coding !== undefined && coding.toLowerCase() !== "identity") throw unusable("the content encoding", `must be identity, but is ${coding}`);
}

function nonEmpty(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) throw unusable("the body", "is empty");
  return bytes;
}

function unusable(what: string, reason: string): MortiseError {
  return new MortiseError("MORTISE_GATEWAY_UPSTREAM", { what, reason });
}

/** Names of requests at OpenAI and Anthropic, where they can be sent on in a header. */
function upstreamIdOf(headers: Readonly<Record<string, string>>): string | undefined {
  const id = headers["x-request-id"] ?? headers["request-id"];
  return id !== undefined && /^[\w.:-]{1,128}$/.test(id) ? id : undefined;
}

async function chat(question: Question): Promise<Given> {
  const { turn, llm, provider } = question;
  const response = await provider.chat(chatRequest(question), boundsOf(question));
  return { kind: "whole", whole: { result: fromProviderResponse(response, { ...turn.answerIds(), model: llm.model }) } };
}

function chatStream(question: Question): PieceStream {
  const { turn, llm, provider } = question;
  const chunks = provider.chatStream(chatRequest(question), boundsOf(question));
  const writer = chunkWriter({ ...turn.answerIds(), model: llm.model });
  let hasStopped = false;
  return {
    async next() {
      for (;;) {
        const { done, value } = await chunks.next();
        if (done === true) {
          if (!hasStopped) throw endedEarly();
          return undefined;
        }
        const written: readonly CompletionChunk[] = writer(value);
        hasStopped ||= written.some(saysWhyItStopped);
        if (written.length > 0) return written.map((chunk) => ({ chunk }));
      }
    },
    close: () => void chunks.return().catch(() => {}),
  };
}

function withKey<R extends { readonly config?: Readonly<Record<string, unknown>> }>(request: R, key: KeyChoice | undefined): R {
  return key === undefined ? request : { ...request, config: { ...request.config, api_key: key.value } };
}

/** @throws MortiseError MORTISE_GATEWAY_REQUEST for what the provider cannot be told, and what would otherwise just be left out */
function chatRequest({ llm, provider, attempt: { key } }: Question): ChatRequest {
  const request = withKey(toProviderRequest(llm), key);
  const { json_schema: schema, response_format: format } = request.config ?? {};
  const isTaken = provider.takes?.("json_schema") !== false || provider.takes("response_format");
  if ((schema ?? format) !== undefined && !isTaken) throw notSupported("response_format", "is not supported by this provider");
  return request;
}

function notSupported(param: string, reason: string): MortiseError {
  return new MortiseError("MORTISE_GATEWAY_REQUEST", { what: param, param, reason });
}

async function embed(question: Question): Promise<JsonObject> {
  const { llm, provider, attempt } = question;
  const dimensions = dimensionsOf(llm);
  const config = { model: llm.model, ...(dimensions !== undefined && { dimensions }) };
  const options = { ...boundsOf(question), ...withKey({ config }, attempt.key) };
  const texts = embeddingTexts(llm);
  const { embeddings, usage } = await provider.embedWithUsage(texts, options);
  if (embeddings.length !== texts.length) throw unusable("the embeddings", `are ${embeddings.length}, for ${texts.length} texts`);
  const other = dimensions === undefined ? undefined : embeddings.find(({ length }) => length !== dimensions);
  if (other !== undefined) throw notSupported("dimensions", `must be ${other.length}, which is what this provider's vectors have, or absent`);
  return embeddingsOf(embeddings, { model: llm.model, ...(usage && { usage }) });
}
