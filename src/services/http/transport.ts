// What carries one request to a server and its response back, without following redirects.

import type { AddressKind } from "./addresses.ts";
import type { FailureReport } from "./failures.ts";
import type { HeaderList } from "./headers.ts";

/** A request whose target is allowed. */
export interface Outgoing {
  readonly url: URL;
  readonly method: string;
  readonly headers: HeaderList;
  readonly body: Uint8Array | undefined;
}

/** The head of a response. One of `read`, `stream` and `discard` is called; `discard` also after `stream`. */
export interface Incoming {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** The body. @throws MortiseError MORTISE_HTTP_LIMIT or MORTISE_HTTP_FAILED */
  read(): Promise<Uint8Array<ArrayBuffer>>;
  /** The body in the pieces in which it comes. Its `next` throws as {@link read}, but for the body's size, which it does not limit. */
  stream(): AsyncIterator<Uint8Array, unknown>;
  /** Gives the response up, its connection too. */
  discard(): void;
}

/** What a request may use. */
export interface Passage {
  /** Kinds of addresses that the host's name may resolve to. */
  readonly kinds: ReadonlySet<AddressKind>;
  readonly report: FailureReport;
  /** Ends the exchange; its reason is the error. */
  readonly signal: AbortSignal;
}

/** One way to carry requests. */
export interface Transport {
  /** @throws MortiseError MORTISE_HTTP_DENIED, MORTISE_HTTP_LIMIT or MORTISE_HTTP_FAILED */
  exchange(request: Outgoing, passage: Passage): Promise<Incoming>;
  /** Closes every connection. */
  close(): void;
}
