;; The host calls back into the instance, which then runs long enough to need more fuel.
(module
  (import "host" "reenter" (func $reenter (result i32)))
  (func (export "callback") (result i32) (local $i i32)
    (loop $again (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300000))))
    (local.get $i))
  (func (export "test_reenter") (result i32) (call $reenter))
)
