;; An active element segment that does not fit.
(module
  (table (export "t") 2 funcref)
  (elem (i32.const 1) func $f $f)
  (func $f)
  (func (export "test_never_run"))
)
