// A body that is read while it comes, within limits.

import { tooManyPieces } from "./body-buffer.ts";
import { type FailureReport, originOf } from "./failures.ts";
import type { ResolvedHttpLimits } from "./options.ts";
import type { Incoming } from "./transport.ts";
import { untilAborted } from "./until-aborted.ts";

/** What a body is read with. */
export interface BodyParts {
  readonly response: Incoming;
  readonly url: URL;
  readonly report: FailureReport;
  /** Aborted when the body has to end; its reason is the error. */
  readonly signal: AbortSignal;
  readonly limits: Pick<ResolvedHttpLimits, "maxResponseBytes" | "idleTimeoutMs">;
  /** Called once, when nothing of the request is left, with the bytes that came and what went wrong. */
  readonly end: (bytes: number, failure: unknown) => void;
}

type Piece = Uint8Array<ArrayBuffer>;

/** One body. Not a generator: it can be closed before anybody began to read, and while somebody waits for a piece. */
export class BodyStream implements AsyncIterableIterator<Piece, undefined> {
  readonly #parts: BodyParts;
  readonly #pieces: AsyncIterator<Uint8Array, unknown>;
  /** For who waits for a piece while the body is closed. */
  readonly #closed = Promise.withResolvers<IteratorResult<Uint8Array, unknown>>();
  #bytes = 0;
  #count = 0;
  #ended = false;
  #failure: unknown;

  constructor(parts: BodyParts) {
    this.#parts = parts;
    this.#pieces = parts.response.stream();
    // Also while nobody reads.
    const stop = (): void => this.#end(parts.signal.reason);
    if (parts.signal.aborted) stop();
    else parts.signal.addEventListener("abort", stop, { once: true });
  }

  async next(): Promise<IteratorResult<Piece, undefined>> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) return { done: true, value: undefined };
    try {
      const { done, value } = await this.#wait();
      if (done !== true) return { done: false, value: this.#take(value) };
      this.#end();
      return { done: true, value: undefined };
    } catch (error) {
      this.#end(error);
      if (this.#failure !== undefined) throw this.#failure;
      return { done: true, value: undefined };
    }
  }

  return(): Promise<IteratorResult<Piece, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  close(): void {
    this.#end();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next piece, or the error of a server that has nothing to say for too long. */
  async #wait(): Promise<IteratorResult<Uint8Array, unknown>> {
    const { limits, report, url, signal } = this.#parts;
    const idle = Promise.withResolvers<never>();
    const timer = setTimeout(() => idle.reject(report.idle(url, limits.idleTimeoutMs)), limits.idleTimeoutMs);
    try {
      return await untilAborted(Promise.race([this.#pieces.next(), idle.promise, this.#closed.promise]), signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Counts a piece and copies it, so that the buffer which it is a part of can go. */
  #take(piece: Uint8Array): Piece {
    const { limits, report, url } = this.#parts;
    this.#bytes += piece.length;
    if (this.#bytes > limits.maxResponseBytes)
      throw report.limit(`the response of ${originOf(url)}`, limits.maxResponseBytes, "bytes", "maxResponseBytes");
    if (tooManyPieces(++this.#count, this.#bytes)) throw report.failed(url, "the body comes in too many too small pieces");
    return Uint8Array.from(piece);
  }

  #end(failure?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#closed.resolve({ done: true, value: undefined });
    this.#parts.response.discard();
    this.#parts.end(this.#bytes, failure);
  }
}
