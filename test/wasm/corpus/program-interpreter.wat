;; A bytecode interpreter: a br_table inside a loop, with calls and memory.
(module
  (memory (export "memory") 1)
  (data (i32.const 0) "\01\64\02\01\03\05\00")
  (func $run (param $pc i32) (result i32)
    (local $acc i32) (local $counter i32) (local $op i32)
    (block $halt
      (loop $next
        (local.set $op (i32.load8_u (local.get $pc)))
        (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
        (block $jump (block $dec (block $add (block $load
          (br_table $halt $load $add $dec $halt $jump $halt (local.get $op)))
          (local.set $counter (i32.load8_u (local.get $pc))) (local.set $pc (i32.add (local.get $pc) (i32.const 1))) (br $next))
          (local.set $acc (i32.add (local.get $acc) (local.get $counter))) (local.set $pc (i32.add (local.get $pc) (i32.const 1))) (br $next))
          (local.set $counter (i32.sub (local.get $counter) (i32.const 1))) (br $next))
        (if (local.get $counter) (then (local.set $pc (i32.const 2))))
        (br $next)))
    (local.get $acc))
  (func (export "test_run") (result i32) (call $run (i32.const 0)))
)
