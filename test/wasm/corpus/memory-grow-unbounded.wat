;; memory.grow without a maximum, inside a loop, with writes between the steps.
(module
  (memory (export "memory") 0)
  (func (export "test_empty_memory") (result i32) (i32.load (i32.const 0)))
  (func (export "test_grow_in_loop") (result i32)
    (local $i i32)
    (loop $again
      (drop (memory.grow (i32.const 1)))
      (i32.store (i32.mul (local.get $i) (i32.const 65536)) (local.get $i))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 12))))
    (i32.add (memory.size) (i32.load (i32.const 720896))))
)
