//! Memory of the gateway's plugins: all that a call allocates is forgotten at once when it is over. What `init` made stays.
use std::alloc::{GlobalAlloc, Layout};
use std::arch::wasm32::{memory_grow, memory_size};

const PAGE: usize = 65_536;

extern "C" {
    static __heap_base: u8;
}

/// Where the next block begins, and where each call begins.
static mut NEXT: usize = 0;
static mut MARK: usize = 0;

pub struct Arena;

unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if NEXT == 0 {
            NEXT = &__heap_base as *const u8 as usize;
        }
        let from = (NEXT + layout.align() - 1) & !(layout.align() - 1);
        reach(from, layout.size())
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if at as usize + layout.size() == NEXT {
            NEXT = at as usize;
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The block that was made last grows where it is.
        if at as usize + layout.size() == NEXT {
            return reach(at as usize, size);
        }
        if size <= layout.size() {
            return at;
        }
        let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
        if !moved.is_null() {
            std::ptr::copy_nonoverlapping(at, moved, layout.size());
        }
        moved
    }
}

/// A block of this size from here, or null if the host gives no more memory.
unsafe fn reach(from: usize, size: usize) -> *mut u8 {
    let end = match from.checked_add(size) {
        Some(end) => end,
        None => return std::ptr::null_mut(),
    };
    let have = memory_size(0) * PAGE;
    if end > have && memory_grow(0, (end - have + PAGE - 1) / PAGE) == usize::MAX {
        return std::ptr::null_mut();
    }
    NEXT = end;
    from as *mut u8
}

/// Keeps what was allocated so far for good.
pub fn keep() {
    unsafe { MARK = NEXT };
}

/// Forgets what was allocated since `keep`.
pub fn forget() {
    unsafe { NEXT = MARK };
}

/// A block for the host; null for nothing, and if there is no memory left.
pub fn block(size: usize) -> *mut u8 {
    match Layout::from_size_align(size, 8) {
        Ok(layout) if size > 0 => unsafe { Arena.alloc(layout) },
        _ => std::ptr::null_mut(),
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

/// Bytes that live until the call is over, as the host wants them: the address in the upper half, the length in the lower.
pub fn packed(bytes: Vec<u8>) -> u64 {
    let at = bytes.as_ptr() as u64;
    let length = bytes.len() as u64;
    std::mem::forget(bytes);
    if length == 0 {
        0
    } else {
        at << 32 | length
    }
}
