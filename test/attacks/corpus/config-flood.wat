;; Asks for a large configuration value without end and frees nothing.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (func (export "attack") (local $at i64)
    (loop $again
      (local.set $at (call $alloc (i64.const 3)))
      (call $store_u8 (local.get $at) (i32.const 98))
      (call $store_u8 (i64.add (local.get $at) (i64.const 1)) (i32.const 105))
      (call $store_u8 (i64.add (local.get $at) (i64.const 2)) (i32.const 103))
      (drop (call $config_get (local.get $at)))
      (br $again)))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
