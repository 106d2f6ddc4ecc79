;; A checksum with a table built at first use, and a tail-recursive string walk.
(module
  (memory (export "memory") 1)
  (data (i32.const 2048) "The quick brown fox jumps over the lazy dog")
  (func $build (local $i i32) (local $k i32) (local $c i32)
    (loop $outer
      (local.set $c (local.get $i)) (local.set $k (i32.const 8))
      (loop $inner
        (local.set $c (select (i32.xor (i32.const 0xedb88320) (i32.shr_u (local.get $c) (i32.const 1))) (i32.shr_u (local.get $c) (i32.const 1)) (i32.and (local.get $c) (i32.const 1))))
        (br_if $inner (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
      (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $c))
      (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 256)))))
  (func $walk (param $p i32) (param $n i32) (param $c i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.xor (local.get $c) (i32.const -1)))))
    (return_call $walk (i32.add (local.get $p) (i32.const 1)) (i32.sub (local.get $n) (i32.const 1))
      (i32.xor (i32.shr_u (local.get $c) (i32.const 8))
        (i32.load (i32.shl (i32.and (i32.xor (local.get $c) (i32.load8_u (local.get $p))) (i32.const 255)) (i32.const 2))))))
  (func (export "test_crc") (result i32) (call $build) (call $walk (i32.const 2048) (i32.const 43) (i32.const -1)))
)
