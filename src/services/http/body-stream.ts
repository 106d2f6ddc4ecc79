// A body that is read while it comes, within limits.

import { tooManyPieces } from "./body-buffer.ts";
import { originOf } from "./failures.ts";
import type { Incoming } from "./transport.ts";
import type { Work } from "./work.ts";

/** What a body is read with. */
export interface BodyParts {
  readonly response: Incoming;
  /** What ends the body before its end. */
  readonly work: Work;
  readonly maxBytes: number;
  /** Name of the option that says so. */
  readonly maxOption: string;
  readonly idleTimeoutMs: number;
  /** Called once, when nothing of the request is left, with the bytes that came and what went wrong. */
  readonly end: (bytes: number, failure: unknown) => void;
}

type Piece = Uint8Array<ArrayBuffer>;
type Result = IteratorResult<Piece, undefined>;

const DONE: Result = { done: true, value: undefined };

/** Who waits for a piece. */
interface Waiter {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** One body. Not a generator: it can be closed before anybody began to read, and while somebody waits for a piece. */
export class BodyStream implements AsyncIterableIterator<Piece, undefined> {
  readonly #parts: BodyParts;
  readonly #pieces: AsyncIterator<Piece, unknown>;
  #waiter: Waiter | undefined;
  /** What the waiter waits for: who comes after it asks again then. */
  #waited: Promise<Result> = Promise.resolve(DONE);
  readonly #again = (): Promise<Result> => this.next();
  /** One for the whole body, begun again for each wait. */
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;
  #count = 0;
  #ended = false;
  #failure: unknown;

  constructor(parts: BodyParts) {
    this.#parts = parts;
    this.#pieces = parts.response.stream();
    // Also while nobody reads.
    const { work } = parts;
    work.watch((reason) => this.#end(reason));
    if (work.reason !== undefined) this.#end(work.reason);
  }

  next(): Promise<Result> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#ended) return Promise.resolve(DONE);
    if (this.#waiter !== undefined) return this.#waited.then(this.#again, this.#again);
    this.#waited = new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      if (this.#timer === undefined) this.#timer = setTimeout(() => this.#idle(), this.#parts.idleTimeoutMs);
      else this.#timer.refresh();
      this.#pieces.next().then(
        (result) => this.#came(result),
        (error: unknown) => this.#end(error),
      );
    });
    return this.#waited;
  }

  return(): Promise<Result> {
    this.close();
    return Promise.resolve(DONE);
  }

  close(): void {
    this.#end();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #came({ done, value }: IteratorResult<Piece, unknown>): void {
    if (this.#ended) return;
    if (done === true) return this.#end();
    const { work, maxBytes, maxOption } = this.#parts;
    const { report, url } = work;
    this.#bytes += value.length;
    if (this.#bytes > maxBytes) return this.#end(report.limit(`the response of ${originOf(url)}`, maxBytes, "bytes", maxOption));
    if (tooManyPieces(++this.#count, this.#bytes)) return this.#end(report.failed(url, "the body comes in too many too small pieces"));
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.resolve({ done: false, value });
  }

  /** The server has had nothing to say for too long. Pauses of the reader are none of its own. */
  #idle(): void {
    const { work, idleTimeoutMs } = this.#parts;
    if (this.#waiter !== undefined) this.#end(work.report.idle(work.url, idleTimeoutMs));
  }

  #end(failure?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    clearTimeout(this.#timer);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (failure === undefined) waiter?.resolve(DONE);
    else waiter?.reject(failure);
    this.#parts.response.discard();
    this.#parts.end(this.#bytes, failure);
  }
}
