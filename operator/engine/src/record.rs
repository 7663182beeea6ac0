//! What is written down in status, before it is acted upon. The one authority: labels, Services and every command follow from it.

use crate::observe::Millis;
use serde::{Deserialize, Serialize};

/// How many failovers are kept in [`Record::failovers`].
pub const KEPT_FAILOVERS: usize = 10;

/// The record. Part of the resource's status; written only with the precondition that nobody wrote since it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Record {
    /// The number of this record: one more with each that changes who may do what. Commands name it, instances refuse lower ones.
    pub term: u64,
    /// The number of the primaryship: one more with each promotion.
    pub epoch: u64,
    /// Where in its life the set is.
    pub phase: Phase,
    /// The primary: the last that was let to accept writes. During a takeover still the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Life>,
    /// During `Forming`, `Takeover` and `Moving`: who is to be primary of `epoch`. None: those who may be are being detached first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Life>,
    /// Who may be promoted if the primary fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub successors: Vec<Life>,
    /// During a takeover or move: who could be promoted when it began; each held every answered write then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub eligible: Vec<Life>,
    /// Names of those who may be attached to the primary, itself included: they vote for it and acknowledge its writes. An instance is
    /// added before it is told to follow, and taken out only when it is proven dead or detached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// The least that the primary's guard asks for while there are successors. None: the guard may be off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Quorum>,
    /// What the data set of the primary is known by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
    /// Why the takeover or move under way began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// The id of the last wish to move the primary that was carried out or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switchover_done: Option<String>,
    /// Where the specification wanted the primary to be when it was last moved there, or that was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed: Option<String>,
    /// The last failovers and moves, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failovers: Vec<Failover>,
}

/// Where in its life the set is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Phase {
    /// The first primary is being made.
    #[default]
    Forming,
    /// There is a primary.
    Stable,
    /// There is a primary; its guard is being put on so that others can be recorded as successors.
    Arming,
    /// The primary moves, by plan: it hands over itself.
    Moving,
    /// Another primary is being made. Nobody may vote for the old one.
    Takeover,
}

impl Phase {
    /// Whether there has been a first primary.
    pub fn is_formed(self) -> bool {
        self != Self::Forming
    }

    /// Whether the recorded primary serves.
    pub fn serves(self) -> bool {
        matches!(self, Self::Stable | Self::Arming | Self::Moving)
    }
}

/// One life of an instance: its process from start to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Life {
    /// The instance.
    pub name: String,
    /// The pod (local mode: the child process).
    pub uid: String,
    /// The server's run id.
    pub run_id: String,
}

/// What a primary's guard asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quorum {
    /// Votes of others without which it accepts no write.
    pub votes: u32,
    /// Acknowledgements of others without which it answers no write.
    pub acks: u32,
}

/// What a data set is known by. Offsets are comparable only within one replication id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lineage {
    /// The primary's replication id.
    pub replid: String,
    /// The id before the promotion, shared below `second_offset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replid2: Option<String>,
    /// The first offset that is not shared with `replid2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_offset: Option<u64>,
    /// Ids under which the same data set goes on: of instances that were made primary of it and never let to accept a write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<Branch>,
    /// High-water mark: the data set was known to reach at least this far (under `Sync`: acknowledged by others this far).
    pub offset: u64,
    /// The primaryship it was seen in.
    pub epoch: u64,
    /// Keys when it was seen; 0: an empty data set, which nothing is lost with.
    pub keys: u64,
}

/// An id that a promotion gave to the same data set. A server remembers only one id before its own; after two promotions that came to nothing
/// it could not be recognised any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Branch {
    /// The id.
    pub replid: String,
    /// How much of the recorded history it holds; what comes after is its own.
    pub reach: u64,
}

/// Why a primary was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Why {
    /// There was none.
    Formed,
    /// It is proven dead.
    Died,
    /// Its process was replaced by a new one.
    Restarted,
    /// Nothing came from it for too long.
    Silent,
    /// It answered, but no longer as primary.
    Demoted,
    /// A person asked for it.
    Requested,
    /// It was to be restarted, drained or removed.
    Evaded,
    /// A move was called off; the old primary goes on.
    CalledOff,
    /// The candidate was lost; the next one was taken.
    Retargeted,
    /// All instances had restarted; the most advanced data set was taken.
    Reelected,
    /// A person accepted the loss of data.
    Accepted,
}

/// One change of the primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failover {
    /// When it was finished, RFC 3339.
    pub at: String,
    /// The primaryship that it made.
    pub epoch: u64,
    /// The primary before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The primary after.
    pub to: String,
    /// Why.
    pub why: Why,
    /// How long it took.
    pub timeline: Timeline,
    /// Bytes of replication stream that the old primary is known to have held and the new one lacks. 0: certainly no answered write was lost.
    /// None: not known, because the old primary may have answered more than was ever seen of it. Corrected when that one comes back with its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_possibly_lost: Option<u64>,
}

/// How long the parts of a failover took, in ms. A part is missing where the operator that finished it had not seen it begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Timeline {
    /// From the last sign of life of the old primary to the record of the takeover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detected_ms: Option<Millis>,
    /// From that record to the successor's answer that it is primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_ms: Option<Millis>,
    /// From that answer to the record that lets it accept writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_ms: Option<Millis>,
}
