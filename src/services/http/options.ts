// Options of the two HTTP services: what a user gives, checked once and completed.

import { invalidOption } from "../../api/limits.ts";
import { type HostRule, readHostRules } from "./host-rules.ts";
import type { NameLookup } from "./name-lookup.ts";

/** What both services take. */
export interface HttpLimits {
  /** Hosts that guests may reach; docs/http.md has the grammar. @default none */
  readonly hosts?: readonly string[];
  /** Allows `http:` as well as `https:`. @default true */
  readonly allowHttp?: boolean;
  /** Bytes of a response's body. @default 50 MiB */
  readonly maxResponseBytes?: number;
  /** Bytes of a request's body. @default 16 MiB */
  readonly maxRequestBytes?: number;
  /** Bytes of the headers of a request, and of those of a response. @default 16 KiB */
  readonly maxHeaderBytes?: number;
  /** Redirects that are followed; with 0 the guest gets the redirect itself. @default 10 */
  readonly maxRedirects?: number;
  /** Requests at a time; others wait for their turn. @default 64 */
  readonly maxConcurrent?: number;
  /**
   * Milliseconds from the request to the last byte of its response, or to the first of a body that is read while it comes;
   * waiting and redirects included. @default 30,000
   */
  readonly timeoutMs?: number;
  /** Milliseconds between two pieces of a body that is read while it comes. @default 30,000 */
  readonly idleTimeoutMs?: number;
}

/** Options of {@link createHttpService}. */
export interface HttpOptions extends HttpLimits {
  /** Certificates of authorities in PEM that are trusted instead of Node's own. @default Node's */
  readonly ca?: string | readonly string[];
  /** Finds the addresses of a name, for tests and name services of one's own. @default the system's lookup */
  readonly lookup?: NameLookup;
}

/** The part of `fetch` that is used. */
export type FetchFunction = (url: string, init: RequestInit) => Promise<Response>;

/** Options of {@link createFetchService}. */
export interface FetchServiceOptions extends HttpLimits {
  /** Carries the requests. */
  readonly fetch: FetchFunction;
}

/** Limits with every default filled in. */
export interface ResolvedHttpLimits {
  readonly rules: readonly HostRule[];
  readonly allowHttp: boolean;
  readonly maxResponseBytes: number;
  readonly maxRequestBytes: number;
  readonly maxHeaderBytes: number;
  readonly maxRedirects: number;
  readonly maxConcurrent: number;
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number;
}

type NumberName = Exclude<keyof HttpLimits, "hosts" | "allowHttp">;

/** Default, least and largest value; a body has to fit into one buffer, headers into the memory of each connection. */
const NUMBERS: Readonly<Record<NumberName, readonly [standard: number, least: number, most: number]>> = {
  maxResponseBytes: [50 << 20, 0, 2 ** 31],
  maxRequestBytes: [16 << 20, 0, 2 ** 31],
  maxHeaderBytes: [16 << 10, 256, 128 << 10],
  maxRedirects: [10, 0, 100],
  maxConcurrent: [64, 1, 10_000],
  timeoutMs: [30_000, 1, 2 ** 31 - 1],
  idleTimeoutMs: [30_000, 1, 2 ** 31 - 1],
};
const COMMON = ["hosts", "allowHttp", ...Object.keys(NUMBERS)];

/**
 * Checks what both services take, and refuses names that are not options.
 *
 * @param others names of the service's further options
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function resolveHttpLimits(options: HttpLimits, others: readonly string[]): ResolvedHttpLimits {
  if (typeof options !== "object" || options === null) throw invalidOption("options", options === null ? "null" : typeof options, "an object");
  const known = [...COMMON, ...others];
  for (const name of Object.keys(options)) if (!known.includes(name)) throw invalidOption(name, "unknown", `one of ${known.join(", ")}`);
  const { allowHttp = true } = options;
  if (typeof allowHttp !== "boolean") throw invalidOption("allowHttp", typeof allowHttp, "true or false");
  return Object.freeze({
    rules: readHostRules(options.hosts, "hosts"),
    allowHttp,
    maxResponseBytes: readNumber(options, "maxResponseBytes"),
    maxRequestBytes: readNumber(options, "maxRequestBytes"),
    maxHeaderBytes: readNumber(options, "maxHeaderBytes"),
    maxRedirects: readNumber(options, "maxRedirects"),
    maxConcurrent: readNumber(options, "maxConcurrent"),
    timeoutMs: readNumber(options, "timeoutMs"),
    idleTimeoutMs: readNumber(options, "idleTimeoutMs"),
  });
}

function readNumber(options: HttpLimits, name: NumberName): number {
  const [standard, least, most] = NUMBERS[name];
  const value = options[name] ?? standard;
  if (!Number.isSafeInteger(value) || value < least || value > most)
    throw invalidOption(name, typeof value === "number" ? String(value) : typeof value, `a whole number from ${least} to ${most}`);
  return value;
}
