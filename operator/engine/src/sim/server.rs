//! A server as the engine's commands and questions find it: a log of writes, replication by PSYNC, the fence of `QUORUM`.
//! A log entry is one byte of the replication stream; its value names the write.

use super::rng::Rng;
use crate::observe::{Address, Answer, Attached, Fence, LinkState, Role, Upstream};
use crate::record::Quorum;
use std::rc::Rc;

pub(super) const NAMES: [&str; 4] = ["a", "b", "c", "d"];
pub(super) const T: u64 = 100;
pub(super) const MS: u64 = 10;
/// After so many ms without anything from upstream a link is given up.
const LINK_TIMEOUT: u64 = 300;

pub(super) fn address(of: usize) -> Address {
    Address { host: NAMES[of].to_owned(), port: 6379 }
}

/// What survives a restart.
#[derive(Clone, Default, Debug)]
pub(super) struct Disk {
    pub(super) log: Vec<u32>,
    pub(super) replid: u32,
    pub(super) second: Option<(u32, u64)>,
}

/// A replica as its upstream keeps it.
#[derive(Clone, Debug)]
pub(super) struct Slave {
    pub(super) who: usize,
    pub(super) conn: u64,
    pub(super) acked: u64,
    pub(super) heard: u64,
    /// Its snapshot is still on the way.
    pub(super) syncing: bool,
    /// When the primary asked for the newest acknowledgement that came: its vote.
    pub(super) vote: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Follows {
    Nowhere,
    Instance(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) id: usize,
    pub(super) exists: bool,
    pub(super) stock: bool,
    pub(super) run: u32,
    pub(super) uid: u32,
    /// Down until then (process not running).
    pub(super) down: u64,
    pub(super) paused: u64,
    pub(super) loading: u64,
    pub(super) rate: u64,
    pub(super) primary: bool,
    pub(super) upstream: Follows,
    pub(super) link: LinkState,
    pub(super) link_since: u64,
    pub(super) conn: u64,
    pub(super) heard: u64,
    pub(super) tried: u64,
    /// A PSYNC that asks the other side to take over, until then.
    pub(super) handing: Option<u64>,
    pub(super) whole: bool,
    pub(super) disk: Disk,
    pub(super) saved: Option<Disk>,
    pub(super) slaves: Vec<Slave>,
    pub(super) failover: Option<(usize, u64)>,
    // The fence.
    pub(super) term: u64,
    pub(super) epoch: u64,
    pub(super) guard: bool,
    pub(super) quorum: Quorum,
    pub(super) operator: Option<u64>,
    pub(super) acked: u64,
    pub(super) former_clients: bool,
    /// Writes whose answer waits: name and offset.
    pub(super) held: Vec<(u32, u64)>,
}

impl Server {
    pub(super) fn new(id: usize, r: &mut Rng) -> Self {
        Self {
            id,
            exists: true,
            stock: false,
            run: 1,
            uid: 1,
            down: 0,
            paused: 0,
            loading: 0,
            rate: r.pick(&[96, 100, 104]),
            primary: false,
            upstream: Follows::Nowhere,
            link: LinkState::Connecting,
            link_since: 0,
            conn: 0,
            heard: 0,
            tried: 0,
            handing: None,
            whole: true,
            disk: Disk { replid: 1_000 + id as u32, ..Disk::default() },
            saved: None,
            slaves: Vec::new(),
            failover: None,
            term: 0,
            epoch: 0,
            guard: true,
            quorum: Quorum { votes: 1, acks: 0 },
            operator: None,
            former_clients: false,
            acked: 0,
            held: Vec::new(),
        }
    }

    /// Its own clock, in ms.
    pub(super) fn clock(&self, t: u64) -> u64 {
        (t + 50 * (self.id as u64 + 1)) * MS * self.rate / 100
    }

    pub(super) fn up(&self, t: u64) -> bool {
        self.exists && self.down < t
    }

    pub(super) fn runs(&self, t: u64) -> bool {
        self.up(t) && self.paused <= t
    }

    pub(super) fn offset(&self) -> u64 {
        self.disk.log.len() as u64
    }

    /// Whether it would execute a write now.
    pub(super) fn accepts(&self, t: u64) -> bool {
        if !self.runs(t) || !self.primary || self.failover.is_some() || self.loading > t {
            return false;
        }
        if self.stock || !self.guard {
            return true;
        }
        let now = self.clock(t);
        let fresh = |ask: &u64| now.saturating_sub(*ask) < T;
        let votes =
            self.slaves.iter().filter_map(|s| s.vote.as_ref()).chain(&self.operator).filter(|a| fresh(a)).count();
        votes >= self.quorum.votes as usize
    }

    /// Whether an answer waits for acknowledgements.
    pub(super) fn waits(&self) -> bool {
        !self.stock && self.guard && self.quorum.acks > 0
    }

    /// What so many replicas have acknowledged.
    pub(super) fn count_acks(&mut self) {
        let mut acks: Vec<u64> = self.slaves.iter().filter(|s| !s.syncing).map(|s| s.acked).collect();
        acks.sort_unstable_by(|a, b| b.cmp(a));
        let n = (self.quorum.acks as usize).max(1);
        if let Some(acked) = acks.get(n - 1) {
            self.acked = self.acked.max(*acked);
        }
    }

    /// The process ends. What it held in memory is what it has on disk, if its data set was whole.
    pub(super) fn crash(&mut self, until: u64) {
        if let Some(saved) = self.saved.take() {
            self.disk = saved;
        }
        self.run += 1;
        self.down = until;
        self.paused = 0;
        self.loading = 0;
        self.primary = false;
        self.upstream = Follows::Nowhere;
        self.whole = true;
        self.failover = None;
        self.handing = None;
        self.term = 0;
        self.epoch = 0;
        self.guard = true;
        self.quorum = Quorum { votes: 1, acks: 0 };
        self.operator = None;
        self.acked = 0;
        self.held.clear();
        self.slaves.clear();
        self.link = LinkState::Connecting;
        self.conn = 0;
    }

    /// Stops being whatever it was; what it holds stays.
    pub(super) fn point_at(&mut self, upstream: Follows, t: u64) {
        // The first attempt comes at once.
        self.former_clients |= self.primary;
        self.primary = false;
        self.failover = None;
        self.handing = None;
        self.held.clear();
        self.slaves.clear();
        self.operator = None;
        self.upstream = upstream;
        self.link = LinkState::Connecting;
        self.link_since = t;
        self.conn = 0;
        self.tried = 0;
    }

    /// Becomes a primary with a new replication id.
    pub(super) fn rise(&mut self, epoch: u64, quorum: Quorum, replid: u32) {
        if !self.primary {
            self.disk.second = Some((self.disk.replid, self.offset() + 1));
            self.disk.replid = replid;
            self.slaves.clear();
            self.acked = 0;
            self.held.clear();
        }
        self.primary = true;
        self.former_clients = false;
        self.upstream = Follows::Nowhere;
        self.conn = 0;
        self.failover = None;
        self.handing = None;
        self.operator = None;
        for s in &mut self.slaves {
            s.vote = None;
        }
        self.epoch = epoch;
        self.guard = true;
        self.quorum = quorum;
    }

    /// Whether a replica that holds this may go on from where it is.
    pub(super) fn can_continue(&self, replid: u32, offset: u64) -> bool {
        (replid == self.disk.replid && offset <= self.offset())
            || self.disk.second.is_some_and(|(second, own)| second == replid && offset < own && offset <= self.offset())
    }

    /// Gives a dead link up.
    pub(super) fn mind_link(&mut self, t: u64) {
        let now = self.clock(t);
        if self.primary {
            return;
        }
        if self.handing.is_some_and(|until| t > until) {
            // The other side never answered the handover: it goes on as before.
            self.handing = None;
            self.primary = true;
            self.upstream = Follows::Nowhere;
            self.conn = 0;
            return;
        }
        if matches!(self.link, LinkState::Up | LinkState::Sync) && now.saturating_sub(self.heard) > LINK_TIMEOUT {
            self.lose_link(t);
        }
    }

    /// The link is gone; it is tried again at once.
    pub(super) fn lose_link(&mut self, t: u64) {
        self.link = LinkState::Connecting;
        self.link_since = t;
        self.conn = 0;
        self.tried = 0;
    }

    /// What it says of itself.
    pub(super) fn answer(&self, t: u64) -> Answer {
        let now = self.clock(t);
        let replid = |id: u32| format!("r{id}");
        Answer {
            asked_ms: 0,
            received_ms: 0,
            uid: format!("{}{}", NAMES[self.id], self.uid),
            run_id: format!("{}{}", NAMES[self.id], self.run),
            role: if self.primary { Role::Primary } else { Role::Replica },
            fence: (!self.stock).then(|| Fence {
                epoch: self.epoch,
                term: self.term,
                guard: self.guard,
                votes: self.quorum.votes,
                acks: self.quorum.acks,
                token: now,
                writable: self.accepts(t),
                acked_offset: self.acked,
                former_clients: self.former_clients,
            }),
            replid: replid(self.disk.replid),
            replid2: self.disk.second.map(|(id, _)| replid(id)),
            second_offset: self.disk.second.map(|(_, own)| own),
            offset: self.offset(),
            whole: self.whole,
            loading: self.loading > t,
            keys: self.disk.log.len().min(9) as u64,
            upstream: (!self.primary).then(|| Upstream {
                address: match self.upstream {
                    Follows::Nowhere => Address { host: Address::NOWHERE.0.to_owned(), port: Address::NOWHERE.1 },
                    Follows::Instance(i) => address(i),
                },
                link: self.link,
                since_ms: (t - self.link_since.min(t)) * MS,
            }),
            replicas: self
                .slaves
                .iter()
                .map(|s| Attached {
                    address: address(s.who),
                    online: !s.syncing,
                    ack_offset: s.acked,
                    lag_ms: now.saturating_sub(s.heard),
                })
                .collect(),
            failover_in_progress: self.failover.is_some() || self.handing.is_some(),
        }
    }
}

/// A message between two instances.
#[derive(Clone, Debug)]
pub(super) enum Repl {
    /// May I go on from here? `handing`: and you are to be primary.
    Psync { conn: u64, replid: u32, offset: u64, handing: bool },
    /// Yes.
    Continue { conn: u64, replid: u32, second: Option<(u32, u64)> },
    /// No: everything follows. The old data set goes when this begins.
    Full { conn: u64, replid: u32, disk: Rc<Disk> },
    /// Not as you wish: a handover is refused.
    Refuse { conn: u64 },
    /// The process at the other end has ended.
    Closed { conn: u64 },
    /// Everything.
    Snapshot { conn: u64, disk: Rc<Disk> },
    /// The stream from an offset, asked to be acknowledged at a time of the primary's clock.
    Stream { conn: u64, from: u64, entries: Rc<[u32]>, ask: u64 },
    /// An acknowledgement.
    Ack { conn: u64, offset: u64, ask: u64 },
}
