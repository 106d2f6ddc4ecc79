;; A host function that throws, caught by catch_all.
(module
  (import "host" "fail" (func $fail))
  (func (export "test_catch_all") (result i32)
    try (result i32) call $fail i32.const 0 catch_all i32.const 12 end)
)
