// Carries requests with node:http and node:https: connects only to addresses that were checked, and trusts nothing ambient.

import { Agent as HttpAgent, type ClientRequest, type IncomingMessage, type RequestOptions, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import { callbackify } from "node:util";

import { type MortiseError, isMortiseError } from "../../api/errors.ts";
import { BodyBuffer } from "./body-buffer.ts";
import { codeOf, networkReason, originOf } from "./failures.ts";
import { joinHeaders } from "./headers.ts";
import { type RequestLookup, permittedAddresses } from "./name-lookup.ts";
import { hostOf, portOf } from "./target.ts";
import type { Incoming, Outgoing, Passage, Transport } from "./transport.ts";

/** What the transport needs of the service's options. */
export interface NodeTransportOptions {
  readonly maxResponseBytes: number;
  readonly maxHeaderBytes: number;
  readonly ca: string | readonly string[] | undefined;
  readonly lookup: RequestLookup;
}

/** An idle connection is kept for less time than servers usually keep theirs, which is 5 seconds. */
const IDLE_MS = 4000;
const MAX_IDLE = 16;
/** Answers of the kind "100 Continue" before the response proper. */
const MAX_INFORMATIONAL = 16;
/** Methods that may be sent again when a kept connection turns out to be closed. */
const REPEATABLE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
/** Methods whose bodies every server reads. After others with a body, a connection could be out of step. */
const WITH_BODY: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** The error of a body that ends too soon. */
const CUT_OFF = Object.assign(new Error("The response was cut off"), { code: "ECONNRESET" });

/** A transport with connections of its own. */
export function nodeTransport(options: NodeTransportOptions): Transport {
  const kept = { keepAlive: true, timeout: IDLE_MS, maxFreeSockets: MAX_IDLE };
  const agents = { "http:": new HttpAgent(kept), "https:": new HttpsAgent(kept) };
  return {
    exchange: async (request, passage) => {
      const agent = request.body === undefined || WITH_BODY.has(request.method) ? agents[request.url.protocol as keyof typeof agents] : false;
      const first = await send(request, passage, options, agent);
      return first === "closed before use" ? ((await send(request, passage, options, false)) as Incoming) : first;
    },
    close: () => {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

/** Sends a request and waits for the head of the response. A fresh connection (no agent) is never "closed before use". */
function send(
  request: Outgoing,
  passage: Passage,
  options: NodeTransportOptions,
  agent: HttpAgent | HttpsAgent | false,
): Promise<Incoming | "closed before use"> {
  const { url, method, body } = request;
  const { promise, resolve, reject } = Promise.withResolvers<Incoming | "closed before use">();
  const outgoing = open(request, passage, options, agent);
  const fail = (error: MortiseError): void => {
    reject(error);
    outgoing.destroy();
  };
  outgoing.on("response", (message: IncomingMessage) => resolve(incoming(message, outgoing, request, passage, options)));
  let informational = 0;
  outgoing.on("information", () => {
    if (++informational > MAX_INFORMATIONAL) fail(passage.report.failed(url, `more than ${MAX_INFORMATIONAL} answers came before the response`));
  });
  outgoing.on("upgrade", (_message: IncomingMessage, socket) => {
    socket.destroy();
    fail(passage.report.failed(url, "the server changed the protocol, which was not asked for"));
  });
  outgoing.on("error", (error) => {
    const stale = agent !== false && outgoing.reusedSocket && REPEATABLE.has(method) && ["ECONNRESET", "EPIPE"].includes(codeOf(error) ?? "");
    if (stale && !passage.signal.aborted) resolve("closed before use");
    else reject(coded(error, request, passage, options.maxHeaderBytes));
  });
  outgoing.end(body);
  return promise;
}

function open(request: Outgoing, passage: Passage, options: NodeTransportOptions, agent: HttpAgent | HttpsAgent | false): ClientRequest {
  const { url, method, body, headers } = request;
  const settings: RequestOptions & { readonly ca?: string | string[]; readonly rejectUnauthorized: boolean } = {
    host: hostOf(url),
    port: portOf(url),
    path: `${url.pathname}${url.search}`,
    method,
    agent,
    setHost: false,
    signal: passage.signal,
    lookup: guardedLookup(request, passage, options.lookup),
    maxHeaderSize: options.maxHeaderBytes,
    // Said here, since the environment could say otherwise.
    insecureHTTPParser: false,
    rejectUnauthorized: true,
    ...(options.ca === undefined ? {} : { ca: typeof options.ca === "string" ? options.ca : [...options.ca] }),
  };
  const outgoing = url.protocol === "https:" ? httpsRequest(settings) : httpRequest(settings);
  // Bytes are limited; a limit on their number would drop headers without a word.
  outgoing.maxHeadersCount = 0;
  outgoing.setHeader("host", url.host);
  for (const [name, value] of headers) outgoing.setHeader(name, value);
  if (body !== undefined) outgoing.setHeader("content-length", body.length);
  return outgoing;
}

/** The lookup of a new connection: what it returns is what is connected to, whatever the name says a moment later. */
function guardedLookup({ url }: Outgoing, passage: Passage, lookup: RequestLookup): LookupFunction {
  const { report, signal } = passage;
  const find = callbackify(async (hostname: string) => {
    const answer = await permittedAddresses(lookup, hostname, passage).catch((error: unknown) => {
      throw report.failed(url, networkReason(error), error);
    });
    // Node would connect all the same, for the agent.
    signal.throwIfAborted();
    if ("refused" in answer) throw report.denied(url.hostname, answer.refused);
    return answer.addresses;
  });
  return (hostname, settings, callback) =>
    find(hostname, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) callback(error, "");
      else if (settings.all === true) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    });
}

function incoming(message: IncomingMessage, outgoing: ClientRequest, request: Outgoing, passage: Passage, options: NodeTransportOptions): Incoming {
  // An error before the body is asked for must not be thrown into the process.
  message.on("error", () => {});
  // What breaks the protocol within the body is an error of the request; the message only learns that it is cut off.
  let broken: Error | undefined;
  outgoing.on("error", (error) => (broken ??= error));
  // Node keeps the connection, with the body, until the request is sent, which a server that answers without reading it prevents.
  message.on("end", () => {
    if (!outgoing.writableFinished) outgoing.destroy();
  });
  return {
    status: message.statusCode ?? 0,
    headers: joinHeaders(pairs(message.rawHeaders)),
    read: () => readBody(message, request, passage, options, () => broken),
    stream: () => pieces(message, (error) => coded(broken ?? error, request, passage, options.maxHeaderBytes)),
    discard: () => void message.destroy(),
  };
}

function* pairs(raw: readonly string[]): Iterable<readonly [string, string]> {
  for (let index = 0; index + 1 < raw.length; index += 2) yield [raw[index] ?? "", raw[index + 1] ?? ""];
}

function readBody(
  message: IncomingMessage,
  request: Outgoing,
  passage: Passage,
  { maxResponseBytes, maxHeaderBytes }: NodeTransportOptions,
  broken: () => Error | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const { report } = passage;
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
  const fail = (error: MortiseError): void => {
    reject(error);
    message.destroy();
  };
  const tooLarge = (): void => fail(report.limit(`the response of ${originOf(request.url)}`, maxResponseBytes, "bytes", "maxResponseBytes"));
  const buffer = new BodyBuffer(maxResponseBytes);
  message.on("data", (piece: Uint8Array) => {
    const outcome = buffer.add(piece);
    if (outcome === "too large") tooLarge();
    if (outcome === "too many pieces") fail(report.failed(request.url, "the body comes in too many too small pieces"));
  });
  // Not emitted for a message that is cut off.
  message.on("end", () => resolve(buffer.take()));
  // Comes last in any case; when the body is complete it changes nothing.
  message.on("close", () => reject(coded(broken() ?? CUT_OFF, request, passage, maxHeaderBytes)));
  const stated = Number(message.headers["content-length"] ?? 0);
  if (request.method !== "HEAD" && stated > maxResponseBytes) tooLarge();
  return promise;
}

/** The body as it comes. What ends it too soon is an error of the connection, whatever the message says of it. */
async function* pieces(message: IncomingMessage, toCoded: (error: Error) => Error): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const piece of message as AsyncIterable<Uint8Array>) yield piece;
  } catch {
    throw toCoded(CUT_OFF);
  }
}

/** What the request's error becomes. */
function coded(error: Error, { url }: Outgoing, { report, signal }: Passage, maxHeaderBytes: number): Error {
  if (signal.aborted) return signal.reason as Error;
  if (isMortiseError(error)) return error;
  if (codeOf(error) === "HPE_HEADER_OVERFLOW")
    return report.limit(`the head of the response of ${originOf(url)}`, maxHeaderBytes, "bytes", "maxHeaderBytes");
  return report.failed(url, networkReason(error), error);
}
