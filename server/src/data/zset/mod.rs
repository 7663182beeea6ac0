//! The sorted set type: a listpack while it is small, a table and an order-statistics tree otherwise.
//!
//! Members are ordered by score, then by their bytes; a member's rank is its index in that order, from 0. Every range, by score
//! or by text, is turned into a range of ranks first ([`Zset::score_ranks`], [`Zset::lex_ranks`]): its length is the answer to
//! a count, and [`Zset::range`] and [`Zset::remove_range`] do the rest, in either direction. All of these take a time that grows
//! with the logarithm of the number of members, plus what is visited.
//!
//! The large encoding calls itself `skiplist`, because clients know it by that name. It is taken where Valkey takes it: with too
//! many members, or one that is too long; [`Zset::compact`] is the way back for results that are stored. Scores are never NaN.
//! An empty set is possible here; whoever empties one deletes its key.

mod bounds;
mod compact;
mod ordered;
#[cfg(test)]
mod tests;
mod tree;

use std::ops::Range;

pub use bounds::{LexBound, LexRange, ScoreBound, ScoreRange};

use super::elem::{Elem, has_duplicates};
use super::limits::Limits;
use super::list::End;
use super::listpack::{self, Listpack};
use super::one_word::{Mut, OneWord, Ref};
use super::rng::Rng;
use super::sample::select;
use super::sizes::size_class;
use ordered::Ordered;

/// Members with scores, in order. See the module's documentation.
#[derive(Clone)]
pub struct Zset(
    /// A listpack of member, score, member, score; or the large encoding.
    OneWord<Listpack, Ordered>,
);

/// What an update has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the score is as it was, or no score was given.
    None,
    /// The member is new.
    Added,
    /// The member has another score.
    Updated,
}

/// Members that a table reserves room for at most before they come: the number may be a lie.
const MAX_RESERVE: usize = 1 << 20;

impl Zset {
    /// An empty set, a listpack.
    pub fn new() -> Self {
        Zset(OneWord::small(Listpack::new()))
    }

    /// An empty set for about `n` members of up to `longest` bytes, in the encoding that will do. Good for loading from a file
    /// too; `longest` may be 0 if it is not known.
    pub fn for_members(n: usize, longest: usize, limits: &Limits) -> Self {
        let mut set = Zset::new();
        set.reserve(n, longest, limits);
        set
    }

    /// A set that was saved as a listpack; in the large encoding if it has too many members for one. `None` if a member has no
    /// score, and, with `check`, if it is not in order, a score is no number or a member comes twice. Without `check` such a set
    /// answers wrongly until it is in the large encoding, and no worse.
    pub fn from_listpack(pairs: Listpack, check: bool, limits: &Limits) -> Option<Self> {
        let len = pairs.len();
        let bad = |lp: &Listpack| !compact::is_sorted(lp) || has_duplicates(lp.iter().step_by(2));
        if !len.is_multiple_of(2) || (check && bad(&pairs)) {
            return None;
        }
        let mut set = Zset(OneWord::small(pairs));
        if len / 2 > limits.zset_max_listpack_entries {
            set.make_ordered(0);
        }
        Some(set)
    }

    /// The name that `OBJECT ENCODING` gives: `listpack` or `skiplist`.
    pub fn encoding(&self) -> &'static str {
        match self.0.get() {
            Ref::Small(_) => "listpack",
            Ref::Large(_) => "skiplist",
        }
    }

    /// The listpack, if the set is one, for a codec that saves it as it is.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        self.0.as_small()
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match self.0.get() {
            Ref::Small(lp) => lp.len() / 2,
            Ref::Large(set) => set.len(),
        }
    }

    /// Is there no member?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes on the heap. In the large encoding, `samples` members are measured and the rest estimated from them (0: all are).
    pub fn heap_size(&self, samples: usize) -> usize {
        match self.0.get() {
            Ref::Small(lp) => lp.heap_size(),
            Ref::Large(set) => size_class(size_of::<Ordered>()) + set.heap_size(samples),
        }
    }

    /// How many allocations it takes to free the set, about.
    pub fn free_effort(&self) -> usize {
        self.0.as_large().map_or(1, Ordered::len)
    }

    /// Buckets, children and chain lengths of the table, if there is one, for `DEBUG HTSTATS-KEY`.
    pub fn table_stats(&self) -> Option<((usize, usize), Vec<usize>)> {
        self.0.as_large().map(Ordered::table_stats)
    }

    /// A member's score.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self.0.get() {
            Ref::Small(lp) => compact::find(lp, member).map(|(_, score)| score),
            Ref::Large(set) => set.score(member),
        }
    }

    /// Gives a member the score that `decide` chooses, knowing the present one if it is there; `None` or NaN leaves all as it
    /// is. The one look-up serves ZADD's conditions and increments too.
    pub fn update(
        &mut self,
        member: &[u8],
        limits: &Limits,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Change {
        let lp = match self.0.get_mut() {
            Mut::Large(set) => return set.update(member, decide),
            Mut::Small(lp) => lp,
        };
        let found = compact::find(lp, member);
        let Some(score) = decide(found.map(|f| f.1)).filter(|s| !s.is_nan()) else { return Change::None };
        if let Some((at, old)) = found {
            if old == score {
                return Change::None;
            }
            lp.remove(at, 2);
            compact::insert(lp, member, score);
            return Change::Updated;
        }
        let fits = lp.len() / 2 < limits.zset_max_listpack_entries
            && member.len() <= limits.zset_max_listpack_value
            && lp.fits(member.len().saturating_add(64));
        if fits {
            compact::insert(lp, member, score);
        } else {
            self.make_ordered(1).update(member, |_| Some(score));
        }
        Change::Added
    }

    /// Gives a member a score.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> Change {
        self.update(member, limits, |_| Some(score))
    }

    /// Changes to the large encoding if `n` members, or one of `longest` bytes, are too much for a listpack by themselves.
    pub fn reserve(&mut self, n: usize, longest: usize, limits: &Limits) {
        if n > limits.zset_max_listpack_entries || longest > limits.zset_max_listpack_value {
            self.make_ordered(n);
        }
    }

    /// Goes back to a listpack if the limits allow it.
    pub fn compact(&mut self, limits: &Limits) {
        let Some(set) = self.0.as_large() else { return };
        let fits = set.len() <= limits.zset_max_listpack_entries
            && set.range(0..set.len()).all(|(m, _)| m.len() <= limits.zset_max_listpack_value);
        let total: usize = if fits { set.range(0..set.len()).map(|(m, _)| m.len() + 64).sum() } else { usize::MAX };
        if total < listpack::MAX_BYTES {
            let mut lp = Listpack::new();
            for (member, score) in set.range(0..set.len()) {
                compact::insert(&mut lp, member, score);
            }
            self.0 = OneWord::small(lp);
        }
    }

    /// Removes a member and gives its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self.0.get_mut() {
            Mut::Small(lp) => {
                let (at, score) = compact::find(lp, member)?;
                lp.remove(at, 2);
                Some(score)
            }
            Mut::Large(set) => set.remove(member),
        }
    }

    /// Removes the members of some ranks, after `taken` has seen each.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut taken: impl FnMut(Elem<'_>, f64)) {
        let ranks = self.within(ranks);
        match self.0.get_mut() {
            Mut::Small(_) => {
                self.range(ranks.clone()).for_each(|(m, s)| taken(m, s));
                if let Mut::Small(lp) = self.0.get_mut() {
                    lp.remove_range(ranks.start * 2, ranks.len() * 2);
                }
            }
            Mut::Large(set) => set.remove_range(ranks, |m, s| taken(Elem::Bytes(m), s)),
        }
    }

    /// Removes the member with the lowest score (`Front`) or the highest one and gives it back.
    pub fn pop(&mut self, end: End) -> Option<(Vec<u8>, f64)> {
        let rank = if end == End::Front { 0 } else { self.len().checked_sub(1)? };
        let mut popped = None;
        self.remove_range(rank..rank + 1, |m, s| popped = Some((m.to_vec(), s)));
        popped
    }

    /// Rank and score of a member. Its rank from the other end is `len() - 1 - rank`.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self.0.get() {
            Ref::Small(lp) => {
                let needle = Elem::parse(member);
                compact::iter(lp).enumerate().find(|(_, (m, _))| *m == needle).map(|(rank, (_, s))| (rank, s))
            }
            Ref::Large(set) => set.rank(member),
        }
    }

    /// The member of a rank, with its score.
    pub fn at(&self, rank: usize) -> Option<(Elem<'_>, f64)> {
        self.range(rank..rank.saturating_add(1)).next()
    }

    /// The ranks of the members whose scores lie in a range.
    pub fn score_ranks(&self, range: &ScoreRange) -> Range<usize> {
        let rank = |before: &dyn Fn(f64) -> bool| match self.0.get() {
            Ref::Small(lp) => compact::iter(lp).take_while(|(_, score)| before(*score)).count(),
            Ref::Large(set) => set.partition_scores(before),
        };
        let start = rank(&|score| range.is_before(score));
        start..rank(&|score| range.is_before_end(score)).max(start)
    }

    /// The ranks of the members whose texts lie in a range. All scores should be equal.
    pub fn lex_ranks(&self, range: &LexRange<'_>) -> Range<usize> {
        let rank = |before: &dyn Fn(&[u8]) -> bool| match self.0.get() {
            Ref::Small(lp) => compact::iter(lp).take_while(|(member, _)| member.with_text(before)).count(),
            Ref::Large(set) => set.partition_members(before),
        };
        let start = rank(&|member| range.is_before(member));
        start..rank(&|member| range.is_before_end(member)).max(start)
    }

    /// The members of some ranks with their scores, from either end.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let ranks = self.within(ranks);
        Iter(match self.0.get() {
            Ref::Small(lp) => {
                let place = |rank: usize| lp.seek(rank * 2).unwrap_or(lp.end());
                Walk::Listpack(lp.iter_between(place(ranks.start), place(ranks.end)), ranks.len())
            }
            Ref::Large(set) => Walk::Ordered(set.range(ranks)),
        })
    }

    /// All members with their scores, from either end.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..usize::MAX)
    }

    /// Gives some members to `visit` and returns the cursor for the next call, 0 at the end (see
    /// [`Table::scan`](super::table::Table::scan)). A listpack gives all at once.
    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(Elem<'_>, f64)) -> u64 {
        if let Ref::Large(set) = self.0.get() {
            return set.scan(cursor, |m, s| visit(Elem::Bytes(m), s));
        }
        self.iter().for_each(|(m, s)| visit(m, s));
        0
    }

    /// A member, each as likely as another.
    pub fn random(&self, rng: &mut Rng) -> Option<(Elem<'_>, f64)> {
        match self.0.get() {
            Ref::Small(lp) => self.at(rng.below(lp.len() / 2)),
            Ref::Large(set) => set.random(rng).map(|(m, s)| (Elem::Bytes(m), s)),
        }
    }

    /// Gives `count` different members (all, if there are fewer) to `visit`, each choice as likely as another, in order.
    pub fn random_distinct<'a>(&'a self, count: usize, rng: &mut Rng, mut visit: impl FnMut(Elem<'a>, f64)) {
        let len = self.len();
        if count < len / 8 && self.0.as_large().is_some() {
            // Floyd's way to a random subset of the ranks.
            let mut ranks = std::collections::BTreeSet::new();
            for bound in len - count..len {
                let rank = rng.below(bound + 1);
                if !ranks.insert(rank) {
                    ranks.insert(bound);
                }
            }
            ranks.into_iter().filter_map(|rank| self.at(rank)).for_each(|(m, s)| visit(m, s));
        } else {
            select(self.iter(), len, count, rng, |(m, s)| visit(m, s));
        }
    }

    /// The part of the ranks that there is.
    fn within(&self, ranks: Range<usize>) -> Range<usize> {
        let end = ranks.end.min(self.len());
        ranks.start.min(end)..end
    }

    /// Changes to the large encoding, with room for `more` members.
    fn make_ordered(&mut self, more: usize) -> &mut Ordered {
        self.0.make_large(|lp| {
            let mut set = Ordered::with_capacity(lp.len() / 2 + more.min(MAX_RESERVE));
            for (member, score) in compact::iter(lp) {
                member.with_text(|text| set.update(text, |_| Some(score)));
            }
            set
        })
    }
}

impl Default for Zset {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Zset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Members with scores in order; see [`Zset::range`].
pub struct Iter<'a>(Walk<'a>);

enum Walk<'a> {
    /// And how many pairs are left.
    Listpack(listpack::Iter<'a>, usize),
    Ordered(ordered::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Elem<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Listpack(iter, left) => {
                let pair = (iter.next()?, compact::score(iter.next()?));
                *left -= 1;
                Some(pair)
            }
            Walk::Ordered(iter) => iter.next().map(|(m, s)| (Elem::Bytes(m), s)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Walk::Listpack(_, left) => *left,
            Walk::Ordered(iter) => iter.len(),
        };
        (left, Some(left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Walk::Listpack(iter, left) => {
                let score = compact::score(iter.next_back()?);
                let member = iter.next_back()?;
                *left -= 1;
                Some((member, score))
            }
            Walk::Ordered(iter) => iter.next_back().map(|(m, s)| (Elem::Bytes(m), s)),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}
