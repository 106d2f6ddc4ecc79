// The interfaces of clients, embeddings among them, behind one face.

import type { JsonObject } from "mortise";

import type { ClientApi, Completion, Embeddings, Failure } from "./types.ts";
import type { ClientWire } from "./wires/client-wire.ts";
import { CLIENT_WIRES } from "./wires/client-wires.ts";
import { embeddingsBody, embeddingsError, embeddingsResponse, readEmbeddings, readEmbeddingsResponse } from "./wires/embeddings.ts";

/** Reads requests of one interface, and writes its answers; results are completions, or vectors. */
export interface Codec extends Pick<ClientWire, "read" | "body" | "stream" | "streamReader"> {
  response(result: JsonObject, request: Parameters<ClientWire["response"]>[1]): JsonObject;
  readResponse(body: JsonObject): JsonObject;
  error(failure: Failure, requestId: string): JsonObject;
}

const NO_STREAM = (): never => {
  throw new TypeError("embeddings have no streams"); // their requests are read as such that ask for none
};

const EMBEDDINGS: Codec = {
  read: readEmbeddings,
  body: embeddingsBody,
  response: (result, request) => embeddingsResponse(result as Embeddings, request),
  readResponse: readEmbeddingsResponse,
  error: embeddingsError,
  stream: NO_STREAM,
  streamReader: NO_STREAM,
};

function ofWire(wire: ClientWire): Codec {
  return { ...wire, response: (result, request) => wire.response(result as Completion, request) };
}

const CODECS: Readonly<Record<ClientApi, Codec>> = {
  chat: ofWire(CLIENT_WIRES.chat),
  responses: ofWire(CLIENT_WIRES.responses),
  messages: ofWire(CLIENT_WIRES.messages),
  embeddings: EMBEDDINGS,
};

/** The codec of an interface. */
export function codecOf(api: ClientApi): Codec {
  return CODECS[api];
}
