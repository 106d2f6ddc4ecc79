;; select on all types, and drop.
(module
  (func $pick (param i32) (result i32 i64 f32 f64)
    (select (i32.const 1) (i32.const 2) (local.get 0)) (select (i64.const 3) (i64.const 4) (local.get 0))
    (select (f32.const 5) (f32.const 6) (local.get 0)) (select (f64.const 7) (f64.const 8) (local.get 0)))
  (func (export "test_first") (result i32 i64 f32 f64) (call $pick (i32.const -1)))
  (func (export "test_second") (result i32 i64 f32 f64) (call $pick (i32.const 0)))
  (func (export "test_vector") (result i32)
    (i32x4.extract_lane 0 (select (v128.const i32x4 1 2 3 4) (v128.const i32x4 5 6 7 8) (i32.const 0))))
  (func (export "test_both_operands_run") (result i32) (local i32)
    (drop (select (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (local.tee 0 (i32.add (local.get 0) (i32.const 10))) (i32.const 1)))
    (local.get 0))
  (func (export "test_drops") (drop (i32.const 1)) (drop (i64.const 1)) (drop (f64.const 1)) (drop (v128.const i64x2 1 2)) (drop (ref.null func)))
)
