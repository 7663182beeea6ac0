//! A consumer group: how far it has read, and what its consumers have been given and have not acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::btree_heap;
use super::id::StreamId;
use crate::data::sizes::{estimate, size_class};

/// Which of a group's consumers. No other will ever have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConsumerId(u64);

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who has it.
    pub consumer: ConsumerId,
    /// When it was delivered last, in ms since 1970.
    pub delivered_at: i64,
    /// How often it was.
    pub deliveries: u64,
}

/// A consumer.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Arc<[u8]>,
    /// When it last asked for something, in ms since 1970.
    pub seen_at: i64,
    /// When it last got something; -1 for never.
    pub active_at: i64,
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The entries that it has.
    pub fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}

/// A consumer group.
///
/// What is pending stands in the group's list with its consumer, and in the consumer's; both always agree.
#[derive(Clone, Debug)]
pub struct Group {
    /// The id of the last entry that was delivered.
    pub last_id: StreamId,
    /// How many entries of the stream's history were read up to there; `None` if that is not known.
    pub entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    names: BTreeMap<Arc<[u8]>, ConsumerId>,
    consumers: BTreeMap<ConsumerId, Consumer>,
    next_consumer: u64,
}

impl Group {
    /// A group that has read so far.
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Group {
            last_id,
            entries_read,
            pending: BTreeMap::new(),
            names: BTreeMap::new(),
            consumers: BTreeMap::new(),
            next_consumer: 0,
        }
    }

    /// The consumer of a name.
    pub fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.names.get(name).copied()
    }

    /// Makes a consumer, unless there is one of that name.
    pub fn create(&mut self, name: &[u8], now_ms: i64) -> Option<ConsumerId> {
        if self.names.contains_key(name) {
            return None;
        }
        let (id, name) = (ConsumerId(self.next_consumer), Arc::<[u8]>::from(name));
        self.next_consumer += 1;
        self.names.insert(name.clone(), id);
        self.consumers.insert(id, Consumer { name, seen_at: now_ms, active_at: -1, pending: BTreeSet::new() });
        Some(id)
    }

    /// Removes a consumer with all that it has; gives how much that was.
    pub fn remove(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(&self.names.remove(name)?)?;
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    /// A consumer.
    ///
    /// # Panics
    /// If it was removed.
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        match self.consumers.get(&id) {
            Some(consumer) => consumer,
            None => panic!("a consumer that was removed is asked for"),
        }
    }

    /// A consumer, to be changed.
    ///
    /// # Panics
    /// If it was removed.
    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        match self.consumers.get_mut(&id) {
            Some(consumer) => consumer,
            None => panic!("a consumer that was removed is asked for"),
        }
    }

    /// The consumers by name.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.names.values().map(|id| self.consumer(*id))
    }

    /// All that is pending, by id.
    pub fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    /// Gives an entry to a consumer, whoever had it. Replaces what was noted of it.
    pub fn assign(&mut self, id: StreamId, pending: Pending) {
        if let Some(before) = self.pending.insert(id, pending)
            && before.consumer != pending.consumer
        {
            self.consumer_mut(before.consumer).pending.remove(&id);
        }
        self.consumer_mut(pending.consumer).pending.insert(id);
    }

    /// Takes an entry off the list; gives what was noted of it.
    pub fn acknowledge(&mut self, id: StreamId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        self.consumer_mut(pending.consumer).pending.remove(&id);
        Some(pending)
    }

    /// Notes that a consumer was given an entry of its own list once more.
    pub fn redeliver(&mut self, id: StreamId, now_ms: i64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_at = now_ms;
            pending.deliveries = pending.deliveries.wrapping_add(1);
        }
    }

    /// Bytes on the heap; `samples` consumers are measured and the rest estimated from them (0: all are measured).
    pub(super) fn heap_size(&self, samples: usize) -> usize {
        // A name has two counters before it.
        let consumers = self.consumers.values().map(|consumer| {
            size_class(2 * size_of::<usize>() + consumer.name.len())
                + btree_heap::<StreamId, ()>(consumer.pending.len())
        });
        btree_heap::<StreamId, Pending>(self.pending.len())
            + btree_heap::<Arc<[u8]>, ConsumerId>(self.names.len())
            + btree_heap::<ConsumerId, Consumer>(self.consumers.len())
            + estimate(self.consumers.len(), samples, consumers)
    }

    /// Allocations that dropping it frees, about.
    pub(super) fn free_effort(&self) -> usize {
        1 + 2 * self.names.len() + self.pending.len() / 4
    }
}
