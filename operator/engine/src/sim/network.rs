//! What servers do with each other's messages and with the operators' commands.

use super::server::{Follows, NAMES, Repl, Server, Slave};
use super::world::{Message, SLOTS, World, say};
use crate::decision::Command;
use crate::observe::LinkState;
use crate::record::Quorum;
use crate::rules::Rule;
use std::rc::Rc;

impl World {
    /// One tick of a server: clients, links, the stream.
    pub(super) fn run_server(&mut self, i: usize) {
        let t = self.t;
        if !self.servers[i].runs(t) {
            return;
        }
        if self.servers[i].loading > t {
            return;
        }
        if self.servers[i].accepts(t) && self.r.chance(400) {
            self.write(i);
        }
        self.servers[i].mind_link(t);
        self.hand_over(i);
        let Follows::Instance(up) = self.servers[i].upstream else {
            self.stream(i);
            return;
        };
        if self.servers[i].link == LinkState::Connecting && t >= self.servers[i].tried + 12 {
            let conn = self.fresh_id();
            let s = &mut self.servers[i];
            s.tried = t;
            s.conn = conn;
            s.heard = s.clock(t);
            let what = Repl::Psync {
                conn,
                replid: if s.whole { s.disk.replid } else { 0 },
                offset: s.offset(),
                handing: s.handing.is_some(),
            };
            self.send(i, up, Message::Repl { from: i, to: up, what });
        }
        self.stream(i);
    }

    /// Sends what is new, and asks for an acknowledgement.
    fn stream(&mut self, i: usize) {
        let t = self.t;
        let s = &self.servers[i];
        if s.slaves.is_empty() || (!s.primary && s.link != LinkState::Up) {
            return;
        }
        let (now, end) = (s.clock(t), s.offset());
        let mut out = Vec::new();
        for slave in s.slaves.iter().filter(|s| !s.syncing) {
            if slave.acked < end || t.is_multiple_of(2) {
                let from = slave.acked.min(end);
                let entries: Rc<[u32]> = s.disk.log[from as usize..].into();
                out.push((slave.who, Repl::Stream { conn: slave.conn, from, entries, ask: now }));
            }
        }
        for (to, what) in out {
            self.send(i, to, Message::Repl { from: i, to, what });
        }
        let s = &mut self.servers[i];
        s.slaves.retain(|s| now.saturating_sub(s.heard) < 600);
    }

    /// What the kernel of a process that ends tells its replicas.
    pub(super) fn hang_up(&mut self, i: usize) {
        for slave in std::mem::take(&mut self.servers[i].slaves) {
            let what = Repl::Closed { conn: slave.conn };
            self.send(i, slave.who, Message::Repl { from: i, to: slave.who, what });
        }
    }

    /// A failover under way goes on when the target holds everything.
    fn hand_over(&mut self, i: usize) {
        let t = self.t;
        let patience = self.r.range(3, 20);
        let s = &mut self.servers[i];
        let Some((to, until)) = s.failover else { return };
        let end = s.offset();
        if s.slaves.iter().any(|r| r.who == to && !r.syncing && r.acked == end) {
            let (slaves, operator) = (std::mem::take(&mut s.slaves), s.operator);
            s.point_at(Follows::Instance(to), t);
            (s.slaves, s.operator) = (slaves, operator);
            // A stock server retries for ever; ours may be cut off and go on.
            s.handing = Some(if s.stock { u64::MAX } else { t + patience });
            say!(self, "{} hands over to {}", NAMES[i], NAMES[to]);
        } else if t > until {
            s.failover = None;
        }
    }

    /// What is left of a pod that was deleted by force still streams to the replicas that were attached to it.
    pub(super) fn run_ghosts(&mut self) {
        let t = self.t;
        self.ghosts.retain(|(_, end)| *end > t);
        for (ghost, _) in &mut self.ghosts {
            let now = ghost.clock(t);
            for slave in &mut ghost.slaves {
                let s = &mut self.servers[slave.who];
                if s.runs(t) && s.conn == slave.conn && s.link == LinkState::Up {
                    s.heard = s.clock(t);
                    slave.vote = Some(now);
                }
            }
        }
    }

    pub(super) fn replicate(&mut self, from: usize, to: usize, what: Repl) {
        let t = self.t;
        if !self.servers[to].runs(t) || self.servers[to].loading > t {
            return;
        }
        match what {
            Repl::Psync { conn, replid, offset, handing } => self.psync(from, to, conn, replid, offset, handing),
            Repl::Continue { conn, replid, second } => {
                let s = &mut self.servers[to];
                if s.conn == conn && !s.primary {
                    s.handing = None;
                    if s.disk.replid != replid {
                        s.disk.replid = replid;
                        s.disk.second = second;
                        s.slaves.clear();
                    }
                    s.link = LinkState::Up;
                    s.link_since = t;
                    s.heard = s.clock(t);
                }
            }
            Repl::Refuse { conn } => {
                let s = &mut self.servers[to];
                if s.conn == conn && s.handing.take().is_some() {
                    s.primary = true;
                    s.former_clients = false;
                    s.upstream = Follows::Nowhere;
                    s.conn = 0;
                }
            }
            Repl::Closed { conn } => {
                let s = &mut self.servers[to];
                if s.conn == conn && matches!(s.link, LinkState::Up | LinkState::Sync) {
                    s.lose_link(t);
                }
            }
            Repl::Full { conn, replid, disk } => {
                let s = &self.servers[to];
                if s.conn == conn && !s.primary {
                    self.overwrite(to, from, &disk);
                    let s = &mut self.servers[to];
                    s.handing = None;
                    if s.saved.is_none() && s.whole {
                        s.saved = Some(s.disk.clone());
                    }
                    s.disk.log.clear();
                    s.disk.replid = replid;
                    s.disk.second = None;
                    s.whole = false;
                    s.slaves.clear();
                    s.link = LinkState::Sync;
                    s.link_since = t;
                    s.heard = s.clock(t);
                }
            }
            Repl::Snapshot { conn, disk } => {
                let s = &mut self.servers[to];
                if s.conn == conn && s.link == LinkState::Sync {
                    s.disk = (*disk).clone();
                    s.saved = None;
                    s.whole = true;
                    s.link = LinkState::Up;
                    s.link_since = t;
                    s.heard = s.clock(t);
                    let offset = s.offset();
                    let (from, to) = (to, from);
                    self.send(from, to, Message::Repl { from, to, what: Repl::Ack { conn, offset, ask: 0 } });
                }
            }
            Repl::Stream { conn, from: start, entries, ask } => {
                let s = &mut self.servers[to];
                if s.conn != conn || s.link != LinkState::Up || start > s.offset() {
                    return;
                }
                s.heard = s.clock(t);
                let have = (s.offset() - start) as usize;
                if have < entries.len() {
                    s.disk.log.extend_from_slice(&entries[have..]);
                }
                let offset = s.offset();
                let (from, to) = (to, from);
                self.send(from, to, Message::Repl { from, to, what: Repl::Ack { conn, offset, ask } });
            }
            Repl::Ack { conn, offset, ask } => self.acknowledged(from, to, conn, offset, ask),
        }
    }

    fn psync(&mut self, from: usize, to: usize, conn: u64, replid: u32, offset: u64, handing: bool) {
        let t = self.t;
        let unlucky = self.r.chance(if self.plan.late { 600 } else { 150 });
        let new_id = self.fresh_id() as u32;
        let s = &mut self.servers[to];
        if handing {
            // A primary asks this replica to take over. It is closed until the operator says otherwise.
            let mine = s.upstream == Follows::Instance(from)
                && !s.primary
                && s.whole
                && s.offset() == offset
                && s.disk.replid == replid;
            if mine {
                let closed = Quorum { votes: u32::MAX, acks: 1 };
                let epoch = s.epoch;
                s.rise(epoch, closed, new_id);
                say!(self, "{} takes over at {}'s word", NAMES[to], NAMES[from]);
            }
        }
        let s = &mut self.servers[to];
        if handing && !s.primary && s.loading <= t {
            let (from, to) = (to, from);
            self.send(from, to, Message::Repl { from, to, what: Repl::Refuse { conn } });
            return;
        }
        if !s.primary && s.link != LinkState::Up {
            return;
        }
        if s.loading > t || !s.whole {
            return;
        }
        let now = s.clock(t);
        let goes_on = s.can_continue(replid, offset) && (!unlucky || handing);
        s.slaves.retain(|x| x.who != from);
        s.slaves.push(Slave {
            who: from,
            conn,
            acked: if goes_on { offset } else { 0 },
            heard: now,
            syncing: !goes_on,
            vote: None,
        });
        let (replid, second, disk) = (s.disk.replid, s.disk.second, Rc::new(s.disk.clone()));
        let (from, to) = (to, from);
        if goes_on {
            self.send(from, to, Message::Repl { from, to, what: Repl::Continue { conn, replid, second } });
        } else {
            say!(self, "{} gives {} a full sync of {} entries", NAMES[from], NAMES[to], disk.log.len());
            self.send(from, to, Message::Repl { from, to, what: Repl::Full { conn, replid, disk: Rc::clone(&disk) } });
            let later = t + self.r.range(2, 12);
            self.push(later, from, to, Message::Repl { from, to, what: Repl::Snapshot { conn, disk } });
        }
    }

    fn acknowledged(&mut self, from: usize, to: usize, conn: u64, offset: u64, ask: u64) {
        let t = self.t;
        let late = !self.rules.hold(Rule::AskTime);
        let s = &mut self.servers[to];
        let now = s.clock(t);
        let Some(slave) = s.slaves.iter_mut().find(|x| x.who == from && x.conn == conn) else { return };
        slave.heard = now;
        if slave.syncing {
            slave.syncing = false;
        }
        slave.acked = slave.acked.max(offset);
        if ask > 0 {
            slave.vote = slave.vote.max(Some(if late { now } else { ask }));
        }
        s.count_acks();
        if s.primary {
            self.release(to);
        }
    }

    /// A command of an operator arrives.
    pub(super) fn obey(&mut self, to: usize, command: Command) {
        let t = self.t;
        let new_id = self.fresh_id() as u32;
        let rules = self.rules;
        let s = &mut self.servers[to];
        if !s.up(t) {
            return;
        }
        let ours = command.run_id().strip_prefix(NAMES[to]).and_then(|r| r.parse().ok()) == Some(s.run);
        if (!ours && rules.hold(Rule::RunId)) || s.loading > t {
            return;
        }
        let term = match &command {
            Command::Promote { term, .. }
            | Command::Follow { term, .. }
            | Command::Detach { term, .. }
            | Command::Guard { term, .. }
            | Command::Hold { term, .. }
            | Command::Dismiss { term, .. } => Some(*term),
            _ => None,
        };
        if let Some(term) = term.filter(|_| !s.stock) {
            if term < s.term && rules.hold(Rule::Terms) {
                return;
            }
            s.term = s.term.max(term);
        }
        match command {
            Command::Promote { epoch, quorum, .. } => {
                if (s.whole || !rules.hold(Rule::Whole)) && !(s.primary && s.epoch >= epoch && !s.stock) {
                    s.rise(epoch, quorum, new_id);
                    say!(self, "{} is primary of {epoch}", NAMES[to]);
                }
            }
            Command::Follow { primary, .. } => {
                let up = NAMES.iter().position(|n| *n == primary);
                if let Some(up) = up
                    && (s.primary || s.upstream != Follows::Instance(up))
                {
                    s.point_at(Follows::Instance(up), t);
                    say!(self, "{} follows {primary}", NAMES[to]);
                }
            }
            Command::Detach { .. } => {
                if s.primary || s.upstream != Follows::Nowhere {
                    s.point_at(Follows::Nowhere, t);
                    say!(self, "{} is detached", NAMES[to]);
                }
            }
            Command::Guard { quorum, .. } => {
                if s.primary && !s.stock {
                    s.guard = quorum.is_some();
                    if let Some(q) = quorum {
                        s.quorum = q;
                    }
                    say!(self, "guard of {} is {quorum:?}", NAMES[to]);
                    self.release(to);
                }
            }
            Command::Vote { epoch, token, .. } => {
                if s.primary && s.epoch == epoch && !s.stock {
                    let at = if rules.hold(Rule::AskTime) { token } else { s.clock(t) };
                    s.operator = s.operator.max(Some(at));
                }
            }
            Command::Failover { to: target, .. } => {
                let target = NAMES.iter().position(|n| *n == target);
                if let (Some(target), true, None) = (target, s.primary, s.failover) {
                    s.failover = Some((target, t + 15));
                }
            }
            Command::AbortFailover { .. } => {
                s.failover = None;
                if s.handing.take().is_some() {
                    s.primary = true;
                    s.former_clients = false;
                    s.upstream = Follows::Nowhere;
                    s.conn = 0;
                }
            }
            // Clients come anew for each write here, and try on.
            Command::Hold { .. } => {}
            Command::Dismiss { .. } => s.former_clients &= s.primary,
        }
    }

    /// Whether a node is a server that may be asked at all.
    pub(super) fn present(&self, i: usize) -> bool {
        i < SLOTS && self.servers[i].exists
    }

    /// Everything that a server holds, in memory or on disk.
    pub(super) fn holds(s: &Server, write: u32) -> bool {
        s.disk.log.contains(&write) || s.saved.as_ref().is_some_and(|d| d.log.contains(&write))
    }
}
