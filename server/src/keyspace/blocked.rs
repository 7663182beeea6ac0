//! Keys that blocked clients wait for, and the keys that have become ready.

use std::collections::{HashMap, HashSet, VecDeque};

/// A database and a key in it.
type DbKey = (usize, Box<[u8]>);

/// Who waits for which key, first come first.
pub(super) struct Waiters {
    dbs: Vec<HashMap<Box<[u8]>, VecDeque<Waiter>>>,
    clients: HashMap<u64, Vec<DbKey>>,
    ready: Vec<(usize, Vec<u8>)>,
    /// What stands in `ready`, so that many pushes signal a key once.
    queued: HashSet<(usize, Vec<u8>)>,
}

struct Waiter {
    client: u64,
    /// Wants to hear of the key's deletion, too (XREADGROUP).
    on_deletion: bool,
}

impl Waiters {
    pub fn new(dbs: usize) -> Waiters {
        let dbs = std::iter::repeat_with(HashMap::new).take(dbs).collect();
        Waiters { dbs, clients: HashMap::new(), ready: Vec::new(), queued: HashSet::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Keys that at least one client waits for.
    pub fn keys(&self) -> usize {
        self.dbs.iter().map(HashMap::len).sum()
    }

    /// Keys of which at least one client wants to hear that they are gone.
    pub fn keys_on_deletion(&self) -> usize {
        self.dbs.iter().flat_map(HashMap::values).filter(|waiters| waiters.iter().any(|w| w.on_deletion)).count()
    }

    pub fn block(&mut self, db: usize, client: u64, keys: &[&[u8]], on_deletion: bool) {
        for key in keys {
            let waiters = self.dbs[db].entry((*key).into()).or_default();
            if waiters.iter().all(|waiter| waiter.client != client) {
                waiters.push_back(Waiter { client, on_deletion });
                self.clients.entry(client).or_default().push((db, (*key).into()));
            }
        }
    }

    pub fn unblock(&mut self, client: u64) {
        for (db, key) in self.clients.remove(&client).unwrap_or_default() {
            if let Some(waiters) = self.dbs[db].get_mut(&key) {
                waiters.retain(|waiter| waiter.client != client);
                if waiters.is_empty() {
                    self.dbs[db].remove(&key);
                }
            }
        }
    }

    pub fn waiting(&self, db: usize, key: &[u8]) -> Vec<u64> {
        self.dbs[db].get(key).map_or_else(Vec::new, |waiters| waiters.iter().map(|waiter| waiter.client).collect())
    }

    pub fn signal(&mut self, db: usize, key: &[u8]) {
        if self.dbs[db].contains_key(key) {
            self.queue(db, key);
        }
    }

    pub fn signal_deleted(&mut self, db: usize, key: &[u8]) {
        if self.dbs[db].get(key).is_some_and(|waiters| waiters.iter().any(|waiter| waiter.on_deletion)) {
            self.queue(db, key);
        }
    }

    /// A database was emptied or replaced: signals what is ready now, or gone.
    pub fn signal_all(&mut self, db: usize, old: impl Fn(&[u8]) -> bool, new: impl Fn(&[u8]) -> bool) {
        let keys: Vec<_> = self.dbs[db].keys().cloned().collect();
        for key in keys {
            match (old(&key), new(&key)) {
                (_, true) => self.signal(db, &key),
                (true, false) => self.signal_deleted(db, &key),
                (false, false) => {}
            }
        }
    }

    fn queue(&mut self, db: usize, key: &[u8]) {
        if self.queued.insert((db, key.to_vec())) {
            self.ready.push((db, key.to_vec()));
        }
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub fn take_ready(&mut self) -> Vec<(usize, Vec<u8>)> {
        self.queued.clear();
        std::mem::take(&mut self.ready)
    }
}
