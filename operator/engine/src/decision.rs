//! What is to be done, and why.

use crate::memory::Memory;
use crate::observe::{Address, Millis};
use crate::record::{Quorum, Record};

/// What [`crate::decide`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// To be written, with the precondition that the record in the observation is still the newest.
    pub record: Option<Record>,
    /// To be sent now, in this order for each instance. Beside a record there are votes at most; those follow from the record in force and do
    /// not wait for the new one to be written.
    pub commands: Vec<Command>,
    /// Who serves.
    pub endpoints: Endpoints,
    /// For the resource's status, one of each kind.
    pub conditions: Vec<Condition>,
    /// What it would do, what it waits for, which evidence lacks. For `status`, logs, metrics and `explain`.
    pub reasons: Vec<Reason>,
    /// To be emitted.
    pub events: Vec<Event>,
    /// How many instances the platform should keep: more than asked for while those that leave are still needed.
    pub scale_to: u32,
    /// Instances that may be restarted now, one of them at a time: all others hold what the primary holds.
    pub restartable: Vec<String>,
    /// Call again at this time at the latest, even if nothing changes.
    pub recheck_at_ms: Millis,
    /// To be given back at the next call.
    pub memory: Memory,
}

/// Who serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// The read-write endpoint. `None`: nobody; take out whoever is in it.
    pub rw: Option<String>,
    /// Who is about to take the place of `rw`. A carrier whose ways to the clients take a while may lead there already: nobody else accepts
    /// writes from here on, and what is told of this one must only arrive before they do.
    pub next: Option<String>,
    /// The read-only endpoint: replicas that are in sync; a lone primary where there is but one instance.
    pub ro: Vec<String>,
    /// The epoch that `rw` follows from.
    pub epoch: u64,
    /// Members of which this carrier has heard nothing yet, and not for long enough to call them silent. A carrier that has just begun leaves
    /// those of them that `ro` leads to where they are.
    pub unheard: Vec<String>,
}

/// Something to be told to one life of an instance. `run_id` names that life, `term` the record that it follows from; the server (or for a
/// stock server the carrier, as well as it can) refuses another life's and lower terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `QUORUM PROMOTE`. Stock: `REPLICAOF NO ONE`.
    Promote {
        /// The instance.
        instance: String,
        /// Its life.
        run_id: String,
        /// The record.
        term: u64,
        /// The primaryship.
        epoch: u64,
        /// What its guard asks for from the start: [`Quorum::CLOSED`].
        quorum: Quorum,
    },
    /// `QUORUM FOLLOW` a primary. Stock: `REPLICAOF`. Its data set will be replaced by that of the primary where they differ.
    Follow {
        /// The instance.
        instance: String,
        /// Its life.
        run_id: String,
        /// The record.
        term: u64,
        /// Whom.
        primary: String,
        /// Where that is.
        address: Address,
    },
    /// `QUORUM FOLLOW … 127.0.0.1 1`: stop acknowledging, stop accepting writes, keep the data set. Stock: `REPLICAOF 127.0.0.1 1`.
    Detach {
        /// The instance.
        instance: String,
        /// Its life.
        run_id: String,
        /// The record.
        term: u64,
    },
    /// `QUORUM GUARD`: on, or off where `quorum` is `None`. Stock: `min-replicas-to-write`.
    Guard {
        /// The primary.
        instance: String,
        /// Its life.
        run_id: String,
        /// The record.
        term: u64,
        /// What it asks for.
        quorum: Option<Quorum>,
    },
    /// `QUORUM VOTE`. Never sent to a stock server. The token must go out as it is here, never a newer one.
    Vote {
        /// The primary.
        instance: String,
        /// Its life.
        run_id: String,
        /// The primaryship.
        epoch: u64,
        /// From its last answer.
        token: u64,
    },
    /// `FAILOVER TO host port TIMEOUT ms`.
    Failover {
        /// The primary that hands over.
        instance: String,
        /// Its life.
        run_id: String,
        /// The record.
        term: u64,
        /// To whom.
        to: String,
        /// Where that is.
        address: Address,
        /// For how long writes may be paused.
        timeout_ms: Millis,
    },
    /// `FAILOVER ABORT`.
    AbortFailover {
        /// The primary.
        instance: String,
        /// Its life.
        run_id: String,
        /// The record.
        term: u64,
    },
    /// `QUORUM HOLD`: the writes of clients that came to the next primary early wait for a moment. Never sent to a stock server.
    Hold {
        /// The replica that is about to be primary.
        instance: String,
        /// Its life.
        run_id: String,
        /// The record.
        term: u64,
    },
    /// `QUORUM DISMISS` on an instance that was primary: its clients are to look the endpoint up again. Stock: `CLIENT KILL TYPE normal`.
    Dismiss {
        /// The instance.
        instance: String,
        /// Its life.
        run_id: String,
        /// The record.
        term: u64,
    },
}

impl Command {
    /// Whom it is for.
    pub fn instance(&self) -> &str {
        match self {
            Self::Promote { instance, .. }
            | Self::Follow { instance, .. }
            | Self::Detach { instance, .. }
            | Self::Guard { instance, .. }
            | Self::Vote { instance, .. }
            | Self::Failover { instance, .. }
            | Self::AbortFailover { instance, .. }
            | Self::Hold { instance, .. }
            | Self::Dismiss { instance, .. } => instance,
        }
    }

    /// For which life of it.
    pub fn run_id(&self) -> &str {
        match self {
            Self::Promote { run_id, .. }
            | Self::Follow { run_id, .. }
            | Self::Detach { run_id, .. }
            | Self::Guard { run_id, .. }
            | Self::Vote { run_id, .. }
            | Self::Failover { run_id, .. }
            | Self::AbortFailover { run_id, .. }
            | Self::Hold { run_id, .. }
            | Self::Dismiss { run_id, .. } => run_id,
        }
    }
}

/// The kinds of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionKind {
    /// There is a primary and it accepts writes.
    Ready,
    /// The set is on its way to another state.
    Progressing,
    /// It works, but one more failure may stop it, or it is weaker than asked for.
    Degraded,
    /// The engine holds, because going on could destroy the only good data set.
    DatasetAtRisk,
}

impl ConditionKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Progressing, Self::Degraded, Self::DatasetAtRisk];

    /// As in the resource's status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::DatasetAtRisk => "DatasetAtRisk",
        }
    }
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its kind.
    pub kind: ConditionKind,
    /// `None`: unknown.
    pub status: Option<bool>,
    /// CamelCase.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

/// What a reason says, for machines; `as_str` is used as a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReasonCode {
    /// This operator does not lead.
    NotLeading,
    /// The record was not read since this operator leads.
    RecordNotRead,
    /// The resource is paused.
    Paused,
    /// All is as it should be.
    Steady,
    /// An instance has not answered.
    WaitingForAnswer,
    /// An instance is loading its data.
    WaitingForLoad,
    /// A replica is not in sync.
    WaitingForSync,
    /// The guard is to be confirmed.
    WaitingForGuard,
    /// An instance is to detach.
    WaitingForDetach,
    /// The target is to answer as primary.
    WaitingForPromotion,
    /// The old primary may still accept writes.
    WaitingForLeaseEnd,
    /// The old primary is not proven dead.
    WaitingForDeath,
    /// Silence has not lasted long enough.
    WaitingForSilence,
    /// The primary is to hand over.
    WaitingForHandover,
    /// Nobody may be promoted.
    NoSuccessor,
    /// Too few of those who may hold answered writes can be asked.
    NoQuorum,
    /// No data set is proven to be the recorded one.
    NoLineage,
    /// Data sets differ and nothing says which one counts.
    Diverged,
    /// What is left is behind what was recorded.
    Behind,
    /// What is left is empty, and what was recorded was not.
    Emptied,
    /// A data set that is not whole cannot be promoted.
    NotWhole,
    /// A stock server: no lease.
    Unfenced,
    /// The primary cannot move.
    CannotMove,
    /// Something was begun.
    Began,
}

impl ReasonCode {
    /// CamelCase, as in conditions and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotLeading => "NotLeading",
            Self::RecordNotRead => "RecordNotRead",
            Self::Paused => "Paused",
            Self::Steady => "Steady",
            Self::WaitingForAnswer => "WaitingForAnswer",
            Self::WaitingForLoad => "WaitingForLoad",
            Self::WaitingForSync => "WaitingForSync",
            Self::WaitingForGuard => "WaitingForGuard",
            Self::WaitingForDetach => "WaitingForDetach",
            Self::WaitingForPromotion => "WaitingForPromotion",
            Self::WaitingForLeaseEnd => "WaitingForLeaseEnd",
            Self::WaitingForDeath => "WaitingForDeath",
            Self::WaitingForSilence => "WaitingForSilence",
            Self::WaitingForHandover => "WaitingForHandover",
            Self::NoSuccessor => "NoSuccessor",
            Self::NoQuorum => "NoQuorum",
            Self::NoLineage => "NoLineage",
            Self::Diverged => "Diverged",
            Self::Behind => "Behind",
            Self::Emptied => "Emptied",
            Self::NotWhole => "NotWhole",
            Self::Unfenced => "Unfenced",
            Self::CannotMove => "CannotMove",
            Self::Began => "Began",
        }
    }

    /// Whether the engine holds for this reason until the world or a person changes something: the condition `DatasetAtRisk`.
    pub fn holds(self) -> bool {
        matches!(
            self,
            Self::NoSuccessor
                | Self::NoQuorum
                | Self::NoLineage
                | Self::Diverged
                | Self::Behind
                | Self::Emptied
                | Self::NotWhole
        )
    }
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// For machines.
    pub code: ReasonCode,
    /// Of whom it is said.
    pub instance: Option<String>,
    /// A sentence for people: what is waited for or refused, on which evidence, and what would unblock it.
    pub message: String,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// A warning, or normal.
    pub warning: bool,
    /// CamelCase.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}
