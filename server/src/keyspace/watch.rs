//! Keys that clients watch between WATCH and EXEC.

use std::collections::HashMap;

/// A database and a key in it.
type DbKey = (usize, Box<[u8]>);

/// Who watches which key, both ways.
pub(super) struct Watches {
    dbs: Vec<HashMap<Box<[u8]>, Vec<Watcher>>>,
    clients: HashMap<u64, Vec<DbKey>>,
    /// Clients whose keys were changed; they watch nothing any more.
    dirty: Vec<u64>,
}

struct Watcher {
    client: u64,
    /// The key had expired when the watch began, so that its deletion is no change.
    expired: bool,
}

/// How a key is in a database that takes another's place.
pub(super) struct Successor {
    pub exists: bool,
    pub expired: bool,
}

impl Watches {
    pub fn new(dbs: usize) -> Watches {
        let dbs = std::iter::repeat_with(HashMap::new).take(dbs).collect();
        Watches { dbs, clients: HashMap::new(), dirty: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Keys that a client watches.
    pub fn keys_of(&self, client: u64) -> usize {
        self.clients.get(&client).map_or(0, Vec::len)
    }

    /// Keys watched by at least one client.
    pub fn keys(&self) -> usize {
        self.dbs.iter().map(HashMap::len).sum()
    }

    pub fn watch(&mut self, db: usize, key: &[u8], client: u64, expired: bool) {
        let watchers = self.dbs[db].entry(key.into()).or_default();
        if watchers.iter().all(|watcher| watcher.client != client) {
            watchers.push(Watcher { client, expired });
            self.clients.entry(client).or_default().push((db, key.into()));
        }
    }

    pub fn unwatch(&mut self, client: u64) {
        for (db, key) in self.clients.remove(&client).unwrap_or_default() {
            if let Some(watchers) = self.dbs[db].get_mut(&key) {
                watchers.retain(|watcher| watcher.client != client);
                if watchers.is_empty() {
                    self.dbs[db].remove(&key);
                }
            }
        }
    }

    /// The keys that a client watches and that had not expired when it began.
    pub fn live_keys(&self, client: u64) -> impl Iterator<Item = (usize, &[u8])> {
        let keys = self.clients.get(&client).map_or(&[][..], Vec::as_slice);
        keys.iter().map(|(db, key)| (*db, &**key)).filter(move |(db, key)| {
            let watchers = self.dbs[*db].get(*key).map_or(&[][..], Vec::as_slice);
            watchers.iter().any(|watcher| watcher.client == client && !watcher.expired)
        })
    }

    /// A key was changed; `exists` says whether it is there now.
    pub fn touch(&mut self, db: usize, key: &[u8], exists: bool) {
        let Some(watchers) = self.dbs[db].get_mut(key) else { return };
        let from = self.dirty.len();
        for watcher in watchers {
            if watcher.expired && !exists {
                watcher.expired = false;
            } else {
                self.dirty.push(watcher.client);
            }
        }
        self.unwatch_dirty(from);
    }

    /// A database was emptied or replaced. `old` says whether it held a key, `new` how what takes its place does.
    pub fn touch_all(&mut self, db: usize, old: impl Fn(&[u8]) -> bool, new: impl Fn(&[u8]) -> Successor) {
        let from = self.dirty.len();
        for (key, watchers) in &mut self.dbs[db] {
            let (old, new) = (old(key), new(key));
            for watcher in watchers {
                match (watcher.expired, old, new.exists) {
                    (_, false, false) => {}
                    (true, _, false) => watcher.expired = false,
                    (true, _, true) if new.expired => {}
                    (false, false, true) if new.expired => watcher.expired = true,
                    _ => self.dirty.push(watcher.client),
                }
            }
        }
        self.unwatch_dirty(from);
    }

    fn unwatch_dirty(&mut self, from: usize) {
        self.dirty[from..].sort_unstable();
        self.dirty.dedup();
        for i in from..self.dirty.len() {
            self.unwatch(self.dirty[i]);
        }
    }

    pub fn take_dirty(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.dirty)
    }
}
