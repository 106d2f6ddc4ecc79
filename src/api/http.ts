// HTTP for guests: what a request and its response are, and who performs it.

/** A request as a guest states it; nothing of it is trusted. */
export interface HttpRequest {
  /** Absolute, `http:` or `https:`. */
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

/** A complete response, whatever its status. */
export interface HttpResponse {
  readonly status: number;
  /** Names are in lower case; values of a repeated name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** As it came: no content coding is undone. */
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The call that a request belongs to. */
export interface HttpCall {
  readonly plugin: string;
  readonly function: string;
  /** Milliseconds that are left of the call. */
  readonly timeoutMs: number;
  /** Milliseconds that the call had in all, for messages. @default timeoutMs */
  readonly statedMs?: number;
  /** Ends the request when the call is over; a MortiseError as its reason becomes the request's error. */
  readonly signal: AbortSignal;
}

/** A response whose body is read while it comes. */
export interface HttpStream {
  readonly status: number;
  /** Names are in lower case; values of a repeated name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The body in the pieces in which it comes, each a copy; it can be read once. The server is held back while nobody reads.
   * Throws MORTISE_HTTP_LIMIT, MORTISE_HTTP_TIMEOUT, MORTISE_HTTP_IDLE, MORTISE_HTTP_FAILED, MORTISE_TIMEOUT or
   * MORTISE_ABORTED. Leaving the loop early closes the response.
   */
  readonly body: AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** Gives up what was not read, and the connection. Of no effect once the body has ended. */
  close(): void;
}

/** Performs requests of guests under an allow-list and limits. */
export interface HttpService {
  /**
   * Sends a request, follows redirects, and reads the response to its end.
   *
   * @throws MortiseError MORTISE_HTTP_DENIED, MORTISE_HTTP_INVALID, MORTISE_HTTP_LIMIT, MORTISE_HTTP_TIMEOUT,
   *   MORTISE_HTTP_FAILED, MORTISE_TIMEOUT or MORTISE_ABORTED
   */
  request(request: HttpRequest, call: HttpCall): Promise<HttpResponse>;
  /** Fails what is under way, and closes every connection. */
  close(): void;
}

/** A service that can also hand over a body while it comes. */
export interface StreamingHttpService extends HttpService {
  /**
   * Sends a request, follows redirects, and answers when the head of the response is there. `call.timeoutMs` is the time
   * until the end of the body; `call.signal` ends it too. A stream that nobody closes lives until then.
   *
   * @throws MortiseError as {@link HttpService.request}
   */
  open(request: HttpRequest, call: HttpCall): Promise<HttpStream>;
}
