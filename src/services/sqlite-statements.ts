// Runs statements of guests on SQLite, in a process made for it: what a statement may do is decided by SQLite itself.

import { existsSync } from "node:fs";
import { DatabaseSync, type StatementSync, constants } from "node:sqlite";

import { ResultWriter } from "./database-values.ts";
import type { SqliteAnswer, SqliteFailureKind, SqliteRequest } from "./sqlite-protocol.ts";

/** Databases that are held open. */
const MAX_OPEN = 32;
/** Bytes of one text or blob. */
const MAX_VALUE_BYTES = 8 << 20;

/** What the statement of a guest does, as far as it is no write of rows or change of the schema. */
const READING: ReadonlySet<number> = new Set([constants.SQLITE_SELECT, constants.SQLITE_READ, constants.SQLITE_FUNCTION, constants.SQLITE_RECURSIVE]);
const WRITING: ReadonlySet<number> = new Set([...READING, constants.SQLITE_INSERT, constants.SQLITE_UPDATE, constants.SQLITE_DELETE]);
const CHANGING: ReadonlySet<number> = new Set([
  ...WRITING,
  constants.SQLITE_CREATE_TABLE,
  constants.SQLITE_CREATE_INDEX,
  constants.SQLITE_CREATE_VIEW,
  constants.SQLITE_CREATE_TRIGGER,
  constants.SQLITE_DROP_TABLE,
  constants.SQLITE_DROP_INDEX,
  constants.SQLITE_DROP_VIEW,
  constants.SQLITE_DROP_TRIGGER,
  constants.SQLITE_ALTER_TABLE,
  constants.SQLITE_REINDEX,
]);
const ALLOWED = { read: READING, write: WRITING, schema: CHANGING } as const;
/** Functions that reach outside of the database. */
const DENIED_FUNCTIONS: ReadonlySet<string> = new Set(["load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"]);

/** A failure that is the answer. */
class Refused extends Error {
  readonly kind: SqliteFailureKind;

  constructor(kind: SqliteFailureKind, reason: string) {
    super(reason);
    this.kind = kind;
  }
}

interface Connection {
  readonly database: DatabaseSync;
  readonly changes: StatementSync;
  /** True while statements of our own are prepared. */
  ours: boolean;
}

const connections = new Map<string, Connection>();

/** Runs one statement, in a transaction of its own; it never throws. */
export function runStatement(request: SqliteRequest): SqliteAnswer {
  const name = JSON.stringify([request.path, request.access, request.busyMs, request.maxFileBytes]);
  try {
    const connection = connect(name, request);
    try {
      return { json: request.access === "read" ? execute(connection, request) : transact(connection, request) };
    } catch (error) {
      const answer = explain(error);
      // Whatever state it is in: the next statement gets a new one.
      if (answer.kind === "unavailable") drop(name);
      return answer;
    }
  } catch (error) {
    return explain(error, "unavailable");
  }
}

function connect(name: string, request: SqliteRequest): Connection {
  const found = connections.get(name);
  if (found !== undefined) {
    connections.delete(name);
    connections.set(name, found);
    return found;
  }
  const { path, access } = request;
  if (access !== "schema" && !existsSync(path)) throw new Refused("unavailable", "the file does not exist");
  for (const oldest of connections.keys()) {
    if (connections.size < MAX_OPEN) break;
    drop(oldest);
  }
  const connection = open(request);
  connections.set(name, connection);
  return connection;
}

function open({ path, access, busyMs, maxFileBytes }: SqliteRequest): Connection {
  const database = new DatabaseSync(path, {
    readOnly: access === "read",
    timeout: busyMs,
    allowExtension: false,
    defensive: true,
    enableDoubleQuotedStringLiterals: false,
    limits: { attach: 0, length: MAX_VALUE_BYTES, sqlLength: 1 << 20, exprDepth: 200, compoundSelect: 100, functionArg: 100, triggerDepth: 20 },
  });
  try {
    // What is sorted stays in memory, which is watched, and not on a disk that it could fill.
    database.exec(`PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON`);
    if (access === "read") database.exec("PRAGMA query_only = ON");
    else database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxFileBytes / pageSize(database)))}`);
    const connection: Connection = { database, changes: database.prepare("SELECT total_changes()"), ours: false };
    const allowed = ALLOWED[access];
    database.setAuthorizer((action, first, second) => {
      if (connection.ours) return constants.SQLITE_OK;
      if (!allowed.has(action)) return constants.SQLITE_DENY;
      if (action === constants.SQLITE_FUNCTION && DENIED_FUNCTIONS.has(String(second).toLowerCase())) return constants.SQLITE_DENY;
      // Statistics of the file, which show what other tables hold.
      if (action === constants.SQLITE_READ && /^(?:dbstat|sqlite_dbpage|sqlite_stmt|pragma_.*)$/i.test(String(first))) return constants.SQLITE_DENY;
      return constants.SQLITE_OK;
    });
    return connection;
  } catch (error) {
    database.close();
    throw error;
  }
}

function pageSize(database: DatabaseSync): number {
  return Number(Object.values(database.prepare("PRAGMA page_size").get() ?? {})[0]);
}

function drop(name: string): void {
  const connection = connections.get(name);
  connections.delete(name);
  try {
    connection?.database.close();
  } catch {
    // It is of no more use either way.
  }
}

function transact(connection: Connection, request: SqliteRequest): string {
  ourOwn(connection, "BEGIN");
  try {
    const json = execute(connection, request);
    ourOwn(connection, "COMMIT");
    return json;
  } catch (error) {
    if (connection.database.isTransaction) ourOwn(connection, "ROLLBACK");
    throw error;
  }
}

function ourOwn(connection: Connection, sql: string): void {
  connection.ours = true;
  try {
    connection.database.exec(sql);
  } finally {
    connection.ours = false;
  }
}

function execute(connection: Connection, { sql, parameters, limits }: SqliteRequest): string {
  const statement = connection.database.prepare(sql);
  if (!isBlank(sql.slice(statement.sourceSQL.length))) throw new Refused("statement", "there is more than one statement");
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  const before = total(connection);
  const writer = new ResultWriter(
    statement.columns().map(({ name }) => name),
    limits,
  );
  for (const row of statement.iterate(...parameters) as Iterable<unknown>) {
    const passed = writer.add(row as readonly unknown[]);
    if (passed !== undefined) throw new Refused("limit", passed);
  }
  return writer.finish(total(connection) - before);
}

function total(connection: Connection): number {
  connection.ours = true; // it is prepared again after a change of the schema
  try {
    return Number(Object.values(connection.changes.get() ?? {})[0]);
  } finally {
    connection.ours = false;
  }
}

/** True for SQL that holds no statement: spaces, semicolons and comments. */
function isBlank(sql: string): boolean {
  let at = 0;
  while (at < sql.length) {
    const char = sql[at] as string;
    if (sql.startsWith("--", at)) at = endOf(sql, "\n", at + 2);
    else if (sql.startsWith("/*", at)) at = endOf(sql, "*/", at + 2);
    else if (char === ";" || /\s/.test(char)) at++;
    else return false;
  }
  return true;
}

function endOf(sql: string, mark: string, from: number): number {
  const end = sql.indexOf(mark, from);
  return end < 0 ? sql.length : end + mark.length;
}

/** Result codes of SQLite that are the fault of the statement, or of nobody: everything else is the database's. */
const STATEMENT_CODES: ReadonlySet<number> = new Set([1, 3, 19, 20, 23, 25]);
const LIMIT_CODES: ReadonlySet<number> = new Set([7, 18]);
const READ_ONLY = 8;

function explain(error: unknown, other: SqliteFailureKind = "statement"): { readonly kind: SqliteFailureKind; readonly reason: string } {
  if (error instanceof Refused) return { kind: error.kind, reason: error.message };
  const reason = error instanceof Error ? error.message : String(error);
  const code = (error as { errcode?: unknown } | null)?.errcode;
  if (typeof code !== "number") return { kind: other, reason };
  const primary = code & 0xff;
  if (LIMIT_CODES.has(primary)) return { kind: "limit", reason };
  return { kind: STATEMENT_CODES.has(primary) || primary === READ_ONLY ? other : "unavailable", reason };
}
