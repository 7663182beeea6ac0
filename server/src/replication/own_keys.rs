//! Keys with an expiry that clients of a writable replica made. The primary, whose business expiry is otherwise, knows nothing of
//! them, so the replica deletes them by itself.

use std::collections::{BTreeSet, HashMap};

use crate::commands::table;
use crate::server::Server;
use crate::server::propagation::Op;

/// Keys that one round looks at.
const KEYS_PER_ROUND: usize = 1000;

/// A database and a key of it.
type Place = (usize, Vec<u8>);

/// The keys, by when they are to be looked at.
#[derive(Debug, Default)]
pub struct OwnKeys {
    due: BTreeSet<(i64, Place)>,
    at: HashMap<Place, i64>,
}

impl OwnKeys {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = OwnKeys::default();
    }

    fn insert(&mut self, place: Place, at: i64) {
        if let Some(before) = self.at.insert(place.clone(), at) {
            self.due.remove(&(before, place.clone()));
        }
        self.due.insert((at, place));
    }

    /// The next one whose time is over.
    fn pop(&mut self, now_ms: i64) -> Option<Place> {
        let first = self.due.first().filter(|(at, _)| *at < now_ms)?.clone();
        self.due.remove(&first);
        self.at.remove(&first.1);
        Some(first.1)
    }
}

impl Server {
    /// Takes note of what a client of this replica wrote.
    pub fn note_own_keys(&mut self, ops: &[Op]) {
        for op in ops {
            let argv = op.argv.argv();
            let Ok(row) = table::resolve(argv) else { continue };
            for (i, _) in row.command.used_keys(argv) {
                let key = argv.get(i);
                let entry = self.keyspace.db(op.db).peek(key);
                if let Some(at) = entry.and_then(crate::data::entry::Entry::expire_at) {
                    self.repl.own_keys.insert((op.db, key.to_vec()), at);
                }
            }
        }
    }

    /// Deletes those whose time is over. From cron.
    pub fn expire_own_keys(&mut self) {
        let now = self.now_ms();
        for _ in 0..KEYS_PER_ROUND {
            let Some((db, key)) = self.repl.own_keys.pop(now) else { return };
            match self.keyspace.db(db).peek(&key).and_then(crate::data::entry::Entry::expire_at) {
                Some(at) if at < now => self.keyspace.db_mut(db).expire_now(&key),
                Some(at) => self.repl.own_keys.insert((db, key), at),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_up_once_when_their_latest_time_is_over() {
        let mut keys = OwnKeys::default();
        let place = |name: &str| (0, name.as_bytes().to_vec());
        keys.insert(place("a"), 10);
        keys.insert(place("b"), 20);
        keys.insert(place("a"), 30);
        assert_eq!((keys.len(), keys.pop(20)), (2, None));
        assert_eq!(keys.pop(31), Some(place("b")));
        assert_eq!(keys.pop(31), Some(place("a")));
        assert_eq!((keys.pop(31), keys.is_empty()), (None, true));
    }
}
