;; Types nobody uses, equal types twice, and types with many parameters.
(module
  (type (func)) (type (func)) (type (func (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (type $a (func (result i32))) (type $b (func (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) func $f $g)
  (func $f (type $a) (i32.const 1)) (func $g (type $b) (i32.const 2))
  (func (export "test_equal_types") (result i32 i32) (call_indirect (type $b) (i32.const 0)) (call_indirect (type $a) (i32.const 1)))
)
