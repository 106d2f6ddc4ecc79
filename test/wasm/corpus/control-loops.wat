;; Loops: counted, nested, with parameters and results, left early, never entered twice, sharing a header.
(module
  (func $sum_to (param $n i32) (result i32)
    (local $sum i32)
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $sum (i32.add (local.get $sum) (local.get $n)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again)))
    (local.get $sum))
  (func (export "test_sum") (result i32) (call $sum_to (i32.const 1000)))
  (func (export "test_nested") (result i32)
    (local $i i32) (local $j i32) (local $n i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $inner
        (local.set $n (i32.add (local.get $n) (i32.xor (local.get $i) (local.get $j))))
        (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 30))))
      (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get $n))
  (func (export "test_loop_with_parameters") (result i32)
    (local $steps i32)
    i32.const 1
    i32.const 12
    (loop $again (param i32 i32) (result i32)
      local.set $steps
      i32.const 3
      i32.mul
      local.get $steps
      i32.const 1
      i32.sub
      local.tee $steps
      local.get $steps
      br_if $again
      drop))
  (func (export "test_loop_result_only") (result i64)
    (loop (result i64) (i64.const 77)))
  (func (export "test_loop_multi_value") (result i32 i64)
    (local $n i32)
    i32.const 0
    i64.const 1
    (loop $again (param i32 i64) (result i32 i64)
      i64.const 2
      i64.mul
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 40)))))
  (func (export "test_loop_left_by_return") (result i32)
    (local $n i32)
    (loop $again
      (local.set $n (i32.add (local.get $n) (i32.const 7)))
      (if (i32.gt_u (local.get $n) (i32.const 100)) (then (return (local.get $n))))
      (br $again))
    unreachable)
  (func (export "test_loop_continue_from_depth") (result i32)
    (local $i i32) (local $odd i32)
    (loop $again
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (block (block (block
        (br_if $again (i32.and (i32.and (local.get $i) (i32.const 1)) (i32.lt_u (local.get $i) (i32.const 50)))))))
      (local.set $odd (i32.add (local.get $odd) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 50))))
    (local.get $odd))
  (func (export "test_adjacent_headers") (result i32)
    (local $i i32)
    (loop $a (loop $b (loop $c
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $c (i32.lt_u (local.get $i) (i32.const 10)))
      (br_if $b (i32.lt_u (local.get $i) (i32.const 20)))
      (br_if $a (i32.lt_u (local.get $i) (i32.const 30))))))
    (local.get $i))
  (func (export "test_operands_below_a_loop") (result i32)
    (local $i i32)
    i32.const 100
    i32.const 10
    (loop $again
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 9))))
    i32.sub
    local.get $i
    i32.add)
  (func (export "test_loop_at_end_of_function") (result i32)
    (local $n i32)
    (loop $again (result i32)
      (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 3)))
      (local.get $n)))
)
