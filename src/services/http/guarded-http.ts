// Allow-list, limits, deadlines and redirects around a transport.

import { MortiseError, isMortiseError } from "../../api/errors.ts";
import type { HttpCall, HttpRequest, HttpResponse, HttpService } from "../../api/http.ts";
import type { AddressKind } from "./addresses.ts";
import { judge } from "./allow-list.ts";
import { type FailureReport, failureReport, originOf } from "./failures.ts";
import { Gate } from "./gate.ts";
import { headerBytes, readHeaders, readMethod } from "./headers.ts";
import type { ResolvedHttpLimits } from "./options.ts";
import { redirectOf, redirected } from "./redirects.ts";
import { readTarget } from "./target.ts";
import type { Incoming, Outgoing, Transport } from "./transport.ts";

/** Sent unless the guest says who it is. */
const USER_AGENT = ["user-agent", "mortise"] as const;

/** A service over a transport, which belongs to it. */
export class GuardedHttp implements HttpService {
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
    const report = failureReport(call);
    const first = this.#prepare(request, report);
    if (this.#closed) throw report.failed(first.url, "the service is closed");
    if (call.timeoutMs <= 0) throw this.#tooLate(first.url, call);
    const abort = new AbortController();
    const callEnded = (): void => abort.abort(abortError(call));
    const closed = (): void => abort.abort(report.failed(first.url, "the service is closed"));
    const timer = setTimeout(() => abort.abort(this.#tooLate(first.url, call)), Math.min(call.timeoutMs, this.#limits.timeoutMs));
    call.signal.addEventListener("abort", callEnded);
    this.#underWay.add(closed);
    try {
      if (call.signal.aborted) callEnded();
      const leave = await this.#gate.enter(abort.signal);
      try {
        return await untilAborted(this.#follow(first, report, abort.signal), abort.signal);
      } finally {
        leave();
      }
    } finally {
      clearTimeout(timer);
      call.signal.removeEventListener("abort", callEnded);
      this.#underWay.delete(closed);
    }
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
  async #follow(first: Outgoing, report: FailureReport, signal: AbortSignal): Promise<HttpResponse> {
    const { maxRedirects } = this.#limits;
    let next = first;
    for (let redirects = 0; ; redirects++) {
      const kinds = this.#permit(next.url, report);
      const response = await this.#transport.exchange(next, { kinds, report, signal });
      const location = maxRedirects === 0 ? undefined : redirectOf(response.status, response.headers);
      if (location === undefined) return await complete(response);
      response.discard();
      if (redirects === maxRedirects) throw report.limit(`the request to ${originOf(first.url)}`, maxRedirects, "redirects", "maxRedirects");
      const target = redirected(next, response.status, location);
      if (typeof target === "string") throw report.denied(next.url.hostname, `it redirects, but ${target}`);
      next = target;
    }
  }

  /** The call's own deadline comes first if both are the same: it is the one that the caller knows. */
  #tooLate(url: URL, call: HttpCall): MortiseError {
    const { plugin, function: name, timeoutMs, statedMs = timeoutMs } = call;
    const limit = this.#limits.timeoutMs;
    if (timeoutMs <= limit) return new MortiseError("MORTISE_TIMEOUT", { plugin, function: name, limit: statedMs });
    return new MortiseError("MORTISE_HTTP_TIMEOUT", { plugin, function: name, url: originOf(url), limit });
  }
}

async function complete(response: Incoming): Promise<HttpResponse> {
  const body = await response.read();
  // As entries, since a header's name may be `__proto__`.
  return { status: response.status, headers: Object.fromEntries(response.headers), body };
}

/** Settles with the work, or with the signal's reason as soon as it is aborted, whatever the work does then. */
async function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const end = (): void => reject(signal.reason);
  signal.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}

function abortError({ plugin, function: name, signal }: HttpCall): MortiseError {
  const reason: unknown = signal.reason;
  return isMortiseError(reason) ? reason : new MortiseError("MORTISE_ABORTED", { plugin, function: name }, reason);
}
