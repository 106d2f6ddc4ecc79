;; Reports an error of megabytes of escapes, line breaks and forged log lines.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (func (export "attack") (local $at i64) (local $i i64)
    (local.set $at (call $alloc (i64.const 0x300000)))
    (loop $again
      ;; ESC [ 2 J LF [ E R
      (call $store_u64 (i64.add (local.get $at) (local.get $i)) (i64.const 0x52455b0a4a325b1b))
      (local.set $i (i64.add (local.get $i) (i64.const 8)))
      (br_if $again (i64.lt_u (local.get $i) (i64.const 0x300000))))
    (call $error_set (local.get $at)))
  (func (export "ok") (local $at i64)
    (local.set $at (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $at) (i64.const 0x6b6f))
    (call $output_set (local.get $at) (i64.const 2))))
