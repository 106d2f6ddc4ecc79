;; An exception that must not skip the charge for the frames it leaves, nor be caught twice.
(module
  (tag $e (export "e") (param i64))
  (global $depth (mut i32) (i32.const 0))
  (export "depth" (global $depth))
  (func $down (param $n i32)
    (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
    (if (i32.eqz (local.get $n)) (then (throw $e (i64.const 123))))
    (call $down (i32.sub (local.get $n) (i32.const 1)))
    (global.set $depth (i32.const -1)))
  (func (export "test_many_unwinds") (result i64) (local $i i32) (local $sum i64)
    (loop $again
      try (call $down (local.get $i)) catch $e local.get $sum i64.add local.set $sum end
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40))))
    (local.get $sum))
  (func (export "test_uncaught_from_depth") (call $down (i32.const 100)))
)
