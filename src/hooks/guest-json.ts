// Reads JSON that a guest gave, strictly: what two readers could understand differently is refused.

import type { MortiseError } from "../api/errors.ts";

/** Deepest nesting of objects and arrays. */
export const MAX_JSON_DEPTH = 64;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Makes the error for a fault. */
export type Fault = (reason: string) => MortiseError;

/** A JSON text and what it says. */
export interface GuestJson {
  readonly text: string;
  readonly value: unknown;
}

/**
 * Reads a JSON text that a guest gave. Refused are, besides what is no JSON: text that is not UTF-8, more than 64 levels,
 * a key that an object has twice, the key `__proto__`, numbers beyond 2^53 - 1, which may have lost digits, and halves of
 * surrogate pairs.
 *
 * @param maxBytes the longest text that is read
 * @param fault makes what is thrown, from a reason such as `is not valid UTF-8`
 */
export function readGuestJson(bytes: Uint8Array, maxBytes: number, fault: Fault): GuestJson {
  if (bytes.length > maxBytes) throw fault(`has ${bytes.length} bytes, but ${maxBytes} are allowed`);
  const text = decode(bytes, fault);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault(`is not JSON: ${(error as Error).message}`);
  }
  // Only an escape can make half of a pair: decoding has refused all others.
  const members = count(value, 1, text.includes("\\u"), fault);
  if (members !== countColons(bytes)) throw fault("has an object with the same key twice");
  return { text, value };
}

function decode(bytes: Uint8Array, fault: Fault): string {
  try {
    return strict.decode(bytes);
  } catch {
    throw fault("is not valid UTF-8");
  }
}

/** Members of all objects in a value; looks at everything in it on the way. */
function count(value: unknown, depth: number, looksAtText: boolean, fault: Fault): number {
  if (typeof value === "object") {
    if (value === null) return 0;
    if (depth > MAX_JSON_DEPTH) throw fault(`has more than ${MAX_JSON_DEPTH} levels`);
    let members = 0;
    if (Array.isArray(value)) {
      for (const element of value as readonly unknown[]) members += count(element, depth + 1, looksAtText, fault);
      return members;
    }
    for (const key of Object.keys(value)) {
      if (key === "__proto__") throw fault('has the key "__proto__"');
      if (looksAtText && !key.isWellFormed()) throw fault("has a key with half of a surrogate pair");
      members += 1 + count((value as Record<string, unknown>)[key], depth + 1, looksAtText, fault);
    }
    return members;
  }
  if (typeof value === "number") {
    if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) throw fault("has a number beyond 2^53 - 1");
  } else if (looksAtText && typeof value === "string" && !value.isWellFormed()) throw fault("has half of a surrogate pair in a text");
  return 0;
}

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** Colons outside of texts: one for each member that is written, also if a later one of the same name takes its place. */
function countColons(json: Uint8Array): number {
  let colons = 0;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === COLON) colons++;
    else if (byte === QUOTE) at = endOfText(json, at + 1);
  }
  return colons;
}

/** Where the quote stands that ends a text: one before which there is an even number of backslashes. */
function endOfText(json: Uint8Array, from: number): number {
  for (let end = json.indexOf(QUOTE, from); ; end = json.indexOf(QUOTE, end + 1)) {
    let first = end;
    while (json[first - 1] === BACKSLASH) first--;
    if ((end - first) % 2 === 0) return end;
  }
}

/** True for an object that is not an array. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** True if two JSON values say the same; the order of an object's keys says nothing. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]));
}
