;; The first form of exceptions: try, catch, catch_all, rethrow, delegate.
(module
  (tag $e (export "e") (param i32))
  (tag $pair (param i32 i64))
  (tag $empty)
  (global $log (mut i32) (i32.const 0))
  (export "log" (global $log))
  (func $note (param i32) (global.set $log (i32.add (i32.mul (global.get $log) (i32.const 10)) (local.get 0))))
  (func $thrower (param i32) (throw $e (local.get 0)))
  (func (export "test_catch") (result i32)
    try (result i32) i32.const 5 throw $e catch $e i32.const 1 i32.add end)
  (func (export "test_catch_from_callee") (result i32)
    try (result i32) i32.const 7 call $thrower i32.const 0 catch $e end)
  (func (export "test_no_throw") (result i32)
    try (result i32) i32.const 3 catch $e catch_all i32.const 9 end)
  (func (export "test_catch_all") (result i32)
    try (result i32) throw $empty catch $e catch_all i32.const 9 end)
  (func (export "test_catch_of_several") (result i32 i64)
    try (result i32 i64) i32.const 1 i64.const 2 throw $pair catch $e i64.const 5 catch $pair catch_all i32.const 0 i64.const 0 end)
  (func (export "test_uncaught") (i32.const 77) (throw $e))
  (func (export "test_uncaught_empty") throw $empty)
  (func (export "test_rethrow") (result i32)
    try (result i32)
      try (result i32) i32.const 4 throw $e catch $e drop i32.const 1 call $note rethrow 0 end
    catch $e i32.const 100 i32.add end)
  (func (export "test_rethrow_outer") (result i32)
    try (result i32)
      try (result i32) i32.const 6 throw $e
      catch_all
        try (result i32) throw $empty catch_all rethrow 1 end
      end
    catch $e end)
  (func (export "test_delegate") (result i32)
    try $outer (result i32)
      try (result i32)
        try (result i32) i32.const 8 throw $e delegate $outer
      catch_all i32.const -1 end
    catch $e i32.const 1000 i32.add end)
  (func (export "test_delegate_to_caller") (result i32)
    try (result i32) i32.const 9 throw $e delegate 0)
  (func (export "test_try_without_handlers") (result i32) try (result i32) i32.const 1 end)
  (func (export "test_trap_is_not_caught") (result i32)
    try (result i32) unreachable catch_all i32.const 1 end)
  (func (export "test_division_trap_is_not_caught") (result i32)
    try (result i32) i32.const 1 i32.const 0 i32.div_u catch_all i32.const 1 end)
  (func (export "test_throw_in_loop") (result i32) (local $i i32) (local $caught i32)
    (loop $again
      try
        (if (i32.and (local.get $i) (i32.const 1)) (then (throw $e (local.get $i))))
      catch $e
        local.get $caught i32.add local.set $caught
      end
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))
    (local.get $caught))
  (func (export "test_loop_in_try") (result i32) (local $i i32)
    try (result i32)
      loop $again (result i32)
        (if (i32.eq (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 9)) (then (throw $e (local.get $i))))
        br $again
      end
    catch $e i32.const 10 i32.mul end)
  (func (export "test_loop_in_catch") (result i32) (local $i i32)
    try throw $empty catch_all
      (loop $again (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 11))))
    end
    (local.get $i))
  (func (export "test_branch_out_of_try") (result i32)
    (block $out (result i32)
      try (result i32) i32.const 3 br $out catch_all i32.const 4 end
      i32.const 10 i32.mul))
  (func (export "test_branch_out_of_catch") (result i32)
    (block $out (result i32)
      try (result i32) throw $empty catch_all i32.const 4 br $out end
      i32.const 10 i32.mul))
  (func (export "test_try_with_parameters") (result i32)
    i32.const 20 i32.const 22
    try (param i32 i32) (result i32) i32.add catch_all i32.const 0 end)
  (func $recurse (param i32)
    (if (i32.eqz (local.get 0)) (then (throw $e (i32.const 500))))
    try (call $recurse (i32.sub (local.get 0) (i32.const 1))) catch $e i32.const 1 i32.add throw $e end)
  (func (export "test_unwinding_through_frames") (result i32)
    try (result i32) i32.const 20 call $recurse i32.const 0 catch $e end)
  (func (export "test_dead_code") (result i32)
    i32.const 1 return try (result i32) i32.const 1 throw $e catch $e catch_all rethrow 0 end drop try delegate 0)
)
