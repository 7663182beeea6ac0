//! A stream from a file. What is derived is derived anew, what must fit is checked: whatever the file says, the result is a stream.

use std::collections::BTreeMap;

use super::Stream;
use super::group::{Group, Pending};
use super::id::StreamId;
use super::node::Node;
use crate::data::listpack::Listpack;

/// What does not fit, in words for a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// A stream in the making: nodes, then totals, then groups.
#[derive(Debug)]
pub struct Builder {
    stream: Stream,
    /// Whether counts, and the order of ids, are checked.
    check: bool,
}

/// What a file says of the stream as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many entries there are.
    pub len: u64,
    /// The largest id that was given.
    pub last_id: StreamId,
    /// What files before Redis 7.0 do not say.
    pub history: Option<History>,
}

/// What a stream remembers of entries that are gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The largest id of a deleted entry.
    pub max_deleted: StreamId,
    /// How many entries were ever added.
    pub added: u64,
}

impl Builder {
    /// An empty stream. With `check`, wrong counts and entries out of order are refused; without, counts are put right.
    pub fn new(check: bool) -> Self {
        Builder { stream: Stream::new(), check }
    }

    /// Takes a node.
    ///
    /// # Errors
    /// If it is none, or its id was there before.
    pub fn node(&mut self, id: StreamId, listpack: Listpack) -> Result<(), Malformed> {
        if listpack.is_empty() {
            return Err(Malformed("Empty listpack inside stream"));
        }
        let node = Node::from_listpack(listpack, id, self.check);
        let node = node.ok_or(Malformed("Stream listpack integrity check failed"))?;
        if self.stream.log_mut().put_node(id, node) {
            Ok(())
        } else {
            Err(Malformed("Listpack re-added with existing key"))
        }
    }

    /// Takes the totals, when all nodes are there.
    ///
    /// # Errors
    /// If there cannot be so many entries, or, where that is checked, there are not so many or they are out of order.
    pub fn totals(&mut self, totals: Totals) -> Result<(), Malformed> {
        let check = self.check;
        let log = self.stream.log_mut();
        if totals.len > 0 && log.node_count() == 0 || check && totals.len != log.len {
            return Err(Malformed("Stream length inconsistent with rax entries"));
        }
        log.last_id = totals.last_id;
        log.find_first();
        match totals.history {
            Some(history) => (log.max_deleted, log.added) = (history.max_deleted, history.added),
            None => log.added = log.len,
        }
        if check && !log.is_in_order() {
            return Err(Malformed("Stream entries out of order"));
        }
        Ok(())
    }

    /// How many entries had been added up to an id, for groups in files that do not say how many they have read.
    pub fn position(&self, id: StreamId) -> Option<u64> {
        self.stream.log().position(id)
    }

    /// Takes a group.
    ///
    /// # Errors
    /// If there is one of that name, or it has pending entries that no consumer has.
    pub fn group(&mut self, name: &[u8], group: GroupBuilder) -> Result<(), Malformed> {
        if !group.unassigned.is_empty() {
            return Err(Malformed("Stream CG PEL entry without consumer"));
        }
        match self.stream.groups_mut().insert(name.into(), group.group) {
            None => Ok(()),
            Some(_) => Err(Malformed("Duplicated consumer group name")),
        }
    }

    /// The stream.
    pub fn finish(self) -> Stream {
        self.stream
    }
}

/// A group in the making: what is pending, then the consumers.
#[derive(Debug)]
pub struct GroupBuilder {
    group: Group,
    /// When and how often what is pending was delivered, until its consumer is known.
    unassigned: BTreeMap<StreamId, (i64, u64)>,
}

impl GroupBuilder {
    /// A group that has read so far.
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        GroupBuilder { group: Group::new(last_id, entries_read), unassigned: BTreeMap::new() }
    }

    /// Takes a pending entry.
    ///
    /// # Errors
    /// If it was there before.
    pub fn pending(&mut self, id: StreamId, delivered_at: i64, deliveries: u64) -> Result<(), Malformed> {
        match self.unassigned.insert(id, (delivered_at, deliveries)) {
            None => Ok(()),
            Some(_) => Err(Malformed("Duplicated global PEL entry loading stream consumer group")),
        }
    }

    /// Takes a consumer, to which the next [`assign`](Self::assign) refer.
    ///
    /// # Errors
    /// If there is one of that name.
    pub fn consumer(&mut self, name: &[u8], seen_at: i64, active_at: i64) -> Result<ConsumerBuilder<'_>, Malformed> {
        let id = self.group.create(name, seen_at).ok_or(Malformed("Duplicate stream consumer detected"))?;
        self.group.consumer_mut(id).active_at = active_at;
        Ok(ConsumerBuilder { builder: self, consumer: id })
    }
}

/// A consumer in the making.
#[derive(Debug)]
pub struct ConsumerBuilder<'a> {
    builder: &'a mut GroupBuilder,
    consumer: super::ConsumerId,
}

impl ConsumerBuilder<'_> {
    /// Gives the consumer one of the pending entries.
    ///
    /// # Errors
    /// If that is not pending, or was given to a consumer before.
    pub fn assign(&mut self, id: StreamId) -> Result<(), Malformed> {
        let (delivered_at, deliveries) = self.builder.unassigned.remove(&id).ok_or_else(|| {
            Malformed(match self.builder.group.pending().contains_key(&id) {
                true => "Duplicated consumer PEL entry loading a stream consumer group",
                false => "Consumer entry not found in group global PEL",
            })
        })?;
        self.builder.group.assign(id, Pending { consumer: self.consumer, delivered_at, deliveries });
        Ok(())
    }
}
