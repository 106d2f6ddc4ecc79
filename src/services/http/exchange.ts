// One request on a connection, and its response as the connection brings it.

import type { Dispatcher } from "undici";

import { isMortiseError } from "../../api/errors.ts";
import { BodyBuffer } from "./body-buffer.ts";
import type { Connection, Connections } from "./connections.ts";
import { type Excess, MAX_INFORMATIONAL } from "./counted-socket.ts";
import { codeOf, networkReason, originOf } from "./failures.ts";
import { lineBytes } from "./headers.ts";
import { redirectOf } from "./redirects.ts";
import type { Incoming, Outgoing, Passage } from "./transport.ts";

/** What an exchange works with. */
export interface ExchangeParts {
  readonly connections: Connections;
  readonly maxResponseBytes: number;
  readonly maxHeaderBytes: number;
}

/** A head as it is sent. */
export interface Wire {
  readonly key: string;
  readonly path: string;
  readonly method: string;
  /** Names and values in turn. */
  readonly fields: string[];
}

/** Methods that may be sent again when a kept connection turns out to be closed. */
const REPEATABLE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
const CLOSED: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"]);
/** Bytes of a body that wait to be read; with more, the server has to. */
const ROOM = 64 << 10;

type Piece = Uint8Array<ArrayBuffer>;
type Result = IteratorResult<Piece, undefined>;

const DONE: Result = { done: true, value: undefined };

interface Waiter {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** One request and its response. */
export class Exchange implements Dispatcher.DispatchHandler, Incoming, AsyncIterator<Piece, undefined> {
  status = 0;
  headers: Readonly<Record<string, string>> = {};
  body: Piece | undefined;
  readonly promise: Promise<Incoming>;
  readonly #resolve: (response: Incoming) => void;
  readonly #reject: (error: Error) => void;
  readonly #request: Outgoing;
  readonly #wire: Wire;
  readonly #passage: Passage;
  readonly #parts: ExchangeParts;
  #connection: Connection | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  /** The connection served others before. */
  #isReused = false;
  #isStarted = false;
  #hasHead = false;
  #buffer: BodyBuffer | undefined;
  /** What came and was not read yet. */
  #pieces: Uint8Array[] = [];
  #kept = 0;
  #isPaused = false;
  #waiter: Waiter | undefined;
  /** Nothing follows; with a failure, after what came before it. */
  #over = false;
  #failure: Error | undefined;

  constructor(request: Outgoing, wire: Wire, passage: Passage, parts: ExchangeParts) {
    const { promise, resolve, reject } = Promise.withResolvers<Incoming>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#request = request;
    this.#wire = wire;
    this.#passage = passage;
    this.#parts = parts;
  }

  /** Sends the request, on an idle connection if there is one. */
  begin(): void {
    const idle = this.#parts.connections.take(this.#wire.key);
    if (idle === undefined) this.#beginAfresh();
    else this.#send(idle, true);
  }

  stream(): this {
    return this;
  }

  next(): Promise<Result> {
    if (this.#kept > 0) return Promise.resolve({ done: false, value: this.#take() });
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#over) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => (this.#waiter = { resolve, reject }));
  }

  discard(): void {
    if (!this.#over) this.#fail(DISCARDED);
    this.#pieces = [];
    this.#kept = 0;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#over) return controller.abort(DISCARDED);
    this.#isStarted = true;
    this.#controller = controller;
    this.#connection?.counted.begin();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (this.#over) return;
    const { report, wants, follows } = this.#passage;
    const { url, method } = this.#request.head;
    const { counted } = this.#connection as Connection;
    if (status < 200) return counted.sawInformational();
    counted.sawPart();
    this.#hasHead = true;
    this.status = status;
    const bytes = joinInPlace(headers);
    this.headers = headers as Record<string, string>;
    if (bytes > this.#parts.maxHeaderBytes) return this.#fail(this.#headTooLarge());
    if (wants === "head" || (follows && redirectOf(status, this.headers) !== undefined)) return this.#resolve(this);
    const { maxResponseBytes } = this.#parts;
    const stated = method === "HEAD" ? 0 : Number(this.headers["content-length"] ?? Number.NaN);
    if (stated > maxResponseBytes) return this.#fail(report.limit(`the response of ${originOf(url)}`, maxResponseBytes, "bytes", "maxResponseBytes"));
    this.#buffer = Number.isNaN(stated) ? new BodyBuffer(maxResponseBytes) : new BodyBuffer(maxResponseBytes, stated);
  }

  onResponseData(_controller: Dispatcher.DispatchController, piece: Uint8Array): void {
    if (this.#over) return;
    (this.#connection as Connection).counted.sawPart();
    if (this.#buffer !== undefined) return this.#collect(this.#buffer, piece);
    this.#pieces.push(piece);
    this.#kept += piece.length;
    if (this.#waiter !== undefined) {
      const { resolve } = this.#waiter;
      this.#waiter = undefined;
      resolve({ done: false, value: this.#take() });
    } else if (this.#kept >= ROOM && !this.#isPaused) {
      this.#isPaused = true;
      this.#controller?.pause();
    }
  }

  onResponseEnd(): void {
    if (this.#over) return;
    this.#over = true;
    const connection = this.#connection as Connection;
    // The rest of the request would be taken for the next one.
    if (connection.counted.socket.writableLength > 0) connection.destroy();
    else this.#parts.connections.giveBack(connection);
    if (this.#buffer !== undefined) {
      this.body = this.#buffer.take();
      this.#resolve(this);
    } else this.#waiter?.resolve(DONE);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#over) return;
    if (this.#mayRepeat(error)) {
      this.#connection?.destroy();
      this.#beginAfresh();
    } else this.#fail(this.#coded(error));
  }

  #beginAfresh(): void {
    const { connections } = this.#parts;
    connections.open(this.#wire.key, this.#request.head, this.#passage).then(
      (connection) => this.#send(connection, false),
      (error: Error) => this.#fail(this.#coded(error)),
    );
  }

  #send(connection: Connection, isReused: boolean): void {
    const { ending } = this.#passage;
    this.#connection = connection;
    this.#isReused = isReused;
    this.#isStarted = false;
    connection.excess = (excess) => this.#fail(this.#excessError(excess));
    ending.watch((reason) => this.#fail(reason));
    if (ending.reason !== undefined) return this.#fail(ending.reason);
    const { path, method, fields } = this.#wire;
    const { body } = this.#request;
    connection.dispatch({ path, method, headers: fields, body: body ?? null }, this);
  }

  /** True for a request that the server has not got, or not answered although it may get it twice. */
  #mayRepeat(error: Error): boolean {
    if (this.#hasHead || !this.#isReused) return false;
    return !this.#isStarted || (REPEATABLE.has(this.#wire.method) && CLOSED.has(codeOf(error) ?? ""));
  }

  #collect(buffer: BodyBuffer, piece: Uint8Array): void {
    const outcome = buffer.add(piece);
    if (outcome === "ok") return;
    const { report } = this.#passage;
    const { url } = this.#request.head;
    const { maxResponseBytes } = this.#parts;
    if (outcome === "too large") this.#fail(report.limit(`the response of ${originOf(url)}`, maxResponseBytes, "bytes", "maxResponseBytes"));
    else this.#fail(report.failed(url, "the body comes in too many too small pieces"));
  }

  /** All that is there, in one piece of its own. */
  #take(): Piece {
    const [first] = this.#pieces;
    const taken = new Uint8Array(this.#kept);
    if (this.#pieces.length === 1 && first !== undefined) taken.set(first);
    else {
      let at = 0;
      for (const piece of this.#pieces) {
        taken.set(piece, at);
        at += piece.length;
      }
    }
    this.#pieces = [];
    this.#kept = 0;
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#controller?.resume();
    }
    return taken;
  }

  #fail(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = error;
    this.#reject(error);
    this.#waiter?.reject(error);
    this.#connection?.destroy();
  }

  #excessError(excess: Excess): Error {
    const { report } = this.#passage;
    const { url } = this.#request.head;
    if (excess === "head") return this.#headTooLarge();
    if (excess === "informational") return report.failed(url, `more than ${MAX_INFORMATIONAL} answers came before the response`);
    return this.#coded(Object.assign(new Error("Too much between the chunks"), { code: "HPE_CHUNK_EXTENSIONS_OVERFLOW" }));
  }

  #headTooLarge(): Error {
    const { report } = this.#passage;
    return report.limit(`the head of the response of ${originOf(this.#request.head.url)}`, this.#parts.maxHeaderBytes, "bytes", "maxHeaderBytes");
  }

  /** What an error of the connection becomes. */
  #coded(error: Error): Error {
    const { ending, report } = this.#passage;
    const { url } = this.#request.head;
    if (ending.reason !== undefined) return ending.reason;
    if (isMortiseError(error)) return error;
    const code = codeOf(error) ?? "";
    if (code === "UND_ERR_HEADERS_OVERFLOW") return this.#headTooLarge();
    if (error.message === "bad upgrade") return report.failed(url, "the server changed the protocol, which was not asked for", error);
    return report.failed(url, networkReason(this.#parserError(error, code) ?? error), error);
  }

  /** What an error of the parser means, if it is one. */
  #parserError(error: Error, code: string): Error | undefined {
    // The parser says of whatever is wrong that the length is wrong, if there is one.
    if (code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH") return this.#hasHead ? CUT_OFF : TWO_LENGTHS;
    if (error.name !== "HTTPParserError") return undefined;
    return error.message.includes("Invalid EOF state") ? CUT_OFF : error;
  }
}

const DISCARDED = new Error("The response is not wanted any more");
const CUT_OFF = Object.assign(new Error("The response was cut off"), { code: "ECONNRESET" });
const TWO_LENGTHS = Object.assign(new Error("The lengths contradict each other"), { code: "HPE_UNEXPECTED_CONTENT_LENGTH" });

/** Joins the values of repeated headers, and counts the bytes of all. */
function joinInPlace(headers: Record<string, string | string[] | undefined>): number {
  let bytes = 0;
  for (const name of Object.keys(headers)) {
    const value = headers[name] ?? "";
    if (typeof value === "string") bytes += lineBytes(name, value);
    else {
      for (const one of value) bytes += lineBytes(name, one);
      headers[name] = value.join(", ");
    }
  }
  return bytes;
}
