//! Tests of whole files and values: what is saved is loaded, real servers' files are read, damage is survived.

mod damage;
mod datasets;
mod files;
mod legacy_values;
mod payloads;
mod round_trip;
mod streams;

use std::collections::{BTreeMap, BTreeSet};

use super::error::RdbError;
use super::format::VersionCheck;
use super::load::{Fate, LoadOptions, Refusal, Sink, Summary, load};
use super::object_load::ValueOptions;
use crate::data::entry::Entry;
use crate::data::limits::Limits;
use crate::data::table::Keyed;
use crate::data::value::ValueRef;
use crate::keyspace::Access;

/// The content of a value, whatever its encoding.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Str(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>),
    Zset(Vec<(Vec<u8>, f64)>),
    /// Everything that a stream consists of, in lines.
    Stream(Vec<String>),
}

fn content(value: ValueRef<'_>) -> Content {
    match value {
        ValueRef::Str(text) => Content::Str(text.to_vec()),
        ValueRef::List(list) => Content::List(list.iter().map(|e| e.to_vec()).collect()),
        ValueRef::Set(set) => Content::Set(set.iter().map(|e| e.to_vec()).collect()),
        ValueRef::Hash(hash) => {
            Content::Hash(hash.iter().map(|f| (f.name.to_vec(), (f.value.to_vec(), f.expire_at))).collect())
        }
        ValueRef::Stream(stream) => Content::Stream(streams::describe(stream)),
        ValueRef::Zset(zset) => Content::Zset(zset.range(0..zset.len()).map(|(m, s)| (m.to_vec(), s)).collect()),
    }
}

/// A key as it was loaded.
#[derive(Clone, Debug, PartialEq)]
struct Loaded {
    content: Content,
    encoding: &'static str,
    expire_at: Option<i64>,
    access: Option<Access>,
}

/// Collects what a file holds. Keys that expire before `now` are left out.
#[derive(Debug, Default)]
struct Collector {
    aux: BTreeMap<String, String>,
    keys: BTreeMap<(u64, String), Loaded>,
    functions: Vec<String>,
    sizes: Vec<(u64, u64)>,
    progress: Vec<u64>,
    skipped: Vec<String>,
    db: u64,
    now: Option<i64>,
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Sink for Collector {
    fn aux(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        self.aux.insert(lossy(name), lossy(value));
        Ok(())
    }

    fn select_db(&mut self, db: u64) -> Result<(), Refusal> {
        self.db = db;
        if db < 16 { Ok(()) } else { Err(format!("no database {db}")) }
    }

    fn resize(&mut self, keys: u64, expires: u64) {
        self.sizes.push((keys, expires));
    }

    fn entry(&mut self, entry: Entry, access: Option<Access>) -> Result<Fate, Refusal> {
        let expire_at = entry.expire_at();
        if expire_at.is_some_and(|at| self.now.is_some_and(|now| at < now)) {
            return Ok(Fate::Expired);
        }
        let key = (self.db, lossy(entry.key()));
        let loaded = Loaded { content: content(entry.value()), encoding: entry.encoding(), expire_at, access };
        match self.keys.insert(key, loaded) {
            None => Ok(Fate::Kept),
            Some(_) => Err(format!("RDB has duplicated key '{}' in DB {}", lossy(entry.key()), self.db)),
        }
    }

    fn skipped_empty(&mut self, key: &[u8]) {
        self.skipped.push(lossy(key));
    }

    fn function(&mut self, code: &[u8]) -> Result<(), Refusal> {
        self.functions.push(lossy(code));
        Ok(())
    }

    fn progress(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.progress.push(bytes);
        Ok(())
    }
}

fn value_options(limits: &Limits) -> ValueOptions<'_> {
    ValueOptions { limits, deep: true }
}

fn load_into(bytes: &[u8], sink: &mut Collector) -> Result<Summary, RdbError> {
    let limits = Limits::default();
    let options = LoadOptions {
        version_check: VersionCheck::Strict,
        checksum: true,
        values: value_options(&limits),
        progress_interval: 1000,
        size: Some(bytes.len() as u64),
    };
    load(bytes, sink, &options)
}

fn loaded(bytes: &[u8]) -> Collector {
    let mut sink = Collector::default();
    load_into(bytes, &mut sink).unwrap_or_else(|error| panic!("{error}"));
    sink
}

/// A file with these bytes between the first nine and the end.
fn file(body: &[u8]) -> Vec<u8> {
    let mut bytes = [b"VALKEY080", body, &[255]].concat();
    bytes.extend_from_slice(&super::crc64::checksum(&bytes).to_le_bytes());
    bytes
}
