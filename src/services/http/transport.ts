// What carries one request to a server and its response back, without following redirects.

import type { AddressKind } from "./addresses.ts";
import type { FailureReport } from "./failures.ts";
import type { HeaderList } from "./headers.ts";

/** Where a request goes, and its headers. Many requests can have the same one: what a transport makes of it is made once. */
export interface Head {
  readonly url: URL;
  readonly method: string;
  readonly headers: HeaderList;
  /** Kinds of addresses that the host's name may resolve to. */
  readonly kinds: ReadonlySet<AddressKind>;
}

/** A request whose target is allowed. */
export interface Outgoing {
  readonly head: Head;
  readonly body: Uint8Array | undefined;
}

/** The head of a response, and its body if it was asked for. */
export interface Incoming {
  readonly status: number;
  /** By name in lower case, repeated ones joined. */
  readonly headers: Readonly<Record<string, string>>;
  /** All of it, unless {@link Passage.wants} says otherwise or it is a redirect that will be followed. */
  readonly body: Uint8Array<ArrayBuffer> | undefined;
  /**
   * The body in the pieces in which it comes, each a copy. Its `next` throws MORTISE_HTTP_FAILED; the body's size is not
   * limited. The server is held back while nobody reads.
   */
  stream(): AsyncIterator<Uint8Array<ArrayBuffer>, unknown>;
  /** Gives the response up, its connection too. Of no effect after the end of the body. */
  discard(): void;
}

/** What ends an exchange before its time. */
export interface Ending {
  /** The error, once it has ended. */
  readonly reason: Error | undefined;
  /** Aborted with the reason; made when it is first asked for. */
  readonly signal: AbortSignal;
  /** Calls a function when it ends, in place of the one before. */
  watch(ended: ((reason: Error) => void) | undefined): void;
}

/** What a request may use. */
export interface Passage {
  readonly report: FailureReport;
  readonly ending: Ending;
  /** `body`: the response is wanted when all of it is there. `head`: as soon as its head is there. */
  readonly wants: "head" | "body";
  /** Redirects will be followed, so that their bodies are of no use. */
  readonly follows: boolean;
}

/** One way to carry requests. */
export interface Transport {
  /** @throws MortiseError MORTISE_HTTP_DENIED, MORTISE_HTTP_LIMIT or MORTISE_HTTP_FAILED, or the reason of the ending */
  exchange(request: Outgoing, passage: Passage): Promise<Incoming>;
  /** Closes every connection. */
  close(): void;
}
