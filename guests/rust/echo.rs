//! Benchmark guests: `echo` copies the input into guest memory and out again, `noop` does nothing.
mod extism;

#[no_mangle]
pub extern "C" fn echo() -> i32 {
    extism::succeed_with(&extism::input())
}

#[no_mangle]
pub extern "C" fn noop() -> i32 {
    0
}
