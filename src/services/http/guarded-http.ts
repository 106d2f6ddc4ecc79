// Allow-list, limits, deadlines and redirects around a transport.

import type { HttpCall, HttpRequest, HttpResponse, HttpStream, StreamingHttpService } from "../../api/http.ts";
import { judge } from "./allow-list.ts";
import { BodyStream } from "./body-stream.ts";
import { type FailureReport, type HttpCaller, failureReport, originOf } from "./failures.ts";
import { Gate } from "./gate.ts";
import { NOT_THE_LENGTH, headerBytes, readHeaders, readMethod } from "./headers.ts";
import type { ResolvedHttpLimits } from "./options.ts";
import { watchRequest } from "./published.ts";
import { redirectOf, redirected } from "./redirects.ts";
import { readTarget } from "./target.ts";
import type { Head, Incoming, Outgoing, Passage, Transport } from "./transport.ts";
import { type Caller, Work, deadlineError } from "./work.ts";

/** Sent unless the guest says who it is. */
const USER_AGENT = ["user-agent", "mortise"] as const;

/** A request without its body, which was checked and allowed: requests with it need no further look at it. */
export interface PreparedRequest {
  readonly head: Head;
  readonly report: FailureReport;
  /** The length that the head states for each body, if it does. */
  readonly statedLength: string | undefined;
}

/** A request that was prepared, and what it was prepared from besides method and URL. */
interface Prepared extends HttpCaller {
  readonly headers: Readonly<Record<string, string>>;
  readonly prepared: PreparedRequest;
}

/** Prepared requests that are kept. */
const MAX_PREPARED = 64;

/** Limits of one body that is read while it comes. */
export interface StreamLimits {
  readonly maxBytes: number;
  /** Name of the option that says so, for messages. */
  readonly option: string;
}

/** A service over a transport, which belongs to it. */
export class GuardedHttp implements StreamingHttpService {
  readonly #limits: ResolvedHttpLimits;
  readonly #transport: Transport;
  readonly #gate: Gate;
  readonly #underWay = new Set<Work>();
  /** What was prepared last, by method and URL: a plugin's requests differ in their bodies alone, mostly. */
  readonly #prepared = new Map<string, Prepared>();
  #closed = false;

  constructor(limits: ResolvedHttpLimits, transport: Transport) {
    this.#limits = limits;
    this.#transport = transport;
    this.#gate = new Gate(limits.maxConcurrent);
  }

  async request(request: HttpRequest, call: HttpCall): Promise<HttpResponse> {
    const watched = watchRequest(request, call);
    let prepared: PreparedRequest;
    try {
      prepared = this.prepare(request, call);
    } catch (error) {
      watched?.({ error });
      throw error;
    }
    return this.#send(prepared, request.body, call, watched);
  }

  async open(request: HttpRequest, call: HttpCall, limits?: StreamLimits): Promise<HttpStream> {
    const watched = watchRequest(request, call);
    let prepared: PreparedRequest;
    try {
      prepared = this.prepare(request, call);
    } catch (error) {
      watched?.({ error });
      throw error;
    }
    return this.#open(prepared, request.body, call, watched, limits);
  }

  /**
   * Checks everything about a request but its body, for many bodies.
   *
   * @throws MortiseError MORTISE_HTTP_DENIED, MORTISE_HTTP_INVALID or MORTISE_HTTP_LIMIT
   */
  prepare(request: Omit<HttpRequest, "body">, caller: HttpCaller): PreparedRequest {
    const key = `${request.method} ${request.url}`;
    const known = this.#prepared.get(key);
    if (known !== undefined && isSame(known, request, caller)) return known.prepared;
    const prepared = this.#prepare(request, caller);
    this.#prepared.delete(key);
    this.#prepared.set(key, { headers: { ...request.headers }, plugin: caller.plugin, function: caller.function, prepared });
    const [oldest] = this.#prepared.keys();
    if (this.#prepared.size > MAX_PREPARED && oldest !== undefined) this.#prepared.delete(oldest);
    return prepared;
  }

  /** {@link request} with a head that was checked. The body must not change before the response is there. */
  send(prepared: PreparedRequest, body: Uint8Array, call: Caller): Promise<HttpResponse> {
    return this.#send(prepared, body, call, this.#watch(prepared, body, call));
  }

  /** {@link open} with a head that was checked. The body must not change before the response is there. */
  openPrepared(prepared: PreparedRequest, body: Uint8Array, call: Caller, limits?: StreamLimits): Promise<HttpStream> {
    return this.#open(prepared, body, call, this.#watch(prepared, body, call), limits);
  }

  /** Fails what is under way with an error, and closes every connection. */
  closeWith(reason: (url: URL, report: FailureReport) => Error): void {
    this.#closed = true;
    for (const work of this.#underWay) work.stop(reason(work.url, work.report));
    this.#transport.close();
  }

  close(): void {
    this.closeWith((url, report) => report.failed(url, "the service is closed"));
  }

  #watch({ head }: PreparedRequest, body: Uint8Array, { plugin }: Caller): ReturnType<typeof watchRequest> {
    return watchRequest({ url: head.url, method: head.method, body }, { plugin });
  }

  async #send(
    prepared: PreparedRequest,
    body: Uint8Array | undefined,
    call: Caller,
    watched: ReturnType<typeof watchRequest>,
  ): Promise<HttpResponse> {
    let work: Work | undefined;
    let isInside = false;
    try {
      work = this.#begin(prepared, body, call);
      if (!this.#gate.tryEnter()) await this.#gate.wait(work.signal);
      isInside = true;
      const response = await this.#follow({ head: prepared.head, body }, work, "body");
      const answer = { status: response.status, headers: response.headers, body: response.body ?? new Uint8Array(0) };
      watched?.({ status: answer.status, responseBytes: answer.body.length });
      return answer;
    } catch (error) {
      watched?.({ error });
      throw error;
    } finally {
      if (isInside) this.#gate.leave();
      work?.end();
    }
  }

  async #open(
    prepared: PreparedRequest,
    body: Uint8Array | undefined,
    call: Caller,
    watched: ReturnType<typeof watchRequest>,
    limits: StreamLimits = { maxBytes: this.#limits.maxResponseBytes, option: "maxResponseBytes" },
  ): Promise<HttpStream> {
    const began = performance.now();
    let status: number | undefined;
    let work: Work | undefined;
    let isInside = false;
    const end = (responseBytes: number, error: unknown): void => {
      work?.end();
      if (isInside) this.#gate.leave();
      watched?.({ status, responseBytes, error });
    };
    try {
      work = this.#begin(prepared, body, call);
      if (!this.#gate.tryEnter()) await this.#gate.wait(work.signal);
      isInside = true;
      const response = await this.#follow({ head: prepared.head, body }, work, "head");
      ({ status } = response);
      const { maxBytes, option: maxOption } = limits;
      const stream = new BodyStream({ response, work, maxBytes, maxOption, idleTimeoutMs: this.#limits.idleTimeoutMs, end });
      work.expectEnd(call.timeoutMs - (performance.now() - began), () => deadlineError(call));
      return { status, headers: response.headers, body: stream, close: () => stream.close() };
    } catch (error) {
      end(0, error);
      throw error;
    }
  }

  /** Begins a request: sets what ends it, which is its time, the call, and the closing of the service. */
  #begin({ head, report, statedLength }: PreparedRequest, body: Uint8Array | undefined, call: Caller): Work {
    const { url } = head;
    const { maxRequestBytes } = this.#limits;
    const bodyBytes = body?.length ?? 0;
    if (bodyBytes > maxRequestBytes) throw report.limit(`the request to ${originOf(url)}`, maxRequestBytes, "bytes", "maxRequestBytes");
    if (statedLength !== undefined && statedLength !== String(bodyBytes)) throw report.invalid(NOT_THE_LENGTH);
    if (this.#closed) throw report.failed(url, "the service is closed");
    if (call.timeoutMs <= 0) throw deadlineError(call);
    const work = new Work({ url, call, report, limitMs: this.#limits.timeoutMs, underWay: this.#underWay });
    if (work.reason === undefined) return work;
    work.end();
    throw work.reason;
  }

  /** Checks everything about a request that needs no network. */
  #prepare(request: Omit<HttpRequest, "body">, caller: HttpCaller): PreparedRequest {
    const report = failureReport(caller);
    const { maxHeaderBytes } = this.#limits;
    const url = readTarget(request.url);
    if (typeof url === "string") throw report.invalid(url);
    const method = readMethod(request.method);
    if (typeof method === "string") throw report.invalid(method);
    const allowed = this.#permit({ url, method: method.method, headers: [] }, report);
    const stated = readHeaders(request.headers, url);
    if (typeof stated === "string") throw report.invalid(stated);
    const headers = stated.some(([name]) => name === "user-agent") ? stated : [...stated, USER_AGENT];
    if (url.href.length + headerBytes(headers) > maxHeaderBytes)
      throw report.limit(`the head of the request to ${originOf(url)}`, maxHeaderBytes, "bytes", "maxHeaderBytes");
    const length = Object.entries(request.headers).find(([name]) => name.toLowerCase() === "content-length");
    return { head: { ...allowed, headers }, report, statedLength: length?.[1].trim() };
  }

  /** A head with what the name in its URL may resolve to. @throws MortiseError MORTISE_HTTP_DENIED */
  #permit(head: Omit<Head, "kinds">, report: FailureReport): Head {
    const { url } = head;
    if (url.protocol === "http:" && !this.#limits.allowHttp)
      throw report.denied(url.hostname, "it would be reached without encryption, and allowHttp is false");
    const verdict = judge(this.#limits.rules, url);
    if (!verdict.granted) throw report.denied(url.hostname, verdict.reason);
    return { ...head, kinds: verdict.kinds };
  }

  /** Sends a request and those that its redirects ask for. */
  async #follow(first: Outgoing, work: Work, wants: Passage["wants"]): Promise<Incoming> {
    const { maxRedirects } = this.#limits;
    const { report } = work;
    const passage: Passage = { report, ending: work, wants, follows: maxRedirects > 0 };
    let next = first;
    for (let redirects = 0; ; redirects++) {
      const response = await this.#transport.exchange(next, passage);
      const location = maxRedirects === 0 ? undefined : redirectOf(response.status, response.headers);
      if (location === undefined) return response;
      response.discard();
      if (redirects === maxRedirects) throw report.limit(`the request to ${originOf(work.url)}`, maxRedirects, "redirects", "maxRedirects");
      const target = redirected(next, response.status, location);
      if (typeof target === "string") throw report.denied(next.head.url.hostname, `it redirects, but ${target}`);
      next = { head: this.#permit(target.head, report), body: target.body };
    }
  }
}

function isSame(known: Prepared, { headers }: Omit<HttpRequest, "body">, caller: HttpCaller): boolean {
  if (known.plugin !== caller.plugin || known.function !== caller.function) return false;
  const names = Object.keys(headers);
  return (
    names.length === Object.keys(known.headers).length &&
    names.every((name) => Object.hasOwn(known.headers, name) && known.headers[name] === headers[name])
  );
}
