;; assembler: binaryen
;; Allocation inside loops and recursion: a tree built and walked.
(module
  (type $tree (struct (field $left (mut (ref null $tree))) (field $right (mut (ref null $tree))) (field $key i32)))
  (func $insert (param $t (ref null $tree)) (param $k i32) (result (ref $tree))
    (if (ref.is_null (local.get $t)) (then (return (struct.new $tree (ref.null $tree) (ref.null $tree) (local.get $k)))))
    (if (i32.lt_u (local.get $k) (struct.get $tree $key (local.get $t)))
      (then (struct.set $tree $left (local.get $t) (call $insert (struct.get $tree $left (local.get $t)) (local.get $k))))
      (else (struct.set $tree $right (local.get $t) (call $insert (struct.get $tree $right (local.get $t)) (local.get $k)))))
    (ref.as_non_null (local.get $t)))
  (func $depth (param $t (ref null $tree)) (result i32) (local $l i32) (local $r i32)
    (if (ref.is_null (local.get $t)) (then (return (i32.const 0))))
    (local.set $l (call $depth (struct.get $tree $left (local.get $t))))
    (local.set $r (call $depth (struct.get $tree $right (local.get $t))))
    (i32.add (i32.const 1) (select (local.get $l) (local.get $r) (i32.gt_u (local.get $l) (local.get $r)))))
  (func (export "test_tree") (result i32) (local $t (ref null $tree)) (local $i i32) (local $x i32)
    (loop $again
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (local.set $t (call $insert (local.get $t) (i32.shr_u (local.get $x) (i32.const 4))))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200))))
    (call $depth (local.get $t)))
)
