// A plugin for notes: `before_save` gives each a number, from the host's store, and a digest, from the plugin "digest".
import { blockFrom, failWith } from "./extism";
import { jsonGet, jsonText } from "./linear";
import { note, succeedWithNote } from "./note";

// @ts-ignore: decorator
@external("extism:host/env", "length")
declare function length(handle: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "load_u8")
declare function load_u8(address: u64): u32;
// @ts-ignore: decorator
@external("mortise:host", "plugin_call")
declare function plugin_call(name: u64, fn: u64, input: u64): u64;
// @ts-ignore: decorator
@external("mortise:host", "kv_increment")
declare function kv_increment(key: u64, delta: i64, ttlMs: i64): i64;

/** What the plugin answers with: `{"sha256":"…"}`, 64 digits. */
const ANSWER_BYTES = 77;
const FIRST_DIGIT = 11;
/** Digits that a note gets. */
const DIGITS = 12;

function block(text: string): u64 {
  const bytes = String.UTF8.encode(text);
  return blockFrom(changetype<usize>(bytes), bytes.byteLength);
}

export function before_save(): i32 {
  const value = note();
  const answer = plugin_call(block("digest"), block("sha256"), block(jsonText(jsonGet(value, "text"))));
  if (answer == 0 || length(answer) != ANSWER_BYTES) return failWith("plugin digest gave no digest");
  let digest = "";
  for (let i = 0; i < DIGITS; i++) digest += String.fromCharCode(load_u8(answer + FIRST_DIGIT + i));
  const number = kv_increment(block("notes"), 1, 0);
  return succeedWithNote(value.substring(0, value.length - 1) + ',"number":' + number.toString() + ',"digest":"' + digest + '"}');
}
