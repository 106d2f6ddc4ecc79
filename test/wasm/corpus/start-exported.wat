;; A start function that is exported too, and called again.
(module
  (global $n (mut i32) (i32.const 0))
  (export "n" (global $n))
  (func $init (export "test_init_again") (global.set $n (i32.add (global.get $n) (i32.const 1))))
  (start $init)
  (func (export "test_n") (result i32) (global.get $n))
)
