// Where in a manifest something stands, and the error that says so.

import { MortiseError, printable } from "../api/errors.ts";

/** Keys and indexes from the top of a manifest down. */
export type Place = readonly (string | number)[];

/** A position in a text, both counted from 1. */
export interface TextPosition {
  readonly line: number;
  readonly column: number;
}

/** Where a manifest came from. */
export interface Origin {
  /** The manifest in messages: a quoted path or URL, or "the manifest". */
  readonly source: string;
  /** Finds a key in the text, if there is one. */
  readonly locate?: (place: Place) => TextPosition | undefined;
}

/** Longest part of a key or value that a message shows. */
const SHOWN_CHARS = 80;

/** The error for a manifest that is wrong at a place; `reason` follows the place's name. */
export function faultAt(origin: Origin, place: Place, reason: string): MortiseError {
  const name = placeName(place);
  return manifestFault(origin.source, `${name === "" ? "it" : name} ${reason}`, origin.locate?.(place), name);
}

/** The error for a manifest that is wrong, at a position if there is one. */
export function manifestFault(source: string, reason: string, position?: TextPosition, place: string = ""): MortiseError {
  const at = position === undefined ? "" : `, line ${position.line}, column ${position.column}`;
  return new MortiseError("MORTISE_MANIFEST_INVALID", { source, at, reason, place, line: position?.line, column: position?.column });
}

/** A place as it is written in JavaScript: `wasm[1].path`, `config["a b"]`. */
export function placeName(place: Place): string {
  let name = "";
  for (const part of place) {
    if (typeof part === "number") name += `[${part}]`;
    else if (!/^[A-Za-z_$][\w$-]*$/.test(part) || part.length > SHOWN_CHARS) name += `[${quoted(part)}]`;
    else name += name === "" ? part : `.${part}`;
  }
  return name;
}

/** Text in quotes, cut and safe to print. */
export function quoted(text: string): string {
  return `"${printable(text, SHOWN_CHARS)}"`;
}

/** What a value is, in words. */
export function kindOf(value: unknown): string {
  if (typeof value === "string") return value === "" ? "empty" : quoted(value);
  if (typeof value === "number" || typeof value === "boolean" || value === null || value === undefined) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return "a date";
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return "bytes";
  return value instanceof Map ? "a Map" : "an object";
}

/** The position of an offset in a text. */
export function positionAt(text: string, offset: number): TextPosition {
  let line = 1;
  let start = 0;
  for (let next = text.indexOf("\n"); next !== -1 && next < offset; next = text.indexOf("\n", start)) {
    line++;
    start = next + 1;
  }
  return { line, column: offset - start + 1 };
}
