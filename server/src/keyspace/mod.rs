//! Databases: keys that expire, are evicted, watched and waited for. Knows nothing of clients' connections or replication: what
//! follows from what happens here is told by [`Effect`]s, which the dispatcher drains after each command.
//!
//! # Overview
//! A [`Keyspace`] has databases, [`Keyspace::db_mut`]`(i) -> &mut `[`Db`]. A command works on its `Db`:
//!
//! | to | call |
//! |---|---|
//! | read a value | `read_str(key)`, `read_list(key)`, … `-> Result<Option<&T>, WrongType>`; `read(key) -> Option<&Entry>` for any type |
//! | look without using | `read_with(key, Lookup::NO_TOUCH)` (EXISTS, TYPE, TTL), `Lookup::SILENT` (OBJECT, DEBUG) |
//! | read several at once | `read…` each, then `get_str(key)`, `get_list(key)`, … on `&Db` |
//! | change a value | `write_str(key) -> Result<Option<StrMut>, _>`, `write_list(key) -> Result<Option<&mut List>, _>`, … |
//! | change or make | `list_or_new(key)`, …; `write_or_insert(key, make)` |
//! | after any change | `modified(key, class, event)`: watchers, caches, one `dirty`, the event. Or `touched` + `add_dirty` + `notify` |
//! | replace | `set_str(key, text, ttl)`, `set(key, value, ttl)` with [`Ttl`]`::{Clear, Keep, At(ms)}` |
//! | remove | `del(key, lazily)` (DEL, UNLINK: with events), `delete(key)` (server's own), `delete_if_empty(key)` (with `del`), `remove(key) -> Option<Entry>` |
//! | expiry | `entry.expire_at()`, `set_expire(key, Option<ms>)`, `expire_now(key)`, `is_expired(&entry)` |
//! | fields of a hash that expire | `has_expired(field.expire_at)`; after any change to a hash that may have such fields, `index_fields(key)` |
//! | walk | `scan(cursor, f)` (skip what `is_expired`), `iter()`, `random_key()`, `len()`, `expires_len()` |
//! | rename | `rename(from, to)`; between databases [`Keyspace::move_key`], [`Keyspace::copy_key`], [`Keyspace::swap`] |
//! | wake who is blocked | nothing for new and overwritten keys; else `signal_ready(key)` |
//!
//! Except `modified`, `del` and `delete_if_empty`, no method that changes a key tells watchers or publishes; new keys publish `new`.
//!
//! The server's part, on [`Keyspace`]: before each command `set_now_ms`, `set_expiry_rule`, `set_touch`; after it `take_effects`,
//! `take_dirty_watchers`, `take_ready`, `take_garbage` (each cheap when there is nothing, and `has_effects`, `has_ready` cheaper).
//! From its cron `active_expire`, `rehash_for`; when memory is full `evict_candidate` and `evict`. For CONFIG `set_notify`,
//! `set_policy`, `set_lazy_free`, `set_limits`. For clients `watch`, `unwatch`, `watched_key_expired`, `block`, `unblock`,
//! `waiting`. For persistence `dbs()` with [`Db::iter`], and `db_mut(i).load(entry)` under [`ExpiryRule::IGNORE`]; `flush` and
//! `swap_data` for a whole data set.
//!
//! # Hazards
//! * Each database has an index of its keys that expire. An entry borrowed to be changed must not be replaced as a whole
//!   (`*entry = …`, `mem::swap`), and its expiry is set with [`Db::set_expire`] only.
//! * An empty collection must not stay under its key.
//! * While a forked child lives, `set_touch(false)`, or reading copies memory pages; and tell the tables with
//!   [`set_resize`](crate::data::table::set_resize).
//! * A keyspace belongs to one thread. What is to be dropped elsewhere leaves it as [`Garbage`].

mod access;
mod blocked;
mod db;
mod eviction;
mod expiry;
mod fields;
mod index;
mod state;
#[cfg(test)]
mod tests;
mod transfer;
mod typed;
mod watch;

pub use access::Access;
pub use db::{Db, Lookup, Tables, Ttl};
pub use expiry::{ExpireCycle, ExpiryRule, OnExpired};
pub use state::{Effect, Garbage, LazyFree, Stats};
pub use typed::WrongType;

use crate::config::{MaxmemoryPolicy, NotifyEvents};
use crate::data::limits::Limits;
use state::State;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// All databases of a server, and what they share. See the module's documentation.
pub struct Keyspace {
    dbs: Vec<Db>,
    state: Rc<State>,
    expiry: expiry::ActiveExpiry,
    evict_pool: Vec<eviction::Candidate>,
    evict_policy: MaxmemoryPolicy,
    evict_next_db: usize,
    rehash_next_db: usize,
}

impl Keyspace {
    /// A keyspace of so many empty databases, at least one. Its clock stands at 0.
    pub fn new(dbs: usize) -> Keyspace {
        let dbs = dbs.max(1);
        let state = Rc::new(State::new(dbs));
        Keyspace {
            dbs: (0..dbs).map(|id| Db::new(id, state.clone())).collect(),
            state,
            expiry: expiry::ActiveExpiry::default(),
            evict_pool: Vec::new(),
            evict_policy: MaxmemoryPolicy::Noeviction,
            evict_next_db: 0,
            rehash_next_db: 0,
        }
    }

    /// How many databases there are.
    pub fn count(&self) -> usize {
        self.dbs.len()
    }

    /// A database.
    ///
    /// # Panics
    /// If there is none of that number; a number from outside is to be checked first.
    pub fn db(&self, db: usize) -> &Db {
        &self.dbs[db]
    }

    /// A database, to work on.
    ///
    /// # Panics
    /// As [`db`](Self::db).
    pub fn db_mut(&mut self, db: usize) -> &mut Db {
        &mut self.dbs[db]
    }

    /// All databases, in the order of their numbers.
    pub fn dbs(&self) -> &[Db] {
        &self.dbs
    }

    /// The number of keys in all databases.
    pub fn total_keys(&self) -> usize {
        self.dbs.iter().map(Db::len).sum()
    }

    /// The clock that everything here goes by: ms since 1970.
    pub fn now_ms(&self) -> i64 {
        self.state.now_ms.get()
    }

    /// Sets the clock. It stands still during a command, a script and a transaction.
    pub fn set_now_ms(&mut self, now_ms: i64) {
        self.state.now_ms.set(now_ms);
    }

    /// Changes since the last save.
    pub fn dirty(&self) -> u64 {
        self.state.dirty.get()
    }

    /// Sets the number of changes since the last save.
    pub fn set_dirty(&mut self, dirty: u64) {
        self.state.dirty.set(dirty);
    }

    /// Adds to the number of changes since the last save.
    pub fn add_dirty(&mut self, n: u64) {
        state::add(&self.state.dirty, n);
    }

    // Settings.

    /// Sets what is made of expired keys, by the server's role and who asks.
    pub fn set_expiry_rule(&mut self, rule: ExpiryRule) {
        self.state.rule.set(rule);
    }

    /// What is made of expired keys.
    pub fn expiry_rule(&self) -> ExpiryRule {
        self.state.rule.get()
    }

    /// Sets whether lookups count as uses: not while a forked child shares the memory, nor for clients with `CLIENT NO-TOUCH`.
    pub fn set_touch(&mut self, touch: bool) {
        self.state.touch.set(touch);
    }

    /// Whether lookups count as uses.
    pub fn touches(&self) -> bool {
        self.state.touch.get()
    }

    /// Sets the classes of events that are asked for; `NONE` unless with `KEYSPACE` or `KEYEVENT`, to save the work.
    pub fn set_notify(&mut self, events: NotifyEvents) {
        self.state.notify.set(events);
    }

    /// Sets the eviction policy, which decides what is noted at each use, and how uses are counted under LFU.
    pub fn set_policy(&mut self, policy: MaxmemoryPolicy, lfu_log_factor: u32, lfu_decay_time: u32) {
        self.state.lfu.set(policy.is_lfu());
        self.state.lfu_log_factor.set(lfu_log_factor);
        self.state.lfu_decay_time.set(lfu_decay_time);
    }

    /// Sets which deletions leave large values to another thread.
    pub fn set_lazy_free(&mut self, lazy: LazyFree) {
        self.state.lazy.set(lazy);
    }

    /// Sets how many keys [`Db::prefetch`] asks for at a time.
    pub fn set_prefetch_batch(&mut self, keys: usize) {
        self.state.prefetch_batch.set(keys);
    }

    /// Sets where compact encodings end.
    pub fn set_limits(&mut self, limits: Limits) {
        *self.state.limits.borrow_mut() = Rc::new(limits);
    }

    /// Where compact encodings end.
    pub fn limits(&self) -> Rc<Limits> {
        self.state.limits.borrow().clone()
    }

    /// Sets whether each changed key is reported as [`Effect::Modified`]: while clients cache keys.
    pub fn set_report_modified(&mut self, report: bool) {
        self.state.report_modified.set(report);
    }

    // What others must hear of.

    /// Whether there is anything for [`take_effects`](Self::take_effects).
    pub fn has_effects(&self) -> bool {
        !self.state.effects.borrow().is_empty()
    }

    /// What happened since the last call, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        self.state.effects.take()
    }

    /// Memory to be freed on another thread.
    pub fn take_garbage(&mut self) -> Vec<Garbage> {
        self.state.garbage.take()
    }

    /// Counters, for INFO.
    pub fn stats(&self) -> Stats {
        Stats {
            hits: self.state.hits.get(),
            misses: self.state.misses.get(),
            expired: self.state.expired.get(),
            expired_fields: self.state.expired_fields.get(),
            evicted: self.state.evicted.get(),
            expire_time_cap_reached: self.expiry.time_cap_reached,
            expired_stale_share: self.expiry.keys.stale_share,
            fields_stale_share: self.expiry.fields.stale_share,
        }
    }

    /// Sets the counters to 0 (`CONFIG RESETSTAT`).
    pub fn reset_stats(&mut self) {
        let state = &self.state;
        for counter in [&state.hits, &state.misses, &state.expired, &state.expired_fields, &state.evicted] {
            counter.set(0);
        }
        self.expiry.reset_stats();
    }

    // Watched keys.

    /// A client watches a key from now on.
    pub fn watch(&mut self, db: usize, key: &[u8], client: u64) {
        let entry = self.dbs[db].peek(key);
        let expired = entry.is_some_and(|entry| self.dbs[db].is_expired(entry));
        self.state.watches.borrow_mut().watch(db, key, client, expired);
    }

    /// A client watches nothing any more.
    pub fn unwatch(&mut self, client: u64) {
        self.state.watches.borrow_mut().unwatch(client);
    }

    /// Whether a key that the client watches has expired since, which fails its EXEC as a change does.
    pub fn watched_key_expired(&self, client: u64) -> bool {
        self.state.watches.borrow().live_keys(client).any(|(db, key)| {
            let db = &self.dbs[db];
            db.peek(key).is_some_and(|entry| db.is_expired(entry))
        })
    }

    /// Clients whose watched keys were changed since the last call. They watch nothing any more.
    pub fn take_dirty_watchers(&mut self) -> Vec<u64> {
        self.state.watches.borrow_mut().take_dirty()
    }

    /// How many keys a client watches.
    pub fn watched_by(&self, client: u64) -> usize {
        self.state.watches.borrow().keys_of(client)
    }

    /// How many clients watch keys, and how many keys are watched, for INFO.
    pub fn watch_counts(&self) -> (usize, usize) {
        let watches = self.state.watches.borrow();
        (watches.clients(), watches.keys())
    }

    // Blocked clients.

    /// A client waits for keys. `on_deletion`: to hear when one is deleted, too (XREADGROUP).
    pub fn block(&mut self, db: usize, client: u64, keys: &[&[u8]], on_deletion: bool) {
        self.state.waiters.borrow_mut().block(db, client, keys, on_deletion);
    }

    /// A client waits for nothing any more.
    pub fn unblock(&mut self, client: u64) {
        self.state.waiters.borrow_mut().unblock(client);
    }

    /// Who waits for a key, first come first.
    pub fn waiting(&self, db: usize, key: &[u8]) -> Vec<u64> {
        self.state.waiters.borrow().waiting(db, key)
    }

    /// Whether there is anything for [`take_ready`](Self::take_ready).
    pub fn has_ready(&self) -> bool {
        self.state.waiters.borrow().has_ready()
    }

    /// Keys that somebody waits for and that were made, overwritten, signalled or (for who asked) deleted since the last call, in
    /// order, each once. The type of the value was not looked at. Serving clients may make others ready: call again.
    pub fn take_ready(&mut self) -> Vec<(usize, Vec<u8>)> {
        self.state.waiters.borrow_mut().take_ready()
    }

    /// How many keys are waited for, and of how many the deletion, for INFO.
    pub fn blocking_key_counts(&self) -> (usize, usize) {
        let waiters = self.state.waiters.borrow();
        (waiters.keys(), waiters.keys_on_deletion())
    }

    // Background work.

    /// Lets tables catch up that have to grow or shrink, for about as long as `budget`. True if more remains.
    pub fn rehash_for(&mut self, budget: Duration) -> bool {
        let start = Instant::now();
        for _ in 0..self.dbs.len() {
            let tables = &mut self.dbs[self.rehash_next_db].tables;
            let left = budget.saturating_sub(start.elapsed());
            if tables.keys.rehash_for(left) || tables.expires.rehash_for(left) || tables.fields.rehash_for(left) {
                return true;
            }
            self.rehash_next_db = (self.rehash_next_db + 1) % self.dbs.len();
        }
        false
    }
}
