//! The world of one history: servers, a network that loses, delays and reorders, an API server, two operators, clients.

use super::operator::Operator;
use super::rng::Rng;
use super::server::{NAMES, Server, T};
use crate::decision::Command;
use crate::observe::{Answer, Presence};
use crate::record::{Phase, Record};
use crate::rules::Rules;
use crate::spec::{Durability, Spec, StaleReplica, UnfencedTakeover};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

pub(super) const SLOTS: usize = 4;
pub(super) const API: usize = SLOTS + 2;
const NODES: usize = SLOTS + 3;

/// What a history may contain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plan {
    pub(super) instances: usize,
    pub(super) durability: Durability,
    /// Disks come back empty or old.
    pub(super) disks: bool,
    /// Planned moves are asked for.
    pub(super) moves: bool,
    /// The number of instances changes.
    pub(super) scale: bool,
    pub(super) stock: bool,
    /// Messages are late more often and for longer, and replicas rarely go on from where they were.
    pub(super) late: bool,
    pub(super) stale: StaleReplica,
    pub(super) persistent: bool,
}

/// What happens in a history that is not left to chance.
pub(super) type Script = fn(&mut World);

/// What the API server holds.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) version: u64,
    pub(super) record: Option<Record>,
    pub(super) pods: [Presence; SLOTS],
    pub(super) spec: Spec,
}

pub(super) enum Message {
    Repl { from: usize, to: usize, what: super::server::Repl },
    Probe { op: usize, to: usize, asked: u64 },
    Reply { op: usize, from: usize, asked: u64, answer: Result<Box<Answer>, String> },
    Tell { to: usize, command: Command },
    Read { op: usize, asked: u64 },
    Write { op: usize, asked: u64, version: u64, record: Box<Record> },
    Seen { op: usize, asked: u64, stored: Rc<Stored>, written: bool },
    Conflict { op: usize },
    LeaseRead { op: usize },
    LeaseSeen { op: usize, lease: (u64, Option<usize>) },
    LeaseWrite { op: usize, asked: u64, version: u64, fresh: bool },
    LeaseHeld { op: usize, asked: u64, fresh: bool },
    Pod { which: usize, presence: Presence },
}

struct Due {
    at: u64,
    order: u64,
    from: usize,
    to: usize,
    message: Message,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
impl Due {
    fn key(&self) -> Reverse<(u64, u64)> {
        Reverse((self.at, self.order))
    }
}

/// A write that a client sent.
#[derive(Clone, Copy, Default)]
pub(super) struct Write {
    pub(super) answered: bool,
    /// Lost by what no rule could prevent: the last place that held it was destroyed, or `Async` gave it up.
    pub(super) excused: bool,
    /// The failover that was recorded to have cost something, or not to be known to have cost nothing, when it was lost.
    pub(super) told: Option<u64>,
}

pub(super) struct World {
    pub(super) r: Rng,
    pub(super) t: u64,
    pub(super) plan: Plan,
    pub(super) rules: Rules,
    pub(super) servers: Vec<Server>,
    /// Processes of pods that were deleted by force, on a node that nobody reaches, and until when.
    pub(super) ghosts: Vec<(Server, u64)>,
    pub(super) operators: Vec<Operator>,
    pub(super) stored: Rc<Stored>,
    pub(super) lease: (u64, Option<usize>),
    pub(super) writes: Vec<Write>,
    pub(super) bad: Option<String>,
    pub(super) trace: Option<Vec<String>>,
    pub(super) calm_from: u64,
    pub(super) takeovers: u64,
    pub(super) moves: u64,
    pub(super) writable: u64,
    pub(super) accepting: Option<(usize, u32, u64)>,
    pub(super) ids: u64,
    pub(super) holding_since: Option<u64>,
    /// Instead of random faults.
    pub(super) script: Option<Script>,
    /// Orders to that server arrive then.
    pub(super) kept_back: Option<(usize, u64)>,
    queue: BinaryHeap<Due>,
    order: u64,
    pub(super) slow: u64,
    cut: [[u64; NODES]; NODES],
    last: [[u64; SLOTS]; SLOTS],
}

/// Writes a line of the trace, if one is kept.
macro_rules! say {
    ($w:expr, $($x:tt)*) => {
        if $w.trace.is_some() {
            let line = format!("{:4} {}", $w.t, format!($($x)*));
            if let Some(trace) = &mut $w.trace { trace.push(line); }
        }
    };
}
pub(super) use say;

impl World {
    pub(super) fn new(seed: u64, plan: Plan, rules: Rules, trace: bool) -> Self {
        let mut r = Rng::new(seed);
        let mut servers: Vec<Server> = (0..SLOTS).map(|i| Server::new(i, &mut r)).collect();
        let mut pods: [Presence; SLOTS] = std::array::from_fn(|_| Presence::Gone);
        for (i, s) in servers.iter_mut().enumerate() {
            s.exists = i < plan.instances;
            s.stock = plan.stock;
            if s.exists {
                pods[i] = Presence::Running { uid: format!("{}1", NAMES[i]) };
            }
        }
        let spec = Spec {
            instances: plan.instances as u32,
            durability: plan.durability,
            detection_timeout_ms: 50,
            quorum_timeout_ms: T,
            max_lag_ms: 100,
            lineage_refresh_ms: 200,
            lead_ms: 4,
            move_timeout_ms: 300,
            stale_replica: plan.stale,
            unfenced_takeover: UnfencedTakeover::OnDeath,
            persistent: plan.persistent,
            complete_log: !plan.disks,
            ..Spec::default()
        };
        let slow = if plan.late { r.pick(&[40, 90]) } else { r.pick(&[2, 4, 12, 40]) };
        let calm_from = r.range(100, 250);
        Self {
            t: 0,
            plan,
            rules,
            servers,
            ghosts: Vec::new(),
            operators: (0..2).map(|k| Operator::new(k, &mut r)).collect(),
            stored: Rc::new(Stored { version: 1, record: None, pods, spec }),
            lease: (0, None),
            writes: Vec::new(),
            bad: None,
            trace: trace.then(Vec::new),
            calm_from,
            takeovers: 0,
            moves: 0,
            writable: 0,
            accepting: None,
            ids: 1_000_000,
            holding_since: None,
            script: None,
            kept_back: None,
            queue: BinaryHeap::new(),
            order: 0,
            slow,
            cut: [[0; NODES]; NODES],
            last: [[0; SLOTS]; SLOTS],
            r,
        }
    }

    pub(super) fn fresh_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn calm(&self) -> bool {
        self.t >= self.calm_from
    }

    fn linked(&self, from: usize, to: usize) -> bool {
        self.cut[from][to] <= self.t
    }

    pub(super) fn cut(&mut self, from: usize, to: usize, until: u64) {
        self.cut[from][to] = until;
    }

    /// Sends a message: lost if the link is down now or when it would arrive.
    pub(super) fn send(&mut self, from: usize, to: usize, message: Message) {
        if !self.linked(from, to) {
            return;
        }
        let slow = if self.calm() { 3 } else { self.slow };
        let prompt = if self.plan.late && !self.calm() { 880 } else { 750 };
        let delay = if self.r.chance(prompt) { 1 } else { self.r.range(1, slow) };
        // Nothing protects a stock server from an order that comes late; it is not tried here.
        let stock = self.plan.stock && matches!(message, Message::Tell { .. });
        if stock && self.servers[to].paused > self.t {
            return;
        }
        let mut at = self.t + if stock { 1 } else { delay };
        if let (Message::Tell { .. }, Some((server, until))) = (&message, self.kept_back)
            && server == to
        {
            at = at.max(until);
        }
        if matches!(message, Message::Repl { .. }) {
            // One TCP connection: in order.
            at = at.max(self.last[from][to]);
            self.last[from][to] = at;
        }
        self.push(at, from, to, message);
    }

    pub(super) fn push(&mut self, at: u64, from: usize, to: usize, message: Message) {
        self.order += 1;
        self.queue.push(Due { at, order: self.order, from, to, message });
    }

    /// One tick. `false`: the history is over.
    pub(super) fn step(&mut self) -> bool {
        self.t += 1;
        match self.script {
            Some(script) => script(self),
            None if !self.calm() => self.faults(),
            None => {}
        }
        while let Some(due) = self.queue.peek()
            && due.at <= self.t
        {
            let Some(due) = self.queue.pop() else { break };
            let wakes = match due.to {
                to if to < SLOTS => self.servers[to].paused,
                API => 0,
                to => self.operators[to - SLOTS].paused,
            };
            if wakes > self.t {
                self.push(wakes + 1, due.from, due.to, due.message);
            } else if self.linked(due.from, due.to) {
                self.deliver(due.from, due.message);
            }
        }
        for i in 0..SLOTS {
            self.run_server(i);
        }
        for k in 0..2 {
            self.run_operator(k);
        }
        self.run_ghosts();
        self.check();
        self.bad.is_none()
    }

    fn deliver(&mut self, from: usize, message: Message) {
        match message {
            Message::Repl { from, to, what } => self.replicate(from, to, what),
            Message::Probe { op, to, asked } => {
                let s = &self.servers[to];
                if s.up(self.t) {
                    let answer = Ok(Box::new(s.answer(self.t)));
                    self.send(to, SLOTS + op, Message::Reply { op, from: to, asked, answer });
                } else if s.exists {
                    let answer = Err(format!("{}{}", NAMES[to], s.uid));
                    self.send(to, SLOTS + op, Message::Reply { op, from: to, asked, answer });
                }
            }
            Message::Tell { to, command } => self.obey(to, command),
            Message::Read { op, asked } => {
                let stored = Rc::clone(&self.stored);
                self.send(API, from, Message::Seen { op, asked, stored, written: false });
            }
            Message::Write { op, asked, version, record } => self.store(op, asked, version, *record),
            Message::LeaseRead { op } => {
                let lease = self.lease;
                self.send(API, from, Message::LeaseSeen { op, lease });
            }
            Message::LeaseWrite { op, asked, version, fresh } => {
                if self.lease.0 == version {
                    self.lease = (version + 1, Some(op));
                    self.send(API, from, Message::LeaseHeld { op, asked, fresh });
                }
            }
            Message::Pod { which, presence } => Rc::make_mut(&mut self.stored).pods[which] = presence,
            Message::Reply { .. }
            | Message::Seen { .. }
            | Message::Conflict { .. }
            | Message::LeaseSeen { .. }
            | Message::LeaseHeld { .. } => self.hear(message),
        }
    }

    fn store(&mut self, op: usize, asked: u64, version: u64, record: Record) {
        if self.stored.version != version {
            self.send(API, SLOTS + op, Message::Conflict { op });
            return;
        }
        let before = self.stored.record.as_ref();
        if record.phase == Phase::Stable
            && before.is_some_and(|b| b.epoch == record.epoch && b.phase == Phase::Takeover)
        {
            self.takeovers += 1;
        }
        if record.phase == Phase::Moving {
            self.moves += 1;
        }
        say!(
            self,
            "record by {op}: term {} epoch {} {:?} primary {} target {} successors {:?} members {:?} guard {:?} lineage {:?} why {:?}",
            record.term,
            record.epoch,
            record.phase,
            record.primary.as_ref().map_or("-", |p| &p.run_id),
            record.target.as_ref().map_or("-", |p| &p.run_id),
            record.successors.iter().map(|s| s.run_id.as_str()).collect::<Vec<_>>(),
            record.members,
            record.guard.map(|g| (g.votes, g.acks)),
            record.lineage.as_ref().map(|l| (l.replid.as_str(), l.offset)),
            record.why
        );
        if record.guard.is_none() && record.phase.serves() {
            // Its guard may be off from here on: a forced deletion is then the word of a person that it is dead.
            let name = record.primary.as_ref().map_or("", |p| p.run_id.as_str()).to_owned();
            self.ghosts.retain(|(g, _)| format!("{}{}", NAMES[g.id], g.run) != name);
        }
        self.count_cost(&record);
        let stored = Rc::make_mut(&mut self.stored);
        stored.version += 1;
        stored.record = Some(record);
        let stored = Rc::clone(&self.stored);
        self.send(API, SLOTS + op, Message::Seen { op, asked, stored, written: true });
    }
}
