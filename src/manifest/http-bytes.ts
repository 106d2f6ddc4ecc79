// Downloads a module or a manifest: redirects, sizes and deadlines are watched, and credentials stay where they belong.

import { types } from "node:util";

import { MortiseError, printable } from "../api/errors.ts";
import { BoundedBytes, type ByteLimits } from "./bounded-bytes.ts";
import type { ModuleRequest } from "./check-module.ts";
import type { Deadline } from "./deadline.ts";

const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** The only headers that follow a redirect to another origin: any other may be a credential under a name of its own. */
const HARMLESS_HEADERS = ["accept", "accept-language", "user-agent"] as const;

/** What the network is used with. */
export interface Network {
  readonly fetch: typeof fetch;
  readonly deadline: Deadline;
}

/** What an answer holds. */
export interface Download {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Media type without parameters, in lower case; empty if there is none. */
  readonly mediaType: string;
}

/** A URL for messages: without name and password, query and fragment, any of which may be secret. */
export function shownUrl(url: URL): string {
  return `"${printable(`${url.origin}${url.pathname}${url.search === "" ? "" : "?…"}`)}"`;
}

/**
 * Downloads what a URL names. Name and password of the URL become a header.
 *
 * @throws MortiseError MORTISE_SOURCE_UNREADABLE, MORTISE_SOURCE_STATUS, MORTISE_MODULE_LIMIT, MORTISE_MANIFEST_INVALID for
 *   what is too large and no module, or why the deadline ended it
 */
export async function httpBytes(request: ModuleRequest, limits: ByteLimits, network: Network): Promise<Download> {
  const source = shownUrl(request.url);
  let { url, method, headers } = withoutUserInfo(request);
  for (let redirects = 0; ; redirects++) {
    const response = await requestOnce(source, url, { method, headers, redirect: "manual" }, network);
    const location = REDIRECTS.has(response.status) ? response.headers.get("location") : null;
    if (location === null) return responseBytes(response, source, limits, network.deadline);
    discard(response);
    if (redirects === MAX_REDIRECTS) throw redirectFault(source, `it redirects more than ${MAX_REDIRECTS} times`);
    const next = redirectTarget(source, url, location);
    if (next.origin !== url.origin) headers = harmless(headers);
    // Only 307 and 308 keep another method than GET.
    if (response.status < 307) method = "GET";
    url = next;
  }
}

async function requestOnce(source: string, url: URL, init: RequestInit, { fetch, deadline }: Network): Promise<Response> {
  try {
    return await deadline.race(source, fetch(url, { ...init, signal: deadline.signal }));
  } catch (error) {
    throw unreadable(source, error);
  }
}

/**
 * Reads the body of an answer.
 *
 * @throws MortiseError as {@link httpBytes} does
 */
export async function responseBytes(response: Response, source: string, limits: ByteLimits, deadline: Deadline): Promise<Download> {
  if (!response.ok) {
    discard(response);
    throw new MortiseError("MORTISE_SOURCE_STATUS", { source, status: response.status });
  }
  if (response.bodyUsed || response.body?.locked === true)
    throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason: "its body is being read already, or was" });
  const mediaType = (response.headers.get("content-type") ?? "").split(";", 1)[0] ?? "";
  // The length of an encoded body says nothing of what it becomes.
  const length = response.headers.has("content-encoding") ? Number.NaN : Number(response.headers.get("content-length") ?? Number.NaN);
  const stated = Number.isSafeInteger(length) ? length : 0;
  const bytes = new BoundedBytes(source, limits, stated);
  try {
    await readBody(response, source, bytes, deadline);
  } catch (error) {
    throw unreadable(source, error);
  }
  return { bytes: bytes.take(), mediaType: mediaType.trim().toLowerCase() };
}

async function readBody(response: Response, source: string, bytes: BoundedBytes, deadline: Deadline): Promise<void> {
  if (response.body === null) return;
  const reader = (response.body as ReadableStream<unknown>).getReader();
  try {
    for (;;) {
      const { done, value } = await deadline.race(source, reader.read());
      if (done) return;
      if (!types.isUint8Array(value)) throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason: "its body is not made of bytes" });
      bytes.add(value);
    }
  } finally {
    // Ends the download if the body was not read to its end; nobody waits for a source that does not let itself be ended.
    reader.cancel().catch(() => undefined);
  }
}

/** Lets go of an answer's connection. */
function discard(response: Response): void {
  if (response.body?.locked === false) response.body.cancel().catch(() => undefined);
}

function withoutUserInfo({ url, method, headers }: ModuleRequest): ModuleRequest {
  if (url.username === "" && url.password === "") return { url, method, headers };
  const plain = new URL(url);
  plain.username = "";
  plain.password = "";
  const all = new Headers(headers);
  const userInfo = `${decode(url.username)}:${decode(url.password)}`;
  if (!all.has("authorization")) all.set("authorization", `Basic ${Buffer.from(userInfo).toString("base64")}`);
  return { url: plain, method, headers: all };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function redirectTarget(source: string, from: URL, location: string): URL {
  if (!URL.canParse(location, from)) throw redirectFault(source, "it redirects to something that is no URL");
  const next = new URL(location, from);
  const isWeb = next.protocol === "http:" || next.protocol === "https:";
  if (!isWeb) throw redirectFault(source, `it redirects to a URL of ${next.protocol}`);
  if (from.protocol === "https:" && next.protocol === "http:") throw redirectFault(source, "it redirects from https: to http:");
  // A server has no say in what is sent as name and password.
  next.username = "";
  next.password = "";
  return next;
}

function harmless(headers: Headers): Headers {
  const kept = new Headers();
  for (const name of HARMLESS_HEADERS) {
    const value = headers.get(name);
    if (value !== null) kept.set(name, value);
  }
  return kept;
}

function redirectFault(source: string, reason: string): MortiseError {
  return new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason });
}

const PROBLEMS: ReadonlyMap<unknown, string> = new Map([
  ["ECONNREFUSED", "the connection was refused"],
  ["ECONNRESET", "the connection broke"],
  ["UND_ERR_SOCKET", "the connection broke"],
  ["ENOTFOUND", "the host is unknown"],
  ["EAI_AGAIN", "the host's address cannot be found at the moment"],
]);

/** What fetch or a body threw. Its text may repeat the URL with all that is in it, so that only known codes are told. */
function unreadable(source: string, error: unknown): MortiseError {
  if (error instanceof MortiseError) return error;
  const { cause } = error as Error;
  const code: unknown = codeOf(cause) ?? codeOf(error);
  const reason = PROBLEMS.get(code) ?? `the request failed${typeof code === "string" ? ` with ${code}` : ""}`;
  return new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason }, error);
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
}
