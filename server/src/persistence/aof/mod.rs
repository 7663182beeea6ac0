//! The append-only file.

use crate::replication::History;

/// Its state.
#[derive(Debug, Default)]
pub struct Aof {
    on: bool,
}

impl Aof {
    /// Off.
    pub fn new() -> Self {
        Self::default()
    }
    /// Whether commands are being appended.
    pub fn is_on(&self) -> bool {
        self.on
    }
    /// Appends bytes of the replication stream; `history` is the state after them.
    pub fn append(&mut self, _bytes: &[u8], _history: &History) {}
    /// Appends bytes that are not part of the replication stream: a writable replica's own writes.
    pub fn append_foreign(&mut self, _bytes: &[u8]) {}
    /// The replication offset up to which the file is on disk.
    pub fn fsynced_offset(&self) -> u64 {
        0
    }
    /// The data set is about to be replaced by a primary's: stop appending until it is there.
    pub fn stop_for_sync(&mut self) {}
    /// The history branched: the file must say so.
    pub fn restart_after_promotion(&mut self) {}
    /// Why the file can't be written, if it can't.
    pub fn write_error(&self) -> Option<&str> {
        None
    }
}
