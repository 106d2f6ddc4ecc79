// A request under way: its time, and what ends it before.

import { MortiseError, isMortiseError } from "../../api/errors.ts";
import type { HttpCall } from "../../api/http.ts";
import { type FailureReport, originOf } from "./failures.ts";
import type { Ending } from "./transport.ts";

/** The longest that a timer takes; one for more would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** A call whose caller may not want to end it. */
export interface Caller extends Omit<HttpCall, "signal"> {
  readonly signal?: AbortSignal | undefined;
}

/** What a request is begun with. */
export interface WorkParts {
  readonly url: URL;
  readonly call: Caller;
  readonly report: FailureReport;
  /** Milliseconds that the service gives it. */
  readonly limitMs: number;
  /** What the service has under way. */
  readonly underWay: Set<Work>;
}

/** One request, from its beginning to {@link Work.end}. No more than a timer and a listener, since there is one for each request. */
export class Work implements Ending {
  readonly url: URL;
  readonly report: FailureReport;
  readonly #parts: WorkParts;
  #reason: Error | undefined;
  #ended: ((reason: Error) => void) | undefined;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: WorkParts) {
    const { url, call, report, limitMs, underWay } = parts;
    this.url = url;
    this.report = report;
    this.#parts = parts;
    this.#timer = setTimeout(tooLate, Math.min(call.timeoutMs, limitMs), this);
    underWay.add(this);
    const { signal } = call;
    if (signal === undefined) return;
    if (signal.aborted) this.handleEvent();
    else signal.addEventListener("abort", this);
  }

  get reason(): Error | undefined {
    return this.#reason;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  watch(ended: ((reason: Error) => void) | undefined): void {
    this.#ended = ended;
  }

  /** The call's signal was aborted. */
  handleEvent(): void {
    this.stop(abortError(this.#parts.call));
  }

  /** Ends the request with an error. */
  stop(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#ended?.(reason);
  }

  /** Sets another time for the end than that for the response. */
  expectEnd(inMs: number, error: () => MortiseError): void {
    clearTimeout(this.#timer);
    if (inMs <= MAX_TIMER_MS) this.#timer = setTimeout(() => this.stop(error()), Math.max(inMs, 0));
  }

  /** The error for a request whose time is over. The call's own deadline comes first if both are the same: it is the one that the caller knows. */
  tooLate(): MortiseError {
    const { call, limitMs, url } = this.#parts;
    if (call.timeoutMs <= limitMs) return deadlineError(call);
    return new MortiseError("MORTISE_HTTP_TIMEOUT", { ...whoOf(call), url: originOf(url), limit: limitMs });
  }

  /** The request is over. */
  end(): void {
    clearTimeout(this.#timer);
    this.#parts.call.signal?.removeEventListener("abort", this);
    this.#parts.underWay.delete(this);
    this.#ended = undefined;
  }
}

function tooLate(work: Work): void {
  work.stop(work.tooLate());
}

/** The error for a call whose own deadline has passed. */
export function deadlineError(call: Caller): MortiseError {
  return new MortiseError("MORTISE_TIMEOUT", { ...whoOf(call), limit: call.statedMs ?? call.timeoutMs });
}

function abortError(call: Caller): MortiseError {
  const reason: unknown = call.signal?.reason;
  return isMortiseError(reason) ? reason : new MortiseError("MORTISE_ABORTED", whoOf(call), reason);
}

function whoOf({ plugin, function: name }: Caller): { readonly plugin: string; readonly function: string } {
  return { plugin, function: name };
}
