//! A whole keyspace, into a file and back.
//!
//! Saving walks the keyspace as it stands, which is that of the fork when a child does it. Loading comes in parts, because a
//! server that loads has more to do with its keyspace meanwhile: [`Place`] knows where keys go and which stay out, [`FileInfo`]
//! what the file says of itself; [`KeyspaceSink`] is the two with nothing else to do.

use std::io::Write;
use std::time::Duration;

use super::error::Result;
use super::load::{Fate, LoadOptions, Refusal, Sink, Summary, load};
use super::save::{Aux, SaveError, SaveOptions, Saver};
use crate::config::MaxmemoryPolicy;
use crate::data::elem::Elem;
use crate::data::entry::Entry;
use crate::data::set::SetRef;
use crate::data::table::{Keyed, prefetch_address};
use crate::data::value::{ValueMut, ValueRef};
use crate::keyspace::{Access, Db, Keyspace};

/// Keys between two calls of the hook that hears of progress.
pub const KEYS_PER_REPORT: u64 = 1024;

/// A delay after each key, in microseconds, from which on what is written must not wait for more of it.
const SLOW: i32 = 1000;

/// How to save a keyspace.
#[derive(Clone, Copy, Debug)]
pub struct DatasetOptions {
    /// Version, compression, checksum.
    pub save: SaveOptions,
    /// The eviction policy: whether, and how, it is saved when keys were last used.
    pub policy: MaxmemoryPolicy,
    /// `rdb-key-save-delay`: microseconds to wait after each key, for tests; negative: one microsecond after every n-th.
    pub key_delay: i32,
}

/// Writes function libraries and all keys. `report` hears the number of keys every [`KEYS_PER_REPORT`] keys. Returns the
/// underlying writer, not flushed.
pub fn save_keyspace<'c, W: Write>(
    out: W,
    dbs: &[Db],
    functions: impl IntoIterator<Item = &'c [u8]>,
    aux: &Aux,
    options: &DatasetOptions,
    mut report: impl FnMut(u64),
) -> std::result::Result<W, SaveError> {
    let mut saver = Saver::begin(out, &options.save, aux)?;
    for code in functions {
        saver.function(code)?;
    }
    for db in dbs.iter().filter(|db| !db.is_empty()) {
        saver.database(db.id() as u64, db.len() as u64, db.expires_len() as u64)?;
        for entry in looking_ahead(db) {
            let access = match options.policy {
                MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu => {
                    Some(Access::Frequency(db.frequency(entry.access())))
                }
                MaxmemoryPolicy::AllkeysLru | MaxmemoryPolicy::VolatileLru => {
                    Some(Access::Idle(db.idle_seconds(entry.access())))
                }
                _ => None,
            };
            saver.entry(entry, access)?;
            if saver.keys().is_multiple_of(KEYS_PER_REPORT) {
                report(saver.keys());
            }
            if options.key_delay >= SLOW {
                // Who waits for the snapshot must see that it goes on.
                saver.flush()?;
            }
            if options.key_delay != 0 {
                delay(options.key_delay, saver.keys());
            }
        }
    }
    Ok(saver.finish()?)
}

/// The entries of a database, with what they point to on its way from memory before its turn comes: the table's order is that
/// of hashes, so each would be a wait for memory, and serialising is too long for the processor to see the next one.
fn looking_ahead(db: &Db) -> impl Iterator<Item = &Entry> {
    const ENTRY: usize = 16;
    const CONTENT: usize = 8;
    let mut entries = db.iter().skip(ENTRY);
    let mut contents = db.iter().skip(CONTENT);
    db.iter().inspect(move |_| {
        entries.next().into_iter().for_each(Keyed::prefetch);
        contents.next().into_iter().for_each(prefetch_content);
    })
}

/// Asks for the beginning of what will be written of a value.
fn prefetch_content(entry: &Entry) {
    const LINE: usize = 64;
    const LINES: usize = 4;
    match entry.value() {
        ValueRef::Str(Elem::Bytes(bytes)) => {
            bytes.chunks(LINE).take(LINES).for_each(|line| prefetch_address(line.as_ptr()));
        }
        ValueRef::Str(Elem::Int(_)) | ValueRef::List(_) | ValueRef::Stream(_) => {}
        ValueRef::Set(set) => match set.stored() {
            SetRef::Intset(intset) => intset.prefetch(LINES),
            SetRef::Listpack(listpack) => listpack.prefetch(LINES),
            SetRef::Table => {}
        },
        ValueRef::Hash(hash) => hash.as_listpack().into_iter().for_each(|listpack| listpack.prefetch(LINES)),
        ValueRef::Zset(zset) => zset.as_listpack().into_iter().for_each(|listpack| listpack.prefetch(LINES)),
    }
}

#[cold]
fn delay(setting: i32, keys: u64) {
    let micros = u64::from(setting.unsigned_abs());
    if setting > 0 {
        std::thread::sleep(Duration::from_micros(micros));
    } else if keys.is_multiple_of(micros) {
        std::thread::sleep(Duration::from_micros(1));
    }
}

/// What of a key has expired before it was loaded.
#[derive(Debug, PartialEq, Eq)]
pub enum Expired {
    /// Nothing.
    Nothing,
    /// All of it.
    Key,
    /// All fields of the hash that it is.
    AllFields,
    /// These fields of the hash that it is.
    Fields(Vec<Vec<u8>>),
}

/// Where loaded keys go, and which stay out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// The database that keys go to, one that is there; [`select`](Self::select) sets it.
    pub db: usize,
    /// Leave out keys and fields of hashes that expire before this time, in ms since 1970: on a primary. A replica, and the beginning of an
    /// append-only log, keep them: their deletion is yet to come.
    pub drop_expired_before: Option<i64>,
    /// Replace keys that are there already, instead of refusing the file.
    pub replace: bool,
}

impl Place {
    /// The following keys belong to this database.
    pub fn select(&mut self, keyspace: &Keyspace, db: u64) -> std::result::Result<(), Refusal> {
        match usize::try_from(db) {
            Ok(db) if db < keyspace.count() => {
                self.db = db;
                Ok(())
            }
            _ => Err(format!(
                "FATAL: Data file was created with a Valkey server configured to handle more than {} databases. Exiting",
                keyspace.count()
            )),
        }
    }

    /// Makes room for keys that are to come.
    pub fn reserve(&self, keyspace: &mut Keyspace, keys: u64, expires: u64) {
        let bounded = |n| usize::try_from(n).unwrap_or(usize::MAX);
        keyspace.db_mut(self.db).reserve(bounded(keys), bounded(expires));
    }

    /// Says what of a key is to be left out, and takes out the fields that are.
    #[inline]
    pub fn strip(&self, entry: &mut Entry) -> Expired {
        let Some(now) = self.drop_expired_before else { return Expired::Nothing };
        let is_past = |at: Option<i64>| at.is_some_and(|at| at < now);
        if is_past(entry.expire_at()) {
            return Expired::Key;
        }
        let ValueMut::Hash(hash) = entry.value_mut() else { return Expired::Nothing };
        if hash.expiring() == 0 {
            return Expired::Nothing;
        }
        let fields: Vec<Vec<u8>> =
            hash.iter().filter(|field| is_past(field.expire_at)).map(|field| field.name.to_vec()).collect();
        fields.iter().for_each(|name| {
            hash.remove(name);
        });
        match (fields.is_empty(), hash.is_empty()) {
            (true, _) => Expired::Nothing,
            (_, true) => Expired::AllFields,
            _ => Expired::Fields(fields),
        }
    }

    /// Puts a key in its place, without what is to be left out of it.
    #[inline]
    pub fn put(
        &self,
        keyspace: &mut Keyspace,
        mut entry: Entry,
        access: Option<Access>,
    ) -> std::result::Result<Fate, Refusal> {
        match self.strip(&mut entry) {
            Expired::Key => Ok(Fate::Expired),
            Expired::AllFields => Ok(Fate::AllFieldsExpired),
            Expired::Nothing | Expired::Fields(_) => self.insert(keyspace, entry, access),
        }
    }

    /// Puts a key in its place as it is.
    #[inline]
    pub fn insert(
        &self,
        keyspace: &mut Keyspace,
        entry: Entry,
        access: Option<Access>,
    ) -> std::result::Result<Fate, Refusal> {
        let db = keyspace.db_mut(self.db);
        let key = access.map(|access| (entry.key().to_vec(), access));
        if let Err(entry) = db.load(entry) {
            if !self.replace {
                let key = entry.key().escape_ascii();
                return Err(format!("RDB has duplicated key '{key}' in DB {}", self.db));
            }
            db.delete(entry.key());
            // Its place is free now.
            let _ = db.load(entry);
        }
        if let Some((key, access)) = key {
            db.set_access(&key, access);
        }
        Ok(Fate::Kept)
    }
}

/// What a file says of itself, as far as it matters after loading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileInfo {
    /// `repl-id`, if it is 40 bytes long.
    pub replication_id: Option<String>,
    /// `repl-offset`
    pub replication_offset: Option<i64>,
    /// `repl-stream-db`; `None` if there is none, or it is to be selected anew.
    pub stream_db: Option<u32>,
    /// `used-mem`: bytes that the server used that wrote the file.
    pub used_memory: Option<u64>,
    /// `aof-base`: the file is the beginning of an append-only log.
    pub aof_base: bool,
    /// `aof-preamble`: commands follow the file.
    pub aof_tail: bool,
}

/// What to log of an auxiliary field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuxLog {
    /// Nothing.
    Nothing,
    /// At level notice.
    Notice(String),
    /// At level debug.
    Debug(String),
}

impl FileInfo {
    /// Takes note of an auxiliary field and says what to log of it. `now` is in seconds of Unix time.
    pub fn note(&mut self, name: &[u8], value: &[u8], now: i64) -> AuxLog {
        let text = String::from_utf8_lossy(value);
        let number = || text.trim().parse::<i64>().unwrap_or(0);
        AuxLog::Notice(match name.to_ascii_lowercase().as_slice() {
            [b'%', ..] => format!("RDB '{}': {text}", String::from_utf8_lossy(name)),
            b"redis-ver" => format!("Loading RDB produced by Redis version {text}"),
            b"valkey-ver" => format!("Loading RDB produced by Valkey version {text}"),
            b"ctime" => format!("RDB age {} seconds", now.saturating_sub(number()).max(0)),
            b"used-mem" => {
                self.used_memory = u64::try_from(number()).ok();
                format!("RDB memory usage when created {:.2} Mb", number() as f64 / f64::from(1 << 20))
            }
            b"aof-base" if number() != 0 => {
                self.aof_base = true;
                "RDB is base AOF".into()
            }
            b"aof-preamble" if number() != 0 => {
                self.aof_tail = true;
                "RDB has an AOF tail".into()
            }
            other => return self.note_silently(other, &text, number()),
        })
    }

    fn note_silently(&mut self, name: &[u8], text: &str, number: i64) -> AuxLog {
        match name {
            b"repl-stream-db" => self.stream_db = u32::try_from(number).ok(),
            b"repl-id" => self.replication_id = Some(text.to_owned()).filter(|id| id.len() == 40),
            b"repl-offset" => self.replication_offset = Some(number),
            b"redis-bits" | b"aof-base" | b"aof-preamble" | b"lua" => {}
            _ => return AuxLog::Debug(format!("Unrecognized RDB AUX field: '{}'", String::from_utf8_lossy(name))),
        }
        AuxLog::Nothing
    }
}

/// Loads into a keyspace and does nothing else: for tools and tests.
pub struct KeyspaceSink<'k> {
    /// Where the keys go.
    pub keyspace: &'k mut Keyspace,
    /// Which of them.
    pub place: Place,
    /// What the file says of itself.
    pub info: FileInfo,
    /// The code of function libraries.
    pub functions: Vec<Vec<u8>>,
}

impl<'k> KeyspaceSink<'k> {
    /// A sink for a keyspace.
    pub fn new(keyspace: &'k mut Keyspace, place: Place) -> Self {
        KeyspaceSink { keyspace, place, info: FileInfo::default(), functions: Vec::new() }
    }

    /// Loads a file.
    pub fn load(&mut self, source: impl std::io::Read, options: &LoadOptions<'_>) -> Result<Summary> {
        load(source, self, options)
    }
}

impl Sink for KeyspaceSink<'_> {
    fn aux(&mut self, name: &[u8], value: &[u8]) -> std::result::Result<(), Refusal> {
        self.info.note(name, value, 0);
        Ok(())
    }

    fn select_db(&mut self, db: u64) -> std::result::Result<(), Refusal> {
        self.place.select(self.keyspace, db)
    }

    fn resize(&mut self, keys: u64, expires: u64) {
        self.place.reserve(self.keyspace, keys, expires);
    }

    #[inline]
    fn entry(&mut self, entry: Entry, access: Option<Access>) -> std::result::Result<Fate, Refusal> {
        self.place.put(self.keyspace, entry, access)
    }

    fn function(&mut self, code: &[u8]) -> std::result::Result<(), Refusal> {
        self.functions.push(code.to_vec());
        Ok(())
    }

    fn progress(&mut self, _bytes: u64) -> std::result::Result<(), Refusal> {
        Ok(())
    }
}
