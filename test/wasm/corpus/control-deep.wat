;; Nesting deeper than usual, and labels far away.
(module
  (func (export "test_deep") (result i32)
    (local $n i32)
    block block block block block block block block block block block block block block block block
    block block block block block block block block block block block block block block block block
    loop
      local.get $n i32.const 1 i32.add local.tee $n
      i32.const 8 i32.lt_u br_if 0
      local.get $n
      br_table 4 9 14 19 24 29 31 30 32 1 2 3
    end
    end end end end end end end end end end end end end end end end
    end end end end end end end end end end end end end end end end
    local.get $n)
  (func (export "test_ladder") (result i32)
    (local $n i32)
    block $a block $b block $c block $d block $e block $f
    local.get $n br_if $a
    local.get $n i32.eqz br_if $f
    unreachable
    end local.get $n i32.const 1 i32.add local.set $n
    end local.get $n i32.const 2 i32.add local.set $n
    end local.get $n i32.const 4 i32.add local.set $n
    end local.get $n i32.const 8 i32.add local.set $n
    end local.get $n i32.const 16 i32.add local.set $n
    end
    local.get $n)
)
