;; Conditions: with and without else, with results and parameters, branches out of arms.
(module
  (func $classify (param $n i32) (result i32)
    (if (result i32) (i32.lt_s (local.get $n) (i32.const 0))
      (then (i32.const -1))
      (else (if (result i32) (local.get $n) (then (i32.const 1)) (else (i32.const 0))))))
  (func (export "test_classify") (result i32)
    (i32.add
      (i32.mul (call $classify (i32.const -5)) (i32.const 100))
      (i32.add (i32.mul (call $classify (i32.const 0)) (i32.const 10)) (call $classify (i32.const 7)))))
  (func (export "test_if_without_else") (result i32)
    (local $x i32)
    (if (i32.const 1) (then (local.set $x (i32.const 5))))
    (if (i32.const 0) (then (local.set $x (i32.const 6))))
    (local.get $x))
  (func (export "test_if_with_parameters") (result i32)
    i32.const 10
    i32.const 20
    i32.const 1
    (if (param i32 i32) (result i32) (then i32.add) (else i32.sub))
    i32.const 3
    i32.const 0
    (if (param i32 i32) (result i32) (then i32.add) (else i32.sub)))
  (func (export "test_if_parameter_passes_through_missing_else") (result i32)
    i32.const 4
    i32.const 0
    (if (param i32) (result i32) (then i32.const 2 i32.mul)))
  (func (export "test_branch_out_of_arms") (result i32)
    (local $r i32)
    (block $out
      (if (i32.const 1) (then (local.set $r (i32.const 1)) (br $out)) (else (local.set $r (i32.const 2))))
      (local.set $r (i32.const 3)))
    (if $self (i32.const 0) (then unreachable) (else (br $self)))
    (local.get $r))
  (func (export "test_empty_arms") (result i32)
    (if (i32.const 1) (then) (else))
    (if (i32.const 0) (then) (else))
    (i32.const 1))
  (func (export "test_long_arms") (param) (result i64)
    (local $a i64)
    (if (i32.const 0)
      (then (local.set $a (i64.const 1)))
      (else
        (local.set $a (i64.add (local.get $a) (i64.const 11))) (local.set $a (i64.mul (local.get $a) (i64.const 13)))
        (local.set $a (i64.add (local.get $a) (i64.const 12))) (local.set $a (i64.mul (local.get $a) (i64.const 14)))
        (local.set $a (i64.add (local.get $a) (i64.const 13))) (local.set $a (i64.mul (local.get $a) (i64.const 15)))
        (local.set $a (i64.add (local.get $a) (i64.const 14))) (local.set $a (i64.mul (local.get $a) (i64.const 16)))
        (local.set $a (i64.add (local.get $a) (i64.const 15))) (local.set $a (i64.mul (local.get $a) (i64.const 17)))
        (local.set $a (i64.add (local.get $a) (i64.const 16))) (local.set $a (i64.mul (local.get $a) (i64.const 18)))))
    (local.get $a))
)
