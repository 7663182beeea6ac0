//! The memory of a table's buckets: an array that grows and shrinks at its end without moving what is in it.
//!
//! Buckets lie in segments of [`SEGMENT`] buckets. Only the first one is ever reallocated, while it is smaller than that, so a
//! small table costs what it needs and a large one never copies its buckets: no pause, no peak of twice the memory.

use super::bucket::Bucket;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error, realloc};
use std::ptr::NonNull;

/// Buckets in a segment, of 128 KiB. Growing the first segment up to here copies at most that much at once.
pub(super) const SEGMENT: usize = 1 << SHIFT;
const SHIFT: u32 = 11;

/// Invariants: `first` holds `min(capacity, SEGMENT)` buckets (dangling when 0); `rest[i]` holds SEGMENT buckets, and
/// `capacity` is their sum; every bucket is initialised (zeroes are an empty one).
pub(super) struct Store<E> {
    first: NonNull<Bucket<E>>,
    rest: Vec<NonNull<Bucket<E>>>,
    capacity: usize,
}

impl<E> Store<E> {
    pub(super) const fn new() -> Store<E> {
        Store { first: NonNull::dangling(), rest: Vec::new(), capacity: 0 }
    }

    /// How many buckets there is memory for.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes of all segments and the directory.
    pub(super) fn bytes(&self) -> usize {
        self.capacity * size_of::<Bucket<E>>() + self.rest.capacity() * size_of::<usize>()
    }

    fn address(&self, index: usize) -> *mut Bucket<E> {
        assert!(index < self.capacity, "a bucket beyond the table");
        let base = if index < SEGMENT { self.first } else { self.rest[(index >> SHIFT) - 1] };
        // SAFETY: by the invariants the segment holds `index % SEGMENT` and more buckets.
        unsafe { base.as_ptr().add(index & (SEGMENT - 1)) }
    }

    /// The bucket `index`, which must be below the capacity.
    pub(super) fn bucket(&self, index: usize) -> &Bucket<E> {
        // SAFETY: `address` checks the index; the bucket is initialised and borrowed from `self`.
        unsafe { &*self.address(index) }
    }

    /// As [`bucket`](Self::bucket), for changing it.
    pub(super) fn bucket_mut(&mut self, index: usize) -> &mut Bucket<E> {
        // SAFETY: as in `bucket`; `&mut self` makes the borrow the only one.
        unsafe { &mut *self.address(index) }
    }

    /// Makes room for at least one bucket more, by a quarter at a time (the allocator's size classes) up to a segment.
    pub(super) fn grow(&mut self) {
        if self.capacity >= SEGMENT {
            let layout = Self::layout(SEGMENT);
            // SAFETY: the layout is not empty.
            let fresh = unsafe { alloc_zeroed(layout) }.cast::<Bucket<E>>();
            self.rest.push(NonNull::new(fresh).unwrap_or_else(|| handle_alloc_error(layout)));
            self.capacity += SEGMENT;
        } else {
            let quarter = self.capacity.checked_ilog2().map_or(1, |log| (1usize << log) / 4);
            self.resize_first((self.capacity + quarter.max(1)).min(SEGMENT));
        }
    }

    /// Gives back memory that `used` buckets do not need, leaving some slack so that the next `grow` is not at once.
    /// The buckets from `used` on must be empty.
    pub(super) fn shrink(&mut self, used: usize) {
        if self.capacity > SEGMENT {
            if self.capacity - used >= SEGMENT + SEGMENT / 2
                && let Some(last) = self.rest.pop()
            {
                self.capacity -= SEGMENT;
                // SAFETY: allocated by `grow` with this layout; its buckets are empty, so they own nothing.
                unsafe { dealloc(last.as_ptr().cast(), Self::layout(SEGMENT)) };
                if self.rest.len() < self.rest.capacity() / 4 {
                    self.rest.shrink_to_fit();
                }
            }
        } else if used <= self.capacity / 2 {
            self.resize_first(used);
        }
    }

    /// Changes the size of the first segment, while it is the only one.
    fn resize_first(&mut self, capacity: usize) {
        let (old, new) = (Self::layout(self.capacity), Self::layout(capacity));
        let place = self.first.as_ptr().cast::<u8>();
        // SAFETY: `place` was allocated with `old` unless that is empty; `new` is not empty where it is used; what lies beyond
        // the old size is zeroed before it counts as buckets.
        let moved = unsafe {
            match (self.capacity, capacity) {
                (from, to) if from == to => return,
                (0, _) => alloc_zeroed(new),
                (_, 0) => {
                    dealloc(place, old);
                    self.first = NonNull::dangling();
                    self.capacity = 0;
                    return;
                }
                (from, to) => {
                    let moved = realloc(place, old, new.size());
                    if to > from && !moved.is_null() {
                        moved.add(old.size()).write_bytes(0, new.size() - old.size());
                    }
                    moved
                }
            }
        };
        self.first = NonNull::new(moved.cast()).unwrap_or_else(|| handle_alloc_error(new));
        self.capacity = capacity;
    }

    fn layout(buckets: usize) -> Layout {
        Layout::array::<Bucket<E>>(buckets).expect("a table is far smaller than the address space")
    }
}

impl<E> Drop for Store<E> {
    /// Frees the segments. The elements and child buckets are the table's to drop before.
    fn drop(&mut self) {
        for segment in self.rest.drain(..) {
            // SAFETY: allocated by `grow` with this layout.
            unsafe { dealloc(segment.as_ptr().cast(), Self::layout(SEGMENT)) };
        }
        self.capacity = self.capacity.min(SEGMENT);
        self.resize_first(0);
    }
}

// SAFETY: a store owns its buckets and, through them, the elements; nothing else points to them.
unsafe impl<E: Send> Send for Store<E> {}
// SAFETY: a shared store only hands out shared borrows.
unsafe impl<E: Sync> Sync for Store<E> {}
