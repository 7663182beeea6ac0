//! One bucket of a [`Table`](super::Table), and the chain of child buckets behind it.
//!
//! A bucket is one cache line: seven slots, and eight bytes that say which slots are taken, one byte of hash (the tag) for
//! each, and whether the last slot holds a link to a child bucket instead of an element. A lookup compares the seven tags at
//! once and so touches an element that is not the wanted one in about 3 % of the cases.
//!
//! Invariants, which every method keeps:
//! * presence bit `i` set: slot `i` holds an initialised element, and it is not slot 6 of a chained bucket;
//! * `CHAINED` set: slot 6 holds a pointer from `Box::into_raw` that nobody else has;
//! * only the last bucket of a chain has empty slots, and a child holds at least two elements.

use std::mem::ManuallyDrop;

/// Elements that one bucket holds when it has no child.
pub(super) const SLOTS: usize = 7;
const LAST: usize = SLOTS - 1;
const CHAINED: u8 = 0x80;
const PRESENT: u8 = 0x7f;
const LOW: u64 = 0x0101_0101_0101_0101;
const LOW7: u64 = 0x7f7f_7f7f_7f7f_7f7f;

union Slot<E> {
    element: ManuallyDrop<E>,
    child: *mut Bucket<E>,
    empty: u64,
}

/// A bucket. All zeroes is an empty one, so that fresh memory from the allocator needs no initialising.
#[repr(C, align(64))]
pub(super) struct Bucket<E> {
    meta: [u8; 8],
    slots: [Slot<E>; SLOTS],
}

impl<E> Bucket<E> {
    const FITS: () = assert!(size_of::<E>() <= 8 && align_of::<E>() <= 8 && size_of::<Bucket<E>>() == 64);

    /// An empty bucket. A bucket drops nothing by itself: it must be empty again before it goes.
    pub(super) fn new() -> Bucket<E> {
        const { Self::FITS };
        Bucket { meta: [0; 8], slots: [const { Slot { empty: 0 } }; SLOTS] }
    }

    fn is_present(&self, slot: usize) -> bool {
        self.meta[0] & (1 << slot) != 0
    }

    /// Whether the last slot links to a child.
    pub(super) fn is_chained(&self) -> bool {
        self.meta[0] & CHAINED != 0
    }

    fn count(&self) -> usize {
        (self.meta[0] & PRESENT).count_ones() as usize
    }

    /// The next bucket of the chain.
    pub(super) fn child(&self) -> Option<&Bucket<E>> {
        // SAFETY: CHAINED says that slot 6 holds the pointer of a child that this bucket owns; it lives as long as `self`.
        self.is_chained().then(|| unsafe { &*self.slots[LAST].child })
    }

    /// As [`child`](Self::child), for changing it.
    pub(super) fn child_mut(&mut self) -> Option<&mut Bucket<E>> {
        // SAFETY: as in `child`; `&mut self` makes the borrow the only one.
        self.is_chained().then(|| unsafe { &mut *self.slots[LAST].child })
    }

    /// The element in `slot`, if there is one.
    pub(super) fn get(&self, slot: usize) -> Option<&E> {
        // SAFETY: the presence bit says that the slot holds an initialised element.
        self.is_present(slot).then(|| unsafe { &*self.slots[slot].element })
    }

    /// As [`get`](Self::get), for changing it in place.
    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut E> {
        // SAFETY: the presence bit says that the slot holds an initialised element.
        self.is_present(slot).then(|| unsafe { &mut *self.slots[slot].element })
    }

    fn put(&mut self, slot: usize, tag: u8, element: E) {
        debug_assert!(!(self.is_present(slot) || slot == LAST && self.is_chained()));
        self.slots[slot].element = ManuallyDrop::new(element);
        self.meta[slot + 1] = tag;
        self.meta[0] |= 1 << slot;
    }

    /// Moves the element out of `slot`, with its tag.
    fn clear(&mut self, slot: usize) -> Option<(u8, E)> {
        if !self.is_present(slot) {
            return None;
        }
        self.meta[0] &= !(1 << slot);
        // SAFETY: the presence bit was set, so the slot is initialised; it is cleared now, so nobody reads it again.
        let element = unsafe { ManuallyDrop::take(&mut self.slots[slot].element) };
        Some((self.meta[slot + 1], element))
    }

    /// The slots whose tag is `tag`, as bits: all seven compared at once within one 64-bit word.
    fn matches(&self, tag: u8) -> u8 {
        let diff = u64::from_le_bytes(self.meta) ^ (LOW * u64::from(tag));
        // Exactly the bytes of `diff` that are zero have their top bit set here: no carry leaves a byte.
        let zero = !(((diff & LOW7) + LOW7) | diff | LOW7);
        // Gather the top bit of byte i into bit i, drop byte 0 (presence), and keep the slots that are taken.
        let gathered = ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8;
        (gathered >> 1) & self.meta[0] & PRESENT
    }

    fn position(&self, tag: u8, is_it: &mut impl FnMut(&E) -> bool) -> Option<usize> {
        let mut bits = self.matches(tag);
        while bits != 0 {
            let slot = bits.trailing_zeros() as usize;
            if self.get(slot).is_some_and(&mut *is_it) {
                return Some(slot);
            }
            bits &= bits - 1;
        }
        None
    }

    /// The element of the chain that has this tag and satisfies `is_it`.
    pub(super) fn find(&self, tag: u8, mut is_it: impl FnMut(&E) -> bool) -> Option<&E> {
        let mut bucket = self;
        loop {
            if let Some(slot) = bucket.position(tag, &mut is_it) {
                return bucket.get(slot);
            }
            bucket = bucket.child()?;
        }
    }

    /// How far down the chain, and in which slot, [`find`](Self::find) finds.
    pub(super) fn locate(&self, tag: u8, mut is_it: impl FnMut(&E) -> bool) -> Option<(usize, usize)> {
        let (mut bucket, mut depth) = (self, 0);
        loop {
            if let Some(slot) = bucket.position(tag, &mut is_it) {
                return Some((depth, slot));
            }
            bucket = bucket.child()?;
            depth += 1;
        }
    }

    /// As [`find`](Self::find), for changing it in place.
    pub(super) fn find_mut(&mut self, tag: u8, mut is_it: impl FnMut(&E) -> bool) -> Option<&mut E> {
        let mut bucket = self;
        loop {
            if let Some(slot) = bucket.position(tag, &mut is_it) {
                return bucket.get_mut(slot);
            }
            bucket = bucket.child_mut()?;
        }
    }

    /// Adds an element to the chain. `children` counts the buckets that were made for it.
    pub(super) fn push(&mut self, tag: u8, element: E, children: &mut usize) -> &mut E {
        if self.is_chained() {
            // Not `child_mut`, whose borrow would outlive the branch.
            // SAFETY: CHAINED says that slot 6 holds the pointer of a child that this bucket owns.
            return unsafe { &mut *self.slots[LAST].child }.push(tag, element, children);
        }
        let free = (!self.meta[0] & PRESENT).trailing_zeros() as usize;
        if free < SLOTS {
            self.put(free, tag, element);
            // SAFETY: `put` has just initialised this slot.
            return unsafe { &mut self.slots[free].element };
        }
        let mut child = Box::new(Bucket::new());
        if let Some((tag, moved)) = self.clear(LAST) {
            child.put(0, tag, moved);
        }
        child.put(1, tag, element);
        *children += 1;
        let child = Box::into_raw(child);
        self.slots[LAST].child = child;
        self.meta[0] |= CHAINED;
        // SAFETY: the child is owned by this bucket from here on, and its slot 1 was initialised above.
        unsafe { &mut (*child).slots[1].element }
    }

    /// Takes an element out of the chain and closes the hole from the chain's end.
    pub(super) fn take(&mut self, tag: u8, is_it: &mut impl FnMut(&E) -> bool, children: &mut usize) -> Option<E> {
        let Some(slot) = self.position(tag, is_it) else {
            let taken = self.child_mut()?.take(tag, is_it, children);
            self.collapse(children);
            return taken;
        };
        let (_, taken) = self.clear(slot)?;
        if let Some((tag, moved)) = self.child_mut().and_then(|child| child.pop(children)) {
            self.put(slot, tag, moved);
        }
        self.collapse(children);
        Some(taken)
    }

    /// Takes the element at the end of the chain, whichever it is.
    pub(super) fn pop(&mut self, children: &mut usize) -> Option<(u8, E)> {
        if let Some(child) = self.child_mut() {
            let popped = child.pop(children);
            self.collapse(children);
            return popped;
        }
        let top = (self.meta[0] & PRESENT).checked_ilog2()?;
        self.clear(top as usize)
    }

    /// Frees a child that is down to one element, which moves into the slot of the link.
    fn collapse(&mut self, children: &mut usize) {
        let Some(child) = self.child_mut() else { return };
        if child.is_chained() || child.count() > 1 {
            return;
        }
        let last = child.pop(children);
        // SAFETY: the pointer came from `Box::into_raw`; the flag is cleared with it, so it is freed once. The child holds no
        // element any more, and a bucket drops none by itself.
        drop(unsafe { Box::from_raw(self.slots[LAST].child) });
        self.meta[0] &= !CHAINED;
        *children -= 1;
        if let Some((tag, element)) = last {
            self.put(LAST, tag, element);
        }
    }
}
