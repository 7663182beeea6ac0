//! Which key to evict when memory is full.

use super::Keyspace;
use super::state::{Effect, add};
use crate::config::{MaxmemoryPolicy, NotifyEvents};
use crate::data::entry::Entry;
use crate::data::table::Keyed;

/// Good candidates of earlier samples are kept: they make a few samples as good as many (Sanfilippo, Redis 3.0).
const POOL: usize = 16;

pub(super) struct Candidate {
    /// More is better.
    score: u64,
    db: usize,
    key: Vec<u8>,
}

impl Keyspace {
    /// A key to evict under a policy, by a sample of `samples` keys of each database (`maxmemory-samples`). `None` if there is none,
    /// always so under `noeviction`.
    pub fn evict_candidate(&mut self, policy: MaxmemoryPolicy, samples: usize) -> Option<(usize, Vec<u8>)> {
        use MaxmemoryPolicy as P;
        match policy {
            P::Noeviction => None,
            P::AllkeysRandom | P::VolatileRandom => self.random_candidate(policy.is_volatile()),
            P::AllkeysLru | P::AllkeysLfu | P::VolatileLru | P::VolatileLfu | P::VolatileTtl => {
                self.best_candidate(policy, samples.max(1))
            }
        }
    }

    /// Evicts a key: deletes it, and tells everybody. Returns the bytes that its deletion alone has freed, without what it costs to
    /// tell of it; `None` if it was not there.
    pub fn evict(&mut self, db: usize, key: &[u8]) -> Option<u64> {
        let db = &mut self.dbs[db];
        let before = crate::memory::used_lately();
        let entry = db.remove(key)?;
        self.state.discard(entry, self.state.lazy.get().eviction);
        let freed = before.saturating_sub(crate::memory::used_lately());
        add(&self.state.evicted, 1);
        db.touched(key);
        db.notify(NotifyEvents::EVICTED, "evicted", key);
        self.state.effect(Effect::Evicted { db: db.id, key: key.to_vec() });
        Some(freed)
    }

    /// Databases take turns, whatever they hold.
    fn random_candidate(&mut self, volatile: bool) -> Option<(usize, Vec<u8>)> {
        for _ in 0..self.dbs.len() {
            self.evict_next_db = (self.evict_next_db + 1) % self.dbs.len();
            let tables = &self.dbs[self.evict_next_db].tables;
            let mut rng = self.state.rng.borrow_mut();
            let entry = if volatile {
                tables.expires.random(&mut rng).and_then(|hash| tables.expiring(hash))
            } else {
                tables.keys.random(&mut rng)
            };
            if let Some(entry) = entry {
                return Some((self.evict_next_db, entry.key().to_vec()));
            }
        }
        None
    }

    fn best_candidate(&mut self, policy: MaxmemoryPolicy, samples: usize) -> Option<(usize, Vec<u8>)> {
        let volatile = policy.is_volatile();
        if self.evict_policy != policy {
            // Scores of different policies do not compare.
            self.evict_policy = policy;
            self.evict_pool.clear();
        }
        loop {
            let mut total = 0;
            for db in 0..self.dbs.len() {
                let tables = &self.dbs[db].tables;
                let held = if volatile { tables.expires.len() } else { tables.keys.len() };
                if held == 0 {
                    continue;
                }
                total += held;
                let (state, pool) = (&self.state, &mut self.evict_pool);
                let mut offer = |entry: &Entry| {
                    let score = match (policy, entry.expire_at()) {
                        (MaxmemoryPolicy::VolatileTtl, Some(at)) => u64::MAX - at.max(0) as u64,
                        _ => state.idleness(entry.access()),
                    };
                    offer(pool, score, db, entry.key());
                };
                let mut sample = Vec::with_capacity(samples + 8);
                if volatile {
                    let mut rng = state.rng.borrow_mut();
                    tables.expires.sample(&mut rng, samples, |hash| sample.push(hash));
                    sample.iter().filter_map(|hash| tables.expiring(*hash)).for_each(&mut offer);
                } else {
                    let mut rng = self.state.rng.borrow_mut();
                    tables.keys.sample(&mut rng, samples, &mut offer);
                }
            }
            if total == 0 {
                return None;
            }
            while let Some(best) = self.evict_pool.pop() {
                let entry = self.dbs[best.db].peek(&best.key);
                if entry.is_some_and(|entry| !volatile || entry.expire_at().is_some()) {
                    return Some((best.db, best.key));
                }
            }
        }
    }
}

/// Puts a key into the pool, which is in ascending order of scores, if there is room or it beats one that is there.
fn offer(pool: &mut Vec<Candidate>, score: u64, db: usize, key: &[u8]) {
    if pool.len() == POOL && pool.first().is_some_and(|worst| worst.score >= score) {
        return;
    }
    if pool.iter().any(|candidate| candidate.db == db && candidate.key == key) {
        return;
    }
    if pool.len() == POOL {
        pool.remove(0);
    }
    let at = pool.partition_point(|candidate| candidate.score < score);
    pool.insert(at, Candidate { score, db, key: key.to_vec() });
}
