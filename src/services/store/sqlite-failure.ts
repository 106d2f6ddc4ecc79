// What SQLite reports, as the store's own error.

import { type MortiseError, isMortiseError } from "../../api/errors.ts";
import { unavailable } from "./unavailable.ts";

/** Primary result codes of SQLite, https://sqlite.org/rescode.html. */
const RESULT = { busy: 5, locked: 6, readOnly: 8, ioError: 10, corrupt: 11, full: 13, cannotOpen: 14, notADatabase: 26 } as const;

const REASONS: ReadonlyMap<number, string> = new Map([
  [RESULT.busy, "another process keeps the file locked"],
  [RESULT.locked, "another process keeps the file locked"],
  [RESULT.readOnly, "the file cannot be written to"],
  [RESULT.ioError, "the file cannot be read or written"],
  [RESULT.corrupt, "the file is damaged"],
  [RESULT.full, "the disk is full"],
  [RESULT.cannotOpen, "the file cannot be opened"],
  [RESULT.notADatabase, "the file is damaged, or no database"],
]);

/** True if another process holds a lock. */
export function isBusy(error: unknown): boolean {
  return resultOf(error) === RESULT.busy;
}

/** Anything that was thrown while the file was used. */
export function sqliteFailure(error: unknown): MortiseError {
  if (isMortiseError(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  const reason = REASONS.get(resultOf(error) ?? -1);
  return unavailable("sqlite", reason === undefined ? text : `${reason} (${text})`, error);
}

/** The primary code; extended codes keep it in their lowest byte. */
function resultOf(error: unknown): number | undefined {
  const code = typeof error === "object" && error !== null && "errcode" in error ? error.errcode : undefined;
  return typeof code === "number" ? code & 0xff : undefined;
}
