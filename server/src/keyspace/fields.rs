//! Fields of hashes that expire: an index of the hashes that have some, and the cycle that finds those whose time is over.
//!
//! Commands hide such fields from readers; deleting them is left to the cycle (and to commands that overwrite them).

use super::db::Db;
use super::expiry::{OnExpired, Sample};
use super::index::KeyIndex;
use super::state::{Effect, add};
use crate::config::NotifyEvents;
use crate::data::entry::Entry;
use crate::data::table::{Keyed, hash};
use crate::data::value::{ValueMut, ValueRef};

/// Where the cycle goes on.
#[derive(Default)]
pub(super) struct FieldsWalk {
    /// Position in the index.
    cursor: u64,
    /// Hashes of keys taken from the index, to be looked at.
    pending: Vec<u64>,
    /// Position within the last of `pending`; 0 to begin with it.
    within: u64,
}

/// Fields looked at in one step: some 50 microseconds.
const FIELDS: usize = 1000;

impl KeyIndex {
    /// Makes the index say of an entry what is true.
    pub(super) fn sync(&mut self, hash: u64, entry: &mut Entry) {
        let expiring = matches!(entry.value(), ValueRef::Hash(fields) if fields.expiring() > 0);
        if expiring != entry.has_indexed_fields() {
            entry.set_has_indexed_fields(expiring);
            if expiring { self.insert(hash) } else { self.remove(hash) }
        }
    }

    /// Takes an entry out of the index.
    pub(super) fn forget(&mut self, hash: u64, entry: &mut Entry) {
        if entry.has_indexed_fields() {
            entry.set_has_indexed_fields(false);
            self.remove(hash);
        }
    }
}

impl Db {
    /// How many keys are hashes with fields that expire.
    pub fn fields_len(&self) -> usize {
        self.tables.fields.len()
    }

    /// Whether the time of a field (or of whatever has an expiry in ms since 1970) is over for who asks, by the server's role.
    pub fn has_expired(&self, expire_at: Option<i64>) -> bool {
        self.state.rule.get().read != OnExpired::Ignore && self.state.has_passed(expire_at)
    }

    /// To be called after a change to a hash by which it may have got its first field that expires, or lost its last. Hashes that are
    /// put in as a whole are seen to without it.
    pub fn index_fields(&mut self, key: &[u8]) {
        let hash = hash(key);
        if let Some(entry) = self.tables.keys.find_mut(hash, |entry| entry.key() == key) {
            self.tables.fields.sync(hash, entry);
        }
    }

    /// Counts fields that a command removed or replaced because their time was over, and publishes it.
    pub fn note_expired_fields(&mut self, key: &[u8], n: usize) {
        if n > 0 {
            add(&self.state.expired_fields, n as u64);
            self.notify(NotifyEvents::HASH, "hexpired", key);
        }
    }

    /// Looks at some fields, from where the last step ended, and deletes those whose time is over.
    pub(super) fn expire_fields_step(&mut self) -> Sample {
        let mut sample = Sample::default();
        let walk = &mut self.tables.fields_walk;
        for _ in 0..FIELDS {
            if !walk.pending.is_empty() || sample.finished {
                break;
            }
            walk.cursor = self.tables.fields.scan(walk.cursor, |hash| walk.pending.push(hash));
            sample.finished = walk.cursor == 0;
        }
        let Some(key_hash) = walk.pending.last().copied() else { return sample };
        sample.finished = walk.cursor == 0 && walk.pending.len() == 1;
        let entry = self.tables.keys.find(key_hash, |e| e.has_indexed_fields() && hash(e.key()) == key_hash);
        let (mut names, mut looked) = (Vec::new(), 0);
        if let Some((key, ValueRef::Hash(fields))) = entry.map(|entry| (entry.key(), entry.value())) {
            while looked < FIELDS {
                walk.within = fields.scan(walk.within, |field| {
                    looked += 1;
                    sample.seen += usize::from(field.expire_at.is_some());
                    if self.state.has_passed(field.expire_at) {
                        names.push(field.name.to_vec());
                    }
                });
                if walk.within == 0 {
                    break;
                }
            }
            sample.expired = names.len();
            let key = key.to_vec();
            self.next_hash();
            self.delete_fields(key_hash, &key, names);
        } else {
            self.tables.fields_walk.within = 0;
            self.next_hash();
        }
        sample.finished &= self.tables.fields_walk.pending.is_empty();
        sample
    }

    /// Turns to the next hash if this one was looked through.
    fn next_hash(&mut self) {
        if self.tables.fields_walk.within == 0 {
            self.tables.fields_walk.pending.pop();
        }
    }

    /// Deletes fields because their time is over, and the hash if none is left; and tells everybody.
    fn delete_fields(&mut self, key_hash: u64, key: &[u8], names: Vec<Vec<u8>>) {
        if names.is_empty() {
            return;
        }
        let Some(entry) = self.tables.keys.find_mut(key_hash, |entry| entry.key() == key) else { return };
        let ValueMut::Hash(fields) = entry.value_mut() else { return };
        for name in &names {
            fields.remove(name);
        }
        let empty = fields.is_empty();
        self.tables.fields.sync(key_hash, entry);
        add(&self.state.expired_fields, names.len() as u64);
        self.state.effect(Effect::FieldsExpired { db: self.id, key: key.to_vec(), fields: names });
        self.notify(NotifyEvents::EXPIRED, "hexpired", key);
        if empty && let Some(entry) = self.take(key_hash, key) {
            self.state.discard(entry, self.state.lazy.get().expire);
            self.state.effect(Effect::Expired { db: self.id, key: key.to_vec() });
            self.notify(NotifyEvents::GENERIC, "del", key);
        }
        self.touched(key);
    }
}
