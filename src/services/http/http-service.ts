// HTTP for guests over connections of the service's own.

import { lookup as systemLookup } from "node:dns/promises";

import type { HttpService } from "../../api/http.ts";
import { invalidOption } from "../../api/limits.ts";
import { GuardedHttp } from "./guarded-http.ts";
import { sharedLookup } from "./name-lookup.ts";
import { nodeTransport } from "./node-transport.ts";
import { type HttpOptions, resolveHttpLimits } from "./options.ts";

/**
 * Makes a service that connects only to addresses it has checked. It uses no proxy, cookie, credential or trust setting of
 * the process, and keeps idle connections for a few seconds, which do not keep the process alive.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function createHttpService(options: HttpOptions = {}): HttpService {
  const limits = resolveHttpLimits(options, ["ca", "lookup"]);
  const { ca, lookup = (hostname) => systemLookup(hostname, { all: true, order: "verbatim" }) } = options;
  if (typeof lookup !== "function") throw invalidOption("lookup", typeof lookup, "a function");
  if (ca !== undefined && typeof ca !== "string" && !(Array.isArray(ca) && ca.every((one) => typeof one === "string")))
    throw invalidOption("ca", typeof ca, "certificates in PEM");
  const { maxResponseBytes, maxHeaderBytes } = limits;
  return new GuardedHttp(limits, nodeTransport({ maxResponseBytes, maxHeaderBytes, ca, lookup: sharedLookup(lookup) }));
}
