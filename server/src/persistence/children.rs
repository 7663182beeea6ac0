//! What follows from the end of a child.

use super::child::Purpose;
use super::snapshot::{Format, Target};
use crate::server::Server;
use crate::{log_notice, log_warning};

impl Server {
    /// The child reported, or closed its pipe: its end follows.
    pub fn child_reported(&mut self) {
        let Some(child) = &mut self.persistence.child else { return };
        if !child.read_reports() {
            self.poll.remove(child.report_fd());
        }
    }

    /// Some child ended (SIGCHLD).
    pub fn reap_children(&mut self) {
        while let Some((pid, end)) = crate::sys::reap_child() {
            if self.persistence.child.as_ref().is_some_and(|c| c.pid == pid) {
                self.child_ended(end);
            }
        }
    }

    /// Kills the child and waits until it is gone, so that the next command may start another. It was not a failure. Returns its
    /// process id.
    pub fn discard_child(&mut self) -> Option<i32> {
        let child = self.persistence.child.take()?;
        crate::sys::kill(child.pid, libc::SIGKILL);
        crate::sys::wait_for_child(child.pid);
        self.poll.remove(child.report_fd());
        self.note_child(false);
        Some(child.pid)
    }

    fn child_ended(&mut self, end: Result<i32, i32>) {
        let Some(mut child) = self.persistence.child.take() else { return };
        child.read_reports();
        self.poll.remove(child.report_fd());
        self.note_child(false);
        let ok = end == Ok(0);
        let seconds = child.started.elapsed().as_secs() as i64;
        match &child.purpose {
            Purpose::Snapshot { for_replicas } => {
                self.persistence.rdb.last_cow = child.progress.cow_bytes;
                // A child killed on purpose (a shutdown, a flush) is no sign of a broken disk.
                if end != Err(libc::SIGUSR1) {
                    self.note_saved(ok, child.dirty_at_fork, seconds);
                }
                match end {
                    Ok(0) => log_notice!("Background saving terminated with success"),
                    Ok(_) => log_warning!("Background saving error"),
                    Err(signal) => log_warning!("Background saving terminated by signal {signal}"),
                }
                if !ok {
                    self.remove_unfinished_snapshot(child.pid);
                }
                if for_replicas.is_some() {
                    self.file_snapshot_ended(ok);
                }
            }
            Purpose::Sockets => {
                match end {
                    Ok(_) => {}
                    Err(signal) => log_warning!("Background transfer terminated by signal {signal}"),
                }
                self.stats.repl_bytes_out += child.progress.sent;
                if self.repl.transfer.is_some() {
                    self.socket_snapshot_ended(ok);
                } else {
                    self.direct_snapshot_ended(ok, end == Err(libc::SIGKILL));
                }
            }
            Purpose::AofRewrite => self.aof_rewrite_ended(ok, &child),
        }
    }

    /// Removes what a child has written that was killed while it saved.
    pub fn remove_unfinished_snapshot(&self, pid: i32) {
        let _ = std::fs::remove_file(self.unfinished_snapshot(pid));
    }

    /// What a process writes a snapshot into before it is whole.
    pub fn unfinished_snapshot(&self, pid: i32) -> std::path::PathBuf {
        super::snapshot::data_dir(&self.config).join(format!("temp-{pid}.rdb"))
    }

    /// BGSAVE.
    ///
    /// # Errors
    /// When the fork fails.
    pub fn bgsave(&mut self) -> std::io::Result<()> {
        self.persistence.rdb.scheduled = false;
        self.start_snapshot(Target::File, Format::CURRENT, None).inspect_err(|_| {
            self.persistence.rdb.last_ok = false;
        })
    }

    /// Starts what the save points or a postponed BGSAVE ask for. From cron.
    pub fn save_if_due(&mut self) {
        if self.persistence.child.is_some() || self.loading.progress.is_some() {
            return;
        }
        if self.persistence.rdb.scheduled {
            if self.bgsave().is_err() {
                log_warning!("The scheduled BGSAVE could not be started");
            }
            return;
        }
        let now = self.now_ms() / 1000;
        let rdb = &self.persistence.rdb;
        let changes = self.changes_since_save();
        // After a failure a new attempt waits a little.
        let may_try = rdb.last_ok || now - rdb.last_try > 5;
        let due = self
            .config
            .save
            .iter()
            .find(|p| changes >= p.changes as u64 && now - rdb.last_save > p.seconds)
            .map(|p| (p.changes, p.seconds));
        if let Some((changes, seconds)) = due
            && may_try
        {
            log_notice!("{changes} changes in {seconds} seconds. Saving...");
            if self.bgsave().is_err() {
                log_warning!("The snapshot could not be started");
            }
        }
    }
}
