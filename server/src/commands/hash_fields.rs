//! Hashes as commands see them: a field whose time is over is not there any more, although it is deleted only later.

use crate::config::NotifyEvents;
use crate::data::elem::Elem;
use crate::data::hash::{Field, FieldExpiry, Hash};
use crate::data::limits::Limits;
use crate::keyspace::{Db, WrongType};
use std::rc::Rc;

/// Whether a field with this expiry is to be taken as gone, at the time of [`Db::expiry_clock`].
fn is_past(expire_at: Option<i64>, clock: i64) -> bool {
    expire_at.is_some_and(|at| clock > at)
}

/// Whether a hash holds a field that has expired.
fn has_expired(hash: &Hash, name: &[u8], clock: i64) -> bool {
    hash.expiring() > 0 && is_past(hash.expire_at(name).flatten(), clock)
}

/// A hash to be read.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    hash: &'a Hash,
    clock: i64,
}

impl<'a> View<'a> {
    /// The hash of a key.
    ///
    /// # Errors
    /// If the key holds another type.
    pub fn read(db: &'a mut Db, key: &[u8]) -> Result<Option<View<'a>>, WrongType> {
        let clock = db.expiry_clock();
        Ok(db.read_hash(key)?.map(|hash| View { hash, clock }))
    }

    /// The value of a field.
    pub fn get(self, name: &[u8]) -> Option<Elem<'a>> {
        self.hash.get(name).filter(|_| !has_expired(self.hash, name, self.clock))
    }

    /// When a field expires: `None` if there is no such field, `Some(None)` if it does not expire.
    pub fn expire_at(self, name: &[u8]) -> Option<Option<i64>> {
        self.hash.expire_at(name).filter(|at| !is_past(*at, self.clock))
    }

    /// The number of fields.
    pub fn len(self) -> usize {
        if self.is_whole() { self.hash.len() } else { self.iter().count() }
    }

    /// Whether no field can have expired, so that the hash is as it is stored.
    pub fn is_whole(self) -> bool {
        self.hash.expiring() == 0
    }

    /// The hash as it is stored.
    pub fn whole(self) -> &'a Hash {
        self.hash
    }

    /// Whether a field of the stored hash has not expired.
    pub fn shows(self, field: Field<'_>) -> bool {
        !is_past(field.expire_at, self.clock)
    }

    /// The fields.
    pub fn iter(self) -> impl Iterator<Item = Field<'a>> {
        self.hash.iter().filter(move |field| self.shows(*field))
    }

    /// As [`Hash::scan`].
    pub fn scan(self, cursor: u64, mut visit: impl FnMut(Field<'_>)) -> u64 {
        self.hash.scan(cursor, |field| {
            if self.shows(field) {
                visit(field);
            }
        })
    }
}

/// A hash to be changed. Ends with [`finish`](Self::finish), whose result tells others of the change.
pub(super) struct Edit<'a> {
    hash: &'a mut Hash,
    limits: Rc<Limits>,
    clock: i64,
    was_expiring: bool,
    changed: usize,
    replaced: usize,
}

impl<'a> Edit<'a> {
    /// The hash of a key.
    ///
    /// # Errors
    /// If the key holds another type.
    pub fn open(db: &'a mut Db, key: &[u8]) -> Result<Option<Self>, WrongType> {
        let (limits, clock) = (db.limits(), db.expiry_clock());
        Ok(db.write_hash(key)?.map(|hash| Self::new(hash, limits, clock)))
    }

    /// The hash of a key, an empty one that is put in if there is no key: to be filled.
    ///
    /// # Errors
    /// If the key holds another type.
    pub fn open_or_new(db: &'a mut Db, key: &[u8]) -> Result<Self, WrongType> {
        let (limits, clock) = (db.limits(), db.expiry_clock());
        Ok(Self::new(db.hash_or_new(key)?, limits, clock))
    }

    fn new(hash: &'a mut Hash, limits: Rc<Limits>, clock: i64) -> Self {
        let was_expiring = hash.expiring() > 0;
        Edit { hash, limits, clock, was_expiring, changed: 0, replaced: 0 }
    }

    fn view(&self) -> View<'_> {
        View { hash: self.hash, clock: self.clock }
    }

    /// As [`View::get`].
    pub fn get(&self, name: &[u8]) -> Option<Elem<'_>> {
        self.view().get(name)
    }

    /// As [`View::expire_at`].
    pub fn expire_at(&self, name: &[u8]) -> Option<Option<i64>> {
        self.view().expire_at(name)
    }

    /// Whether there is a field that has expired.
    pub fn has_expired(&self, name: &[u8]) -> bool {
        has_expired(self.hash, name, self.clock)
    }

    /// So many fields are to be set.
    pub fn reserve(&mut self, n: usize) {
        self.hash.reserve(n, &self.limits);
    }

    /// Sets a field. One that has expired is replaced as if it were not there. True if the field is new.
    pub fn set(&mut self, name: &[u8], value: &[u8], expiry: FieldExpiry) -> bool {
        let expired = self.has_expired(name);
        self.replaced += usize::from(expired);
        self.changed += 1;
        let expiry = if expired && expiry == FieldExpiry::Keep { FieldExpiry::Clear } else { expiry };
        self.hash.set_with(name, value, expiry, &self.limits) || expired
    }

    /// Sets when a field expires, or that it does not. False if there is no such field.
    pub fn set_expire(&mut self, name: &[u8], expire_at: Option<i64>) -> bool {
        let done = !self.has_expired(name) && self.hash.set_expire(name, expire_at);
        self.changed += usize::from(done);
        done
    }

    /// Removes a field. False if there is none; one that has expired is left to expiry.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let done = !self.has_expired(name) && self.hash.remove(name);
        self.changed += usize::from(done);
        done
    }

    /// Ends the change.
    pub fn finish(self) -> Edited {
        let reindex = self.was_expiring != (self.hash.expiring() > 0);
        Edited { changed: self.changed, replaced: self.replaced, reindex }
    }
}

/// What a change made of a hash.
#[must_use = "others are to be told"]
pub(super) struct Edited {
    /// Fields set, removed, or given another expiry.
    pub changed: usize,
    /// Fields set in the place of ones that had expired.
    replaced: usize,
    reindex: bool,
}

impl Edited {
    /// Tells others of the change, if there was one; the events of class `hash` come in this order. A hash that was emptied goes.
    pub fn publish(self, db: &mut Db, key: &[u8], events: &[&'static str]) {
        db.note_expired_fields(key, self.replaced);
        self.publish_rest(db, key, events);
    }

    /// As [`publish`](Self::publish), where `n` fields were given an expiry in the past, and removed if they were there.
    pub fn publish_expired(self, db: &mut Db, key: &[u8], n: usize) {
        db.note_expired_fields(key, n);
        self.publish_rest(db, key, &[]);
    }

    fn publish_rest(self, db: &mut Db, key: &[u8], events: &[&'static str]) {
        if self.reindex {
            db.index_fields(key);
        }
        if self.changed == 0 {
            return;
        }
        events.iter().for_each(|event| db.notify(NotifyEvents::HASH, event, key));
        db.touched(key);
        db.add_dirty(self.changed as u64);
        db.delete_if_empty(key);
    }
}
