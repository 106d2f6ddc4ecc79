// Carries requests with a function like `fetch`. What it connects to is out of sight; what it returns is checked.

import { isMortiseError } from "../../api/errors.ts";
import { BodyBuffer } from "./body-buffer.ts";
import { networkReason, originOf } from "./failures.ts";
import { headerBytes, joinHeaders } from "./headers.ts";
import type { FetchFunction } from "./options.ts";
import { redirectOf } from "./redirects.ts";
import type { Incoming, Outgoing, Passage, Transport } from "./transport.ts";
import { untilAborted } from "./until-aborted.ts";

/** What the transport needs of the service's options. */
export interface FetchTransportOptions {
  readonly fetch: FetchFunction;
  readonly maxResponseBytes: number;
  readonly maxHeaderBytes: number;
}

/** A transport without connections of its own. */
export function fetchTransport(options: FetchTransportOptions): Transport {
  return {
    exchange: (request, passage) => {
      const { signal } = passage.ending;
      const exchanging = exchange(request, passage, options);
      // Nobody reads a response that comes after the end.
      exchanging.then(
        (response) => signal.aborted && response.discard(),
        () => {},
      );
      return untilAborted(exchanging, signal);
    },
    close: () => {},
  };
}

async function exchange(request: Outgoing, passage: Passage, options: FetchTransportOptions): Promise<Incoming> {
  const { url, method } = request.head;
  const { report, ending } = passage;
  if (request.body !== undefined && ["GET", "HEAD"].includes(method)) throw report.invalid(`fetch sends no body with ${method}`);
  const response = await ask(request, passage, options.fetch);
  const parts = streamOf(response, url, passage);
  const refuse = (error: Error): never => {
    parts.discard();
    throw error;
  };
  if (ending.signal.aborted) refuse(ending.signal.reason as Error);
  if (response.type === "opaqueredirect") refuse(report.failed(url, "this fetch hides where redirects lead to"));
  if (response.redirected) refuse(report.denied(url.hostname, "fetch followed a redirect, whose target was not checked"));
  const pairs = [...response.headers];
  if (headerBytes(pairs) > options.maxHeaderBytes)
    refuse(report.limit(`the head of the response of ${originOf(url)}`, options.maxHeaderBytes, "bytes", "maxHeaderBytes"));
  const { status } = response;
  const headers = joinHeaders(pairs);
  const isWhole = passage.wants === "body" && !(passage.follows && redirectOf(status, headers) !== undefined);
  const body = isWhole ? await read(response, url, passage, options.maxResponseBytes) : undefined;
  return { status, headers, body, ...parts };
}

async function ask({ head, body }: Outgoing, { report, ending }: Passage, fetch: FetchFunction): Promise<Response> {
  const { url, method, headers } = head;
  // Unless asked otherwise, fetch asks for compressed bodies and inflates them.
  const plain = headers.some(([name]) => name === "accept-encoding") ? headers : [...headers, ["accept-encoding", "identity"] as const];
  const init: RequestInit = {
    method,
    headers: plain.map(([name, value]) => [name, value]),
    redirect: "manual",
    credentials: "omit",
    signal: ending.signal,
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  };
  try {
    return await fetch(url.href, init);
  } catch (error) {
    throw report.failed(url, networkReason(error), error);
  }
}

/** The body as it comes, and how to give it up. */
function streamOf({ body }: Response, url: URL, { report }: Passage): Pick<Incoming, "stream" | "discard"> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  const next = async (): Promise<IteratorResult<Uint8Array<ArrayBuffer>, unknown>> => {
    if (body === null) return { done: true, value: undefined };
    reader ??= body.getReader();
    try {
      const { done, value } = await reader.read();
      return done ? { done, value } : { done: false, value: new Uint8Array(value) };
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

async function read(response: Response, url: URL, { report, ending }: Passage, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const { signal } = ending;
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
