//! Replication, both roles.
//!
//! `feed` turns executed commands into the stream, `backlog` holds it; `primary` serves replicas (`psync` decides full or
//! partial, `full_sync` when a snapshot is made and for whom, `transfer` sends it, `reserved` keeps the stream for who takes
//! one over a connection of its own, `acknowledgement` is what they say they hold); `link`, `handshake`, `receive` and
//! `stream` follow a primary, `dual_channel` over two connections; `failover` and `quorum` change roles, `handover` is what
//! clients see of it.
//! The data set is a function of the stream: who has the same replication id and offset has the same data.

mod acknowledgement;
pub mod backlog;
pub mod dual_channel;
pub mod failover;
pub mod feed;
pub mod full_sync;
mod handover;
mod handshake;
pub mod link;
pub mod own_keys;
pub mod primary;
pub mod psync;
pub mod quorum;
pub mod receive;
pub mod reserved;
pub mod roles;
mod stream;
pub mod transfer;

use crate::client::{ClientId, Clients};
use crate::persistence::rdb::dataset::FileInfo;
use backlog::ReplBuffer;
use link::Link;
use primary::ReplicaPhase;

/// A replication id: 40 hexadecimal digits that name one history of writes.
pub type ReplId = [u8; 40];

/// The id that stands for no history.
pub const NO_REPLID: ReplId = [b'0'; 40];

/// Which history this server's data is at which point of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The current id.
    pub id: ReplId,
    /// The id before the last promotion.
    pub id2: ReplId,
    /// Up to where (bytes, exclusive) the history under `id2` is also ours; `None` where there is no second id.
    pub id2_end: Option<u64>,
    /// Bytes of the stream that the data set holds.
    pub offset: u64,
}

/// The point of a history that a file's end stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The history's id.
    pub id: ReplId,
    /// Bytes of it.
    pub offset: u64,
    /// The database that its stream has selected there; `None`: it must select one anew.
    pub stream_db: Option<usize>,
}

impl Position {
    /// What an RDB file says.
    pub fn of(info: &FileInfo) -> Option<Self> {
        Some(Position {
            id: info.replication_id.as_ref()?.as_bytes().try_into().ok()?,
            offset: u64::try_from(info.replication_offset?).ok()?,
            stream_db: info.stream_db.map(|db| db as usize),
        })
    }
}

impl History {
    /// A new history.
    pub fn new() -> Self {
        History { id: crate::sys::random_hex40(), id2: NO_REPLID, id2_end: None, offset: 0 }
    }

    /// Begins a new id that continues the old one, as a promoted replica does.
    pub fn branch(&mut self) {
        self.id2 = self.id;
        self.id2_end = Some(self.offset);
        self.id = crate::sys::random_hex40();
    }

    /// Begins a new id that continues nothing.
    pub fn restart(&mut self) {
        self.id = crate::sys::random_hex40();
        self.id2 = NO_REPLID;
        self.id2_end = None;
    }

    /// `second_repl_offset` as INFO shows it: one past the last byte, -1 for none.
    pub fn second_offset(&self) -> i64 {
        self.id2_end.map_or(-1, |end| end as i64 + 1)
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

/// The state of replication.
#[derive(Debug)]
pub struct Replication {
    /// See [`History`].
    pub history: History,
    /// The offset up to which the stream carries data: what a primary sent after it was only PING and the like.
    pub data_offset: u64,
    /// The stream, from the first replica on.
    pub buffer: Option<ReplBuffer>,
    /// The database that the stream's last SELECT named; `None`: the next command needs one.
    pub stream_db: Option<usize>,
    /// Our primary, when we are a replica.
    pub link: Option<Link>,
    /// Our replicas, from their PSYNC on.
    pub replicas: Vec<ClientId>,
    /// What was taken back of the stream, to follow another primary.
    pub idle_tail: Option<roles::IdleTail>,
    /// The point of another's history that was loaded at start as a primary, which went on under an id of its own from there.
    pub restored: Option<Position>,
    /// The stream that is kept for replicas whose snapshot goes over another connection.
    pub reservations: Vec<reserved::Reservation>,
    /// What clients of a writable replica made expire.
    pub own_keys: own_keys::OwnKeys,
    /// Unix time in ms since when there has been no replica.
    pub no_replicas_since: i64,
    /// Unix time in ms of the last PING in the stream.
    pub last_ping_ms: i64,
    /// A planned failover under way.
    pub failover: Option<failover::Failover>,
    /// This was primary, and clients with numbers below this came then.
    pub former_clients: Option<ClientId>,
    /// Unix time in ms until which clients may still be led here as to the primary.
    pub misleads_until_ms: i64,
    /// The snapshot that is being sent to replicas straight from the child.
    pub transfer: Option<transfer::SocketTransfer>,
    /// The lease of a primary, and the operator's commands.
    pub quorum: quorum::Quorum,
    /// Whether WAIT or a lease wants the replicas asked for their offsets before this turn ends.
    pub ask_for_acks: bool,
    /// Acknowledgements came in this turn.
    pub acknowledged: bool,
}

impl Replication {
    /// Nobody's primary and nobody's replica.
    pub fn new(now_ms: i64) -> Self {
        Replication {
            history: History::new(),
            data_offset: 0,
            buffer: None,
            stream_db: None,
            link: None,
            replicas: Vec::new(),
            idle_tail: None,
            restored: None,
            reservations: Vec::new(),
            own_keys: own_keys::OwnKeys::default(),
            no_replicas_since: now_ms,
            last_ping_ms: now_ms,
            failover: None,
            former_clients: None,
            misleads_until_ms: 0,
            transfer: None,
            quorum: quorum::Quorum::default(),
            ask_for_acks: false,
            acknowledged: false,
        }
    }

    /// Bytes of the stream that the data set holds (`master_repl_offset`).
    pub fn offset(&self) -> u64 {
        self.history.offset
    }

    /// How many online replicas acknowledged `offset`.
    pub fn count_acknowledged(&self, clients: &Clients, offset: u64) -> usize {
        self.online(clients).filter(|r| r.ack_offset >= offset).count()
    }

    /// States of the replicas that get the stream.
    pub fn online<'a>(&'a self, clients: &'a Clients) -> impl Iterator<Item = &'a primary::ReplicaState> {
        self.replicas
            .iter()
            .filter_map(|id| clients.by_id(*id)?.replica.as_deref())
            .filter(|r| matches!(r.phase, ReplicaPhase::Online))
    }

    /// The highest offset that at least `n` replicas hold.
    pub fn acknowledged_by(&self, clients: &Clients, n: usize) -> u64 {
        let mut acks: Vec<u64> = self.online(clients).map(|r| r.ack_offset).collect();
        acks.sort_unstable_by(|a, b| b.cmp(a));
        n.checked_sub(1).and_then(|i| acks.get(i).copied()).unwrap_or(0)
    }
}
