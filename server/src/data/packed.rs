//! A growing run of bytes behind one pointer, for the compact encodings.
//!
//! A `Vec<u8>` takes three words, which is much beside a value of a few dozen bytes. A [`Packed`] takes one: its length stands in the
//! first four bytes of the run (little endian, as a listpack has it anyway), and its capacity is the allocator's size class for that
//! length. Where it is more than that, because bytes were removed or room was asked for, bit 0 of the pointer says so, and the
//! capacity stands in the eight bytes behind the content, which are not used then. Bit 1 is the owner's mark.
//!
//! # Safety
//! All of this module's `unsafe` rests on one invariant: the pointer, without its low bits, comes from the global allocator with the
//! layout of the [`capacity`](Packed::capacity); content and length are initialised; and the first four bytes are written by
//! [`Packed::note`] only. Capacities are size classes, which lie 8 or more apart, so behind a content of a smaller class there are
//! eight bytes for the number.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::ptr::NonNull;

use super::sizes::size_class;
use super::table::prefetch_address;

/// The bytes of the length, which count as part of the run.
pub const PREFIX: usize = 4;
/// No run is longer.
pub const MAX_LEN: usize = 1 << 31;

/// The capacity is more than the length's size class.
const SPARE: usize = 1;
/// The owner's.
const MARK: usize = 2;
const BITS: usize = SPARE | MARK;

/// A growing run of bytes behind one pointer. See the module's documentation.
#[repr(transparent)]
pub struct Packed(NonNull<u8>);

// SAFETY: a run owns its bytes and shares nothing with other runs.
unsafe impl Send for Packed {}
// SAFETY: a shared run is only read.
unsafe impl Sync for Packed {}

fn layout(capacity: usize) -> Layout {
    match Layout::from_size_align(capacity, 8) {
        Ok(layout) => layout,
        Err(_) => panic!("no allocation can be that large"),
    }
}

impl Packed {
    /// A run of its length and these parts, with room for `room` bytes in all.
    ///
    /// # Panics
    /// If it would be longer than [`MAX_LEN`]: callers refuse such before.
    pub fn new(mark: bool, parts: &[&[u8]], room: usize) -> Self {
        let len = parts.iter().fold(PREFIX, |sum, part| sum.saturating_add(part.len()));
        assert!(len <= MAX_LEN, "a compact encoding of more than 2 GiB");
        let capacity = size_class(len.max(room));
        let layout = layout(capacity);
        // SAFETY: the layout is not empty, `len` being at least 4.
        let Some(place) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let mut at = PREFIX;
        for part in parts {
            // SAFETY: the prefix and the parts together are no longer than the allocation, and a new one overlaps no part.
            unsafe { place.add(at).copy_from_nonoverlapping(NonNull::from(*part).cast(), part.len()) };
            at += part.len();
        }
        let mut packed = Packed(place.map_addr(|address| address | if mark { MARK } else { 0 }));
        packed.note(len, capacity);
        packed
    }

    /// The owner's mark, which stays what it was made with.
    #[inline]
    pub fn mark(&self) -> bool {
        self.0.addr().get() & MARK != 0
    }

    /// Where the run begins.
    #[inline]
    fn place(&self) -> NonNull<u8> {
        let place = self.0.as_ptr().map_addr(|address| address & !BITS);
        // SAFETY: an allocation of alignment 8 is at an address of 8 or more.
        unsafe { NonNull::new_unchecked(place) }
    }

    /// Length of the run, its first four bytes included.
    #[inline]
    pub fn len(&self) -> usize {
        // SAFETY: the length is initialised and aligned.
        u32::from_le(unsafe { self.place().cast::<u32>().read() }) as usize
    }

    /// Bytes of the allocation.
    pub fn capacity(&self) -> usize {
        let len = self.len();
        if self.0.addr().get() & SPARE == 0 {
            size_class(len)
        } else {
            // SAFETY: the bit says that the capacity stands behind the content, within the allocation.
            unsafe { self.place().add(len).cast::<usize>().read_unaligned() }
        }
    }

    /// Writes down the length, and the capacity where it does not follow from that. `len` bytes from the fifth on are
    /// initialised, and `capacity` is that of the allocation, and no less.
    #[inline]
    fn note(&mut self, len: usize, capacity: usize) {
        let place = self.place();
        let spare = capacity != size_class(len);
        // SAFETY: the allocation has room for the prefix; and, if the capacity is that of a larger size class, for eight bytes
        // behind the content.
        unsafe {
            place.cast::<u32>().write((len as u32).to_le());
            if spare {
                place.add(len).cast::<usize>().write_unaligned(capacity);
            }
        }
        let bits = self.0.addr().get() & MARK | if spare { SPARE } else { 0 };
        self.0 = place.map_addr(|address| address | bits);
    }

    /// The whole run, its length included.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes are initialised, and not written to while the run is borrowed.
        unsafe { std::slice::from_raw_parts(self.place().as_ptr(), self.len()) }
    }

    /// The bytes from `at` on, to be changed in place. The length is not among them: `at` is 4 at least.
    ///
    /// # Panics
    /// If it is less, or beyond the end.
    #[inline]
    pub fn bytes_from_mut(&mut self, at: usize) -> &mut [u8] {
        let len = self.len();
        assert!((PREFIX..=len).contains(&at), "a place beyond a compact encoding");
        // SAFETY: the bytes up to `len` are initialised; they are borrowed from `self`, for writing.
        unsafe { std::slice::from_raw_parts_mut(self.place().add(at).as_ptr(), len - at) }
    }

    /// Makes the `old` bytes at `at` into `new` bytes of any content, and moves what follows.
    ///
    /// # Panics
    /// If there are no such bytes, the length among them, or the run would be longer than [`MAX_LEN`].
    pub fn splice(&mut self, at: usize, old: usize, new: usize) {
        let len = self.len();
        assert!(PREFIX <= at && at <= len && old <= len - at, "a place beyond a compact encoding");
        assert!(new <= MAX_LEN && len - old + new <= MAX_LEN, "a compact encoding of more than 2 GiB");
        let total = len - old + new;
        let mut capacity = self.capacity();
        if total > capacity {
            capacity = size_class(total);
            self.reallocate(capacity);
        }
        let place = self.place();
        // SAFETY: both ends of the move lie within the allocation, by the assertions and the room made above; what the gap gains is
        // initialised before the length counts it.
        unsafe {
            place.add(at + old).copy_to(place.add(at + new), len - at - old);
            if new > old {
                place.add(at + old).write_bytes(0, new - old);
            }
        }
        self.note(total, capacity);
    }

    /// Asks the processor to load the first `lines` cache lines. Fewer may be in use: that is known from the first of them only.
    pub fn prefetch(&self, lines: usize) {
        for line in 0..lines {
            prefetch_address(self.place().as_ptr().wrapping_add(64 * line));
        }
    }

    /// Gives memory back when less than half of it is used.
    pub fn shrink(&mut self) {
        if 2 * size_class(self.len()) <= self.capacity() {
            self.shrink_to_fit();
        }
    }

    /// Gives memory back that is not used.
    pub fn shrink_to_fit(&mut self) {
        let len = self.len();
        let capacity = size_class(len);
        if capacity < self.capacity() {
            self.reallocate(capacity);
            self.note(len, capacity);
        }
    }

    /// Changes the capacity, to which the length has yet to be fitted by [`note`](Self::note).
    fn reallocate(&mut self, capacity: usize) {
        let (old, new) = (layout(self.capacity()), layout(capacity));
        // SAFETY: the allocation has the layout of its capacity; the new one is not empty.
        let moved = unsafe { realloc(self.place().as_ptr(), old, capacity) };
        let moved = NonNull::new(moved).unwrap_or_else(|| handle_alloc_error(new));
        let bits = self.0.addr().get() & BITS;
        self.0 = moved.map_addr(|address| address | bits);
    }
}

impl Clone for Packed {
    fn clone(&self) -> Self {
        Packed::new(self.mark(), &[&self.bytes()[PREFIX..]], 0)
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        // SAFETY: the allocation has the layout of its capacity, and nobody uses it after this.
        unsafe { dealloc(self.place().as_ptr(), layout(self.capacity())) };
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Packed {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::test_util::TestRng;

    #[test]
    fn random_changes_match_a_vector() {
        for seed in 0..if cfg!(miri) { 2 } else { 40 } {
            let mut rng = TestRng::new(seed);
            let mark = seed % 2 == 1;
            let mut packed = Packed::new(mark, &[b"ab", b"c"], rng.below(100));
            let mut model = b"abc".to_vec();
            for step in 0..500 {
                let at = rng.below(model.len() + 1);
                let old = rng.below(model.len() - at + 1);
                let new = if rng.below(9) == 0 { rng.below(400) } else { rng.below(20) };
                packed.splice(PREFIX + at, old, new);
                let gap = &mut packed.bytes_from_mut(PREFIX + at)[..new];
                gap.fill(step as u8);
                model.splice(at..at + old, gap.iter().copied());
                match rng.below(10) {
                    0 => packed.shrink(),
                    1 => packed.shrink_to_fit(),
                    2 => packed = packed.clone(),
                    _ => {}
                }
                assert_eq!(packed.bytes()[PREFIX..], model);
                assert_eq!(packed.bytes()[..PREFIX], (packed.len() as u32).to_le_bytes());
                assert_eq!(packed.mark(), mark);
                assert!(packed.capacity() >= packed.len());
            }
        }
    }

    #[test]
    fn room_that_was_asked_for_is_kept_until_it_is_given_back() {
        let mut packed = Packed::new(false, &[b"x"], 1000);
        assert_eq!(packed.capacity(), 1024);
        packed.splice(5, 0, 900);
        assert_eq!((packed.len(), packed.capacity()), (905, 1024));
        packed.splice(5, 500, 0);
        packed.shrink();
        assert_eq!((packed.len(), packed.capacity()), (405, 448));
        packed.splice(5, 10, 0);
        packed.shrink_to_fit();
        assert_eq!((packed.len(), packed.capacity()), (395, 448));
    }

    #[test]
    #[should_panic(expected = "beyond")]
    fn the_length_is_not_to_be_written() {
        Packed::new(false, &[b"abc"], 0).bytes_from_mut(3);
    }

    #[test]
    #[should_panic(expected = "beyond")]
    fn nothing_is_to_be_removed_behind_the_end() {
        Packed::new(false, &[b"abc"], 0).splice(5, 3, 0);
    }
}
