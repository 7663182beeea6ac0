//! The stack as bare addresses, for when the heap is what is broken: names cannot be had without it.

use std::ffi::{c_int, c_void};

use super::pen::heading;

/// Of the C library of the compiler, which the standard library unwinds with: <https://itanium-cxx-abi.github.io/cxx-abi/abi-eh.html>.
#[allow(clippy::missing_safety_doc)]
mod sys {
    use std::ffi::{c_int, c_void};

    pub type Trace = extern "C" fn(*mut c_void, *mut c_void) -> c_int;

    unsafe extern "C" {
        pub fn _Unwind_Backtrace(trace: Trace, data: *mut c_void) -> c_int;
        pub fn _Unwind_GetIP(context: *mut c_void) -> usize;
        /// Where the linker has the program begin.
        pub static __executable_start: u8;
    }
}

/// Frames at most: of an endless recursion the end is enough.
const FRAMES: u32 = 200;

/// Goes on with the next frame; ends the walk.
const GO_ON: c_int = 0;
const END: c_int = 4;

/// Writes the addresses into the log, as `addr2line` takes them.
pub fn write() {
    heading!("addr2line -Cfie valkey-server ...");
    let mut seen: u32 = 0;
    // SAFETY: the walk calls `frame` with its own context and this pointer, and keeps neither.
    unsafe { sys::_Unwind_Backtrace(frame, (&raw mut seen).cast()) };
}

extern "C" fn frame(context: *mut c_void, seen: *mut c_void) -> c_int {
    // SAFETY: the context is the walk's, for this call; the symbol's address is asked for, not its content.
    let (at, start) = unsafe { (sys::_Unwind_GetIP(context), &raw const sys::__executable_start) };
    heading!("{:#x}", at.wrapping_sub(start as usize));
    // SAFETY: the pointer of `write`, which is waiting.
    let seen = unsafe { &mut *seen.cast::<u32>() };
    *seen += 1;
    if *seen < FRAMES { GO_ON } else { END }
}
