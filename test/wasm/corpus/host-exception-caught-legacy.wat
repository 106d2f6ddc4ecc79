;; A host function that throws an exception with a tag, caught by that tag.
(module
  (import "host" "tag_i32" (tag $host_tag (param i32)))
  (import "host" "throw_tag" (func $throw_tag))
  (func (export "test_catch_host_tag") (result i32)
    try (result i32) call $throw_tag i32.const 0 catch $host_tag i32.const 1 i32.add end)
)
