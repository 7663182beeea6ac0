//! Writes a whole RDB file: what stands before the keys, the keys of each database, the end.

use std::fmt;
use std::io::{self, Write};

use super::format::{Magic, ValueType, opcode};
use super::object_save;
use super::writer::{Writer, WriterOptions};
use crate::data::entry::Entry;
use crate::data::table::Keyed;
use crate::keyspace::Access;

/// What stands in the auxiliary fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aux {
    /// `valkey-ver`: version of the server that writes.
    pub server_version: String,
    /// `ctime`: seconds of Unix time.
    pub created: i64,
    /// `used-mem`: bytes.
    pub used_memory: u64,
    /// Position in the replication stream, if there is one.
    pub replication: Option<Replication>,
    /// `aof-base`: whether the file is the beginning of an append-only log.
    pub aof_base: bool,
}

/// The position in the replication stream that the data set stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// `repl-stream-db`: the database that the stream has selected; `None` if it must select one anew.
    pub stream_db: Option<u32>,
    /// `repl-id`: 40 hex digits.
    pub id: String,
    /// `repl-offset`: bytes.
    pub offset: i64,
}

/// How to write.
#[derive(Clone, Copy, Debug)]
pub struct SaveOptions {
    /// [`format::VERSION`](super::format::VERSION), or [`format::VERSION_SHARED`](super::format::VERSION_SHARED) for a peer
    /// that knows no newer one.
    pub version: u32,
    /// Compression and checksum.
    pub writer: WriterOptions,
}

/// Why a file could not be written.
#[derive(Debug)]
pub enum SaveError {
    /// Writing failed.
    Io(io::Error),
    /// A value cannot be expressed in the wanted version.
    TooNew {
        /// Its key.
        key: Vec<u8>,
        /// Its database.
        db: u64,
        /// The wanted version.
        version: u32,
    },
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaveError::Io(error) => error.fmt(f),
            SaveError::TooNew { db, version, .. } => write!(f, "Can't store key (db {db}) in RDB version {version}"),
        }
    }
}

impl std::error::Error for SaveError {}

impl From<io::Error> for SaveError {
    fn from(error: io::Error) -> Self {
        SaveError::Io(error)
    }
}

/// A file under way. Function libraries come before databases, databases one after the other, then [`Saver::finish`].
pub struct Saver<W> {
    writer: Writer<W>,
    version: u32,
    db: u64,
    keys: u64,
}

impl<W: Write> Saver<W> {
    /// Begins a file.
    pub fn begin(out: W, options: &SaveOptions, aux: &Aux) -> io::Result<Self> {
        let mut writer = Writer::new(out, options.writer);
        writer.bytes(&Magic::for_version(options.version).bytes())?;
        let mut saver = Saver { writer, version: options.version, db: 0, keys: 0 };
        saver.aux("valkey-ver", &aux.server_version)?;
        saver.aux_number("redis-bits", i64::from(usize::BITS))?;
        saver.aux_number("ctime", aux.created)?;
        saver.aux_number("used-mem", i64::try_from(aux.used_memory).unwrap_or(i64::MAX))?;
        if let Some(replication) = &aux.replication {
            saver.aux_number("repl-stream-db", replication.stream_db.map_or(-1, i64::from))?;
            saver.aux("repl-id", &replication.id)?;
            saver.aux_number("repl-offset", replication.offset)?;
        }
        saver.aux_number("aof-base", i64::from(aux.aof_base))?;
        Ok(saver)
    }

    fn aux(&mut self, name: &str, value: &str) -> io::Result<()> {
        self.writer.byte(opcode::AUX)?;
        self.writer.string(name.as_bytes())?;
        self.writer.string(value.as_bytes())
    }

    fn aux_number(&mut self, name: &str, value: i64) -> io::Result<()> {
        self.aux(name, itoa::Buffer::new().format(value))
    }

    /// Writes the code of a function library.
    pub fn function(&mut self, code: &[u8]) -> io::Result<()> {
        self.writer.byte(opcode::FUNCTION)?;
        self.writer.string(code)
    }

    /// Begins a database with so many keys, of which some expire. Empty ones are best left out.
    pub fn database(&mut self, db: u64, keys: u64, expires: u64) -> io::Result<()> {
        self.db = db;
        self.writer.byte(opcode::SELECTDB)?;
        self.writer.length(db)?;
        self.writer.byte(opcode::RESIZEDB)?;
        self.writer.length(keys)?;
        self.writer.length(expires)
    }

    /// Writes a key of the current database. `access` is what the eviction policy wants to know after a restart.
    #[inline]
    pub fn entry(&mut self, entry: &Entry, access: Option<Access>) -> Result<(), SaveError> {
        let value = entry.value();
        let value_type = object_save::value_type(value);
        if value_type.first_version() > self.version {
            return Err(SaveError::TooNew { key: entry.key().to_vec(), db: self.db, version: self.version });
        }
        if let Some(at) = entry.expire_at() {
            self.writer.byte(opcode::EXPIRETIME_MS)?;
            self.writer.int64(at)?;
        }
        match access {
            None => {}
            Some(Access::Idle(seconds)) => {
                self.writer.byte(opcode::IDLE)?;
                self.writer.length(seconds.into())?;
            }
            Some(Access::Frequency(frequency)) => self.writer.bytes(&[opcode::FREQ, frequency])?,
        }
        self.writer.byte(value_type.code())?;
        self.writer.string(entry.key())?;
        object_save::save_value(&mut self.writer, value)?;
        self.keys += 1;
        Ok(())
    }

    /// Keys written so far.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Hands everything to the underlying writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Bytes written so far, buffered ones included.
    pub fn bytes(&self) -> u64 {
        self.writer.position()
    }

    /// Ends the file and gives the underlying writer back, not flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.writer.byte(opcode::EOF)?;
        self.writer.finish().map(|(out, _)| out)
    }
}

impl ValueType {
    /// The first version of the format that has this layout, as far as it matters for writing.
    pub fn first_version(self) -> u32 {
        match self {
            ValueType::Hash2 => 80,
            ValueType::SetListpack | ValueType::StreamListpacks3 => 11,
            _ => 10,
        }
    }
}
