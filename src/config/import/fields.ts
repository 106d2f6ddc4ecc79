// Kinds of values that an import cannot do without; other faults are notes.

import { type Origin, type Place, kindOf } from "../../manifest/place.ts";
import { configError, problemAt } from "../problems.ts";
import type { ImportedTable } from "./draft.ts";

/** Entries of one list. */
const MAX_ENTRIES = 1000;

/** @throws MortiseError MORTISE_CONFIG_INVALID if it is no table */
export function tableAt(origin: Origin, value: unknown, place: Place): ImportedTable {
  if (isTable(value)) return value;
  throw configError([problemAt(origin, { place, reason: `is ${kindOf(value)} but must be a table` })]);
}

/** @throws MortiseError MORTISE_CONFIG_INVALID if it is no list of tables */
export function tablesAt(origin: Origin, value: unknown, place: Place): ImportedTable[] {
  if (!Array.isArray(value)) throw configError([problemAt(origin, { place, reason: `is ${kindOf(value)} but must be an array` })]);
  if (value.length > MAX_ENTRIES)
    throw configError([problemAt(origin, { place, reason: `has ${value.length} entries but may have ${MAX_ENTRIES}` })]);
  return value.map((element: unknown, index) => tableAt(origin, element, [...place, index]));
}

/** @throws MortiseError MORTISE_CONFIG_INVALID if it is not there, empty or no text */
export function requireText(origin: Origin, table: ImportedTable, key: string, place: Place): string {
  const value = table[key];
  if (typeof value === "string" && value !== "" && !value.includes("\0") && value.isWellFormed()) return value;
  const reason = value === undefined ? "is missing" : `is ${kindOf(value)} but must be text of at least one character`;
  throw configError([problemAt(origin, { place: [...place, key], reason })]);
}

/** A table; not a list, a date or null. */
export function isTable(value: unknown): value is ImportedTable {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
