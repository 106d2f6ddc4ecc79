// Small guests that cases need beside the fixtures.

const HTTP_IMPORTS = `
  (import "extism:host/env" "http_request" (func $request (param i64 i64) (result i64)))
  (import "extism:host/env" "http_status_code" (func $status (result i32)))
  (import "extism:host/env" "http_headers" (func $headers (result i64)))
  (import "extism:host/env" "input_offset" (func $input (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))`;

/** `get`: body of the request that the input states. `headers`: of its response. `status`: the lowest byte of its status. */
export const HTTP_GUEST = `(module ${HTTP_IMPORTS}
  (memory (export "memory") 1)
  (func $whole (param i64) (call $output (local.get 0) (call $length (local.get 0))))
  (func (export "get") (call $whole (call $request (call $input) (i64.const 0))))
  (func (export "headers") (drop (call $request (call $input) (i64.const 0))) (call $whole (call $headers)))
  (func (export "status") (local $at i64)
    (drop (call $request (call $input) (i64.const 0)))
    (local.set $at (call $alloc (i64.const 1)))
    (call $store (local.get $at) (call $status))
    (call $whole (local.get $at))))`;

/** Imports `f` of `u` with a result, which the export `go` puts into the global `r`. */
export function resultGuest(type: string): string {
  return `(module
    (import "u" "f" (func $f (param i32 f64 i64) (result ${type})))
    (import "u" "seen" (func $seen (param ${type})))
    (func (export "go") (call $seen (call $f (i32.const -1) (f64.const 1.5) (i64.const -1)))))`;
}

/** `go` calls `f` of module `u`. */
export const CALLER = `(module (import "u" "f" (func $f)) (func (export "go") (call $f)))`;

/** Exports of shapes that are no plugin functions, and uses of output and error. */
export const SHAPES = `(module
  (import "extism:host/env" "input_offset" (func $input (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error (param i64)))
  (memory (export "memory") 1)
  (global (export "answer") i32 (i32.const 42))
  (func (export "part") (call $output (i64.add (call $input) (i64.const 2)) (i64.const 3)))
  (func (export "nothing"))
  (func (export "whole_and_7") (result i32) (call $output (call $input) (call $length (call $input))) (i32.const 7))
  (func (export "param") (param i32) (result i32) (i32.const 0))
  (func (export "two") (result i32 i32) (i32.const 0) (i32.const 0))
  (func (export "long") (result i64) (i64.const 5))
  (func (export "error") (call $error (call $input)))
  (func (export "error_and_trap") (call $error (call $input)) unreachable)
  (func (export "divide") (drop (i32.div_s (i32.const 1) (i32.const 0))))
  (func (export "outside") (drop (i32.load (i32.const -1)))))`;

/** Writes a line to standard output with WASI, exits with codes, and hands to `seen` what asking for folders 3 and 4, and making a file give. */
export const WASI_GUEST = `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "u" "seen" (func $seen (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\08\\00\\00\\00\\0b\\00\\00\\00hello wasi\\n")
  (func (export "say") (call $seen (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 40))))
  (func (export "folders")
    (call $seen (call $prestat (i32.const 3) (i32.const 64)))
    (call $seen (call $prestat (i32.const 4) (i32.const 64))))
  (data (i32.const 100) "new.txt")
  (func (export "create")
    (call $seen (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 7) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 120))))
  (func (export "exit_0") (call $exit (i32.const 0)))
  (func (export "exit_3") (call $exit (i32.const 3))))`;
