// HTTP for guests over a function like `fetch`.

import { invalidOption } from "../../api/limits.ts";
import { fetchTransport } from "./fetch-transport.ts";
import { GuardedHttp } from "./guarded-http.ts";
import { type FetchServiceOptions, resolveHttpLimits } from "./options.ts";

/**
 * Makes a service whose requests a given function carries. Allow-list, redirects and limits are the same, but the
 * addresses behind names are not checked: that is what the function connects to.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function createFetchService(options: FetchServiceOptions): GuardedHttp {
  const limits = resolveHttpLimits(options, ["fetch"]);
  const { fetch } = options;
  if (typeof fetch !== "function") throw invalidOption("fetch", typeof fetch, "a function");
  const { maxResponseBytes, maxHeaderBytes } = limits;
  return new GuardedHttp(limits, fetchTransport({ fetch, maxResponseBytes, maxHeaderBytes }));
}
