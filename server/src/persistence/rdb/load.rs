//! Loads a whole RDB file, from a file, a pipe or a socket, into whatever a [`Sink`] does with it.

use std::fmt;
use std::io::Read;

use super::error::{ErrorKind, Result};
use super::format::{VersionCheck, module};
use super::object_load::{ValueOptions, load_entry};
use super::parser::{Checksum, Item, KeyHead, Parser};
use super::reader::{DEFAULT_BUFFER, Observer, Reader};
use crate::data::entry::Entry;
use crate::keyspace::Access;

/// The most keys to make room for ahead, when the size of the input is unknown.
const MAX_PRESIZE: u64 = 1 << 24;
/// A key takes at least a type, an empty name and an empty value.
const MIN_KEY_BYTES: u64 = 3;

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions<'a> {
    /// Which versions to accept (`rdb-version-check`).
    pub version_check: VersionCheck,
    /// Whether to verify the checksum at the end (`rdbchecksum`).
    pub checksum: bool,
    /// How to read values.
    pub values: ValueOptions<'a>,
    /// Bytes between calls of [`Sink::progress`] (`loading-process-events-interval-bytes`); 0: none.
    pub progress_interval: u64,
    /// Size of the input in bytes, if it is known.
    pub size: Option<u64>,
}

/// What a sink did with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the data set.
    Kept,
    /// It was left out, because it has expired.
    Expired,
    /// It is a hash that was left out because all its fields have expired.
    AllFieldsExpired,
}

/// Why a sink refuses: a text for the log. It ends the loading.
pub type Refusal = String;

/// Receives what a file holds, in its order.
pub trait Sink {
    /// It is a file of a version that is read: what it is to replace may go.
    fn accepted(&mut self) {}

    /// A named auxiliary field. Unknown ones are to be ignored.
    fn aux(&mut self, name: &[u8], value: &[u8]) -> std::result::Result<(), Refusal>;

    /// The following keys belong to this database.
    fn select_db(&mut self, db: u64) -> std::result::Result<(), Refusal>;

    /// About this many keys, and keys with an expiry, are to come for the current database. Bounded by what the input can hold.
    fn resize(&mut self, keys: u64, expires: u64);

    /// A key, and how it was used as far as the file tells. A sink that is a primary leaves out what has expired, a replica keeps it; a key that is there already is an
    /// error, unless it is to be replaced.
    fn entry(&mut self, entry: Entry, access: Option<Access>) -> std::result::Result<Fate, Refusal>;

    /// A key whose value has no elements, which once came about through defects; it is left out.
    fn skipped_empty(&mut self, _key: &[u8]) {}

    /// The code of a function library.
    fn function(&mut self, code: &[u8]) -> std::result::Result<(), Refusal>;

    /// So many bytes have been read in all. Called every now and then, also within a large value.
    fn progress(&mut self, bytes: u64) -> std::result::Result<(), Refusal>;
}

/// What was loaded.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    /// Version of the file.
    pub version: u32,
    /// Keys that the sink kept.
    pub keys: u64,
    /// Keys that the sink left out as expired.
    pub expired: u64,
    /// Keys left out because their values had no elements.
    pub empty: u64,
    /// Hashes left out because all their fields had expired.
    pub all_fields_expired: u64,
    /// What became of the checksum.
    pub checksum: Checksum,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes that were received but come after the file: an AOF tail, or the end mark of a diskless transfer.
    pub rest: Vec<u8>,
}

/// The line that ends a loading in the log.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Done loading RDB, keys loaded: {}, keys expired: {}, ", self.keys, self.expired)?;
        if self.empty > 0 {
            write!(f, "empty keys skipped: {}, ", self.empty)?;
        }
        write!(f, "all fields expired hashes: {}.", self.all_fields_expired)
    }
}

/// Loads a file. What the sink got before an error is the caller's to throw away.
pub fn load<R: Read, S: Sink>(source: R, sink: &mut S, options: &LoadOptions<'_>) -> Result<Summary> {
    let reader =
        Reader::with_observer(source, Progress(sink), options.progress_interval, DEFAULT_BUFFER, options.checksum);
    let mut parser = Parser::new(reader, options.version_check)?;
    parser.reader.observer().0.accepted();
    let mut counts = Counts::default();
    // Keys that the input can hold and none of its databases has announced yet.
    let mut room = options.size.map_or(MAX_PRESIZE, |size| size / MIN_KEY_BYTES);
    loop {
        let refused = match parser.next_item()? {
            Item::Key(head) => {
                load_key(&mut parser, &head, options, &mut counts)?;
                continue;
            }
            Item::Aux => parser.reader.observer().0.aux(&parser.name, &parser.text),
            Item::SelectDb(db) => parser.reader.observer().0.select_db(db),
            Item::Resize { keys, expires } => {
                let keys = keys.min(room);
                room -= keys;
                parser.reader.observer().0.resize(keys, expires.min(keys));
                Ok(())
            }
            Item::Function => parser.reader.observer().0.function(&parser.text),
            Item::ModuleAux(id) => {
                let name = module::type_name(id);
                Err(format!("The RDB file contains AUX module data I can't load: no matching module '{name}'"))
            }
            Item::SlotImport => Err("The RDB file contains a cluster's slot import, which I can't load".into()),
            Item::End(checksum) => {
                let (version, bytes) = (parser.version(), parser.reader.offset());
                let (_, _, rest) = parser.reader.into_rest();
                let Counts { keys, expired, empty, all_fields_expired } = counts;
                return Ok(Summary { version, keys, expired, empty, all_fields_expired, checksum, bytes, rest });
            }
        };
        refused.map_err(|why| parser.reader.error(ErrorKind::Refused(why)))?;
    }
}

#[derive(Default)]
struct Counts {
    keys: u64,
    expired: u64,
    empty: u64,
    all_fields_expired: u64,
}

/// Reads the value and hands the key on, or leaves it out if the value is empty.
#[inline]
fn load_key<R: Read, S: Sink>(
    parser: &mut Parser<R, Progress<'_, S>>,
    head: &KeyHead,
    options: &LoadOptions<'_>,
    counts: &mut Counts,
) -> Result<()> {
    let entry = match load_entry(&mut parser.reader, &parser.name, head, &options.values) {
        Ok(entry) => entry,
        Err(error) if matches!(error.kind(), ErrorKind::EmptyValue) => {
            counts.empty += 1;
            parser.reader.observer().0.skipped_empty(&parser.name);
            return Ok(());
        }
        Err(error) => return Err(error.in_key(&parser.name, head.value_type)),
    };
    let access = match head {
        KeyHead { frequency: Some(frequency), .. } => Some(Access::Frequency(*frequency)),
        KeyHead { idle_seconds: Some(idle), .. } => Some(Access::Idle(u32::try_from(*idle).unwrap_or(u32::MAX))),
        _ => None,
    };
    match parser.reader.observer().0.entry(entry, access) {
        Ok(Fate::Kept) => counts.keys += 1,
        Ok(Fate::Expired) => counts.expired += 1,
        Ok(Fate::AllFieldsExpired) => counts.all_fields_expired += 1,
        Err(why) => return Err(parser.reader.error(ErrorKind::Refused(why)).in_key(&parser.name, head.value_type)),
    }
    Ok(())
}

/// The sink, as the reader knows it.
struct Progress<'s, S>(&'s mut S);

impl<S: Sink> Observer for Progress<'_, S> {
    fn progress(&mut self, bytes: u64) -> std::result::Result<(), String> {
        self.0.progress(bytes)
    }
}
