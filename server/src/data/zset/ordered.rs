//! The large encoding of a sorted set: a table of members with their scores, and a tree of scores with pointers to the members.
//!
//! A member's text is stored once, in the block that the table owns; the tree's items point to it. The score stands in both, so
//! that neither ZSCORE nor a descent of the tree looks at two places; it follows the member only where scores are equal.
//!
//! # Safety
//! The one invariant, kept by every function of this file and nobody else's business: for each item in the tree there is exactly one
//! element in the table whose block the item points to, with the same score. It holds because
//! * an item is made in [`Ordered::add`] only, from an element that goes into the table in the same call;
//! * an element leaves the table (and its block is freed) only after its item has left the tree;
//! * a block's length never changes, only its score is overwritten, so that the block stays where it is;
//! * scores are never NaN, so items have one order, and an item is found where it was put. Where it is not found all the same,
//!   the process stops rather than keep an item without a block.

use std::cmp::Ordering;
use std::ops::Range;

use super::super::block::{Block, BlockRef};
use super::super::rng::Rng;
use super::super::sizes::estimate;
use super::super::table::{self, Keyed, Table};
use super::Change;
use super::tree::{self, Tree};

const SCORE: usize = size_of::<f64>();

/// A sorted set in its large encoding. See the module's documentation.
pub(super) struct Ordered {
    table: Table<Scored>,
    tree: Tree<Item>,
}

/// A member in the table: its score (8 bytes LE), then its text.
struct Scored(Block);

impl Scored {
    fn new(member: &[u8], score: f64) -> Self {
        Scored(Block::concat(&[&score.to_le_bytes(), member]))
    }

    fn score(&self) -> f64 {
        self.0.bytes().first_chunk().map_or(0.0, |b| f64::from_le_bytes(*b))
    }

    fn set_score(&mut self, score: f64) {
        self.0.bytes_mut()[..SCORE].copy_from_slice(&score.to_le_bytes());
    }
}

impl Keyed for Scored {
    #[inline]
    fn key(&self) -> &[u8] {
        &self.0.bytes()[SCORE..]
    }

    fn prefetch(&self) {
        self.0.prefetch();
    }
}

/// A member in the tree.
#[derive(Clone, Copy)]
struct Item {
    score: f64,
    block: BlockRef,
}

impl Item {
    /// The member's text.
    fn member(&self) -> &[u8] {
        // SAFETY: by the module's invariant the table owns the block for as long as the item is in the tree, and a block's content
        // changes only with the set borrowed for writing. Items are seen only by borrowing the set, or before their element
        // leaves the table.
        unsafe { &self.block.bytes()[SCORE..] }
    }

    /// Compares with a score and a member.
    #[inline]
    fn order(&self, score: f64, member: &[u8]) -> Ordering {
        // Scores are not NaN.
        self.score.partial_cmp(&score).unwrap_or(Ordering::Equal).then_with(|| self.member().cmp(member))
    }
}

impl Ordered {
    /// An empty set with room for `n` members.
    pub fn with_capacity(n: usize) -> Self {
        Ordered { table: Table::with_capacity(n), tree: Tree::new() }
    }

    pub fn len(&self) -> usize {
        self.tree.len()
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.table.get(member).map(Scored::score)
    }

    /// Gives the member a score that `decide` chooses, knowing the present one. NaN is no score and changes nothing.
    pub fn update(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Change {
        let hash = table::hash(member);
        let Some(scored) = self.table.find_mut(hash, |s| s.key() == member) else {
            let Some(score) = decide(None).filter(|s| !s.is_nan()) else { return Change::None };
            self.add(hash, member, score);
            return Change::Added;
        };
        let old = scored.score();
        let Some(new) = decide(Some(old)).filter(|new| !new.is_nan() && *new != old) else { return Change::None };
        let Some(mut item) = self.tree.remove(|i| i.order(old, member)) else { lost() };
        scored.set_score(new);
        item.score = new;
        self.tree.insert(item, |i| i.order(new, member));
        Change::Updated
    }

    /// Adds a member that is not there. The score is not NaN.
    fn add(&mut self, hash: u64, member: &[u8], score: f64) {
        let scored = Scored::new(member, score);
        let item = Item { score, block: scored.0.share() };
        self.table.insert_unique(hash, scored);
        self.tree.insert(item, |i| i.order(score, member));
    }

    /// Removes a member; gives its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = table::hash(member);
        let score = self.table.find(hash, |s| s.key() == member)?.score();
        if self.tree.remove(|i| i.order(score, member)).is_none() {
            lost();
        }
        self.table.remove_where(hash, |s| s.key() == member);
        Some(score)
    }

    /// Removes the members of some ranks, after `taken` has seen each.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut taken: impl FnMut(&[u8], f64)) {
        let table = &mut self.table;
        self.tree.remove_range(ranks, |item| {
            let member = item.member();
            taken(member, item.score);
            let hash = table::hash(member);
            // The element is dropped at the end of the statement, after the last look at the item.
            let element = table.remove_where(hash, |s| s.key() == item.member());
            debug_assert!(element.is_some());
        });
    }

    /// Rank and score of a member.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.tree.partition(|i| i.order(score, member) == Ordering::Less), score))
    }

    /// Number of members for whose text `before` is true, which all come before the others.
    pub fn partition_members(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        self.tree.partition(|i| before(i.member()))
    }

    /// Number of members for whose score `before` is true, which all come before the others. Texts are not looked at.
    pub fn partition_scores(&self, before: impl Fn(f64) -> bool) -> usize {
        self.tree.partition(|i| before(i.score))
    }

    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        Iter(self.tree.range(ranks))
    }

    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        self.table.scan(cursor, |s| visit(s.key(), s.score()))
    }

    pub fn random(&self, rng: &mut Rng) -> Option<(&[u8], f64)> {
        self.tree.get(rng.below(self.len())).map(|i| (i.member(), i.score))
    }

    pub fn heap_size(&self, samples: usize) -> usize {
        let blocks = estimate(self.len(), samples, self.table.iter().map(|s| s.0.heap_size()));
        self.table.memory_usage() + self.tree.heap_size() + blocks
    }

    pub fn table_stats(&self) -> ((usize, usize), Vec<usize>) {
        (self.table.bucket_counts(), self.table.chain_lengths())
    }
}

impl Clone for Ordered {
    fn clone(&self) -> Self {
        let mut copy = Ordered::with_capacity(self.len());
        for (member, score) in self.range(0..self.len()) {
            copy.add(table::hash(member), member, score);
        }
        copy
    }
}

/// An item that should be in the tree is not.
fn lost() -> ! {
    panic!("a sorted set's table and tree do not agree");
}

/// Members with scores by rank.
pub(super) struct Iter<'a>(tree::Iter<'a, Item>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|i| (i.member(), i.score))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|i| (i.member(), i.score))
    }
}

impl ExactSizeIterator for Iter<'_> {}
