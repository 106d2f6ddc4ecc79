// Rows that a plugin answers a statement with: JSON, as bytes, as an array of numbers.

import { isJsonObject, readGuestJson } from "../guest-json.ts";
import type { GuestAnswer } from "../wire.ts";
import type { CachedRows } from "./helios-types.ts";

/** Number of the type `text`. */
const TEXT_OID = 25;
const MAX_OID = 0xffff_ffff;
const encoder = new TextEncoder();

/** Reads the field `data` or `bytes`: numbers from 0 to 255. */
export function readCachedRows(data: unknown, answer: GuestAnswer<unknown>): CachedRows {
  if (!Array.isArray(data) || !data.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255))
    throw answer.fault("has cached data that are not an array of bytes");
  const { value } = readGuestJson(Uint8Array.from(data as number[]), data.length, (reason) => answer.fault(`has cached data whose text ${reason}`));
  if (!isJsonObject(value)) throw answer.fault("has cached data that are not an object");
  const columns = readColumns(value["columns"], answer);
  const rows = value["rows"];
  if (!Array.isArray(rows)) throw answer.fault('has cached data without an array "rows"');
  for (const row of rows as readonly unknown[]) {
    if (!Array.isArray(row) || row.length !== columns.length || !row.every((cell) => cell === null || typeof cell === "string"))
      throw answer.fault(`has a cached row that is not ${columns.length} texts or nulls`);
  }
  return { columns, rows: rows as (string | null)[][] };
}

function readColumns(columns: unknown, answer: GuestAnswer<unknown>): CachedRows["columns"] {
  if (!Array.isArray(columns) || columns.length === 0) throw answer.fault('has cached data without "columns"');
  return columns.map((column: unknown) => {
    if (!isJsonObject(column) || typeof column["name"] !== "string") throw answer.fault("has a cached column without a name");
    const oid = column["oid"] ?? TEXT_OID;
    if (!(typeof oid === "number" && Number.isInteger(oid) && oid >= 0 && oid <= MAX_OID))
      throw answer.fault("has a cached column whose oid is not a number of 32 bits");
    return { name: column["name"], oid };
  });
}

/** Rows as plugins are sent them: the same JSON, as an array of its bytes. */
export function cachedRowsJson(rows: CachedRows): string {
  return `[${encoder.encode(JSON.stringify(rows)).join(",")}]`;
}
