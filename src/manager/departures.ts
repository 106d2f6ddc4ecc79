// Versions on their way out: they serve no new run, and are closed when nothing uses them any more.

import { printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import type { Roster } from "../hooks/roster.ts";
import type { CloseOptions } from "../host/plugin.ts";
import type { Version } from "./version.ts";

/** How a version goes. */
export interface Departure extends CloseOptions {
  readonly reason: string;
  /** Milliseconds that runs under way have before they are ended. @default 30,000 */
  readonly drainMs?: number;
  /** What must be gone before it is closed. @default nothing */
  readonly after?: Promise<unknown>;
}

/** Options of `host.plugins.unload`. */
export interface UnloadOptions extends CloseOptions {
  /** Milliseconds that runs under way have before they are ended. @default 30,000 */
  readonly drainMs?: number;
  /** A version that does not serve; the others stay. @default all of them */
  readonly version?: string;
}

const DRAIN_MS = 30_000;
/** The longest that a timer takes. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkDrain({ drainMs = DRAIN_MS }: UnloadOptions): void {
  if (typeof drainMs !== "number" || !(drainMs >= 0)) throw invalidOption("drainMs", printable(drainMs), "milliseconds, 0 or more");
}

/** The versions of a host that are on their way out. */
export class Departures {
  readonly #roster: Roster;
  readonly #leaving = new Map<Version, Promise<void>>();

  constructor(roster: Roster) {
    this.#roster = roster;
  }

  /** Sends a version off that serves no more. Settled when nothing of it is left. */
  add(version: Version, departure: Departure): Promise<void> {
    version.machine.enter("draining", departure.reason);
    const gone = this.#see(version, departure).finally(() => this.#leaving.delete(version));
    this.#leaving.set(version, gone);
    return gone;
  }

  async #see(version: Version, { abort = false, drainMs = DRAIN_MS, after, reason }: Departure): Promise<void> {
    const { seating, machine } = version;
    const used = Promise.all([seating && this.#roster.whenUnused(seating), after]);
    let late = false;
    if (abort) void version.close({ abort });
    const { promise: expired, resolve: expire } = Promise.withResolvers<void>();
    const end = (): void => {
      late = true;
      void version.close({ abort: true });
      expire();
    };
    const timer = drainMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(end, Math.min(drainMs, MAX_TIMER_MS)).unref();
    try {
      await Promise.race([used, expired]);
      // Calls that no hook has made may still run.
      await version.close();
    } finally {
      clearTimeout(timer);
    }
    machine.enter("unloaded", late ? `${reason}; what still ran after ${drainMs} ms was ended` : reason);
  }

  /** Ends what still runs in any of them. */
  abort(): void {
    for (const version of this.#leaving.keys()) void version.close({ abort: true });
  }

  /** Settled when all of them are gone. */
  async all(): Promise<void> {
    await Promise.all(this.#leaving.values());
  }
}
