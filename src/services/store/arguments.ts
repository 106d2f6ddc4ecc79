// What every store accepts: namespaces, keys, values and times, checked the same way everywhere.

import { invalidOption } from "../../api/limits.ts";

/** Bytes of a namespace's name. */
export const MAX_NAMESPACE_BYTES = 1024;
/** Bytes of a key in UTF-8. */
export const MAX_KEY_BYTES = 65_536;
/** Bytes of a value. */
export const MAX_VALUE_BYTES = 64 << 20;
/** Keys of one listing. */
export const MAX_LIST_LIMIT = 10_000;
/** Times to live are cut to this, some three thousand years: beyond it clocks and formats run out of digits. */
const MAX_TTL_MS = 1e14;

/** Checks what names a value. @throws MortiseError MORTISE_INVALID_OPTION */
export function checkName(namespace: string, key: string): void {
  checkNamespace(namespace);
  checkText("key", key, MAX_KEY_BYTES);
}

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkNamespace(namespace: string): void {
  checkText("namespace", namespace, MAX_NAMESPACE_BYTES);
  if (namespace === "") throw invalidOption("namespace", "empty", "a name");
}

function checkText(option: string, text: string, maxBytes: number): void {
  if (typeof text !== "string") throw invalidOption(option, typeof text, "text");
  if (!text.isWellFormed()) throw invalidOption(option, "text with a lone surrogate", "text that UTF-8 can hold");
  // A UTF-16 unit takes three bytes at most, so that short texts need no counting.
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes)
    throw invalidOption(option, `${Buffer.byteLength(text)} bytes long`, `of ${maxBytes} bytes at most`);
}

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkValue(value: Uint8Array): void {
  if (!(value instanceof Uint8Array)) throw invalidOption("value", typeof value, "bytes");
  if (value.length > MAX_VALUE_BYTES) throw invalidOption("value", `${value.length} bytes long`, `of ${MAX_VALUE_BYTES} bytes at most`);
}

/** When a key expires that is written at `now`; undefined for never. @throws MortiseError MORTISE_INVALID_OPTION */
export function expiryAt(now: number, ttlMs: number | undefined): number | undefined {
  const ttl = checkedTtl(ttlMs);
  return ttl === undefined ? undefined : now + ttl;
}

/** A time to live in whole milliseconds, as it is sent elsewhere. @throws MortiseError MORTISE_INVALID_OPTION */
export function checkedTtl(ttlMs: number | undefined): number | undefined {
  if (ttlMs === undefined) return undefined;
  if (!(typeof ttlMs === "number" && ttlMs > 0)) throw invalidOption("ttlMs", String(ttlMs), "more than 0 milliseconds");
  return Math.min(Math.ceil(ttlMs), MAX_TTL_MS);
}

/** How a listing is asked for. */
export interface ListOptions {
  readonly prefix?: string;
  readonly after?: string;
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/** Checks a listing and gives its texts; both are empty if they are absent. @throws MortiseError MORTISE_INVALID_OPTION */
export function checkList({ prefix = "", after, limit }: ListOptions): { readonly prefix: string; readonly from: string; readonly limit: number } {
  checkText("prefix", prefix, MAX_KEY_BYTES);
  if (after !== undefined) checkText("after", after, MAX_KEY_BYTES);
  if (!(Number.isSafeInteger(limit) && limit >= 0 && limit <= MAX_LIST_LIMIT))
    throw invalidOption("limit", String(limit), `a whole number from 0 to ${MAX_LIST_LIMIT}`);
  // The least key that sorts after another is that key and a zero byte.
  return { prefix, from: after === undefined ? "" : `${after}\0`, limit };
}

/** Bytes from which a listing starts, and below which it ends: 0xff is larger than any byte of UTF-8. */
export function byteRange(prefix: string, from: string): { readonly least: Buffer; readonly end: Buffer } {
  const start = Buffer.from(prefix);
  const least = Buffer.from(from);
  return { least: Buffer.compare(start, least) > 0 ? start : least, end: Buffer.concat([start, Buffer.of(0xff)]) };
}
