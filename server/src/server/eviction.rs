//! `maxmemory`: making room before a command.

use std::time::Duration;

use super::Server;
use super::latency::Event;
use crate::client::{Client, ClientFlags, ClientId};

/// How often the allocator is asked while memory is full, in ms.
const ASK_AGAIN_MS: i64 = 10;
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
        if self.fits(limit) {
            return true;
        }
        // Other threads may have freed what was left to them.
        if self.now_ms() >= self.memory_asked_ms + ASK_AGAIN_MS {
            self.memory_asked_ms = self.now_ms();
            crate::memory::used();
        }
        let started = std::time::Instant::now();
        let fits = self.evict_until(limit, started);
        self.note_latency(Event::EvictionCycle, started.elapsed());
        fits
    }

    fn evict_until(&mut self, limit: u64, started: std::time::Instant) -> bool {
        while !self.fits(limit) {
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

    /// Closes clients, the largest first, until all together hold less than `maxmemory-clients`. Once a turn.
    pub fn evict_clients(&mut self) {
        let limit = match self.config.maxmemory_clients {
            // A percentage.
            share if share < 0 => self.config.maxmemory / 100 * share.unsigned_abs(),
            bytes => bytes.unsigned_abs(),
        };
        if limit == 0 || (self.clients.memory() as u64) < limit {
            return;
        }
        // Those that have too much output go first.
        self.check_clients(self.now_ms());
        let going = self.clients.iter().filter(|client| client.flags.contains(ClientFlags::CLOSE_NOW));
        let going: usize = going.map(|client| client.counted).sum();
        let mut held = (self.clients.memory() - going) as u64;
        let evictable = |client: &&Client| {
            client.counted > 0 && !client.flags.intersects(ClientFlags::NO_EVICT | ClientFlags::CLOSE_NOW)
        };
        let mut largest: Vec<(usize, ClientId)> =
            self.clients.iter().filter(evictable).map(|client| (client.counted, client.id)).collect();
        largest.sort_unstable_by(|a, b| b.cmp(a));
        for (size, id) in largest {
            if held < limit {
                break;
            }
            if let Some(client) = self.clients.by_id(id) {
                crate::log_notice!("Evicting client: {}", String::from_utf8_lossy(&self.client_line(client, 0)));
            }
            self.clients.close(id);
            self.stats.evicted_clients += 1;
            held -= size as u64;
        }
    }

    /// Whether the memory in use, without what is not counted, is below the limit.
    fn fits(&self, limit: u64) -> bool {
        let used = crate::memory::used_lately();
        used <= limit || used.saturating_sub(self.memory_not_counted()) <= limit
    }

    /// Memory that `maxmemory` does not limit, in bytes: what slow replicas have yet to be sent, beyond the backlog. Evicting would
    /// only let it grow.
    pub fn memory_not_counted(&self) -> u64 {
        let stream = self.repl.buffer.as_ref().map_or(0, |b| b.memory() as u64);
        stream.saturating_sub(self.config.repl_backlog_size)
    }
}
