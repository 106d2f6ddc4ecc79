// Lets a plugin of generation 3 build a request.

import { MortiseError, isMortiseError } from "../api/errors.ts";
import type { HttpRequest } from "../api/http.ts";
import { readRequestBox } from "./http-wire.ts";
import type { Operation } from "./operation.ts";
import type { ProviderGuest } from "./provider-guest.ts";

/** A plugin that is out of memory with an input of so great a part of it lacks room for the request, and has no defect. */
const LARGE_PART = 1 / 64;

/** The request that a function builds. @throws MortiseError MORTISE_INPUT_LIMIT for one that is too large for the plugin's memory, or as the call */
export async function buildRequest(guest: ProviderGuest, operation: Operation, fn: string, input: string | Uint8Array): Promise<HttpRequest> {
  const output = await guest.call(fn, input, operation).catch((error: unknown) => {
    throw isMortiseError(error) && error.code === "MORTISE_MEMORY_LIMIT" ? tooLarge(error, input.length) : error;
  });
  return readRequestBox(output.bytes(), guest.shape(fn));
}

function tooLarge(error: MortiseError, size: number): MortiseError {
  const { plugin, function: fn, limit } = error.details;
  if (typeof limit !== "number" || size < limit * LARGE_PART) return error;
  return new MortiseError("MORTISE_INPUT_LIMIT", { plugin, function: fn, size, limit }, error);
}
