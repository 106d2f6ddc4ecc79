// The file of the SQLite store: how it is made, opened, and recognised.

import { closeSync, openSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { isBusy } from "./sqlite-failure.ts";
import { unavailable } from "./unavailable.ts";

/** Marks the file as ours, in its header: "mort". */
const APPLICATION = 0x6d6f7274;
/** Version of {@link SCHEMA}. */
const VERSION = 1;

/**
 * Names and keys are UTF-8 bytes, so that they sort by them and hold any character. What a namespace holds is added up
 * by triggers: then no way of changing entries can forget it.
 */
const SCHEMA = `
  CREATE TABLE entries (
    namespace BLOB NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, expires INTEGER,
    PRIMARY KEY (namespace, key)
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX expiries ON entries (expires) WHERE expires IS NOT NULL;
  CREATE TABLE totals (namespace BLOB PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID, STRICT;
  CREATE TRIGGER added AFTER INSERT ON entries BEGIN
    INSERT INTO totals VALUES (new.namespace, 1, length(new.key) + length(new.value))
    ON CONFLICT (namespace) DO UPDATE SET keys = keys + 1, bytes = bytes + excluded.bytes;
  END;
  CREATE TRIGGER changed AFTER UPDATE OF value ON entries BEGIN
    UPDATE totals SET bytes = bytes + length(new.value) - length(old.value) WHERE namespace = new.namespace;
  END;
  CREATE TRIGGER removed AFTER DELETE ON entries BEGIN
    UPDATE totals SET keys = keys - 1, bytes = bytes - length(old.key) - length(old.value) WHERE namespace = old.namespace;
    DELETE FROM totals WHERE namespace = old.namespace AND keys = 0;
  END;
  PRAGMA application_id = ${APPLICATION};
  PRAGMA user_version = ${VERSION};
`;

/** How the file is opened. */
export interface FileOptions {
  readonly path: string;
  readonly busyTimeoutMs: number;
  readonly durable: boolean;
}

/**
 * Opens the file, and makes it if it is not there.
 *
 * @throws MortiseError MORTISE_STORE_UNAVAILABLE if it is not a file of this store
 * @throws Error of SQLite
 */
export function openStoreFile({ path, busyTimeoutMs, durable }: FileOptions): DatabaseSync {
  const file = resolve(path);
  createPrivately(file);
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs });
  try {
    // Before anything is written: the file may be somebody else's.
    const isNew = !isOurs(database, file);
    patiently(busyTimeoutMs, () => database.exec("PRAGMA journal_mode = WAL"));
    database.exec(`PRAGMA synchronous = ${durable ? "FULL" : "NORMAL"}; PRAGMA journal_size_limit = ${16 << 20}`);
    if (isNew) createSchema(database, file);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Makes an empty file that nobody else can read; files beside it get the same permissions from SQLite. One that exists is
 * never opened here: closing it would take away the locks that this process holds on it.
 */
function createPrivately(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST") throw unavailable("sqlite", `the file cannot be made (${code ?? String(error)})`, error);
    if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) throw unavailable("sqlite", "the path does not name a file", error);
  }
}

/** False for an empty database. @throws MortiseError for one of somebody else, or of a newer version */
function isOurs(database: DatabaseSync, file: string): boolean {
  const application = pragma(database, "application_id");
  if (application === 0 && pragma(database, "schema_version") === 0) return false;
  if (application !== APPLICATION) throw unavailable("sqlite", `"${file}" is a database of another program`);
  const version = pragma(database, "user_version");
  if (version !== VERSION) throw unavailable("sqlite", `"${file}" has version ${version}, but this program knows version ${VERSION}`);
  return true;
}

function pragma(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

/** Creates the tables, unless another process was faster. */
function createSchema(database: DatabaseSync, file: string): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    if (!isOurs(database, file)) database.exec(SCHEMA);
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** Tries again while another process is switching the file's journal too: there SQLite itself does not wait. */
function patiently(timeoutMs: number, work: () => void): void {
  const end = performance.now() + timeoutMs;
  const idle = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    try {
      work();
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() > end) throw error;
      Atomics.wait(idle, 0, 0, 5);
    }
  }
}
