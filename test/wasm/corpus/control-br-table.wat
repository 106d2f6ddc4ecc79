;; br_table: dense, empty, repeated labels, operands, large tables, loops as targets.
(module
  (func $pick (param i32) (result i32)
    (block $d (block $c (block $b (block $a
      (br_table $a $b $c $d (local.get 0)))
      (return (i32.const 10)))
      (return (i32.const 20)))
      (return (i32.const 30)))
    (i32.const 40))
  (func (export "test_pick") (result i32)
    (i32.add (i32.add (call $pick (i32.const 0)) (i32.mul (i32.const 3) (call $pick (i32.const 1))))
      (i32.add (i32.mul (i32.const 5) (call $pick (i32.const 2)))
        (i32.add (i32.mul (i32.const 7) (call $pick (i32.const 3))) (i32.mul (i32.const 11) (call $pick (i32.const -1)))))))
  (func (export "test_only_default") (result i32)
    (block $a (br_table $a (i32.const 3)))
    (i32.const 1))
  (func (export "test_repeated_labels") (result i32)
    (block $b (block $a (br_table $a $a $b $a $b $b $a (i32.const 4))) (return (i32.const 1)))
    (i32.const 2))
  (func (export "test_operands") (result i32)
    (block $b (result i32)
      (block $a (result i32)
        i32.const 5
        i32.const 17
        i32.const 1
        br_table $a $b)
      i32.const 100
      i32.add))
  (func (export "test_several_operands") (result i32 i64)
    (block $b (result i32 i64)
      (block $a (result i32 i64)
        f64.const 1
        i32.const 5
        i64.const 6
        i32.const 0
        br_table $a $b 2)
      i64.const 1
      i64.add))
  (func (export "test_to_loop") (result i32)
    (local $n i32)
    (block $out
      (loop $again
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_table $again $again $again $out (local.get $n))))
    (local.get $n))
  (func (export "test_to_function_body") (result i32)
    i32.const 3
    i32.const 0
    br_table 0 0 0)
  (func (export "test_state_machine") (result i32)
    (local $state i32) (local $steps i32)
    (block $halt
      (loop $run
        (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
        (block $s3 (block $s2 (block $s1 (block $s0
          (br_table $s0 $s1 $s2 $s3 $halt (local.get $state)))
          (local.set $state (i32.const 2)) (br $run))
          (local.set $state (i32.const 3)) (br $run))
          (local.set $state (i32.const 1)) (br $run))
        (if (i32.lt_u (local.get $steps) (i32.const 40)) (then (local.set $state (i32.const 0))) (else (local.set $state (i32.const 9))))
        (br $run)))
    (local.get $steps))
)
