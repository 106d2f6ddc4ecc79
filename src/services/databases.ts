// Databases that an operator names for plugins: what they are, their limits, and how a query reaches one.

import { resolve } from "node:path";

import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import type { ServiceCall } from "../api/services.ts";
import { type DatabaseValue, ResultWriter } from "./database-values.ts";
import { SqlitePool } from "./sqlite-pool.ts";
import type { SqliteAnswer, SqliteFailureKind } from "./sqlite-protocol.ts";

/** A SQLite file. */
export interface SqliteDatabase {
  readonly kind: "sqlite";
  /** The file; it must exist, unless `schema` is true. */
  readonly path: string;
  /** Lets plugins with `read-write` create, alter and drop tables, indexes, views and triggers. @default false */
  readonly schema?: boolean;
  /** Bytes up to which plugins may make the file grow. @default 1 GiB */
  readonly maxFileBytes?: number;
}

/** Any other database, by a function that queries it. */
export interface CustomDatabase {
  readonly kind: "custom";
  /**
   * Runs one statement. It is up to this function that `readOnly` holds, by the database's own means, and that work ends
   * when the signal is aborted.
   */
  query(sql: string, parameters: readonly DatabaseValue[], options: CustomQueryOptions): Promise<CustomResult>;
}

/** What a custom query has to keep to. */
export interface CustomQueryOptions {
  readonly readOnly: boolean;
  /** Aborted at the deadline, and when the plugin's call is over. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Rows that are of use: one more is an error. */
  readonly maxRows: number;
  readonly plugin: string;
}

/** What a custom query gives: rows with a value for each column. */
export interface CustomResult {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  /** Rows that were changed. @default 0 */
  readonly changes?: number;
}

/** A database by a name of the operator's. */
export type Database = SqliteDatabase | CustomDatabase;

/** Limits of queries. */
export interface DatabaseLimits {
  /** Milliseconds for one query. @default 1000 */
  readonly timeoutMs?: number;
  /** Rows of a result. @default 1000 */
  readonly maxRows?: number;
  /** Bytes of a result, as JSON. @default 1 MiB */
  readonly maxResultBytes?: number;
  /** Processes that run SQLite. One plugin gets one fewer, but one in any case. @default 2 */
  readonly maxProcesses?: number;
}

const LIMITS: Required<DatabaseLimits> = { timeoutMs: 1000, maxRows: 1000, maxResultBytes: 1 << 20, maxProcesses: 2 };
const MAX_FILE_BYTES = 1 << 30;
const IDLE_MS = 30_000;
const MAX_BUSY_MS = 1000;

/** One query of a plugin. */
export interface DatabaseQuery {
  readonly database: string;
  readonly sql: string;
  readonly parameters: readonly DatabaseValue[];
  readonly readOnly: boolean;
}

/** The databases of a host. */
export class Databases {
  readonly #databases: ReadonlyMap<string, Database>;
  readonly #limits: Required<DatabaseLimits>;
  readonly #pool: SqlitePool;

  /** @throws MortiseError MORTISE_INVALID_OPTION */
  constructor(databases: Readonly<Record<string, Database>> = {}, limits: DatabaseLimits = {}) {
    this.#limits = resolveLimits(limits);
    this.#databases = new Map(Object.entries(databases).map(([name, database]) => [name, resolveDatabase(name, database)]));
    this.#pool = new SqlitePool({ maxProcesses: this.#limits.maxProcesses, idleMs: IDLE_MS });
  }

  /** Gets ready for queries of a plugin that was granted databases by these names. */
  warm(names: readonly string[]): void {
    if (names.some((name) => this.#databases.get(name)?.kind === "sqlite")) this.#pool.warm();
  }

  /**
   * Runs a query and gives its result as JSON.
   *
   * @throws MortiseError MORTISE_DATABASE_FAILED, or MORTISE_TIMEOUT where the call's own deadline came first
   */
  async query(query: DatabaseQuery, call: ServiceCall): Promise<string> {
    const database = this.#databases.get(query.database);
    if (database === undefined)
      throw failed(call, query.database, { kind: "unavailable", reason: "no database has this name in the host's configuration" });
    const timeoutMs = Math.max(1, Math.min(this.#limits.timeoutMs, call.timeoutMs));
    const answer =
      database.kind === "sqlite" ? await this.#sqlite(database, query, timeoutMs, call) : await this.#custom(database, query, timeoutMs, call);
    if ("json" in answer) return answer.json;
    if (isMortiseError(call.signal.reason)) throw call.signal.reason;
    if (answer.kind === "time" && call.timeoutMs < this.#limits.timeoutMs)
      throw new MortiseError("MORTISE_TIMEOUT", { plugin: call.plugin, function: call.function, limit: call.statedMs });
    throw failed(call, query.database, answer);
  }

  close(): void {
    this.#pool.close();
  }

  #sqlite(database: SqliteDatabase, { sql, parameters, readOnly }: DatabaseQuery, timeoutMs: number, call: ServiceCall): Promise<SqliteAnswer> {
    const { path, schema = false, maxFileBytes = MAX_FILE_BYTES } = database;
    const access = readOnly ? "read" : schema ? "schema" : "write";
    const limits = { maxRows: this.#limits.maxRows, maxBytes: this.#limits.maxResultBytes };
    // Half of the time for locks at most: the rest is for the work.
    const busyMs = Math.min(MAX_BUSY_MS, Math.ceil(this.#limits.timeoutMs / 2));
    const request = { path, access, sql, parameters, limits, maxFileBytes, busyMs } as const;
    return this.#pool.run(request, { plugin: call.plugin, timeoutMs, signal: call.signal });
  }

  async #custom(database: CustomDatabase, query: DatabaseQuery, timeoutMs: number, call: ServiceCall): Promise<SqliteAnswer> {
    const { sql, parameters, readOnly } = query;
    const { maxRows, maxResultBytes } = this.#limits;
    const ended = new AbortController();
    const { promise: over, resolve: end } = Promise.withResolvers<SqliteAnswer>();
    const abort = (): void => end({ kind: "time", reason: "the call is over" });
    const timer = setTimeout(() => end({ kind: "time", reason: `it took longer than ${timeoutMs} ms` }), timeoutMs);
    call.signal.addEventListener("abort", abort);
    if (call.signal.aborted) abort();
    try {
      const work = async (): Promise<SqliteAnswer> => {
        const options = { readOnly, signal: ended.signal, timeoutMs, maxRows, plugin: call.plugin };
        return toAnswer(await database.query(sql, parameters, options), { maxRows, maxBytes: maxResultBytes });
      };
      return await Promise.race([over, work().catch(toFailure)]);
    } finally {
      clearTimeout(timer);
      call.signal.removeEventListener("abort", abort);
      ended.abort();
    }
  }
}

function toAnswer({ columns, rows, changes = 0 }: CustomResult, limits: ConstructorParameters<typeof ResultWriter>[1]): SqliteAnswer {
  const writer = new ResultWriter(columns, limits);
  for (const row of rows) {
    const passed = writer.add(row);
    if (passed !== undefined) return { kind: "limit", reason: passed };
  }
  return { json: writer.finish(Number.isSafeInteger(changes) ? changes : 0) };
}

/** Codes of systems and of SQLSTATE that say that the database could not be asked. */
const UNAVAILABLE = /^(?:E[A-Z]{3,}|(?:08|53|57|58)[0-9A-Z]{3})$/;

function toFailure(error: unknown): SqliteAnswer {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  const kind = typeof code === "string" && UNAVAILABLE.test(code) ? "unavailable" : "statement";
  return { kind, reason: error instanceof Error ? error.message : String(error) };
}

function failed(call: ServiceCall, database: string, { kind, reason }: { kind: SqliteFailureKind; reason: string }): MortiseError {
  return new MortiseError("MORTISE_DATABASE_FAILED", { plugin: call.plugin, function: call.function, database, kind, reason: printable(reason) });
}

function resolveLimits(limits: DatabaseLimits): Required<DatabaseLimits> {
  const resolved = { ...LIMITS };
  for (const [name, value] of Object.entries(limits) as [keyof DatabaseLimits, number | undefined][]) {
    if (!Object.hasOwn(LIMITS, name)) throw invalidOption(`databaseLimits.${name}`, "unknown", `one of ${Object.keys(LIMITS).join(", ")}`);
    if (value === undefined) continue;
    if (!(Number.isSafeInteger(value) && value > 0)) throw invalidOption(`databaseLimits.${name}`, String(value), "a whole number, 1 or more");
    resolved[name] = value;
  }
  return resolved;
}

function resolveDatabase(name: string, database: Database): Database {
  const option = `databases.${name}`;
  if (database.kind === "custom") {
    if (typeof database.query !== "function") throw invalidOption(`${option}.query`, typeof database.query, "a function");
    return database;
  }
  if (database.kind !== "sqlite") throw invalidOption(`${option}.kind`, printable((database as { kind?: unknown }).kind), `"sqlite" or "custom"`);
  const { path, schema = false, maxFileBytes = MAX_FILE_BYTES } = database;
  if (typeof path !== "string" || path === "" || path === ":memory:" || path.includes("\0"))
    throw invalidOption(`${option}.path`, path === ":memory:" ? "a database in memory" : typeof path, "the path of a file");
  if (typeof schema !== "boolean") throw invalidOption(`${option}.schema`, typeof schema, "true or false");
  if (!(Number.isSafeInteger(maxFileBytes) && maxFileBytes > 0))
    throw invalidOption(`${option}.maxFileBytes`, String(maxFileBytes), "a whole number, 1 or more");
  return { kind: "sqlite", path: resolve(path), schema, maxFileBytes };
}
