//! Serving replicas that take their snapshot over a connection of its own (`dual-channel-replication-enabled`).
//!
//! When the child begins to write the snapshot, the stream from there on is reserved for each such replica. It asks for it on its
//! first connection, its main channel, usually at once, and keeps it until the snapshot is loaded. So the stream waits at the
//! replica's and not here. The child writes to the sockets itself; the server has nothing to do with the snapshot's bytes.

use super::ReplId;
use super::primary::{ReplicaPhase, replica_name};
use crate::client::{Client, ClientId};
use crate::server::Server;
use crate::{log_debug, log_notice, log_verbose, log_warning};

/// Seconds for which a reservation outlives the connection that the snapshot came over.
const GRACE_SECONDS: u32 = 5;

/// The stream from a snapshot on, kept until a replica's main channel asks for it.
#[derive(Debug)]
pub struct Reservation {
    /// The connection that the snapshot goes over: the main channel names it.
    pub rdb_client: ClientId,
    /// The first byte of the stream that the snapshot lacks.
    pub cursor: u64,
    /// The replica's name for the log.
    name: String,
    /// Unix time in ms at which that connection ended.
    left_ms: Option<i64>,
    /// Whether the stream goes on behind the snapshot.
    streamed: bool,
}

impl Server {
    /// Tells a replica where its snapshot ends, and keeps the stream from there on; false when it takes not even that.
    pub fn reserve_stream(&mut self, client: &mut Client, id: ReplId, offset: u64) -> bool {
        let name = replica_name(client);
        log_notice!("Sending to replica {name} RDB end offset {offset} and client-id {}", client.id);
        let id = String::from_utf8_lossy(&id).into_owned();
        client.reply.raw(format!("$ENDOFF:{offset} {id} 0 {}\r\n", client.id).as_bytes());
        self.write(client);
        if client.reply.pending() > 0 || client.is_closing() {
            log_warning!("Replica {name} does not take the beginning of its snapshot");
            return false;
        }
        let tracked = self.repl.buffer.as_ref().is_some_and(|b| b.history_len() > 0);
        log_debug!(
            "Add rdb replica {name} to waiting psync, with cid {}, {}",
            client.id,
            if tracked { "tracking repl-backlog tail" } else { "no repl-backlog to track" }
        );
        self.repl.reservations.push(Reservation {
            rdb_client: client.id,
            cursor: offset,
            name,
            left_ms: None,
            streamed: tracked,
        });
        true
    }

    /// What is reserved for the replica whose main channel this is.
    pub fn reservation_of(&self, client: &Client) -> Option<&Reservation> {
        let rdb_client = client.replica.as_ref()?.rdb_client?;
        self.repl.reservations.iter().find(|r| r.rdb_client == rdb_client)
    }

    /// The main channel goes on where its snapshot ends; false when the client is none.
    pub fn take_up_reservation(&mut self, client: &Client) -> bool {
        let Some(rdb_client) = self.reservation_of(client).map(|r| r.rdb_client) else { return false };
        log_debug!("Remove psync waiting replica {} with cid {rdb_client}", replica_name(client));
        self.drop_reservations(&[rdb_client]);
        true
    }

    /// Forgets what was reserved for these snapshots' replicas.
    pub fn drop_reservations(&mut self, rdb_clients: &[ClientId]) {
        self.repl.reservations.retain(|r| !rdb_clients.contains(&r.rdb_client));
    }

    /// A connection for a snapshot ended. The replica may have all of it, and ask for the rest in a moment.
    pub fn rdb_channel_left(&mut self, client: &Client) {
        let Some(r) = client.replica.as_ref().filter(|r| r.rdb_channel) else { return };
        if matches!(r.phase, ReplicaPhase::FromChild)
            && let Some(stream) = &client.stream
        {
            // The child holds the socket too.
            stream.shutdown();
            if !self.repl.any_replica(&self.clients, |p| matches!(p, ReplicaPhase::FromChild)) {
                log_notice!("Diskless rdb transfer, last replica dropped, killing fork child.");
                self.persistence.kill_child();
            }
        }
        let (now, grace) = (self.now_ms(), self.rdb_client_grace());
        for r in self.repl.reservations.iter_mut().filter(|r| r.rdb_client == client.id) {
            log_verbose!(
                "The stream is kept for the replica of RDB client {} ({}) for {grace} seconds",
                client.id,
                r.name
            );
            r.left_ms = Some(now);
        }
    }

    fn rdb_client_grace(&self) -> u32 {
        self.debug.rdb_client_grace.unwrap_or(GRACE_SECONDS)
    }

    /// Once a second: reservations that nobody comes for, or that hold too much.
    pub fn check_reservations(&mut self) {
        let Some(buffer) = &self.repl.buffer else { return };
        let (end, size, now) = (buffer.end(), buffer.size(), self.keyspace.now_ms());
        let limit = self.config.client_output_buffer_limit.replica.hard_bytes;
        let grace = self.rdb_client_grace();
        let mut dropped = Vec::new();
        for r in &mut self.repl.reservations {
            if !r.streamed && end > r.cursor {
                r.streamed = true;
                log_debug!("Attach replica rdb client {} to repl buf block", r.rdb_client);
            }
            if r.left_ms.is_some_and(|left| now - left > i64::from(grace) * 1000) {
                log_notice!(
                    "Replica main channel failed to establish PSYNC within the grace period ({grace} seconds). Freeing RDB client {}.",
                    r.rdb_client
                );
                dropped.push(r.rdb_client);
            } else if limit > 0 && end - r.cursor > limit.max(size) {
                log_warning!(
                    "Client {} scheduled to be closed ASAP: closed for overcoming of output buffer limits.",
                    r.name
                );
                self.stats.client_output_limit_disconnections += 1;
                dropped.push(r.rdb_client);
                self.clients.to_close.extend(self.clients.slot_of(r.rdb_client));
            }
        }
        self.drop_reservations(&dropped);
    }

    /// The child that wrote snapshots to replicas' connections itself ended.
    pub fn direct_snapshot_ended(&mut self, ok: bool, killed: bool) {
        let now = self.now_ms();
        for id in self.repl.replicas.clone() {
            let Some(client) = self.clients.by_id_mut(id) else { continue };
            let (name, slot) = (replica_name(client), client.slot);
            let Some(r) = client.replica.as_mut().filter(|r| matches!(r.phase, ReplicaPhase::FromChild)) else {
                continue;
            };
            if ok {
                r.phase = ReplicaPhase::Transmitted;
                r.ack_ms = now;
                log_notice!("RDB transfer completed, rdb only replica ({name}) should be disconnected asap");
            } else {
                self.clients.to_close.push(slot);
                // When nobody was left to write to, a replica may have got everything before it left.
                if !killed {
                    self.drop_reservations(&[id]);
                }
            }
        }
        if ok {
            log_notice!("Background RDB transfer terminated with success");
        } else {
            log_warning!("Background RDB transfer error");
        }
    }
}
