;; Asks for a megabyte of random bytes without end.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func (export "attack") (loop $again (drop (call $random_get (i32.const 0) (i32.const 0x100000))) (br $again)))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
