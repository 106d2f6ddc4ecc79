// Passes requests of clients through to the server behind a provider: the plugin says where and with which headers, the body is the client's.

import type { HttpResponse } from "../api/http.ts";
import { invalidOption } from "../api/limits.ts";
import type { GuardedHttp, PreparedRequest, StreamLimits } from "../services/http/guarded-http.ts";
import type { Caller } from "../services/http/work.ts";
import { bytesWithoutHidden } from "./hidden-key.ts";
import { MAX_ERROR_BYTES } from "./http-wire.ts";
import { checkPassHeaders } from "./pass-headers.ts";
import { PASS_APIS, PASS_FUNCTION, type PassApi } from "./pass-heads.ts";
import { translated } from "./provider-errors.ts";
import { readAll } from "./stream-body.ts";

/** A request of a client for the server behind a provider. */
export interface ForwardRequest {
  /** The interface that the body is written for. */
  readonly api: PassApi;
  /** Sent as it is; it must not be changed before the answer is there. */
  readonly body: Uint8Array;
  /** The body asks for an answer in pieces. */
  readonly stream: boolean;
  /** Laid over the provider's configuration for this request. @default none */
  readonly config?: Readonly<Record<string, unknown>>;
  /**
   * Headers of the client that go along, names in lower case: those of `PASS_HEADERS` for the interface. What the plugin's
   * head has itself stays. @default none
   */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The server's answer, as it came. */
export interface ForwardResponse {
  readonly status: number;
  /** Names are in lower case; values of a repeated name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body in the pieces in which it comes, in one piece if the request was for no stream. It can be read once. */
  readonly body: AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** All of the body. */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /** Gives up what was not read, and the connection. */
  close(): void;
}

/** What requests are passed on with. */
export interface PassParts {
  readonly plugin: string;
  readonly http: GuardedHttp;
  /** Limits of answers in pieces. */
  readonly stream: StreamLimits;
}

/** A response that means failure, and is not an answer. */
export class RefusedByServer {
  readonly response: HttpResponse;

  constructor(response: HttpResponse) {
    this.response = response;
  }
}

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkForward({ api, body, stream, headers }: ForwardRequest): void {
  if (!PASS_APIS.includes(api)) throw invalidOption("api", api, `one of ${PASS_APIS.join(", ")}`);
  if (!(body instanceof Uint8Array)) throw invalidOption("body", typeof body, "bytes");
  if (typeof stream !== "boolean") throw invalidOption("stream", typeof stream, "true or false");
  if (headers !== undefined) checkPassHeaders(api, headers);
}

/** Sends a request for a whole answer. */
export async function passWhole(
  { plugin, http }: PassParts,
  prepared: PreparedRequest,
  body: Uint8Array,
  call: Caller,
): Promise<ForwardResponse | RefusedByServer> {
  try {
    const response = await http.send(prepared, body, call);
    return response.status >= 400 ? new RefusedByServer(response) : new WholeResponse(response);
  } catch (error) {
    throw translated({ plugin, function: PASS_FUNCTION }, error);
  }
}

/** Sends a request for an answer in pieces. */
export async function passStream(
  { plugin, http, stream: limits }: PassParts,
  prepared: PreparedRequest,
  body: Uint8Array,
  call: Caller,
): Promise<ForwardResponse | RefusedByServer> {
  const giver = { plugin, function: PASS_FUNCTION };
  try {
    const stream = await http.openPrepared(prepared, body, call, limits);
    if (stream.status >= 400) return new RefusedByServer(await readAll(stream));
    const pieces = translatedPieces(stream.body[Symbol.asyncIterator](), giver);
    return { status: stream.status, headers: stream.headers, body: pieces, bytes: () => collect(pieces), close: () => stream.close() };
  } catch (error) {
    throw translated(giver, error);
  }
}

/** An answer that is all there. */
class WholeResponse implements ForwardResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly #body: Uint8Array<ArrayBuffer>;

  constructor({ status, headers, body }: HttpResponse) {
    this.status = status;
    this.headers = headers;
    this.#body = body;
  }

  get body(): AsyncIterable<Uint8Array<ArrayBuffer>> {
    return one(this.#body);
  }

  bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return Promise.resolve(this.#body);
  }

  close(): void {}
}

// An AsyncIterable is what it has to be.
// oxlint-disable-next-line require-await
async function* one(body: Uint8Array<ArrayBuffer>): AsyncIterable<Uint8Array<ArrayBuffer>> {
  if (body.length > 0) yield body;
}

type Pieces = AsyncIterator<Uint8Array<ArrayBuffer>>;

/** Pieces whose errors are those of providers. */
function translatedPieces(
  pieces: Pieces,
  giver: { readonly plugin: string; readonly function: string },
): AsyncIterableIterator<Uint8Array<ArrayBuffer>> {
  const fail = (error: unknown): never => {
    throw translated(giver, error);
  };
  return {
    next: () => pieces.next().catch(fail),
    return: () => pieces.return?.() ?? Promise.resolve({ done: true, value: undefined }),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function collect(pieces: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return new Uint8Array(Buffer.concat(all));
}

/** What `details.response` of errors of `forward` is. */
export interface RefusedResponse extends HttpResponse {
  /** The interface that the body is written in. */
  readonly api: PassApi;
}

/** A response as errors tell it: without what is hidden, and cut where it is too long. */
export function shortened({ status, headers, body }: HttpResponse, hidden: readonly string[]): HttpResponse {
  const told = bytesWithoutHidden(body, hidden);
  return { status, headers, body: told.length > MAX_ERROR_BYTES ? told.slice(0, MAX_ERROR_BYTES) : told };
}
