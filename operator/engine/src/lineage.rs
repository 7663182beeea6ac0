//! What a data set is known by, and which of two is the more advanced. Offsets count only within one replication id: a promoted
//! instance begins a new id and shares the old one's history up to its second offset.

use crate::observe::Answer;
use crate::record::{Branch, Lineage};
use std::cmp::Ordering;

/// How many ids of promotions that came to nothing are kept.
const KEPT_BRANCHES: usize = 8;

/// How two data sets are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinship {
    /// The same history, and one may be ahead.
    Ordered(Ordering),
    /// Nothing is known, or both hold what the other lacks.
    Unrelated,
}

impl Answer {
    /// How much of the history that goes by `replid` this data set holds in full, as an offset; `None`: it is not known to hold any.
    pub(crate) fn position(&self, replid: &str) -> Option<u64> {
        if self.replid == replid {
            return Some(self.offset);
        }
        match (&self.replid2, self.second_offset) {
            (Some(second), Some(first_own)) if second == replid => Some(first_own.saturating_sub(1)),
            _ => None,
        }
    }

    /// How much of the recorded history this data set holds: of the recorded id, or where it stopped before the last
    /// promotion, of the id before.
    pub(crate) fn reach(&self, lineage: &Lineage) -> Option<u64> {
        let branch = || lineage.branches.iter().find_map(|b| self.position(&b.replid).map(|p| p.min(b.reach)));
        self.position(&lineage.replid).or_else(branch).or_else(|| {
            let (before, first_own) = (lineage.replid2.as_ref()?, lineage.second_offset?);
            // It stopped in the shared part: an ancestor. Beyond it, it holds something that the record knows nothing of, and still no more of the record.
            Some(self.position(before)?.min(first_own.saturating_sub(1)))
        })
    }

    /// Whether it holds all that another one holds.
    fn contains(&self, other: &Self) -> bool {
        let holds = |replid: &str| self.position(replid).is_some_and(|p| p >= other.offset);
        // One that was promoted and has written nothing since holds no more than what it shares with the id before.
        let before = other.replid2.as_deref().filter(|_| other.second_offset.is_some_and(|own| other.offset < own));
        holds(&other.replid) || before.is_some_and(holds)
    }

    /// How its data set is related to another one.
    pub(crate) fn kinship(&self, other: &Self) -> Kinship {
        match (self.contains(other), other.contains(self)) {
            (true, true) => Kinship::Ordered(Ordering::Equal),
            (true, false) => Kinship::Ordered(Ordering::Greater),
            (false, true) => Kinship::Ordered(Ordering::Less),
            (false, false) => Kinship::Unrelated,
        }
    }
}

/// The one that is at least as advanced as each other one; the first where there are equals. `None`: none, or they are unrelated.
pub(crate) fn most_advanced<'a, T>(sets: &[T], answer: impl Fn(&T) -> &'a Answer) -> Option<&T> {
    sets.iter().find(|a| {
        sets.iter().all(|b| {
            std::ptr::eq(*a, b)
                || matches!(answer(a).kinship(answer(b)), Kinship::Ordered(Ordering::Greater | Ordering::Equal))
        })
    })
}

/// What the data set of a primary is known by from now on. While its answers wait for acknowledgements, it reaches as far as those:
/// what lies beyond was not answered.
pub(crate) fn of_primary(answer: &Answer, epoch: u64) -> Lineage {
    let acked = answer.fence.as_ref().filter(|f| f.guard && f.acks > 0).map(|f| f.acked_offset);
    let shared = answer.second_offset.map_or(0, |o| o.saturating_sub(1));
    Lineage {
        replid: answer.replid.clone(),
        replid2: answer.replid2.clone(),
        second_offset: answer.second_offset,
        branches: Vec::new(),
        offset: acked.map_or(answer.offset, |a| a.max(shared)),
        epoch,
        keys: answer.keys,
    }
}

impl Lineage {
    /// Takes down the id of an instance that is about to be made primary, and so to get another one.
    pub(crate) fn follow_to(&mut self, target: &Answer) {
        let known = target.replid == self.replid || self.branches.iter().any(|b| b.replid == target.replid);
        if let Some(reach) = target.reach(self).filter(|_| !known) {
            self.branches.insert(0, Branch { replid: target.replid.clone(), reach });
            self.branches.truncate(KEPT_BRANCHES);
        }
    }

    /// This, seen after another one of the same primary: the high-water mark never falls within one history.
    pub(crate) fn after(self, known: &Self) -> Self {
        let offset = if self.replid == known.replid { self.offset.max(known.offset) } else { self.offset };
        Self { offset, ..self }
    }
}
