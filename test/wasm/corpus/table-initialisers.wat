;; assembler: binaryen
;; Tables with an initial value, and of non-nullable references.
(module
  (type $t (func (result i32)))
  (table $a (export "a") 5 (ref $t) (ref.func $f))
  (table $b (export "b") 3 funcref (ref.func $g))
  (func $f (type $t) (result i32) (i32.const 1))
  (func $g (type $t) (result i32) (i32.const 2))
  (func (export "test_initial") (result i32) (call_indirect $a (type $t) (i32.const 4)))
  (func (export "test_initial_of_second") (result i32) (call_indirect $b (type $t) (i32.const 2)))
  (func (export "test_get") (result i32) (call_ref $t (table.get $a (i32.const 0))))
  (func (export "test_grow") (result i32 i32) (table.grow $a (ref.func $g) (i32.const 2)) (call_indirect $a (type $t) (i32.const 6)))
)
