//! What replicas acknowledge, and who waits for it: WAIT, WAITAOF, and the replies of synchronous replication.

use super::primary::{ReplicaPhase, replica_name};
use crate::client::Client;
use crate::client::blocked::Why;
use crate::commands::replication::NO_FILE;
use crate::log_notice;
use crate::server::Server;

impl Server {
    /// REPLCONF ACK.
    pub fn replica_acknowledged(&mut self, client: &mut Client, offset: u64, fsynced: Option<u64>) {
        let now = self.now_ms();
        let Some(r) = &mut client.replica else { return };
        r.ack_offset = r.ack_offset.max(offset);
        if let Some(f) = fsynced {
            r.fsync_offset = r.fsync_offset.max(f);
        }
        r.ack_ms = now;
        if matches!(r.phase, ReplicaPhase::AwaitAck | ReplicaPhase::BackgroundLoad) {
            r.phase = ReplicaPhase::Online;
            // What its snapshot came over has done its duty.
            let rdb_channel = r.rdb_client.take().and_then(|id| self.clients.slot_of(id));
            self.clients.to_close.extend(rdb_channel);
            log_notice!("Synchronization with replica {} succeeded", replica_name(client));
        }
        self.repl.quorum.replica_voted(client.id, offset);
        self.end_hold_when_open();
    }

    /// Takes note that somebody acknowledged more, or that less is needed; see to it once in this turn.
    pub fn note_acknowledgement(&mut self) {
        self.repl.acknowledged = true;
    }

    /// Answers who waited for acknowledgements, if any came in this turn.
    pub fn after_acknowledgement_if_any(&mut self) {
        if std::mem::take(&mut self.repl.acknowledged) {
            self.after_acknowledgement();
        }
    }

    /// Somebody acknowledged more, or left: answer who waited for that.
    pub fn after_acknowledgement(&mut self) {
        self.release_held_replies();
        self.serve_waiters();
        self.failover_progress();
    }

    /// Ends WAITs that are satisfied.
    fn serve_waiters(&mut self) {
        let waiting: Vec<u32> = self
            .clients
            .iter()
            .filter(|c| matches!(c.blocked.as_ref().map(|b| &b.why), Some(Why::Replicas { .. } | Why::Fsync { .. })))
            .map(|c| c.slot)
            .collect();
        for slot in waiting {
            let Some(mut client) = self.clients.take(slot) else { continue };
            let satisfied = match client.blocked.as_ref().map(|b| &b.why) {
                Some(Why::Replicas { offset, replicas }) => {
                    self.repl.count_acknowledged(&self.clients, *offset) >= *replicas
                }
                Some(Why::Fsync { offset, local, replicas }) => {
                    let own = !local || self.persistence.aof.fsynced_offset() >= *offset;
                    own && self.repl.online(&self.clients).filter(|r| r.fsync_offset >= *offset).count() >= *replicas
                }
                _ => false,
            };
            if satisfied {
                self.give_up(&mut client);
            }
            self.clients.put_back(client);
        }
    }

    /// The append-only file was turned off: whoever waits for it would do so in vain.
    pub fn refuse_waits_for_file(&mut self) {
        let waits = |c: &&Client| matches!(c.blocked.as_ref().map(|b| &b.why), Some(Why::Fsync { local: true, .. }));
        for slot in self.clients.iter().filter(waits).map(|c| c.slot).collect::<Vec<_>>() {
            let Some(mut client) = self.clients.take(slot) else { continue };
            client.reply.error(&NO_FILE.0);
            self.stats.error(NO_FILE.code());
            self.unblock(&mut client);
            self.clients.put_back(client);
        }
    }

    /// Answers WAITAOF: how many files hold the offset.
    pub fn reply_waitaof(&self, client: &mut Client, offset: u64) {
        let own = self.persistence.aof.is_on() && self.persistence.aof.fsynced_offset() >= offset;
        let replicas = self.repl.online(&self.clients).filter(|r| r.fsync_offset >= offset).count();
        client.reply.array(2);
        client.reply.int(i64::from(own));
        client.reply.int(replicas as i64);
    }

    /// Synchronous replication: holds what the client was answered since `from` until the replicas have its write.
    pub fn hold_reply(&mut self, client: &mut Client, from: usize, offset: u64) {
        client.reply.hold_from(from, offset);
        self.repl.quorum.set_holding(true);
        self.repl.ask_for_acks = true;
    }

    /// Lets go the replies whose writes are held by enough replicas.
    pub fn release_held_replies(&mut self) {
        let needed = self.acks_needed();
        let acknowledged = if needed == 0 { u64::MAX } else { self.repl.acknowledged_by(&self.clients, needed) };
        if !self.repl.quorum.holds_replies() {
            return;
        }
        let mut freed = Vec::new();
        let mut still_held = false;
        for client in self.clients.iter_mut() {
            if client.reply.is_held() {
                if client.reply.release(acknowledged) {
                    freed.push(client.slot);
                }
                still_held |= client.reply.is_held();
            }
        }
        self.repl.quorum.set_holding(still_held);
        for slot in freed {
            let Some(mut client) = self.clients.take(slot) else { continue };
            self.clients.queue_output(&mut client);
            self.clients.put_back_quietly(client);
        }
    }
}
