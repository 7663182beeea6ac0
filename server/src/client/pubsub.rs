//! Who listens to which channel.

use std::collections::HashMap;

use super::ClientId;
use crate::glob;

/// Subscribers by channel, by pattern and by shard channel, each in the order they came.
#[derive(Debug, Default)]
pub struct PubSub {
    channels: HashMap<Box<[u8]>, Vec<ClientId>>,
    patterns: HashMap<Box<[u8]>, Vec<ClientId>>,
    shards: HashMap<Box<[u8]>, Vec<ClientId>>,
}

/// The kinds of subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A channel by name.
    Channel,
    /// Channels that match a pattern.
    Pattern,
    /// A shard channel by name.
    Shard,
}

impl PubSub {
    fn table(&mut self, kind: Kind) -> &mut HashMap<Box<[u8]>, Vec<ClientId>> {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::Shard => &mut self.shards,
        }
    }

    /// Adds a subscriber that is not there yet.
    pub fn subscribe(&mut self, kind: Kind, name: &[u8], client: ClientId) {
        self.table(kind).entry(name.into()).or_default().push(client);
    }

    /// Removes a subscriber.
    pub fn unsubscribe(&mut self, kind: Kind, name: &[u8], client: ClientId) {
        let table = self.table(kind);
        if let Some(list) = table.get_mut(name) {
            list.retain(|c| *c != client);
            if list.is_empty() {
                table.remove(name);
            }
        }
    }

    /// Subscribers of a channel by its name.
    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> &[ClientId] {
        let table = match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        };
        table.get(name).map_or(&[], Vec::as_slice)
    }

    /// Patterns that match a channel, each with its subscribers.
    pub fn matching_patterns<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [ClientId])> {
        self.patterns
            .iter()
            .filter(move |(pattern, _)| glob::matches(pattern, channel, false))
            .map(|(pattern, list)| (&**pattern, list.as_slice()))
    }

    /// Active channels (or shard channels), for PUBSUB CHANNELS.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        }
        .keys()
        .map(|k| &**k)
    }

    /// Number of distinct channels, patterns or shard channels.
    pub fn count(&self, kind: Kind) -> usize {
        self.names(kind).count()
    }

    /// Whether nobody listens to anything.
    pub fn is_silent(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shards.is_empty()
    }
}
