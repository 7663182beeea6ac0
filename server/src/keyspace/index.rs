//! Which keys of a database have an expiry, or fields that have.
//!
//! The index holds the keys' hashes, not pointers to the entries: nothing dangles when an entry moves, growing the index touches no
//! entry, and it costs 11 bytes a key. An entry is found again by its hash, and hashes of 64 bits with secret seeds do not meet in
//! practice; should two do, the index holds the hash twice and stays right.

use crate::data::rng::Rng;
use crate::data::table::{Keyed, Table};

/// A multiset of hashes of keys.
#[derive(Default)]
pub(super) struct KeyIndex(Table<KeyHash>);

struct KeyHash([u8; 8]);

impl Keyed for KeyHash {
    fn key(&self) -> &[u8] {
        &self.0
    }

    fn hash(&self) -> u64 {
        u64::from_le_bytes(self.0)
    }
}

impl KeyIndex {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn reserve(&mut self, n: usize) {
        self.0.reserve(n);
    }

    pub fn insert(&mut self, hash: u64) {
        self.0.insert_unique(hash, KeyHash(hash.to_le_bytes()));
    }

    pub fn remove(&mut self, hash: u64) {
        self.0.remove_where(hash, |other| other.hash() == hash);
    }

    pub fn scan(&self, cursor: u64, mut visit: impl FnMut(u64)) -> u64 {
        self.0.scan(cursor, |hash| visit(hash.hash()))
    }

    pub fn sample(&self, rng: &mut Rng, n: usize, mut visit: impl FnMut(u64)) {
        self.0.sample(rng, n, |hash| visit(hash.hash()));
    }

    pub fn random(&self, rng: &mut Rng) -> Option<u64> {
        self.0.random(rng).map(Keyed::hash)
    }

    pub fn rehash_for(&mut self, budget: std::time::Duration) -> bool {
        self.0.rehash_for(budget)
    }

    pub fn memory_usage(&self) -> usize {
        self.0.memory_usage()
    }
}
