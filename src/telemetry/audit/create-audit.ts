// Keeps every decision that plugins take in hooks: the last ones in memory, and all of them in a file or database.

import { CHANNELS } from "../../api/channels.ts";
import { invalidOption } from "../../api/limits.ts";
import { subscribeAll } from "../subscriptions.ts";
import { type AuditDecision, bounded, recordOf } from "./entry.ts";
import { FileStorage } from "./file-storage.ts";
import { AuditSink, type AuditStorage, type SinkOptions, type SinkStats } from "./sink.ts";
import { SqliteStorage } from "./sqlite-storage.ts";

/** A file of lines, JSON each. */
export interface FileSinkOptions {
  readonly file: string;
  /** Bytes after which a new file is begun; the old one gets the name of it with `.1`, and so on. @default 64 MiB */
  readonly maxBytes?: number;
  /** Old files that are kept; 0 keeps all. @default 9 */
  readonly maxFiles?: number;
  /** Milliseconds after which what was written is put onto the disk: 0 at once, infinite never. @default 1000 */
  readonly syncMs?: number;
}

/** A database of SQLite, for the log alone. */
export interface SqliteSinkOptions {
  readonly sqlite: string;
  /** Entries that are kept; 0 keeps all. @default 1,000,000 */
  readonly maxEntries?: number;
}

/** Options of {@link createAudit}. */
export interface AuditOptions extends SinkOptions {
  /** Decisions that are kept in memory. @default 1000 */
  readonly ring?: number;
  /** Where decisions are kept for good. @default nowhere */
  readonly sink?: FileSinkOptions | SqliteSinkOptions;
  /** Time of day in milliseconds since 1970, for tests. @default Date.now */
  readonly clock?: () => number;
}

/** Which decisions are asked for. */
export interface AuditFilter {
  readonly request?: string;
  readonly plugin?: string;
  /** So many of those that fit, the newest. @default all */
  readonly last?: number;
}

/** Decisions of plugins. */
export interface Audit {
  /** Decisions in memory, the oldest first. */
  entries(filter?: AuditFilter): AuditDecision[];
  /** How many decisions there were, and what became of them in the sink. */
  stats(): { readonly decisions: number; readonly sink: SinkStats | undefined };
  /** Waits until all decisions so far are in the sink, and on its disk. @throws MortiseError MORTISE_AUDIT_FAILED */
  flush(): Promise<void>;
  /** Keeps no more, writes what waits, and closes the sink. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const RING = 1000;
const MAX_BYTES = 64 << 20;
const MAX_FILES = 9;
const SYNC_MS = 1000;
const MAX_ENTRIES = 1_000_000;
const OPTIONS: readonly string[] = ["ring", "sink", "clock", "key", "maxQueue", "onError"];

/**
 * Begins to keep the decisions of all plugins of this process. A request never waits for the sink: entries are queued, what
 * finds no room is counted, and the log says so.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION; MORTISE_AUDIT_UNREADABLE for a sink that cannot be continued
 */
export async function createAudit(options: AuditOptions = {}): Promise<Audit> {
  for (const key of Object.keys(options)) if (!OPTIONS.includes(key)) throw invalidOption(key, "unknown", `one of ${OPTIONS.join(", ")}`);
  const { ring: size = RING, sink: where, clock = Date.now, key, maxQueue, onError } = options;
  checkWhole("ring", size, 0);
  if (maxQueue !== undefined) checkWhole("maxQueue", maxQueue, 1);
  if (key !== undefined && (typeof key !== "string" || key === "")) throw invalidOption("key", key === "" ? "empty" : typeof key, "text");
  const now = (): string => new Date(clock()).toISOString();
  const sinkOptions: SinkOptions = { key, ...(maxQueue !== undefined && { maxQueue }), ...(onError && { onError }) };
  const sink = where && new AuditSink(storageOf(where, key), sinkOptions, now);
  await sink?.open();
  const ring = new Ring(size);
  const unsubscribe = subscribeAll({
    [CHANNELS.decision]: (event) => {
      const record = recordOf(event, now());
      ring.add(record);
      sink?.add(record);
    },
  });
  const close = async (): Promise<void> => {
    unsubscribe();
    await sink?.close();
  };
  return {
    entries: (filter) => ring.entries(filter),
    stats: () => ({ decisions: ring.count, sink: sink?.stats() }),
    flush: async () => sink?.flush(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function storageOf(where: FileSinkOptions | SqliteSinkOptions, key: string | undefined): AuditStorage {
  if ("file" in where) {
    const { file: path, maxBytes = MAX_BYTES, maxFiles = MAX_FILES, syncMs = SYNC_MS, ...others } = where;
    refuseOthers(others, ["file", "maxBytes", "maxFiles", "syncMs"]);
    checkPath("sink.file", path);
    checkWhole("sink.maxBytes", maxBytes, 1);
    checkWhole("sink.maxFiles", maxFiles, 0);
    if (!(typeof syncMs === "number" && syncMs >= 0)) throw invalidOption("sink.syncMs", String(syncMs), "milliseconds, 0 or more");
    return new FileStorage({ path, maxBytes, maxFiles, syncMs, key });
  }
  const { sqlite: path, maxEntries = MAX_ENTRIES, ...others } = where;
  refuseOthers(others, ["sqlite", "maxEntries"]);
  checkPath("sink.sqlite", path);
  checkWhole("sink.maxEntries", maxEntries, 0);
  return new SqliteStorage({ path, maxEntries, key });
}

function refuseOthers(others: object, known: readonly string[]): void {
  for (const name of Object.keys(others)) throw invalidOption(`sink.${name}`, "unknown", `one of ${known.join(", ")}`);
}

function checkPath(option: string, path: unknown): void {
  if (typeof path !== "string" || path === "") throw invalidOption(option, path === "" ? "empty" : typeof path, "a path");
}

function checkWhole(option: string, value: number, least: number): void {
  if (!(Number.isSafeInteger(value) && value >= least)) throw invalidOption(option, String(value), `a whole number, ${least} or more`);
}

/** The last decisions. */
class Ring {
  readonly #size: number;
  readonly #records: AuditDecision[] = [];
  /** How many there were in all; the next one goes to this place, counted around the ring. */
  count = 0;

  constructor(size: number) {
    this.#size = size;
  }

  add(record: AuditDecision): void {
    if (this.#size > 0) this.#records[this.count % this.#size] = record;
    this.count++;
  }

  entries({ request, plugin, last = Number.POSITIVE_INFINITY }: AuditFilter = {}): AuditDecision[] {
    const next = this.#size === 0 ? 0 : this.count % this.#size;
    const inOrder = this.count <= this.#size ? this.#records : [...this.#records.slice(next), ...this.#records.slice(0, next)];
    const isAsked = (name: string | undefined, kept: string): boolean => name === undefined || bounded(name) === kept;
    const fitting = inOrder.filter((record) => isAsked(request, record.request) && isAsked(plugin, record.plugin));
    return last >= fitting.length ? fitting : fitting.slice(fitting.length - Math.max(last, 0));
  }
}
