// Carries requests with a function like `fetch`. What it connects to is out of sight; what it returns is checked.

import { isMortiseError } from "../../api/errors.ts";
import { BodyBuffer } from "./body-buffer.ts";
import { networkReason, originOf } from "./failures.ts";
import { headerBytes, joinHeaders } from "./headers.ts";
import type { FetchFunction } from "./options.ts";
import type { Incoming, Outgoing, Passage, Transport } from "./transport.ts";

/** What the transport needs of the service's options. */
export interface FetchTransportOptions {
  readonly fetch: FetchFunction;
  readonly maxResponseBytes: number;
  readonly maxHeaderBytes: number;
}

/** A transport without connections of its own. */
export function fetchTransport(options: FetchTransportOptions): Transport {
  return {
    exchange: (request, passage) => exchange(request, passage, options),
    close: () => {},
  };
}

async function exchange(request: Outgoing, passage: Passage, options: FetchTransportOptions): Promise<Incoming> {
  const { url } = request;
  const { report } = passage;
  if (request.body !== undefined && ["GET", "HEAD"].includes(request.method)) throw report.invalid(`fetch sends no body with ${request.method}`);
  const response = await ask(request, passage, options.fetch);
  const { discard } = streamOf(response, request, passage);
  const refuse = (error: Error): never => {
    discard();
    throw error;
  };
  if (passage.signal.aborted) refuse(passage.signal.reason as Error);
  if (response.type === "opaqueredirect") refuse(report.failed(url, "this fetch hides where redirects lead to"));
  if (response.redirected) refuse(report.denied(url.hostname, "fetch followed a redirect, whose target was not checked"));
  const pairs = [...response.headers];
  if (headerBytes(pairs) > options.maxHeaderBytes)
    refuse(report.limit(`the head of the response of ${originOf(url)}`, options.maxHeaderBytes, "bytes", "maxHeaderBytes"));
  return {
    status: response.status,
    headers: joinHeaders(pairs),
    read: () => read(response, request, passage, options.maxResponseBytes),
    ...streamOf(response, request, passage),
  };
}

async function ask({ url, method, headers, body }: Outgoing, { report, signal }: Passage, fetch: FetchFunction): Promise<Response> {
  // Unless asked otherwise, fetch asks for compressed bodies and inflates them.
  const plain = headers.some(([name]) => name === "accept-encoding") ? headers : [...headers, ["accept-encoding", "identity"] as const];
  const init: RequestInit = {
    method,
    headers: plain.map(([name, value]) => [name, value]),
    redirect: "manual",
    credentials: "omit",
    signal,
    ...(body === undefined ? {} : { body: Uint8Array.from(body) }),
  };
  try {
    return await fetch(url.href, init);
  } catch (error) {
    throw report.failed(url, networkReason(error), error);
  }
}

/** The body as it comes, and how to give it up. */
function streamOf({ body }: Response, { url }: Outgoing, { report }: Passage): Pick<Incoming, "stream" | "discard"> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  const next = async (): Promise<IteratorResult<Uint8Array, unknown>> => {
    if (body === null) return { done: true, value: undefined };
    reader ??= body.getReader();
    try {
      const { done, value } = await reader.read();
      return done ? { done, value } : { done: false, value };
    } catch (error) {
      throw isMortiseError(error) ? error : report.failed(url, networkReason(error), error);
    }
  };
  return {
    stream: () => ({ next }),
    discard: () => {
      // A body that cannot be given up is not read either.
      (reader ?? body)?.cancel().catch(() => {});
    },
  };
}

async function read(response: Response, { url }: Outgoing, { report, signal }: Passage, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const buffer = new BodyBuffer(maxBytes);
  const tooLarge = (): Error => report.limit(`the response of ${originOf(url)}`, maxBytes, "bytes", "maxResponseBytes");
  const reader = response.body?.getReader();
  if (reader === undefined) return buffer.take();
  // A fetch that does not watch the signal must not be read from any longer.
  const stop = (): void => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return buffer.take();
      const outcome = buffer.add(value);
      if (outcome === "too large") throw tooLarge();
      if (outcome === "too many pieces") throw report.failed(url, "the body comes in too many too small pieces");
    }
  } catch (error) {
    stop();
    throw isMortiseError(error) ? error : report.failed(url, networkReason(error), error);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
