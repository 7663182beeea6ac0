//! What concerns more than one database: SWAPDB, FLUSHALL, MOVE, COPY, and taking over a data set that was loaded aside.

use super::Keyspace;
use super::db::{Db, Tables};
use super::state::Garbage;
use super::watch::Successor;
use crate::data::table::hash;

impl Keyspace {
    /// Exchanges the contents of two databases. Clients that watch keys or wait for them stay with the number.
    pub fn swap(&mut self, a: usize, b: usize) {
        let Ok([a, b]) = self.dbs.get_disjoint_mut([a, b]) else { return };
        a.replaced_by(&b.tables);
        b.replaced_by(&a.tables);
        std::mem::swap(&mut a.tables, &mut b.tables);
    }

    /// Empties one database, or all. Who watches a key that goes is told. What was in them is handed back: dropping it takes long.
    /// `dirty` is the caller's to raise, by the number of keys that were there.
    pub fn flush(&mut self, db: Option<usize>) -> Garbage {
        let none = Tables::default();
        let dbs = self.dbs.iter_mut().filter(|one| db.is_none_or(|db| db == one.id));
        Garbage::Databases(
            dbs.map(|db| {
                db.replaced_by(&none);
                std::mem::take(&mut db.tables)
            })
            .collect(),
        )
    }

    /// Exchanges all data with another keyspace of as many databases, into which a data set was loaded aside.
    pub fn swap_data(&mut self, other: &mut Keyspace) {
        for (db, other) in self.dbs.iter_mut().zip(&mut other.dbs) {
            db.replaced_by(&other.tables);
            std::mem::swap(&mut db.tables, &mut other.tables);
        }
    }

    /// Moves a key, with its expiry, to another database. False if it is not there, or is there already. No event.
    pub fn move_key(&mut self, key: &[u8], from: usize, to: usize) -> bool {
        let Ok([from, to]) = self.dbs.get_disjoint_mut([from, to]) else { return false };
        if from.write(key).is_none() || to.write(key).is_some() {
            return false;
        }
        let Some(entry) = from.remove(key) else { return false };
        to.insert_as_is(hash(key), entry);
        true
    }

    /// Copies a key, with its expiry, to another key, of another database perhaps, where none may be. False if there is no `key`, or
    /// something is at `to_key`. No event.
    pub fn copy_key(&mut self, key: &[u8], from: usize, to_key: &[u8], to: usize) -> bool {
        let Some(entry) = self.dbs[from].read(key) else { return false };
        let mut copy = entry.copy(to_key);
        let to = &mut self.dbs[to];
        if to.write(to_key).is_some() {
            return false;
        }
        copy.set_access(self.state.fresh_access());
        to.insert_as_is(hash(to_key), copy);
        true
    }
}

impl Db {
    /// Tells who watches or waits that other contents take the place of these.
    fn replaced_by(&mut self, new: &Tables) {
        let old = |key: &[u8]| self.tables.keys.contains(key);
        if !self.state.watches.borrow().is_empty() {
            let new = |key: &[u8]| {
                let entry = new.keys.get(key);
                Successor { exists: entry.is_some(), expired: entry.is_some_and(|entry| self.is_expired(entry)) }
            };
            self.state.watches.borrow_mut().touch_all(self.id, old, new);
        }
        if !self.state.waiters.borrow().is_empty() {
            self.state.waiters.borrow_mut().signal_all(self.id, old, |key| new.keys.contains(key));
        }
    }
}

impl Tables {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
