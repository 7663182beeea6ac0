//! The stream type: entries that are only added at the end, each with an id and some fields, and groups of consumers that share them.
//!
//! | file | subject |
//! |---|---|
//! | `id` | ids |
//! | `node` | a listpack of entries, Valkey's layout to the byte |
//! | `log` | the nodes in order: adding, ranges, deleting, trimming |
//! | `group` | consumer groups, and what is pending |
//! | `build` | a stream from a file, whose parts have to fit |
//!
//! Entries are packed where Valkey packs them (`stream-node-max-bytes`, `stream-node-max-entries`), so nodes are the same at a primary and
//! its replica, and trimming by whole nodes takes the same entries. An entry that was deleted keeps its room until its node goes.
//!
//! Unlike other collections, a stream may be empty: it still knows its last id and its groups.

mod build;
mod group;
mod id;
mod log;
mod node;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use build::{Builder, GroupBuilder, History, Malformed, Totals};
pub use group::{Consumer, ConsumerId, Group, Pending};
pub use id::StreamId;
pub use log::{AddError, Entries, Entry, Log, Trim};
pub use node::{Fields, Pair};

use super::sizes::{estimate, size_class};

/// Entries, and groups of consumers. See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Stream(Box<Parts>);

#[derive(Clone, Debug, Default)]
struct Parts {
    log: Log,
    groups: BTreeMap<Box<[u8]>, Group>,
}

impl Stream {
    /// A stream without entries or groups.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name that `OBJECT ENCODING` gives.
    pub fn encoding(&self) -> &'static str {
        "stream"
    }

    /// Whether nothing is left that a key would be kept for: never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The entries.
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// The entries, to be changed.
    pub fn log_mut(&mut self) -> &mut Log {
        &mut self.0.log
    }

    /// The groups, by name.
    pub fn groups(&self) -> &BTreeMap<Box<[u8]>, Group> {
        &self.0.groups
    }

    /// The groups, to be changed.
    pub fn groups_mut(&mut self) -> &mut BTreeMap<Box<[u8]>, Group> {
        &mut self.0.groups
    }

    /// The entries, and a group to be changed.
    pub fn log_and_group(&mut self, name: &[u8]) -> Option<(&Log, &mut Group)> {
        let Parts { log, groups } = &mut *self.0;
        Some((log, groups.get_mut(name)?))
    }

    /// Takes a group out: a stream with that group and nothing else, so that it can be freed as values are.
    pub fn take_group(&mut self, name: &[u8]) -> Option<Stream> {
        let group = self.0.groups.remove_entry(name)?;
        Some(Stream(Box::new(Parts { log: Log::default(), groups: BTreeMap::from([group]) })))
    }

    /// How many entries a group has not been given yet; `None` if that cannot be told.
    pub fn lag(&self, group: &Group) -> Option<u64> {
        let log = self.log();
        if log.added() == 0 {
            return Some(0);
        }
        let known = group.entries_read.filter(|_| !log.has_gap_from(group.last_id));
        known.or_else(|| log.position(group.last_id)).map(|read| log.added().wrapping_sub(read))
    }

    /// Bytes on the heap; `samples` nodes, groups and consumers are measured and the rest estimated from them (0: all are measured).
    pub fn heap_size(&self, samples: usize) -> usize {
        let groups = self.groups();
        size_class(size_of::<Parts>())
            + self.log().heap_size(samples)
            + btree_heap::<Box<[u8]>, Group>(groups.len())
            + estimate(
                groups.len(),
                samples,
                groups.iter().map(|(name, group)| size_class(name.len()) + group.heap_size(samples)),
            )
    }

    /// How many allocations it takes to free the stream, about.
    pub fn free_effort(&self) -> usize {
        let groups = self.groups();
        // The first group stands for all: they are not walked for this.
        self.log().node_count() + groups.first_key_value().map_or(0, |(_, group)| group.free_effort()) * groups.len()
    }
}

/// Bytes that a B-tree of the standard library takes on the heap for so many entries: leaves of 11 entries, of which ascending insertion
/// fills six, under nodes that hold as many and twelve pointers more.
fn btree_heap<K, V>(len: usize) -> usize {
    const CAPACITY: usize = 11;
    const FILLED: usize = 6;
    let leaf = size_class(CAPACITY * (size_of::<K>() + size_of::<V>()) + size_of::<usize>() + 4);
    let inner = size_class(leaf + (CAPACITY + 1) * size_of::<usize>());
    let (mut total, mut nodes) = (0, len.div_ceil(FILLED + 1).max(usize::from(len > 0)));
    total += nodes * leaf;
    while nodes > 1 {
        nodes = nodes.div_ceil(FILLED + 1);
        total += nodes * inner;
    }
    total
}
