//! The hash table of keys, and of the members of large sets, hashes and sorted sets.
//!
//! # Layout
//! Cache-line buckets of seven elements with one-byte tags, chained when they overflow (as Valkey 8.1's `hashtable.c`), in a
//! table that grows by *linear hashing* (Litwin, 1980): one bucket at a time is split in two, and the table's number of buckets is
//! any number, not a power of two. So
//! * the table is always about as full as is best, at 13 bytes an element, where doubling varies between 13 and 18;
//! * there is no second table to look into, no doubling to be paid at once, and no peak of memory;
//! * a split reads the elements but writes buckets next to each other, which costs a forked child few copied pages.
//!
//! With `n` buckets and `m` the power of two at or above `n`, an element with hash `h` is in bucket `h % m` if there is one, else in
//! `h % (m / 2)`.
//!
//! # Hazards
//! * The key of an element in the table must not change, through [`Table::get_mut`] or otherwise: it would not be found any more.
//! * A lookup moves nothing; only [`Table::insert`], [`Table::remove`] and their kin, and [`Table::rehash_step`], do.
//! * [`Table::scan`] may give an element more than once, never misses one that was there from the first call to the last.

mod bucket;
mod iter;
mod keyed;
mod store;
#[cfg(test)]
mod tests;

pub use iter::Iter;
pub use keyed::{Keyed, hash, prefetch_address, seed_hashes};

use super::rng::Rng;
use bucket::{Bucket, SLOTS};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use store::Store;

/// Whether tables may move elements about, for all tables of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Resize {
    /// Grow and shrink as their number of elements asks for.
    Allow,
    /// Grow at twice the fill, and do not shrink: while a forked child shares the memory.
    Avoid,
    /// Neither (`DEBUG DICT-RESIZING 0`).
    Forbid,
}

static RESIZE: AtomicU8 = AtomicU8::new(Resize::Allow as u8);

/// Sets the policy of all tables in this process.
pub fn set_resize(policy: Resize) {
    RESIZE.store(policy as u8, Ordering::Relaxed);
}

/// The policy in force.
pub fn resize_policy() -> Resize {
    match RESIZE.load(Ordering::Relaxed) {
        0 => Resize::Allow,
        1 => Resize::Avoid,
        _ => Resize::Forbid,
    }
}

/// Elements for each bucket, children not counted, at which the table grows.
const FULL: usize = SLOTS;
/// Elements for each bucket below which the table shrinks. Far from FULL, or a table at the edge would go back and forth.
const SPARSE: usize = 2;
/// Buckets that one insertion or removal splits or merges at most. One in seven operations needs one; two catch up.
const STEPS: usize = 2;
/// Up to this many buckets [`Table::random`] counts through the table, which makes it exactly fair.
const COUNTED: usize = 16;

/// Where an element of a table is; see [`Table::locate`].
#[derive(Debug, Clone, Copy)]
pub struct Place {
    index: usize,
    depth: usize,
    slot: usize,
}

/// Places that [`Table::random`] tries. A table as full as it should be has something in every fifth.
const TRIES: usize = 500;

/// A hash table whose elements carry their own keys. See the module's documentation.
pub struct Table<E> {
    store: Store<E>,
    /// Buckets in use, children not counted.
    buckets: usize,
    children: usize,
    len: usize,
}

impl<E> Default for Table<E> {
    fn default() -> Self {
        Table::new()
    }
}

impl<E> Table<E> {
    /// An empty table; it allocates nothing.
    pub const fn new() -> Table<E> {
        Table { store: Store::new(), buckets: 0, children: 0, len: 0 }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that the table itself takes, without its elements' own memory.
    pub fn memory_usage(&self) -> usize {
        size_of::<Self>() + self.store.bytes() + self.children * size_of::<Bucket<E>>()
    }

    /// Buckets in use, and how many children are chained to them.
    pub fn bucket_counts(&self) -> (usize, usize) {
        (self.buckets, self.children)
    }

    /// `chains[i]`: how many buckets have `i` children, for `DEBUG HTSTATS`. It walks the whole table.
    pub fn chain_lengths(&self) -> Vec<usize> {
        let mut chains = Vec::new();
        for index in 0..self.buckets {
            let children = std::iter::successors(self.store.bucket(index).child(), |bucket| bucket.child()).count();
            if chains.len() <= children {
                chains.resize(children + 1, 0);
            }
            chains[children] += 1;
        }
        chains
    }

    /// The bucket of a hash. There must be a bucket.
    fn index(&self, hash: u64) -> usize {
        let mask = self.buckets.next_power_of_two() - 1;
        let index = hash as usize & mask;
        if index < self.buckets { index } else { index & (mask >> 1) }
    }

    fn tag(hash: u64) -> u8 {
        (hash >> 56) as u8
    }

    /// Removes all elements and gives all memory back.
    pub fn clear(&mut self) {
        *self = Table::new();
    }

    /// Loads the bucket that an element with this hash would be in; the first of two steps before a batch of lookups.
    pub fn prefetch(&self, hash: u64) {
        if self.buckets > 0 {
            prefetch_address(std::ptr::from_ref(self.store.bucket(self.index(hash))));
        }
    }

    /// Takes the element out of the last bucket, whichever it is, and the bucket with it when that was its last: the way to
    /// empty a table in slices.
    pub fn pop(&mut self) -> Option<E> {
        while self.buckets > 0 {
            if let Some((_, element)) = self.store.bucket_mut(self.buckets - 1).pop(&mut self.children) {
                self.len -= 1;
                return Some(element);
            }
            self.buckets -= 1;
            self.store.shrink(self.buckets);
        }
        None
    }
}

impl<E> Drop for Table<E> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

impl<E: Keyed> Table<E> {
    /// A table with room for `n` elements.
    pub fn with_capacity(n: usize) -> Table<E> {
        let mut table = Table::new();
        table.reserve(n);
        table
    }

    /// Makes room for `n` elements in all, at once while the table is empty. A table that holds elements already grows as they
    /// come. It allocates, so a number that came from outside needs a bound first.
    pub fn reserve(&mut self, n: usize) {
        if self.len == 0 {
            self.buckets = self.buckets.max(n.div_ceil(FULL));
            while self.store.capacity() < self.buckets {
                self.store.grow();
            }
        }
    }

    /// The element with this key.
    pub fn get(&self, key: &[u8]) -> Option<&E> {
        if self.len == 0 { None } else { self.get_hashed(hash(key), key) }
    }

    /// As [`get`](Self::get), by a hash that was computed before.
    pub fn get_hashed(&self, hash: u64, key: &[u8]) -> Option<&E> {
        self.find(hash, |element| element.key() == key)
    }

    /// The element with this key, to be changed in place. Its key must stay as it is.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut E> {
        if self.len == 0 { None } else { self.find_mut(hash(key), |element| element.key() == key) }
    }

    /// Whether there is an element with this key.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// An element with this hash that satisfies `is_it`. It is asked about elements of other hashes too.
    pub fn find(&self, hash: u64, is_it: impl FnMut(&E) -> bool) -> Option<&E> {
        if self.buckets == 0 {
            return None;
        }
        self.store.bucket(self.index(hash)).find(Self::tag(hash), is_it)
    }

    /// As [`find`](Self::find), for changing it in place. Its key must stay as it is.
    pub fn find_mut(&mut self, hash: u64, is_it: impl FnMut(&E) -> bool) -> Option<&mut E> {
        if self.buckets == 0 {
            return None;
        }
        let index = self.index(hash);
        self.store.bucket_mut(index).find_mut(Self::tag(hash), is_it)
    }

    /// Where the element is that [`find`](Self::find) finds. The place is valid until the table is changed; after that, it may
    /// hold another element or none.
    pub fn locate(&self, hash: u64, is_it: impl FnMut(&E) -> bool) -> Option<Place> {
        if self.buckets == 0 {
            return None;
        }
        let index = self.index(hash);
        let (depth, slot) = self.store.bucket(index).locate(Self::tag(hash), is_it)?;
        Some(Place { index, depth, slot })
    }

    /// The element at a place.
    pub fn at(&self, place: Place) -> Option<&E> {
        if place.index >= self.buckets {
            return None;
        }
        let mut bucket = self.store.bucket(place.index);
        for _ in 0..place.depth {
            bucket = bucket.child()?;
        }
        bucket.get(place.slot)
    }

    /// The element at a place, to be changed. Its key must stay as it is.
    pub fn at_mut(&mut self, place: Place) -> Option<&mut E> {
        if place.index >= self.buckets {
            return None;
        }
        let mut bucket = self.store.bucket_mut(place.index);
        for _ in 0..place.depth {
            bucket = bucket.child_mut()?;
        }
        bucket.get_mut(place.slot)
    }

    /// Loads the elements whose tag is that of the hash: the second step before a batch of lookups, when the bucket that
    /// [`prefetch`](Self::prefetch) asked for has come.
    pub fn prefetch_element(&self, hash: u64) {
        self.find(hash, |element| {
            element.prefetch();
            false
        });
    }

    /// Puts an element in, and gives the one back that had its key before.
    pub fn insert(&mut self, element: E) -> Option<E> {
        let hash = element.hash();
        if let Some(old) = self.find_mut(hash, |other| other.key() == element.key()) {
            return Some(std::mem::replace(old, element));
        }
        self.insert_unique(hash, element);
        None
    }

    /// Puts in an element whose key is known not to be there; `hash` is its [`Keyed::hash`]. A key that is there twice is found
    /// and removed one at a time.
    pub fn insert_unique(&mut self, hash: u64, element: E) -> &mut E {
        // Grow only: a table that was reserved for what comes must not shrink while it comes.
        self.fit(STEPS, self.len + 1, Some(true));
        self.len += 1;
        let index = self.index(hash);
        self.store.bucket_mut(index).push(Self::tag(hash), element, &mut self.children)
    }

    /// The element with this key, made by `make` if there is none; and whether it was made.
    pub fn find_or_insert_with(&mut self, key: &[u8], make: impl FnOnce() -> E) -> (&mut E, bool) {
        let hash = hash(key);
        // Twice, because a borrow that is returned from one branch lasts over the other.
        if self.get_hashed(hash, key).is_none() {
            return (self.insert_unique(hash, make()), true);
        }
        match self.find_mut(hash, |element| element.key() == key) {
            Some(element) => (element, false),
            None => unreachable!("the element was there a line ago"),
        }
    }

    /// Takes the element with this key out.
    pub fn remove(&mut self, key: &[u8]) -> Option<E> {
        if self.len == 0 { None } else { self.remove_where(hash(key), |element| element.key() == key) }
    }

    /// Takes an element with this hash out that satisfies `is_it`. It is asked about elements of other hashes too.
    pub fn remove_where(&mut self, hash: u64, mut is_it: impl FnMut(&E) -> bool) -> Option<E> {
        if self.buckets == 0 {
            return None;
        }
        let index = self.index(hash);
        let taken = self.store.bucket_mut(index).take(Self::tag(hash), &mut is_it, &mut self.children)?;
        self.len -= 1;
        self.fit(STEPS, self.len, Some(false));
        Some(taken)
    }

    /// Gives some elements to `visit` and returns the cursor for the next call; start with 0, and 0 comes back at the end.
    ///
    /// The cursor is a position in the space of bit-reversed hashes, and a bucket an interval of it, so it stays valid whatever
    /// is inserted, removed, split or merged between calls (Noordhuis' reverse binary iteration). No element that was there all the
    /// time is missed; one may come twice if the table shrinks meanwhile. Any number may be passed in.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(&E)) -> u64 {
        if self.len == 0 {
            return 0;
        }
        let index = self.index(cursor);
        let mut bucket = Some(self.store.bucket(index));
        while let Some(here) = bucket {
            (0..SLOTS).filter_map(|slot| here.get(slot)).for_each(&mut visit);
            bucket = here.child();
        }
        self.after(cursor, index)
    }

    /// The cursor behind the bucket `index`, which `cursor` points into.
    fn after(&self, cursor: u64, index: usize) -> u64 {
        // The bits that select this bucket: one fewer for a bucket that the current round of splits has yet to reach.
        let mask = self.buckets.next_power_of_two() as u64 - 1;
        let half = mask >> 1;
        let unsplit = index as u64 <= half && index as u64 + half + 1 >= self.buckets as u64;
        let mask = if unsplit { half } else { mask };
        (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits()
    }

    /// An element, each about as likely as another.
    pub fn random(&self, rng: &mut Rng) -> Option<&E> {
        if self.len == 0 {
            return None;
        }
        if self.buckets <= COUNTED {
            return self.iter().nth(rng.below(self.len));
        }
        // A random bucket, a random place in it: rejected if the bucket has no such place, so that full ones are chosen as often
        // as they have elements. Chains longer than `places` are the only bias; they are few.
        let places = 8 + 4 * self.len.div_ceil(self.buckets);
        for _ in 0..TRIES {
            let mut place = rng.below(places);
            let mut bucket = Some(self.store.bucket(rng.below(self.buckets)));
            while let Some(here) = bucket {
                for element in (0..SLOTS).filter_map(|slot| here.get(slot)) {
                    if place == 0 {
                        return Some(element);
                    }
                    place -= 1;
                }
                bucket = here.child();
            }
        }
        // Nearly empty, because it was reserved or has yet to shrink. What follows a large gap is favoured here.
        let mut found = Vec::new();
        let mut cursor = rng.next_u64();
        while found.is_empty() {
            let index = self.index(cursor);
            let mut bucket = Some(self.store.bucket(index));
            while let Some(here) = bucket {
                found.extend((0..SLOTS).filter_map(|slot| here.get(slot)));
                bucket = here.child();
            }
            cursor = self.after(cursor, index);
        }
        found.get(rng.below(found.len())).copied()
    }

    /// Gives at least `n` elements (or all, if there are fewer) to `visit` from one random place on: cheaper and less fair than
    /// [`random`](Self::random). An element may come twice.
    pub fn sample(&self, rng: &mut Rng, n: usize, mut visit: impl FnMut(&E)) {
        let (mut cursor, mut seen) = (rng.next_u64(), 0);
        while seen < n.min(self.len) {
            cursor = self.scan(cursor, |element| {
                seen += 1;
                visit(element);
            });
        }
    }

    /// Whether the table waits to grow or shrink, which [`rehash_step`](Self::rehash_step) and changes to it do.
    pub fn is_rehashing(&self) -> bool {
        self.wanted(self.len).is_some()
    }

    /// Splits or merges up to `buckets` buckets, if there is need. True if more remains to be done.
    pub fn rehash_step(&mut self, buckets: usize) -> bool {
        self.fit(buckets, self.len, None);
        self.is_rehashing()
    }

    /// As [`rehash_step`](Self::rehash_step), for about as long as `budget`.
    pub fn rehash_for(&mut self, budget: Duration) -> bool {
        let start = Instant::now();
        while self.rehash_step(128) {
            if start.elapsed() >= budget {
                return true;
            }
        }
        false
    }

    /// Whether `len` elements want a bucket more (true) or less (false).
    fn wanted(&self, len: usize) -> Option<bool> {
        let policy = resize_policy();
        let full = if policy == Resize::Avoid { 2 * FULL } else { FULL };
        if self.buckets == 0 || (len > self.buckets * full && policy != Resize::Forbid) {
            return (len > 0).then_some(true);
        }
        (policy == Resize::Allow && len < (self.buckets - 1) * SPARSE).then_some(false)
    }

    /// Splits or merges up to `steps` times, in the one direction `only`, or in both for `None`.
    fn fit(&mut self, steps: usize, len: usize, only: Option<bool>) {
        for _ in 0..steps {
            match self.wanted(len) {
                Some(true) if only != Some(false) => self.split(),
                Some(false) if only != Some(true) => self.merge(),
                _ => break,
            }
        }
    }

    /// Adds a bucket, and moves into it what belongs there: about half of one other bucket.
    fn split(&mut self) {
        let new = self.buckets;
        if new == self.store.capacity() {
            self.store.grow();
        }
        self.buckets += 1;
        let Some(round) = new.checked_ilog2() else { return };
        let from = new - (1 << round);
        let mut bucket = Some(self.store.bucket(from));
        while let Some(here) = bucket {
            (0..SLOTS).filter_map(|slot| here.get(slot)).for_each(Keyed::prefetch);
            bucket = here.child();
        }
        let mut old = std::mem::replace(self.store.bucket_mut(from), Bucket::new());
        while let Some((tag, element)) = old.pop(&mut self.children) {
            let to = if element.hash() & (1 << round) == 0 { from } else { new };
            self.store.bucket_mut(to).push(tag, element, &mut self.children);
        }
    }

    /// Removes the last bucket, and moves what it holds to the bucket that it was split from.
    fn merge(&mut self) {
        let last = self.buckets - 1;
        let Some(round) = last.checked_ilog2() else { return };
        let into = last - (1 << round);
        while let Some((tag, element)) = self.store.bucket_mut(last).pop(&mut self.children) {
            self.store.bucket_mut(into).push(tag, element, &mut self.children);
        }
        self.buckets = last;
        self.store.shrink(last);
    }
}
