//! Receiving a snapshot: into a file that is then loaded, or straight into memory.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ReplId;
use super::link::{LINE_MAX, Phase};
use crate::config::{DisklessLoad, NotifyEvents};
use crate::keyspace::{ExpiryRule, Keyspace};
use crate::net::Stream;
use crate::persistence::load::{Aside, Into};
use crate::persistence::rdb::load::Summary;
use crate::server::Server;
use crate::server::apply::configure_keyspace;
use crate::{log_notice, log_warning};

/// How the end of the payload is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The header has not arrived.
    Unknown,
    /// So many bytes are left.
    Length(u64),
    /// Until these bytes.
    Mark([u8; 40]),
}

/// A snapshot on its way to us.
#[derive(Debug)]
pub struct Receive {
    /// The history that it belongs to, unless the primary is too old to say.
    pub history: Option<(ReplId, u64)>,
    /// See [`Framing`].
    pub framing: Framing,
    file: Option<(File, PathBuf)>,
    received: u64,
    synced: u64,
    /// The last bytes that may be the beginning of the mark.
    tail: Vec<u8>,
}

impl super::link::Link {
    /// Bytes of the snapshot that arrived, and of how many where that is known; while one arrives.
    pub fn sync_progress(&self) -> Option<(u64, Option<u64>)> {
        let Phase::Receiving(receive) = &self.phase else { return None };
        let total = match receive.framing {
            Framing::Length(left) => Some(receive.received + left),
            Framing::Unknown | Framing::Mark(_) => None,
        };
        Some((receive.received, total))
    }
}

/// The most that is read at once.
const PIECE: usize = 256 * 1024;
/// So often it is read in one turn: clients get theirs.
const READS: usize = 32;
/// Bytes after which the file is flushed, so that the end does not have to flush it all.
const SYNC_EVERY: u64 = 8 << 20;

impl Server {
    /// FULLRESYNC was answered: what we have will be replaced. `header` is the payload's first line if it came already.
    pub fn begin_receiving(&mut self, history: Option<(ReplId, u64)>, header: Option<String>) {
        let Some(link) = &mut self.repl.link else { return };
        let mut receive = Box::new(Receive {
            history,
            framing: Framing::Unknown,
            file: None,
            received: 0,
            synced: 0,
            tail: Vec::new(),
        });
        if let Some(header) = header {
            receive.framing = parse_framing(&header).unwrap_or(Framing::Unknown);
        }
        link.phase = Phase::Receiving(receive);
    }

    /// Takes what has arrived of the snapshot.
    pub fn receive_snapshot(&mut self) -> Result<(), String> {
        let now = self.now_ms();
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        let (Some(stream), Phase::Receiving(receive)) = (&link.stream, &mut link.phase) else { return Ok(()) };
        loop {
            if receive.framing == Framing::Unknown {
                // Bare line breaks are the primary's signs of life.
                let blank = link.input.iter().take_while(|c| **c == b'\n').count();
                link.input.drain(..blank);
                if let Some(end) = memchr::memchr(b'\n', &link.input) {
                    let line = String::from_utf8_lossy(&link.input[..end]).trim_end().to_owned();
                    link.input.drain(..=end);
                    receive.framing = parse_framing(&line).ok_or_else(|| {
                        format!("Bad protocol from PRIMARY, the first byte is not '$' (we received '{line}'), are you sure the host and port are right?")
                    })?;
                    let framing = receive.framing.clone();
                    let target = if self.loads_diskless() { "parser" } else { "disk" };
                    match framing {
                        Framing::Length(n) => {
                            log_notice!("PRIMARY <-> REPLICA sync: receiving {n} bytes from primary to {target}");
                        }
                        _ => log_notice!(
                            "PRIMARY <-> REPLICA sync: receiving streamed RDB from primary with EOF to {target}"
                        ),
                    }
                    return self.receive_payload();
                }
                if link.input.len() > LINE_MAX {
                    return Err("Bad protocol from PRIMARY: the snapshot begins with an endless line".to_owned());
                }
            } else {
                return self.receive_payload();
            }
            link.input.reserve(64 * 1024);
            match stream.read_into(&mut link.input, 64 * 1024) {
                Ok(0) => return Err("I/O error trying to sync with PRIMARY: connection lost".to_owned()),
                Ok(_) => link.last_io_ms = now,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(format!("I/O error trying to sync with PRIMARY: {e}")),
            }
        }
    }

    /// Whether the snapshot goes straight into memory.
    fn loads_diskless(&self) -> bool {
        match self.config.repl_diskless_load {
            DisklessLoad::Disabled => false,
            DisklessLoad::OnEmptyDb => self.keyspace.total_keys() == 0,
            _ => true,
        }
    }

    fn receive_payload(&mut self) -> Result<(), String> {
        if self.loads_diskless() && self.repl.link.as_ref().is_some_and(|l| l.is_receiving()) {
            return self.load_from_socket();
        }
        let now = self.now_ms();
        let dir = self.persistence.data_dir(&self.config);
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        let (Some(stream), Phase::Receiving(receive)) = (&link.stream, &mut link.phase) else { return Ok(()) };
        let bytes_in = &mut self.stats.repl_bytes_in;
        let complete = receive.take_turn(&mut link.input, &dir, |input| {
            let n = stream.read_into(input, PIECE)?;
            link.last_io_ms = now;
            *bytes_in += n as u64;
            Ok(n)
        })?;
        if complete { self.load_received_file() } else { Ok(()) }
    }

    /// The file is complete: put it in place and load it.
    fn load_received_file(&mut self) -> Result<(), String> {
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        let Phase::Receiving(receive) = &mut link.phase else { return Ok(()) };
        let history = receive.history;
        let Some((file, temp)) = receive.file.take() else {
            return Err("The PRIMARY sent an empty snapshot".to_owned());
        };
        let path = self.persistence.rdb_path(&self.config);
        file.sync_data().map_err(|e| {
            format!("Failed trying to sync the temp DB to disk in PRIMARY <-> REPLICA synchronization: {e}")
        })?;
        std::fs::rename(&temp, &path).map_err(|e| {
            let _ = std::fs::remove_file(&temp);
            format!(
                "Failed trying to rename the temp DB into {} in PRIMARY <-> REPLICA synchronization: {e}",
                String::from_utf8_lossy(&self.config.dbfilename)
            )
        })?;
        self.persistence.sync_dir(&self.config);
        let file = File::open(&path).map_err(|e| format!("Opening the received snapshot: {e}"))?;
        let total = file.metadata().map_or(0, |m| m.len());
        self.stop_watching_link();
        self.replace_data(file, total, false)?;
        self.sync_finished(history, Some(&path))
    }

    /// What follows the snapshot on its connection is read after it was loaded, by the client that the link becomes.
    fn stop_watching_link(&mut self) {
        if let Some(stream) = self.repl.link.as_ref().and_then(|link| link.stream.as_ref()) {
            self.poll.remove(stream);
        }
    }

    /// Loads the payload while it arrives. Nothing else runs meanwhile but what loading lets run.
    fn load_from_socket(&mut self) -> Result<(), String> {
        let timeout = Duration::from_secs(u64::from(self.config.repl_timeout));
        let Some(link) = &mut self.repl.link else { return Ok(()) };
        let Some(stream) = link.stream.take() else { return Ok(()) };
        let Phase::Receiving(receive) = &link.phase else { return Ok(()) };
        let (history, framing) = (receive.history, receive.framing.clone());
        let early = std::mem::take(&mut link.input);
        self.poll.remove(&stream);
        stream.set_blocking(Some(timeout)).map_err(|e| e.to_string())?;
        let total = if let Framing::Length(n) = framing { n } else { 0 };
        if let (Some(link), Ok(clone)) = (&mut self.repl.link, stream.try_clone()) {
            // For signs of life while loading.
            link.stream = Some(clone);
        }
        let mut source = SocketSource { stream: &stream, early, at: 0, framing };
        let rest = self
            .replace_data(&mut source, total, true)
            .and_then(|summary| source.finish(summary.rest))
            .map_err(|e| format!("Failed trying to load the PRIMARY synchronization DB from socket: {e}"));
        let watched = stream
            .set_blocking(None)
            .and_then(|()| self.poll.add(&stream, crate::net::Token::PrimaryLink, crate::net::Interest::Read));
        if let Some(link) = &mut self.repl.link {
            link.stream = Some(stream);
            link.input = rest?;
        }
        watched.map_err(|e| e.to_string())?;
        self.sync_finished(history, None)
    }

    /// Replaces the data set by a snapshot.
    fn replace_data<R: Read>(&mut self, source: R, total: u64, from_socket: bool) -> Result<Summary, String> {
        // It is written anew from what is loaded.
        self.stop_aof();
        if from_socket && self.config.repl_diskless_load == DisklessLoad::Swapdb {
            return self.load_aside(source, total);
        }
        // Our replicas hold another history from here on.
        self.leave_history();
        log_notice!("PRIMARY <-> REPLICA sync: Flushing old data");
        log_notice!("PRIMARY <-> REPLICA sync: Loading DB in memory");
        let mut emptied = false;
        self.load_rdb(source, total, Into::Emptied(&mut emptied)).inspect_err(|e| {
            log_warning!("PRIMARY <-> REPLICA sync failed: {e}");
            if emptied {
                // Half a data set is none.
                self.flush_everything();
                self.repl.history.restart();
            }
        })
    }

    /// Loads a snapshot beside the data set and exchanges the two when it is complete. Clients go on reading the old one
    /// meanwhile if the new one is a later state of it.
    fn load_aside<R: Read>(&mut self, source: R, total: u64) -> Result<Summary, String> {
        let same = match self.repl.link.as_ref().map(|l| &l.phase) {
            Some(Phase::Receiving(r)) => r.history.is_some_and(|(id, _)| id == self.repl.history.id),
            _ => false,
        };
        let mut keyspace = Keyspace::new(self.keyspace.count());
        configure_keyspace(&mut keyspace, &self.config);
        keyspace.set_notify(NotifyEvents::default());
        keyspace.set_expiry_rule(ExpiryRule::IGNORE);
        keyspace.set_now_ms(self.now_ms());
        let mut aside = Aside { keyspace, libraries: Vec::new() };
        self.begin_loading(total);
        if let Some(progress) = &mut self.loading.progress {
            progress.in_background = same;
        }
        self.update_expiry_rule();
        log_notice!("PRIMARY <-> REPLICA sync: Loading DB in memory");
        let loaded = self.load_rdb(source, total, Into::Aside(&mut aside)).and_then(|summary| {
            // What can't be compiled is not taken over.
            aside.libraries.iter().try_for_each(|code| self.check_library(code)).map(|()| summary)
        });
        self.end_loading();
        if loaded.is_ok() {
            log_notice!("PRIMARY <-> REPLICA sync: Swapping active DB with loaded DB");
            self.leave_history();
            self.keyspace.swap_data(&mut aside.keyspace);
            let retired = self.scripting.flush_functions();
            self.free_retired(retired, true);
            for code in &aside.libraries {
                self.load_stored_library(code, false)?;
            }
            log_notice!("PRIMARY <-> REPLICA sync: Discarding old DB in background");
        } else {
            log_notice!("PRIMARY <-> REPLICA sync: Discarding temporary DB in background");
        }
        self.bio.free_garbage(aside.keyspace.flush(None));
        loaded
    }

    /// What is here is about to belong to another history.
    fn leave_history(&mut self) {
        self.repl.idle_tail = None;
        self.repl.own_keys.clear();
        self.disconnect_replicas();
        self.repl.buffer = None;
    }

    fn sync_finished(&mut self, history: Option<(ReplId, u64)>, file: Option<&Path>) -> Result<(), String> {
        match history {
            Some((id, offset)) => {
                self.repl.history.id = id;
                self.repl.history.id2 = super::NO_REPLID;
                self.repl.history.id2_end = None;
                self.repl.history.offset = offset;
            }
            None => self.repl.history.restart(),
        }
        self.repl.data_offset = self.repl.history.offset;
        self.repl.stream_db = None;
        // A replica sends its replicas its primary's stream, which may have selected its database long ago.
        let stream_db = self.loaded_position.take().and_then(|position| position.stream_db);
        if let Some(link) = &mut self.repl.link {
            link.stream_db = stream_db.unwrap_or(0);
        }
        self.create_backlog();
        log_notice!("PRIMARY <-> REPLICA sync: Finished with success");
        crate::supervisor::tell(
            "STATUS=PRIMARY <-> REPLICA sync: Finished with success. Ready to accept connections in read-write mode.\n",
        );
        self.persistence_after_sync(file);
        match &self.repl.link {
            Some(link) if link.lost_main_channel() => {
                return Err("The connection that carries the stream was lost during the sync".to_owned());
            }
            Some(link) if link.dual_channel => self.snapshot_loaded(),
            _ => self.link_up(),
        }
        Ok(())
    }
}

impl Receive {
    /// Takes into the file what is there and what can be read now, by `read`; true at the payload's end.
    fn take_turn(
        &mut self,
        input: &mut Vec<u8>,
        dir: &Path,
        mut read: impl FnMut(&mut Vec<u8>) -> io::Result<usize>,
    ) -> Result<bool, String> {
        let mut reads = 0;
        loop {
            // Also after the last read of the turn: if it was the last of all, no readiness tells of it again.
            let complete = self.take(input, dir).map_err(|e| format!("Write error or short write writing to the DB dump file needed for PRIMARY <-> REPLICA synchronization: {e}"))?;
            if complete || reads == READS {
                return Ok(complete);
            }
            input.reserve(PIECE);
            match read(input) {
                Ok(0) => return Err("I/O error trying to sync with PRIMARY: connection lost".to_owned()),
                Ok(_) => reads += 1,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(format!("I/O error trying to sync with PRIMARY: {e}")),
            }
        }
    }

    /// Takes bytes into the file; true at the payload's end. What is left in `input` then follows the payload.
    fn take(&mut self, input: &mut Vec<u8>, dir: &Path) -> io::Result<bool> {
        if self.file.is_none() {
            let temp = dir.join(format!("temp-{}.{}.rdb", crate::sys::unix_ms() / 1000, std::process::id()));
            self.file = Some((File::create(&temp)?, temp));
        }
        let Some((file, _)) = &mut self.file else { return Ok(false) };
        let done = match &mut self.framing {
            Framing::Unknown => return Ok(false),
            Framing::Length(left) => {
                let n = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                file.write_all(&input[..n])?;
                input.drain(..n);
                *left -= n as u64;
                self.received += n as u64;
                *left == 0
            }
            Framing::Mark(mark) => {
                // The stream does not begin before our acknowledgement: the mark can only stand at the very end.
                self.tail.append(input);
                let ended = self.tail.ends_with(mark);
                let n = if ended { self.tail.len() - 40 } else { self.tail.len().saturating_sub(40) };
                file.write_all(&self.tail[..n])?;
                self.tail.drain(..n);
                self.received += n as u64;
                ended
            }
        };
        if self.received - self.synced > SYNC_EVERY {
            file.sync_data()?;
            self.synced = self.received;
        }
        Ok(done)
    }
}

impl Drop for Receive {
    fn drop(&mut self) {
        if let Some((_, temp)) = &self.file {
            let _ = std::fs::remove_file(temp);
        }
    }
}

/// The socket as a reader that ends where the payload does.
struct SocketSource<'a> {
    stream: &'a Stream,
    early: Vec<u8>,
    at: usize,
    framing: Framing,
}

impl Read for SocketSource<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let limit = match self.framing {
            Framing::Length(left) => usize::try_from(left).unwrap_or(usize::MAX).min(out.len()),
            _ => out.len(),
        };
        let out = &mut out[..limit];
        let n = if self.at < self.early.len() {
            let n = out.len().min(self.early.len() - self.at);
            out[..n].copy_from_slice(&self.early[self.at..self.at + n]);
            self.at += n;
            n
        } else {
            self.stream.read(out)?
        };
        if let Framing::Length(left) = &mut self.framing {
            *left -= n as u64;
        }
        Ok(n)
    }
}

impl SocketSource<'_> {
    /// Reads the mark, of which the loader may have received a part in `rest`; returns the bytes after the payload.
    fn finish(mut self, mut rest: Vec<u8>) -> Result<Vec<u8>, String> {
        if let Framing::Mark(mark) = self.framing {
            while rest.len() < mark.len() {
                let mut bytes = [0u8; 40];
                let room = mark.len() - rest.len();
                match self.read(&mut bytes[..room]) {
                    Ok(0) => return Err("the connection ended before the end mark".to_owned()),
                    Ok(n) => rest.extend_from_slice(&bytes[..n]),
                    Err(e) => return Err(e.to_string()),
                }
            }
            if !rest.starts_with(&mark) {
                return Err("the snapshot is not followed by its end mark".to_owned());
            }
            rest.drain(..mark.len());
        }
        rest.extend_from_slice(self.early.get(self.at..).unwrap_or(&[]));
        Ok(rest)
    }
}

fn parse_framing(line: &str) -> Option<Framing> {
    let rest = line.strip_prefix('$')?;
    match rest.strip_prefix("EOF:") {
        Some(mark) => Some(Framing::Mark(mark.as_bytes().try_into().ok()?)),
        None => Some(Framing::Length(rest.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_ends_with_the_last_read_of_a_turn_is_complete() {
        let dir = std::env::temp_dir();
        for pieces in [1, READS - 1, READS, READS + 1] {
            let mark = *b"0123456789012345678901234567890123456789";
            let mut receive = Receive {
                history: None,
                framing: Framing::Mark(mark),
                file: None,
                received: 0,
                synced: 0,
                tail: Vec::new(),
            };
            let (mut left, mut input) = (pieces, Vec::new());
            let mut read = |input: &mut Vec<u8>| {
                if left == 0 {
                    return Err(ErrorKind::WouldBlock.into());
                }
                left -= 1;
                input.extend_from_slice(if left == 0 { &mark } else { b"some of it" });
                Ok(1)
            };
            // Nothing tells of more than what can be read.
            let turns = pieces.div_ceil(READS);
            let complete = (0..turns).any(|_| receive.take_turn(&mut input, &dir, &mut read).unwrap());
            assert!(complete, "{pieces}");
            assert_eq!(receive.received as usize, (pieces - 1) * 10);
        }
    }
}
