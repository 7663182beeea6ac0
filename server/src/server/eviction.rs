//! `maxmemory`: making room before a command.

use std::time::Duration;

use super::Server;
use super::latency::Event;

/// How long one command may be held up by eviction.
const SLICE: Duration = Duration::from_micros(500);

impl Server {
    /// Evicts keys until the memory in use is below the limit, for a bounded time; false when there is no room.
    pub fn evict_to_limit(&mut self) -> bool {
        let limit = self.config.maxmemory;
        // An evicted key is a write.
        if !self.is_primary() && self.config.replica_ignore_maxmemory || self.writes_paused() {
            return true;
        }
        if self.memory_that_counts() <= limit {
            return true;
        }
        let started = std::time::Instant::now();
        let fits = self.evict_until(limit, started);
        self.note_latency(Event::EvictionCycle, started.elapsed());
        fits
    }

    fn evict_until(&mut self, limit: u64, started: std::time::Instant) -> bool {
        while self.memory_that_counts() > limit {
            let policy = self.config.maxmemory_policy;
            let Some((db, key)) = self.keyspace.evict_candidate(policy, self.config.maxmemory_samples) else {
                return false;
            };
            self.keyspace.evict(db, &key);
            if started.elapsed() > SLICE {
                // The next command goes on: no pause grows with what there is to evict.
                break;
            }
        }
        true
    }

    /// Memory in use without what replicas' streams take, which evicting would only let grow.
    fn memory_that_counts(&self) -> u64 {
        crate::memory::used().saturating_sub(self.memory_not_counted())
    }

    /// Memory that `maxmemory` does not limit, in bytes: evicting would only let it grow.
    pub fn memory_not_counted(&self) -> u64 {
        self.repl.buffer.as_ref().map_or(0, |b| b.memory() as u64)
    }
}
