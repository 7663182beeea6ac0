//! Forked children: they see the data set as it was at the fork, by copy-on-write, and do nothing but serialise it.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use super::snapshot::Format;
use crate::net::listener::Listener;
use crate::replication::ReplId;
use crate::sys::{self, Fork};

/// What a child was forked for.
#[derive(Debug)]
pub enum Purpose {
    /// An RDB file; for replicas too if the history that the file belongs to is given.
    Snapshot {
        /// Replication id, offset and format, when replicas wait for it.
        for_replicas: Option<(ReplId, u64, Format)>,
    },
    /// A snapshot through a pipe to replicas' sockets.
    Sockets,
    /// A rewrite of the append-only file.
    AofRewrite,
}

/// A running child. There is at most one.
#[derive(Debug)]
pub struct Child {
    /// Its process id.
    pub pid: i32,
    /// See [`Purpose`].
    pub purpose: Purpose,
    /// When it was forked.
    pub started: Instant,
    /// Unix time in seconds of that.
    pub started_unix: i64,
    /// `dirty` at the fork: the changes that its file will hold.
    pub dirty_at_fork: u64,
    /// Where it reports.
    report: OwnedFd,
    /// The last report.
    pub progress: Progress,
    /// The most that copy-on-write copied by any report.
    pub cow_peak: u64,
}

/// A child's report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Keys written.
    pub keys: u64,
    /// Keys to write.
    pub total_keys: u64,
    /// Bytes that copy-on-write copied so far.
    pub cow_bytes: u64,
    /// Unix time in ms at which that was measured.
    pub cow_measured_ms: i64,
    /// Bytes that it sent to replicas.
    pub sent: u64,
}

impl Progress {
    /// Seconds since it was measured what copy-on-write copied.
    pub fn cow_age(&self, now_ms: i64) -> i64 {
        if self.cow_measured_ms == 0 { 0 } else { (now_ms - self.cow_measured_ms).max(0) / 1000 }
    }
}

/// The size of a report: five numbers.
const REPORT: usize = 40;

/// The child's end of the report pipe.
#[derive(Debug)]
pub struct Reporter {
    pipe: OwnedFd,
    sent: Cell<u64>,
    cow_bytes: Cell<u64>,
    cow_measured_ms: Cell<i64>,
    measure_next: Cell<Instant>,
}

/// The kernel walks all of the process's pages to say what is no longer shared: a child spends no more than one part in so many of its time
/// on asking.
const MEASURE_DUTY: u32 = 100;

impl Reporter {
    /// Sends a report. A parent that is gone needs none.
    pub fn send(&self, keys: u64, total_keys: u64) {
        let begun = Instant::now();
        let last = keys >= total_keys;
        if last || begun >= self.measure_next.get() {
            self.cow_bytes.set(private_dirty_bytes());
            self.cow_measured_ms.set(sys::unix_ms());
            self.measure_next.set(Instant::now() + begun.elapsed() * MEASURE_DUTY);
        }
        let mut bytes = [0u8; REPORT];
        let numbers = [keys, total_keys, self.cow_bytes.get(), self.cow_measured_ms.get() as u64, self.sent.get()];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        let _ = rustix::io::write(&self.pipe, &bytes);
    }

    /// Counts bytes that were sent to replicas; the next report tells.
    pub fn sent(&self, bytes: usize) {
        self.sent.set(self.sent.get() + bytes as u64);
    }
}

impl Child {
    /// Forks a child that runs `body` and exits with 0 if that succeeded, 1 if not, logging why.
    ///
    /// # Errors
    /// Those of `pipe` and `fork`.
    pub fn spawn(
        purpose: Purpose,
        dirty: u64,
        listeners: &[Listener],
        body: impl FnOnce(&Reporter) -> Result<(), String>,
    ) -> io::Result<(Child, u64)> {
        let (read, write) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK)?;
        let before = Instant::now();
        match sys::fork()? {
            Fork::Child => {
                sys::die_with_parent();
                // A large child takes its time to die, and the server's successor wants the port.
                listeners.iter().for_each(|listener| sys::close_in_child(listener.as_fd()));
                sys::default_signals();
                crate::log::set_role(crate::log::Role::Child);
                crate::server::oom::of_child();
                drop(read);
                let reporter = Reporter {
                    pipe: write,
                    sent: Cell::new(0),
                    cow_bytes: Cell::new(0),
                    cow_measured_ms: Cell::new(0),
                    measure_next: Cell::new(Instant::now()),
                };
                let code = match body(&reporter) {
                    Ok(()) => 0,
                    Err(why) => {
                        crate::log_warning!("{why}");
                        1
                    }
                };
                sys::exit_now(code)
            }
            Fork::Parent(pid) => {
                let fork_us = before.elapsed().as_micros() as u64;
                let child = Child {
                    pid,
                    purpose,
                    started: Instant::now(),
                    started_unix: sys::unix_ms() / 1000,
                    dirty_at_fork: dirty,
                    report: read,
                    progress: Progress::default(),
                    cow_peak: 0,
                };
                Ok((child, fork_us))
            }
        }
    }

    /// The read end of the report pipe, for the event loop.
    pub fn report_fd(&self) -> &OwnedFd {
        &self.report
    }

    /// Takes what the child reported; false when it closed the pipe.
    pub fn read_reports(&mut self) -> bool {
        loop {
            let mut bytes = [0u8; REPORT];
            match rustix::io::read(&self.report, &mut bytes) {
                Ok(REPORT) => {
                    let word = |i: usize| u64::from_ne_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap_or_default());
                    self.progress = Progress {
                        keys: word(0),
                        total_keys: word(1),
                        cow_bytes: word(2),
                        cow_measured_ms: word(3) as i64,
                        sent: word(4),
                    };
                    self.cow_peak = self.cow_peak.max(self.progress.cow_bytes);
                }
                Ok(0) => return false,
                _ => return true,
            }
        }
    }
}

/// Bytes of memory that this process does not share with its parent any more.
fn private_dirty_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("Private_Dirty:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
}
