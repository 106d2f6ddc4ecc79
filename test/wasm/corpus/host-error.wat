;; A host function that throws: the error reaches the caller. Last, because an instance is not used after that.
(module
  (import "host" "fail" (func $fail))
  (memory (export "memory") 1)
  (func (export "test_fail") (i32.store (i32.const 0) (i32.const 1)) (call $fail) (i32.store (i32.const 4) (i32.const 1)))
)
