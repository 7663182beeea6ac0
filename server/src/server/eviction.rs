//! `maxmemory`: making room before a command.

use std::time::{Duration, Instant};

use super::Server;
use super::latency::Event;
use crate::client::{Client, ClientFlags, ClientId};

/// What is remembered of eviction.
#[derive(Debug, Default)]
pub struct Eviction {
    /// Unix time in ms at which the allocator was last asked because memory was full.
    asked_ms: i64,
    /// There is more to evict, and nobody may come whose command would.
    pub due: bool,
}

/// How often the allocator is asked while memory is full, in ms.
const ASK_AGAIN_MS: i64 = 10;
/// After so many keys whose values are freed elsewhere, it is looked how much that was.
const LOOK_AFTER: usize = 16;

impl Server {
    /// Evicts keys until the memory in use is below the limit, for a bounded time; false when there is no room.
    pub fn evict_to_limit(&mut self) -> bool {
        let limit = self.config.maxmemory;
        // An evicted key is a write.
        if !self.is_primary() && self.config.replica_ignore_maxmemory || self.writes_paused() {
            return true;
        }
        let beyond = self.excess(limit) > 0;
        let fits = !beyond || self.make_room(limit);
        self.stats.beyond_limit.note(beyond && (!fits || self.eviction.due));
        fits
    }

    fn make_room(&mut self, limit: u64) -> bool {
        // Clients beyond their own limit go before any key does; what they hold is free at the end of the turn.
        if self.nesting == 0 && self.excess(limit) <= self.evict_clients() {
            return true;
        }
        // What is being imported is not complete: its keys are not ours to choose among.
        if self.config.import_mode && self.is_primary() {
            return false;
        }
        // Other threads may have freed what was left to them.
        if self.now_ms() >= self.eviction.asked_ms + ASK_AGAIN_MS {
            self.eviction.asked_ms = self.now_ms();
            crate::memory::used();
        }
        let started = Instant::now();
        let fits = self.evict_until(limit, started);
        self.note_latency(Event::EvictionCycle, started.elapsed());
        fits
    }

    /// Frees by deletions what the memory in use exceeds the limit by now. What it takes to tell of them does not count: it would
    /// have keys evicted for the sake of keys evicted.
    fn evict_until(&mut self, limit: u64, started: Instant) -> bool {
        let slice = slice(self.config.maxmemory_eviction_tenacity);
        let (excess, mut freed, mut evicted) = (self.excess(limit), 0, 0);
        while freed < excess {
            let policy = self.config.maxmemory_policy;
            let Some((db, key)) = self.keyspace.evict_candidate(policy, self.config.maxmemory_samples) else {
                return false;
            };
            freed += self.keyspace.evict(db, &key).unwrap_or(0);
            evicted += 1;
            if evicted % LOOK_AFTER == 0 && self.config.lazyfree_lazy_eviction {
                self.free_in_background();
                crate::memory::used();
                if self.excess(limit) == 0 {
                    break;
                }
            }
            if slice.is_some_and(|slice| started.elapsed() > slice) {
                // The next command goes on, or the next turn: no pause grows with what there is to evict.
                self.eviction.due = true;
                break;
            }
        }
        true
    }

    /// Goes on with what commands left to do, and begins what a lower limit asks for. Once a turn.
    pub fn evict_if_due(&mut self) {
        if self.config.maxmemory == 0 {
            self.stats.beyond_limit.note(false);
        }
        if std::mem::take(&mut self.eviction.due) && self.config.maxmemory > 0 && !self.loading.is_active() {
            self.evict_to_limit();
        }
    }

    /// Closes clients, the largest first, until all together hold less than `maxmemory-clients`. Once a turn, and before keys are
    /// evicted. Returns the bytes held by clients that will be closed with this turn.
    pub fn evict_clients(&mut self) -> u64 {
        let limit = match self.config.maxmemory_clients {
            // A percentage.
            share if share < 0 => self.config.maxmemory / 100 * share.unsigned_abs(),
            bytes => bytes.unsigned_abs(),
        };
        if limit == 0 || (self.clients.memory() as u64) < limit {
            return 0;
        }
        // Those that have too much output go first.
        self.check_clients(self.now_ms());
        let going = self.clients.iter().filter(|client| client.flags.contains(ClientFlags::CLOSE_NOW));
        let going: usize = going.map(|client| client.counted).sum();
        let mut going = going as u64;
        let mut held = (self.clients.memory() as u64).saturating_sub(going);
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
            going += size as u64;
        }
        going
    }

    /// By how much the memory in use, without what is not counted, is beyond the limit.
    fn excess(&self, limit: u64) -> u64 {
        let used = crate::memory::used_lately();
        if used <= limit { 0 } else { used.saturating_sub(self.memory_not_counted()).saturating_sub(limit) }
    }

    /// Memory that `maxmemory` does not limit, in bytes: what slow replicas have yet to be sent, beyond the backlog. Evicting would
    /// only let it grow.
    pub fn memory_not_counted(&self) -> u64 {
        let stream = self.repl.buffer.as_ref().map_or(0, |b| b.memory() as u64);
        stream.saturating_sub(self.config.repl_backlog_size)
    }
}

/// How long one command may be held up by eviction: half a millisecond as a rule, then 15% more for each step of
/// `maxmemory-eviction-tenacity`, and without limit at its end.
fn slice(tenacity: u32) -> Option<Duration> {
    match tenacity {
        0..=10 => Some(Duration::from_micros(50 * u64::from(tenacity))),
        11..100 => Some(Duration::from_micros(500).mul_f64(1.15f64.powi(tenacity as i32 - 10))),
        _ => None,
    }
}
