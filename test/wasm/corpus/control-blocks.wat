;; Blocks: nested, with results, with parameters, left by branches from every depth.
(module
  (global $seen (mut i32) (i32.const 0))
  (export "seen" (global $seen))
  (func (export "test_empty_blocks")
    (block) (block (block (block))) (loop) (loop (loop)))
  (func (export "test_nested_results") (result i32)
    (i32.add
      (block (result i32) (block (result i32) (block (result i32) (i32.const 1))))
      (block (result i32) (i32.const 2))))
  (func (export "test_branch_to_each_depth") (result i32)
    (local $i i32) (local $sum i32)
    (block $done
      (loop $again
        (br_if $done (i32.ge_u (local.get $i) (i32.const 5)))
        (block $a
          (block $b
            (block $c
              (br_if $a (i32.eq (local.get $i) (i32.const 1)))
              (br_if $b (i32.eq (local.get $i) (i32.const 2)))
              (br_if $c (i32.eq (local.get $i) (i32.const 3)))
              (local.set $sum (i32.add (local.get $sum) (i32.const 1000))))
            (local.set $sum (i32.add (local.get $sum) (i32.const 100))))
          (local.set $sum (i32.add (local.get $sum) (i32.const 10))))
        (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $again)))
    (local.get $sum))
  (func (export "test_branch_drops_extra_operands") (result i32)
    (block $out (result i32)
      i32.const 1
      i64.const 2
      f32.const 3
      i32.const 4
      br $out))
  (func (export "test_branch_to_function_body") (result i32)
    i32.const 9
    br 0)
  (func (export "test_branch_to_function_body_from_inside") (result i32)
    (block (loop (block (br 3 (i32.const 8)))))
    i32.const 7)
  (func (export "test_block_with_parameters") (result i32)
    i32.const 3
    i32.const 4
    (block (param i32 i32) (result i32) i32.mul)
    i32.const 5
    (block (param i32 i32) (result i32 i32) nop)
    i32.sub)
  (func (export "test_br_if_keeps_value") (result i32)
    (block $out (result i32)
      i32.const 21
      global.get $seen
      br_if $out
      i32.const 2
      i32.mul))
)
