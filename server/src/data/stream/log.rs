//! The entries of a stream, in nodes by the ids of their first entries, and what is remembered of those that are gone.

use std::collections::{VecDeque, vec_deque};

use super::id::StreamId;
use super::node::{self, Fields, Node, Pair, Records};
use crate::data::limits::Limits;
use crate::data::listpack::{Listpack, MAX_BYTES};
use crate::data::sizes::{class_growth, estimate, size_class};

/// Entries in the order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// With their ids, in that order. Nodes come at the back and go at the front; one that is deleted in between moves the others.
    nodes: VecDeque<(StreamId, Node)>,
    pub(super) len: u64,
    pub(super) first_id: StreamId,
    pub(super) last_id: StreamId,
    pub(super) max_deleted: StreamId,
    pub(super) added: u64,
}

/// An entry.
#[derive(Clone)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// Names and values of its fields.
    pub fields: Fields<'a>,
}

/// Why an entry cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// Its id is not larger than all before.
    NotAfterLast,
    /// It is larger than a node can be.
    TooLarge,
}

/// What a stream is trimmed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// So many entries at most.
    MaxLen(u64),
    /// Entries from this id on.
    MinId(StreamId),
}

impl Log {
    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of the first entry; `0-0` if there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The largest id that was ever given, or what [`set_last_id`](Self::set_last_id) made of it.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The largest id of an entry that was deleted by its id.
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted
    }

    /// How many entries were ever added.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes with their ids, for a codec.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (StreamId, &Listpack)> {
        self.nodes.iter().map(|(id, node)| (*id, node.listpack()))
    }

    /// Sets the id after which further ones come.
    pub fn set_last_id(&mut self, id: StreamId) {
        self.last_id = id;
    }

    /// Sets the largest id of a deleted entry.
    pub fn set_max_deleted_id(&mut self, id: StreamId) {
        self.max_deleted = id;
    }

    /// Sets how many entries were ever added.
    pub fn set_added(&mut self, added: u64) {
        self.added = added;
    }

    /// Puts in a node from outside, whose listpack was found to be one. False if its id is there already.
    pub(super) fn put_node(&mut self, id: StreamId, node: Node) -> bool {
        let at = self.nodes.partition_point(|(other, _)| *other < id);
        let new = self.nodes.get(at).is_none_or(|(other, _)| *other != id);
        if new {
            self.len += node.live();
            self.make_room();
            self.nodes.insert(at, (id, node));
        }
        new
    }

    /// Room for one node more, to the end of the allocator's size class.
    fn make_room(&mut self) {
        if self.nodes.len() == self.nodes.capacity() {
            self.nodes.reserve_exact(class_growth::<(StreamId, Node)>(self.nodes.len()));
        }
    }

    /// Whether ids of living entries ascend from node to node, up to the last id.
    pub(super) fn is_in_order(&self) -> bool {
        let mut last = StreamId::MIN;
        self.nodes.iter().all(|(base, node)| {
            let mut live = node.records(*base, false).filter(|record| !record.is_deleted());
            live.all(|record| record.id > std::mem::replace(&mut last, record.id))
        }) && last <= self.last_id
    }

    /// Adds an entry. Its id must be larger than the last.
    ///
    /// # Errors
    /// If it is not, or if the entry is too large.
    pub fn add<'a>(
        &mut self,
        id: StreamId,
        pairs: impl ExactSizeIterator<Item = Pair<'a>> + Clone,
        limits: &Limits,
    ) -> Result<(), AddError> {
        if id <= self.last_id {
            return Err(AddError::NotAfterLast);
        }
        let bound = node::bound(pairs.clone());
        if bound > MAX_BYTES {
            return Err(AddError::TooLarge);
        }
        let text = pairs.clone().fold(0, |sum, (name, value)| sum + name.len() + value.len());
        let full = |node: &Node| {
            let (max_bytes, max_entries) = (limits.stream_node_max_bytes, limits.stream_node_max_entries);
            let max_bytes = if max_bytes == 0 { MAX_BYTES } else { max_bytes };
            node.listpack().byte_len() + text >= max_bytes
                || !node.fits(bound)
                || max_entries > 0 && node.live() + node.deleted() >= max_entries
        };
        match self.nodes.back_mut() {
            Some((base, last)) if !full(last) => last.push(*base, id, pairs),
            last => {
                if let Some((_, last)) = last {
                    last.shrink_to_fit();
                }
                let mut node = Node::new(pairs.clone());
                node.push(id, id, pairs);
                self.make_room();
                self.nodes.push_back((id, node));
            }
        }
        self.len += 1;
        self.added = self.added.wrapping_add(1);
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
        Ok(())
    }

    /// Entries from one id to another, both included.
    pub fn range(&self, start: StreamId, end: StreamId) -> Entries<'_> {
        self.walk(start, end, false, false)
    }

    /// As [`range`](Self::range), from the last to the first.
    pub fn range_back(&self, start: StreamId, end: StreamId) -> Entries<'_> {
        self.walk(start, end, true, false)
    }

    /// All entries.
    pub fn iter(&self) -> Entries<'_> {
        self.range(StreamId::MIN, StreamId::MAX)
    }

    /// The entry of an id.
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// The id of the last entry.
    pub fn last_entry_id(&self) -> Option<StreamId> {
        self.range_back(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id)
    }

    /// The id of the first entry that still takes room, deleted or not.
    pub fn first_kept_id(&self) -> Option<StreamId> {
        self.walk(StreamId::MIN, StreamId::MAX, false, true).next().map(|entry| entry.id)
    }

    fn walk(&self, start: StreamId, end: StreamId, backward: bool, deleted: bool) -> Entries<'_> {
        // The node that would hold the start begins before it.
        let from = self.begun_by(start).saturating_sub(1);
        let to = self.begun_by(end).max(from);
        Entries { nodes: self.nodes.range(from..to), node: None, start, end, backward, deleted }
    }

    /// How many nodes begin with an id of at most this.
    fn begun_by(&self, id: StreamId) -> usize {
        self.nodes.partition_point(|(base, _)| *base <= id)
    }

    /// Deletes entries by their ids; gives how many there were.
    pub fn delete(&mut self, ids: impl Iterator<Item = StreamId>) -> u64 {
        let (before, first_id) = (self.len, self.first_id);
        let mut first_is_gone = false;
        for id in ids {
            if self.delete_one(id) {
                first_is_gone |= id == first_id;
                self.max_deleted = self.max_deleted.max(id);
            }
        }
        if first_is_gone || self.len == 0 {
            self.find_first();
        }
        before - self.len
    }

    fn delete_one(&mut self, id: StreamId) -> bool {
        let Some(at) = self.begun_by(id).checked_sub(1) else { return false };
        let (base, node) = &mut self.nodes[at];
        let base = *base;
        let Some(record) = node.records(base, false).find(|record| record.id == id && !record.is_deleted()) else {
            return false;
        };
        if node.live() == 1 {
            self.nodes.remove(at);
        } else {
            node.delete(&[record]);
        }
        self.len -= 1;
        true
    }

    /// Removes the oldest entries; gives how many. `approximately`: whole nodes only. `limit`: stops before it has removed more (0:
    /// no limit).
    pub fn trim(&mut self, to: Trim, approximately: bool, limit: u64) -> u64 {
        let before = self.len;
        while let Some((base, first)) = self.nodes.front_mut() {
            if matches!(to, Trim::MaxLen(max) if self.len <= max) {
                break;
            }
            let (base, live) = (*base, first.live());
            if limit > 0 && before - self.len + live > limit {
                break;
            }
            let whole = match to {
                Trim::MaxLen(max) => self.len - live >= max,
                Trim::MinId(min) => first.records(base, true).next().map_or(StreamId::MIN, |record| record.id) < min,
            };
            if whole {
                self.nodes.pop_front();
                self.len -= live;
                continue;
            }
            if approximately {
                break;
            }
            let mut left = self.len;
            let mut gone = Vec::new();
            for record in first.records(base, false) {
                if match to {
                    Trim::MaxLen(max) => left <= max,
                    Trim::MinId(min) => record.id >= min,
                } {
                    break;
                }
                if !record.is_deleted() {
                    gone.push(record);
                    left -= 1;
                }
            }
            first.delete(&gone);
            self.len = left;
            break;
        }
        if self.nodes.capacity() > 4 * self.nodes.len() {
            self.nodes.shrink_to(2 * self.nodes.len());
        }
        if self.len < before {
            self.find_first();
        }
        before - self.len
    }

    /// Looks up the first entry's id anew.
    pub(super) fn find_first(&mut self) {
        let first = self.iter().next().map(|entry| entry.id);
        self.first_id = first.unwrap_or(StreamId::MIN);
    }

    /// How many entries had been added when this id had, the entry of the id included. `None` if that cannot be told any more, because
    /// entries in between may have been deleted.
    pub fn position(&self, id: StreamId) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if self.len == 0 && id < self.last_id || id == self.last_id {
            return Some(self.added);
        }
        if id > self.last_id {
            return None;
        }
        if self.max_deleted.is_zero() || self.max_deleted < self.first_id {
            // Between the last deletion and the first entry, or before all: nothing can be missing but what is known to be.
            if id < self.first_id && (id.is_zero() || id >= self.max_deleted) {
                return Some(self.added.wrapping_sub(self.len));
            }
            if id == self.first_id {
                return Some(self.added.wrapping_sub(self.len).wrapping_add(1));
            }
        }
        None
    }

    /// Whether an entry from this id on was deleted.
    pub fn has_gap_from(&self, id: StreamId) -> bool {
        self.len > 0 && !self.max_deleted.is_zero() && id <= self.max_deleted
    }

    /// Bytes on the heap; `samples` nodes are measured and the rest estimated from them (0: all are measured).
    pub(super) fn heap_size(&self, samples: usize) -> usize {
        let nodes = self.nodes.iter().map(|(_, node)| node.listpack().heap_size());
        size_class(self.nodes.capacity() * size_of::<(StreamId, Node)>()) + estimate(self.nodes.len(), samples, nodes)
    }
}

/// Entries of a stream; see [`Log::range`].
#[derive(Clone)]
pub struct Entries<'a> {
    nodes: vec_deque::Iter<'a, (StreamId, Node)>,
    node: Option<(&'a Node, Records<'a>)>,
    start: StreamId,
    end: StreamId,
    backward: bool,
    /// Gives deleted entries, too.
    deleted: bool,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some((node, records)) = &mut self.node else {
                let (base, node) = if self.backward { self.nodes.next_back()? } else { self.nodes.next()? };
                // A node of deleted entries only is soon passed.
                if self.deleted || node.live() > 0 {
                    self.node = Some((node, node.records(*base, self.backward)));
                }
                continue;
            };
            let (start, end, deleted) = (self.start, self.end, self.deleted);
            let Some(record) = records.find(|record| deleted || !record.is_deleted()) else {
                self.node = None;
                continue;
            };
            if (start..=end).contains(&record.id) {
                return Some(Entry { id: record.id, fields: node.fields(&record) });
            }
            // Beyond the range on its far side, there is nothing more to come.
            if if self.backward { record.id < start } else { record.id > end } {
                self.node = None;
                self.nodes = vec_deque::Iter::default();
            }
        }
    }
}
