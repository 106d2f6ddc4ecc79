// What goes between this process and one that runs SQLite.

import type { DatabaseValue, ResultLimits } from "./database-values.ts";

/** One statement to run. */
export interface SqliteRequest {
  readonly path: string;
  /** `read`: nothing can be changed; `write`: rows can; `schema`: tables, indexes, views and triggers can, too. */
  readonly access: "read" | "write" | "schema";
  readonly sql: string;
  readonly parameters: readonly DatabaseValue[];
  readonly limits: ResultLimits;
  /** Bytes up to which the file may grow. */
  readonly maxFileBytes: number;
  /** Milliseconds to wait for locks of others. */
  readonly busyMs: number;
}

/** What kind of failure it was: what was asked for is wrong, too much, or the database is not there. */
export type SqliteFailureKind = "statement" | "limit" | "time" | "unavailable";

/** Why a statement has no result. */
export interface SqliteFailure {
  readonly kind: SqliteFailureKind;
  readonly reason: string;
  /** The process ends with it. */
  readonly last?: true;
}

/** The answer to a request. */
export type SqliteAnswer = { readonly json: string } | SqliteFailure;

/** The first message of a process. */
export const READY = "ready";
