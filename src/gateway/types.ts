// What the parts of the gateway hand to each other. The common form of requests and answers is OpenAI's chat completions.

import type { JsonObject, LlmRequest } from "mortise";

/** Interfaces that clients speak. */
export const CLIENT_APIS = ["chat", "responses", "messages", "embeddings"] as const;
/** One of {@link CLIENT_APIS}: OpenAI's chat completions, responses and embeddings, and Anthropic's messages. */
export type ClientApi = (typeof CLIENT_APIS)[number];

/** A request of a client, read and checked. */
export interface ClientRequest {
  readonly api: ClientApi;
  /** In the common form; `provider` is empty until it is routed, `model` is as the client named it. */
  readonly llm: LlmRequest;
  readonly stream: boolean;
  /** The client asked for a last chunk with the usage. */
  readonly streamUsage: boolean;
  /** The body as the client sent it. */
  readonly body: JsonObject;
}

/** A whole answer of a model: OpenAI's object `chat.completion`. */
export interface Completion extends JsonObject {
  readonly id: string;
  readonly object: "chat.completion";
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly JsonObject[];
  readonly usage?: JsonObject;
}

/** A piece of an answer: OpenAI's object `chat.completion.chunk`. */
export interface CompletionChunk extends JsonObject {
  readonly id: string;
  readonly object: "chat.completion.chunk";
  readonly created: number;
  readonly model: string;
  readonly choices: readonly JsonObject[];
  readonly usage?: JsonObject | null;
}

/** Vectors: OpenAI's object `list` of `embedding`. */
export interface Embeddings extends JsonObject {
  readonly object: "list";
  readonly data: readonly JsonObject[];
  readonly model: string;
  readonly usage: JsonObject;
}

/** What kind of failure a client is told of; each wire has its own words for it. */
export type FailureKind =
  | "invalid_request"
  | "authentication"
  | "permission"
  | "not_found"
  | "too_large"
  | "rate_limited"
  | "quota"
  | "blocked"
  | "cancelled"
  | "timeout"
  | "overloaded"
  | "upstream"
  | "internal";

/** Why a request got no answer. */
export interface Failure {
  readonly kind: FailureKind;
  /** Status of HTTP, 400 to 599. */
  readonly status: number;
  /** For a reader: no stack, no secret, no control characters. */
  readonly message: string;
  /** Code of Mortise, of the provider, or of the plugin that refused. */
  readonly code?: string;
  /** The field of the request that is wrong. */
  readonly param?: string;
  readonly retryAfterMs?: number;
  /** The same provider may be asked again. */
  readonly retryable: boolean;
  /** Another provider may be asked. */
  readonly allowFallbacks: boolean;
  readonly provider?: string;
  /** What a model server said, for clients that speak its interface. */
  readonly upstream?: { readonly api: ClientApi; readonly status: number; readonly body: Uint8Array };
}
