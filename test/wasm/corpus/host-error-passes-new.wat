;; A host function that throws, past a try_table with another tag.
(module
  (import "host" "fail" (func $fail))
  (tag $e (param i32))
  (func (export "test_passes_through") (result i32)
    (block $h (result i32) (try_table (result i32) (catch $e $h) (call $fail) (i32.const 0))))
)
