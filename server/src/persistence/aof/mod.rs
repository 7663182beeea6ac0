//! The append-only file: the replication stream on disk.
//!
//! What is appended are the very bytes that replicas get. So the file's end is a position in a history: annotations
//! (`#REPL:<id>:<offset>`, comments to every reader) say which, wherever that does not follow from the bytes before. A
//! restart knows from them where it stands and goes on by partial sync.
//!
//! | file | subject |
//! |---|---|
//! | `manifest` | which files there are |
//! | `write` | appending and flushing |
//! | `rewrite` | a new base from a forked child |
//! | `commands` | a data set as commands, for a base without RDB preamble; `stream`: a stream |
//! | `load` | reading at start |
//! | `selected` | the databases that they need |
//! | `check` | is a file whole? |

pub mod check;
pub mod commands;
pub mod load;
pub mod manifest;
pub mod rewrite;
pub mod selected;
mod stream;
pub mod write;

use std::fs::File;
use std::path::PathBuf;

use manifest::Manifest;

use crate::config::Config;
use crate::replication::{History, ReplId};

/// Whether commands are appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// They are not.
    #[default]
    Off,
    /// They are, to the manifest's last increment.
    On,
    /// They are, to an increment that becomes valid with the base that is being written.
    FirstRewrite,
}

/// The append-only file's state.
#[derive(Debug, Default)]
pub struct Aof {
    /// See [`State`].
    pub state: State,
    manifest: Manifest,
    file: Option<File>,
    /// Counts opened files, to know late ends of flushes.
    file_number: u64,
    /// Appended and not written yet.
    buffer: Vec<u8>,
    /// See [`selected::Selected`].
    pub selected: selected::Selected,
    /// The position that the end of the file and `buffer` stands for.
    tail: Option<(ReplId, u64)>,
    /// Offset up to which the file is written, and on disk.
    written_offset: u64,
    fsynced_offset: u64,
    /// Written since the last flush.
    unsynced: bool,
    /// Unix time in ms of the last flush, and whether one is under way.
    last_fsync_ms: i64,
    fsyncing: bool,
    /// Bytes of all live files, and what they were after the last rewrite.
    pub size: u64,
    /// See `size`.
    pub base_size: u64,
    /// Why the file can't be written.
    error: Option<String>,
    /// Why what it holds did not reach the disk. A later flush may succeed without it, so only another file ends this.
    flush_error: Option<String>,
    /// Whether the last rewrite succeeded.
    pub last_rewrite_ok: bool,
    /// Seconds that it took; -1: none yet.
    pub last_rewrite_seconds: i64,
    /// Bytes that copy-on-write copied for it.
    pub last_rewrite_cow: u64,
    /// BGREWRITEAOF was asked for while another child ran.
    pub rewrite_scheduled: bool,
    /// The first increment after the base that is being written.
    rewrite_from: u64,
    /// Whether that base is a snapshot, and not commands.
    rewrite_as_rdb: bool,
    /// Rewrites that succeeded since the start.
    pub rewrites: u64,
    /// Rewrites that failed in a row, and the Unix time in ms of the next attempt.
    failures: u32,
    retry_ms: i64,
    /// The log tells that a rewrite waits for that time.
    retry_told: bool,
    /// Unix time in seconds of the last `#TS:` annotation.
    last_timestamp: i64,
    timestamps: bool,
    /// Flushes that were put off because one was under way.
    pub delayed_fsync: u64,
}

/// Whether a file that no manifest names holds something: it may be all that is left of a data set whose manifest was lost.
fn is_left_over(path: &std::path::Path) -> bool {
    let holds = std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    if holds {
        crate::log_warning!("{} is in no manifest: it is left as it is", path.display());
    }
    holds
}

impl Aof {
    /// Off.
    pub fn new() -> Self {
        Aof { last_rewrite_ok: true, last_rewrite_seconds: -1, ..Self::default() }
    }

    /// Whether commands are being appended.
    pub fn is_on(&self) -> bool {
        self.state != State::Off
    }

    /// Bytes that wait to be written.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Why writes are refused, if they are.
    pub fn write_error(&self) -> Option<&str> {
        self.error.as_deref().or(self.flush_error.as_deref())
    }

    /// Rewrites that failed in a row.
    pub fn failed_rewrites(&self) -> u32 {
        self.failures
    }

    /// Whether a flush is under way.
    pub fn is_fsyncing(&self) -> bool {
        self.fsyncing
    }

    /// The file holds what is up to this offset, and that is on disk.
    fn begin_at(&mut self, offset: u64) {
        (self.written_offset, self.fsynced_offset) = (offset, offset);
    }

    /// The replication offset up to which the file is on disk.
    pub fn fsynced_offset(&self) -> u64 {
        self.fsynced_offset
    }

    /// Appends bytes of the replication stream; `history` is the state after them.
    pub fn append(&mut self, bytes: &[u8], history: &History) {
        if self.state == State::Off || self.file.is_none() {
            return;
        }
        let before = history.offset - bytes.len() as u64;
        if self.tail != Some((history.id, before)) {
            self.annotate(history.id, before);
        }
        if self.timestamps {
            self.annotate_time();
        }
        self.buffer.extend_from_slice(bytes);
        self.tail = Some((history.id, history.offset));
    }

    /// Appends bytes that are not part of the replication stream: a writable replica's own writes.
    pub fn append_foreign(&mut self, bytes: &[u8]) {
        if self.state == State::Off || self.file.is_none() {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        // The data set is at no position of any history any more.
        self.tail = None;
        self.buffer.extend_from_slice(b"#REPL:none\r\n");
    }

    /// Takes note that the stream went on with bytes that only replicas need: a restart must know of them, or it would
    /// be behind its own replicas.
    pub fn follow_stream(&mut self, history: &History) {
        if self.state != State::Off && self.tail.is_some() && self.tail != Some((history.id, history.offset)) {
            self.annotate(history.id, history.offset);
            self.tail = Some((history.id, history.offset));
        }
    }

    fn annotate(&mut self, id: ReplId, offset: u64) {
        self.buffer.extend_from_slice(b"#REPL:");
        self.buffer.extend_from_slice(&id);
        self.buffer.push(b':');
        self.buffer.extend_from_slice(itoa::Buffer::new().format(offset).as_bytes());
        self.buffer.extend_from_slice(b"\r\n");
    }

    fn annotate_time(&mut self) {
        let now = crate::sys::unix_ms() / 1000;
        if now > self.last_timestamp {
            self.last_timestamp = now;
            self.buffer.extend_from_slice(format!("#TS:{now}\r\n").as_bytes());
        }
    }
}

/// The directory of the append-only file.
pub fn directory(config: &Config) -> PathBuf {
    super::snapshot::data_dir(config).join(super::snapshot::path_of(&config.appenddirname))
}

/// What all file names begin with.
pub fn stem(config: &Config) -> String {
    String::from_utf8_lossy(&config.appendfilename).into_owned()
}
