//! Snapshots and the append-only file. Knows nothing of clients.

pub mod aof;
pub mod child;
pub mod children;
pub mod fan;
mod gradual;
pub mod load;
pub mod rdb;
pub mod snapshot;

use std::io::Write;
use std::path::PathBuf;

use crate::commands::CommandError;
use crate::config::Config;
use crate::server::{Server, VALKEY_VERSION};
use aof::Aof;
use child::{Child, Reporter};
use rdb::dataset::{DatasetOptions, save_keyspace};
use rdb::save::{self, Aux, SaveError, SaveOptions};
use rdb::writer::WriterOptions;
use snapshot::{Format, RdbState};

/// The state of persistence.
#[derive(Debug)]
pub struct Persistence {
    /// The forked child, if one runs.
    pub child: Option<Child>,
    /// Snapshots.
    pub rdb: RdbState,
    /// The append-only file.
    pub aof: Aof,
    /// The child of a diskless transfer ended well while replicas were still taking its last bytes.
    pub transfer_outlives_child: bool,
    /// When the log last said that what the primary sends cannot be brought to disk, in microseconds.
    pub unwritable_told_us: i64,
}

impl Persistence {
    /// Nothing saved, nothing running.
    pub fn new(now_ms: i64) -> Self {
        Persistence {
            child: None,
            rdb: RdbState::new(now_ms),
            aof: Aof::new(),
            transfer_outlives_child: false,
            unwritable_told_us: 0,
        }
    }

    /// The directory of all data files.
    pub fn data_dir(&self, config: &Config) -> PathBuf {
        snapshot::data_dir(config)
    }

    /// The RDB file.
    pub fn rdb_path(&self, config: &Config) -> PathBuf {
        snapshot::data_dir(config).join(snapshot::path_of(&config.dbfilename))
    }

    /// Flushes the directory's entries; a failure is only logged: the data themselves are on disk.
    pub fn sync_dir(&self, config: &Config) {
        if let Err(e) = snapshot::sync_dir(&snapshot::data_dir(config)) {
            crate::log_warning!("Flushing the data directory: {e}");
        }
    }

    /// Whether writes are refused because they could not be saved.
    ///
    /// # Errors
    /// `-MISCONF`, with the reason.
    pub fn check_disk(&self, server: &Server) -> Result<(), CommandError> {
        if server.config.stop_writes_on_bgsave_error && !server.config.save.is_empty() && !self.rdb.last_ok {
            return Err(CommandError::fixed(
                "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Valkey logs for details about the RDB error.",
            ));
        }
        match self.aof.write_error() {
            Some(why) => Err(CommandError::text(format!("MISCONF Errors writing to the AOF file: {why}"))),
            None => Ok(()),
        }
    }

    /// Kills the child, whatever it does.
    pub fn kill_child(&mut self) {
        if let Some(child) = &self.child {
            crate::sys::kill(child.pid, libc::SIGKILL);
        }
    }
}

/// Writes the data set in RDB format; `aof_base` says that it is the beginning of an append-only file.
///
/// # Errors
/// What failed.
pub fn write_rdb(
    server: &Server,
    out: &mut dyn Write,
    format: Format,
    aof_base: bool,
    reporter: Option<&Reporter>,
) -> Result<(), String> {
    write_all(server, out, format, aof_base, reporter).map_err(|e| format!("Write error saving DB on disk: {e}"))
}

fn write_all(
    server: &Server,
    out: &mut dyn Write,
    format: Format,
    aof_base: bool,
    reporter: Option<&Reporter>,
) -> Result<(), SaveError> {
    let aux = Aux {
        server_version: VALKEY_VERSION.to_owned(),
        created: crate::sys::unix_ms() / 1000,
        used_memory: crate::memory::used(),
        replication: snapshot::history_fields(&server.repl).map(|(id, offset, db)| save::Replication {
            stream_db: db.and_then(|db| u32::try_from(db).ok()),
            id: String::from_utf8_lossy(&id).into_owned(),
            offset: offset as i64,
        }),
        aof_base,
    };
    let writer = WriterOptions { compression: server.config.rdbcompression, checksum: server.config.rdbchecksum };
    let options = DatasetOptions {
        save: SaveOptions { version: format.version, writer },
        policy: server.config.maxmemory_policy,
        key_delay: server.config.rdb_key_save_delay,
    };
    let total = server.keyspace.total_keys() as u64;
    let report = |keys| reporter.into_iter().for_each(|r| r.send(keys, total));
    let functions = server.scripting.libraries.iter().filter(|_| format.functions).map(|library| &*library.code);
    let dbs = if format.keys { server.keyspace.dbs() } else { &[] };
    save_keyspace(out, dbs, functions, &aux, &options, report)?;
    report(total);
    Ok(())
}
