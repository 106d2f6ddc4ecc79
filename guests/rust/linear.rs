//! What plugins over an exported memory need: blocks for the host, and packed results.
// Each guest includes this file and uses some of it.
#![allow(dead_code)]

use std::alloc::{alloc, dealloc, Layout};

/// A block that the host, or whoever gets the result, frees with `give_back`.
pub fn block(size: usize) -> *mut u8 {
    match Layout::from_size_align(size.max(1), 8) {
        Ok(layout) => unsafe { alloc(layout) },
        Err(_) => std::ptr::null_mut(),
    }
}

/// # Safety
///
/// The block must be one of `block`, of this size.
pub unsafe fn give_back(at: *mut u8, size: usize) {
    if let Ok(layout) = Layout::from_size_align(size.max(1), 8) {
        dealloc(at, layout);
    }
}

/// # Safety
///
/// Address and length must be those of an input.
pub unsafe fn input<'a>(at: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(at, length)
    }
}

/// A block with the bytes: its address in the upper half, its length in the lower; 0 for nothing.
pub fn packed(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        return 0;
    }
    let at = block(bytes.len());
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
    (at as u64) << 32 | bytes.len() as u64
}

/// The bytes of a packed value, whose block is freed.
///
/// # Safety
///
/// The value must come from the host, which made its block with the exported allocator.
pub unsafe fn unpacked(value: u64) -> Vec<u8> {
    let (at, length) = ((value >> 32) as usize as *mut u8, value as u32 as usize);
    if length == 0 {
        return Vec::new();
    }
    let bytes = input(at, length).to_vec();
    give_back(at, length);
    bytes
}
