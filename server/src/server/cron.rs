//! What is done at regular intervals: `hz` times a second, and some of it once a second.

use super::Server;
use super::latency::Event;
use std::time::Duration;

use crate::client::ClientFlags;
use crate::keyspace::ExpireCycle;

/// A client that has been silent for so long keeps no more memory for its requests than it needs.
const IDLE_MS: i64 = 2000;

impl Server {
    /// One cron turn.
    pub fn cron(&mut self) {
        let now = self.now_ms();
        let period = 1000 / i64::from(self.config.hz.clamp(1, 500));
        self.next_cron_ms = now + period;
        if self.debug.pause_cron {
            return;
        }
        self.cron_turns += 1;
        let once_a_second = self.cron_turns.is_multiple_of(u64::from(self.config.hz.clamp(1, 500)));

        self.sample_rates();
        self.tend_keyspace();
        self.expire_own_keys();
        self.flush_effects();
        self.check_clients(now);
        self.limit_tracking();
        self.save_if_due();
        self.aof_cron();
        self.failover_progress();
        if self.repl.transfer.is_some() {
            self.forward_snapshot();
        }
        if once_a_second {
            self.check_replicas();
            self.peers.close_unused(now);
            self.reload_tls_if_changed();
        }
        let period = i64::from(self.config.repl_ping_replica_period) * 1000;
        if self.is_primary() && now >= self.repl.last_ping_ms + period {
            self.repl.last_ping_ms = now;
            // A failover compares offsets: nothing may move them.
            if !self.repl.replicas.is_empty() && self.repl.failover.is_none() {
                self.feed_ping();
            }
        }
        self.http_cron(now);
    }

    /// Expiry and tables that have to grow or shrink, in bounded slices.
    fn tend_keyspace(&mut self) {
        if self.expires_actively() {
            let cycle = ExpireCycle::Slow { hz: self.config.hz };
            let took = self.keyspace.active_expire(cycle, self.config.active_expire_effort);
            self.stats.expire_us += took.as_micros() as u64;
            self.note_latency(Event::ExpireCycle, took);
        }
        if self.config.activerehashing && self.persistence.child.is_none() {
            self.keyspace.rehash_for(Duration::from_millis(1));
        }
    }

    /// Whether this server deletes what has expired by itself: its role and no pause forbid it.
    fn expires_actively(&self) -> bool {
        self.active_expire
            && self.is_primary()
            && self.loading.progress.is_none()
            && !self.writes_paused()
            && !self.config.import_mode
    }

    /// Once a turn: expiry when there is known to be much of it, and what is to be dropped elsewhere.
    pub fn tend_keyspace_fast(&mut self) {
        if self.expires_actively() {
            let took = self.keyspace.active_expire(ExpireCycle::Fast, self.config.active_expire_effort);
            self.stats.expire_us += took.as_micros() as u64;
            self.note_latency(Event::ExpireCycle, took);
        }
        self.free_in_background();
    }

    /// Leaves what is to be dropped to another thread.
    pub fn free_in_background(&mut self) {
        for garbage in self.keyspace.take_garbage() {
            self.bio.free_garbage(garbage);
        }
    }

    fn sample_rates(&mut self) {
        let now = self.now_ms();
        let s = &mut self.stats;
        s.ops_per_second.sample(now, s.commands_processed);
        s.input_rate.sample(now, s.bytes_in + s.repl_bytes_in);
        s.output_rate.sample(now, s.bytes_out + s.repl_bytes_out);
        s.repl_input_rate.sample(now, s.repl_bytes_in);
        s.repl_output_rate.sample(now, s.repl_bytes_out);
        s.turns.rate.sample(now, s.turns.count);
        s.turns.busy_rate.sample(now, s.turns.busy_us);
        s.peak_memory = s.peak_memory.max(crate::memory::used());
    }

    /// Idle clients (`timeout`), and ordinary clients beyond their soft output limit.
    pub fn check_clients(&mut self, now: i64) {
        let idle_limit = i64::from(self.config.timeout) * 1000;
        let limits = self.config.client_output_buffer_limit;
        let mut close = Vec::new();
        let mut shrunk = Vec::new();
        let mut over = 0;
        self.stats.recent_buffers.begin(now);
        for client in self.clients.iter_mut() {
            self.stats.recent_buffers.note(client.query.len(), client.reply.pending());
            if client.is_replica() || client.is_primary() {
                continue;
            }
            if now - client.active_ms > IDLE_MS && client.query.shrink() {
                shrunk.push(client.slot);
            }
            let idle = idle_limit > 0 && now - client.active_ms > idle_limit;
            if idle && client.blocked.is_none() && client.subscriptions() == 0 {
                crate::log_verbose!("Closing idle client");
                close.push(client.slot);
                continue;
            }
            let limit = if client.class() == "pubsub" { limits.pubsub } else { limits.normal };
            let soft = client.is_over(limit.soft_bytes);
            client.over_soft_limit_since = if soft { client.over_soft_limit_since.or(Some(now)) } else { None };
            let too_long =
                client.over_soft_limit_since.is_some_and(|s| now - s >= i64::from(limit.soft_seconds) * 1000);
            if client.is_over(limit.hard_bytes) || (soft && too_long) {
                crate::log_warning!(
                    "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
                    client.peer
                );
                client.flags |= ClientFlags::CLOSE_NOW;
                close.push(client.slot);
                over += 1;
            }
        }
        for slot in shrunk {
            if let Some(client) = self.clients.take(slot) {
                // It is counted anew.
                self.clients.put_back_quietly(client);
            }
        }
        self.stats.client_output_limit_disconnections += over;
        self.clients.to_close.append(&mut close);
    }

    /// Propagates what the keyspace did by itself since the last command.
    pub fn flush_effects(&mut self) {
        if self.keyspace.has_effects() {
            crate::commands::dispatch::take_effects(self);
            self.propagate_apart(false);
        }
    }
}
