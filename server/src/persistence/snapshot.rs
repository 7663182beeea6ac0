//! Snapshots of the data set: SAVE, BGSAVE, and those for replicas.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::child::{Child, Purpose, Reporter};
use super::fan::Fan;
use super::gradual::Gradual;
use crate::config::Config;
use crate::net::{Interest, Token};
use crate::replication::{ReplId, Replication};
use crate::server::Server;
use crate::{log_notice, log_warning};

/// A snapshot's format, and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The RDB version: 80 (`VALKEY080`) or 11 (`REDIS0011`).
    pub version: u32,
    /// Whether it holds the keys.
    pub keys: bool,
    /// Whether it holds the libraries of functions.
    pub functions: bool,
}

impl Format {
    /// What Valkey 9 and this server read.
    pub const CURRENT: Format = Format { version: 80, keys: true, functions: true };
    /// What Valkey 8 and Redis 7.2 read too.
    pub const COMPATIBLE: Format = Format { version: 11, keys: true, functions: true };
}

/// Where a child writes a snapshot to.
#[derive(Debug)]
pub enum Target {
    /// The RDB file.
    File,
    /// A pipe to the parent, for replicas' sockets.
    Pipe(OwnedFd),
    /// Replicas' sockets themselves.
    Sockets(Vec<OwnedFd>),
}

/// What is known of snapshots, beyond the running child.
#[derive(Debug)]
pub struct RdbState {
    /// Unix time in seconds of the last good one.
    pub last_save: i64,
    /// `dirty` at the last good one.
    pub dirty_at_save: u64,
    /// Whether the last one succeeded.
    pub last_ok: bool,
    /// Unix time in seconds of the last attempt.
    pub last_try: i64,
    /// Seconds that the last one took; -1: none yet.
    pub last_seconds: i64,
    /// Bytes that copy-on-write copied for the last one.
    pub last_cow: u64,
    /// BGSAVE was asked for while another child ran.
    pub scheduled: bool,
    /// Snapshots saved since the start.
    pub saves: u64,
    /// Keys loaded at start.
    pub keys_loaded: u64,
    /// Keys that had expired, found while loading.
    pub keys_expired: u64,
}

impl RdbState {
    /// Nothing saved yet.
    pub fn new(now_ms: i64) -> Self {
        RdbState {
            last_save: now_ms / 1000,
            dirty_at_save: 0,
            last_ok: true,
            last_try: 0,
            last_seconds: -1,
            last_cow: 0,
            scheduled: false,
            saves: 0,
            keys_loaded: 0,
            keys_expired: 0,
        }
    }
}

/// The directory of all data files.
pub fn data_dir(config: &Config) -> PathBuf {
    path_of(&config.dir)
}

/// Bytes of a configuration value as a path.
pub fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Makes sure that a directory's entries are on disk.
///
/// # Errors
/// Those of `open` and `fsync`.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

impl Server {
    /// Forks a child that writes a snapshot. `for_replicas` is the history that it belongs to, if replicas wait for it.
    ///
    /// # Errors
    /// When the fork fails.
    pub fn start_snapshot(
        &mut self,
        target: Target,
        format: Format,
        for_replicas: Option<(ReplId, u64)>,
    ) -> io::Result<()> {
        let socket = !matches!(target, Target::File);
        let purpose = if socket {
            Purpose::Sockets
        } else {
            Purpose::Snapshot { for_replicas: for_replicas.map(|(id, offset)| (id, offset, format)) }
        };
        self.persistence.rdb.last_try = self.now_ms() / 1000;
        let spawned = {
            let this = &*self;
            Child::spawn(purpose, this.keyspace.dirty(), &this.listeners, |reporter| {
                crate::affinity::bind(&this.config.bgsave_cpulist);
                this.show_title(Some(if socket { "valkey-rdb-to-replicas" } else { "valkey-rdb-bgsave" }));
                this.write_snapshot(target, format, reporter)
            })
        };
        let (mut child, fork_us) = spawned.inspect_err(|e| {
            log_warning!("Can't save in background: fork: {e}");
        })?;
        child.progress.total_keys = self.keyspace.total_keys() as u64;
        if socket {
            log_notice!("Background RDB transfer started by pid {}", child.pid);
        } else {
            log_notice!("Background saving started by pid {}", child.pid);
        }
        self.adopt_child(child, fork_us)
    }

    /// Watches a new child.
    ///
    /// # Errors
    /// When the report pipe can't be watched; the child runs nevertheless.
    pub fn adopt_child(&mut self, child: Child, fork_us: u64) -> io::Result<()> {
        self.forked(std::time::Duration::from_micros(fork_us));
        self.note_child(true);
        let watched = self.poll.add(child.report_fd(), Token::Child, Interest::Read);
        self.persistence.child = Some(child);
        if self.debug.stop_after_fork {
            crate::sys::kill(std::process::id() as i32, libc::SIGSTOP);
        }
        watched
    }

    /// Takes note of a fork and of how long it took.
    pub fn forked(&mut self, took: std::time::Duration) {
        self.stats.forks += 1;
        self.stats.latest_fork_us = took.as_micros() as u64;
        self.note_latency(crate::server::latency::Event::Fork, took);
    }

    /// In the child: serialises the data set.
    fn write_snapshot(&self, target: Target, format: Format, reporter: &Reporter) -> Result<(), String> {
        match target {
            Target::Pipe(pipe) => self.write_marked(&mut File::from(pipe), format, reporter),
            Target::Sockets(sockets) => {
                let mut fan = Fan::new(sockets, self.config.repl_timeout, reporter);
                let done = self.write_marked(&mut fan, format, reporter);
                reporter.send(0, 0);
                done
            }
            Target::File => self.write_rdb_file(format, Some(reporter)),
        }
    }

    /// Writes a snapshot whose end the reader knows by a mark.
    fn write_marked(&self, out: &mut dyn io::Write, format: Format, reporter: &Reporter) -> Result<(), String> {
        let mark = crate::sys::random_hex40();
        out.write_all(&[&b"$EOF:"[..], &mark, b"\r\n"].concat())
            .map_err(|e| e.to_string())
            .and_then(|()| super::write_rdb(self, out, format, false, Some(reporter)))
            .and_then(|()| out.write_all(&mark).map_err(|e| e.to_string()))
            .map_err(|e| format!("Error writing the snapshot for replicas: {e}"))
    }

    /// Writes the RDB file: to a temporary one, flushed, then renamed.
    ///
    /// # Errors
    /// What failed, and where.
    pub fn write_rdb_file(&self, format: Format, reporter: Option<&Reporter>) -> Result<(), String> {
        let dir = data_dir(&self.config);
        let temp = dir.join(format!("temp-{}.rdb", std::process::id()));
        let path = dir.join(path_of(&self.config.dbfilename));
        let write = || -> Result<(), String> {
            let mut file =
                File::create(&temp).map_err(|e| format!("Failed opening the temp RDB file {}: {e}", temp.display()))?;
            let mut gradual = Gradual::new(&mut file, self.config.rdb_save_incremental_fsync);
            super::write_rdb(self, &mut gradual, format, false, reporter)?;
            file.sync_all().map_err(|e| format!("Write error saving DB on disk: fsync: {e}"))?;
            fs::rename(&temp, &path).map_err(|e| {
                format!("Error moving temp DB file {} on the final destination {}: {e}", temp.display(), path.display())
            })?;
            sync_dir(&dir).map_err(|e| format!("Write error saving DB on disk: fsync of the directory: {e}"))
        };
        let done = write();
        if done.is_err() {
            let _ = fs::remove_file(&temp);
        }
        done
    }

    /// SAVE: writes the RDB file now.
    ///
    /// # Errors
    /// What failed.
    pub fn save_now(&mut self) -> Result<(), String> {
        let started = std::time::Instant::now();
        self.persistence.rdb.last_try = self.now_ms() / 1000;
        let done = self.write_rdb_file(Format::CURRENT, None);
        let dirty = self.keyspace.dirty();
        self.note_saved(done.is_ok(), dirty, started.elapsed().as_secs() as i64);
        match &done {
            Ok(()) => log_notice!("DB saved on disk"),
            Err(e) => log_warning!("{e}"),
        }
        done
    }

    /// Takes note of the end of a save.
    pub fn note_saved(&mut self, ok: bool, dirty: u64, seconds: i64) {
        let now = self.now_ms() / 1000;
        let rdb = &mut self.persistence.rdb;
        rdb.last_ok = ok;
        rdb.last_seconds = seconds;
        if ok {
            rdb.saves += 1;
            rdb.last_save = now;
            rdb.dirty_at_save = dirty;
        }
    }

    /// Changes since the last good snapshot.
    pub fn changes_since_save(&self) -> u64 {
        self.keyspace.dirty().saturating_sub(self.persistence.rdb.dirty_at_save)
    }
}

/// The replication fields of an RDB file: what a restart needs to go on by partial sync.
pub fn history_fields(repl: &Replication) -> Option<(ReplId, u64, Option<usize>)> {
    repl.buffer.as_ref()?;
    let db = match &repl.link {
        Some(link) => Some(link.stream_db),
        None => repl.stream_db,
    };
    Some((repl.history.id, repl.history.offset, db))
}
