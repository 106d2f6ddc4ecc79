// What the stand-in remembers of requests.

import type { IncomingHttpHeaders } from "node:http";

import type { Json } from "./request.ts";

/** How a request ended. */
export type Outcome = "open" | "answered" | "client left" | "dropped";

/** One request. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** As it came; text. */
  readonly body: string;
  readonly json: Json;
  readonly model: string;
  /** Of `authorization: Bearer` or `x-api-key`. */
  readonly key: string;
  readonly stream: boolean;
  readonly outcome: Outcome;
}

/** Counts since the start. */
export interface Counters {
  readonly requests: number;
  /** Requests that are not over. */
  readonly open: number;
  readonly mostOpen: number;
  /** Requests whose client went before the answer was whole. */
  readonly clientsLeft: number;
  /** Answers by status, and "none". */
  readonly statuses: Readonly<Record<string, number>>;
}

/** Keeps the last requests, and counts all. */
export class Records {
  readonly #keep: number;
  readonly #seen: { -readonly [Key in keyof SeenRequest]: SeenRequest[Key] }[] = [];
  readonly #statuses = new Map<string, number>();
  #requests = 0;
  #open = 0;
  #mostOpen = 0;
  #clientsLeft = 0;
  #idle: (() => void)[] = [];

  constructor(keep: number) {
    this.#keep = keep;
  }

  get requests(): readonly SeenRequest[] {
    return this.#seen;
  }

  get counters(): Counters {
    const statuses = Object.fromEntries([...this.#statuses].toSorted(([a], [b]) => a.localeCompare(b)));
    return { requests: this.#requests, open: this.#open, mostOpen: this.#mostOpen, clientsLeft: this.#clientsLeft, statuses };
  }

  opened(): void {
    this.#requests++;
    this.#mostOpen = Math.max(this.#mostOpen, ++this.#open);
  }

  /** Remembers a request that was read; gives what says how it ended. */
  read(make: () => Omit<SeenRequest, "outcome">): (outcome: Outcome) => void {
    if (this.#keep === 0) return () => undefined;
    const seen = { ...make(), outcome: "open" as Outcome };
    this.#seen.push(seen);
    if (this.#seen.length > this.#keep) this.#seen.shift();
    return (outcome) => {
      seen.outcome = outcome;
    };
  }

  closed(outcome: Outcome, status: string): void {
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
    if (outcome === "client left") this.#clientsLeft++;
    if (--this.#open > 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }

  /** When no request is open. */
  settled(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }
}
