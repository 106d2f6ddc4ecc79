// Lets a plugin of generation 3 build a request.

import type { HttpRequest } from "../api/http.ts";
import { readRequestBox } from "./http-wire.ts";
import type { Operation } from "./operation.ts";
import type { ProviderGuest } from "./provider-guest.ts";

/** The request that a function builds. */
export async function buildRequest(guest: ProviderGuest, operation: Operation, fn: string, input: string | Uint8Array): Promise<HttpRequest> {
  const output = await guest.call(fn, input, operation);
  return readRequestBox(output.bytes(), guest.shape(fn));
}
