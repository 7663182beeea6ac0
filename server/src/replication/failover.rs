//! FAILOVER: a planned change of roles that loses nothing.
//!
//! Writes pause; when the target has acknowledged everything, we ask it to take over by a PSYNC that says so, and follow
//! it. The target's answer is the end: it is primary then, and we its replica by a partial sync.

use super::primary::ReplicaPhase;
use crate::client::ClientId;
use crate::commands::CommandError;
use crate::log_notice;
use crate::server::Server;
use crate::server::pause::{Reason, Scope};

/// A failover under way.
#[derive(Clone, Debug)]
pub struct Failover {
    /// Where to; `None`: to whichever replica is ready first.
    pub target: Option<(String, u16)>,
    /// When the deadline passes, fail over even to a target that is behind.
    pub force: bool,
    /// Unix time in ms at which it is given up (or forced).
    pub deadline: Option<i64>,
    /// The target was asked to take over.
    pub in_progress: bool,
}

impl Server {
    /// The state's name in INFO.
    pub fn failover_state(&self) -> &'static str {
        match &self.repl.failover {
            None => "no-failover",
            Some(f) if f.in_progress => "failover-in-progress",
            Some(_) => "waiting-for-sync",
        }
    }

    /// Starts a failover.
    ///
    /// # Errors
    /// Valkey's reasons why it can't start.
    pub fn start_failover(
        &mut self,
        target: Option<(String, u16)>,
        force: bool,
        timeout_ms: Option<i64>,
    ) -> Result<(), CommandError> {
        if self.repl.failover.is_some() {
            return Err(CommandError::fixed("ERR FAILOVER already in progress."));
        }
        if !self.is_primary() {
            return Err(CommandError::fixed("ERR FAILOVER is not valid when server is a replica."));
        }
        if self.repl.replicas.is_empty() {
            return Err(CommandError::fixed("ERR FAILOVER requires connected replicas."));
        }
        if force && (target.is_none() || timeout_ms.is_none()) {
            return Err(CommandError::fixed(
                "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
            ));
        }
        if let Some((host, port)) = &target {
            let Some(client) = self.find_replica(host, *port).and_then(|id| self.clients.by_id(id)) else {
                return Err(CommandError::fixed("ERR FAILOVER target HOST and PORT is not a replica."));
            };
            if !client.replica.as_ref().is_some_and(|r| matches!(r.phase, ReplicaPhase::Online)) {
                return Err(CommandError::fixed("ERR FAILOVER target replica is not online."));
            }
        }
        let now = self.now_ms();
        log_notice!(
            "FAILOVER requested to {}.",
            target.as_ref().map_or("any replica".to_owned(), |t| format!("{}:{}", t.0, t.1))
        );
        self.repl.failover =
            Some(Failover { target, force, deadline: timeout_ms.map(|t| now + t), in_progress: false });
        self.pause(Reason::Failover, Scope::Writes, i64::MAX);
        // Whoever is in sync says so at once, not at its next tick.
        self.repl.ask_for_acks = true;
        // Not before the end of the turn: the transaction that this command is part of may have more to write, and what it
        // has written is not in the stream yet.
        self.note_acknowledgement();
        Ok(())
    }

    /// The replica that announced this address.
    fn find_replica(&self, host: &str, port: u16) -> Option<ClientId> {
        self.repl.replicas.iter().copied().find(|id| {
            self.clients.by_id(*id).is_some_and(|c| {
                let name = super::primary::replica_name(c);
                name.rsplit_once(':').is_some_and(|(ip, p)| ip.eq_ignore_ascii_case(host) && p == port.to_string())
            })
        })
    }

    /// Goes on if the target has everything, or time is up.
    pub fn failover_progress(&mut self) {
        let Some(f) = &self.repl.failover else { return };
        if f.in_progress || !self.is_primary() {
            return;
        }
        let offset = self.repl.offset();
        let in_sync = |id: &ClientId| {
            let r = self.clients.by_id(*id).and_then(|c| c.replica.as_ref());
            r.is_some_and(|r| matches!(r.phase, ReplicaPhase::Online) && r.ack_offset >= offset)
        };
        let chosen = match &f.target {
            Some((host, port)) => self.find_replica(host, *port).filter(in_sync),
            None => self.repl.replicas.iter().copied().find(in_sync),
        };
        let stood = chosen.and_then(|id| self.clients.by_id(id)?.peer.rsplit_once(':')?.0.parse().ok());
        let late = f.deadline.is_some_and(|d| d <= self.now_ms());
        let address = match (chosen, &f.target) {
            (Some(id), _) => self.clients.by_id(id).map(super::primary::replica_name),
            (None, Some((host, port))) if late && f.force => {
                log_notice!("FAILOVER to {host}:{port} time out exceeded, failing over.");
                Some(format!("{host}:{port}"))
            }
            (None, _) if late => {
                log_notice!("Replica was not in sync before the timeout: FAILOVER time out exceeded, aborting.");
                return self.abort_failover("Replica never caught up before timeout");
            }
            _ => None,
        };
        let Some((host, port)) = address.as_deref().and_then(|a| a.rsplit_once(':')) else { return };
        let Ok(port) = port.parse() else { return };
        let host = host.to_owned();
        log_notice!("Failover target is {host}:{port}, failing over.");
        if let Some(f) = &mut self.repl.failover {
            f.in_progress = true;
            f.deadline = f.deadline.filter(|_| false);
        }
        self.become_replica_of(&host, port);
        if let Some(link) = &mut self.repl.link {
            link.failover = true;
            link.known_ip = stood;
        }
    }

    /// The replica that was to take over may have left.
    pub fn failover_replica_left(&mut self, _id: ClientId) {
        let gone = self.repl.replicas.is_empty() && self.is_primary();
        if gone && self.repl.failover.as_ref().is_some_and(|f| !f.in_progress && !f.force) {
            self.abort_failover("the replicas disconnected");
        }
    }

    /// The target answered our PSYNC; true when that was about a failover.
    pub fn failover_answered(&mut self, accepted: bool) -> bool {
        if !self.repl.failover.as_ref().is_some_and(|f| f.in_progress) {
            return false;
        }
        if accepted {
            self.repl.failover = None;
            self.release_waiting_clients();
            if let Some(link) = &mut self.repl.link {
                link.failover = false;
            }
            // Where an operator decides, the next primary waits for its word, and clients would find nobody who takes their writes.
            if self.repl.quorum.term > 0 {
                self.hold_writes();
            }
            self.unpause(Reason::Failover);
        } else {
            self.abort_failover("Failover target rejected psync request");
        }
        true
    }

    /// Gives a failover up: this server is primary as before.
    pub fn abort_failover(&mut self, why: &str) {
        let Some(f) = self.repl.failover.take() else { return };
        log_notice!("Aborting failover: {why}.");
        if f.in_progress {
            self.become_primary();
        }
        self.unpause(Reason::Failover);
    }
}
