//! When a replica gets its snapshot, and which: one under way that serves it too, or one of its own, together with those who need the same.

use std::os::fd::AsFd;

use super::primary::ReplicaPhase;
use super::transfer::SocketTransfer;
use crate::client::{Client, ClientFlags, ClientId};
use crate::net::{Interest, Token};
use crate::persistence::child::Purpose;
use crate::persistence::snapshot::{Format, Target};
use crate::server::Server;
use crate::{log_notice, log_warning};

/// What a replica needs its snapshot to be: one snapshot serves those who need the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    format: Format,
    /// Its end may be known by a mark.
    eof: bool,
    /// It has a connection of its own.
    rdb_channel: bool,
}

impl Wish {
    fn of(client: &Client) -> Option<Self> {
        let r = client.replica.as_ref()?;
        Some(Wish { format: format_for(client), eof: r.capa_eof, rdb_channel: r.rdb_channel })
    }
}

impl Server {
    /// A replica waits for a snapshot: attach it to one under way, start one, or wait for the right moment.
    pub fn snapshot_wanted(&mut self, client: &mut Client) {
        let now = self.now_ms();
        let Some(wish) = Wish::of(client) else { return };
        if let Some(r) = &mut client.replica {
            r.wait_since_ms = now;
        }
        match self.persistence.child.as_ref().map(|c| &c.purpose) {
            Some(Purpose::Snapshot { for_replicas: Some((id, offset, of)) }) if *of == wish.format => {
                // The file under construction serves this one too: the stream since its beginning is kept for another.
                let (id, offset) = (*id, *offset);
                let others = self.repl.any_replica(&self.clients, |p| matches!(p, ReplicaPhase::SnapshotOnDisk));
                if others && !wish.rdb_channel && self.repl.buffer.as_ref().is_some_and(|b| b.contains(offset)) {
                    log_notice!("Waiting for end of BGSAVE for SYNC");
                    begin_snapshot(client, id, offset, ReplicaPhase::SnapshotOnDisk);
                } else {
                    log_notice!("Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC");
                }
            }
            Some(Purpose::Sockets) => {
                log_notice!("Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC");
            }
            Some(_) => log_notice!("Waiting for end of the running child to start a BGSAVE for SYNC"),
            None => {}
        }
        if self.config.repl_diskless_sync && self.config.repl_diskless_sync_delay > 0 {
            log_notice!("Delay next BGSAVE for diskless SYNC");
        }
    }

    /// When the replicas that wait for a snapshot get one, in Unix ms; none: nobody waits.
    pub fn snapshot_due(&self) -> Option<i64> {
        let replicas = self.repl.replicas.iter().filter_map(|id| self.clients.by_id(*id)?.replica.as_deref());
        let waiting = || replicas.clone().filter(|r| matches!(r.phase, ReplicaPhase::WaitSnapshot));
        let since = waiting().map(|r| r.wait_since_ms).min()?;
        let enough = self.config.repl_diskless_sync_max_replicas as usize;
        if enough > 0 && waiting().count() >= enough {
            return Some(since);
        }
        // A snapshot on disk waits for nobody: who comes later may share it.
        let delayed = self.config.repl_diskless_sync && waiting().any(|r| r.capa_eof);
        Some(since + if delayed { i64::from(self.config.repl_diskless_sync_delay) * 1000 } else { 0 })
    }

    /// Starts a snapshot for the replicas that wait for one, when the time has come. Once a turn.
    pub fn start_due_snapshot(&mut self) {
        if self.persistence.child.is_some() || self.repl.failover.is_some() {
            return;
        }
        if self.snapshot_due().is_none_or(|due| due > self.now_ms()) {
            return;
        }
        let waiting = self.repl.replicas.iter().filter_map(|id| {
            let client = self.clients.by_id(*id)?;
            let r = client.replica.as_ref()?;
            matches!(r.phase, ReplicaPhase::WaitSnapshot).then_some((*id, Wish::of(client)?))
        });
        let waiting: Vec<(ClientId, Wish)> = waiting.collect();
        let Some(&(_, wish)) = waiting.first() else { return };
        let format = wish.format;
        let diskless = wish.rdb_channel || wish.eof && (self.config.repl_diskless_sync || format != Format::CURRENT);
        // One snapshot has one format and one way; who needs another waits for the next.
        // What is written before the snapshot is in it.
        self.begin_stream();
        let ids: Vec<ClientId> = waiting.into_iter().filter(|w| w.1 == wish).map(|w| w.0).collect();
        log_notice!(
            "Starting BGSAVE for SYNC with target: {} using: {}",
            if diskless { "replicas sockets" } else { "disk" },
            if wish.rdb_channel { "dual-channel" } else { "normal sync" }
        );
        let started = match diskless {
            true if wish.rdb_channel => self.start_direct_snapshot(&ids, format),
            true => self.start_socket_snapshot(&ids, format),
            false => self.start_file_snapshot(&ids, format),
        };
        if let Err(e) = started {
            log_warning!("BGSAVE for replication failed: {e}");
            self.drop_reservations(&ids);
            self.drop_replicas(&ids);
        }
    }

    /// Has the child write to the replicas' sockets itself.
    fn start_direct_snapshot(&mut self, ids: &[ClientId], format: Format) -> std::io::Result<()> {
        let (id, offset) = (self.repl.history.id, self.repl.offset());
        let mut sockets = Vec::new();
        for client_id in ids {
            let Some(slot) = self.clients.slot_of(*client_id) else { continue };
            let Some(mut client) = self.clients.take(slot) else { continue };
            let told = self.reserve_stream(&mut client, id, offset);
            match client.stream.as_ref().filter(|_| told).map(|s| s.as_fd().try_clone_to_owned()) {
                Some(Ok(socket)) => {
                    sockets.push(socket);
                    if let Some(r) = &mut client.replica {
                        r.phase = ReplicaPhase::FromChild;
                    }
                }
                _ => client.flags |= ClientFlags::CLOSE_NOW,
            }
            self.clients.put_back(client);
        }
        if sockets.is_empty() {
            return Ok(());
        }
        self.start_snapshot(Target::Sockets(sockets), format, Some((id, offset)))?;
        self.repl.stream_db = None;
        Ok(())
    }

    fn start_file_snapshot(&mut self, ids: &[ClientId], format: Format) -> std::io::Result<()> {
        let (id, offset) = (self.repl.history.id, self.repl.offset());
        self.start_snapshot(Target::File, format, Some((id, offset)))?;
        self.repl.stream_db = None;
        for client_id in ids {
            if let Some(slot) = self.clients.slot_of(*client_id)
                && let Some(mut client) = self.clients.take(slot)
            {
                begin_snapshot(&mut client, id, offset, ReplicaPhase::SnapshotOnDisk);
                self.clients.put_back(client);
            }
        }
        Ok(())
    }

    fn start_socket_snapshot(&mut self, ids: &[ClientId], format: Format) -> std::io::Result<()> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // A larger pipe means fewer switches between child and parent.
        let _ = rustix::pipe::fcntl_setpipe_size(&write, 1 << 20);
        rustix::io::ioctl_fionbio(&read, true)?;
        let (id, offset) = (self.repl.history.id, self.repl.offset());
        self.start_snapshot(Target::Pipe(write), format, Some((id, offset)))?;
        self.repl.stream_db = None;
        self.poll.add(&read, Token::Snapshot, Interest::Read)?;
        self.repl.transfer = Some(SocketTransfer::new(read, ids, self.now_ms()));
        for client_id in ids {
            if let Some(slot) = self.clients.slot_of(*client_id)
                && let Some(mut client) = self.clients.take(slot)
            {
                begin_snapshot(&mut client, id, offset, ReplicaPhase::Streaming);
                self.clients.put_back(client);
            }
        }
        Ok(())
    }

    /// Ends the connections of replicas whose snapshot came to nothing.
    pub(super) fn drop_replicas(&mut self, ids: &[ClientId]) {
        for id in ids {
            if let Some(slot) = self.clients.slot_of(*id) {
                self.clients.to_close.push(slot);
            }
        }
    }
}

/// Tells a replica that its snapshot begins.
fn begin_snapshot(client: &mut Client, id: super::ReplId, offset: u64, phase: ReplicaPhase) {
    let Some(r) = &mut client.replica else { return };
    r.phase = phase;
    r.cursor = offset;
    r.snapshot_id = Some(id);
    if !r.old_sync {
        client.reply.simple(&format!("FULLRESYNC {} {offset}", String::from_utf8_lossy(&id)));
    }
}

/// The newest snapshot format that the replica reads, with what it asked for.
fn format_for(client: &Client) -> Format {
    let Some(r) = &client.replica else { return Format::COMPATIBLE };
    let newest = if r.version >= 9 << 16 { Format::CURRENT } else { Format::COMPATIBLE };
    Format { keys: !r.without_keys, functions: !r.without_functions, ..newest }
}
