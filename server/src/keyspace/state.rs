//! What the databases of a keyspace share: the clock, settings, counters, and what they have to tell the server.

use super::blocked::Waiters;
use super::expiry::ExpiryRule;
use super::watch::Watches;
use crate::config::{MaxmemoryPolicy, NotifyEvents};
use crate::data::entry::Entry;
use crate::data::limits::Limits;
use crate::data::rng::Rng;
use crate::data::value::Value;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// What a keyspace did by itself and others must hear of. Drained by the dispatcher after each command, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A key was deleted because it had expired: replicas and the append-only file need a deletion.
    Expired {
        /// The database.
        db: usize,
        /// The key.
        key: Vec<u8>,
    },
    /// Fields of a hash were deleted because they had expired: replicas and the append-only file need their deletion (HDEL). If
    /// none was left, an `Expired` for the key follows.
    FieldsExpired {
        /// The database.
        db: usize,
        /// The key.
        key: Vec<u8>,
        /// The fields, at least one.
        fields: Vec<Vec<u8>>,
    },
    /// A key was evicted: as for `Expired`.
    Evicted {
        /// The database.
        db: usize,
        /// The key.
        key: Vec<u8>,
    },
    /// An event to publish. Only events of classes that are asked for come.
    Notify {
        /// The class of the event, one of those of `notify-keyspace-events`.
        class: NotifyEvents,
        /// Its name.
        event: &'static str,
        /// The database.
        db: usize,
        /// The key.
        key: Vec<u8>,
    },
    /// A key was changed, for client-side caches. Only while [`set_report_modified`](super::Keyspace::set_report_modified) is on.
    Modified {
        /// The database.
        db: usize,
        /// The key.
        key: Vec<u8>,
    },
}

/// Memory to be given back, which takes long enough to be done on another thread. Dropping it frees it.
pub enum Garbage {
    /// A key with its value.
    Entry(Entry),
    /// A value that was replaced.
    Value(Value),
    /// Whole databases.
    Databases(Vec<super::Tables>),
}

impl Garbage {
    /// How many keys or values it is.
    pub fn objects(&self) -> usize {
        match self {
            Garbage::Entry(_) | Garbage::Value(_) => 1,
            Garbage::Databases(tables) => tables.iter().map(super::Tables::len).sum(),
        }
    }
}

/// Counters for INFO, since the start or the last reset.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// Lookups for reading that found a key.
    pub hits: u64,
    /// Lookups for reading that did not.
    pub misses: u64,
    /// Keys deleted because they had expired.
    pub expired: u64,
    /// Fields deleted because they had expired.
    pub expired_fields: u64,
    /// Keys evicted.
    pub evicted: u64,
    /// How often active expiry stopped for lack of time.
    pub expire_time_cap_reached: u64,
    /// Estimated share (0 to 1) of expired keys among those with an expiry.
    pub expired_stale_share: f64,
    /// The same of fields of hashes.
    pub fields_stale_share: f64,
}

/// Which deletions hand their values to [`Keyspace::take_garbage`](super::Keyspace::take_garbage) when they are large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LazyFree {
    /// `lazyfree-lazy-expire`
    pub expire: bool,
    /// `lazyfree-lazy-eviction`
    pub eviction: bool,
    /// `lazyfree-lazy-server-del`
    pub server_del: bool,
}

pub(super) struct State {
    pub now_ms: Cell<i64>,
    pub dirty: Cell<u64>,
    pub rule: Cell<ExpiryRule>,
    pub touch: Cell<bool>,
    pub notify: Cell<NotifyEvents>,
    pub report_modified: Cell<bool>,
    pub lazy: Cell<LazyFree>,
    pub lfu: Cell<bool>,
    pub lfu_log_factor: Cell<u32>,
    pub lfu_decay_time: Cell<u32>,
    pub limits: RefCell<Rc<Limits>>,
    pub hits: Cell<u64>,
    pub misses: Cell<u64>,
    pub expired: Cell<u64>,
    pub expired_fields: Cell<u64>,
    pub evicted: Cell<u64>,
    /// See [`Db::prefetch`](super::Db::prefetch).
    pub prefetch_batch: Cell<usize>,
    pub rng: RefCell<Rng>,
    pub effects: RefCell<Vec<Effect>>,
    pub garbage: RefCell<Vec<Garbage>>,
    pub watches: RefCell<Watches>,
    pub waiters: RefCell<Waiters>,
}

/// Allocations above which freeing is another thread's work; below, handing it over costs more.
const MUCH_TO_FREE: usize = 64;

/// Adds to a counter.
pub(super) fn add(counter: &Cell<u64>, n: u64) {
    counter.set(counter.get().wrapping_add(n));
}

impl State {
    pub fn new(dbs: usize) -> State {
        State {
            now_ms: Cell::new(0),
            dirty: Cell::new(0),
            rule: Cell::new(ExpiryRule::PRIMARY),
            touch: Cell::new(true),
            notify: Cell::new(NotifyEvents::NONE),
            report_modified: Cell::new(false),
            lazy: Cell::new(LazyFree { expire: true, eviction: true, server_del: true }),
            lfu: Cell::new(MaxmemoryPolicy::Noeviction.is_lfu()),
            lfu_log_factor: Cell::new(10),
            lfu_decay_time: Cell::new(1),
            limits: RefCell::default(),
            hits: Cell::new(0),
            misses: Cell::new(0),
            expired: Cell::new(0),
            expired_fields: Cell::new(0),
            evicted: Cell::new(0),
            prefetch_batch: Cell::new(0),
            rng: RefCell::new(Rng::from_os()),
            effects: RefCell::default(),
            garbage: RefCell::default(),
            watches: RefCell::new(Watches::new(dbs)),
            waiters: RefCell::new(Waiters::new(dbs)),
        }
    }

    /// Whether a time in ms since 1970 is over. A key lives through the millisecond of its expiry.
    pub fn has_passed(&self, expire_at: Option<i64>) -> bool {
        expire_at.is_some_and(|at| self.now_ms.get() > at)
    }

    pub fn effect(&self, effect: Effect) {
        self.effects.borrow_mut().push(effect);
    }

    pub fn notify(&self, class: NotifyEvents, event: &'static str, db: usize, key: &[u8]) {
        if self.notify.get().has(class) {
            self.effect(Effect::Notify { class, event, db, key: key.to_vec() });
        }
    }

    /// Frees an entry here, or leaves it for another thread if that is asked for and worth it.
    pub fn discard(&self, entry: Entry, lazily: bool) {
        if lazily && entry.free_effort() > MUCH_TO_FREE {
            self.garbage.borrow_mut().push(Garbage::Entry(entry));
        }
    }

    /// As [`discard`](Self::discard), for a value.
    pub fn discard_value(&self, value: Value, lazily: bool) {
        if lazily && value.free_effort() > MUCH_TO_FREE {
            self.garbage.borrow_mut().push(Garbage::Value(value));
        }
    }
}
