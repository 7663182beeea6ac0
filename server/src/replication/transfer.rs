//! Sending snapshots to replicas: straight from the child through a pipe, or as a file.
//!
//! Diskless: the child writes to a pipe, we forward what comes to every replica of this snapshot. The slowest sets the
//! pace: the pipe is read again when all have taken the last piece. Disk-based: the child writes the file, each replica
//! is then sent the file. In both cases the stream goes on into the replication buffer, and follows.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use super::primary::{ReplicaPhase, replica_name};
use crate::client::{Client, ClientFlags, ClientId};
use crate::net::{Interest, Token};
use crate::persistence::child::Purpose;
use crate::server::Server;
use crate::{log_notice, log_warning};

const PIECE: usize = 64 * 1024;

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

impl SocketTransfer {
    /// From this end of the child's pipe to these replicas.
    pub(super) fn new(pipe: OwnedFd, receivers: &[ClientId], now_ms: i64) -> Self {
        SocketTransfer {
            pipe,
            piece: Vec::with_capacity(PIECE),
            receivers: receivers.iter().map(|id| (*id, 0)).collect(),
            progress_ms: now_ms,
            paused: false,
            ended: false,
        }
    }
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
