// What the interfaces of clients have in common: each reads requests, writes answers, streams and errors, and reads the
// answers of servers that speak it.

import type { JsonObject, LlmRequest } from "mortise";

import type { ClientApi, ClientRequest, Completion, CompletionChunk, Failure } from "../types.ts";

/** What an answer is known by. */
export interface AnswerIds {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
}

/** Writes one stream of an answer as text of server-sent events; "" where there is nothing to say. */
export interface StreamWriter {
  push(chunk: CompletionChunk): string;
  /** The end of an answer that is whole. */
  end(): string;
  /** The end of one that is not. */
  fail(failure: Failure): string;
}

/** Reads one stream of a server. */
export interface StreamReader {
  /** @throws MortiseError MORTISE_GATEWAY_UPSTREAM for what is no event of the wire, and for its error events */
  push(event: { readonly event?: string | undefined; readonly data: string }): readonly CompletionChunk[];
}

/** An interface that clients speak. */
export interface ClientWire {
  readonly api: ClientApi;
  /** Checks a request and puts it into the common form. @throws MortiseError MORTISE_GATEWAY_REQUEST */
  read(body: JsonObject): ClientRequest;
  /** The body for a server of this wire, where the common form was changed since `request` was read. @throws MortiseError MORTISE_GATEWAY_REQUEST */
  body(llm: LlmRequest, request: ClientRequest): JsonObject;
  /** @throws MortiseError MORTISE_GATEWAY_UPSTREAM for an answer that is none of the common form */
  response(completion: Completion, request: ClientRequest): JsonObject;
  stream(request: ClientRequest, ids: AnswerIds): StreamWriter;
  error(failure: Failure, requestId: string): JsonObject;
  /** An answer of a server that speaks this wire. @throws MortiseError MORTISE_GATEWAY_UPSTREAM */
  readResponse(body: JsonObject): Completion;
  streamReader(): StreamReader;
}
