// What a response without success means: what the plugin says, or else what its status says.

import type { HttpResponse } from "../api/http.ts";
import { bytesWithoutHidden } from "./hidden-key.ts";
import { parseRequest } from "./http-wire.ts";
import type { Operation } from "./operation.ts";
import { type ErrorPayload, readPayload } from "./payload.ts";
import { providerError } from "./provider-errors.ts";
import type { ProviderGuest } from "./provider-guest.ts";
import { isRecord } from "./shapes.ts";
import { chatStatusError } from "./status-errors.ts";

/** What responses are judged with. */
export interface ClassifyParts {
  readonly guest: ProviderGuest;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The error for a response; `fn` is the function that the request came from. */
export async function classify(parts: ClassifyParts, operation: Operation, response: HttpResponse, fn: string): Promise<Error> {
  const { guest, now } = parts;
  const { hidden } = operation;
  // Also before the plugin sees it, which may cut what it says, and leave a part of a secret.
  const said = guest.has("classify_chat_error")
    ? await ask(guest, operation, { ...response, body: bytesWithoutHidden(response.body, hidden) })
    : undefined;
  if (said !== undefined) return providerError({ plugin: guest.name, function: "classify_chat_error" }, said);
  return providerError({ plugin: guest.name, function: fn }, chatStatusError(response, { nowMs: now(), hidden }));
}

async function ask(guest: ProviderGuest, operation: Operation, response: HttpResponse): Promise<ErrorPayload | undefined> {
  try {
    const said = await guest.json("classify_chat_error", parseRequest(operation.cfg, response), operation);
    return isRecord(said) ? readPayload(said["payload"]) : undefined;
  } catch {
    // The response is an error either way, and its status is known.
    return undefined;
  }
}
