use super::*;
use crate::data::limits::Limits;

/// A hash of `n` fields, every other of which expires at 1,000,100.
fn hash_with_expiring_fields(ks: &mut Keyspace, db: usize, key: &[u8], n: usize) {
    let limits = Limits::default();
    let hash = ks.db_mut(db).hash_or_new(key).unwrap();
    for i in 0..n {
        let name = format!("f{i}").into_bytes();
        hash.set(&name, b"v", &limits);
        if i % 2 == 0 {
            hash.set_expire(&name, Some(1_000_100));
        }
    }
    ks.db_mut(db).index_fields(key);
}

#[test]
fn a_hash_is_counted_while_it_has_fields_that_expire() {
    let mut ks = keyspace();
    hash_with_expiring_fields(&mut ks, 0, b"h", 1);
    hash_with_expiring_fields(&mut ks, 0, b"plain", 0);
    ks.db_mut(0).index_fields(b"h");
    ks.db_mut(0).index_fields(b"missing");
    assert_eq!(ks.db(0).fields_len(), 1);
    // Whatever becomes of the key, the count follows.
    assert!(ks.db_mut(0).set_expire(b"h", Some(5_000_000)));
    assert!(ks.db_mut(0).rename(b"h", b"g"));
    assert!(ks.copy_key(b"g", 0, b"copy", 1) && ks.move_key(b"g", 0, 2));
    assert_eq!([0, 1, 2].map(|db| ks.db(db).fields_len()), [0, 1, 1]);
    ks.db_mut(1).write_hash(b"copy").unwrap().unwrap().set_expire(b"f0", None);
    ks.db_mut(1).index_fields(b"copy");
    assert_eq!(ks.db(1).fields_len(), 0);
    ks.db_mut(2).set_str(b"g", b"text", Ttl::Clear);
    assert_eq!(ks.db(2).fields_len(), 0);
    hash_with_expiring_fields(&mut ks, 3, b"h", 1);
    let value = ks.db_mut(3).remove(b"h").unwrap().into_value();
    assert_eq!(ks.db(3).fields_len(), 0);
    ks.db_mut(3).set(b"again", value, Ttl::Clear);
    ks.db_mut(3).set(b"again", Value::Str(Str::Int(1)), Ttl::Clear);
    assert_eq!(ks.db(3).fields_len(), 0);
}

#[test]
fn the_cycle_deletes_fields_whose_time_is_over_and_says_which() {
    let mut ks = keyspace();
    ks.set_notify(NotifyEvents::from_letters(b"Exg").unwrap());
    for n in 0..40 {
        hash_with_expiring_fields(&mut ks, n % 16, format!("h{n}").as_bytes(), if n == 7 { 5000 } else { 20 });
    }
    let cycle = |ks: &mut Keyspace| {
        for _ in 0..200 {
            ks.active_expire(ExpireCycle::Slow { hz: 10 }, 10);
        }
    };
    cycle(&mut ks);
    assert!(!ks.has_effects());
    ks.watch(7, b"h7", 1);
    ks.set_now_ms(1_000_101);
    assert!(ks.db(0).has_expired(Some(1_000_100)) && !ks.db(0).has_expired(Some(1_000_101)));
    cycle(&mut ks);
    let (mut gone, mut events) = (HashMap::<_, usize>::new(), 0);
    for effect in ks.take_effects() {
        match effect {
            Effect::FieldsExpired { db, key, fields } => *gone.entry((db, key)).or_default() += fields.len(),
            Effect::Notify { event: "hexpired", .. } => events += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((gone.len(), gone[&(7, b"h7".to_vec())], gone[&(1, b"h1".to_vec())]), (40, 2500, 10));
    assert!(events >= 40);
    assert_eq!(ks.stats().expired_fields, 2500 + 39 * 10);
    assert!(ks.dbs().iter().all(|db| db.fields_len() == 0));
    assert_eq!(ks.db_mut(7).read_hash(b"h7").unwrap().unwrap().len(), 2500);
    assert_eq!(ks.take_dirty_watchers(), [1]);
}

#[test]
fn a_hash_goes_with_its_last_field() {
    let mut ks = keyspace();
    ks.set_notify(NotifyEvents::from_letters(b"Exg").unwrap());
    hash_with_expiring_fields(&mut ks, 0, b"h", 1);
    ks.set_now_ms(2_000_000);
    ks.active_expire(ExpireCycle::Slow { hz: 10 }, 1);
    ks.active_expire(ExpireCycle::Slow { hz: 10 }, 1);
    assert!(ks.db(0).is_empty());
    let key = b"h".to_vec();
    let notify = |class, event| Effect::Notify { class, event, db: 0, key: b"h".to_vec() };
    assert_eq!(
        ks.take_effects(),
        [
            Effect::FieldsExpired { db: 0, key, fields: vec![b"f0".to_vec()] },
            notify(NotifyEvents::EXPIRED, "hexpired"),
            expired(0, b"h"),
            notify(NotifyEvents::GENERIC, "del"),
        ]
    );
    assert_eq!(ks.stats().expired, 0);
}
