;; Grows two memories, each of which would stay within the limit.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory $a 1)
  (memory $b 1)
  (func (export "attack")
    (loop $again
      (drop (memory.grow $a (i32.const 1)))
      (drop (memory.grow $b (i32.const 1)))
      (br $again)))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
