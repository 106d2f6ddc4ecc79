;; Writes a thousand overlapping vectors of a megabyte without end.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (func (export "attack") (local $i i32)
    (loop $fill
      (i32.store offset=4 (local.get $i) (i32.const 0x100000))
      (local.set $i (i32.add (local.get $i) (i32.const 8)))
      (br_if $fill (i32.lt_u (local.get $i) (i32.const 8000))))
    (loop $again (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1000) (i32.const 9000))) (br $again)))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
