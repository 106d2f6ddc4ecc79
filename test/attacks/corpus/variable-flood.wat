;; Sets variables of ever new names without end.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (func (export "attack") (local $key i64) (local $i i64)
    (loop $again
      (local.set $key (call $alloc (i64.const 8)))
      (call $store_u64 (local.get $key) (i64.add (i64.const 0x3030303030303030)
        (i64.or (i64.and (local.get $i) (i64.const 0x3f)) (i64.shl (i64.shr_u (local.get $i) (i64.const 6)) (i64.const 8)))))
      (call $var_set (local.get $key) (call $alloc (i64.const 1)))
      (local.set $i (i64.and (i64.add (local.get $i) (i64.const 1)) (i64.const 0x1fff)))
      (br $again)))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
