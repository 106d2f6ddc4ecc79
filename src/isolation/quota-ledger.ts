// What places of a plugin may add to its granted folders, together: each gets a part of what is left, and what it had used
// when it ended is gone from that.

import { type Allowance, DEFAULT_BYTES, type PathGrant } from "../wasi/granted-folders.ts";
import { MAX_ENTRIES } from "../wasi/quota.ts";

/** The part of one place. */
export interface Share {
  /** What the place may add to each folder. */
  readonly allowances: readonly Allowance[];
  /**
   * Gives back what the place has not used. Only the first time counts.
   *
   * @param used what it said that it had added to each folder; undefined if it cannot have said all, which counts as everything
   */
  end(used: readonly Allowance[] | undefined): void;
}

/** The quotas of one plugin's folders. */
export class QuotaLedger {
  /** What no place has, for each folder. */
  #left: readonly Allowance[];
  readonly #maxPlaces: number;
  #places = 0;

  /**
   * @param paths granted folders; the order is that of {@link Share.allowances}
   * @param maxPlaces places at once
   */
  constructor(paths: Readonly<Record<string, PathGrant>>, maxPlaces: number) {
    this.#left = Object.values(paths).map((grant) => ({
      bytes: (typeof grant === "string" ? undefined : grant.maxBytes) ?? DEFAULT_BYTES,
      entries: MAX_ENTRIES,
    }));
    this.#maxPlaces = maxPlaces;
  }

  /** The part of a new place: what is left, divided by the places that there may still be. */
  open(): Share {
    const places = Math.max(1, this.#maxPlaces - this.#places);
    this.#places++;
    const allowances = this.#left.map(({ bytes, entries }) => ({ bytes: partOf(bytes, places), entries: partOf(entries, places) }));
    this.#left = this.#left.map((left, index) => minus(left, allowances[index]));
    let ended = false;
    return {
      allowances,
      end: (used) => {
        if (ended) return;
        ended = true;
        this.#places--;
        if (used === undefined) return;
        this.#left = this.#left.map((left, index) => {
          const given = allowances[index] as Allowance;
          const rest = minus(given, used[index]);
          return { bytes: left.bytes + rest.bytes, entries: left.entries + rest.entries };
        });
      },
    };
  }
}

/** No limit is no limit for each. */
function partOf(amount: number, places: number): number {
  return amount === Number.POSITIVE_INFINITY ? amount : Math.floor(amount / places);
}

/** What remains. A place that says less than nothing or more than it had is not believed. */
function minus(from: Allowance, taken: Allowance = { bytes: 0, entries: 0 }): Allowance {
  return { bytes: less(from.bytes, taken.bytes), entries: less(from.entries, taken.entries) };
}

function less(from: number, taken: number): number {
  return from === Number.POSITIVE_INFINITY ? from : Math.max(0, from - taken);
}
