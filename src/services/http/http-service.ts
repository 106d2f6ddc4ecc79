// HTTP for guests over connections of the service's own.

import { lookup as systemLookup } from "node:dns/promises";

import { invalidOption } from "../../api/limits.ts";
import { Gate } from "./gate.ts";
import { GuardedHttp } from "./guarded-http.ts";
import { type NameLookup, sharedLookup } from "./name-lookup.ts";
import { undiciTransport } from "./undici-transport.ts";
import { type HttpOptions, resolveHttpLimits } from "./options.ts";

/** The system's lookups block threads which the process needs for names and files of its own, and cannot be stopped: one at a time. */
const SYSTEM = new Gate(1);

/**
 * Makes a service that connects only to addresses it has checked. It uses no proxy, cookie or credential of the process and
 * checks certificates whatever the environment says. Without `ca` it trusts the authorities that Node trusts, those of
 * NODE_EXTRA_CA_CERTS included. It keeps idle connections for a few seconds, which do not keep the process alive.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function createHttpService(options: HttpOptions = {}): GuardedHttp {
  const limits = resolveHttpLimits(options, ["ca", "lookup"]);
  const { ca, lookup } = options;
  if (lookup !== undefined && typeof lookup !== "function") throw invalidOption("lookup", typeof lookup, "a function");
  if (ca !== undefined && typeof ca !== "string" && !(Array.isArray(ca) && ca.every((one) => typeof one === "string")))
    throw invalidOption("ca", typeof ca, "certificates in PEM");
  const { maxResponseBytes, maxHeaderBytes } = limits;
  // A service waits in a row of its own for its turn among the services, so that all get their turn.
  const names = lookup === undefined ? sharedLookup(askSystem, [new Gate(1), SYSTEM]) : sharedLookup(lookup);
  return new GuardedHttp(limits, undiciTransport({ maxResponseBytes, maxHeaderBytes, maxConnections: limits.maxConcurrent, ca, lookup: names }));
}

const askSystem: NameLookup = (hostname) => systemLookup(hostname, { all: true, order: "verbatim" });
