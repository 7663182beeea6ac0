//! Pauses: CLIENT PAUSE, a planned failover, a shutdown that waits for replicas, a move of the primary that the operator has begun.

use super::Server;
use crate::client::{Client, ClientFlags};
use crate::commands::Flags;

/// What a pause stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Commands that may change data.
    Writes,
    /// All commands.
    All,
}

/// Who asked for a pause. Each has at most one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// CLIENT PAUSE.
    Client = 0,
    /// FAILOVER.
    Failover = 1,
    /// SHUTDOWN.
    Shutdown = 2,
    /// The operator moves the primary, and this instance is not the one that accepts writes: not yet, or not any more. It stops clients
    /// only: what a replica still misses must reach it.
    Move = 3,
}

/// The pauses that are on.
#[derive(Debug, Default)]
pub struct Pauses([Option<(Scope, i64)>; 4]);

impl Pauses {
    /// The widest scope in force at `now_ms` for all that comes, also from a primary.
    pub fn scope(&self, now_ms: i64) -> Option<Scope> {
        [Reason::Client, Reason::Failover, Reason::Shutdown]
            .into_iter()
            .filter_map(|reason| self.of(reason, now_ms))
            .max()
    }

    /// The widest scope in force at `now_ms` for what clients send.
    fn scope_for_clients(&self, now_ms: i64) -> Option<Scope> {
        self.scope(now_ms).max(self.of(Reason::Move, now_ms))
    }

    fn of(&self, reason: Reason, now_ms: i64) -> Option<Scope> {
        self.get(reason).filter(|(_, end)| *end > now_ms).map(|(scope, _)| scope)
    }

    /// The pause that somebody asked for: what it stops, and the Unix time in ms of its end.
    pub fn get(&self, reason: Reason) -> Option<(Scope, i64)> {
        self.0[reason as usize]
    }

    /// The time at which the next pause ends, in Unix ms.
    pub fn next_end(&self) -> Option<i64> {
        self.0.iter().flatten().map(|(_, end)| *end).min()
    }
}

impl Server {
    /// Whether a client's command with these flags must wait. Who is sent away because of a move hears so at once.
    pub fn is_paused(&self, client: &Client, flags: Flags) -> bool {
        if client.flags.contains(ClientFlags::LEAVING) {
            return self.is_stream_paused(flags);
        }
        stops(self.pauses.scope_for_clients(self.keyspace.now_ms()), flags)
    }

    /// Whether a command with these flags must wait that our primary sent.
    pub fn is_stream_paused(&self, flags: Flags) -> bool {
        stops(self.pauses.scope(self.keyspace.now_ms()), flags)
    }

    /// Whether writes are paused: then nothing expires or is evicted either.
    pub fn writes_paused(&self) -> bool {
        self.pauses.scope(self.keyspace.now_ms()).is_some()
    }

    /// Starts or changes a pause, until the Unix time `end_ms`.
    pub fn pause(&mut self, reason: Reason, scope: Scope, end_ms: i64) {
        self.pauses.0[reason as usize] = Some((scope, end_ms));
        self.update_expiry_rule();
    }

    /// Ends a pause.
    pub fn unpause(&mut self, reason: Reason) {
        self.pauses.0[reason as usize] = None;
        self.resume_postponed();
    }

    /// Ends the pauses whose time is over.
    pub fn end_due_pauses(&mut self) {
        let now = self.keyspace.now_ms();
        let mut ended = false;
        for pause in &mut self.pauses.0 {
            if pause.is_some_and(|(_, end)| end <= now) {
                *pause = None;
                ended = true;
            }
        }
        if ended {
            self.resume_postponed();
        }
    }

    /// Takes up the input of clients that a pause held up.
    fn resume_postponed(&mut self) {
        if self.pauses.scope(self.keyspace.now_ms()).is_some() {
            return;
        }
        self.update_expiry_rule();
        let mut waiting = Vec::new();
        for client in self.clients.iter_mut() {
            if client.flags.contains(ClientFlags::POSTPONED) {
                client.flags -= ClientFlags::POSTPONED;
                client.flags |= ClientFlags::INPUT_QUEUED;
                waiting.push(client.slot);
            }
        }
        self.clients.to_read.append(&mut waiting);
    }
}

fn stops(scope: Option<Scope>, flags: Flags) -> bool {
    match scope {
        None => false,
        Some(Scope::All) => !flags.contains(Flags::NO_AUTH | Flags::LOADING | Flags::STALE | Flags::FAST),
        Some(Scope::Writes) => flags.intersects(Flags::WRITE | Flags::MAY_REPLICATE),
    }
}
