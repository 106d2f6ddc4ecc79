;; A start function that is an import.
(module
  (import "host" "count" (func $count))
  (import "host" "log" (func $log (param i32)))
  (start $count)
  (func (export "test_log") (call $log (i32.const 3)))
)
