// Reads and checks an audit log, whatever it is kept in.

import { open } from "node:fs/promises";

import { MortiseError } from "../../api/errors.ts";
import { type AuditVerdict, ChainCheck, type VerifyOptions } from "./chain-check.ts";
import type { AuditEntry } from "./entry.ts";
import { filesOf, linesOf } from "./log-files.ts";
import { sqliteLines } from "./sqlite-storage.ts";

/** Options of {@link readAudit}. */
export interface ReadAuditOptions extends VerifyOptions {
  /** Gets each entry, the oldest first; those that were changed are left out. @default none */
  readonly onEntry?: (entry: AuditEntry) => void;
}

const SQLITE_MAGIC = "SQLite format 3\0";

/**
 * Reads a log, the files that were rotated away included, and looks whether its chain is whole.
 *
 * @param path file of lines, or database of SQLite
 * @throws MortiseError MORTISE_AUDIT_UNREADABLE
 */
export async function readAudit(path: string, { onEntry, ...options }: ReadAuditOptions = {}): Promise<AuditVerdict> {
  const check = new ChainCheck(options);
  const take = (line: string): void => {
    const entry = check.take(line);
    if (entry !== undefined) onEntry?.(entry);
  };
  if (await isSqlite(path)) for (const line of sqliteLines(path)) take(line);
  else for (const file of await filesOf(path)) for await (const line of linesOf(file)) take(line);
  return check.verdict();
}

async function isSqlite(path: string): Promise<boolean> {
  try {
    const file = await open(path, "r");
    try {
      const head = Buffer.alloc(SQLITE_MAGIC.length);
      const { bytesRead } = await file.read(head, 0, head.length, 0);
      return bytesRead === head.length && head.toString("latin1") === SQLITE_MAGIC;
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "it does not exist" : code === "EISDIR" ? "it is a directory" : message;
    throw new MortiseError("MORTISE_AUDIT_UNREADABLE", { source: `"${path}"`, reason }, error);
  }
}
