// Guests for the cases.

import { assemble } from "../wasm/corpus.ts";

/** URL of a guest that is built already. */
export const prebuilt = (name: string): string => new URL(`../../guests/prebuilt/${name}.wasm`, import.meta.url).href;
/** A guest from its text. */
export const wat = (text: string) => (): Promise<Uint8Array> => assemble(text);

/** Imports of the Extism environment. */
export const ENV = `
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))`;

/** `work` gets the input's address; the block whose address it returns is the output. */
export const REFLECTOR = `(module ${ENV}
  (import "host" "work" (func $work (param i64) (result i64)))
  (memory (export "memory") 1)
  (func $reflect (export "f") (local $block i64)
    (local.set $block (call $work (call $input_offset)))
    (call $output_set (local.get $block) (call $length (local.get $block))))
  (func (export "twice") (drop (call $work (call $input_offset))) (call $reflect))
  (func (export "spin") (loop (br 0)))
  (func (export "f_then_spin") (call $reflect) (loop (br 0))))`;

/** `sleep` calls the host, then sleeps for a year; `wake` does nothing. */
export const SLEEPER = `(module
  (import "host" "work" (func $work))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "sleep")
    (call $work)
    (i64.store (i32.const 24) (i64.const 31536000000000000))
    (i32.store (i32.const 16) (i32.const 1))
    (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200))))
  (func (export "wake")))`;
