//! How many votes and acknowledgements a primary needs.

use crate::observe::Answer;
use crate::record::{Quorum, Record};
use crate::spec::Durability;
use crate::turn::Turn;

/// Votes of others that make a majority with the primary's own. The voters are the members and, where their number is even, the operator.
pub(crate) fn votes(members: usize) -> u32 {
    u32::try_from(members / 2).unwrap_or(u32::MAX)
}

/// Whether the operator is one of the voters. A lone member needs no vote, but under `Sync` its guard stays on and somebody has to open it.
pub(crate) fn operator_votes(members: usize) -> bool {
    members <= 1 || members.is_multiple_of(2)
}

impl Turn<'_> {
    /// What the guard of this primary should ask for, with so many of the members (besides the primary) in sync.
    pub(crate) fn wanted(&self, primary: &Answer, record: &Record, in_sync: usize) -> Quorum {
        let votes = votes(record.members.len().max(2));
        let acks = match self.durability(primary, record) {
            Durability::Async => 0,
            Durability::Preferred => votes.min(u32::try_from(in_sync).unwrap_or(u32::MAX)).max(1),
            Durability::Sync => votes,
        };
        Quorum { votes, acks }
    }
}

impl Quorum {
    /// More than there can ever be: what a promoted instance starts with. It accepts no write until the record names it as the primary and its
    /// guard is brought to what follows from that. Were its guard to ask for a number of votes that can be had, those that
    /// attach to it by themselves (it may be the old primary, at its old address) would open it unrecorded.
    pub const CLOSED: Self = Self { votes: 1_000_000, acks: 1_000_000 };

    /// Whether it asks for no less than another in any respect.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.votes >= other.votes && self.acks >= other.acks
    }

    /// The lesser of both in each respect.
    pub(crate) fn lesser(self, other: Self) -> Self {
        Self { votes: self.votes.min(other.votes), acks: self.acks.min(other.acks) }
    }

    /// What a primary's guard asks for now; `None` while it is off or where there is none.
    pub(crate) fn of(answer: &Answer) -> Option<Self> {
        answer.fence.as_ref().filter(|f| f.guard).map(|f| Self { votes: f.votes, acks: f.acks })
    }
}
