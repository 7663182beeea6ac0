//! One database: its keys, and the index of those that expire.

use super::access::Access;
use super::expiry::OnExpired;
use super::fields::FieldsWalk;
use super::index::KeyIndex;
use super::state::{Effect, State, add};
use crate::config::NotifyEvents;
use crate::data::entry::Entry;
use crate::data::limits::Limits;
use crate::data::rng::Rng;
use crate::data::table::{Keyed, Place, Table, hash};
use crate::data::value::{Kind, Str, Value};
use std::rc::Rc;

/// What a database holds, apart from who watches it or waits for it: what SWAPDB swaps and FLUSHDB replaces. It can be sent to
/// another thread to be dropped there.
///
/// Invariants: `expires` holds exactly the hashes of the keys whose entry has an expiry, `fields` those whose entry says that it
/// has indexed fields.
#[derive(Default)]
pub struct Tables {
    pub(super) keys: Table<Entry>,
    pub(super) expires: KeyIndex,
    pub(super) fields: KeyIndex,
    /// Where active expiry goes on.
    pub(super) expire_cursor: u64,
    pub(super) fields_walk: FieldsWalk,
    /// Running average of the time to live, in ms.
    pub(super) average_ttl: i64,
}

/// A database. See the overview in [`keyspace`](super).
pub struct Db {
    pub(super) id: usize,
    pub(super) tables: Tables,
    pub(super) state: Rc<State>,
}

/// The most keys that are prefetched at a time.
pub const PREFETCH_MAX: usize = 128;

/// How a key is looked up for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lookup {
    /// Counts as a use of the key (LRU, LFU).
    pub touch: bool,
    /// Counts as a hit or a miss.
    pub count: bool,
    /// A miss is a `keymiss` event.
    pub notify: bool,
}

impl Lookup {
    /// What most commands do.
    pub const READ: Lookup = Lookup { touch: true, count: true, notify: true };
    /// For EXISTS, TYPE, TTL and others that do not use the value.
    pub const NO_TOUCH: Lookup = Lookup { touch: false, count: true, notify: true };
    /// For OBJECT, DEBUG and others that look from outside.
    pub const SILENT: Lookup = Lookup { touch: false, count: false, notify: false };
}

/// What becomes of a key's expiry when its value is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// The key does not expire any more.
    Clear,
    /// It stays as it was.
    Keep,
    /// It becomes this, in ms since 1970.
    At(i64),
}

impl Db {
    pub(super) fn new(id: usize, state: Rc<State>) -> Db {
        Db { id, tables: Tables::default(), state }
    }

    /// Its number.
    pub fn id(&self) -> usize {
        self.id
    }

    /// How many keys there are, expired ones that were not deleted yet among them.
    pub fn len(&self) -> usize {
        self.tables.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.tables.keys.is_empty()
    }

    /// How many keys have an expiry.
    pub fn expires_len(&self) -> usize {
        self.tables.expires.len()
    }

    /// The average time to live of the keys that have one, estimated by active expiry, in ms.
    pub fn average_ttl(&self) -> i64 {
        self.tables.average_ttl
    }

    /// The table of keys, for statistics and for walks that skip expiry.
    pub fn table(&self) -> &Table<Entry> {
        &self.tables.keys
    }

    /// Bytes that the table and the index take, without the entries.
    pub fn memory_overhead(&self) -> usize {
        let tables = &self.tables;
        tables.keys.memory_usage() + tables.expires.memory_usage() + tables.fields.memory_usage()
    }

    /// All entries, expired ones too. A forked child sees them as they were at the fork.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.tables.keys.iter()
    }

    /// Makes room for so many keys, and so many of them with an expiry, before they are loaded. The numbers come from a file that
    /// may be wrong, so only the first sixteen million are believed; tables grow for the others as they come.
    pub fn reserve(&mut self, keys: usize, expires: usize) {
        const BELIEVED: usize = 1 << 24;
        self.tables.keys.reserve(keys.min(BELIEVED));
        self.tables.expires.reserve(expires.min(BELIEVED));
    }

    /// Where compact encodings end.
    pub fn limits(&self) -> Rc<Limits> {
        self.state.limits.borrow().clone()
    }

    /// What expires before this time (ms since 1970) has expired: the clock, or no time at all while expiry is ignored. For what has an
    /// expiry within a value.
    pub fn expiry_clock(&self) -> i64 {
        if self.state.rule.get().read == OnExpired::Ignore { i64::MIN } else { self.state.now_ms.get() }
    }

    /// A generator of random numbers, seeded by the one that all databases share.
    pub fn rng(&self) -> Rng {
        Rng::new(self.state.rng.borrow_mut().next_u64())
    }

    /// Asks the processor for what the look-ups of these keys will read, as many at a time as the configuration says: first their buckets, and
    /// when those have come, their entries. One key alone is found as fast without.
    pub fn prefetch<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let mut hashes = [0; PREFETCH_MAX];
        let hashes = &mut hashes[..self.state.prefetch_batch.get().min(PREFETCH_MAX)];
        if hashes.len() < 2 || self.is_empty() {
            return;
        }
        let mut keys = keys.peekable();
        while keys.peek().is_some() {
            let mut n = 0;
            for (place, key) in hashes.iter_mut().zip(&mut keys) {
                *place = hash(key);
                self.tables.keys.prefetch(*place);
                n += 1;
            }
            if n > 1 {
                hashes[..n].iter().for_each(|hash| self.tables.keys.prefetch_element(*hash));
            }
        }
    }

    // Looking up.

    /// The entry of a key, for reading: a key that has expired is deleted or hidden, as the server's role asks; the lookup counts as a
    /// use, and as a hit or a miss.
    pub fn read(&mut self, key: &[u8]) -> Option<&Entry> {
        self.read_with(key, Lookup::READ)
    }

    /// As [`read`](Self::read), with less noticed.
    pub fn read_with(&mut self, key: &[u8], lookup: Lookup) -> Option<&Entry> {
        let Some(place) = self.settle(hash(key), key, self.state.rule.get().read) else {
            if lookup.count {
                add(&self.state.misses, 1);
            }
            if lookup.notify {
                self.notify(NotifyEvents::KEY_MISS, "keymiss", key);
            }
            return None;
        };
        if lookup.count {
            add(&self.state.hits, 1);
        }
        if lookup.touch {
            self.touch(place);
        }
        self.tables.keys.at(place)
    }

    /// The entry of a key, to be changed. Whoever changes it calls [`modified`](Self::modified) after.
    pub fn write(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let place = self.settle(hash(key), key, self.state.rule.get().write)?;
        self.touch(place);
        self.tables.keys.at_mut(place)
    }

    /// The entry of a key, without consequences: expired keys are hidden, nothing is counted. For several keys at a time, each
    /// looked up with [`read`](Self::read) before.
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.peek(key).filter(|entry| !self.is_expired(entry))
    }

    /// The entry of a key as it lies there, even if it has expired.
    pub fn peek(&self, key: &[u8]) -> Option<&Entry> {
        self.tables.keys.get(key)
    }

    /// Whether an entry is to be taken as expired now. Never while expiry is ignored (loading, and the primary's stream).
    pub fn is_expired(&self, entry: &Entry) -> bool {
        self.state.rule.get().read != OnExpired::Ignore && self.is_past(entry)
    }

    /// Whether an entry's time is over, whatever the role.
    pub(super) fn is_past(&self, entry: &Entry) -> bool {
        self.state.has_passed(entry.expire_at())
    }

    /// Where a key is, once the rule for expired ones was applied.
    fn settle(&mut self, hash: u64, key: &[u8], on_expired: OnExpired) -> Option<Place> {
        let place = self.tables.keys.locate(hash, |entry| entry.key() == key)?;
        if on_expired == OnExpired::Ignore || !self.is_past(self.tables.keys.at(place)?) {
            return Some(place);
        }
        if on_expired == OnExpired::Delete {
            self.delete_expired(hash, key);
        }
        None
    }

    fn touch(&mut self, place: Place) {
        if self.state.touch.get()
            && let Some(entry) = self.tables.keys.at_mut(place)
        {
            let access = self.state.touched_access(entry.access());
            if access != entry.access() {
                entry.set_access(access);
            }
        }
    }

    /// Seconds since an entry was last used, from its [`Entry::access`]. Meaningless under an LFU policy.
    pub fn idle_seconds(&self, access: u32) -> u32 {
        self.state.idle_seconds(access)
    }

    /// How often an entry was used, from its [`Entry::access`]. Meaningless unless under an LFU policy.
    pub fn frequency(&self, access: u32) -> u8 {
        self.state.frequency(access)
    }

    /// Sets how a key was used, as a file or `RESTORE` tells. Does nothing if the policy in force is of the other kind.
    pub fn set_access(&mut self, key: &[u8], access: Access) {
        if let Some(access) = self.state.import_access(access)
            && let Some(entry) = self.tables.keys.get_mut(key)
        {
            entry.set_access(access);
        }
    }

    // Changing. None of these calls `modified`, except where it says so.

    /// Sets a key to a value, whatever it was.
    pub fn set(&mut self, key: &[u8], value: impl Into<Value>, ttl: Ttl) {
        let (hash, value) = (hash(key), value.into());
        let Some(place) = self.settle(hash, key, self.state.rule.get().write) else {
            self.insert(hash, Entry::new(key, value, ttl.given()));
            return;
        };
        self.signal_ready(key);
        self.touch(place);
        let Some(entry) = self.tables.keys.at_mut(place) else { return };
        self.tables.fields.forget(hash, entry);
        let old = entry.set_value(value);
        self.tables.fields.sync(hash, entry);
        if let Some(old) = old {
            self.state.discard_value(old, self.state.lazy.get().server_del);
        }
        self.apply_ttl(hash, place, ttl);
    }

    /// Sets a key to a string, whatever it was, with the best encoding.
    pub fn set_str(&mut self, key: &[u8], text: &[u8], ttl: Ttl) {
        let hash = hash(key);
        let Some(place) = self.settle(hash, key, self.state.rule.get().write) else {
            self.insert(hash, Entry::new_str(key, text, ttl.given()));
            return;
        };
        self.signal_ready(key);
        self.touch(place);
        let Some(entry) = self.tables.keys.at_mut(place) else { return };
        self.tables.fields.forget(hash, entry);
        if entry.kind() == Kind::Str {
            entry.set_str(text);
        } else if let Some(old) = entry.set_value(Value::Str(Str::parse(text))) {
            self.state.discard_value(old, self.state.lazy.get().server_del);
        }
        self.apply_ttl(hash, place, ttl);
    }

    /// The entry of a key to be changed, made with the value of `make` if there is none; and whether it was made.
    pub fn write_or_insert(&mut self, key: &[u8], make: impl FnOnce() -> Value) -> (&mut Entry, bool) {
        let hash = hash(key);
        if let Some(place) = self.settle(hash, key, self.state.rule.get().write) {
            self.touch(place);
            match self.tables.keys.at_mut(place) {
                Some(entry) => return (entry, false),
                None => unreachable!("the entry was located above"),
            }
        }
        (self.insert(hash, Entry::new(key, make(), None)), true)
    }

    /// Puts in an entry that was loaded from a file. No event, nobody is woken.
    ///
    /// # Errors
    /// Gives the entry back if its key is there already.
    pub fn load(&mut self, mut entry: Entry) -> Result<(), Entry> {
        let hash = hash(entry.key());
        if self.tables.keys.get_hashed(hash, entry.key()).is_some() {
            return Err(entry);
        }
        entry.set_access(self.state.fresh_access());
        self.tables.put(hash, entry);
        Ok(())
    }

    /// Takes a key out, without freeing it, expired or not.
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.take(hash(key), key)
    }

    /// Removes a key that the server itself has no more use for, such as an emptied list. Whether it was there.
    pub fn delete(&mut self, key: &[u8]) -> bool {
        let lazily = self.state.lazy.get().server_del;
        self.remove(key).map(|entry| self.state.discard(entry, lazily)).is_some()
    }

    /// Frees a part of a value that a command took out, on another thread if it is large.
    pub fn discard(&self, part: impl Into<Value>) {
        self.state.discard_value(part.into(), self.state.lazy.get().server_del);
    }

    /// What DEL and UNLINK (`lazily`) do with one key: events, `modified` and all. Whether there was a key that had not expired.
    pub fn del(&mut self, key: &[u8], lazily: bool) -> bool {
        let hash = hash(key);
        if let Some(entry) = self.tables.keys.get_hashed(hash, key)
            && self.is_past(entry)
            && self.state.rule.get().read == OnExpired::Delete
        {
            self.delete_expired(hash, key);
            return false;
        }
        let Some(entry) = self.take(hash, key) else { return false };
        self.state.discard(entry, lazily);
        self.modified(key, NotifyEvents::GENERIC, "del");
        true
    }

    /// Deletes a key whose value is a collection that has become empty, with a `del` event. Whether it was so.
    pub fn delete_if_empty(&mut self, key: &[u8]) -> bool {
        let empty = self.peek(key).is_some_and(Entry::is_empty_collection);
        if empty {
            self.delete(key);
            self.notify(NotifyEvents::GENERIC, "del", key);
        }
        empty
    }

    /// Gives the value, expiry and access field of `from` to `to`, replacing what is there. Whether there was a `from`.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> bool {
        let Some(entry) = self.remove(from) else { return false };
        self.delete(to);
        self.insert_as_is(hash(to), entry.with_key(to));
        true
    }

    /// Sets when a key expires, in ms since 1970, or that it does not. Whether there is such a key. A time in the past is not
    /// looked at: the key expires at the next access.
    pub fn set_expire(&mut self, key: &[u8], expire_at: Option<i64>) -> bool {
        let hash = hash(key);
        let Some(place) = self.tables.keys.locate(hash, |entry| entry.key() == key) else { return false };
        self.tables.set_expire(hash, place, expire_at);
        true
    }

    /// A random key that has not expired. If nearly all have, and may not be deleted here, it may be one that has.
    pub fn random_key(&mut self) -> Option<Vec<u8>> {
        let mut hidden = 0;
        loop {
            let key = self.tables.keys.random(&mut self.state.rng.borrow_mut())?.key().to_vec();
            if self.read_with(&key, Lookup::SILENT).is_some() {
                return Some(key);
            }
            // Deleted just now, or else to be come upon again and again.
            hidden += usize::from(self.peek(&key).is_some());
            if hidden > if self.expires_len() == self.len() { 100 } else { 1000 } {
                return Some(key);
            }
        }
    }

    /// Gives some entries to `visit`, and returns the cursor for the next call; 0 begins and 0 ends. Every key that is there from
    /// the first call to the last comes at least once. Expired ones come too: see [`is_expired`](Self::is_expired).
    pub fn scan(&self, cursor: u64, visit: impl FnMut(&Entry)) -> u64 {
        self.tables.keys.scan(cursor, visit)
    }

    // Telling others.

    /// A command has changed a key: tells who watches or caches it, counts one change, and publishes the event.
    pub fn modified(&mut self, key: &[u8], class: NotifyEvents, event: &'static str) {
        self.touched(key);
        add(&self.state.dirty, 1);
        self.notify(class, event, key);
    }

    /// Tells who watches or caches a key that it was changed, and no more.
    pub fn touched(&mut self, key: &[u8]) {
        if !self.state.watches.borrow().is_empty() {
            let exists = self.peek(key).is_some();
            self.state.watches.borrow_mut().touch(self.id, key, exists);
        }
        if self.state.report_modified.get() {
            self.state.effect(Effect::Modified { db: self.id, key: key.to_vec() });
        }
    }

    /// Publishes an event, if its class is asked for.
    pub fn notify(&self, class: NotifyEvents, event: &'static str, key: &[u8]) {
        self.state.notify(class, event, self.id, key);
    }

    /// Adds to the number of changes since the last save, beyond what [`modified`](Self::modified) counted.
    pub fn add_dirty(&self, n: u64) {
        add(&self.state.dirty, n);
    }

    /// Has clients looked at that wait for this key. New and overwritten keys do so by themselves; it is for changes that may satisfy somebody who
    /// waits although the key was there (XADD).
    pub fn signal_ready(&self, key: &[u8]) {
        if !self.state.waiters.borrow().is_empty() {
            self.state.waiters.borrow_mut().signal(self.id, key);
        }
    }

    // Below: what keeps the invariants.

    /// Adds a key that is not there, or is hidden, as a new one.
    fn insert(&mut self, hash: u64, mut entry: Entry) -> &mut Entry {
        entry.set_access(self.state.fresh_access());
        self.insert_as_is(hash, entry)
    }

    /// Adds a key that is not there, or is hidden, with the access field it has.
    pub(super) fn insert_as_is(&mut self, hash: u64, entry: Entry) -> &mut Entry {
        // Its key may be there all the same, expired and hidden; twice it must not be.
        if self.state.rule.get().write == OnExpired::Hide
            && let Some(hidden) = self.take(hash, entry.key())
        {
            self.state.discard(hidden, self.state.lazy.get().expire);
        }
        self.signal_ready(entry.key());
        self.notify(NotifyEvents::NEW, "new", entry.key());
        self.tables.put(hash, entry)
    }

    pub(super) fn take(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let entry = self.tables.take(hash, key)?;
        if !self.state.waiters.borrow().is_empty() {
            self.state.waiters.borrow_mut().signal_deleted(self.id, key);
        }
        Some(entry)
    }

    fn apply_ttl(&mut self, hash: u64, place: Place, ttl: Ttl) {
        match ttl {
            Ttl::Keep => {}
            Ttl::Clear => self.tables.set_expire(hash, place, None),
            Ttl::At(at) => self.tables.set_expire(hash, place, Some(at)),
        }
    }
}

impl Ttl {
    /// The expiry of a key that was not there.
    fn given(self) -> Option<i64> {
        if let Ttl::At(at) = self { Some(at) } else { None }
    }
}

impl Tables {
    fn put(&mut self, hash: u64, mut entry: Entry) -> &mut Entry {
        if entry.expire_at().is_some() {
            self.expires.insert(hash);
        }
        self.fields.sync(hash, &mut entry);
        self.keys.insert_unique(hash, entry)
    }

    fn take(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let mut entry = self.keys.remove_where(hash, |entry| entry.key() == key)?;
        if entry.expire_at().is_some() {
            self.expires.remove(hash);
        }
        self.fields.forget(hash, &mut entry);
        Some(entry)
    }

    fn set_expire(&mut self, hash: u64, place: Place, expire_at: Option<i64>) {
        let Some(entry) = self.keys.at_mut(place) else { return };
        let before = entry.expire_at().is_some();
        entry.set_expire_unindexed(expire_at);
        match (before, entry.expire_at().is_some()) {
            (false, true) => self.expires.insert(hash),
            (true, false) => self.expires.remove(hash),
            _ => {}
        }
    }

    /// The entry with an expiry that a hash in the index stands for.
    pub(super) fn expiring(&self, hash_: u64) -> Option<&Entry> {
        self.keys.find(hash_, |entry| entry.expire_at().is_some() && hash(entry.key()) == hash_)
    }
}
