//! Serving replicas: what is known of each, sending them the stream, noticing who lags or is gone.

use super::ReplId;
use crate::client::{Client, ClientFlags, ClientId, Clients};
use crate::net::Interest;
use crate::server::Server;
use crate::{log_notice, log_warning};

/// How far a replica is.
#[derive(Debug)]
pub enum ReplicaPhase {
    /// It introduced itself and asked for nothing yet.
    Handshake,
    /// It waits for a snapshot to begin (`wait_bgsave`).
    WaitSnapshot,
    /// The snapshot it will get is being written to disk.
    SnapshotOnDisk,
    /// It is being sent the snapshot's file.
    Sending(super::transfer::FileTransfer),
    /// The child's snapshot is being forwarded to it.
    Streaming,
    /// It has the snapshot (diskless) and has not said so; the stream is held until its first ACK.
    AwaitAck,
    /// The child writes the snapshot to this connection itself: nobody else may write to it.
    FromChild,
    /// The child has done so; the other side closes the connection when it has read everything.
    Transmitted,
    /// It gets the stream, and the snapshot over another connection.
    BackgroundLoad,
    /// It gets the stream.
    Online,
}

/// What is known of a replica.
#[derive(Debug)]
pub struct ReplicaState {
    /// See [`ReplicaPhase`].
    pub phase: ReplicaPhase,
    /// The stream offset of the next byte to send it.
    pub cursor: u64,
    /// Bytes it acknowledged.
    pub ack_offset: u64,
    /// Bytes its append-only file holds on disk, as it said.
    pub fsync_offset: u64,
    /// Unix time in ms since when it waits for a snapshot.
    pub wait_since_ms: i64,
    /// Unix time in ms of the last acknowledgement.
    pub ack_ms: i64,
    /// Port it listens on.
    pub port: u16,
    /// Address it announced.
    pub announced_ip: Vec<u8>,
    /// Understands `$EOF:` framing.
    pub capa_eof: bool,
    /// Understands `+CONTINUE <id>`.
    pub capa_psync2: bool,
    /// Can take the snapshot over a connection of its own, and we can send it so.
    pub capa_dual_channel: bool,
    /// This connection is such a one.
    pub rdb_channel: bool,
    /// The connection that its snapshot comes over, as it said.
    pub rdb_client: Option<ClientId>,
    /// Its Valkey version as major << 16 | minor << 8 | patch; 0 if it did not say.
    pub version: u32,
    /// Only wants a snapshot (`valkey-cli --rdb`), never the stream.
    pub rdb_only: bool,
    /// Wants none of the keys in its snapshot.
    pub without_keys: bool,
    /// Wants none of the libraries of functions.
    pub without_functions: bool,
    /// Asked with SYNC: knows nothing of offsets and sends no acknowledgements.
    pub old_sync: bool,
    /// The id that the snapshot belongs to when it begins.
    pub snapshot_id: Option<ReplId>,
}

impl Default for ReplicaState {
    fn default() -> Self {
        ReplicaState {
            phase: ReplicaPhase::Handshake,
            cursor: 0,
            ack_offset: 0,
            fsync_offset: 0,
            wait_since_ms: 0,
            ack_ms: 0,
            port: 0,
            announced_ip: Vec::new(),
            capa_eof: false,
            capa_psync2: false,
            capa_dual_channel: false,
            rdb_channel: false,
            rdb_client: None,
            version: 0,
            rdb_only: false,
            without_keys: false,
            without_functions: false,
            old_sync: false,
            snapshot_id: None,
        }
    }
}

impl ReplicaState {
    /// The state's name in INFO.
    pub fn phase_name(&self) -> &'static str {
        match self.phase {
            ReplicaPhase::Handshake
            | ReplicaPhase::WaitSnapshot
            | ReplicaPhase::SnapshotOnDisk
            | ReplicaPhase::Streaming
            | ReplicaPhase::FromChild => "wait_bgsave",
            ReplicaPhase::Sending(_) | ReplicaPhase::AwaitAck => "send_bulk",
            ReplicaPhase::Transmitted => "rdb_transmitted",
            ReplicaPhase::BackgroundLoad => "bg_transfer",
            ReplicaPhase::Online => "online",
        }
    }

    /// What the connection is for, in INFO.
    pub fn channel_name(&self) -> &'static str {
        match self.phase {
            _ if self.rdb_channel => "rdb-channel",
            ReplicaPhase::BackgroundLoad => "main-channel",
            _ => "replica",
        }
    }

    /// Whether the stream must be kept for it from its cursor on.
    pub fn needs_stream(&self) -> bool {
        !self.rdb_only && !matches!(self.phase, ReplicaPhase::Handshake | ReplicaPhase::WaitSnapshot)
    }

    /// Whether stream bytes may be sent to it now.
    fn takes_stream(&self) -> bool {
        matches!(self.phase, ReplicaPhase::Online | ReplicaPhase::BackgroundLoad)
    }
}

/// The name by which log lines call a replica: `ip:port` as it announced them.
pub fn replica_name(client: &Client) -> String {
    let Some(r) = &client.replica else { return client.peer.clone() };
    let ip = if r.announced_ip.is_empty() {
        client.peer.rsplit_once(':').map_or(client.peer.as_str(), |(ip, _)| ip).to_owned()
    } else {
        String::from_utf8_lossy(&r.announced_ip).into_owned()
    };
    format!("{ip}:{}", r.port)
}

impl Server {
    /// Whether there are bytes of the stream to send to this client now.
    pub fn has_stream_for(&self, client: &Client) -> bool {
        match (&client.replica, &self.repl.buffer) {
            _ if client.is_closing() => false,
            (Some(r), Some(buffer)) if r.takes_stream() => r.cursor < buffer.end(),
            (Some(r), _) => matches!(r.phase, ReplicaPhase::Sending(_)),
            _ => false,
        }
    }

    /// Sends a replica what it gets next: a part of the snapshot's file, or of the stream.
    pub fn write_stream(&mut self, client: &mut Client) {
        if client.is_closing() {
            return;
        }
        if client.replica.as_ref().is_some_and(|r| matches!(r.phase, ReplicaPhase::Sending(_))) {
            return self.send_file_part(client);
        }
        let (Some(r), Some(buffer), Some(stream)) = (&mut client.replica, &self.repl.buffer, &client.stream) else {
            return;
        };
        if !r.takes_stream() {
            return;
        }
        let mut budget = 256 * 1024usize;
        while budget > 0 {
            let bytes = buffer.read(r.cursor);
            if bytes.is_empty() {
                break;
            }
            match stream.write(bytes) {
                Ok(n) => {
                    r.cursor += n as u64;
                    client.bytes_out += n as u64;
                    self.stats.repl_bytes_out += n as u64;
                    budget = budget.saturating_sub(n);
                    if n < bytes.len() {
                        break;
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(e) => {
                    crate::log_verbose!("Error writing to client {}: {e}", client.peer);
                    client.flags |= ClientFlags::CLOSE_NOW;
                    return;
                }
            }
        }
    }

    /// Asks the replicas for their offsets, if somebody waits for them. Once a turn, before the append-only file is
    /// written: no replica may be ahead of it.
    pub fn ask_for_acks(&mut self) {
        if std::mem::take(&mut self.repl.ask_for_acks) && self.is_primary() && !self.repl.replicas.is_empty() {
            self.feed_getack();
        }
    }

    /// Queues output for the replicas that the stream grew for, and forgets what nobody needs. Once a turn.
    pub fn serve_replicas(&mut self) {
        let Some(buffer) = &mut self.repl.buffer else { return };
        let end = buffer.end();
        let mut oldest = self.repl.reservations.iter().map(|r| r.cursor).min();
        for id in &self.repl.replicas {
            let Some(client) = self.clients.by_id_mut(*id) else { continue };
            let Some(r) = &client.replica else { continue };
            if r.needs_stream() {
                oldest = Some(oldest.map_or(r.cursor, |o| o.min(r.cursor)));
            }
            let idle = client.interest == Interest::Read;
            if r.takes_stream() && r.cursor < end && idle && !client.flags.contains(ClientFlags::WRITE_QUEUED) {
                client.flags |= ClientFlags::WRITE_QUEUED;
                let slot = client.slot;
                self.clients.to_write.push(slot);
            }
        }
        buffer.trim(oldest);
    }

    /// A replica (or a client that began to act as one) left.
    pub fn replica_disconnected(&mut self, client: &mut Client) {
        let known = self.repl.replicas.len();
        self.repl.replicas.retain(|id| *id != client.id);
        self.leave_transfer(client);
        self.leave_snapshot(client);
        self.rdb_channel_left(client);
        if self.repl.replicas.len() == known {
            return;
        }
        log_warning!("Connection with replica {} lost.", replica_name(client));
        // What only it lacked goes at once.
        self.serve_replicas();
        if self.repl.replicas.is_empty() {
            self.repl.no_replicas_since = self.now_ms();
        }
        self.failover_replica_left(client.id);
        self.note_acknowledgement();
    }

    /// Once a second: replicas that are silent for too long, or too far behind; the backlog that nobody needs.
    pub fn check_replicas(&mut self) {
        let now = self.now_ms();
        let timeout = i64::from(self.config.repl_timeout) * 1000;
        for id in self.repl.replicas.clone() {
            let Some(client) = self.clients.by_id_mut(id) else { continue };
            let Some(r) = &client.replica else { continue };
            let slot = client.slot;
            let silent = match r.phase {
                ReplicaPhase::Online => !r.old_sync && now - r.ack_ms > timeout,
                ReplicaPhase::AwaitAck | ReplicaPhase::Transmitted => now - r.ack_ms > timeout,
                _ => false,
            };
            if silent {
                let kind = if matches!(r.phase, ReplicaPhase::Online) { "streaming sync" } else { "full sync" };
                log_warning!("Disconnecting timedout replica ({kind}): {}", replica_name(client));
                self.clients.to_close.push(slot);
            } else if matches!(r.phase, ReplicaPhase::WaitSnapshot | ReplicaPhase::SnapshotOnDisk) {
                // The peer must see that we live while it waits.
                client.reply.raw(b"\n");
                if let Some(mut client) = self.clients.take(slot) {
                    self.clients.queue_output(&mut client);
                    self.clients.put_back_quietly(client);
                }
            }
        }
        self.check_output_limits_of_replicas();
        self.check_reservations();
        self.drop_idle_backlog(now);
    }

    fn check_output_limits_of_replicas(&mut self) {
        let Some(buffer) = &self.repl.buffer else { return };
        let limit = self.config.client_output_buffer_limit.replica;
        let (end, size, now) = (buffer.end(), buffer.size(), self.keyspace.now_ms());
        for id in &self.repl.replicas {
            let Some(client) = self.clients.by_id_mut(*id) else { continue };
            let Some(r) = client.replica.as_ref().filter(|r| r.needs_stream()) else { continue };
            let behind = end.saturating_sub(r.cursor);
            // What the backlog holds anyway costs nothing.
            let over = |limit: u64| limit > 0 && behind > limit.max(size);
            let soft_since = if over(limit.soft_bytes) { client.over_soft_limit_since.or(Some(now)) } else { None };
            let name = replica_name(client);
            client.over_soft_limit_since = soft_since;
            let too_long = soft_since.is_some_and(|s| now - s >= i64::from(limit.soft_seconds) * 1000);
            if over(limit.hard_bytes) || too_long {
                log_warning!(
                    "Client {name} scheduled to be closed ASAP: closed for overcoming of output buffer limits."
                );
                self.stats.client_output_limit_disconnections += 1;
                let slot = client.slot;
                self.clients.to_close.push(slot);
            }
        }
    }

    /// `repl-backlog-ttl`: a primary without replicas gives the backlog up, and with it the id that promised it.
    fn drop_idle_backlog(&mut self, now: i64) {
        let ttl = self.config.repl_backlog_ttl as i64;
        // Answers that wait for an offset need one even while nobody follows.
        let unused = self.repl.replicas.is_empty() && self.acks_needed() == 0;
        let idle = unused && self.repl.buffer.is_some() && self.is_primary();
        if idle && ttl > 0 && now - self.repl.no_replicas_since > ttl * 1000 && !self.persistence.aof.is_on() {
            self.repl.buffer = None;
            self.repl.history.restart();
            log_notice!("Replication backlog freed after {ttl} seconds without connected replicas.");
        }
    }
}

impl super::Replication {
    /// Replicas that acknowledged within `min-replicas-max-lag` seconds.
    pub fn good_replicas(&self, server: &Server) -> usize {
        let lag = i64::from(server.config.min_replicas_max_lag) * 1000;
        self.online(&server.clients).filter(|r| server.now_ms() - r.ack_ms <= lag).count()
    }

    /// Whether any replica is in the given kind of phase.
    pub fn any_replica(&self, clients: &Clients, phase: impl Fn(&ReplicaPhase) -> bool) -> bool {
        self.replicas.iter().filter_map(|id| clients.by_id(*id)?.replica.as_deref()).any(|r| phase(&r.phase))
    }
}
