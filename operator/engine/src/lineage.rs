//! What a data set is known by, and which of two is the more advanced. Offsets count only within one replication id: a promoted
//! instance begins a new id and shares the old one's history up to its second offset.

use crate::observe::Answer;
use crate::record::Lineage;
use std::cmp::Ordering;

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
        self.position(&lineage.replid).or_else(|| {
            let (before, first_own) = (lineage.replid2.as_ref()?, lineage.second_offset?);
            // It stopped in the shared part: an ancestor. Beyond it, it holds something that the record knows nothing of, and still no more of the record.
            Some(self.position(before)?.min(first_own.saturating_sub(1)))
        })
    }

    /// How its data set is related to another one.
    pub(crate) fn kinship(&self, other: &Self) -> Kinship {
        if self.replid == other.replid {
            return Kinship::Ordered(self.offset.cmp(&other.offset));
        }
        // One was promoted from the other's history: it is ahead if the other stopped before that.
        let ahead = |a: &Self, b: &Self| a.position(&b.replid).is_some_and(|shared| b.offset <= shared);
        match (ahead(self, other), ahead(other, self)) {
            (true, false) => Kinship::Ordered(Ordering::Greater),
            (false, true) => Kinship::Ordered(Ordering::Less),
            _ => Kinship::Unrelated,
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
        offset: acked.map_or(answer.offset, |a| a.max(shared)),
        epoch,
        keys: answer.keys,
    }
}
