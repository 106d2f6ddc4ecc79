;; Allocates many small blocks, so that the block table is large; the next call looks for its entries.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
  (func (export "attack") (local $left i32)
    (local.set $left (i32.const 20000))
    (loop $again
      (drop (call $alloc (i64.const 5)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
  (func (export "probe") (local $at i64) (local $i i64) (local $found i64)
    (local.set $at (call $alloc (i64.const 800000)))
    (loop $again
      (local.set $found (i64.or (local.get $found) (call $load_u64 (i64.add (local.get $at) (local.get $i)))))
      (local.set $i (i64.add (local.get $i) (i64.const 8)))
      (br_if $again (i64.lt_u (local.get $i) (i64.const 800000))))
    (call $store_u64 (local.get $at) (local.get $found))
    (call $output_set (local.get $at) (i64.const 8)))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
