// Benchmark guest: counts the vowels of the input straight from Extism memory, output {"count":N}.
import { inputLength, inputLoadU64, inputLoadU8, succeedWithBytes } from "./extism";

/** The end of a decimal number of at most ten digits that is written backwards from here. */
const DIGITS_END: usize = memory.data(16) + 16;
const JSON_START: usize = memory.data(32);
const PREFIX = '{"count":';

export function count_vowels(): i32 {
  const length = inputLength();
  let count: u32 = 0;
  let at: u64 = 0;
  for (; at + 8 <= length; at += 8) {
    const word = inputLoadU64(at);
    for (let shift: u64 = 0; shift < 64; shift += 8) count += isVowel(<u8>(word >> shift));
  }
  for (; at < length; at++) count += isVowel(<u8>inputLoadU8(at));
  return succeedWithBytes(JSON_START, writeJson(count));
}

function isVowel(byte: u8): u32 {
  switch (byte | 0x20) {
    case 0x61:
    case 0x65:
    case 0x69:
    case 0x6f:
    case 0x75:
      return 1;
    default:
      return 0;
  }
}

// Written by hand into static memory: this guest has no allocator to grow and nothing to collect.
function writeJson(count: u32): i32 {
  let to = JSON_START;
  for (let i = 0; i < PREFIX.length; i++) store<u8>(to++, <u8>PREFIX.charCodeAt(i));
  let from = DIGITS_END;
  do {
    store<u8>(--from, 0x30 + (count % 10));
    count /= 10;
  } while (count != 0);
  memory.copy(to, from, DIGITS_END - from);
  to += DIGITS_END - from;
  store<u8>(to++, 0x7d);
  return <i32>(to - JSON_START);
}
