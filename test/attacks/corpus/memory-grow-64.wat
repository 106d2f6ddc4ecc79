;; Grows a memory with 64-bit addresses by numbers that wrap when they are cut to 32 bits.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory i64 1)
  (func (export "attack")
    (if (i64.ne (memory.grow (i64.const 0x100000001)) (i64.const -1)) (then (unreachable)))
    (if (i64.ne (memory.grow (i64.const -1)) (i64.const -1)) (then (unreachable)))
    (drop (memory.grow (i64.const 200000))))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
