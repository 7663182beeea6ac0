//! The record in its file: what the API server is in a cluster. It is replaced as a whole, and is on the disk before
//! anything that follows from it is done.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use valkey_repl_engine::{Record, observe::Millis};

use super::Error;
use crate::clock::boottime_ms;

/// The file's name.
const FILE: &str = "record.json";

/// What the file holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Page {
    /// One more with each writing.
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Record>,
}

/// The record as last read or written.
#[derive(Clone, Debug)]
pub(super) struct Book {
    path: PathBuf,
    page: Page,
    /// When the read or write that returned it was asked for.
    pub read_ms: Millis,
    /// When the record with this term was first seen.
    pub seen_ms: Millis,
}

impl Book {
    /// Reads it.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let read_ms = boottime_ms();
        let page = read(&path).map_err(|error| Error::File {
            path: path.clone(),
            why: format!("{error}; it says whose data is good, so put it back, or remove the whole directory"),
        })?;
        Ok(Self { path, page, read_ms, seen_ms: boottime_ms() })
    }

    /// The record.
    pub fn record(&self) -> Option<&Record> {
        self.page.record.as_ref()
    }

    /// Writes a record over the version that was read; fails when anybody has written since. Returns when it is on the
    /// disk. When it fails it may have been written all the same.
    pub fn write(&mut self, record: Record) -> io::Result<()> {
        let asked_ms = boottime_ms();
        if read(&self.path)?.version != self.page.version {
            return Err(io::Error::other("somebody else has written"));
        }
        let page = Page { version: self.page.version + 1, record: Some(record) };
        let next = self.path.with_extension("next");
        let mut file = File::create(&next)?;
        let mut text = serde_json::to_vec_pretty(&page)?;
        text.push(b'\n');
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        if let Some(directory) = self.path.parent() {
            File::open(directory)?.sync_all()?;
        }
        let term = |page: &Page| page.record.as_ref().map(|record| record.term);
        if term(&page) != term(&self.page) {
            self.seen_ms = boottime_ms();
        }
        (self.page, self.read_ms) = (page, asked_ms);
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Page> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Page::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("valkey-record-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn record(term: u64) -> Record {
        Record { term, epoch: 1, ..Record::default() }
    }

    #[test]
    fn what_was_written_is_there_at_the_next_start() {
        let path = scratch("again");
        let mut book = Book::open(&path).unwrap();
        assert_eq!(book.record(), None);
        book.write(record(1)).unwrap();
        book.write(record(2)).unwrap();
        assert_eq!(Book::open(&path).unwrap().record(), Some(&record(2)));
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn nothing_is_written_over_what_somebody_else_wrote() {
        let path = scratch("conflict");
        let mut book = Book::open(&path).unwrap();
        let mut other = Book::open(&path).unwrap();
        other.write(record(1)).unwrap();
        assert!(book.write(record(2)).is_err());
        assert_eq!(Book::open(&path).unwrap().record(), Some(&record(1)));
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_damaged_record_is_not_taken_for_none() {
        let path = scratch("damaged");
        fs::write(path.join(FILE), "{").unwrap();
        assert!(Book::open(&path).unwrap_err().to_string().contains("whose data is good"));
        fs::remove_dir_all(path).unwrap();
    }
}
