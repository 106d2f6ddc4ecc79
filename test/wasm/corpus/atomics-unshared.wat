;; Atomic instructions on a memory that is not shared.
(module
  (memory (export "memory") 1 1)
  (func (export "test_rmw") (result i32 i32)
    (i32.atomic.store (i32.const 8) (i32.const 5))
    (i32.atomic.rmw.add (i32.const 8) (i32.const 3))
    (i32.atomic.load (i32.const 8)))
  (func (export "test_cmpxchg") (result i64) (i64.atomic.rmw.cmpxchg (i32.const 16) (i64.const 0) (i64.const 9)) drop (i64.atomic.load (i32.const 16)))
  (func (export "test_unaligned") (result i32) (i32.atomic.load (i32.const 1)))
  (func (export "test_fence") atomic.fence)
  (func (export "test_notify") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 1)))
)
