//! Loading data: at start from the append-only file or the RDB file, and a primary's snapshot.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use super::rdb::dataset::{AuxLog, Expired, FileInfo, Place};
use super::rdb::format::VersionCheck;
use super::rdb::load::{Fate, LoadOptions, Sink, Summary, load};
use super::rdb::object_load::ValueOptions;
use crate::config::RdbVersionCheck;
use crate::data::entry::Entry;
use crate::data::table::Keyed;
use crate::keyspace::{Access, Keyspace};
use crate::replication::link::Link;
use crate::replication::{NO_REPLID, Position};
use crate::resp::OwnedArgv;
use crate::server::propagation::Op;
use crate::server::{LoadProgress, Server};
use crate::{log_notice, log_warning};

impl Server {
    /// Loads the data at start, and turns the append-only file on if it is wanted.
    ///
    /// # Errors
    /// What can't be loaded: the server must not start without it.
    pub fn load_at_start(&mut self) -> Result<(), String> {
        if self.config.appendonly {
            if !self.load_aof()? {
                // A data set that was kept without append-only file so far is not given up for turning it on.
                self.load_rdb_at_start()?;
            }
            self.continue_aof()?;
        } else {
            self.load_rdb_at_start()?;
        }
        self.keyspace.set_dirty(0);
        Ok(())
    }

    fn load_rdb_at_start(&mut self) -> Result<(), String> {
        let path = self.persistence.rdb_path(&self.config);
        let started = std::time::Instant::now();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => {
                return Err(format!(
                    "Fatal error loading the DB, check server logs. Exiting. ({}: {e})",
                    path.display()
                ));
            }
        };
        let total = file.metadata().map_or(0, |m| m.len());
        let summary = self.load_rdb(file, total, Into::Start).map_err(|e| {
            log_warning!("Terminating server after rdb file reading failure.");
            format!("Fatal error loading the DB, check server logs. Exiting. ({}: {e})", path.display())
        })?;
        self.persistence.rdb.keys_loaded = summary.keys;
        self.persistence.rdb.keys_expired = summary.expired;
        log_notice!("DB loaded from disk: {:.3} seconds", started.elapsed().as_secs_f64());
        let position = self.loaded_position.take();
        self.restore_position(position);
        Ok(())
    }

    /// Loads a snapshot. The position that it stands for is in `loaded_position` afterwards.
    ///
    /// # Errors
    /// What is wrong with it, and where. What was loaded into this server's keyspace before that is the caller's to drop.
    pub fn load_rdb<R: Read>(&mut self, source: R, total: u64, into: Into<'_>) -> Result<Summary, String> {
        let own = self.loading.progress.is_none();
        if own {
            self.begin_loading(total);
        }
        self.loaded_position = None;
        let limits = self.keyspace.limits();
        let options = LoadOptions {
            version_check: match self.config.rdb_version_check {
                RdbVersionCheck::Strict => VersionCheck::Strict,
                RdbVersionCheck::Relaxed => VersionCheck::Relaxed,
            },
            checksum: self.config.rdbchecksum && !self.skip_checksum,
            values: ValueOptions { limits: &limits, deep: false },
            progress_interval: self.config.loading_process_events_interval_bytes,
            size: (total > 0).then_some(total),
        };
        let drop_expired = self.config.replicaof.is_none() && self.is_primary();
        let place = Place { replace: self.debug.loading_replaces, ..Place::default() };
        let info = FileInfo::default();
        let at_start = matches!(into, Into::Start);
        let mut sink = Loader {
            server: self,
            into,
            place,
            info,
            drop_expired,
            at_start,
            empty: 0,
            keys: 0,
            looked: Instant::now(),
        };
        let result = load(source, &mut sink, &options);
        // Unless it was taken up when the first deletion followed it.
        let open = at_start == sink.at_start;
        self.loaded_position = Position::of(&sink.info).filter(|_| open);
        if own {
            self.end_loading();
        }
        let hide = self.config.hide_user_data_from_log;
        let summary = result.map_err(|e| if hide { e.without_key() } else { e }.to_string()).inspect_err(|e| {
            log_warning!("Internal error in RDB reading: {e}");
        })?;
        log_notice!("{summary}");
        Ok(summary)
    }

    /// From now on clients are told that the data set is being loaded.
    pub fn begin_loading(&mut self, total: u64) {
        let start = crate::sys::unix_ms() / 1000;
        self.loading.progress = Some(LoadProgress { start, total, ..LoadProgress::default() });
        self.update_expiry_rule();
    }

    /// The data set is loaded (or will not be).
    pub fn end_loading(&mut self) {
        self.loading.progress = None;
        self.update_expiry_rule();
    }

    /// Serves what may be served while loading, for an instant, and tells a primary that waits for us that we live.
    ///
    /// # Errors
    /// When that was the order to end: nobody needs the rest.
    pub fn loading_progress(&mut self, loaded: u64) -> Result<(), String> {
        if let Some(p) = &mut self.loading.progress {
            p.loaded = loaded;
        }
        let now = crate::sys::unix_ms();
        if let Some(link) = &mut self.repl.link
            && let Some(stream) = &link.stream
            && link.is_receiving()
            && now - link.last_io_ms >= 1000
        {
            link.last_io_ms = now;
            // If it does not take it, it will notice the silence.
            let _ = stream.write(b"\n");
        }
        let mut events = Vec::new();
        if self.poll.wait(Duration::ZERO, &mut events).is_ok() {
            self.update_clock();
            self.serve_events(&events);
            self.flush_output();
            self.close_marked();
        }
        if self.exit.is_some() { Err("Loading ends here, for the server is to end".to_owned()) } else { Ok(()) }
    }

    /// Drops all data, the libraries of functions among them, elsewhere.
    pub fn flush_everything(&mut self) {
        let old = self.keyspace.flush(None);
        self.note_flush();
        self.bio.free_garbage(old);
        let retired = self.scripting.flush_functions();
        self.free_retired(retired, true);
    }

    /// Drops an interpreter with its scripts, here or elsewhere.
    pub fn free_retired(&mut self, retired: crate::scripting::Retired, elsewhere: bool) {
        // What a script that runs is part of has other users.
        if elsewhere && self.scripting.running.is_none() {
            self.bio.free(retired);
        }
    }

    /// Takes up the history at the position that the loaded files stand for: a primary's replicas, and a replica
    /// itself, go on from there by partial sync.
    pub fn restore_position(&mut self, position: Option<Position>) {
        let Some(at) = position else { return };
        self.repl.history.id = at.id;
        self.repl.history.offset = at.offset;
        self.repl.data_offset = at.offset;
        self.repl.history.id2 = NO_REPLID;
        self.repl.history.id2_end = None;
        if self.config.replicaof.is_none() {
            // A primary that restarts may lack what it sent last: a new id tells its future from the old one's.
            self.repl.history.branch();
            self.repl.restored = Some(at);
        } else {
            self.repl.stream_db = at.stream_db;
        }
        self.create_backlog();
    }

    /// A full sync ended: persistence begins anew from its data. `file`: the snapshot, where it came by way of disk.
    pub fn persistence_after_sync(&mut self, file: Option<&Path>) {
        self.keyspace.set_dirty(0);
        self.persistence.rdb.dirty_at_save = 0;
        if self.config.appendonly
            && self.config.aof_use_rdb_preamble
            && let Some(file) = file
        {
            match self.start_aof_with(file) {
                Ok(()) => return,
                Err(why) => log_warning!("The snapshot can't be the AOF's base, so another is written: {why}"),
            }
        }
        self.resume_aof();
    }

    /// Turns the append-only file on again that a sync had turned off.
    pub fn resume_aof(&mut self) {
        if self.config.appendonly
            && let Err(why) = self.start_aof()
        {
            log_warning!("Failed enabling the AOF after successful primary synchronization: {why}");
        }
    }
}

/// A data set that is loaded beside the server's own.
pub struct Aside {
    /// The keys.
    pub keyspace: Keyspace,
    /// The code of libraries of functions.
    pub libraries: Vec<Vec<u8>>,
}

/// Where a snapshot goes.
pub enum Into<'a> {
    /// To the empty keyspace of a server that starts: its history goes on from where the snapshot was taken.
    Start,
    /// To what is there.
    Present,
    /// To this server's keyspace, which is emptied once the snapshot turns out to be of a version that is read; whether it was.
    Emptied(&'a mut bool),
    /// To another data set, while this server's stays as it is.
    Aside(&'a mut Aside),
}

/// Bytes alone do not tell how long loading takes: a primary may send slowly. So the sockets are looked at after some time, too.
const KEYS_PER_LOOK: u64 = 16;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Empty keys that are named in the log; of more, only the number is told.
const EMPTY_KEYS_NAMED: u64 = 10;

/// Puts what a snapshot holds into the keyspace, and lets the server live meanwhile.
struct Loader<'a> {
    server: &'a mut Server,
    into: Into<'a>,
    place: Place,
    info: FileInfo,
    /// A primary leaves out what has expired; a replica, and the base of an append-only file, keep it.
    drop_expired: bool,
    /// The server has yet to take up the history that the file belongs to.
    at_start: bool,
    /// Keys without elements so far.
    empty: u64,
    /// Keys so far, and when the sockets were last looked at.
    keys: u64,
    looked: Instant,
}

impl Loader<'_> {
    fn keyspace(&mut self) -> &mut Keyspace {
        match &mut self.into {
            Into::Aside(aside) => &mut aside.keyspace,
            Into::Start | Into::Present | Into::Emptied(_) => &mut self.server.keyspace,
        }
    }

    /// Tells replicas, which kept it, what was left out. They go on by partial sync if that is not too much for the backlog.
    #[cold]
    fn propagate(&mut self, key: &[u8], expired: &Expired) {
        if std::mem::take(&mut self.at_start) {
            self.server.restore_position(Position::of(&self.info));
        }
        if !self.server.wants_propagation() {
            return;
        }
        let args: Vec<&[u8]> = match expired {
            Expired::Fields(fields) => [b"HDEL", key].into_iter().chain(fields.iter().map(Vec::as_slice)).collect(),
            _ if self.server.config.lazyfree_lazy_expire => vec![b"UNLINK", key],
            _ => vec![b"DEL", key],
        };
        self.server.propagation.ops.push(Op::new(self.place.db, OwnedArgv::new(args)));
        self.server.propagate_ops(false);
    }
}

impl Sink for Loader<'_> {
    fn accepted(&mut self) {
        if let Into::Emptied(emptied) = &mut self.into {
            log_notice!("RDB signature and version check passed. Flushing old data");
            **emptied = true;
            self.server.flush_everything();
            if self.server.repl.link.as_ref().is_some_and(Link::is_receiving) {
                // Until the last byte is there.
                self.server.repl.quorum.whole = false;
            }
        }
    }

    fn skipped_empty(&mut self, key: &[u8]) {
        self.empty += 1;
        if self.empty <= EMPTY_KEYS_NAMED && !self.server.config.hide_user_data_from_log {
            log_notice!("skipping empty key: {}", String::from_utf8_lossy(key));
        }
    }

    fn aux(&mut self, name: &[u8], value: &[u8]) -> Result<(), String> {
        match self.info.note(name, value, crate::sys::unix_ms() / 1000) {
            AuxLog::Notice(text) => log_notice!("{text}"),
            AuxLog::Debug(text) => crate::log_debug!("{text}"),
            AuxLog::Nothing => {}
        }
        if let Some(progress) = &mut self.server.loading.progress {
            progress.rdb_used_memory = self.info.used_memory.unwrap_or(0);
        }
        let drop = self.drop_expired && !self.info.aof_base;
        self.place.drop_expired_before = drop.then(|| self.server.now_ms());
        Ok(())
    }

    fn select_db(&mut self, db: u64) -> Result<(), String> {
        self.place.select(&self.server.keyspace, db)?;
        self.server.persistence.aof.selected.note(self.place.db);
        Ok(())
    }

    fn resize(&mut self, keys: u64, expires: u64) {
        let place = self.place;
        place.reserve(self.keyspace(), keys, expires);
    }

    #[inline]
    fn entry(&mut self, mut entry: Entry, access: Option<Access>) -> Result<Fate, String> {
        let delay = self.server.config.key_load_delay;
        if delay > 0 {
            std::thread::sleep(Duration::from_micros(delay as u64));
        }
        self.keys += 1;
        if self.keys.is_multiple_of(KEYS_PER_LOOK) && self.looked.elapsed() >= LOOK_EVERY {
            let loaded = self.server.loading.progress.as_ref().map_or(0, |p| p.loaded);
            self.progress(loaded)?;
        }
        let expired = self.place.strip(&mut entry);
        if expired != Expired::Nothing {
            self.propagate(entry.key(), &expired);
        }
        let place = self.place;
        match expired {
            Expired::Key => Ok(Fate::Expired),
            Expired::AllFields => Ok(Fate::AllFieldsExpired),
            Expired::Nothing | Expired::Fields(_) => place.insert(self.keyspace(), entry, access),
        }
    }

    fn function(&mut self, code: &[u8]) -> Result<(), String> {
        match &mut self.into {
            Into::Aside(aside) => {
                aside.libraries.push(code.to_vec());
                Ok(())
            }
            _ => self.server.load_stored_library(code, self.place.replace),
        }
    }

    fn progress(&mut self, bytes: u64) -> Result<(), String> {
        self.server.loading_progress(bytes)?;
        self.looked = Instant::now();
        match &self.server.repl.link {
            Some(link) if link.lost_main_channel() => Err("The connection that carries the stream was lost".to_owned()),
            _ => Ok(()),
        }
    }
}
