;; A host function that throws, past a handler for another tag.
(module
  (import "host" "fail" (func $fail))
  (tag $e (param i32))
  (func (export "test_passes_through") try call $fail catch $e drop end)
)
