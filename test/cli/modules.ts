// Modules that the tests of the command write to disk.

import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import loadWabt from "wabt";

const wabt = await loadWabt();

/** A new folder for the files of one test file. */
export async function makeFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "mortise-cli-"));
}

/** Assembles text with its names and writes it into a folder; returns the path. */
export async function writeWat(folder: string, name: string, text: string): Promise<string> {
  const module = wabt.parseWat(`${name}.wat`, text, { threads: true });
  const { buffer } = module.toBinary({ write_debug_names: true });
  module.destroy();
  const path = join(folder, `${name}.wasm`);
  await writeFile(path, buffer);
  return path;
}

/** One export for each way that a call can end. Its messages are two letters long. */
export const FIXTURE = `(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/env" "log_debug" (func $log_debug (param i64)))
  (import "extism:host/env" "log_info" (func $log_info (param i64)))
  (import "extism:host/env" "log_warn" (func $log_warn (param i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)

  (func $message (param $first i32) (param $second i32) (result i64) (local $at i64)
    (local.set $at (call $alloc (i64.const 2)))
    (call $store_u8 (local.get $at) (local.get $first))
    (call $store_u8 (i64.add (local.get $at) (i64.const 1)) (local.get $second))
    (local.get $at))

  (func $inner_function unreachable)
  (func $middle_function call $inner_function)
  (func $trap (export "trap") call $middle_function)

  (func (export "fail") (result i32) (call $error_set (call $message (i32.const 110) (i32.const 111))) (i32.const 1))
  (func (export "return_seven") (result i32) (i32.const 7))
  (func (export "log_all")
    (call $log_debug (call $message (i32.const 100) (i32.const 49)))
    (call $log_info (call $message (i32.const 105) (i32.const 49)))
    (call $log_warn (call $message (i32.const 119) (i32.const 49))))
  (func $spin (export "spin")
    (call $log_info (call $message (i32.const 103) (i32.const 111)))
    (loop $again (br $again)))
  (func (export "grow") (loop $again (drop (memory.grow (i32.const 1))) (br $again)))
  (func $recurse (export "recurse") call $recurse)
  (func (export "invalid_text") (call $output_set (call $message (i32.const 255) (i32.const 10)) (i64.const 2)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "nothing")))`;

/** Refused: its memory can be shared between threads. */
export const SHARED_MEMORY = `(module (memory (export "memory") 1 2 shared) (func (export "run")))`;

/** Not refused by what it is, but nothing provides what it imports. */
export const NEEDS_HOST = `(module (import "app" "notify" (func (param i64) (result i64))) (func (export "run")))`;

/** Names that would clear a terminal and turn text around. */
export const EVIL_NAMES = `(module (func (export "\\1b[2J\\e2\\80\\aeclear")) (func $a\\1b (export "plain") unreachable))`;
