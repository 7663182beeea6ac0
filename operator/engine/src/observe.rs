//! What the carrier saw, and when.

use crate::record::Record;
use crate::spec::Spec;
use serde::{Deserialize, Serialize};

/// Milliseconds, of a monotonic clock where it is a time.
pub type Millis = u64;

/// Where an instance listens, as it announces itself. Compared literally: what an instance announces, what `FOLLOW` names and what
/// `FAILOVER TO` names must be the same string.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Address {
    /// Host name or IP.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// Where nobody listens: every instance boots as a replica of this, and is sent there to be detached.
    pub const NOWHERE: (&'static str, u16) = ("127.0.0.1", 1);

    /// Whether this is [`Address::NOWHERE`].
    pub fn is_nowhere(&self) -> bool {
        (self.host.as_str(), self.port) == Self::NOWHERE
    }
}

/// The leader's Lease, as this operator knows it. All from this operator's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// When it became leader, without a gap since: the time at which the answer to the first successful write of the Lease came.
    pub since_ms: Millis,
    /// Until when it certainly is: the time at which the last successful renewal was *asked for*, plus the renew deadline.
    pub until_ms: Millis,
}

/// All that [`crate::decide`] knows of the world.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Now.
    pub now_ms: Millis,
    /// Now in RFC 3339, for people; the engine only copies it into the record.
    pub now_rfc3339: String,
    /// `None`: this operator does not hold the Lease; it looks and decides nothing.
    pub leader: Option<Leadership>,
    /// The record as last read or written by this operator. `None`: the resource has none yet.
    pub record: Option<Record>,
    /// When this operator first saw the record with this term (after its own write: when the answer came).
    pub record_seen_ms: Millis,
    /// When the last linearizable read or successful write that returned this record was *asked for*. Must be at or after
    /// [`Leadership::since_ms`] before anything is done.
    pub record_read_ms: Millis,
    /// What the user asked for.
    pub spec: Spec,
    /// Every instance that there is or should be, in the order of their ordinals. One that is gone but is named in the record may be
    /// left out; it is then treated as [`Presence::Unknown`].
    pub instances: Vec<Instance>,
}

/// One instance: what the platform says of it, what its port says, what it says itself.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its name (Kubernetes: the pod's), the same over its lives.
    pub name: String,
    /// Its ordinal in the StatefulSet.
    pub ordinal: u32,
    /// Where it is reached by its peers.
    pub address: Address,
    /// What the platform says.
    pub presence: Presence,
    /// What its port says.
    pub connection: Connection,
    /// The last answer, by the time at which it was asked. Kept while a newer question is unanswered.
    pub answer: Option<Answer>,
}

/// What the platform says of an instance. `uid` names one life of the pod (local mode: one child process); all that is said here is of the
/// newest one with that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing is known (the API server does not answer, or the object was never seen).
    Unknown,
    /// It exists, but its container was never started (pending, pulling, initialising).
    Waiting {
        /// The pod.
        uid: String,
    },
    /// Its container is reported running.
    Running {
        /// The pod.
        uid: String,
    },
    /// Its container is reported ended and is not running again.
    Ended {
        /// The pod.
        uid: String,
        /// The server's run id in the container that ended, where the carrier can tell (Kubernetes: the container's `finishedAt` is later than
        /// the start that the server itself reported, both by the node's clock; local mode: the child's own). Evidence of death for that life
        /// only: a late report of an earlier life's end says nothing about the next one. `None`: no evidence.
        run_id: Option<String>,
    },
    /// The object is gone and none has taken its place. Proves nothing: the process may live on a node that nobody reaches.
    Gone,
    /// Its node is gone: the object deleted or tainted out-of-service, not merely unreachable. Evidence of death for this uid.
    NodeGone {
        /// The pod.
        uid: String,
    },
}

impl Presence {
    /// The pod that this is said of.
    pub fn uid(&self) -> Option<&str> {
        match self {
            Self::Waiting { uid } | Self::Running { uid } | Self::Ended { uid, .. } | Self::NodeGone { uid } => {
                Some(uid)
            }
            Self::Unknown | Self::Gone => None,
        }
    }
}

/// What its port says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Never tried, or not since its address is known.
    Untried,
    /// A connection stands and the last question on it was answered or is not yet overdue.
    Connected,
    /// The last attempt to connect was refused, actively (a reset during the handshake; not a time-out).
    Refused {
        /// When that attempt began.
        asked_ms: Millis,
        /// The pod that stood at that address before and after the attempt; `None`: not known, and then it is no evidence.
        uid: Option<String>,
    },
    /// Nothing comes back.
    Silent {
        /// When the oldest question without an answer was asked.
        since_ms: Millis,
    },
}

/// One answer of a server about itself (`QUORUM STATE`; for a stock server put together from `INFO`, `ROLE`, `CONFIG GET`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it was asked (the first question, where it is put together from several).
    pub asked_ms: Millis,
    /// When the answer came.
    pub received_ms: Millis,
    /// The pod that the connection led to.
    pub uid: String,
    /// The server's run id: one life of the process.
    pub run_id: String,
    /// Primary or replica.
    pub role: Role,
    /// What the server can do.
    pub fence: Option<Fence>,
    /// Replication id.
    pub replid: String,
    /// The replication id before the last promotion, valid below [`Answer::second_offset`].
    pub replid2: Option<String>,
    /// The first offset that is *not* shared with `replid2`'s history (`second_repl_offset`); `None` where there is no second id.
    pub second_offset: Option<u64>,
    /// Bytes of the replication stream that it holds.
    pub offset: u64,
    /// Whether its data set is complete: no full sync under way or broken off. For a stock server: not loading and no sync in progress.
    pub whole: bool,
    /// Whether it is still loading from disk.
    pub loading: bool,
    /// Keys in all databases.
    pub keys: u64,
    /// As a replica: whom it follows. `None` for a primary.
    pub upstream: Option<Upstream>,
    /// As a primary: who is attached.
    pub replicas: Vec<Attached>,
    /// As a primary: whether a `FAILOVER` is under way.
    pub failover_in_progress: bool,
}

impl Answer {
    /// Whether nothing is decided otherwise for this answer than for the one before it: only times and counts have moved on. Never of a
    /// primary: its answer is what it is voted for with.
    pub fn says_the_same(&self, before: &Answer) -> bool {
        let fence = |answer: &Answer| answer.fence.clone().map(|fence| Fence { token: 0, acked_offset: 0, ..fence });
        let upstream = |answer: &Answer| answer.upstream.clone().map(|upstream| (upstream.address, upstream.link));
        self.role == Role::Replica
            && before.role == Role::Replica
            && (&self.uid, &self.run_id) == (&before.uid, &before.run_id)
            && (&self.replid, &self.replid2, self.second_offset)
                == (&before.replid, &before.replid2, before.second_offset)
            && (self.whole, self.loading) == (before.whole, before.loading)
            && fence(self) == fence(before)
            && upstream(self) == upstream(before)
    }
}

/// Primary or replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Role {
    /// It accepts writes, if its fence allows.
    Primary,
    /// It follows another one, or nobody.
    Replica,
}

/// The fence of our own server (`QUORUM STATE`). A stock server has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The epoch it was promoted for; 0: none in this life.
    pub epoch: u64,
    /// The highest term that a command named to it in this life.
    pub term: u64,
    /// Whether the guard is on.
    pub guard: bool,
    /// Votes of others that it needs while the guard is on.
    pub votes: u32,
    /// Acknowledgements that an answer waits for while the guard is on.
    pub acks: u32,
    /// Stands for the server's time of this answer; given back in [`crate::Command::Vote`].
    pub token: u64,
    /// Whether it would accept a write now.
    pub writable: bool,
    /// The offset that `acks` replicas have acknowledged, in this life.
    pub acked_offset: u64,
    /// Whether it has clients that came while it was primary, and it is none any more.
    pub former_clients: bool,
}

/// Whom a replica follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// As it was told.
    pub address: Address,
    /// The link's state.
    pub link: LinkState,
    /// For how long the link has been in that state.
    pub since_ms: Millis,
}

/// The state of a replica's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum LinkState {
    /// It receives the stream.
    Up,
    /// It tries.
    Connecting,
    /// A full sync is under way.
    Sync,
    /// It lost it.
    Down,
}

/// A replica as its primary sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// As it announces itself.
    pub address: Address,
    /// Whether it receives the stream (not waiting for or receiving a snapshot).
    pub online: bool,
    /// What it acknowledged last.
    pub ack_offset: u64,
    /// How long ago.
    pub lag_ms: Millis,
}
