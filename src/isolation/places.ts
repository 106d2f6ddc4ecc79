// The threads and processes of this process: how many there are, and one of each kind kept ready.

import { MortiseError } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import type { Place, PlaceConfig, PlaceKind } from "./place.ts";
import { startProcess } from "./process-place.ts";
import { startThread } from "./thread-place.ts";

/** How many places there may be in this process, for all plugins together. */
export interface IsolationLimits {
  /** Worker threads at once. @default 64 */
  readonly threads?: number;
  /** Child processes at once. @default 32 */
  readonly processes?: number;
  /** Keep one place of each kind that is in use started, for the plugin that needs one next. @default true */
  readonly spare?: boolean;
}

const limits = { threads: 64, processes: 32, spare: true };

/**
 * Sets how many places there may be. Places that run are not ended.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function configureIsolation(options: IsolationLimits): void {
  for (const name of ["threads", "processes"] as const) {
    const value = options[name];
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || value < 0) throw invalidOption(name, String(value), "a whole number, not negative");
    limits[name] = value;
  }
  if (options.spare === undefined) return;
  limits.spare = options.spare;
  if (!options.spare) for (const kind of KINDS) void endSpare(kind);
}

interface Spare {
  readonly key: string;
  readonly place: Place;
  /** Fulfilled when it has started, rejected with the reason if it has not. */
  readonly started: Promise<void>;
}

interface Kind {
  readonly start: (config: PlaceConfig) => Place;
  readonly limit: "threads" | "processes";
  readonly alive: Set<Place>;
  /** Plugins that have places of this kind. */
  users: number;
  spare: Spare | undefined;
  timer: NodeJS.Timeout | undefined;
}

const KINDS = ["thread", "process"] as const satisfies PlaceKind[];
const kinds: Readonly<Record<PlaceKind, Kind>> = {
  thread: { start: startThread, limit: "threads", alive: new Set(), users: 0, spare: undefined, timer: undefined },
  process: { start: startProcess, limit: "processes", alive: new Set(), users: 0, spare: undefined, timer: undefined },
};

/** Places that run now. */
export function placeCounts(): Readonly<Record<PlaceKind, number>> {
  return { thread: kinds.thread.alive.size, process: kinds.process.alive.size };
}

/** Says that a plugin uses places of a kind; returns what says that it no longer does, and waits for the spare place's end. */
export function usePlaces(kind: PlaceKind): () => Promise<void> {
  const entry = kinds[kind];
  entry.users++;
  let over = false;
  return async () => {
    if (over) return;
    over = true;
    if (--entry.users > 0) return;
    clearTimeout(entry.timer);
    await endSpare(kind);
  };
}

/**
 * A place that has started; the spare one, if it is set up alike.
 *
 * @param startMs milliseconds that starting may take
 * @throws MortiseError MORTISE_WORKER_LIMIT, or MORTISE_ISOLATION_LOST if it does not start
 */
export async function takePlace(kind: PlaceKind, config: PlaceConfig, plugin: string, startMs: number): Promise<Place> {
  const entry = kinds[kind];
  const key = JSON.stringify(config);
  if (entry.spare !== undefined && entry.spare.key !== key) void endSpare(kind);
  const taken = entry.spare ?? begin(entry, kind, key, config, plugin, startMs);
  entry.spare = undefined;
  try {
    taken.place.hold();
    await taken.started;
  } catch (error) {
    throw new MortiseError("MORTISE_ISOLATION_LOST", { plugin, place: kind, reason: (error as Error).message });
  } finally {
    taken.place.release();
  }
  return taken.place;
}

/** Sees to it that a spare place of this set-up will be there, once whoever has taken the last one is done with loading. */
export function keepSpare(kind: PlaceKind, config: PlaceConfig, plugin: string, startMs: number): void {
  const entry = kinds[kind];
  clearTimeout(entry.timer);
  entry.timer = setTimeout(() => {
    if (!limits.spare || entry.users === 0 || entry.spare !== undefined || living(entry) >= limits[entry.limit]) return;
    const spare = begin(entry, kind, JSON.stringify(config), config, plugin, startMs);
    entry.spare = spare;
    spare.started.then(
      () => spare.place.send({ type: "warm" }),
      () => {
        if (entry.spare === spare) entry.spare = undefined;
      },
    );
  }, SPARE_DELAY_MS);
  entry.timer.unref();
}

/** Starting a place takes processor time, which calls need more. */
const SPARE_DELAY_MS = 100;

/** Places that count: one that was ended and is not gone yet needs no room any more. */
function living(entry: Kind): number {
  let count = 0;
  for (const { over } of entry.alive) if (!over) count++;
  return count;
}

function begin(entry: Kind, kind: PlaceKind, key: string, config: PlaceConfig, plugin: string, startMs: number): Spare {
  const limit = limits[entry.limit];
  if (living(entry) >= limit) throw new MortiseError("MORTISE_WORKER_LIMIT", { plugin, place: kind, limit, option: entry.limit });
  const place = entry.start(config);
  entry.alive.add(place);
  void place.exited.then(() => entry.alive.delete(place));
  return { key, place, started: untilStarted(place, startMs) };
}

function untilStarted(place: Place, startMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      place.kill();
      reject(new Error(`it did not start within ${startMs} ms`));
    }, startMs);
    timer.unref();
    const ended = (reason: string): void => {
      clearTimeout(timer);
      reject(new Error(reason));
    };
    void place.exited.then(() => ended("it was ended"));
    place.listen({
      onPacket({ header }) {
        clearTimeout(timer);
        if ((header as { type?: unknown } | null)?.type === "booted") return resolve();
        place.kill();
        reject(new Error("it broke the protocol before it had started"));
      },
      onLoss: ({ reason }) => ended(reason),
    });
  });
}

async function endSpare(kind: PlaceKind): Promise<void> {
  const { spare } = kinds[kind];
  if (spare === undefined) return;
  kinds[kind].spare = undefined;
  spare.started.catch(() => {});
  spare.place.kill();
  await spare.place.exited;
}
