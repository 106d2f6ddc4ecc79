;; Every kind of export, one entity under several names, names that are empty or not ASCII.
(module
  (memory $m 1) (table $t 1 funcref) (global $g (mut i64) (i64.const 5)) (tag $e (param i32))
  (export "m1" (memory $m)) (export "m2" (memory $m)) (export "t1" (table $t)) (export "g1" (global $g)) (export "e1" (tag $e))
  (func $f (export "test_a") (export "test_b") (export "") (export "snow \e2\98\83") (result i64)
    (global.set $g (i64.add (global.get $g) (i64.const 1))) (global.get $g))
)
