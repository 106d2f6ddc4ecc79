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

/** Sends the request that its input states, and outputs the body of the answer. */
export const FETCH = `(module
  (import "extism:host/env" "input_offset" (func $input (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "http_request" (func $request (param i64 i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "fetch") (local $at i64)
    (local.set $at (call $request (call $input) (i64.const 0)))
    (call $output (local.get $at) (call $length (local.get $at)))))`;

/** A program for WASI: `body` is what its `_start` does. It has a page of memory, and functions that write and read. */
export function program(body: string): string {
  return `(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
    (memory (export "memory") 2)
    (data (i32.const 256) "go\\n")
    (func $write (param $fd i32) (param $at i32) (param $length i32) (result i32)
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (local.get $length))
      (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
    (func $read (param $at i32) (param $length i32) (result i32)
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (local.get $length))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.load (i32.const 8)))
    (func $go (drop (call $write (i32.const 1) (i32.const 256) (i32.const 3))))
    (func $start (export "_start") ${body}))`;
}

/** Waits for 1.1 seconds, longer than a call may take by default: a subscription at 16, its event at 128. */
export const WAITS = `
  (i32.store (i32.const 32) (i32.const 1)) (i64.store (i32.const 40) (i64.const 1100000000))
  (drop (call $poll_oneoff (i32.const 16) (i32.const 128) (i32.const 1) (i32.const 200)))`;

/** Programs by name. */
export const PROGRAMS = {
  returns: program(""),
  spins: program("(call $go) (loop $again (br $again))"),
  traps: program("(call $go) unreachable"),
  grows: program("(loop $again (drop (memory.grow (i32.const 1))) (br $again))"),
  /** Writes what it reads, each piece at once. */
  echoes: program(`(local $n i32)
    (loop $again
      (local.set $n (call $read (i32.const 1024) (i32.const 4096)))
      (if (local.get $n) (then
        (drop (call $write (i32.const 1) (i32.const 1024) (local.get $n)))
        (br $again))))`),
  /** Writes the three bytes that it reads. */
  reads_three: program("(drop (call $write (i32.const 1) (i32.const 1024) (call $read (i32.const 1024) (i32.const 3))))"),
  /** Writes 64 KiB again and again. */
  floods: program("(loop $again (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 65536))) (br $again))"),
  /** Exits with what writing to standard output returns. */
  writes: program("(call $proc_exit (call $write (i32.const 1) (i32.const 256) (i32.const 3)))"),
  /** Writes its arguments, each with a NUL behind it. */
  prints_arguments: program(`
    (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
    (drop (call $args_get (i32.const 1024) (i32.const 4096)))
    (drop (call $write (i32.const 1) (i32.const 4096) (i32.load (i32.const 20))))`),
  prints_environment: program(`
    (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
    (drop (call $environ_get (i32.const 1024) (i32.const 4096)))
    (drop (call $write (i32.const 1) (i32.const 4096) (i32.load (i32.const 20))))`),
  /** Exits with what asking for the first granted folder returns. */
  asks_for_folder: program("(call $proc_exit (call $fd_prestat_get (i32.const 3) (i32.const 16)))"),
  /** Makes a file "go" in the first granted folder, and exits with what that returns. */
  creates: program(`(call $proc_exit
    (call $path_open (i32.const 3) (i32.const 0) (i32.const 256) (i32.const 2) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))`),
  waits: program(`${WAITS} (call $go)`),
} as const;
