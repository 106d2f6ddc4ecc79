;; Frees every second block and asks for slightly larger ones, so that nothing can be used again.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (func (export "attack") (local $size i64)
    (local.set $size (i64.const 64))
    (loop $again
      (call $free (call $alloc (local.get $size)))
      (drop (call $alloc (i64.const 1)))
      (local.set $size (i64.add (local.get $size) (i64.const 8)))
      (br $again)))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
