//! Client-side caching: who is to hear that a key has changed. Knows nothing of connections and messages.
//!
//! In the ordinary mode the server remembers which client read which key, and tells each once. In the broadcasting mode it remembers
//! nothing but prefixes, and tells of every change of a key with one of them.

mod prefixes;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

pub use prefixes::Broadcast;
use prefixes::Prefixes;
use table::Table;

use crate::client::ClientId;

/// Which of the keys that a client reads are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All of them.
    All,
    /// Those of commands that follow CLIENT CACHING YES.
    OptIn,
    /// Those of commands that do not follow CLIENT CACHING NO.
    OptOut,
    /// None: changes of all keys with certain prefixes are told.
    Broadcast,
}

/// What is known of a client that caches.
#[derive(Debug)]
pub struct Tracked {
    /// See [`Mode`].
    pub mode: Mode,
    /// The client that is told in its place.
    pub redirect: Option<ClientId>,
    /// That client is gone.
    pub broken: bool,
    /// It is not told of its own changes.
    pub noloop: bool,
    /// CLIENT CACHING was called: the next command is an exception to the mode.
    pub caching: bool,
    /// Prefixes of keys whose changes are told in the broadcasting mode.
    pub prefixes: BTreeSet<Rc<[u8]>>,
}

impl Tracked {
    /// Whether what the client reads now is to be remembered.
    fn remembers(&self) -> bool {
        match self.mode {
            Mode::All => true,
            Mode::OptIn => self.caching,
            Mode::OptOut => !self.caching,
            Mode::Broadcast => false,
        }
    }
}

/// All that is known of clients that cache.
#[derive(Debug, Default)]
pub struct Tracking {
    clients: HashMap<ClientId, Tracked>,
    table: Table,
    prefixes: Prefixes,
}

impl Tracking {
    /// Whether nobody caches.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.clients.is_empty()
    }

    /// What is known of a client, if it caches.
    pub fn get(&self, client: ClientId) -> Option<&Tracked> {
        self.clients.get(&client)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, client: ClientId) -> Option<&mut Tracked> {
        self.clients.get_mut(&client)
    }

    /// The clients that cache.
    pub fn clients(&self) -> impl ExactSizeIterator<Item = ClientId> {
        self.clients.keys().copied()
    }

    /// A client caches from now on, or in another way; prefixes add to those that it had.
    pub fn enable(&mut self, client: ClientId, tracked: Tracked) {
        let had = self.clients.remove(&client).map(|known| known.prefixes).unwrap_or_default();
        let added = tracked.prefixes.iter().map(|prefix| self.prefixes.add(prefix, client));
        let prefixes = added.chain(had).collect();
        self.clients.insert(client, Tracked { prefixes, ..tracked });
    }

    /// A client caches no more. What was remembered for it is forgotten as its keys change; with the last client all is.
    pub fn disable(&mut self, client: ClientId) {
        let Some(known) = self.clients.remove(&client) else { return };
        for prefix in &known.prefixes {
            self.prefixes.remove(prefix, client);
        }
        if self.clients.is_empty() {
            self.table = Table::default();
        }
    }

    /// A client read keys.
    pub fn note_read<'a>(&mut self, client: ClientId, keys: impl Iterator<Item = &'a [u8]>) {
        if self.clients.get(&client).is_some_and(Tracked::remembers) {
            keys.for_each(|key| self.table.add(key, client));
        }
    }

    /// A key was changed, by this client: returns who is to be told now.
    pub fn note_change(&mut self, key: &[u8], by: Option<ClientId>) -> Vec<ClientId> {
        self.prefixes.note_change(key, by);
        let told = |client: &ClientId| {
            let tracked = self.clients.get(client).filter(|tracked| tracked.mode != Mode::Broadcast);
            tracked.is_some_and(|tracked| !(tracked.noloop && by == Some(*client)))
        };
        self.table.remove(key).into_iter().filter(told).collect()
    }

    /// All keys are gone: forgets what was remembered of them. Every client is to be told.
    pub fn note_flush(&mut self) {
        self.table = Table::default();
    }

    /// A key that is forgotten although it has not changed, when there are more than `limit` of them, and who is to be told.
    pub fn forget_beyond(&mut self, limit: usize) -> Option<(Box<[u8]>, Vec<ClientId>)> {
        let (key, clients) = if self.table.keys() > limit { self.table.remove_any()? } else { return None };
        let cache = |client: &ClientId| self.clients.get(client).is_some_and(|tracked| tracked.mode != Mode::Broadcast);
        Some((key, clients.into_iter().filter(cache).collect()))
    }

    /// The messages of the broadcasting mode since the last call.
    pub fn take_broadcasts(&mut self) -> Vec<Broadcast> {
        let clients = &self.clients;
        self.prefixes.take_broadcasts(|client| clients.get(&client).is_some_and(|tracked| tracked.noloop))
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.table.keys()
    }

    /// For how many clients, each key counted by itself.
    pub fn items(&self) -> usize {
        self.table.items()
    }

    /// How many prefixes there are.
    pub fn prefixes(&self) -> usize {
        self.prefixes.len()
    }

    /// Bytes that a client's own list of prefixes takes; their text is shared by all who listen to them.
    pub fn memory_of(&self, client: ClientId) -> usize {
        self.get(client).map_or(0, |tracked| tracked.prefixes.len() * size_of::<Rc<[u8]>>())
    }
}
