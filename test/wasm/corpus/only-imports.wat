;; A module without code of its own.
(module
  (import "host" "add" (func $add (param i32 i32) (result i32)))
  (import "host" "memory" (memory 1 16))
  (export "add" (func $add)) (export "memory" (memory 0))
)
