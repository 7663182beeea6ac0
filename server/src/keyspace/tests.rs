use super::*;
use crate::data::elem::Elem;
use crate::data::entry::Entry;
use crate::data::list::End;
use crate::data::rng::Rng;
use crate::data::table::{Keyed, hash};
use crate::data::value::{Str, Value};
use std::collections::{BTreeMap, HashMap, HashSet};

mod blocking;
mod evicting;
mod expiring;
mod fields;
mod watching;

fn keyspace() -> Keyspace {
    let mut ks = Keyspace::new(16);
    ks.set_now_ms(1_000_000);
    ks
}

fn text(elem: Option<Elem<'_>>) -> Option<String> {
    elem.map(|elem| String::from_utf8(elem.to_vec()).unwrap())
}

fn expired(db: usize, key: &[u8]) -> Effect {
    Effect::Expired { db, key: key.to_vec() }
}

/// The index of expiries must hold exactly the keys that have one.
fn check(ks: &Keyspace) {
    for db in ks.dbs() {
        let volatile: Vec<_> = db.iter().filter(|entry| entry.expire_at().is_some()).collect();
        assert_eq!(db.expires_len(), volatile.len());
        let mut indexed = HashSet::new();
        let mut cursor = 0;
        loop {
            cursor = db.tables.expires.scan(cursor, |hash| {
                indexed.insert(hash);
            });
            if cursor == 0 {
                break;
            }
        }
        assert!(volatile.iter().all(|entry| indexed.contains(&hash(entry.key()))));
    }
}

#[test]
fn a_database_remembers_what_was_set() {
    let mut ks = keyspace();
    let db = ks.db_mut(0);
    assert_eq!(text(db.read_str(b"k").unwrap()), None);
    db.set_str(b"k", b"value", Ttl::Clear);
    db.set_str(b"n", b"42", Ttl::Clear);
    assert_eq!(text(db.read_str(b"k").unwrap()).as_deref(), Some("value"));
    assert!(matches!(db.read_str(b"n"), Ok(Some(Elem::Int(42)))));
    db.write_str(b"n").unwrap().unwrap().to_mut().push(b'0');
    assert_eq!(text(db.get_str(b"n").unwrap()).as_deref(), Some("420"));
    assert_eq!(db.read(b"n").unwrap().encoding(), "raw");
    assert_eq!(db.len(), 2);
    assert!(ks.db(1).is_empty());
}

#[test]
fn a_key_of_another_type_is_refused() {
    let mut ks = keyspace();
    let limits = ks.limits();
    let db = ks.db_mut(0);
    db.list_or_new(b"l").unwrap().push(End::Back, b"a", &limits);
    db.set_str(b"s", b"text", Ttl::Clear);
    assert_eq!(db.read_list(b"l").unwrap().unwrap().len(), 1);
    assert!(db.read_str(b"l").is_err() && db.write_str(b"l").is_err() && db.get_str(b"l").is_err());
    assert!(db.read_list(b"s").is_err() && db.write_list(b"s").is_err() && db.list_or_new(b"s").is_err());
    assert_eq!(WrongType.to_string(), "WRONGTYPE Operation against a key holding the wrong kind of value");
    // Setting replaces any type.
    db.set_str(b"l", b"now text", Ttl::Clear);
    assert_eq!(text(db.read_str(b"l").unwrap()).as_deref(), Some("now text"));
}

#[test]
fn an_emptied_list_goes_with_its_key() {
    let mut ks = keyspace();
    ks.set_notify(NotifyEvents::from_letters(b"KEA").unwrap());
    let limits = ks.limits();
    let db = ks.db_mut(0);
    db.list_or_new(b"l").unwrap().push(End::Back, b"a", &limits);
    assert!(!db.delete_if_empty(b"l"));
    db.write_list(b"l").unwrap().unwrap().pop(End::Back, &limits);
    assert!(db.delete_if_empty(b"l"));
    assert!(db.is_empty());
    let class = NotifyEvents::GENERIC;
    assert_eq!(ks.take_effects(), [Effect::Notify { class, event: "del", db: 0, key: b"l".to_vec() }]);
}

#[test]
fn setting_a_key_clears_keeps_or_sets_its_expiry_as_asked() {
    let mut ks = keyspace();
    let db = ks.db_mut(0);
    for value in [&b"1"[..], b"short", &[b'x'; 500]] {
        db.set_str(b"k", value, Ttl::At(2_000_000));
        assert_eq!(db.read(b"k").unwrap().expire_at(), Some(2_000_000));
        db.set_str(b"k", b"again", Ttl::Keep);
        assert_eq!(db.read(b"k").unwrap().expire_at(), Some(2_000_000));
        db.set(b"k", Str::from_vec(value.to_vec()), Ttl::At(3_000_000));
        assert_eq!((db.read(b"k").unwrap().expire_at(), db.expires_len()), (Some(3_000_000), 1));
        db.set_str(b"k", value, Ttl::Clear);
        assert_eq!((db.read(b"k").unwrap().expire_at(), db.expires_len()), (None, 0));
        assert!(db.set_expire(b"k", Some(5_000_000)) && db.set_expire(b"k", None) && db.set_expire(b"k", None));
        assert_eq!(db.expires_len(), 0);
    }
    assert!(!db.set_expire(b"other", Some(1)));
    check(&ks);
}

#[test]
fn events_are_told_only_if_their_class_is_asked_for() {
    let mut ks = keyspace();
    ks.db_mut(3).set_str(b"k", b"v", Ttl::Clear);
    ks.db_mut(3).modified(b"k", NotifyEvents::STRING, "set");
    ks.db_mut(3).read(b"missing");
    assert!(!ks.has_effects());
    assert_eq!(ks.dirty(), 1);
    ks.set_notify(NotifyEvents::from_letters(b"K$nm").unwrap());
    ks.set_report_modified(true);
    ks.db_mut(3).set_str(b"k2", b"v", Ttl::Clear);
    ks.db_mut(3).modified(b"k2", NotifyEvents::STRING, "set");
    ks.db_mut(3).modified(b"k2", NotifyEvents::GENERIC, "expire");
    ks.db_mut(3).read(b"missing");
    ks.db_mut(3).read_with(b"missing", Lookup::SILENT);
    let notify = |class, event, key: &[u8]| Effect::Notify { class, event, db: 3, key: key.to_vec() };
    let modified = Effect::Modified { db: 3, key: b"k2".to_vec() };
    assert_eq!(
        ks.take_effects(),
        [
            notify(NotifyEvents::NEW, "new", b"k2"),
            modified.clone(),
            notify(NotifyEvents::STRING, "set", b"k2"),
            modified,
            notify(NotifyEvents::KEY_MISS, "keymiss", b"missing"),
        ]
    );
    assert_eq!((ks.dirty(), ks.stats().misses), (3, 2));
    ks.reset_stats();
    assert_eq!(ks.stats(), Stats::default());
}

#[test]
fn a_renamed_key_keeps_value_expiry_and_last_use() {
    let mut ks = keyspace();
    let db = ks.db_mut(0);
    db.set_str(b"from", b"value", Ttl::At(2_000_000));
    db.set_str(b"to", b"other", Ttl::At(3_000_000));
    db.set_access(b"from", Access::Idle(77));
    assert!(db.rename(b"from", b"to"));
    assert!(!db.rename(b"from", b"to"));
    let entry = db.read_with(b"to", Lookup::SILENT).unwrap();
    assert_eq!((text(entry.as_str()).as_deref(), entry.expire_at()), (Some("value"), Some(2_000_000)));
    let access = entry.access();
    assert_eq!(db.idle_seconds(access), 77);
    assert_eq!((db.len(), db.expires_len()), (1, 1));
    check(&ks);
}

#[test]
fn keys_move_and_are_copied_between_databases_with_their_expiry() {
    let mut ks = keyspace();
    ks.db_mut(0).set_str(b"k", b"value", Ttl::At(2_000_000));
    assert!(!ks.copy_key(b"none", 0, b"k", 1));
    assert!(ks.copy_key(b"k", 0, b"copy", 1));
    assert!(!ks.copy_key(b"k", 0, b"copy", 1));
    assert!(ks.move_key(b"k", 0, 1));
    assert!(!ks.move_key(b"k", 0, 1));
    ks.db_mut(0).set_str(b"k", b"another", Ttl::Clear);
    assert!(!ks.move_key(b"k", 0, 1));
    for key in [b"k".as_slice(), b"copy"] {
        let entry = ks.db(1).get(key).unwrap();
        assert_eq!((text(entry.as_str()).as_deref(), entry.expire_at()), (Some("value"), Some(2_000_000)));
    }
    assert_eq!((ks.db(0).len(), ks.db(1).len(), ks.db(1).expires_len(), ks.total_keys()), (1, 2, 2, 3));
    ks.swap(0, 1);
    assert_eq!((ks.db(0).len(), ks.db(1).len()), (2, 1));
    check(&ks);
}

#[test]
fn flushed_databases_can_be_dropped_on_another_thread() {
    let mut ks = keyspace();
    for db in 0..16 {
        for n in 0..100 {
            ks.db_mut(db).set_str(format!("k{n}").as_bytes(), b"v", Ttl::At(2_000_000));
        }
    }
    let one = ks.flush(Some(3));
    assert!(ks.db(3).is_empty() && ks.db(4).len() == 100);
    let all = ks.flush(None);
    assert_eq!((ks.total_keys(), ks.db(0).expires_len()), (0, 0));
    std::thread::spawn(move || drop((one, all))).join().unwrap();
}

#[test]
fn a_data_set_loaded_aside_takes_the_place_of_the_old_one() {
    let mut ks = keyspace();
    ks.db_mut(0).set_str(b"old", b"v", Ttl::Clear);
    let mut aside = Keyspace::new(16);
    aside.set_expiry_rule(ExpiryRule::IGNORE);
    aside.db_mut(0).reserve(10, 10);
    aside.db_mut(0).load(Entry::new_str(b"new", b"v", Some(5))).unwrap();
    let again = aside.db_mut(0).load(Entry::new_str(b"new", b"w", None)).unwrap_err();
    assert_eq!(again.key(), b"new");
    ks.swap_data(&mut aside);
    assert!(ks.db(0).peek(b"new").is_some() && ks.db(0).peek(b"old").is_none());
    assert!(aside.db(0).peek(b"old").is_some());
    check(&ks);
}

#[test]
fn a_file_that_promises_too_many_keys_does_not_exhaust_memory() {
    let mut ks = keyspace();
    ks.db_mut(0).reserve(usize::MAX, usize::MAX);
    assert!(ks.db(0).memory_overhead() < 400 << 20);
    ks.db_mut(0).set_str(b"k", b"v", Ttl::Clear);
    assert!(ks.db_mut(0).random_key().is_some());
}

#[test]
fn large_values_are_left_to_another_thread_and_small_ones_are_not() {
    let mut ks = keyspace();
    let limits = ks.limits();
    for lazily in [false, true] {
        let lazy = LazyFree { expire: lazily, eviction: lazily, server_del: lazily };
        ks.set_lazy_free(lazy);
        for n in 0..5 {
            let list = ks.db_mut(0).list_or_new(format!("l{n}").as_bytes()).unwrap();
            for _ in 0..100 {
                list.push(End::Back, &[b'x'; 9000], &limits);
            }
        }
        let db = ks.db_mut(0);
        db.set_str(b"s", &[b'x'; 100_000], Ttl::Clear);
        db.set_expire(b"l0", Some(1));
        assert!(db.read(b"l0").is_none());
        db.set_str(b"l1", b"text", Ttl::Clear);
        db.delete(b"l1");
        db.delete(b"l2");
        assert!(ks.evict(0, b"l3").is_some());
        assert!(ks.db_mut(0).del(b"l4", lazily));
        assert!(ks.db_mut(0).del(b"s", lazily));
        assert_eq!(ks.take_garbage().len(), if lazily { 5 } else { 0 });
    }
}

#[test]
fn a_random_key_is_one_that_is_there() {
    let mut ks = keyspace();
    assert_eq!(ks.db_mut(0).random_key(), None);
    for n in 0..20 {
        let ttl = if n % 2 == 0 { Ttl::At(1) } else { Ttl::Clear };
        ks.db_mut(0).set_str(format!("{n}").as_bytes(), b"v", ttl);
    }
    for _ in 0..100 {
        let key = ks.db_mut(0).random_key().unwrap();
        assert!(ks.db(0).peek(&key).is_some() && key.last().unwrap() % 2 == 1);
    }
    // A replica whose keys have all expired names one of them instead of searching for ever.
    ks.set_expiry_rule(ExpiryRule::HIDE);
    ks.flush(None);
    ks.db_mut(0).load(Entry::new_str(b"old", b"v", Some(1))).unwrap();
    assert_eq!(ks.db_mut(0).random_key().unwrap(), b"old");
}

#[test]
fn a_scan_gives_every_key_that_stays_and_can_tell_the_expired() {
    let mut ks = keyspace();
    for n in 0..1000 {
        ks.db_mut(0).set_str(format!("{n}").as_bytes(), b"v", if n < 100 { Ttl::At(1) } else { Ttl::Clear });
    }
    let (mut cursor, mut seen) = (0, HashSet::new());
    loop {
        let db = ks.db(0);
        cursor = db.scan(cursor, |entry| {
            if !db.is_expired(entry) {
                seen.insert(entry.key().to_vec());
            }
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), 900);
}

/// What a database is to hold: values and expiries.
type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

#[test]
fn databases_behave_as_maps_under_random_changes() {
    let mut ks = keyspace();
    let mut rng = Rng::new(11);
    let mut model = vec![Model::new(); 2];
    for _ in 0..if cfg!(miri) { 300 } else { 30_000 } {
        let (db, other) = (rng.below(2), rng.below(2));
        let key = format!("k{}", rng.below(60)).into_bytes();
        let second = format!("k{}", rng.below(60)).into_bytes();
        let value = vec![b'v'; rng.below(200)];
        let at = 1_000_000 + rng.below(1000) as i64;
        match rng.below(10) {
            0 | 1 => {
                ks.db_mut(db).set_str(&key, &value, Ttl::Clear);
                model[db].insert(key, (value, None));
            }
            2 => {
                ks.db_mut(db).set(&key, Value::Str(Str::Bytes(value.clone())), Ttl::At(at));
                model[db].insert(key, (value, Some(at)));
            }
            3 => {
                ks.db_mut(db).set_str(&key, &value, Ttl::Keep);
                model[db].entry(key).or_default().0 = value;
            }
            4 => {
                let at = (rng.below(2) == 0).then_some(at);
                assert_eq!(ks.db_mut(db).set_expire(&key, at), model[db].contains_key(&key));
                if let Some(held) = model[db].get_mut(&key) {
                    held.1 = at;
                }
            }
            5 => {
                assert_eq!(ks.db_mut(db).del(&key, true), model[db].remove(&key).is_some());
            }
            6 => {
                let held = model[db].remove(&key);
                assert_eq!(ks.db_mut(db).rename(&key, &second), held.is_some());
                if let Some(held) = held {
                    model[db].insert(second, held);
                }
            }
            7 if db != other => {
                let may = model[db].contains_key(&key) && !model[other].contains_key(&key);
                assert_eq!(ks.move_key(&key, db, other), may);
                if may && let Some(held) = model[db].remove(&key) {
                    model[other].insert(key, held);
                }
            }
            8 => {
                let may = model[db].contains_key(&key) && !model[other].contains_key(&second);
                assert_eq!(ks.copy_key(&key, db, &second, other), may);
                if may {
                    let held = model[db][&key].clone();
                    model[other].insert(second, held);
                }
            }
            9 if rng.below(50) == 0 => {
                ks.swap(0, 1);
                model.swap(0, 1);
            }
            _ => {
                if let Some(mut string) = ks.db_mut(db).write_str(&key).unwrap() {
                    string.to_mut().push(b'!');
                    model[db].get_mut(&key).unwrap().0.push(b'!');
                }
            }
        }
        check(&ks);
    }
    for (db, model) in model.iter().enumerate() {
        let held: Model = (ks.db(db).iter())
            .map(|entry| (entry.key().to_vec(), (entry.as_str().unwrap().to_vec(), entry.expire_at())))
            .collect();
        assert_eq!(held, *model);
    }
}
