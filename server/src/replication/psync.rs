//! PSYNC and SYNC: does the replica get the rest of the stream, or a snapshot?

use super::backlog::ReplBuffer;
use super::primary::{ReplicaPhase, replica_name};
use crate::client::{Client, ClientFlags};
use crate::commands::CommandError;
use crate::server::Server;
use crate::{log_notice, log_warning};

impl Server {
    /// Serves `PSYNC id offset`; `offset` is 1-based: the first byte that the replica lacks, -1 for none known.
    ///
    /// # Errors
    /// When this server has no history to share: a replica without its primary.
    pub fn psync(&mut self, client: &mut Client, id: &[u8], offset: i64) -> Result<(), CommandError> {
        self.begin_sync(client)?;
        let name = replica_name(client);
        if let Some(start) = self.can_continue(&name, id, offset) {
            self.continue_replica(client, start);
            return Ok(());
        }
        // `?` asks for a snapshot; only a refused continuation is an error worth counting.
        if id != b"?" {
            self.stats.sync_partial_err += 1;
        }
        if client.replica.as_ref().is_some_and(|r| r.capa_dual_channel) {
            log_notice!(
                "Replica {name} is capable of dual channel synchronization, and partial sync isn't possible. Full sync will continue with dedicated RDB channel."
            );
            client.reply.simple("DUALCHANNELSYNC");
            return Ok(());
        }
        self.full_sync(client)
    }

    /// Serves `SYNC`: a snapshot without a word of ids and offsets.
    ///
    /// # Errors
    /// As [`psync`](Self::psync).
    pub fn sync(&mut self, client: &mut Client) -> Result<(), CommandError> {
        self.begin_sync(client)?;
        if let Some(r) = &mut client.replica {
            r.old_sync = true;
        }
        self.full_sync(client)
    }

    fn begin_sync(&mut self, client: &mut Client) -> Result<(), CommandError> {
        if let Some(link) = &self.repl.link
            && !link.is_up()
        {
            return Err(CommandError::fixed("NOMASTERLINK Can't SYNC while not connected with my master"));
        }
        if self.loading.progress.is_some() {
            return Err(CommandError::fixed("LOADING Valkey is loading the dataset in memory"));
        }
        if client.replica.as_ref().is_some_and(|r| (r.without_keys || r.without_functions) && !r.capa_eof) {
            return Err(CommandError::fixed("ERR Filtered replica requires EOF capability"));
        }
        log_notice!("Replica {} asks for synchronization", replica_name(client));
        client.replica.get_or_insert_default();
        Ok(())
    }

    /// The cursor from which the replica may go on, if its history is ours and the backlog reaches back far enough.
    fn can_continue(&self, name: &str, id: &[u8], offset: i64) -> Option<u64> {
        let h = &self.repl.history;
        let start = u64::try_from(offset.checked_sub(1)?).ok();
        let same = id.eq_ignore_ascii_case(&h.id);
        let shared = id.eq_ignore_ascii_case(&h.id2) && matches!((start, h.id2_end), (Some(s), Some(end)) if s <= end);
        if !same && !shared {
            if id == b"?" {
                log_notice!("Full resync requested by replica {name}");
            } else if id.eq_ignore_ascii_case(&h.id2) {
                log_notice!(
                    "Partial resynchronization not accepted: Requested offset for second ID was {offset}, but I can reply up to {}",
                    h.second_offset()
                );
            } else {
                log_notice!(
                    "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{}', my replication IDs are '{}' and '{}')",
                    String::from_utf8_lossy(id),
                    String::from_utf8_lossy(&h.id),
                    String::from_utf8_lossy(&h.id2)
                );
            }
            return None;
        }
        let held = self.repl.buffer.as_ref().is_some_and(|b| start.is_some_and(|s| b.contains(s)));
        if !held {
            log_notice!(
                "Unable to partial resync with replica {name} for lack of backlog (Replica request was: {offset})."
            );
            if start.is_some_and(|s| s > h.offset) {
                log_warning!(
                    "Warning: replica {name} tried to PSYNC with an offset that is greater than the primary replication offset."
                );
            }
            return None;
        }
        start
    }

    fn continue_replica(&mut self, client: &mut Client, start: u64) {
        let psync2 = client.replica.as_ref().is_some_and(|r| r.capa_psync2);
        let id = String::from_utf8_lossy(&self.repl.history.id).into_owned();
        client.reply.simple(&if psync2 { format!("CONTINUE {id}") } else { "CONTINUE".to_owned() });
        let now = self.now_ms();
        self.enlist(client);
        let loads = self.take_up_reservation(client);
        if let Some(r) = &mut client.replica {
            r.phase = if loads { ReplicaPhase::BackgroundLoad } else { ReplicaPhase::Online };
            r.cursor = start;
            r.ack_ms = now;
            r.ack_offset = start;
        }
        self.stats.sync_partial_ok += 1;
        log_notice!(
            "Partial resynchronization request from {} accepted. Sending {} bytes of backlog starting from offset {}.",
            replica_name(client),
            self.repl.offset() - start,
            start + 1
        );
    }

    /// Makes the client one of our replicas.
    fn enlist(&mut self, client: &mut Client) {
        client.flags |= ClientFlags::REPLICA;
        client.reply.muted = false;
        if let Some(stream) = &client.stream {
            stream.set_nodelay(!self.config.repl_disable_tcp_nodelay);
        }
        if !self.repl.replicas.contains(&client.id) {
            self.repl.replicas.push(client.id);
        }
    }

    fn full_sync(&mut self, client: &mut Client) -> Result<(), CommandError> {
        self.stats.sync_full += 1;
        self.enlist(client);
        if let Some(r) = &mut client.replica {
            r.phase = ReplicaPhase::WaitSnapshot;
        }
        self.snapshot_wanted(client);
        Ok(())
    }

    /// Begins to keep the stream of a history that nobody can hold yet; false when it is kept already.
    pub fn begin_stream(&mut self) -> bool {
        if self.repl.buffer.is_some() {
            return false;
        }
        // A new id tells it from whatever the old one stood for before.
        if self.is_primary() {
            self.repl.history.restart();
        }
        self.create_backlog();
        log_notice!(
            "Replication backlog created, my new replication IDs are '{}' and '{}'",
            String::from_utf8_lossy(&self.repl.history.id),
            String::from_utf8_lossy(&self.repl.history.id2)
        );
        true
    }

    /// Begins to keep the stream.
    pub fn create_backlog(&mut self) {
        if self.repl.buffer.is_none() {
            self.repl.buffer = Some(ReplBuffer::new(self.repl.history.offset, self.config.repl_backlog_size));
        }
    }
}
