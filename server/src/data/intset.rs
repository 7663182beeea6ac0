//! Intset: a sorted array of distinct integers, but for its header as RDB files hold it.
//!
//! ```text
//! in a file: width u32 LE (2, 4 or 8) | members u32 LE     | members, ascending, `width` bytes LE each
//! in memory: total bytes u32 LE       | width (2, 4 or 8), 0, 0, 0 | the same
//! ```
//!
//! The width is that of the widest member ever added; it never shrinks, as in Valkey.

use super::one_word::Small;
use super::packed::{MAX_LEN, PREFIX, Packed};

const HEADER: usize = 8;
/// No intset has more members than this.
pub const MAX_MEMBERS: usize = (MAX_LEN - HEADER) / 8;
/// The mark of runs of bytes that are intsets.
pub const MARK: bool = true;

/// A sorted array of distinct integers. See the module's documentation.
#[derive(Clone, PartialEq, Eq)]
#[repr(transparent)]
pub struct Intset(Packed);

// SAFETY: it is a `Packed`; nothing here relies on its content for more than answers.
unsafe impl Small for Intset {}

impl Intset {
    /// An empty set, two bytes wide.
    pub fn new() -> Self {
        Intset(Packed::new(MARK, &[&[2, 0, 0, 0]], 0))
    }

    /// Takes foreign bytes, if they are a well-formed intset; else gives them back. An empty one is well formed, though no
    /// RDB file should hold it.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        if Self::validate(&bytes, true) && bytes.len() <= MAX_LEN {
            Ok(Intset(Packed::new(MARK, &[&bytes[..4], &bytes[HEADER..]], 0)))
        } else {
            Err(bytes)
        }
    }

    /// Are the bytes an intset? Not `deep`: width and length only. `deep`: the members' order too.
    pub fn validate(bytes: &[u8], deep: bool) -> bool {
        let Some((&[a, b, c, d, e, f, g, h], members)) = bytes.split_first_chunk::<HEADER>() else { return false };
        let width = u32::from_le_bytes([a, b, c, d]) as usize;
        let len = u32::from_le_bytes([e, f, g, h]) as usize;
        matches!(width, 2 | 4 | 8)
            && len.checked_mul(width) == Some(members.len())
            && (!deep || (1..len).all(|i| read(members, width, i - 1) < read(members, width, i)))
    }

    /// The bytes, as RDB files hold them.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&(self.width() as u32).to_le_bytes(), &(self.len() as u32).to_le_bytes(), self.members()].concat()
    }

    /// Bytes on the heap.
    pub fn heap_size(&self) -> usize {
        self.0.capacity()
    }

    /// Asks the processor to load the first cache lines.
    pub fn prefetch(&self, lines: usize) {
        self.0.prefetch(lines);
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.members().len() / self.width()
    }

    /// Is there no member?
    pub fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    /// The member with this index in ascending order.
    pub fn get(&self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| read(self.members(), self.width(), index))
    }

    /// The smallest member.
    pub fn min(&self) -> Option<i64> {
        self.get(0)
    }

    /// The largest member.
    pub fn max(&self) -> Option<i64> {
        self.get(self.len().checked_sub(1)?)
    }

    /// Is it a member?
    pub fn contains(&self, v: i64) -> bool {
        width_of(v) <= self.width() && self.search(v).is_ok()
    }

    /// Adds a member; false if it was there.
    pub fn insert(&mut self, v: i64) -> bool {
        let width = width_of(v);
        if width > self.width() {
            self.widen(width);
        }
        match self.search(v) {
            Ok(_) => false,
            Err(index) => {
                let width = self.width();
                let at = HEADER + index * width;
                self.0.splice(at, 0, width);
                self.0.bytes_from_mut(at)[..width].copy_from_slice(&v.to_le_bytes()[..width]);
                true
            }
        }
    }

    /// Removes a member; false if it was not there.
    pub fn remove(&mut self, v: i64) -> bool {
        if width_of(v) > self.width() {
            return false;
        }
        let Ok(index) = self.search(v) else { return false };
        self.remove_at(index);
        true
    }

    /// Removes the member with this index in ascending order and gives it back.
    pub fn remove_at(&mut self, index: usize) -> Option<i64> {
        let v = self.get(index)?;
        let at = HEADER + index * self.width();
        self.0.splice(at, self.width(), 0);
        self.0.shrink();
        Some(v)
    }

    /// The members in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + Clone + '_ {
        let (members, width) = (self.members(), self.width());
        (0..self.len()).map(move |i| read(members, width, i))
    }

    fn width(&self) -> usize {
        usize::from(self.0.bytes()[PREFIX])
    }

    fn members(&self) -> &[u8] {
        &self.0.bytes()[HEADER..]
    }

    /// The index of a member, or the one that it would have.
    fn search(&self, v: i64) -> Result<usize, usize> {
        let (members, width) = (self.members(), self.width());
        let (mut low, mut high) = (0, self.len());
        // Ascending additions are common.
        if self.max().is_none_or(|max| max < v) {
            return Err(high);
        }
        while low < high {
            let middle = low.midpoint(high);
            let found = read(members, width, middle);
            match found.cmp(&v) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn widen(&mut self, width: usize) {
        let mut members = Vec::with_capacity(self.len() * width);
        for v in self.iter() {
            members.extend_from_slice(&v.to_le_bytes()[..width]);
        }
        // The member to come has room, too.
        let room = HEADER + members.len() + width;
        self.0 = Packed::new(MARK, &[&[width as u8, 0, 0, 0], &members], room);
    }
}

impl From<Intset> for Packed {
    fn from(this: Intset) -> Packed {
        this.0
    }
}

impl Default for Intset {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Intset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Bytes that an integer needs, of the widths there are.
fn width_of(v: i64) -> usize {
    if i16::try_from(v).is_ok() {
        2
    } else if i32::try_from(v).is_ok() {
        4
    } else {
        8
    }
}

/// The member at an index, which must be there.
#[inline]
fn read(members: &[u8], width: usize, index: usize) -> i64 {
    let at = index * width;
    let bytes = &members[at..at + width];
    match *bytes {
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => unreachable!("no such width"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::data::test_util::TestRng;

    #[test]
    fn the_bytes_are_those_that_valkey_writes() {
        let mut set = Intset::new();
        set.insert(5);
        set.insert(-1);
        assert_eq!(set.to_bytes(), [2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 5, 0]);
        set.insert(70_000);
        assert_eq!(set.to_bytes()[..8], [4, 0, 0, 0, 3, 0, 0, 0]);
        set.remove(70_000);
        assert_eq!(set.to_bytes(), [4, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0]);
    }

    #[test]
    fn random_changes_match_a_tree_of_integers() {
        for seed in 0..30 {
            let mut rng = TestRng::new(seed);
            let (mut set, mut model) = (Intset::new(), BTreeSet::new());
            let shift = [48, 40, 32, 16, 0][seed as usize % 5];
            for _ in 0..600 {
                let v = ((rng.next() as i64) >> shift) % 300 * if rng.below(50) == 0 { 1 << 30 } else { 1 };
                match rng.below(3) {
                    0 | 1 => assert_eq!(set.insert(v), model.insert(v)),
                    _ => assert_eq!(set.remove(v), model.remove(&v)),
                }
                assert_eq!(set.contains(v), model.contains(&v));
                assert_eq!(set.len(), model.len());
            }
            assert!(set.iter().eq(model.iter().copied()));
            assert!(set.iter().rev().eq(model.iter().rev().copied()));
            assert_eq!((set.min(), set.max()), (model.first().copied(), model.last().copied()));
            let again = Intset::from_bytes(set.to_bytes()).unwrap();
            assert_eq!(again, set);
        }
    }

    #[test]
    fn extremes_are_members_like_any_other() {
        let mut set = Intset::new();
        for v in [i64::MAX, i64::MIN, 0, i64::from(i32::MIN), i64::from(i16::MAX) + 1] {
            assert!(set.insert(v));
            assert!(!set.insert(v));
        }
        assert_eq!(set.get(0), Some(i64::MIN));
        assert_eq!(set.remove_at(4), Some(i64::MAX));
        assert_eq!(set.remove_at(4), None);
        assert!(!set.contains(i64::MAX));
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let good = [2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 5, 0];
        assert!(Intset::validate(&good, true));
        for bad in [
            &good[..11],
            &good[..7],
            &[],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 1, 0, 0, 0, 0],
            &[2, 0, 0, 0, 255, 255, 255, 255, 1, 0, 5, 0],
            &[8, 0, 0, 0, 0, 0, 0, 0x20],
        ] {
            assert!(!Intset::validate(bad, false));
            assert_eq!(Intset::from_bytes(bad.to_vec()), Err(bad.to_vec()));
        }
        let twice = [2, 0, 0, 0, 2, 0, 0, 0, 5, 0, 5, 0];
        assert!(Intset::validate(&twice, false));
        assert!(!Intset::validate(&twice, true));
    }
}
