;; A host function that throws, caught by catch_all of a try_table.
(module
  (import "host" "fail" (func $fail))
  (func (export "test_catch_all") (result i32)
    (block $h (try_table (catch_all $h) (call $fail)) (return (i32.const 0))) (i32.const 12))
)
