;; An active data segment that does not fit: instantiation fails, before and after rewriting.
(module
  (memory (export "memory") 1)
  (data (i32.const 65530) "too long")
  (func (export "test_never_run"))
)
