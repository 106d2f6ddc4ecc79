// What observers are told when a request is over: the hooks `completed` and `used`, plugins' functions `on_completion` and
// `on_usage`.

import type { JsonObject, LlmRequest } from "mortise";

import type { ClientApi } from "./types.ts";

/** One request that is over; names are those of the JSON that plugins see. */
export interface Completed {
  /** Names the run of the gateway that tells it, in 16 hexadecimal digits. */
  readonly gateway: string;
  /** Counts the requests of that run, from 1: a number that an observer was never told is a request that it does not know. */
  readonly number: number;
  readonly request_id: string;
  /** Name of the client; null where the gateway has no client keys. */
  readonly client: string | null;
  readonly api: ClientApi;
  /** Who answered, or was asked last; empty if nobody was. */
  readonly provider: string;
  readonly model: string;
  readonly stream: boolean;
  /** The request in the common form, as the client sent it. */
  readonly request: LlmRequest;
  /**
   * The answer in the common form, put together from the pieces that were sent; null if there was none. One that was too long
   * for that has no choices, and `truncated: true`.
   */
  readonly response: JsonObject | null;
  /** Why the answer is not there, or not whole. */
  readonly error: { readonly kind: string; readonly message: string; readonly code?: string; readonly status: number } | null;
  /** What all answers took together: {@link Tokens}, with what the answer says besides where there was but this one. */
  readonly usage: JsonObject | null;
  readonly attempts: number;
  readonly duration_ms: number;
}

/** Tokens that count, in the names of OpenAI's chat completions; what answers do not say beside the total is left out. */
export interface Tokens {
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  readonly total_tokens: number;
  /** An answer did not say what it took, as one that its client left: characters stand for its tokens, four for each. */
  readonly estimated?: true;
}

/** {@link Completed} without what was said: for plugins that count, which need neither the request nor the answer. */
export interface Used extends Omit<Completed, "gateway" | "number" | "request" | "response" | "usage"> {
  /** True if the model, or a plugin in its place, said something, whole or in part. */
  readonly answered: boolean;
  /** Of all answers of models together, also of those that plugins kept back; null if there was none. */
  readonly usage: Tokens | null;
}
