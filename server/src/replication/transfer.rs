//! Sending snapshots to replicas: straight from the child through a pipe, or as a file.
//!
//! Diskless: the child writes to a pipe, we forward what comes to every replica of this snapshot. The slowest sets the
//! pace: the pipe is read again when all have taken the last piece. Disk-based: the child writes the file, each replica
//! is then sent the file. In both cases the stream goes on into the replication buffer, and follows.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use super::primary::{ReplicaPhase, replica_name};
use crate::client::{Client, ClientFlags, ClientId};
use crate::net::{Interest, Token};
use crate::persistence::child::Purpose;
use crate::persistence::snapshot::{Format, Target};
use crate::server::Server;
use crate::{log_notice, log_warning};

const PIECE: usize = 64 * 1024;

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

/// A snapshot on its way from the child to replicas' sockets.
#[derive(Debug)]
pub struct SocketTransfer {
    pipe: OwnedFd,
    /// What was read last and some replica has not taken yet.
    piece: Vec<u8>,
    /// Replicas, each with how much of the piece it took.
    receivers: Vec<(ClientId, usize)>,
    /// Unix time in ms at which some replica last took something.
    progress_ms: i64,
    paused: bool,
    ended: bool,
}

/// A snapshot's file on its way to one replica.
#[derive(Debug)]
pub struct FileTransfer {
    file: File,
    left: u64,
    piece: Vec<u8>,
    taken: usize,
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
        self.repl.transfer = Some(SocketTransfer {
            pipe: read,
            piece: Vec::with_capacity(PIECE),
            receivers: ids.iter().map(|id| (*id, 0)).collect(),
            progress_ms: self.now_ms(),
            paused: false,
            ended: false,
        });
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

    fn drop_replicas(&mut self, ids: &[ClientId]) {
        for id in ids {
            if let Some(slot) = self.clients.slot_of(*id) {
                self.clients.to_close.push(slot);
            }
        }
    }

    /// The child has written to the pipe, or a replica has room: forward.
    pub fn forward_snapshot(&mut self) {
        let Some(mut t) = self.repl.transfer.take_if(|t| !t.ended) else { return };
        // A bounded number of pieces, so that clients get their turn.
        for _ in 0..16 {
            if !self.hand_out(&mut t) {
                self.pause_pipe(&mut t, true);
                break;
            }
            self.pause_pipe(&mut t, false);
            t.piece.clear();
            match rustix::io::read(&t.pipe, rustix::buffer::spare_capacity(&mut t.piece)) {
                Ok(0) => {
                    t.ended = true;
                    break;
                }
                Ok(_) => {
                    for r in &mut t.receivers {
                        r.1 = 0;
                    }
                }
                Err(_) => break,
            }
        }
        if t.ended {
            self.poll.remove(&t.pipe);
            log_notice!("Diskless rdb transfer, done reading from pipe, {} replicas still up.", t.receivers.len());
        }
        if t.receivers.is_empty() && !t.ended {
            log_notice!("Diskless rdb transfer, last replica dropped, killing fork child.");
            self.persistence.kill_child();
            self.poll.remove(&t.pipe);
            t.ended = true;
        }
        self.repl.transfer = Some(t);
    }

    /// Gives the piece to all who have not taken it whole; true when all have.
    fn hand_out(&mut self, t: &mut SocketTransfer) -> bool {
        let now = self.now_ms();
        let mut all = true;
        let mut gone = Vec::new();
        for (id, taken) in &mut t.receivers {
            let Some(slot) = self.clients.slot_of(*id) else {
                gone.push(*id);
                continue;
            };
            let Some(client) = self.clients.get_mut(slot) else { continue };
            // FULLRESYNC must have left before the snapshot.
            if client.reply.pending() > 0 {
                all = false;
                continue;
            }
            let rest = t.piece.get(*taken..).unwrap_or(&[]);
            let Some(stream) = client.stream.as_ref().filter(|_| !rest.is_empty()) else { continue };
            match stream.write(rest) {
                Ok(n) => {
                    *taken += n;
                    client.bytes_out += n as u64;
                    self.stats.repl_bytes_out += n as u64;
                    t.progress_ms = now;
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => {
                    log_warning!("Diskless rdb transfer, write error sending DB to replica: {e}");
                    gone.push(*id);
                    self.clients.to_close.push(slot);
                    continue;
                }
            }
            let full = *taken < t.piece.len();
            all &= !full;
            if let Some(mut client) = self.clients.take(slot) {
                self.watch(&mut client, if full { Interest::ReadWrite } else { Interest::Read });
                self.clients.put_back_quietly(client);
            }
        }
        t.receivers.retain(|(id, _)| !gone.contains(id));
        if !all && now - t.progress_ms > i64::from(self.config.repl_timeout) * 1000 {
            for (id, taken) in &t.receivers {
                if *taken < t.piece.len()
                    && let Some(slot) = self.clients.slot_of(*id)
                {
                    log_warning!("Disconnecting timedout replica (full sync): no progress in sending the snapshot");
                    self.clients.to_close.push(slot);
                }
            }
        }
        all
    }

    fn pause_pipe(&self, t: &mut SocketTransfer, pause: bool) {
        if t.paused != pause {
            t.paused = pause;
            let interest = if pause { Interest::None } else { Interest::Read };
            if let Err(e) = self.poll.modify(&t.pipe, Token::Snapshot, interest) {
                log_warning!("Watching the snapshot pipe: {e}");
            }
        }
    }

    /// A client that takes part in a transfer leaves.
    pub fn leave_transfer(&mut self, client: &Client) {
        let Some(t) = &mut self.repl.transfer else { return };
        let before = t.receivers.len();
        t.receivers.retain(|(id, _)| *id != client.id);
        if t.receivers.len() != before {
            // Whoever it held up may go on.
            self.forward_snapshot();
        }
    }

    /// A replica left for which a snapshot was being written to disk: if nobody else wants it, its child need not go on.
    pub fn leave_snapshot(&mut self, client: &Client) {
        let on_disk = |phase: &ReplicaPhase| matches!(phase, ReplicaPhase::SnapshotOnDisk);
        let waited = client.replica.as_ref().is_some_and(|r| on_disk(&r.phase));
        if !waited || !self.config.save.is_empty() || self.repl.any_replica(&self.clients, on_disk) {
            return;
        }
        if let Some(child) = &self.persistence.child
            && matches!(child.purpose, Purpose::Snapshot { for_replicas: Some(_) })
        {
            log_notice!("Killing the child that saves a snapshot for replicas: the last of them has left");
            crate::sys::kill(child.pid, libc::SIGUSR1);
        }
    }

    /// The child of a diskless transfer ended.
    pub fn socket_snapshot_ended(&mut self, ok: bool) {
        if ok {
            // What is left in the pipe and not yet handed out.
            while self.repl.transfer.as_ref().is_some_and(|t| !t.ended && !t.paused) {
                self.forward_snapshot();
            }
        }
        let Some(t) = &self.repl.transfer else { return };
        if ok && !t.ended {
            // Some replica is still taking its last pieces: the end of the pipe will finish the transfer.
            self.repl.transfer.as_mut().into_iter().for_each(|t| t.progress_ms = self.keyspace.now_ms());
            self.persistence.transfer_outlives_child = true;
            return;
        }
        self.finish_socket_transfer(ok);
    }

    /// Whether everything was read and taken by everybody.
    pub fn transfer_drained(&self) -> bool {
        self.repl.transfer.as_ref().is_some_and(|t| t.ended && t.receivers.iter().all(|r| r.1 >= t.piece.len()))
    }

    /// Ends a transfer whose pipe is empty and whose child is gone.
    pub fn finish_socket_transfer(&mut self, ok: bool) {
        self.persistence.transfer_outlives_child = false;
        let Some(t) = self.repl.transfer.take() else { return };
        self.poll.remove(&t.pipe);
        let ids: Vec<ClientId> = t.receivers.iter().map(|r| r.0).collect();
        if !ok {
            log_warning!("Background RDB transfer error");
            self.drop_replicas(&ids);
            return;
        }
        log_notice!("Background RDB transfer terminated with success");
        let now = self.now_ms();
        for id in ids {
            let Some(client) = self.clients.by_id_mut(id) else { continue };
            let name = replica_name(client);
            let slot = client.slot;
            let Some(r) = &mut client.replica else { continue };
            r.ack_ms = now;
            if r.rdb_only || r.old_sync {
                // It will never acknowledge: with the snapshot its wish is fulfilled, or the stream follows at once.
                r.phase = ReplicaPhase::Online;
                if r.rdb_only {
                    self.clients.to_close.push(slot);
                }
                continue;
            }
            r.phase = ReplicaPhase::AwaitAck;
            log_notice!(
                "Streamed replica with replica {name} succeeded (socket). Waiting for REPLCONF ACK from replica to enable streaming"
            );
        }
    }

    /// The child that wrote the snapshot's file for replicas ended.
    pub fn file_snapshot_ended(&mut self, ok: bool) {
        let path = self.persistence.rdb_path(&self.config);
        for id in self.repl.replicas.clone() {
            let Some(client) = self.clients.by_id_mut(id) else { continue };
            let slot = client.slot;
            let Some(r) = &mut client.replica else { continue };
            if !matches!(r.phase, ReplicaPhase::SnapshotOnDisk) {
                continue;
            }
            if !ok {
                log_warning!("SYNC failed. BGSAVE child returned an error");
                self.clients.to_close.push(slot);
                continue;
            }
            match FileTransfer::open(&path) {
                Ok(transfer) => {
                    r.phase = ReplicaPhase::Sending(transfer);
                    client.flags |= ClientFlags::WRITE_QUEUED;
                    self.clients.to_write.push(slot);
                }
                Err(e) => {
                    log_warning!("SYNC failed. Can't open/stat DB after BGSAVE: {e}");
                    self.clients.to_close.push(slot);
                }
            }
        }
    }

    /// Sends the next part of the snapshot's file.
    pub fn send_file_part(&mut self, client: &mut Client) {
        let now = self.now_ms();
        let name = replica_name(client);
        let (Some(r), Some(stream)) = (&mut client.replica, &client.stream) else { return };
        let ReplicaPhase::Sending(t) = &mut r.phase else { return };
        for _ in 0..16 {
            let rest = match t.rest() {
                Ok(rest) => rest,
                Err(e) => {
                    log_warning!("Read error sending DB to replica: {e}");
                    client.flags |= ClientFlags::CLOSE_NOW;
                    return;
                }
            };
            if rest.is_empty() {
                r.ack_ms = now;
                r.phase = ReplicaPhase::Online;
                log_notice!("Synchronization with replica {name} succeeded");
                if r.rdb_only {
                    client.flags |= ClientFlags::CLOSE_AFTER_REPLY;
                }
                return;
            }
            match stream.write(rest) {
                Ok(n) => {
                    t.taken += n;
                    client.bytes_out += n as u64;
                    self.stats.repl_bytes_out += n as u64;
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(e) => {
                    log_warning!("Write error sending DB to replica: {e}");
                    client.flags |= ClientFlags::CLOSE_NOW;
                    return;
                }
            }
        }
    }
}

impl FileTransfer {
    fn open(path: &std::path::Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(FileTransfer { file, left: len, piece: format!("${len}\r\n").into_bytes(), taken: 0 })
    }

    /// What is to be sent next; empty at the end.
    fn rest(&mut self) -> std::io::Result<&[u8]> {
        if self.taken == self.piece.len() && self.left > 0 {
            self.taken = 0;
            self.piece.clear();
            let n = (&self.file).take(self.left.min(PIECE as u64)).read_to_end(&mut self.piece)?;
            if n == 0 {
                return Err(std::io::Error::other("the snapshot's file became shorter"));
            }
            self.left -= n as u64;
        }
        Ok(&self.piece[self.taken..])
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
