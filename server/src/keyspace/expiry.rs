//! Keys that expire: what the role of the server makes of them on access, and the cycle that finds the others.

use super::Keyspace;
use super::db::Db;
use super::state::{Effect, add};
use crate::config::NotifyEvents;
use crate::data::table::{Keyed, hash};
use std::time::{Duration, Instant};

/// What becomes of a key that is looked up after its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnExpired {
    /// It is deleted, with [`Effect::Expired`].
    Delete,
    /// It is not there for the caller, but kept: deleting is the primary's affair, or is paused.
    Hide,
    /// It is there as if it had not expired.
    Ignore,
}

/// What the server's role makes of expired keys, set before each command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiryRule {
    /// Looked up for reading.
    pub read: OnExpired,
    /// Looked up for writing.
    pub write: OnExpired,
}

impl ExpiryRule {
    /// A primary; and its clients.
    pub const PRIMARY: ExpiryRule = ExpiryRule { read: OnExpired::Delete, write: OnExpired::Delete };
    /// Clients of a read-only replica; of a primary while expiry is paused (a failover, CLIENT PAUSE).
    pub const HIDE: ExpiryRule = ExpiryRule { read: OnExpired::Hide, write: OnExpired::Hide };
    /// Clients of a replica that may be written to, and of a primary in import mode.
    pub const HIDE_FROM_READERS: ExpiryRule = ExpiryRule { read: OnExpired::Hide, write: OnExpired::Delete };
    /// The primary's stream, the source of an import, loading, and `DEBUG` that turns lazy expiry off: what they say happens.
    pub const IGNORE: ExpiryRule = ExpiryRule { read: OnExpired::Ignore, write: OnExpired::Ignore };
}

/// The two ways in which the cycle is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpireCycle {
    /// At each turn of the event loop: about a millisecond, and only if there is known to be much to do.
    Fast,
    /// So often in a second: about a quarter of the time.
    Slow {
        /// Runs in a second.
        hz: u32,
    },
}

/// What the cycle remembers from run to run.
#[derive(Default)]
pub(super) struct ActiveExpiry {
    pub keys: Progress,
    pub fields: Progress,
    /// Keys and fields take turns in having the first go at the time.
    fields_first: bool,
    last_fast: Option<Instant>,
    pub time_cap_reached: u64,
}

/// How far the cycle has come with the keys, or with the fields.
#[derive(Default)]
pub(super) struct Progress {
    next_db: usize,
    ran_out_of_time: bool,
    /// Estimated share of expired ones among those with an expiry.
    pub stale_share: f64,
}

impl ActiveExpiry {
    pub fn reset_stats(&mut self) {
        self.time_cap_reached = 0;
        (self.keys.stale_share, self.fields.stale_share) = (0.0, 0.0);
    }
}

/// What the cycle looks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    Keys,
    Fields,
}

/// What one step came upon.
#[derive(Default)]
pub(super) struct Sample {
    /// Keys or fields with an expiry.
    pub seen: usize,
    /// Those of them whose time was over.
    pub expired: usize,
    /// The index was walked to its end.
    pub finished: bool,
}

/// Keys looked at in one step, by the lowest effort.
const KEYS: usize = 20;
/// Percent of expired keys among those looked at, at which a database is left alone, by the lowest effort.
const ACCEPTABLE_STALE: usize = 10;
/// Databases in one run.
const DATABASES: usize = 16;

impl Keyspace {
    /// Deletes keys and fields of hashes that have expired, as a bounded piece of work: it samples those that have an expiry, and goes
    /// on with a database while more than 10 % of a sample have expired (Valkey's adaptive cycle). `effort` is
    /// `active-expire-effort`, 1 to 10.
    ///
    /// For a primary only, and not while expiry is paused. The clock must have been set; the effects are for the caller to drain.
    /// Returns the time it took.
    pub fn active_expire(&mut self, cycle: ExpireCycle, effort: u32) -> Duration {
        let start = Instant::now();
        let effort = effort.clamp(1, 10) as usize - 1;
        let limit = match cycle {
            ExpireCycle::Fast => {
                let limit = Duration::from_micros(1000 + 250 * effort as u64);
                if self.expiry.last_fast.is_some_and(|last| start < last + 2 * limit) {
                    return Duration::ZERO;
                }
                limit
            }
            ExpireCycle::Slow { hz } => Duration::from_secs(25 + 2 * effort as u64) / 100 / hz.max(1),
        };
        let mut jobs = [Job::Keys, Job::Fields];
        if self.expiry.fields_first {
            jobs.reverse();
        }
        self.expiry.fields_first = !self.expiry.fields_first;
        for job in jobs {
            let progress = self.progress(job);
            // The fast cycle is not worth it unless the last run left much.
            let much = progress.ran_out_of_time || progress.stale_share * 100.0 >= (ACCEPTABLE_STALE - effort) as f64;
            if cycle != ExpireCycle::Fast || much {
                self.expire_for(job, start, limit, effort);
                if cycle == ExpireCycle::Fast {
                    self.expiry.last_fast = Some(start);
                }
            }
        }
        start.elapsed()
    }

    fn progress(&mut self, job: Job) -> &mut Progress {
        match job {
            Job::Keys => &mut self.expiry.keys,
            Job::Fields => &mut self.expiry.fields,
        }
    }

    fn expire_for(&mut self, job: Job, start: Instant, limit: Duration, effort: usize) {
        let step = KEYS + KEYS / 4 * effort;
        let dbs = self.dbs.len();
        let progress = self.progress(job);
        let wanted = if progress.ran_out_of_time { dbs } else { dbs.min(DATABASES) };
        let (mut next_db, mut ran_out_of_time) = (progress.next_db, false);
        let (mut sampled, mut expired, mut done, mut steps) = (0, 0, 0, 0usize);
        for _ in 0..dbs {
            if done == wanted || ran_out_of_time {
                break;
            }
            // Advanced first, so that the next run goes on with the next database if this one takes all the time.
            let db = &mut self.dbs[next_db % dbs];
            next_db = (next_db + 1) % dbs;
            if job == Job::Keys && db.expires_len() == 0 {
                db.tables.average_ttl = 0;
            }
            if if job == Job::Keys { db.expires_len() } else { db.fields_len() } == 0 {
                continue;
            }
            done += 1;
            loop {
                let sample = if job == Job::Keys { db.expire_step(step) } else { db.expire_fields_step() };
                sampled += sample.seen;
                expired += sample.expired;
                steps += 1;
                // A step with fields is a longer one.
                if (job == Job::Fields || steps.is_multiple_of(16)) && start.elapsed() > limit {
                    ran_out_of_time = true;
                    self.expiry.time_cap_reached += 1;
                    break;
                }
                let stale = sample.expired * 100 > sample.seen * (ACCEPTABLE_STALE - effort);
                if sample.finished || !stale && sample.seen > 0 {
                    break;
                }
            }
        }
        let progress = self.progress(job);
        let share = if sampled == 0 { 0.0 } else { expired as f64 / sampled as f64 };
        progress.stale_share = 0.05 * share + 0.95 * progress.stale_share;
        (progress.next_db, progress.ran_out_of_time) = (next_db, ran_out_of_time);
    }
}

impl Db {
    /// Looks at `n` keys with an expiry, from where the last step ended, and deletes those whose time is over.
    fn expire_step(&mut self, n: usize) -> Sample {
        let mut sample = Sample::default();
        let (mut ttl_sum, mut ttl_count) = (0i64, 0i64);
        let n = n.min(self.expires_len());
        let mut hashes = Vec::with_capacity(2 * KEYS);
        // Buckets may be empty, in a table that has yet to shrink.
        for _ in 0..10 * n {
            if sample.seen >= n {
                break;
            }
            let tables = &mut self.tables;
            tables.expire_cursor = tables.expires.scan(tables.expire_cursor, |hash| hashes.push(hash));
            hashes.iter().for_each(|hash| self.tables.keys.prefetch(*hash));
            hashes.iter().for_each(|hash| self.tables.keys.prefetch_element(*hash));
            for hash in hashes.drain(..) {
                sample.seen += 1;
                let Some(entry) = self.tables.expiring(hash) else { continue };
                if self.is_past(entry) {
                    let key = entry.key().to_vec();
                    self.delete_expired(hash, &key);
                    sample.expired += 1;
                } else if let Some(at) = entry.expire_at() {
                    ttl_sum = ttl_sum.saturating_add(at.saturating_sub(self.state.now_ms.get()));
                    ttl_count += 1;
                }
            }
            if self.tables.expire_cursor == 0 {
                sample.finished = true;
                break;
            }
        }
        if let Some(average) = ttl_sum.checked_div(ttl_count) {
            let old = self.tables.average_ttl;
            self.tables.average_ttl = if old == 0 { average } else { old / 50 * 49 + average / 50 };
        }
        sample
    }

    /// Deletes a key because a command sets its expiry to a time that is over, as one change. The deletion is propagated, by its
    /// effect; the command is not to be.
    pub fn expire_now(&mut self, key: &[u8]) {
        self.delete_expired(hash(key), key);
        self.add_dirty(1);
    }

    /// Deletes a key because its time is over, and tells everybody.
    pub(super) fn delete_expired(&mut self, hash: u64, key: &[u8]) {
        let Some(entry) = self.take(hash, key) else { return };
        self.state.discard(entry, self.state.lazy.get().expire);
        add(&self.state.expired, 1);
        self.notify(NotifyEvents::EXPIRED, "expired", key);
        self.touched(key);
        self.state.effect(Effect::Expired { db: self.id, key: key.to_vec() });
    }
}
