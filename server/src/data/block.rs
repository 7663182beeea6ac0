//! One element of a large set, hash or sorted set: bytes behind a thin pointer.
//!
//! A `Box<[u8]>` takes two words, which a table's bucket has no room for. A [`Block`] is one word; its length stands in the first
//! byte of the allocation (or in the first eight, from 255 on). What the bytes mean is the owner's affair.
//!
//! # Safety
//! All of this module's `unsafe` rests on one invariant: the pointer of a [`Block`] comes from the global allocator with the layout
//! that [`layout`] gives for the length in its header, header and content are initialised, and only its `Block` frees it.
//! [`BlockRef`] is a second pointer to the same content, for an index beside the table that owns the block; who makes one must
//! see to it that it is not used after the block is gone.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::sizes::size_class;
use super::table::prefetch_address;

/// Contents shorter than this have a header of one byte.
const LONG: usize = 255;
/// Header of the others: the byte 255, then seven bytes of length.
const LONG_HEADER: usize = 8;

/// Bytes on the heap behind one pointer. See the module's documentation.
pub struct Block(NonNull<u8>);

/// A second pointer to a block's content. See the module's documentation.
#[derive(Clone, Copy)]
pub struct BlockRef(NonNull<u8>);

// SAFETY: a block owns its bytes and shares nothing with other blocks.
unsafe impl Send for Block {}
// SAFETY: a shared block is only read.
unsafe impl Sync for Block {}
// SAFETY: it only reads, and only where its maker answers for the block being there.
unsafe impl Send for BlockRef {}
// SAFETY: as above.
unsafe impl Sync for BlockRef {}

fn header_len(len: usize) -> usize {
    if len < LONG { 1 } else { LONG_HEADER }
}

/// The allocation for a content of `len` bytes. It fills the allocator's size class, so that a content may grow within it.
fn layout(len: usize) -> Layout {
    let size = size_class(len.saturating_add(header_len(len)));
    match Layout::from_size_align(size, 8) {
        Ok(layout) => layout,
        Err(_) => panic!("no allocation can be that large"),
    }
}

/// Where the content of the block at `at` is.
///
/// # Safety
/// `at` is the pointer of a live [`Block`].
unsafe fn content(at: NonNull<u8>) -> NonNull<[u8]> {
    // SAFETY: by the module's invariant the first byte is initialised; if it is 255, seven more are, and the content follows.
    unsafe {
        let (len, header) = match at.read() {
            255 => ((u64::from_le(at.cast::<u64>().read_unaligned()) >> 8) as usize, LONG_HEADER),
            short => (usize::from(short), 1),
        };
        NonNull::slice_from_raw_parts(at.add(header), len)
    }
}

impl Block {
    /// A block that holds the parts one after the other.
    pub fn concat(parts: &[&[u8]]) -> Self {
        let len = parts.iter().map(|p| p.len()).sum();
        let layout = layout(len);
        // SAFETY: the layout's size is at least 8.
        let Some(at) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let mut block = Block(at);
        let mut offset = block.write_header(len);
        for part in parts {
            // SAFETY: header and parts together are no longer than the allocation, and a new allocation overlaps no part.
            unsafe { at.add(offset).copy_from_nonoverlapping(NonNull::from(*part).cast(), part.len()) };
            offset += part.len();
        }
        block
    }

    /// The content.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the block lives, and is not written to while it is borrowed.
        unsafe { content(self.0).as_ref() }
    }

    /// The content, to be changed in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the block lives, and nobody else reads it while it is borrowed for writing.
        unsafe { content(self.0).as_mut() }
    }

    /// Keeps the first `keep` bytes of the content and puts `tail` behind them, in the same allocation if it has the room (then
    /// pointers to the block stay good).
    pub fn replace_tail(&mut self, keep: usize, tail: &[u8]) {
        let old = self.bytes().len();
        let new = keep + tail.len();
        if header_len(new) == header_len(old) && layout(new) == layout(old) {
            let offset = self.write_header(new) + keep;
            // SAFETY: the layout for the new length is that of the allocation, so the new content lies within it. `tail` is
            // borrowed beside the exclusive borrow of the block, so it is not part of it.
            unsafe { self.0.add(offset).copy_from_nonoverlapping(NonNull::from(tail).cast(), tail.len()) };
        } else {
            *self = Block::concat(&[&self.bytes()[..keep], tail]);
        }
    }

    /// A second pointer to the content.
    pub fn share(&self) -> BlockRef {
        BlockRef(self.0)
    }

    /// Bytes on the heap.
    pub fn heap_size(&self) -> usize {
        layout(self.bytes().len()).size()
    }

    /// Asks the processor to load the beginning.
    pub fn prefetch(&self) {
        prefetch_address(self.0.as_ptr());
    }

    /// Writes the header for a content of `len` bytes, whose [`layout`] the allocation has. Gives the header's length.
    fn write_header(&mut self, len: usize) -> usize {
        let header = header_len(len);
        // SAFETY: an allocation has at least 8 bytes, so room for either header.
        unsafe {
            if header == 1 {
                self.0.write(len as u8);
            } else {
                self.0.cast::<u64>().write_unaligned(((len as u64) << 8 | 255).to_le());
            }
        }
        header
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        Block::concat(&[self.bytes()])
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let layout = layout(self.bytes().len());
        // SAFETY: by the module's invariant this is the allocation's layout, and nobody else frees it.
        unsafe { dealloc(self.0.as_ptr(), layout) };
    }
}

impl BlockRef {
    /// The content.
    ///
    /// # Safety
    /// The [`Block`] that this was made from is alive, has not been moved to another allocation by
    /// [`replace_tail`](Block::replace_tail), and is not changed for `'a`.
    #[inline]
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: the caller's promise.
        unsafe { content(self.0).as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_what_was_put_into_it_at_any_length() {
        let step = if cfg!(miri) { 41 } else { 1 };
        for len in (0..600).step_by(step).chain([254, 255, 4095]) {
            let text: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let half = len / 2;
            let mut block = Block::concat(&[&text[..half], &text[half..]]);
            assert_eq!(block.bytes(), text);
            assert!(block.heap_size() > len);
            block.bytes_mut().reverse();
            assert!(block.bytes().iter().eq(text.iter().rev()));
        }
    }

    #[test]
    fn a_tail_may_grow_and_shrink() {
        let mut block = Block::concat(&[b"key", b"value"]);
        for len in [0, 1, 4, 10, 11, 12, 13, 250, 251, 252, 253, 300, 5, 0] {
            let tail = vec![b'x'; len];
            block.replace_tail(3, &tail);
            assert_eq!(block.bytes(), [b"key", &tail[..]].concat());
        }
    }

    #[test]
    fn a_second_pointer_sees_the_same_content() {
        let mut block = Block::concat(&[b"abc"]);
        let second = block.share();
        block.replace_tail(1, b"xyz!");
        // SAFETY: the block is alive, and "axyz!" fits the 8 bytes of "abc".
        assert_eq!(unsafe { second.bytes() }, b"axyz!");
    }
}
