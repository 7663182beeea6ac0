//! What is kept between two calls of [`crate::decide`]. It may be lost at any time; that is safe and costs at most a wait.

use crate::observe::Millis;
use crate::record::Quorum;

/// What the engine gets back at its next call, untouched. `Memory::default()` after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Since when there is a memory: what happened before was perhaps this operator's doing, and is forgotten.
    pub since_ms: Option<Millis>,
    /// When this operator last voted for anybody.
    pub last_vote_ms: Option<Millis>,
    /// What was voted last, so as not to repeat it: run id, epoch, token.
    pub voted: Option<(String, u64, u64)>,
    /// Since when each life of an instance is known not to be attached to the primary of the epoch being replaced.
    pub detached: Vec<Seen>,
    /// The primary's offset when it first confirmed the guard of this term.
    pub armed: Option<Armed>,
    /// Per replica: when it was last known to hold what the primary held.
    pub current: Vec<Current>,
    /// The takeover under way, for its timeline.
    pub takeover: Option<Progress>,
    /// When the high-water mark was last written.
    pub lineage_written_ms: Option<Millis>,
    /// The last sign of life of the recorded primary.
    pub primary_seen_ms: Option<Millis>,
    /// The last move that came to nothing: the next attempt waits.
    pub called_off: Option<CalledOff>,
    /// The conditions and holds that an event was already emitted for.
    pub told: Vec<String>,
}

/// A move that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledOff {
    /// When it was called off.
    pub at_ms: Millis,
    /// The wish that stood then.
    pub wish: Option<String>,
}

/// When something was first seen of one life of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The epoch that it was seen for.
    pub epoch: u64,
    /// The instance.
    pub name: String,
    /// Its life; `None`: whichever it was, it is dead.
    pub run_id: Option<String>,
    /// When the answer came that showed it.
    pub at_ms: Millis,
}

/// The primary's confirmation of its guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Armed {
    /// The record that asked for it.
    pub term: u64,
    /// The primary's life.
    pub run_id: String,
    /// What it confirmed.
    pub quorum: Quorum,
    /// The primary's offset in that answer: all that was answered without the guard is below.
    pub offset: u64,
    /// When that answer was asked for.
    pub asked_ms: Millis,
}

/// How far a replica has followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The replica.
    pub name: String,
    /// Its life.
    pub run_id: String,
    /// At this time it held what the primary held then (at least).
    pub as_of_ms: Option<Millis>,
    /// What it is being measured against, once the primary has answered.
    pub mark: Option<Mark>,
    /// What the replica held when it answered last.
    pub offset: u64,
    /// Since when it has held no more.
    pub moved_ms: Millis,
}

/// What a primary held at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The primary's life.
    pub run_id: String,
    /// Its offset.
    pub offset: u64,
    /// When that was asked for.
    pub asked_ms: Millis,
}

/// The times of a takeover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The epoch being made.
    pub epoch: u64,
    /// When the record was first seen.
    pub recorded_ms: Millis,
    /// From the last sign of life to the record, where known.
    pub detected_ms: Option<Millis>,
    /// When the target first answered as primary of the epoch.
    pub promoted_ms: Option<Millis>,
    /// The last offset known of the primary being replaced.
    pub old_offset: Option<u64>,
}
