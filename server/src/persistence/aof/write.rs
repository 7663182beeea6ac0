//! Appending to the file and flushing it to disk.
//!
//! The buffer is written once a turn, before replies leave: what was answered has at least reached the kernel. With
//! `everysec` the flush runs on a background thread; with `always` it comes before the replies of the turn.

use std::fs::OpenOptions;
use std::io::Write;

use super::manifest::{FileType, Manifest, Part};
use super::{Aof, State, directory, stem};
use crate::bio::FsyncTag;
use crate::config::AppendFsync;
use crate::config::os_text;
use crate::resp::argv::encode_command;
use crate::server::Server;
use crate::{log_notice, log_warning};

/// For how long a write may be put off while a flush is under way, in ms.
const PATIENCE_MS: i64 = 2000;

impl Server {
    /// Writes what was appended in this turn, and flushes as `appendfsync` says.
    pub fn flush_aof(&mut self) {
        let now = self.now_ms();
        let policy = self.config.appendfsync;
        let offset = self.repl.offset();
        let aof = &mut self.persistence.aof;
        if aof.state == State::Off || aof.file.is_none() {
            return;
        }
        aof.timestamps = self.config.aof_timestamp_enabled;
        aof.follow_stream(&self.repl.history);
        if !self.debug.aof_flush_sleep.is_zero() && !aof.buffer.is_empty() {
            std::thread::sleep(self.debug.aof_flush_sleep);
        }
        if !aof.buffer.is_empty() {
            // Writing to a file that is being flushed may block: rather wait for the flush, but not for ever.
            let busy = policy == AppendFsync::Everysec && aof.fsyncing;
            if busy && now - aof.last_fsync_ms < PATIENCE_MS {
                return;
            }
            if busy {
                aof.delayed_fsync += 1;
                log_notice!(
                    "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to complete, this may slow down the server."
                );
            }
            aof.write_buffer(offset);
            if policy == AppendFsync::Always && aof.error.is_some() {
                self.drop_unwritten_clients();
            }
        }
        let aof = &mut self.persistence.aof;
        if !aof.unsynced || aof.write_error().is_some() {
            // A file that holds everything counts as flushed up to here.
            if !aof.unsynced && aof.buffer.is_empty() && !aof.fsyncing {
                aof.fsynced_offset = aof.fsynced_offset.max(offset);
            }
            return;
        }
        let child = self.persistence.child.is_some() && self.config.no_appendfsync_on_rewrite;
        let aof = &mut self.persistence.aof;
        match policy {
            AppendFsync::No => {}
            _ if child => {}
            AppendFsync::Always => {
                let flushed = aof.file.as_ref().map_or(Ok(()), |f| f.sync_data());
                if let Err(e) = flushed {
                    // What was promised can't be kept: better no server than one that lies.
                    log_warning!(
                        "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {e}. Exiting..."
                    );
                    self.exit = Some(1);
                    return;
                }
                aof.unsynced = false;
                aof.last_fsync_ms = now;
                aof.fsynced_offset = aof.written_offset;
                self.note_acknowledgement();
            }
            AppendFsync::Everysec => {
                if !aof.fsyncing && now - aof.last_fsync_ms >= 1000 {
                    let tag = FsyncTag { offset: aof.written_offset, file: aof.file_number };
                    if let Some(Ok(file)) = aof.file.as_ref().map(|f| f.try_clone()) {
                        aof.fsyncing = true;
                        aof.unsynced = false;
                        aof.last_fsync_ms = now;
                        self.bio.fsync(file, tag);
                    }
                }
            }
        }
    }

    /// With `always` an answer promises that the write is on disk. Whoever wrote what could not be brought there is not answered but
    /// disconnected: the write may yet be kept, and nobody was told so.
    fn drop_unwritten_clients(&mut self) {
        let written = self.persistence.aof.written_offset;
        let mut unwritten = Vec::new();
        for client in self.clients.iter_mut() {
            let wrote = client.last_write_offset > written && !client.is_primary() && !client.is_replica();
            if wrote && client.reply.pending() > 0 {
                client.reply.clear();
                unwritten.push(client.slot);
            }
        }
        self.clients.to_close.append(&mut unwritten);
    }

    /// A flush in the background ended.
    pub fn aof_fsynced(&mut self, tag: FsyncTag, result: std::io::Result<()>) {
        let aof = &mut self.persistence.aof;
        if tag.file != aof.file_number {
            return;
        }
        aof.fsyncing = false;
        match result {
            Ok(()) => {
                aof.fsynced_offset = aof.fsynced_offset.max(tag.offset);
                self.note_acknowledgement();
            }
            Err(e) => {
                log_warning!("Fail to fsync the AOF file: {e}");
                aof.flush_error = Some(os_text(&e));
                aof.unsynced = true;
            }
        }
    }

    /// Begins to append, to a new increment of the manifest's files.
    ///
    /// # Errors
    /// What failed.
    pub fn open_new_increment(&mut self, in_manifest: bool) -> Result<(), String> {
        let (dir, stem) = (directory(&self.config), stem(&self.config));
        std::fs::create_dir_all(&dir)
            .map_err(|e| format!("Can't open or create append-only dir {}: {e}", dir.display()))?;
        self.flush_aof_now()?;
        let (timestamps, as_rdb) = (self.config.aof_timestamp_enabled, self.config.aof_use_rdb_preamble);
        let aof = &mut self.persistence.aof;
        let mut seq = aof.manifest.next_seq(FileType::Incr);
        let mut name = Manifest::name(&stem, seq, FileType::Incr, false);
        let first = in_manifest && !aof.manifest.parts.iter().any(|part| part.file_type == FileType::Incr);
        while first && super::is_left_over(&dir.join(&name)) {
            seq += 1;
            name = Manifest::name(&stem, seq, FileType::Incr, false);
        }
        let path = dir.join(&name);
        let file = OpenOptions::new().create(true).write(true).truncate(true).open(&path);
        let file = file.map_err(|e| format!("Can't open the append-only file {}: {e}", path.display()))?;
        if in_manifest {
            let mut next = aof.manifest.clone();
            next.parts.push(Part { name, seq, file_type: FileType::Incr });
            next.store(&dir, &stem).map_err(|e| format!("Can't write the AOF manifest in {}: {e}", dir.display()))?;
            aof.manifest = next;
        }
        aof.use_file(file);
        aof.rewrite_from = seq;
        aof.selected.begin_file();
        aof.timestamps = timestamps;
        // A file goes on where the one before it ends, and where the snapshot ends that is written from now on.
        aof.tail = aof.tail.filter(|_| as_rdb);
        // A file can be read by itself, so it begins by selecting the database. A primary's stream, which it is, does so
        // now; a replica's does not, so the file does, and then says where the stream is.
        match &self.repl.link {
            None => self.repl.stream_db = None,
            Some(link) => {
                let db = link.stream_db.to_string();
                let aof = &mut self.persistence.aof;
                aof.selected.note(link.stream_db);
                encode_command(&mut aof.buffer, [&b"SELECT"[..], db.as_bytes()]);
                aof.annotate(self.repl.history.id, self.repl.history.offset);
                aof.tail = Some((self.repl.history.id, self.repl.history.offset));
            }
        }
        Ok(())
    }

    /// Writes and flushes everything now.
    ///
    /// # Errors
    /// What failed.
    pub fn flush_aof_now(&mut self) -> Result<(), String> {
        let offset = self.repl.offset();
        let aof = &mut self.persistence.aof;
        if aof.file.is_none() {
            return Ok(());
        }
        aof.follow_stream(&self.repl.history);
        aof.write_buffer(offset);
        if let Some(why) = &aof.error {
            return Err(format!("Writing the append-only file: {why}"));
        }
        if let Some(file) = &aof.file {
            file.sync_data().map_err(|e| format!("Flushing the append-only file: {e}"))?;
        }
        aof.unsynced = false;
        aof.fsynced_offset = aof.written_offset;
        Ok(())
    }

    /// The last flush before the end.
    ///
    /// # Errors
    /// What failed.
    pub fn close_aof_for_shutdown(&mut self) -> Result<(), String> {
        if self.persistence.aof.state == State::FirstRewrite {
            return Err("Writing initial AOF, can't exit.".to_owned());
        }
        if self.persistence.aof.is_on() {
            log_notice!("Calling fsync() on the AOF file.");
        }
        self.flush_aof_now()
    }
}

impl Aof {
    /// Appends to this file from now on.
    pub(super) fn use_file(&mut self, file: std::fs::File) {
        self.file = Some(file);
        self.file_number += 1;
        self.fsyncing = false;
        (self.error, self.flush_error) = (None, None);
    }

    /// Writes the buffer. What can't be written stays, and is tried again in the next turn.
    fn write_buffer(&mut self, offset: u64) {
        let Some(file) = &mut self.file else { return };
        let mut written = 0;
        let result = loop {
            match file.write(&self.buffer[written..]) {
                Ok(_) if written == self.buffer.len() => break Ok(()),
                Ok(0) => break Err(std::io::Error::other("nothing was written")),
                Ok(n) => written += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        self.size += written as u64;
        self.unsynced |= written > 0;
        match result {
            Ok(()) => {
                self.buffer.clear();
                if self.buffer.capacity() > 1 << 20 {
                    self.buffer = Vec::new();
                }
                self.written_offset = offset;
                if self.error.take().is_some() {
                    log_warning!("AOF write error looks solved. The server can write again.");
                }
            }
            Err(e) => {
                if self.error.is_none() {
                    log_warning!("Error writing to the AOF file: {e}");
                }
                self.buffer.drain(..written);
                self.error = Some(os_text(&e));
            }
        }
    }
}
