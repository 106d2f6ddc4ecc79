// What observers are told when a request is over: the hook `completed`, plugins' function `on_completion`.

import type { JsonObject, LlmRequest } from "mortise";

import type { ClientApi } from "./types.ts";

/** One request that is over; names are those of the JSON that plugins see. */
export interface Completed {
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
  /** The answer in the common form, put together from the pieces that were sent; null if there was none. */
  readonly response: JsonObject | null;
  /** Why the answer is not there, or not whole. */
  readonly error: { readonly kind: string; readonly message: string; readonly code?: string; readonly status: number } | null;
  readonly usage: JsonObject | null;
  readonly attempts: number;
  readonly duration_ms: number;
}
