// Looks whether a chain is whole.

import { type AuditEntry, CHAIN_START, readLine } from "./entry.ts";

/** What was found in a log. */
export interface AuditVerdict {
  /** No entry was changed, left out, added or moved. */
  readonly ok: boolean;
  readonly entries: number;
  /** Number and hash of the last good entry: kept elsewhere, they show whether the end was cut off. */
  readonly head: { readonly seq: number; readonly hash: string };
  /** Number of the first entry that is there; more than 1 if older ones were rotated away. */
  readonly first: number;
  /** Decisions that the log says could not be kept. */
  readonly lost: number;
  /** The first things that are wrong, 20 at most, and how many there are. */
  readonly problems: readonly AuditProblem[];
  readonly problemCount: number;
}

/** One thing that is wrong. */
export interface AuditProblem {
  /** Number of the line, over all files. */
  readonly line: number;
  readonly reason: string;
}

/** What is expected of a log. */
export interface VerifyOptions {
  /** Key that the log was made with. @default none */
  readonly key?: string | undefined;
  /** Last entry that the log must have had; see {@link AuditVerdict.head}. @default not looked at */
  readonly head?: { readonly seq: number; readonly hash: string };
}

const MAX_PROBLEMS = 20;

/** Checks a chain line by line. */
export class ChainCheck {
  readonly #options: VerifyOptions;
  readonly #problems: AuditProblem[] = [];
  #problemCount = 0;
  #line = 0;
  #entries = 0;
  #lost = 0;
  #first: number | undefined;
  #last: { readonly seq: number; readonly hash: string } | undefined;
  #headSeen = false;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  /** Takes the next line; gives its entry, unless it cannot be read or was changed. */
  take(text: string): AuditEntry | undefined {
    this.#line++;
    const entry = readLine(text, this.#options.key);
    if (typeof entry === "string") {
      this.#wrong(entry);
      // What follows may still hold together.
      this.#last = undefined;
      this.#first ??= 0;
      return undefined;
    }
    this.#place(entry);
    this.#entries++;
    if (entry.kind === "lost") this.#lost += entry.count;
    const { head } = this.#options;
    if (head !== undefined && head.seq === entry.seq && head.hash === entry.hash) this.#headSeen = true;
    this.#last = { seq: entry.seq, hash: entry.hash };
    return entry;
  }

  #place({ seq, prev }: AuditEntry): void {
    const before = this.#last;
    if (before !== undefined) {
      if (seq !== before.seq + 1) this.#wrong(`it has number ${seq}, but ${before.seq + 1} should follow`);
      else if (prev !== before.hash) this.#wrong(`entry ${seq} does not follow the one before it`);
      return;
    }
    if (this.#first !== undefined) return;
    this.#first = seq;
    if (seq < 1 || (seq === 1 && prev !== CHAIN_START.hash)) this.#wrong("the first entry follows one that is not there");
  }

  #wrong(reason: string): void {
    this.#problemCount++;
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push({ line: this.#line, reason });
  }

  verdict(): AuditVerdict {
    const { head } = this.#options;
    if (head !== undefined && head.seq > 0 && !this.#headSeen) {
      this.#line++;
      this.#wrong(`entry ${head.seq} with the hash that was noted is missing`);
    }
    return {
      ok: this.#problemCount === 0,
      entries: this.#entries,
      head: this.#last ?? CHAIN_START,
      first: this.#first ?? 0,
      lost: this.#lost,
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }
}
