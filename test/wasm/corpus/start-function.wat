;; A start function that changes state the tests then read.
(module
  (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 0))
  (export "ready" (global $ready))
  (data (i32.const 0) "before")
  (func $prepare
    (local $i i32)
    (loop $again
      (i32.store8 offset=100 (local.get $i) (local.get $i))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50))))
    (global.set $ready (i32.add (global.get $ready) (i32.const 1))))
  (start $prepare)
  (func (export "test_ready") (result i32) (global.get $ready))
  (func (export "test_bytes") (result i32) (i32.load8_u (i32.const 149)))
  (func (export "test_data_before_start") (result i32) (i32.load8_u (i32.const 0)))
)
