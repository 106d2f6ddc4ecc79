// Services of the host for plugins over an exported memory.
import { bytesOf, holds, member, NONE, Part, size, start, textOf } from "./gateway";

// @ts-ignore: decorator
@external("mortise:host", "kv_get")
declare function kv_get(key: usize, length: usize): u64;
// @ts-ignore: decorator
@external("mortise:host", "kv_set")
declare function kv_set(key: usize, length: usize, value: usize, valueLength: usize, ttlMs: i64): void;
// @ts-ignore: decorator
@external("mortise:host", "kv_delete")
declare function kv_delete(key: usize, length: usize): i32;
// @ts-ignore: decorator
@external("mortise:host", "kv_compare_and_set")
declare function kv_compare_and_set(key: usize, length: usize, was: usize, wasLength: usize, value: usize, valueLength: usize, ttlMs: i64): i32;
// @ts-ignore: decorator
@external("mortise:host", "kv_increment")
declare function kv_increment(key: usize, length: usize, delta: i64, ttlMs: i64): i64;
// @ts-ignore: decorator
@external("mortise:host", "cache_get")
declare function cache_get(key: usize, length: usize): u64;
// @ts-ignore: decorator
@external("mortise:host", "cache_set")
declare function cache_set(key: usize, length: usize, value: usize, valueLength: usize, ttlMs: i64): void;
// @ts-ignore: decorator
@external("mortise:host", "time_ms")
declare function time_ms(): i64;
// @ts-ignore: decorator
@external("mortise:host", "log")
declare function log(level: i32, message: usize, length: usize): void;
// @ts-ignore: decorator
@external("mortise:host", "hash")
declare function hash(algorithm: usize, length: usize, data: usize, dataLength: usize): u64;
// @ts-ignore: decorator
@external("mortise:host", "hmac")
declare function hmac(algorithm: usize, length: usize, key: usize, keyLength: usize, data: usize, dataLength: usize): u64;
// @ts-ignore: decorator
@external("mortise:host", "attribute_get")
declare function attribute_get(name: usize, length: usize): u64;
// @ts-ignore: decorator
@external("mortise:host", "attribute_set")
declare function attribute_set(name: usize, length: usize, value: usize, valueLength: usize): void;

const INFO = 2;

export function kvGet(key: Part): Part {
  return kv_get(start(key), size(key));
}
export function kvSet(key: Part, value: Part): void {
  kv_set(start(key), size(key), start(value), size(value), 0);
}
export function kvDelete(key: Part): void {
  kv_delete(start(key), size(key));
}
/** Writes a value if the present one is `was`; NONE stands for none. It stays for good unless there is a time. */
export function kvReplace(key: Part, was: Part, value: Part, ttlMs: i64 = 0): bool {
  return kv_compare_and_set(start(key), size(key), start(was), size(was), start(value), size(value), ttlMs) == 1;
}
export function kvAdd(key: Part, delta: i64, ttlMs: i64): i64 {
  return kv_increment(start(key), size(key), delta, ttlMs);
}
export function cacheGet(key: Part): Part {
  return cache_get(start(key), size(key));
}
export function cacheSet(key: Part, value: Part, ttlMs: i64): void {
  cache_set(start(key), size(key), start(value), size(value), ttlMs);
}
export function now(): i64 {
  return time_ms();
}
export function logLine(line: Part): void {
  log(INFO, start(line), size(line));
}
export function getAttribute(name: string): Part {
  const key = bytesOf(name);
  return attribute_get(start(key), size(key));
}
export function setAttribute(name: string, value: Part): void {
  const key = bytesOf(name);
  attribute_set(start(key), size(key), start(value), size(value));
}

/**
 * An attribute out of the attributes that a message has, if it is there as it is; else from the host, which also says if the
 * plugin may not have it.
 */
export function attributeIn(attributes: Part, name: string): Part {
  const text = textOf(member(attributes, name));
  // In JSON some characters are written in another way.
  return size(text) == 0 || holds(text, 0x5c) ? getAttribute(name) : text;
}

/** SHA-256 of up to 1 MiB, or with a key HMAC-SHA-256. */
export function digest(data: Part, key: Part): Part {
  const name = bytesOf("sha256");
  if (key == NONE) return hash(start(name), size(name), start(data), size(data));
  return hmac(start(name), size(name), start(key), size(key), start(data), size(data));
}
