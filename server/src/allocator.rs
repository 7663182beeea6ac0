//! The allocator of the programs: jemalloc with size classes of 8 bytes at the small end.
//!
//! The stock build of jemalloc hands out multiples of 16 bytes, and the crate that binds it relies on that where 16 is the alignment
//! asked for. Ours is built for multiples of 8 (`.cargo/config.toml`), which saves eight bytes on every other small key or element.
//!
//! # Safety
//! With classes of 24, 40 and 56 bytes an allocation of such a size is aligned to 8 only. A request with a larger alignment is
//! therefore rounded up to a multiple of it. All classes that serve a multiple of 16 are multiples of 16 themselves, and cut from
//! pages, so they are aligned to 16; from 32 on the alignment is passed to jemalloc. The rounding depends on the layout alone, so an allocation is
//! freed with the size that it was made with.

use std::alloc::{GlobalAlloc, Layout};

use tikv_jemallocator::Jemalloc;

/// jemalloc, for `#[global_allocator]`. See the module's documentation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allocator;

/// What is asked of jemalloc.
#[inline]
fn rounded(layout: Layout) -> Layout {
    if layout.align() > 8 { layout.pad_to_align() } else { layout }
}

// SAFETY: jemalloc fulfils the contract but for alignments above 8, which the rounding answers for: see the module's documentation.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise; rounding makes no empty layout.
        unsafe { Jemalloc.alloc(rounded(layout)) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        unsafe { Jemalloc.alloc_zeroed(rounded(layout)) }
    }

    #[inline]
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; the layout is rounded as it was when the memory was allocated.
        unsafe { Jemalloc.dealloc(place, rounded(layout)) };
    }

    #[inline]
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `new_size`, rounded up to the alignment, is a size.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: as in `dealloc`.
        unsafe { Jemalloc.realloc(place, rounded(layout), rounded(new).size()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_as_asked_for_at_any_size() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in (1..300).chain([4095, 4097, 20_000]) {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the layouts are not empty; what is allocated is freed with the layout that it has.
                unsafe {
                    // Several at once, because the first of a page would be aligned by itself.
                    let places = [(); 9].map(|()| Allocator.alloc(layout));
                    assert!(
                        places.iter().all(|place| !place.is_null() && place.addr().is_multiple_of(align)),
                        "{layout:?}"
                    );
                    for place in places {
                        place.write_bytes(1, size);
                        let grown = Allocator.realloc(place, layout, size + 17);
                        assert!(!grown.is_null() && grown.addr().is_multiple_of(align), "{layout:?}");
                        assert_eq!(grown.add(size - 1).read(), 1);
                        Allocator.dealloc(grown, Layout::from_size_align_unchecked(size + 17, align));
                    }
                    let zeroed = Allocator.alloc_zeroed(layout);
                    assert!(zeroed.addr().is_multiple_of(align) && (0..size).all(|i| zeroed.add(i).read() == 0));
                    Allocator.dealloc(zeroed, layout);
                }
            }
        }
    }
}
