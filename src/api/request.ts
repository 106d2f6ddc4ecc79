// The context of one request, which travels through all hooks and services that serve it.

import { randomUUID } from "node:crypto";

import { printable } from "./errors.ts";
import { invalidOption } from "./limits.ts";

/** Bounds of the attributes that plugins make: how many a request may have, and bytes of a name and of a value. */
export const ATTRIBUTE_LIMITS = { maxAttributes: 64, maxNameBytes: 256, maxValueBytes: 4096 } as const;

const BRAND = Symbol.for("mortise.request");

/** What {@link RequestContext} is made from. */
export interface RequestOptions {
  /** Name of the request in logs and for plugins; the same in every hook. @default a random UUID */
  readonly id?: string;
  /** W3C trace context that the request came with. @default none */
  readonly traceparent?: string;
  /** What is known of the request, by name; plugins read and write under permission. @default empty */
  readonly attributes?: Readonly<Record<string, string>> | ReadonlyMap<string, string> | undefined;
  /** Milliseconds for all hooks of the request together. @default unlimited */
  readonly timeoutMs?: number;
  /** Ends what is done for the request. */
  readonly signal?: AbortSignal;
  /** Monotonic clock in milliseconds, for tests. @default performance.now */
  readonly clock?: () => number;
}

/** One request. The embedding application makes one for each, and hands it to every hook that it runs. */
export class RequestContext {
  readonly id: string;
  readonly traceparent: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Attributes by name. Plugins see and change those that their permissions name. */
  readonly attributes: Map<string, string>;
  /** Milliseconds that the request had in all. */
  readonly timeoutMs: number;
  readonly #clock: () => number;
  readonly #endsAt: number;

  /** @throws MortiseError MORTISE_INVALID_OPTION */
  constructor({ id = randomUUID(), traceparent, attributes = {}, timeoutMs = Number.POSITIVE_INFINITY, signal, clock = now }: RequestOptions = {}) {
    if (typeof id !== "string") throw invalidOption("id", typeof id, "text");
    if (typeof (traceparent ?? "") !== "string") throw invalidOption("traceparent", typeof traceparent, "text");
    this.attributes = new Map();
    for (const [name, value] of attributes instanceof Map ? attributes : Object.entries(attributes)) {
      if (typeof value !== "string") throw invalidOption(`attributes.${name}`, typeof value, "text");
      this.attributes.set(name, value);
    }
    // Not a number would be no deadline at all; one that has passed already is a deadline.
    if (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs)) throw invalidOption("timeoutMs", printable(timeoutMs), "a number of milliseconds");
    this.id = id;
    this.traceparent = traceparent;
    this.signal = signal;
    this.timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#endsAt = timeoutMs === Number.POSITIVE_INFINITY ? timeoutMs : clock() + timeoutMs;
  }

  /** Milliseconds until the request's deadline; not positive once it has passed. */
  get timeLeftMs(): number {
    return this.#endsAt === Number.POSITIVE_INFINITY ? this.#endsAt : this.#endsAt - this.#clock();
  }

  get [BRAND](): true {
    return true;
  }
}

const now = (): number => performance.now();

/** True for a request context, also of another copy of the package. */
export function isRequestContext(value: unknown): value is RequestContext {
  return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}
