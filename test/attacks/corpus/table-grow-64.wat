;; Grows a table with 64-bit addresses by a number that wraps when it is cut to 32 bits.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (table i64 1 funcref)
  (func (export "attack")
    (if (i64.ne (table.grow 0 (ref.null func) (i64.const 0x100000001)) (i64.const -1)) (then (unreachable)))
    (drop (table.grow 0 (ref.null func) (i64.const 9000000))))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
