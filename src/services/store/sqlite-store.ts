// Keys and values in a file of SQLite, which processes of one machine can share. Every operation answers at once.

import type { DatabaseSync, StatementSync } from "node:sqlite";

import { invalidOption } from "../../api/limits.ts";
import type { Store, StoreQuota, StoreUsage, WriteOptions } from "../../api/store.ts";
import { type ListOptions, byteRange, checkList, checkName, checkNamespace, checkValue, expiryAt } from "./arguments.ts";
import { addDecimal, notANumber } from "./decimal.ts";
import { type Excess, checkQuota, excessOver, quotaError } from "./quota.ts";
import { sqliteFailure } from "./sqlite-failure.ts";
import { openStoreFile } from "./sqlite-file.ts";
import { closedStore } from "./unavailable.ts";

/** Options of {@link createSqliteStore}. */
export interface SqliteStoreOptions {
  /** The file, in a folder that exists; made for this user alone if it is not there. Others lie beside it while it is open. */
  readonly path: string;
  /** Milliseconds that an operation waits for other processes, during which it holds the thread. @default 1000 */
  readonly busyTimeoutMs?: number;
  /** Waits with every write until the disk has it, so that a power failure loses nothing. @default false */
  readonly durable?: boolean;
  /** Clock in milliseconds since 1970, for tests; the same for all processes that share the file. @default Date.now */
  readonly clock?: () => number;
}

/** A store in a file; all of its answers come at once. */
export interface SqliteStore extends Store {
  get(namespace: string, key: string): Uint8Array<ArrayBuffer> | undefined;
  set(namespace: string, key: string, value: Uint8Array, options?: WriteOptions): void;
  delete(namespace: string, key: string): boolean;
  list(namespace: string, options: ListOptions): string[];
  compareAndSet(namespace: string, key: string, expected: Uint8Array | undefined, value: Uint8Array | undefined, options?: WriteOptions): boolean;
  increment(namespace: string, key: string, delta: bigint, options?: WriteOptions): bigint;
  usage(namespace: string): StoreUsage;
  clear(namespace: string): void;
}

/** Expired keys that every write removes, and at a time when room is needed. */
const WRITE_SWEEP = 32;
const ROOM_SWEEP = 1024;

const STATEMENTS = {
  begin: "BEGIN IMMEDIATE",
  commit: "COMMIT",
  rollback: "ROLLBACK",
  value: "SELECT value, expires FROM entries WHERE namespace = ? AND key = ? AND (expires IS NULL OR expires > ?)",
  size: "SELECT length(value) AS size FROM entries WHERE namespace = ? AND key = ?",
  put: `INSERT INTO entries VALUES (?, ?, ?, ?)
    ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, expires = excluded.expires`,
  remove: "DELETE FROM entries WHERE namespace = ? AND key = ? RETURNING expires",
  list: `SELECT key FROM entries WHERE namespace = ? AND key >= ? AND key < ? AND (expires IS NULL OR expires > ?)
    ORDER BY key LIMIT ?`,
  total: "SELECT keys, bytes FROM totals WHERE namespace = ?",
  expired:
    "SELECT count(*) AS keys, total(length(key) + length(value)) AS bytes FROM entries INDEXED BY expiries WHERE namespace = ? AND expires <= ?",
  sweep: "DELETE FROM entries WHERE (namespace, key) IN (SELECT namespace, key FROM entries WHERE expires <= ? ORDER BY expires LIMIT ?)",
  clear: "DELETE FROM entries WHERE namespace = ?",
} as const;

type Statements = Record<keyof typeof STATEMENTS, StatementSync>;

/**
 * Opens a store in a file.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION; MORTISE_STORE_UNAVAILABLE if the file cannot be opened or is none of this store
 */
export function createSqliteStore(options: SqliteStoreOptions): SqliteStore {
  const { path, busyTimeoutMs = 1000, durable = false, clock = Date.now } = options;
  if (typeof path !== "string" || path === "" || path.includes("\0"))
    throw invalidOption("path", JSON.stringify(path) ?? "absent", "the path of a file");
  if (!(Number.isSafeInteger(busyTimeoutMs) && busyTimeoutMs >= 0 && busyTimeoutMs < 2 ** 31))
    throw invalidOption("busyTimeoutMs", String(busyTimeoutMs), "a whole number of milliseconds, not negative");
  try {
    const database = openStoreFile({ path, busyTimeoutMs, durable });
    return new Sqlite(database, clock);
  } catch (error) {
    throw sqliteFailure(error);
  }
}

/** A key that is not expired. */
interface Live {
  readonly value: Uint8Array<ArrayBuffer>;
  readonly expires: number | null;
}

class Sqlite implements SqliteStore {
  readonly kind = "sqlite";
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  readonly #clock: () => number;

  constructor(database: DatabaseSync, clock: () => number) {
    this.#database = database;
    this.#clock = clock;
    const prepared = Object.entries(STATEMENTS).map(([name, text]): [string, StatementSync] => [name, database.prepare(text)]);
    this.#statements = Object.fromEntries(prepared) as Statements;
  }

  get(namespace: string, key: string): Uint8Array<ArrayBuffer> | undefined {
    checkName(namespace, key);
    return this.#run(() => this.#live(namespace, key)?.value);
  }

  set(namespace: string, key: string, value: Uint8Array, { ttlMs, quota }: WriteOptions = {}): void {
    checkName(namespace, key);
    checkValue(value);
    const expires = expiryAt(this.#now(), ttlMs) ?? null;
    this.#change(() => this.#put(namespace, key, value, expires, quota));
  }

  delete(namespace: string, key: string): boolean {
    checkName(namespace, key);
    return this.#change(() => this.#remove(namespace, key));
  }

  list(namespace: string, options: ListOptions): string[] {
    checkNamespace(namespace);
    const { prefix, from, limit } = checkList(options);
    const { least, end } = byteRange(prefix, from);
    const rows = this.#run(() => this.#statements.list.all(toBytes(namespace), least, end, this.#now(), limit));
    return rows.map(({ key }) => Buffer.from(key as Uint8Array).toString());
  }

  compareAndSet(
    namespace: string,
    key: string,
    expected: Uint8Array | undefined,
    value: Uint8Array | undefined,
    { ttlMs, quota }: WriteOptions = {},
  ): boolean {
    checkName(namespace, key);
    if (value !== undefined) checkValue(value);
    const expires = expiryAt(this.#now(), ttlMs) ?? null;
    return this.#change(() => {
      const found = this.#live(namespace, key)?.value;
      const same = found === undefined || expected === undefined ? found === expected : Buffer.compare(found, expected) === 0;
      if (!same) return false;
      if (value === undefined) this.#remove(namespace, key);
      else this.#put(namespace, key, value, expires, quota);
      return true;
    });
  }

  increment(namespace: string, key: string, delta: bigint, { ttlMs, quota }: WriteOptions = {}): bigint {
    checkName(namespace, key);
    const expires = expiryAt(this.#now(), ttlMs) ?? null;
    return this.#change(() => {
      const found = this.#live(namespace, key);
      const sum = addDecimal(found?.value, delta);
      if (typeof sum === "string") throw notANumber(this.kind, namespace, key, sum);
      this.#put(namespace, key, toBytes(String(sum)), found === undefined ? expires : found.expires, quota);
      return sum;
    });
  }

  usage(namespace: string): StoreUsage {
    checkNamespace(namespace);
    const name = toBytes(namespace);
    return this.#run(() => {
      // One statement after the other, but both of one state of the file.
      this.#database.exec("BEGIN");
      try {
        const { keys, bytes } = this.#total(name);
        const expired = this.#statements.expired.get(name, this.#now());
        return { keys: keys - Number(expired?.["keys"]), bytes: bytes - Number(expired?.["bytes"]) };
      } finally {
        this.#rollBack();
      }
    });
  }

  clear(namespace: string): void {
    checkNamespace(namespace);
    this.#change(() => this.#statements.clear.run(toBytes(namespace)));
  }

  close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Whole milliseconds, as the file keeps them. */
  #now(): number {
    return Math.floor(this.#clock());
  }

  #live(namespace: string, key: string): Live | undefined {
    return this.#statements.value.get(toBytes(namespace), toBytes(key), this.#now()) as Live | undefined;
  }

  #total(namespace: Uint8Array): StoreUsage {
    const row = this.#statements.total.get(namespace);
    return { keys: Number(row?.["keys"] ?? 0), bytes: Number(row?.["bytes"] ?? 0) };
  }

  #remove(namespace: string, key: string): boolean {
    const removed = this.#statements.remove.get(toBytes(namespace), toBytes(key));
    if (removed === undefined) return false;
    const { expires } = removed;
    return expires === null || Number(expires) > this.#now();
  }

  #put(namespace: string, key: string, value: Uint8Array, expires: number | null, quota: StoreQuota | undefined): void {
    checkQuota(quota);
    const name = toBytes(namespace);
    const keyBytes = toBytes(key);
    if (quota !== undefined) {
      for (;;) {
        const excess = this.#excess(name, keyBytes, value.length, quota);
        if (excess === undefined) break;
        // What expired does not count; it is removed as far as room is needed.
        if (this.#sweep(ROOM_SWEEP) === 0) throw quotaError(this.kind, namespace, key, excess);
      }
    }
    this.#statements.put.run(name, keyBytes, value, expires);
  }

  #excess(namespace: Uint8Array, key: Uint8Array, valueBytes: number, quota: StoreQuota): Excess | undefined {
    const { keys, bytes } = this.#total(namespace);
    const old = this.#statements.size.get(namespace, key);
    const grown = old === undefined ? key.length + valueBytes : valueBytes - Number(old["size"]);
    return excessOver(quota, { keys: keys + (old === undefined ? 1 : 0), bytes: bytes + grown });
  }

  #sweep(most: number): number {
    return Number(this.#statements.sweep.run(this.#now(), most).changes);
  }

  /** Work that changes the file: all of it, or nothing. Expired keys go on the way. */
  #change<Result>(work: () => Result): Result {
    return this.#run(() => {
      this.#statements.begin.run();
      try {
        this.#sweep(WRITE_SWEEP);
        const result = work();
        this.#statements.commit.run();
        return result;
      } catch (error) {
        this.#rollBack();
        throw error;
      }
    });
  }

  /** Ends a transaction, unless SQLite has done so itself because of an error. */
  #rollBack(): void {
    if (this.#database.isTransaction) this.#statements.rollback.run();
  }

  #run<Result>(work: () => Result): Result {
    if (!this.#database.isOpen) throw closedStore(this.kind);
    try {
      return work();
    } catch (error) {
      throw sqliteFailure(error);
    }
  }
}

function toBytes(text: string): Uint8Array {
  return Buffer.from(text);
}
