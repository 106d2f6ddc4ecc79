;; Several results from functions, blocks, loops and conditions.
(module
  (func $divmod (param i32 i32) (result i32 i32)
    (i32.div_u (local.get 0) (local.get 1))
    (i32.rem_u (local.get 0) (local.get 1)))
  (func $rotate (param i32 i64 f32 f64) (result i64 f32 f64 i32)
    local.get 1 local.get 2 local.get 3 local.get 0)
  (func (export "test_divmod") (result i32 i32) (call $divmod (i32.const 47) (i32.const 10)))
  (func (export "test_divmod_trap") (result i32 i32) (call $divmod (i32.const 47) (i32.const 0)))
  (func (export "test_rotate") (result i64 f32 f64 i32)
    (call $rotate (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4)))
  (func (export "test_results_as_arguments") (result i32 i32)
    (call $divmod (call $divmod (i32.const 1234) (i32.const 7))))
  (func (export "test_if_multi") (result i32 i64)
    (if (result i32 i64) (i32.const 0) (then i32.const 1 i64.const 2) (else i32.const 3 i64.const 4)))
  (func (export "test_fibonacci_on_the_stack") (result i64 i64)
    (local $n i32) (local $t i64)
    i64.const 0
    i64.const 1
    (loop $again (param i64 i64) (result i64 i64)
      local.tee $t
      i64.add
      local.get $t
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 60)))))
  (func (export "test_sixteen_results")
    (result i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i64 i64 f64 f64 f64 f64)
    i32.const 1 i32.const 2 i32.const 3 i32.const 4 i32.const 5 i32.const 6 i32.const 7 i32.const 8
    i64.const 1 i64.const 2 i64.const 3 i64.const 4 f64.const 1 f64.const 2 f64.const 3 f64.const 4)
)
