;; Grows two tables in turns, without end.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (table $a 1 funcref)
  (table $b 1 externref)
  (func (export "attack")
    (loop $again
      (drop (table.grow $a (ref.null func) (i32.const 100)))
      (drop (table.grow $b (ref.null extern) (i32.const 100)))
      (br $again)))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
