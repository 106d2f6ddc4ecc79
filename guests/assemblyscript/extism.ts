// The part of the Extism guest ABI that these guests use, with copying helpers on top.

// @ts-ignore: decorator
@external("extism:host/env", "alloc")
declare function alloc(length: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "length")
declare function length(handle: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "load_u8")
declare function load_u8(address: u64): u32;
// @ts-ignore: decorator
@external("extism:host/env", "load_u64")
declare function load_u64(address: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "store_u8")
declare function store_u8(address: u64, value: u32): void;
// @ts-ignore: decorator
@external("extism:host/env", "store_u64")
declare function store_u64(address: u64, value: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "input_length")
export declare function inputLength(): u64;
// @ts-ignore: decorator
@external("extism:host/env", "input_load_u8")
export declare function inputLoadU8(offset: u64): u32;
// @ts-ignore: decorator
@external("extism:host/env", "input_load_u64")
export declare function inputLoadU64(offset: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "output_set")
declare function output_set(address: u64, length: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "error_set")
declare function error_set(handle: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "config_get")
declare function config_get(key: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "var_get")
declare function var_get(key: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "var_set")
declare function var_set(key: u64, value: u64): void;

/** Copies guest bytes into a new Extism block; 0 when the host has no room (or for no bytes). */
export function blockFrom(from: usize, length: i32): u64 {
  const handle = alloc(length);
  if (handle == 0) return 0;
  let at: i32 = 0;
  for (; at + 8 <= length; at += 8) store_u64(handle + at, load<u64>(from + at));
  for (; at < length; at++) store_u8(handle + at, load<u8>(from + at));
  return handle;
}

function blockFromText(text: string): u64 {
  const bytes = String.UTF8.encode(text);
  return blockFrom(changetype<usize>(bytes), bytes.byteLength);
}

function bytesOf(handle: u64): StaticArray<u8> {
  const count = <i32>length(handle);
  const bytes = new StaticArray<u8>(count);
  const to = changetype<usize>(bytes);
  let at: i32 = 0;
  for (; at + 8 <= count; at += 8) store<u64>(to + at, load_u64(handle + at));
  for (; at < count; at++) store<u8>(to + at, load_u8(handle + at));
  return bytes;
}

/** The whole input, copied into guest memory. */
export function input(): StaticArray<u8> {
  const count = <i32>inputLength();
  const bytes = new StaticArray<u8>(count);
  const to = changetype<usize>(bytes);
  let at: i32 = 0;
  for (; at + 8 <= count; at += 8) store<u64>(to + at, inputLoadU64(at));
  for (; at < count; at++) store<u8>(to + at, inputLoadU8(at));
  return bytes;
}

/** The bytes of a configuration value, or null. */
export function config(key: string): StaticArray<u8> | null {
  const handle = config_get(blockFromText(key));
  return handle == 0 ? null : bytesOf(handle);
}

/** A variable that holds a little-endian i32; 0 when it is absent. */
export function variable(key: string): i32 {
  const handle = var_get(blockFromText(key));
  if (handle == 0) return 0;
  const bytes = bytesOf(handle);
  return bytes.length < 4 ? 0 : load<i32>(changetype<usize>(bytes));
}

export function setVariable(key: string, value: i32): void {
  const handle = alloc(4);
  for (let i = 0; i < 4; i++) store_u8(handle + i, (value >> (i * 8)) & 255);
  var_set(blockFromText(key), handle);
}

/** Ends a call: the guest bytes become its output. */
export function succeedWithBytes(from: usize, length: i32): i32 {
  const handle = blockFrom(from, length);
  if (handle == 0) return failWith("out of Extism memory");
  output_set(handle, length);
  return 0;
}

/** Ends a call: the text becomes its output. */
export function succeedWith(text: string): i32 {
  const bytes = String.UTF8.encode(text);
  return succeedWithBytes(changetype<usize>(bytes), bytes.byteLength);
}

export function failWith(message: string): i32 {
  error_set(blockFromText(message));
  return 1;
}
