;; Takes a block of 900 MiB that it never touches, for the next call to clear.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (func (export "attack") (drop (call $alloc (i64.const 0x38400000))))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
