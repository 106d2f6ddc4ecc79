;; A start function that traps.
(module
  (memory (export "memory") 1)
  (func $boom (i32.store (i32.const 0) (i32.const 5)) unreachable)
  (start $boom)
  (func (export "test_never_run") (result i32) (i32.const 1))
)
