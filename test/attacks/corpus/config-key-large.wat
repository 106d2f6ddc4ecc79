;; Asks for a configuration key of 40 MiB, again and again.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
  (func (export "attack")
    (loop $again (drop (call $config_get (call $alloc (i64.const 0x2800000)))) (br $again)))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
