//! Rewriting: a forked child writes a new base, while what happens meanwhile goes to a new increment.

use std::fs::{self, File};
use std::io::{BufWriter, Write};

use super::manifest::{FileType, Manifest, Part};
use super::{State, directory, stem};
use crate::persistence::child::{Child, Purpose, Reporter};
use crate::persistence::gradual::Gradual;
use crate::persistence::snapshot::Format;
use crate::server::Server;
use crate::{log_notice, log_warning};

/// Failed rewrites in a row after which the next one waits, longer each time: a minute, two, ... an hour.
const FREE_FAILURES: u32 = 2;
const LONGEST_WAIT_MINUTES: i64 = 60;

impl Server {
    /// Starts a rewrite.
    ///
    /// # Errors
    /// Why it can't be started.
    pub fn rewrite_aof(&mut self) -> Result<(), String> {
        self.persistence.aof.rewrite_scheduled = false;
        if self.persistence.child.is_some() {
            return Err("another child runs".to_owned());
        }
        let first = self.persistence.aof.state == State::FirstRewrite;
        if self.persistence.aof.is_on() {
            self.open_new_increment(!first)?;
        } else {
            let dir = directory(&self.config);
            fs::create_dir_all(&dir)
                .map_err(|e| format!("Can't open or create append-only dir {}: {e}", dir.display()))?;
        }
        self.persistence.aof.rewrite_as_rdb = self.config.aof_use_rdb_preamble;
        let spawned = {
            let this = &*self;
            Child::spawn(Purpose::AofRewrite, this.keyspace.dirty(), &this.listeners, |reporter| {
                crate::affinity::bind(&this.config.aof_rewrite_cpulist);
                this.show_title(Some("valkey-aof-rewrite"));
                this.write_base(reporter)
            })
        };
        let (child, fork_us) =
            spawned.map_err(|e| format!("Can't rewrite append only file in background: fork: {e}"))?;
        log_notice!("Background append only file rewriting started by pid {}", child.pid);
        self.adopt_child(child, fork_us).map_err(|e| e.to_string())
    }

    /// In the child: writes the base under a temporary name.
    fn write_base(&self, reporter: &Reporter) -> Result<(), String> {
        let path = directory(&self.config).join(temp_name(std::process::id()));
        self.write_base_file(&path, Some(reporter))
    }

    /// Writes a base, flushed.
    ///
    /// # Errors
    /// What failed.
    pub fn write_base_file(&self, path: &std::path::Path, reporter: Option<&Reporter>) -> Result<(), String> {
        let mut file = File::create(path)
            .map_err(|e| format!("Opening the temp file for AOF rewrite: {}: {e}", path.display()))?;
        let mut gradual = Gradual::new(&mut file, self.config.aof_rewrite_incremental_fsync);
        if self.config.aof_use_rdb_preamble {
            crate::persistence::write_rdb(self, &mut gradual, Format::CURRENT, true, reporter)?;
        } else {
            let mut out = BufWriter::with_capacity(256 * 1024, gradual);
            let time = format!("#TS:{}\r\n", crate::sys::unix_ms() / 1000);
            let header = if self.config.aof_timestamp_enabled { time.as_bytes() } else { b"" };
            out.write_all(header)
                .and_then(|()| super::commands::write(self, &mut out))
                .and_then(|()| out.flush())
                .map_err(|e| format!("Write error writing append only file on disk: {e}"))?;
        }
        file.sync_all().map_err(|e| format!("Write error writing append only file on disk: fsync: {e}"))
    }

    /// The child that wrote a new base ended.
    pub fn aof_rewrite_ended(&mut self, ok: bool, child: &Child) {
        let now = self.now_ms();
        let temp = directory(&self.config).join(temp_name(child.pid as u32));
        self.persistence.aof.last_rewrite_seconds = child.started.elapsed().as_secs() as i64;
        self.persistence.aof.last_rewrite_cow = child.progress.cow_bytes;
        let result = if ok {
            log_notice!("Background AOF rewrite terminated with success");
            self.install_base(&temp)
        } else {
            Err("the child failed".to_owned())
        };
        let aof = &mut self.persistence.aof;
        aof.last_rewrite_ok = result.is_ok();
        match result {
            Ok(()) => {
                aof.failures = 0;
                aof.retry_ms = 0;
                aof.rewrites += 1;
                log_notice!("Background AOF rewrite finished successfully");
            }
            Err(why) => {
                log_warning!("Background AOF rewrite failed: {why}");
                let _ = fs::remove_file(&temp);
                aof.failures += 1;
                // Every attempt leaves an increment behind: many in a row would only fill the disk.
                let over = aof.failures.saturating_sub(FREE_FAILURES).min(7);
                aof.retry_ms = now;
                aof.retry_told = false;
                if over > 0 {
                    let minutes = (1i64 << (over - 1)).min(LONGEST_WAIT_MINUTES);
                    aof.retry_ms = now + minutes * 60_000;
                }
                if aof.state == State::FirstRewrite {
                    // Without its base the increment is worth nothing. The next attempt begins another.
                    let path = directory(&self.config).join(Manifest::name(
                        &stem(&self.config),
                        aof.rewrite_from,
                        FileType::Incr,
                        false,
                    ));
                    log_notice!("Removing the temp incr aof file {}", path.display());
                    aof.file = None;
                    aof.buffer.clear();
                    let _ = fs::remove_file(&path);
                    aof.rewrite_scheduled = true;
                }
            }
        }
    }

    /// Puts a written base in place.
    pub(super) fn install_base(&mut self, temp: &std::path::Path) -> Result<(), String> {
        let (dir, stem) = (directory(&self.config), stem(&self.config));
        let keep_history = self.config.aof_disable_auto_gc;
        let aof = &mut self.persistence.aof;
        let mut seq = aof.manifest.next_seq(FileType::Base);
        let mut name = Manifest::name(&stem, seq, FileType::Base, aof.rewrite_as_rdb);
        while aof.manifest.parts.is_empty() && super::is_left_over(&dir.join(&name)) {
            seq += 1;
            name = Manifest::name(&stem, seq, FileType::Base, aof.rewrite_as_rdb);
        }
        let path = dir.join(&name);
        fs::rename(temp, &path).map_err(|e| format!("renaming the base into place: {e}"))?;
        let base_size = fs::metadata(&path).map_or(0, |m| m.len());
        let mut next = aof.manifest.clone();
        if aof.state == State::FirstRewrite {
            let incr = Manifest::name(&stem, aof.rewrite_from, FileType::Incr, false);
            next.parts.push(Part { name: incr, seq: aof.rewrite_from, file_type: FileType::Incr });
        }
        let from = if aof.is_on() { aof.rewrite_from } else { u64::MAX };
        next.rebase(Part { name, seq, file_type: FileType::Base }, from);
        let gone = if keep_history { Vec::new() } else { next.forget_history(&dir) };
        next.store(&dir, &stem).map_err(|e| format!("writing the manifest: {e}"))?;
        aof.manifest = next;
        aof.selected.rewritten();
        if aof.state == State::FirstRewrite {
            aof.state = State::On;
        }
        let increments: u64 =
            aof.manifest.live().skip(1).filter_map(|p| fs::metadata(dir.join(&p.name)).ok()).map(|m| m.len()).sum();
        aof.size = base_size + increments;
        aof.base_size = aof.size;
        self.remove_files(gone);
        Ok(())
    }

    /// Removes the files of the past, if they are not to be kept.
    ///
    /// # Errors
    /// What failed.
    pub fn remove_aof_history(&mut self) -> Result<(), String> {
        if self.config.aof_disable_auto_gc {
            return Ok(());
        }
        let (dir, stem) = (directory(&self.config), stem(&self.config));
        let mut next = self.persistence.aof.manifest.clone();
        let gone = next.forget_history(&dir);
        if !gone.is_empty() {
            next.store(&dir, &stem).map_err(|e| format!("writing the AOF manifest: {e}"))?;
            self.persistence.aof.manifest = next;
            self.remove_files(gone);
        }
        Ok(())
    }

    /// Removes files: their names now, as a new file may get one of them; what is in them, which takes time, elsewhere.
    fn remove_files(&self, paths: Vec<std::path::PathBuf>) {
        let files: Vec<File> = paths.iter().filter_map(|path| File::open(path).ok()).collect();
        for path in &paths {
            // A file that stays is only a waste of room; it is in no manifest.
            let _ = fs::remove_file(path);
        }
        // The last one to close a file gives its room back.
        self.bio.free(files);
    }

    /// Turns the append-only file on: everything from now on is appended, and a first rewrite writes what was before.
    ///
    /// # Errors
    /// What failed.
    pub fn start_aof(&mut self) -> Result<(), String> {
        if self.persistence.aof.is_on() {
            return Ok(());
        }
        self.persistence.aof.state = State::FirstRewrite;
        self.create_backlog();
        if let Err(why) = self.open_new_increment(false) {
            self.persistence.aof.state = State::Off;
            return Err(why);
        }
        if self.persistence.child.is_some() || self.is_amid_transaction() {
            log_notice!(
                "AOF was enabled but there is already another background operation. An AOF background was scheduled to start when possible."
            );
            self.persistence.aof.rewrite_scheduled = true;
            return Ok(());
        }
        self.rewrite_aof()
    }

    /// Turns the append-only file on with a snapshot of the data set as its base, which needs no rewrite then.
    ///
    /// # Errors
    /// What failed.
    pub fn start_aof_with(&mut self, snapshot: &std::path::Path) -> Result<(), String> {
        if self.persistence.aof.is_on() {
            return Err("it is on".to_owned());
        }
        self.create_backlog();
        let dir = directory(&self.config);
        let text = |e: std::io::Error| e.to_string();
        fs::create_dir_all(&dir).map_err(text)?;
        let temp = dir.join(temp_name(std::process::id()));
        let _ = fs::remove_file(&temp);
        // The snapshot's own name will stand for another file one day; this one stays.
        fs::hard_link(snapshot, &temp).or_else(|_| fs::copy(snapshot, &temp).map(|_| ())).map_err(text)?;
        self.persistence.aof.rewrite_as_rdb = true;
        self.install_base(&temp)?;
        self.open_new_increment(true)?;
        self.persistence.aof.state = State::On;
        self.persistence.aof.begin_at(self.repl.history.offset);
        log_notice!("Reused RDB file from primary sync as AOF base file");
        Ok(())
    }

    /// Turns the append-only file off; its files stay.
    pub fn stop_aof(&mut self) {
        if !self.persistence.aof.is_on() {
            return;
        }
        if let Err(why) = self.flush_aof_now() {
            log_warning!("{why}");
        }
        self.persistence.aof.state = State::Off;
        self.persistence.aof.file = None;
        self.persistence.aof.buffer.clear();
        (self.persistence.aof.error, self.persistence.aof.flush_error) = (None, None);
        // What it held says nothing about the history that the next file is of.
        self.persistence.aof.begin_at(0);
        if self.persistence.child.as_ref().is_some_and(|c| matches!(c.purpose, Purpose::AofRewrite)) {
            log_notice!("Killing the AOF rewrite child: the append only file was turned off");
            if let Some(pid) = self.discard_child() {
                let _ = fs::remove_file(directory(&self.config).join(temp_name(pid as u32)));
            }
        }
        self.refuse_waits_for_file();
    }

    /// `appendonly` changed.
    ///
    /// # Errors
    /// What failed.
    pub fn apply_appendonly(&mut self) -> Result<(), String> {
        if self.config.appendonly {
            self.start_aof().map_err(|why| {
                log_warning!("{why}");
                "Unable to turn on AOF. Check server logs.".to_owned()
            })
        } else {
            self.stop_aof();
            Ok(())
        }
    }

    /// Regular work: postponed rewrites, growth.
    pub fn aof_cron(&mut self) {
        let now = self.now_ms();
        let aof = &self.persistence.aof;
        if self.persistence.child.is_some() || self.loading.progress.is_some() {
            return;
        }
        let grown = aof.state == State::On
            && self.config.auto_aof_rewrite_percentage > 0
            && aof.size > self.config.auto_aof_rewrite_min_size
            && {
                let base = aof.base_size.max(1);
                let growth = aof.size.saturating_sub(base) * 100 / base;
                growth >= u64::from(self.config.auto_aof_rewrite_percentage)
            };
        if now < aof.retry_ms {
            let told = &mut self.persistence.aof.retry_told;
            if (grown || self.persistence.aof.rewrite_scheduled) && !std::mem::replace(told, true) {
                let minutes = (self.persistence.aof.retry_ms - now + 59_999) / 60_000;
                log_warning!(
                    "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {minutes} minutes"
                );
            }
            return;
        }
        if aof.rewrite_scheduled || grown {
            if grown {
                log_notice!("Starting automatic rewriting of AOF");
            }
            if let Err(why) = self.rewrite_aof() {
                log_warning!("{why}");
            }
        }
    }
}

fn temp_name(pid: u32) -> String {
    format!("temp-rewriteaof-bg-{pid}.aof")
}
