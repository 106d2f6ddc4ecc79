;; Returns from every position, with values below on the stack, and falling off the end.
(module
  (func $at (param $where i32) (result i32)
    (if (i32.eqz (local.get $where)) (then (return (i32.const 100))))
    (block
      (br_if 0 (i32.ne (local.get $where) (i32.const 1)))
      (return (i32.const 101)))
    (loop
      (if (i32.eq (local.get $where) (i32.const 2)) (then (return (i32.const 102)))))
    i64.const 5
    f64.const 6
    (if (i32.eq (local.get $where) (i32.const 3))
      (then i32.const 103 return))
    drop
    drop
    i32.const 104)
  (func (export "test_0") (result i32) (call $at (i32.const 0)))
  (func (export "test_1") (result i32) (call $at (i32.const 1)))
  (func (export "test_2") (result i32) (call $at (i32.const 2)))
  (func (export "test_3") (result i32) (call $at (i32.const 3)))
  (func (export "test_4") (result i32) (call $at (i32.const 4)))
  (func (export "test_return_is_last") (result i32) (return (i32.const 1)))
  (func (export "test_return_nothing") return)
  (func (export "test_return_with_values_below") (result i32 f32)
    i32.const 1 i32.const 2 i32.const 3 f32.const 4 return)
  (func (export "test_return_inside_operand") (result i32)
    (i32.add (i32.const 1) (return (i32.const 55))))
)
