//! The lease of a primary: without fresh votes of the others it accepts no writes.
//!
//! A vote counts from when it was asked for. A replica's is its acknowledgement of an offset that had been written at a
//! known time; the operator's is the echo of a token, which is the time at which we gave it. All times are
//! CLOCK_BOOTTIME, which goes on while the machine sleeps: the lease is looked at before each write executes, so also
//! first thing after a pause.

use std::collections::{BTreeMap, VecDeque};

use crate::client::ClientId;
use crate::commands::CommandError;
use crate::server::Server;
use crate::sys::boottime_ms;

/// Who votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Voter {
    Operator,
    Replica(ClientId),
}

/// What a primary must have before it accepts, and before it answers, a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Fresh votes of others to accept writes.
    pub votes: usize,
    /// Replicas that must hold a write before it is answered.
    pub acks: usize,
    /// The offset held when the guard was put on: what is below may have been answered without the others.
    pub since_offset: u64,
}

/// The state of the lease.
#[derive(Debug)]
pub struct Quorum {
    /// The highest term seen: the number of the operator's record that a command followed from.
    pub term: u64,
    /// The epoch that this instance is, or was, primary of.
    pub epoch: u64,
    /// The guard; `None`: it was lifted, nobody could take over.
    pub guard: Option<Guard>,
    /// Whether the data set is complete: no full sync is under way or was broken off.
    pub whole: bool,
    votes: BTreeMap<Voter, u64>,
    /// Offsets and the times at which they had been written.
    written: VecDeque<(u64, u64)>,
    holding: bool,
    ack_wanted: bool,
    next_ask: u64,
}

/// More votes and replicas than anybody has: no write is accepted.
pub const CLOSED: usize = 1_000_000;

/// How often votes are asked for while there are too few: whoever has just been made primary waits for its first ones, and clients with it.
const WITHOUT_QUORUM_MS: u64 = 50;

/// Samples of written offsets that are kept.
const SAMPLES: usize = 64;

impl Default for Quorum {
    fn default() -> Self {
        Quorum {
            term: 0,
            epoch: 0,
            // Safe until somebody says otherwise: a primary with a lease needs one vote besides its own.
            guard: Some(Guard { votes: 1, acks: 0, since_offset: 0 }),
            whole: true,
            votes: BTreeMap::new(),
            written: VecDeque::new(),
            holding: false,
            ack_wanted: false,
            next_ask: 0,
        }
    }
}

impl Quorum {
    /// Whether a write may execute now.
    ///
    /// # Errors
    /// `-NOQUORUM` while the lease has run out.
    pub fn check(&self, server: &Server) -> Result<(), CommandError> {
        let timeout = server.config.primary_quorum_timeout;
        if !server.is_primary() || self.has_quorum(timeout) {
            return Ok(());
        }
        Err(CommandError::fixed(
            "NOQUORUM This primary has no fresh votes of a majority, another may have taken over. Writes are refused.",
        ))
    }

    /// Whether enough votes were asked for within the last `timeout` ms; 0: none are needed.
    pub fn has_quorum(&self, timeout: u64) -> bool {
        let Some(guard) = self.guard else { return true };
        if timeout == 0 || guard.votes == 0 {
            return true;
        }
        let now = boottime_ms();
        self.votes.values().filter(|asked| now.saturating_sub(**asked) < timeout).count() >= guard.votes
    }

    /// Takes note that the stream had reached `offset` by now.
    pub fn note_written(&mut self, offset: u64) {
        if self.guard.is_none() {
            return;
        }
        let now = boottime_ms();
        match self.written.back_mut() {
            // Within a millisecond the earlier time is the honest one for the earlier offset: keep it.
            Some(last) if last.1 == now => {}
            _ => self.written.push_back((offset, now)),
        }
        if self.written.len() > SAMPLES {
            // Thin out the older half: a vote then counts from a little earlier, which is safe.
            let mut keep = false;
            self.written.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// A replica acknowledged `offset`: it lived when that had been written.
    pub fn replica_voted(&mut self, id: ClientId, offset: u64) {
        let asked = self.written.iter().rev().find(|(written, _)| *written <= offset).map(|(_, at)| *at);
        if let Some(asked) = asked {
            let vote = self.votes.entry(Voter::Replica(id)).or_insert(0);
            *vote = (*vote).max(asked);
        }
    }

    /// The operator echoes a token that it was given.
    pub fn operator_voted(&mut self, token: u64) {
        // A token from the future was never given.
        if token <= boottime_ms() {
            let vote = self.votes.entry(Voter::Operator).or_insert(0);
            *vote = (*vote).max(token);
        }
    }

    /// Has votes asked for in this turn.
    pub fn ask_at_once(&mut self) {
        self.next_ask = 0;
    }

    /// Forgets all votes: they were for another epoch.
    pub fn clear_votes(&mut self) {
        self.votes.clear();
        self.written.clear();
    }

    /// Whether some client's reply is held back.
    pub fn holds_replies(&self) -> bool {
        self.holding
    }

    /// See [`holds_replies`](Self::holds_replies).
    pub fn set_holding(&mut self, holding: bool) {
        self.holding = holding;
    }

    /// The primary asked for our offset: it is sent when the request itself has been counted.
    pub fn want_ack(&mut self) {
        self.ack_wanted = true;
    }

    /// Takes the wish of [`want_ack`](Self::want_ack).
    pub fn take_ack_wanted(&mut self) -> bool {
        std::mem::take(&mut self.ack_wanted)
    }
}

impl Server {
    /// A primary handed over to this instance. Where an operator decides, its word is waited for: the move may yet be called off, and what was
    /// answered here in the meantime would be lost.
    pub fn close_until_told(&mut self) {
        let offset = self.repl.offset();
        let q = &mut self.repl.quorum;
        if q.term > 0 {
            q.clear_votes();
            q.guard = Some(Guard { votes: CLOSED, acks: CLOSED, since_offset: offset });
            self.hold_writes();
        }
    }

    /// Replicas that must hold a write before it is answered.
    pub fn acks_needed(&self) -> usize {
        let guard = self.repl.quorum.guard.filter(|_| self.config.primary_quorum_timeout > 0).map_or(0, |g| g.acks);
        guard.max(self.config.min_replicas_to_ack as usize)
    }

    /// Asks replicas for their votes, often enough that the lease does not run out by itself.
    pub fn renew_votes(&mut self) {
        let timeout = self.config.primary_quorum_timeout;
        if !self.needs_votes() {
            return;
        }
        let now = boottime_ms();
        if now >= self.repl.quorum.next_ask {
            let pause =
                if self.repl.quorum.has_quorum(timeout) { timeout / 5 } else { (timeout / 5).min(WITHOUT_QUORUM_MS) };
            self.repl.quorum.next_ask = now + pause.max(10);
            let known: Vec<ClientId> = self.repl.replicas.clone();
            self.repl.quorum.votes.retain(|voter, _| match voter {
                Voter::Operator => true,
                Voter::Replica(id) => known.contains(id),
            });
            if !known.is_empty() {
                self.feed_getack();
            }
        }
    }

    /// Whether this is a primary that may write only with others' votes.
    fn needs_votes(&self) -> bool {
        let voted = self.repl.quorum.guard.is_some_and(|g| g.votes > 0);
        voted && self.config.primary_quorum_timeout > 0 && self.is_primary()
    }

    /// When [`renew_votes`](Self::renew_votes) is due, in ms from now.
    pub fn votes_due_in(&self) -> Option<u64> {
        self.needs_votes().then(|| self.repl.quorum.next_ask.saturating_sub(boottime_ms()))
    }
}
