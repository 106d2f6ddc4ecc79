;; Relaxed vector operations, on operands where all permitted results agree.
(module
  (func $sum (param v128) (result i64) (i64.add (i64.mul (i64.const 31) (i64x2.extract_lane 0 (local.get 0))) (i64x2.extract_lane 1 (local.get 0))))
  (func (export "test_swizzle") (result i64) (call $sum (i8x16.relaxed_swizzle (v128.const i32x4 1 2 3 4) (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))))
  (func (export "test_trunc") (result i64) (call $sum (i32x4.relaxed_trunc_f32x4_s (v128.const f32x4 1.5 -2.5 3 4))))
  (func (export "test_trunc_zero") (result i64) (call $sum (i32x4.relaxed_trunc_f64x2_u_zero (v128.const f64x2 1.5 2.5))))
  (func (export "test_madd") (result i64) (call $sum (f32x4.relaxed_madd (v128.const f32x4 1 2 3 4) (v128.const f32x4 2 2 2 2) (v128.const f32x4 5 6 7 8))))
  (func (export "test_nmadd") (result i64) (call $sum (f64x2.relaxed_nmadd (v128.const f64x2 1 2) (v128.const f64x2 2 2) (v128.const f64x2 5 6))))
  (func (export "test_laneselect") (result i64) (call $sum (i16x8.relaxed_laneselect (v128.const i64x2 1 2) (v128.const i64x2 3 4) (v128.const i64x2 -1 0))))
  (func (export "test_min") (result i64) (call $sum (f32x4.relaxed_min (v128.const f32x4 1 2 3 4) (v128.const f32x4 4 3 2 1))))
  (func (export "test_q15") (result i64) (call $sum (i16x8.relaxed_q15mulr_s (v128.const i16x8 1 2 3 4 5 6 7 8) (v128.const i16x8 100 200 300 400 500 600 700 800))))
  (func (export "test_dot") (result i64) (call $sum (i32x4.relaxed_dot_i8x16_i7x16_add_s (v128.const i32x4 1 2 3 4) (v128.const i32x4 4 3 2 1) (v128.const i32x4 1 1 1 1))))
)
