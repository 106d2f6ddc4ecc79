// Room for the bodies of all requests under way together.

import { MortiseError } from "mortise";

import type { ResolvedLimits } from "./options.ts";

/** Milliseconds after which a client that finds no room may come again. */
const RETRY_MS = 1000;

/** What the bodies of all requests under way take. */
export class PendingBodies {
  readonly #limit: number;
  readonly #limitOfOne: number;
  #bytes = 0;
  /** Bytes of each client, where clients have names. */
  readonly #clients = new Map<string, number>();

  constructor({ pendingBodyBytes, bodyBytes }: Pick<ResolvedLimits, "pendingBodyBytes" | "bodyBytes">) {
    this.#limit = pendingBodyBytes;
    // One of several clients cannot keep all others out; a single body has room in any case.
    this.#limitOfOne = Math.max(bodyBytes, pendingBodyBytes / 2);
  }

  /** Takes room. @throws MortiseError MORTISE_GATEWAY_FULL if there is not as much */
  take(client: string | undefined, bytes: number): void {
    if (this.#bytes + bytes > this.#limit) throw full("all requests", this.#limit);
    if (client !== undefined) {
      const own = (this.#clients.get(client) ?? 0) + bytes;
      if (own > this.#limitOfOne) throw full("one client's requests", this.#limitOfOne);
      this.#clients.set(client, own);
    }
    this.#bytes += bytes;
  }

  /** Gives room back that was taken. */
  give(client: string | undefined, bytes: number): void {
    this.#bytes -= bytes;
    if (client === undefined) return;
    const own = (this.#clients.get(client) ?? 0) - bytes;
    if (own > 0) this.#clients.set(client, own);
    else this.#clients.delete(client);
  }
}

function full(whose: string, limit: number): MortiseError {
  return new MortiseError("MORTISE_GATEWAY_FULL", {
    reason: `the bodies of ${whose} under way may have ${limit} bytes together`,
    retryAfterMs: RETRY_MS,
  });
}

/** The room of one body. */
export class BodyRoom {
  readonly #all: PendingBodies;
  readonly #client: string | undefined;
  #bytes = 0;

  /** @param client its name, where clients have names */
  constructor(all: PendingBodies, client: string | undefined) {
    this.#all = all;
    this.#client = client;
  }

  /** Takes room for bytes that are there, or that the client said it will send. @throws MortiseError MORTISE_GATEWAY_FULL */
  take(bytes: number): void {
    this.#all.take(this.#client, bytes);
    this.#bytes += bytes;
  }

  /** Gives all of it back. */
  leave(): void {
    this.#all.give(this.#client, this.#bytes);
    this.#bytes = 0;
  }
}
