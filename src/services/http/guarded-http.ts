// Allow-list, limits, deadlines and redirects around a transport.

import { MortiseError, isMortiseError } from "../../api/errors.ts";
import type { HttpCall, HttpRequest, HttpResponse, HttpStream, StreamingHttpService } from "../../api/http.ts";
import type { AddressKind } from "./addresses.ts";
import { judge } from "./allow-list.ts";
import { BodyStream } from "./body-stream.ts";
import { type FailureReport, failureReport, originOf } from "./failures.ts";
import { Gate } from "./gate.ts";
import { headerBytes, readHeaders, readMethod } from "./headers.ts";
import type { ResolvedHttpLimits } from "./options.ts";
import { watchRequest } from "./published.ts";
import { redirectOf, redirected } from "./redirects.ts";
import { readTarget } from "./target.ts";
import { untilAborted } from "./until-aborted.ts";
import type { Incoming, Outgoing, Transport } from "./transport.ts";

/** Sent unless the guest says who it is. */
const USER_AGENT = ["user-agent", "mortise"] as const;

/** The longest that a timer takes; one for more would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** A request under way. */
interface Work {
  readonly first: Outgoing;
  readonly report: FailureReport;
  /** Aborted when the request has to end; its reason is the error. */
  readonly signal: AbortSignal;
  /** The request is over. */
  readonly end: () => void;
  /** Sets another time for the end than that for the response. */
  readonly expectEnd: (inMs: number, error: MortiseError) => void;
}

/** A service over a transport, which belongs to it. */
export class GuardedHttp implements StreamingHttpService {
  readonly #limits: ResolvedHttpLimits;
  readonly #transport: Transport;
  readonly #gate: Gate;
  readonly #underWay = new Set<() => void>();
  #closed = false;

  constructor(limits: ResolvedHttpLimits, transport: Transport) {
    this.#limits = limits;
    this.#transport = transport;
    this.#gate = new Gate(limits.maxConcurrent);
  }

  async request(request: HttpRequest, call: HttpCall): Promise<HttpResponse> {
    const watched = watchRequest(request, call);
    if (watched === undefined) return this.#request(request, call);
    try {
      const response = await this.#request(request, call);
      watched({ status: response.status, responseBytes: response.body.length });
      return response;
    } catch (error) {
      watched({ error });
      throw error;
    }
  }

  async #request(request: HttpRequest, call: HttpCall): Promise<HttpResponse> {
    const work = this.#begin(request, call);
    try {
      const leave = await this.#gate.enter(work.signal);
      try {
        return await untilAborted(this.#follow(work).then(complete), work.signal);
      } finally {
        leave();
      }
    } finally {
      work.end();
    }
  }

  async open(request: HttpRequest, call: HttpCall): Promise<HttpStream> {
    const watched = watchRequest(request, call);
    const began = performance.now();
    let status: number | undefined;
    let work: Work;
    try {
      work = this.#begin(request, call);
    } catch (error) {
      watched?.({ error });
      throw error;
    }
    let leave = (): void => {};
    const end = (responseBytes: number, error: unknown): void => {
      work.end();
      leave();
      watched?.({ status, responseBytes, error });
    };
    try {
      leave = await this.#gate.enter(work.signal);
      const opening = this.#follow(work);
      // Nobody reads a response that comes after the call has ended.
      opening.then(
        (response) => work.signal.aborted && response.discard(),
        () => {},
      );
      const response = await untilAborted(opening, work.signal);
      ({ status } = response);
      const body = new BodyStream({ response, url: work.first.url, report: work.report, signal: work.signal, limits: this.#limits, end });
      const { timeoutMs } = call;
      work.expectEnd(
        timeoutMs - (performance.now() - began),
        new MortiseError("MORTISE_TIMEOUT", { ...whoOf(call), limit: call.statedMs ?? timeoutMs }),
      );
      // As entries, since a header's name may be `__proto__`.
      return { status: response.status, headers: Object.fromEntries(response.headers), body, close: () => body.close() };
    } catch (error) {
      end(0, error);
      throw error;
    }
  }

  /** Checks a request, and sets what ends it: its time, the call, and the closing of the service. */
  #begin(request: HttpRequest, call: HttpCall): Work {
    const report = failureReport(call);
    const first = this.#prepare(request, report);
    if (this.#closed) throw report.failed(first.url, "the service is closed");
    if (call.timeoutMs <= 0) throw this.#tooLate(first.url, call);
    const abort = new AbortController();
    const callEnded = (): void => abort.abort(abortError(call));
    const closed = (): void => abort.abort(report.failed(first.url, "the service is closed"));
    let timer = setTimeout(() => abort.abort(this.#tooLate(first.url, call)), Math.min(call.timeoutMs, this.#limits.timeoutMs));
    call.signal.addEventListener("abort", callEnded);
    this.#underWay.add(closed);
    if (call.signal.aborted) callEnded();
    const end = (): void => {
      clearTimeout(timer);
      call.signal.removeEventListener("abort", callEnded);
      this.#underWay.delete(closed);
    };
    const expectEnd = (inMs: number, error: MortiseError): void => {
      clearTimeout(timer);
      if (inMs <= MAX_TIMER_MS) timer = setTimeout(() => abort.abort(error), Math.max(inMs, 0));
    };
    return { first, report, signal: abort.signal, end, expectEnd };
  }

  close(): void {
    this.#closed = true;
    for (const end of this.#underWay) end();
    this.#transport.close();
  }

  /** Checks everything about a request that needs no network. */
  #prepare({ url: text, method: statedMethod, headers: statedHeaders, body }: HttpRequest, report: FailureReport): Outgoing {
    const { maxRequestBytes, maxHeaderBytes } = this.#limits;
    const url = readTarget(text);
    if (typeof url === "string") throw report.invalid(url);
    const method = readMethod(statedMethod);
    if (typeof method === "string") throw report.invalid(method);
    this.#permit(url, report);
    const bodyBytes = body?.length ?? 0;
    if (bodyBytes > maxRequestBytes) throw report.limit(`the request to ${originOf(url)}`, maxRequestBytes, "bytes", "maxRequestBytes");
    const stated = readHeaders(statedHeaders, url, bodyBytes);
    if (typeof stated === "string") throw report.invalid(stated);
    const headers = stated.some(([name]) => name === "user-agent") ? stated : [...stated, USER_AGENT];
    if (url.href.length + headerBytes(headers) > maxHeaderBytes)
      throw report.limit(`the head of the request to ${originOf(url)}`, maxHeaderBytes, "bytes", "maxHeaderBytes");
    return { url, method: method.method, headers, body };
  }

  /** What the name in a URL may resolve to. @throws MortiseError MORTISE_HTTP_DENIED */
  #permit(url: URL, report: FailureReport): ReadonlySet<AddressKind> {
    if (url.protocol === "http:" && !this.#limits.allowHttp)
      throw report.denied(url.hostname, "it would be reached without encryption, and allowHttp is false");
    const verdict = judge(this.#limits.rules, url);
    if (!verdict.granted) throw report.denied(url.hostname, verdict.reason);
    return verdict.kinds;
  }

  /** Sends a request and those that its redirects ask for. */
  async #follow({ first, report, signal }: Work): Promise<Incoming> {
    const { maxRedirects } = this.#limits;
    let next = first;
    for (let redirects = 0; ; redirects++) {
      const kinds = this.#permit(next.url, report);
      const response = await this.#transport.exchange(next, { kinds, report, signal });
      const location = maxRedirects === 0 ? undefined : redirectOf(response.status, response.headers);
      if (location === undefined) return response;
      response.discard();
      if (redirects === maxRedirects) throw report.limit(`the request to ${originOf(first.url)}`, maxRedirects, "redirects", "maxRedirects");
      const target = redirected(next, response.status, location);
      if (typeof target === "string") throw report.denied(next.url.hostname, `it redirects, but ${target}`);
      next = target;
    }
  }

  /** The call's own deadline comes first if both are the same: it is the one that the caller knows. */
  #tooLate(url: URL, call: HttpCall): MortiseError {
    const { timeoutMs, statedMs = timeoutMs } = call;
    const limit = this.#limits.timeoutMs;
    if (timeoutMs <= limit) return new MortiseError("MORTISE_TIMEOUT", { ...whoOf(call), limit: statedMs });
    return new MortiseError("MORTISE_HTTP_TIMEOUT", { ...whoOf(call), url: originOf(url), limit });
  }
}

async function complete(response: Incoming): Promise<HttpResponse> {
  const body = await response.read();
  // As entries, since a header's name may be `__proto__`.
  return { status: response.status, headers: Object.fromEntries(response.headers), body };
}

function whoOf({ plugin, function: name }: HttpCall): { readonly plugin: string; readonly function: string } {
  return { plugin, function: name };
}

function abortError(call: HttpCall): MortiseError {
  const reason: unknown = call.signal.reason;
  return isMortiseError(reason) ? reason : new MortiseError("MORTISE_ABORTED", whoOf(call), reason);
}
