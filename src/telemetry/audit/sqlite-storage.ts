// Entries in a table of SQLite.

import { chmodSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";

import { MortiseError } from "../../api/errors.ts";
import { CHAIN_START, type ChainedLine, readLine } from "./entry.ts";
import type { AuditStorage, ChainEnd } from "./sink.ts";

/** How a table is written. */
export interface SqliteStorageOptions {
  readonly path: string;
  /** Entries that are kept; 0 keeps all. */
  readonly maxEntries: number;
  readonly key: string | undefined;
}

/** Name of the table, which tells a log from other databases. */
export const TABLE = "mortise_audit";

/** Milliseconds that another process may hold the database while this one waits for it, and with it the thread. */
const BUSY_MS = 20;

const SCHEMA = `CREATE TABLE IF NOT EXISTS ${TABLE} (
  seq INTEGER PRIMARY KEY,
  time TEXT NOT NULL,
  kind TEXT NOT NULL,
  hook TEXT,
  plugin TEXT,
  request TEXT,
  entry TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS ${TABLE}_request ON ${TABLE} (request);
CREATE INDEX IF NOT EXISTS ${TABLE}_plugin ON ${TABLE} (plugin, seq);`;

/** A database of its own. Writing holds the thread: 256 entries at most at once, some milliseconds. */
export class SqliteStorage implements AuditStorage {
  readonly name: string;
  readonly #options: SqliteStorageOptions;
  #database: DatabaseSync | undefined;
  #insert: StatementSync | undefined;

  constructor(options: SqliteStorageOptions) {
    this.#options = options;
    this.name = `"${options.path}"`;
  }

  async open(): Promise<{ head: ChainEnd; cutBytes: number }> {
    const { path, key } = this.#options;
    try {
      const database = new DatabaseSync(path, { timeout: BUSY_MS });
      this.#database = database;
      if (path !== ":memory:") chmodSync(path, 0o600);
      // A write-ahead log is synced when it is merged: a crash of the machine may cost the last entries, never the order.
      database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;");
      database.exec(SCHEMA);
      this.#insert = database.prepare(
        `INSERT INTO ${TABLE} (seq, time, kind, hook, plugin, request, entry)
         VALUES (?1, ?2 ->> 'time', ?2 ->> 'kind', ?2 ->> 'hook', ?2 ->> 'plugin', ?2 ->> 'request', ?2)`,
      );
      const last = database.prepare(`SELECT entry FROM ${TABLE} ORDER BY seq DESC LIMIT 1`).get();
      if (last === undefined) return { head: CHAIN_START, cutBytes: 0 };
      const entry = readLine(String(last["entry"]), key);
      if (typeof entry === "string") throw new Error(`its last entry was not made with this key: ${entry}`);
      return { head: { seq: entry.seq, hash: entry.hash }, cutBytes: 0 };
    } catch (error) {
      await this.close();
      throw new MortiseError(
        "MORTISE_AUDIT_UNREADABLE",
        { source: this.name, reason: error instanceof Error ? error.message : String(error) },
        error,
      );
    }
  }

  async write(lines: readonly ChainedLine[]): Promise<void> {
    const database = this.#database;
    const insert = this.#insert;
    if (database === undefined || insert === undefined) throw new Error("it is closed");
    const { maxEntries } = this.#options;
    database.exec("BEGIN IMMEDIATE");
    try {
      for (const { seq, text } of lines) insert.run(seq, text);
      const last = lines.at(-1);
      if (maxEntries > 0 && last !== undefined) database.prepare(`DELETE FROM ${TABLE} WHERE seq <= ?`).run(last.seq - maxEntries);
      database.exec("COMMIT");
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  }

  async sync(): Promise<void> {
    this.#database?.exec("PRAGMA wal_checkpoint(PASSIVE)");
  }

  async close(): Promise<void> {
    const database = this.#database;
    this.#database = undefined;
    this.#insert = undefined;
    database?.close();
  }
}

/** The lines of a log, the oldest first. @throws MortiseError MORTISE_AUDIT_UNREADABLE */
export function* sqliteLines(path: string): Generator<string, void, undefined> {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
    // Columns that were changed would mislead whoever asks the database itself.
    const rows = database
      .prepare(
        `SELECT entry, CASE WHEN json_valid(entry) THEN
           entry ->> 'seq' IS seq AND entry ->> 'kind' IS kind AND entry ->> 'plugin' IS plugin AND entry ->> 'time' IS time
           AND entry ->> 'hook' IS hook AND entry ->> 'request' IS request ELSE 0 END AS same FROM ${TABLE} ORDER BY seq`,
      )
      .iterate();
    for (const { entry, same } of rows) yield same === 1 ? String(entry) : `${String(entry)} `;
  } catch (error) {
    throw new MortiseError(
      "MORTISE_AUDIT_UNREADABLE",
      { source: `"${path}"`, reason: error instanceof Error ? error.message : String(error) },
      error,
    );
  } finally {
    database?.close();
  }
}
