;; A small program on memory: fill with a generator, sort, and sum up.
(module
  (memory (export "memory") 1)
  (func $fill (param $n i32) (local $i i32) (local $x i32)
    (local.set $x (i32.const 12345))
    (loop $again
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1103515245)) (i32.const 12345)))
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.shr_u (local.get $x) (i32.const 8)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
  (func $sort (param $n i32) (local $i i32) (local $j i32) (local $a i32) (local $b i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $inner
        (local.set $a (i32.load (i32.shl (local.get $j) (i32.const 2))))
        (local.set $b (i32.load offset=4 (i32.shl (local.get $j) (i32.const 2))))
        (if (i32.gt_s (local.get $a) (local.get $b))
          (then
            (i32.store (i32.shl (local.get $j) (i32.const 2)) (local.get $b))
            (i32.store offset=4 (i32.shl (local.get $j) (i32.const 2)) (local.get $a))))
        (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.sub (local.get $n) (i32.const 1)))))
      (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
  (func (export "test_sort") (result i32 i32 i32)
    (call $fill (i32.const 64))
    (call $sort (i32.const 64))
    (i32.load (i32.const 0)) (i32.load (i32.const 128)) (i32.load (i32.const 252)))
)
