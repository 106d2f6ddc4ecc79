;; A host function that throws an exception with a tag, caught by that tag of a try_table.
(module
  (import "host" "tag_i32" (tag $host_tag (param i32)))
  (import "host" "throw_tag" (func $throw_tag))
  (func (export "test_catch_host_tag") (result i32)
    (block $h (result i32) (try_table (result i32) (catch $host_tag $h) (call $throw_tag) (i32.const 0))))
)
