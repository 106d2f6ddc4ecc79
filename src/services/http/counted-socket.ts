// Counts what a connection brings, and takes out what its parser cannot have: answers "100 Continue" that nobody asked for.

import type { Socket } from "node:net";

/** What has gone wrong with the bytes of a response. */
export type Excess = "head" | "framing" | "informational";

/** Answers of the kind "100 Continue" before the response proper. */
export const MAX_INFORMATIONAL = 16;
/**
 * Bytes beside head and body that a response may have at a time, beyond four times those of a head: extensions of chunks.
 * Trailers are counted by the parser, which counts a quarter of their bytes at least.
 */
const FRAMING_BYTES = 16 << 10;
/** `HTTP/1.x 100`, whose `x` is any. */
const CONTINUE = Buffer.from("HTTP/1.x 100", "latin1");
const ANY = 7;
const END = "\r\n\r\n";

/** Watches the bytes of one connection. Their parser, which reads the socket, says what it has made of them. */
export class CountedSocket {
  readonly socket: Socket;
  readonly #maxHeaderBytes: number;
  readonly #fail: (excess: Excess) => void;
  /** Bytes since the parser last had something to say. */
  #unexplained = 0;
  #place: "before the response" | "head" | "body" = "before the response";
  #informational = 0;
  /** The beginning of a response that may be an answer "100 Continue". */
  #held: Buffer | undefined;

  /** @param fail told what is too much; the socket goes on until it is destroyed */
  constructor(socket: Socket, maxHeaderBytes: number, fail: (excess: Excess) => void) {
    this.socket = socket;
    this.#maxHeaderBytes = maxHeaderBytes;
    this.#fail = fail;
    const read = socket.read.bind(socket) as (size?: number) => Buffer | null;
    socket.read = (size?: number) => {
      // What was read before has been parsed by now.
      if (this.#unexplained > this.#room) this.#fail(this.#place === "body" ? "framing" : "head");
      const piece = read(size);
      if (piece === null || this.#place === "body") return this.#count(piece);
      return this.#count(this.#place === "head" ? piece : this.#withoutContinue(piece));
    };
  }

  get #room(): number {
    return this.#place === "body" ? 4 * this.#maxHeaderBytes + FRAMING_BYTES : this.#maxHeaderBytes;
  }

  /** A request is sent. */
  begin(): void {
    this.#place = "before the response";
    this.#informational = 0;
    this.#unexplained = 0;
  }

  /** The parser has found an answer before the response. */
  sawInformational(): void {
    this.#place = "before the response";
    this.#unexplained = 0;
    if (++this.#informational > MAX_INFORMATIONAL) this.#fail("informational");
  }

  /** The parser has found the head, or a piece of the body. */
  sawPart(): void {
    this.#place = "body";
    this.#unexplained = 0;
  }

  #count(piece: Buffer | null): Buffer | null {
    if (piece !== null) this.#unexplained += piece.length;
    return piece;
  }

  /** A piece at the beginning of a response, without what is none; null if nothing is left, or more has to come to tell. */
  #withoutContinue(piece: Buffer): Buffer | null {
    let rest = this.#held === undefined ? piece : Buffer.concat([this.#held, piece]);
    this.#held = undefined;
    while (isContinue(rest)) {
      const end = rest.indexOf(END);
      if (end < 0 || rest.length < CONTINUE.length) {
        this.#held = rest;
        if (rest.length > this.#maxHeaderBytes) this.#fail("head");
        return null;
      }
      rest = rest.subarray(end + END.length);
      if (++this.#informational > MAX_INFORMATIONAL) this.#fail("informational");
      if (rest.length === 0 || this.socket.destroyed) return null;
    }
    this.#place = "head";
    return rest;
  }
}

/** True for what is, or may become, an answer "100 Continue". */
function isContinue(bytes: Buffer): boolean {
  for (let at = 0; at < CONTINUE.length && at < bytes.length; at++) if (at !== ANY && bytes[at] !== CONTINUE[at]) return false;
  return bytes.length > 0;
}
