//! The part of the Extism guest ABI that these guests use, with copying helpers on top.
// Each guest includes this file and uses some of it.
#![allow(dead_code)]

mod env {
    #[link(wasm_import_module = "extism:host/env")]
    extern "C" {
        #[link_name = "alloc"]
        pub fn alloc(length: u64) -> u64;
        #[link_name = "length"]
        pub fn length(handle: u64) -> u64;
        #[link_name = "load_u8"]
        pub fn load_u8(address: u64) -> u32;
        #[link_name = "load_u64"]
        pub fn load_u64(address: u64) -> u64;
        #[link_name = "store_u8"]
        pub fn store_u8(address: u64, value: u32);
        #[link_name = "store_u64"]
        pub fn store_u64(address: u64, value: u64);
        #[link_name = "input_length"]
        pub fn input_length() -> u64;
        #[link_name = "input_load_u8"]
        pub fn input_load_u8(offset: u64) -> u32;
        #[link_name = "input_load_u64"]
        pub fn input_load_u64(offset: u64) -> u64;
        #[link_name = "output_set"]
        pub fn output_set(address: u64, length: u64);
        #[link_name = "error_set"]
        pub fn error_set(handle: u64);
        #[link_name = "config_get"]
        pub fn config_get(key: u64) -> u64;
    }
}

// The imports take and return numbers only and never touch guest memory, so every call is safe.

pub fn input_length() -> u64 {
    unsafe { env::input_length() }
}

pub fn input_u8(offset: u64) -> u8 {
    unsafe { env::input_load_u8(offset) as u8 }
}

pub fn input_u64(offset: u64) -> u64 {
    unsafe { env::input_load_u64(offset) }
}

/// The whole input, copied into guest memory.
pub fn input() -> Vec<u8> {
    copy(input_length(), input_u64, input_u8)
}

/// A configuration value; `None` when the key is absent.
pub fn config(key: &str) -> Option<String> {
    let handle = unsafe { env::config_get(block_from(key.as_bytes())) };
    if handle == 0 {
        return None;
    }
    let length = unsafe { env::length(handle) };
    let bytes = copy(
        length,
        |at| unsafe { env::load_u64(handle + at) },
        |at| unsafe { env::load_u8(handle + at) as u8 },
    );
    String::from_utf8(bytes).ok()
}

/// Ends a call: the bytes become its output.
pub fn succeed_with(bytes: &[u8]) -> i32 {
    let handle = block_from(bytes);
    if handle == 0 && !bytes.is_empty() {
        return fail_with("out of Extism memory");
    }
    unsafe { env::output_set(handle, bytes.len() as u64) };
    0
}

pub fn fail_with(message: &str) -> i32 {
    unsafe { env::error_set(block_from(message.as_bytes())) };
    1
}

fn copy(length: u64, load_u64: impl Fn(u64) -> u64, load_u8: impl Fn(u64) -> u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length as usize);
    let mut at = 0;
    while at + 8 <= length {
        bytes.extend_from_slice(&load_u64(at).to_le_bytes());
        at += 8;
    }
    while at < length {
        bytes.push(load_u8(at));
        at += 1;
    }
    bytes
}

/// A new Extism block with the bytes; 0 when the host has no room (or for no bytes).
fn block_from(bytes: &[u8]) -> u64 {
    let handle = unsafe { env::alloc(bytes.len() as u64) };
    if handle == 0 {
        return 0;
    }
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    let mut at = handle;
    for word in words {
        let value = u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]);
        unsafe { env::store_u64(at, value) };
        at += 8;
    }
    for byte in rest {
        unsafe { env::store_u8(at, u32::from(*byte)) };
        at += 1;
    }
    handle
}
