//! An operator as a carrier of the engine: it probes, reads, leads, decides, writes and tells.

use super::rng::Rng;
use super::server::{MS, NAMES, address};
use super::world::{API, Message, SLOTS, World, say};
use crate::decide::decide_by;
use crate::decision::ConditionKind;
use crate::memory::Memory;
use crate::observe::{Connection, Instance, Leadership, Observation, Presence};
use crate::rules::Rule;

/// Of the Lease, in ms: others take it after so long without a change; the holder counts on it for less.
const LEASE: u64 = 150;
const RENEW: u64 = 100;

pub(super) struct Operator {
    pub(super) id: usize,
    pub(super) down: u64,
    pub(super) paused: u64,
    rate: u64,
    /// Answers to what was asked before are for an earlier life of it.
    born: u64,
    pub(super) seen: Observation,
    memory: Memory,
    version: u64,
    /// Until then an own write of the record is waited for.
    busy: u64,
    waiting: [Option<u64>; SLOTS],
    lease_seen: (u64, u64),
    /// Until then it sees nothing new of the pods.
    pub(super) blind: u64,
    /// It dies in the middle of its next turn, after so many of its actions.
    pub(super) dies_after: Option<u64>,
    /// What it thought last, so that the trace says it once.
    thought: String,
}

impl Operator {
    pub(super) fn new(id: usize, r: &mut Rng) -> Self {
        let instances = (0..SLOTS)
            .map(|i| Instance {
                name: NAMES[i].to_owned(),
                ordinal: i as u32,
                address: address(i),
                presence: Presence::Unknown,
                connection: Connection::Untried,
                answer: None,
            })
            .collect();
        Self {
            id,
            down: 0,
            paused: 0,
            rate: r.pick(&[96, 100, 104]),
            born: 0,
            seen: Observation {
                now_ms: 0,
                now_rfc3339: String::new(),
                leader: None,
                record: None,
                record_seen_ms: 0,
                record_read_ms: 0,
                spec: crate::Spec::default(),
                instances,
            },
            memory: Memory::default(),
            version: 0,
            busy: 0,
            waiting: [None; SLOTS],
            lease_seen: (u64::MAX, 0),
            blind: 0,
            dies_after: None,
            thought: String::new(),
        }
    }

    /// A new life on the same machine.
    pub(super) fn restart(&mut self, t: u64, until: u64, r: &mut Rng) {
        let next = Self::new(self.id, r);
        *self = Self { rate: self.rate, down: until, ..next };
        self.born = self.clock(t);
    }

    fn clock(&self, t: u64) -> u64 {
        (t + 500 * (self.id as u64 + 1)) * MS * self.rate / 100
    }

    fn alive(&self, t: u64) -> bool {
        self.down < t && self.paused <= t
    }

    fn leads(&self, t: u64) -> bool {
        self.seen.leader.is_some_and(|l| self.clock(t) < l.until_ms)
    }
}

impl World {
    pub(super) fn run_operator(&mut self, k: usize) {
        let t = self.t;
        if !self.operators[k].alive(t) {
            return;
        }
        let now = self.operators[k].clock(t);
        let node = SLOTS + k;
        let leads = self.operators[k].leads(t);
        if self.r.chance(if leads { 600 } else { 200 }) {
            self.send(node, API, Message::LeaseRead { op: k });
        }
        if self.r.chance(if leads { 250 } else { 25 }) && self.operators[k].busy <= t {
            self.send(node, API, Message::Read { op: k, asked: now });
        }
        for i in 0..SLOTS {
            if !leads && !self.r.chance(200) || matches!(self.stored.pods[i], Presence::Gone) && !self.servers[i].exists
            {
                continue;
            }
            self.operators[k].waiting[i].get_or_insert(now);
            self.send(node, i, Message::Probe { op: k, to: i, asked: now });
        }
        if (leads || (self.operators[k].seen.leader.is_some() && !self.rules.hold(Rule::Witness)))
            && self.operators[k].busy <= t
        {
            self.think(k, now);
        }
    }

    fn think(&mut self, k: usize, now: u64) {
        let t = self.t;
        let op = &mut self.operators[k];
        if op.version == 0 {
            return;
        }
        op.seen.now_ms = now;
        for i in 0..SLOTS {
            if let Some(since_ms) = op.waiting[i]
                && now.saturating_sub(since_ms) > 2 * MS
                && !matches!(op.seen.instances[i].connection, Connection::Refused { .. })
            {
                op.seen.instances[i].connection = Connection::Silent { since_ms };
            }
        }
        let decision = decide_by(&op.seen, &op.memory, self.rules);
        op.memory = decision.memory;
        let held = decision.conditions.iter().any(|c| c.kind == ConditionKind::DatasetAtRisk && c.status == Some(true));
        self.holding_since = if held { self.holding_since.or(Some(t)) } else { None };
        if self.trace.is_some() {
            let reasons: Vec<String> =
                decision.reasons.iter().map(|r| format!("{}({})", r.code.as_str(), r.message)).collect();
            let line = reasons.join("; ");
            if self.operators[k].thought != line {
                say!(self, "  operator {k} thinks: {line}");
                self.operators[k].thought = line;
            }
        }
        if self.plan.scale {
            self.scale_to(decision.scale_to as usize);
        }
        let actions = usize::from(decision.record.is_some()) + decision.commands.len();
        let survives = if actions > 0 { self.operators[k].dies_after.take() } else { None };
        let mut left = survives.unwrap_or(u64::MAX);
        let mut may = || {
            let may = left > 0;
            left = left.saturating_sub(1);
            may
        };
        if let Some(record) = decision.record
            && may()
        {
            let version = self.operators[k].version;
            self.operators[k].busy = t + 12;
            self.send(SLOTS + k, API, Message::Write { op: k, asked: now, version, record: Box::new(record) });
        }
        for command in decision.commands {
            let Some(to) = NAMES.iter().position(|n| *n == command.instance()) else { continue };
            if !may() {
                break;
            }
            say!(self, "  operator {k} tells {command:?}");
            self.send(SLOTS + k, to, Message::Tell { to, command });
        }
        if survives.is_some_and(|n| n < actions as u64) {
            let until = t + self.r.range(1, 40);
            self.operators[k].restart(t, until, &mut self.r);
            say!(self, "operator {k} dies in the middle of its turn");
        }
    }

    /// Something came for an operator.
    pub(super) fn hear(&mut self, message: Message) {
        let t = self.t;
        let any_order = !self.rules.hold(Rule::AskOrder);
        match message {
            Message::Reply { op, from, asked, answer } => {
                let op = &mut self.operators[op];
                if !op.alive(t) || asked < op.born {
                    return;
                }
                let now = op.clock(t);
                if op.waiting[from].is_some_and(|w| w <= asked) {
                    op.waiting[from] = None;
                }
                let instance = &mut op.seen.instances[from];
                match answer {
                    Ok(mut answer) => {
                        answer.asked_ms = asked;
                        answer.received_ms = now;
                        if any_order || instance.answer.as_ref().is_none_or(|a| a.asked_ms < asked) {
                            instance.answer = Some(*answer);
                        }
                        let refused_later =
                            matches!(instance.connection, Connection::Refused { asked_ms, .. } if asked_ms >= asked);
                        if !refused_later {
                            instance.connection = Connection::Connected;
                        }
                    }
                    Err(uid) => {
                        let later = instance.answer.as_ref().is_none_or(|a| a.asked_ms < asked);
                        if later || any_order {
                            instance.connection = Connection::Refused { asked_ms: asked, uid: Some(uid) };
                        }
                    }
                }
            }
            Message::Seen { op, asked, stored, written } => {
                let op = &mut self.operators[op];
                if !op.alive(t) || asked < op.born {
                    return;
                }
                if written {
                    op.busy = 0;
                }
                if stored.version < op.version {
                    return;
                }
                let now = op.clock(t);
                op.seen.record_read_ms = op.seen.record_read_ms.max(asked);
                if stored.version > op.version {
                    let term = |r: &Option<crate::Record>| r.as_ref().map(|r| r.term);
                    if term(&op.seen.record) != term(&stored.record) {
                        op.seen.record_seen_ms = now;
                    }
                    op.seen.record = stored.record.clone();
                    op.version = stored.version;
                }
                op.seen.spec = stored.spec.clone();
                for (i, presence) in stored.pods.iter().enumerate().filter(|_| op.blind <= t) {
                    op.seen.instances[i].presence = presence.clone();
                }
            }
            Message::Conflict { op } => {
                let (now, node) = (self.operators[op].clock(t), SLOTS + op);
                self.operators[op].busy = 0;
                self.send(node, API, Message::Read { op, asked: now });
            }
            Message::LeaseSeen { op, lease } => {
                let o = &mut self.operators[op];
                if !o.alive(t) {
                    return;
                }
                let now = o.clock(t);
                if o.lease_seen.0 != lease.0 {
                    o.lease_seen = (lease.0, now);
                }
                let mine = lease.1 == Some(op);
                if mine || lease.1.is_none() || now - o.lease_seen.1 > LEASE {
                    // Its own Lease of an earlier life of this operator is taken anew.
                    let fresh = !mine || o.seen.leader.is_none();
                    self.send(SLOTS + op, API, Message::LeaseWrite { op, asked: now, version: lease.0, fresh });
                }
            }
            Message::LeaseHeld { op, asked, fresh } => {
                let o = &mut self.operators[op];
                if !o.alive(t) || asked < o.born {
                    return;
                }
                let now = o.clock(t);
                let before = o.seen.leader.filter(|l| now < l.until_ms && !fresh);
                let since_ms = before.map_or(now, |l| l.since_ms);
                let until_ms = before.map_or(0, |l| l.until_ms).max(asked + RENEW);
                o.seen.leader = Some(Leadership { since_ms, until_ms });
            }
            _ => {}
        }
    }
}
