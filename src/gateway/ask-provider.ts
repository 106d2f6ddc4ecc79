// Asks a provider: in the client's own interface, if the server behind it speaks that, else in the common form.

import { type ForwardResponse, type JsonObject, type LlmRequest, MortiseError, type Provider, isMortiseError } from "mortise";

import { EventStream, byteStream, endedEarly, saysWhyItStopped } from "./event-stream.ts";
import type { Given, PieceStream } from "./given.ts";
import type { Attempt } from "./policies/attempt.ts";
import { withModel } from "./request-body.ts";
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
  readonly provider: Provider;
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
  if (llm.input === own.input && llm.params === own.params && own.fallbacks === undefined) return withModel(asked.body, llm.model);
  try {
    return Buffer.from(JSON.stringify(turn.codec.body(llm, asked.request)));
  } catch (error) {
    if (isMortiseError(error) && error.code === "MORTISE_GATEWAY_REQUEST") return undefined;
    throw error;
  }
}

async function forward(question: Question, body: Uint8Array): Promise<Given> {
  const { turn, asked, provider, attempt, looks } = question;
  const { stream } = asked.request;
  const key = attempt.key?.value;
  const api = PASS_APIS[turn.api];
  let answer: ForwardResponse;
  try {
    answer = await provider.forward({ api, body, stream, ...(key !== undefined && { config: { api_key: key } }) }, boundsOf(question));
  } catch (error) {
    throw withApi(error, api);
  }
  turn.upstreamId = upstreamIdOf(answer.headers);
  try {
    checkType(answer.headers["content-type"], stream);
    if (!stream) return { kind: "whole", whole: { bytes: await answer.bytes() } };
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

/** An error that says in whose words the server refused. */
function withApi(error: unknown, api: string): unknown {
  if (!isMortiseError(error) || error.code !== "MORTISE_PROVIDER_ERROR") return error;
  const { response } = error.details;
  if (typeof response !== "object" || response === null) return error;
  return new MortiseError(error.code, { ...error.details, response: { ...response, api } }, error);
}

/** A page of a proxy in between must not look like an answer. */
function checkType(type: string | undefined, isStream: boolean): void {
  const wanted = isStream ? "text/event-stream" : "application/json";
  if (type !== undefined && type.toLowerCase().startsWith(wanted)) return;
  throw new MortiseError("MORTISE_GATEWAY_UPSTREAM", { what: "the content type", reason: `must be ${wanted}, but is ${type ?? "missing"}` });
}

/** Names of requests at OpenAI and Anthropic, where they can be sent on in a header. */
function upstreamIdOf(headers: Readonly<Record<string, string>>): string | undefined {
  const id = headers["x-request-id"] ?? headers["request-id"];
  return id !== undefined && /^[\w.:-]{1,128}$/.test(id) ? id : undefined;
}

async function chat(question: Question): Promise<Given> {
  const { turn, llm, provider, attempt } = question;
  const response = await provider.chat(withKey(toProviderRequest(llm), attempt), boundsOf(question));
  return { kind: "whole", whole: { result: fromProviderResponse(response, { ...turn.answerIds(), model: llm.model }) } };
}

function chatStream(question: Question): PieceStream {
  const { turn, llm, provider, attempt } = question;
  const chunks = provider.chatStream(withKey(toProviderRequest(llm), attempt), boundsOf(question));
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
    close: () => void chunks.return(),
  };
}

function withKey<R extends { readonly config?: Readonly<Record<string, unknown>> }>(request: R, { key }: Attempt): R {
  return key === undefined ? request : { ...request, config: { ...request.config, api_key: key.value } };
}

async function embed(question: Question): Promise<JsonObject> {
  const { llm, provider, attempt } = question;
  const dimensions = dimensionsOf(llm);
  const config = { model: llm.model, ...(dimensions !== undefined && { dimensions }) };
  const options = { ...boundsOf(question), ...withKey({ config }, attempt) };
  const { embeddings, usage } = await provider.embedWithUsage(embeddingTexts(llm), options);
  return embeddingsOf(embeddings, { model: llm.model, ...(usage && { usage }) });
}
