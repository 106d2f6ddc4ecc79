// Exchanges of Node's HTTP server.

import type { IncomingMessage, ServerResponse } from "node:http";

import { MortiseError } from "mortise";

import type { Exchange } from "./exchange.ts";
import type { BodyRoom } from "./pending-bodies.ts";

/** Bodies of so many bytes at most are written together with the head. */
const ONE_WRITE_BYTES = 8192;

/** A request that came over a socket. */
export class NodeExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #isHead: boolean;
  #aborter: AbortController | undefined;
  #isGone = false;
  #wake: (() => void) | undefined;

  constructor(request: IncomingMessage, response: ServerResponse) {
    const { url = "/", method = "GET" } = request;
    const mark = url.indexOf("?");
    this.method = method;
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.query = mark < 0 ? "" : url.slice(mark + 1);
    // Node joins values of all names but set-cookie, which clients do not send.
    this.headers = request.headers as Readonly<Record<string, string>>;
    this.#request = request;
    this.#response = response;
    this.#isHead = method === "HEAD";
    response.on("close", () => this.#closed());
  }

  headerNames(): readonly string[] {
    return this.#request.rawHeaders.filter((_text, index) => index % 2 === 0);
  }

  get signal(): AbortSignal {
    if (this.#aborter === undefined) {
      this.#aborter = new AbortController();
      if (this.#isGone) this.#aborter.abort(gone());
    }
    return this.#aborter.signal;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  #closed(): void {
    this.#wakeUp();
    if (this.#response.writableFinished) return;
    this.#isGone = true;
    this.#aborter?.abort(gone());
  }

  body(maxBytes: number, room: BodyRoom): Promise<Uint8Array> {
    const request = this.#request;
    const stated = this.headers["content-length"];
    let size = 0;
    const grow = (bytes: number): void => {
      size += bytes;
      if (size > maxBytes) throw new MortiseError("MORTISE_GATEWAY_BODY_LIMIT", { size, limit: maxBytes });
      room.take(bytes);
    };
    return new Promise((resolve, reject) => {
      if (stated !== undefined) grow(Number(stated));
      const chunks: Buffer[] = [];
      let isRefused = false;
      request.on("data", (chunk: Buffer) => {
        // The rest is read and forgotten, so that the client gets to the answer.
        if (isRefused) return;
        chunks.push(chunk);
        if (stated !== undefined) return;
        try {
          grow(chunk.length);
        } catch (error) {
          isRefused = true;
          chunks.length = 0;
          reject(error);
        }
      });
      request.on("end", () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
      request.on("error", () => reject(gone()));
    });
  }

  send(status: number, headers: readonly string[], body: Uint8Array | string): void {
    if (this.#isGone) return;
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    this.#response.writeHead(status, [...headers, "content-length", String(length)]);
    if (this.#isHead || length === 0) this.#response.end();
    else if (typeof body === "string" || length > ONE_WRITE_BYTES) this.#response.end(body);
    // Head and body are one text for Node, which is written at once; of bytes it would make a list of two.
    else this.#response.end(Buffer.from(body.buffer, body.byteOffset, length).toString("latin1"), "latin1");
  }

  begin(status: number, headers: readonly string[]): void {
    if (this.#isGone) return;
    this.#response.writeHead(status, [...headers]);
  }

  write(piece: Uint8Array | string): boolean {
    return this.#isGone || this.#response.write(piece);
  }

  drained(): Promise<void> {
    if (this.#isGone || !this.#response.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#response.once("drain", () => this.#wakeUp());
    });
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  end(): void {
    if (!this.#isGone) this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }
}

/** Why what is done for a client that went away ends. */
function gone(): MortiseError {
  return new MortiseError("MORTISE_GATEWAY_CANCELLED");
}
