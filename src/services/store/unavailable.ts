// The error for a store that cannot do its work.

import { MortiseError } from "../../api/errors.ts";

/** @param reason what is wrong, as the end of a sentence */
export function unavailable(store: string, reason: string, cause?: unknown): MortiseError {
  return new MortiseError("MORTISE_STORE_UNAVAILABLE", { store, reason }, cause);
}

/** The error for a store that was closed. */
export function closedStore(store: string): MortiseError {
  return unavailable(store, "it is closed");
}
