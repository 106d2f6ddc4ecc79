;; The host calls back into the instance, which calls the host again.
(module
  (import "host" "reenter" (func $reenter (result i32)))
  (import "host" "add" (func $add (param i32 i32) (result i32)))
  (global $calls (mut i32) (i32.const 0))
  (func (export "callback") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (call $add (global.get $calls) (i32.const 100)))
  (func (export "test_reenter") (result i32) (call $reenter))
)
