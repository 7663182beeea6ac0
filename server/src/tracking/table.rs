//! Which clients may have which keys in their caches.

use std::collections::BTreeMap;

use crate::client::ClientId;
use crate::data::table::hash;

/// A key and who may have it.
type Readers = (Box<[u8]>, Vec<ClientId>);

/// Keys by their hash, so that any of them can be picked by chance; those of one hash stand together.
#[derive(Debug, Default)]
pub struct Table {
    by_hash: BTreeMap<u64, Vec<Readers>>,
    keys: usize,
    items: usize,
    /// Where to look next for a key to forget.
    cursor: u64,
}

impl Table {
    /// A client may have a key.
    pub fn add(&mut self, key: &[u8], client: ClientId) {
        let alike = self.by_hash.entry(hash(key)).or_default();
        let at = alike.iter().position(|(known, _)| **known == *key).unwrap_or_else(|| {
            alike.push((key.into(), Vec::new()));
            self.keys += 1;
            alike.len() - 1
        });
        let clients = &mut alike[at].1;
        if let Err(at) = clients.binary_search(&client) {
            clients.insert(at, client);
            self.items += 1;
        }
    }

    /// Forgets a key; returns who may have it.
    pub fn remove(&mut self, key: &[u8]) -> Vec<ClientId> {
        let hash = hash(key);
        let Some(alike) = self.by_hash.get_mut(&hash) else { return Vec::new() };
        let Some(at) = alike.iter().position(|(known, _)| **known == *key) else { return Vec::new() };
        let (_, clients) = alike.swap_remove(at);
        if alike.is_empty() {
            self.by_hash.remove(&hash);
        }
        self.keys -= 1;
        self.items -= clients.len();
        clients
    }

    /// Forgets some key; returns it and who may have it.
    pub fn remove_any(&mut self) -> Option<Readers> {
        let next = self.by_hash.range(self.cursor..).next().or_else(|| self.by_hash.iter().next())?;
        self.cursor = next.0.wrapping_add(1);
        let key = next.1.first()?.0.clone();
        let clients = self.remove(&key);
        Some((key, clients))
    }

    /// How many keys there are.
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// How many pairs of key and client.
    pub fn items(&self) -> usize {
        self.items
    }
}
