//! Changing roles: REPLICAOF and what follows from it.

use super::link::{Link, Phase};
use crate::config::PrimaryAddress;
use crate::log::{self, Role};
use crate::log_notice;
use crate::server::Server;

/// What a primary sent its replicas last that changed no data, and that it took back to follow another.
#[derive(Debug)]
pub struct IdleTail {
    /// The offset of its first byte.
    start: u64,
    bytes: Vec<u8>,
    /// Unix time in ms at which nothing more is waited for, once another primary continued the history.
    pub deadline: Option<i64>,
}

impl IdleTail {
    fn is_settled(&self, stream_end: u64, now_ms: i64) -> bool {
        self.deadline.is_some_and(|at| at <= now_ms || stream_end.saturating_sub(self.start) >= self.bytes.len() as u64)
    }
}

impl Server {
    /// Becomes the replica of `host:port`. The data stay until the new primary sends others; if it can continue our
    /// history, nothing is lost and nothing is sent twice.
    pub fn become_replica_of(&mut self, host: &str, port: u16) {
        self.repl.idle_tail = None;
        let was_primary = self.is_primary();
        let stream_db = match &self.repl.link {
            Some(link) => link.stream_db,
            None => self.repl.stream_db.unwrap_or(0),
        };
        self.close_link();
        // An instance that has detached confirms nothing of what it was: unconfirmed writes get no answer.
        self.drop_unconfirmed_clients();
        if was_primary {
            log_notice!(
                "Before turning into a replica, using my own primary parameters to synthesize a cached primary: I may be able to synchronize with the new primary with just a partial transfer."
            );
        }
        let mut stream_db = stream_db;
        if was_primary {
            self.note_former_clients();
            self.forget_idle_stream();
            stream_db = self.rejoin_restored_history().unwrap_or(stream_db);
        }
        let link = Link::new(host.to_owned(), port, self.now_ms(), stream_db);
        self.repl.link = Some(link);
        // For CONFIG GET and CONFIG REWRITE.
        self.config.replicaof = Some(PrimaryAddress { host: host.as_bytes().to_vec(), port });
        if self.repl.failover.is_none() {
            self.release_waiting_clients();
        }
        self.repl.stream_db = None;
        self.update_expiry_rule();
        log::set_role(Role::Replica);
        self.adapt_oom_score();
        self.drive_link();
    }

    /// Steps back to where the data are. A primary that was cut off, or frozen, goes on asking and greeting its replicas
    /// for a while; that changed no data, so the new primary may continue from before it.
    fn forget_idle_stream(&mut self) {
        let data = self.repl.data_offset;
        if data < self.repl.history.offset
            && let Some(buffer) = &mut self.repl.buffer
            && let Some(bytes) = buffer.truncate(data)
        {
            self.repl.history.offset = data;
            self.repl.idle_tail = Some(IdleTail { start: data, bytes, deadline: None });
        }
    }

    /// What was loaded at start is still all that there is: the history that it is of is asked for, and not the one that was begun since, of
    /// which nobody has anything. Returns the database that its stream has selected.
    fn rejoin_restored_history(&mut self) -> Option<usize> {
        let at = self.repl.restored.take()?;
        let history = &mut self.repl.history;
        let untouched = history.offset == at.offset && history.id2 == at.id && history.id2_end == Some(at.offset);
        if !untouched || !self.repl.replicas.is_empty() {
            return None;
        }
        (history.id, history.id2, history.id2_end) = (at.id, super::NO_REPLID, None);
        at.stream_db
    }

    /// Nobody continued our history: what our replicas were sent last is part of it again.
    fn restore_idle_stream(&mut self) {
        let Some(tail) = self.repl.idle_tail.take() else { return };
        if tail.deadline.is_none() && self.repl.history.offset == tail.start {
            self.feed_stream(&tail.bytes);
        }
    }

    /// The new primary continued our history under another id, from before what was sent to our replicas while it was idle. If it
    /// sends the very same now, they may go on too. They are asked to come anew once that is known.
    pub fn settle_idle_tail(&mut self) {
        let (now, end) = (self.now_ms(), self.repl.history.offset);
        let Some(tail) = self.repl.idle_tail.take_if(|t| t.is_settled(end, now)) else { return };
        let tail_end = tail.start + tail.bytes.len() as u64;
        let sent = self.repl.buffer.as_ref().map(|b| b.copy(tail.start)).unwrap_or_default();
        if sent.starts_with(&tail.bytes) && self.repl.history.id2_end == Some(tail.start) {
            self.repl.history.id2_end = Some(tail_end);
        }
        self.disconnect_replicas();
    }

    /// Stops following and becomes a primary whose history continues the one it followed: those who followed the same
    /// primary can go on by partial sync.
    pub fn become_primary(&mut self) {
        if self.is_primary() {
            return;
        }
        self.close_link();
        self.repl.link = None;
        self.repl.former_clients = None;
        self.repl.misleads_until_ms = 0;
        self.config.replicaof = None;
        self.restore_idle_stream();
        self.repl.own_keys.clear();
        self.repl.history.branch();
        self.repl.data_offset = self.repl.history.offset;
        log_notice!(
            "Setting secondary replication ID to {}, valid up to offset: {}. New replication ID is {}",
            String::from_utf8_lossy(&self.repl.history.id2),
            self.repl.history.second_offset(),
            String::from_utf8_lossy(&self.repl.history.id)
        );
        // Our replicas come back at once, and learn the new id by a partial sync.
        self.disconnect_replicas();
        self.repl.stream_db = None;
        self.repl.no_replicas_since = self.now_ms();
        // The first one in a while, not at once: it would part who leaves again from here.
        self.repl.last_ping_ms = self.now_ms();
        self.create_backlog();
        self.update_expiry_rule();
        log::set_role(Role::Primary);
        self.resume_aof();
        self.adapt_oom_score();
    }

    /// Closes the link, whatever its state; what was received of a snapshot is dropped.
    fn close_link(&mut self) {
        self.drop_main_channel();
        let Some(link) = &mut self.repl.link else { return };
        if let Some(stream) = link.stream.take() {
            self.poll.remove(&stream);
        }
        let phase = std::mem::replace(&mut link.phase, Phase::Connect(i64::MAX));
        if let Phase::Up(id) = phase {
            self.clients.close(id);
        }
    }

    /// Closes the connections of all our replicas. None is sent a byte more: what comes belongs to another history.
    pub fn disconnect_replicas(&mut self) {
        for id in self.repl.replicas.clone() {
            self.clients.close(id);
        }
    }

    /// Closes clients whose replies wait for an acknowledgement that will not come any more.
    fn drop_unconfirmed_clients(&mut self) {
        let mut held = Vec::new();
        for client in self.clients.iter_mut() {
            if client.reply.is_held() {
                client.reply.clear();
                held.push(client.slot);
            }
        }
        self.clients.to_close.append(&mut held);
        self.repl.quorum.set_holding(false);
    }
}
