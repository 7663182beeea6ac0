//! The broadcasting mode: prefixes of keys, who listens to each, and which keys changed since they were told last.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::client::ClientId;

/// A message: keys that changed, and who is to hear of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Broadcast {
    /// Who.
    pub to: Vec<ClientId>,
    /// The keys, in their order.
    pub keys: Vec<Box<[u8]>>,
}

#[derive(Debug, Default)]
struct Listeners {
    clients: BTreeSet<ClientId>,
    /// The keys that changed, each with who changed it last.
    changed: BTreeMap<Box<[u8]>, Option<ClientId>>,
}

/// All prefixes.
#[derive(Debug, Default)]
pub struct Prefixes {
    listeners: BTreeMap<Rc<[u8]>, Listeners>,
    /// How many prefixes there are of each length: no other lengths of a key are looked up.
    lengths: BTreeMap<usize, usize>,
    any_changed: bool,
}

impl Prefixes {
    /// A client listens to a prefix; returns the one that all listeners share.
    pub fn add(&mut self, prefix: &Rc<[u8]>, client: ClientId) -> Rc<[u8]> {
        let shared = self.listeners.get_key_value(prefix).map_or(prefix, |(known, _)| known);
        let shared = Rc::clone(shared);
        let listeners = self.listeners.entry(Rc::clone(&shared)).or_insert_with(|| {
            *self.lengths.entry(prefix.len()).or_default() += 1;
            Listeners::default()
        });
        listeners.clients.insert(client);
        shared
    }

    /// A client listens to a prefix no more.
    pub fn remove(&mut self, prefix: &[u8], client: ClientId) {
        let Some(listeners) = self.listeners.get_mut(prefix) else { return };
        listeners.clients.remove(&client);
        if listeners.clients.is_empty() {
            self.listeners.remove(prefix);
            if let Some(n) = self.lengths.get_mut(&prefix.len()) {
                *n -= 1;
                if *n == 0 {
                    self.lengths.remove(&prefix.len());
                }
            }
        }
    }

    /// A key was changed.
    pub fn note_change(&mut self, key: &[u8], by: Option<ClientId>) {
        for length in self.lengths.range(..=key.len()).map(|(length, _)| *length) {
            if let Some(listeners) = self.listeners.get_mut(&key[..length]) {
                listeners.changed.insert(key.into(), by);
                self.any_changed = true;
            }
        }
    }

    /// The messages since the last call. `noloop` says who is not told of its own changes.
    pub fn take_broadcasts(&mut self, noloop: impl Fn(ClientId) -> bool) -> Vec<Broadcast> {
        if !std::mem::take(&mut self.any_changed) {
            return Vec::new();
        }
        let mut broadcasts = Vec::new();
        for listeners in self.listeners.values_mut().filter(|listeners| !listeners.changed.is_empty()) {
            let changed = std::mem::take(&mut listeners.changed);
            let (apart, alike): (Vec<_>, Vec<_>) =
                listeners.clients.iter().copied().partition(|client| noloop(*client));
            for client in apart {
                let others = changed.iter().filter(|(_, by)| **by != Some(client));
                let keys: Vec<_> = others.map(|(key, _)| key.clone()).collect();
                if !keys.is_empty() {
                    broadcasts.push(Broadcast { to: vec![client], keys });
                }
            }
            if !alike.is_empty() {
                broadcasts.push(Broadcast { to: alike, keys: changed.into_keys().collect() });
            }
        }
        broadcasts
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.listeners.len()
    }
}
