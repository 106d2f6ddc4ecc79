;; assembler: binaryen
;; Structs: fields of all kinds, packed fields, defaults, null access, subtyping.
(module
  (rec
    (type $node (sub (struct (field $value (mut i32)) (field $next (mut (ref null $node))))))
    (type $named (sub $node (struct (field $value (mut i32)) (field $next (mut (ref null $node))) (field $name i64)))))
  (type $packed (struct (field $a (mut i8)) (field $b (mut i16)) (field $c (mut f64)) (field $d (mut funcref)) (field $e (mut v128))))
  (func $push (param $tail (ref null $node)) (param $v i32) (result (ref $node)) (struct.new $node (local.get $v) (local.get $tail)))
  (func $sum (param $list (ref null $node)) (result i32) (local $s i32)
    (block $done
      (loop $again
        (br_if $done (ref.is_null (local.get $list)))
        (local.set $s (i32.add (local.get $s) (struct.get $node $value (local.get $list))))
        (local.set $list (struct.get $node $next (local.get $list)))
        (br $again)))
    (local.get $s))
  (func (export "test_list") (result i32)
    (local $l (ref null $node)) (local $i i32)
    (loop $again
      (local.set $l (call $push (local.get $l) (local.get $i)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50))))
    (call $sum (local.get $l)))
  (func (export "test_null_get") (result i32) (local $l (ref null $node)) (struct.get $node $value (local.get $l)))
  (func (export "test_null_set") (local $l (ref null $node)) (struct.set $node $value (local.get $l) (i32.const 1)))
  (func (export "test_packed") (result i32 i32 i32 i32)
    (local $p (ref null $packed))
    (local.set $p (struct.new_default $packed))
    (struct.set $packed $a (local.get $p) (i32.const 0x1ff)) (struct.set $packed $b (local.get $p) (i32.const 0x18000))
    (struct.get_s $packed $a (local.get $p)) (struct.get_u $packed $a (local.get $p))
    (struct.get_s $packed $b (local.get $p)) (struct.get_u $packed $b (local.get $p)))
  (func (export "test_subtype") (result i32 i64)
    (local $n (ref null $node))
    (local.set $n (struct.new $named (i32.const 4) (ref.null $node) (i64.const 44)))
    (struct.get $node $value (local.get $n)) (struct.get $named $name (ref.cast (ref $named) (local.get $n))))
  (func (export "test_identity") (result i32 i32)
    (local $n (ref null $node))
    (local.set $n (call $push (ref.null $node) (i32.const 1)))
    (ref.eq (local.get $n) (local.get $n)) (ref.eq (local.get $n) (call $push (ref.null $node) (i32.const 1))))
)
