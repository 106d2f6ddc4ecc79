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
