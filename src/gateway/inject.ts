// Exchanges without a socket: a `Request` goes in, a `Response` comes out.

import { MortiseError } from "mortise";

import type { Exchange } from "./exchange.ts";
import type { BodyRoom } from "./pending-bodies.ts";

/** Bytes of an answer that are kept while nobody reads. */
const HIGH_WATER_BYTES = 64 * 1024;
const NO_BODY: ReadonlySet<number> = new Set([101, 204, 205, 304]);
const encoder = new TextEncoder();

/** A request that was handed over in the process. */
export class InjectedExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The answer, once its head is there. */
  readonly response: Promise<Response>;
  readonly #request: Request;
  readonly #aborter = new AbortController();
  readonly #respond: (response: Response) => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #wake: (() => void) | undefined;
  #hasAnswered = false;

  constructor(request: Request) {
    const { pathname, search } = new URL(request.url);
    this.method = request.method;
    this.path = pathname;
    this.query = search.slice(1);
    this.headers = Object.fromEntries(request.headers);
    this.#request = request;
    const { promise, resolve } = Promise.withResolvers<Response>();
    this.response = promise;
    this.#respond = resolve;
    if (request.signal.aborted) this.#leave();
    else request.signal.addEventListener("abort", () => this.#leave(), { once: true });
  }

  headerNames(): readonly string[] {
    return Object.keys(this.headers);
  }

  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  get isGone(): boolean {
    return this.signal.aborted;
  }

  #leave(): void {
    this.#aborter.abort(new MortiseError("MORTISE_GATEWAY_CANCELLED"));
    this.#wakeUp();
    if (!this.#hasAnswered) this.#answer(Response.error());
    else this.#controller?.error(this.signal.reason);
    this.#controller = undefined;
  }

  async body(maxBytes: number, room: BodyRoom): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    const reader = this.#request.body?.getReader();
    // Reading ends with it, also where nothing comes any more.
    const cancel = (): void => void reader?.cancel().catch(() => {});
    this.signal.addEventListener("abort", cancel);
    if (this.isGone) cancel();
    try {
      for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) {
        const { value } = next;
        size += value.length;
        if (size > maxBytes) throw new MortiseError("MORTISE_GATEWAY_BODY_LIMIT", { size, limit: maxBytes });
        room.take(value.length);
        pieces.push(value);
      }
      this.signal.throwIfAborted();
      return Buffer.concat(pieces);
    } finally {
      this.signal.removeEventListener("abort", cancel);
      cancel();
    }
  }

  send(status: number, headers: readonly string[], body: Uint8Array | string): void {
    const bytes = typeof body === "string" ? encoder.encode(body) : new Uint8Array(body);
    const content = NO_BODY.has(status) || this.method === "HEAD" ? null : bytes;
    this.#answer(new Response(content, { status, headers: pairs([...headers, "content-length", String(bytes.length)]) }));
  }

  begin(status: number, headers: readonly string[]): void {
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#wakeUp(),
        cancel: () => {
          this.#controller = undefined;
          this.#leave();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_BYTES }),
    );
    this.#answer(new Response(body, { status, headers: pairs(headers) }));
  }

  write(piece: Uint8Array | string): boolean {
    this.#controller?.enqueue(typeof piece === "string" ? encoder.encode(piece) : piece);
    return this.#hasRoom;
  }

  get #hasRoom(): boolean {
    return (this.#controller?.desiredSize ?? 1) > 0;
  }

  drained(): Promise<void> {
    if (this.#hasRoom) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  end(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }

  destroy(): void {
    this.#leave();
  }

  #answer(response: Response): void {
    this.#hasAnswered = true;
    this.#respond(response);
  }
}

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_none, index) => [flat[index * 2] ?? "", flat[index * 2 + 1] ?? ""]);
}
