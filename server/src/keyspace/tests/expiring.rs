use super::*;

/// A keyspace with a key that expired long ago.
fn with_expired() -> Keyspace {
    let mut ks = keyspace();
    ks.db_mut(2).load(Entry::new_str(b"k", b"v", Some(999_999))).unwrap();
    ks
}

#[test]
fn a_primary_deletes_an_expired_key_when_it_is_looked_up_and_says_so_once() {
    for write in [false, true] {
        let mut ks = with_expired();
        let found = if write { ks.db_mut(2).write(b"k").is_some() } else { ks.db_mut(2).read(b"k").is_some() };
        assert!(!found);
        assert_eq!(ks.take_effects(), [expired(2, b"k")]);
        assert!(ks.db_mut(2).read(b"k").is_none());
        assert!(!ks.has_effects());
        assert_eq!((ks.db(2).len(), ks.db(2).expires_len(), ks.stats().expired), (0, 0, 1));
    }
}

#[test]
fn a_key_lives_through_the_millisecond_of_its_expiry() {
    let mut ks = keyspace();
    ks.db_mut(0).set_str(b"k", b"v", Ttl::At(1_000_005));
    ks.set_now_ms(1_000_005);
    assert!(ks.db_mut(0).read(b"k").is_some());
    ks.set_now_ms(1_000_006);
    assert!(ks.db_mut(0).read(b"k").is_none());
}

#[test]
fn a_replica_hides_an_expired_key_from_its_clients_and_keeps_it() {
    let mut ks = with_expired();
    ks.set_expiry_rule(ExpiryRule::HIDE);
    let db = ks.db_mut(2);
    assert!(db.read(b"k").is_none() && db.write(b"k").is_none() && db.get(b"k").is_none());
    assert!(db.peek(b"k").is_some_and(|entry| db.is_expired(entry)));
    assert!(!ks.has_effects());
    // The primary's stream sees it, changes it, and deletes it.
    ks.set_expiry_rule(ExpiryRule::IGNORE);
    let db = ks.db_mut(2);
    assert!(db.read(b"k").is_some() && db.write(b"k").is_some() && db.get(b"k").is_some());
    assert!(db.del(b"k", false));
    assert!(!ks.has_effects());
}

#[test]
fn a_writable_replica_deletes_an_expired_key_only_to_write_it() {
    let mut ks = with_expired();
    ks.set_expiry_rule(ExpiryRule::HIDE_FROM_READERS);
    assert!(ks.db_mut(2).read(b"k").is_none());
    assert_eq!(ks.db(2).len(), 1);
    assert!(ks.db_mut(2).write(b"k").is_none());
    assert_eq!(ks.db(2).len(), 0);
}

#[test]
fn a_key_set_over_a_hidden_one_is_there_once() {
    for other_way in 0..4 {
        let mut ks = with_expired();
        ks.set_expiry_rule(ExpiryRule::HIDE);
        ks.db_mut(3).set_str(b"k", b"new", Ttl::Clear);
        match other_way {
            0 => ks.db_mut(2).set_str(b"k", b"new", Ttl::At(2_000_000)),
            1 => ks.db_mut(2).set(b"k", Str::Bytes(b"new".to_vec()), Ttl::Clear),
            2 => assert!(ks.copy_key(b"k", 3, b"k", 2)),
            _ => assert!(ks.move_key(b"k", 3, 2)),
        }
        assert_eq!(text(ks.db_mut(2).read_str(b"k").unwrap()).as_deref(), Some("new"));
        assert_eq!(ks.db(2).len(), 1);
        check(&ks);
    }
}

#[test]
fn deleting_an_expired_key_counts_as_its_expiry() {
    let mut ks = with_expired();
    assert!(!ks.db_mut(2).del(b"k", false));
    assert_eq!(ks.take_effects(), [expired(2, b"k")]);
    assert_eq!(ks.dirty(), 0);
}

#[test]
fn setting_an_expired_key_first_tells_of_its_expiry() {
    let mut ks = with_expired();
    ks.set_notify(NotifyEvents::from_letters(b"Exn").unwrap());
    ks.db_mut(2).set_str(b"k", b"new", Ttl::Keep);
    let notify = |class, event| Effect::Notify { class, event, db: 2, key: b"k".to_vec() };
    assert_eq!(
        ks.take_effects(),
        [notify(NotifyEvents::EXPIRED, "expired"), expired(2, b"k"), notify(NotifyEvents::NEW, "new")]
    );
    assert_eq!(ks.db(2).get(b"k").unwrap().expire_at(), None);
}

#[test]
fn the_cycle_finds_expired_keys_that_nobody_asks_for() {
    let mut ks = keyspace();
    for db in 0..16 {
        for n in 0..500 {
            let ttl = if n % 5 == 0 { Ttl::At(5_000_000) } else { Ttl::At(1_000_100) };
            ks.db_mut(db).set_str(format!("{n}").as_bytes(), b"v", ttl);
        }
        ks.db_mut(db).set_str(b"stays", b"v", Ttl::Clear);
    }
    ks.active_expire(ExpireCycle::Slow { hz: 10 }, 1);
    assert_eq!(ks.total_keys(), 16 * 501);
    ks.set_now_ms(1_000_101);
    for _ in 0..2000 {
        ks.active_expire(ExpireCycle::Slow { hz: 10 }, 10);
    }
    assert_eq!(ks.total_keys(), 16 * 101);
    let effects = ks.take_effects();
    assert_eq!(effects.len(), 16 * 400);
    let told: HashSet<_> = effects
        .into_iter()
        .map(|effect| if let Effect::Expired { db, key } = effect { (db, key) } else { panic!() })
        .collect();
    assert_eq!(told.len(), 16 * 400);
    assert!(ks.db(7).average_ttl() > 3_000_000);
    check(&ks);
}

#[test]
fn the_cycle_stops_when_its_time_is_over_and_goes_on_later() {
    let mut ks = keyspace();
    for n in 0..200_000 {
        ks.db_mut(0).set_str(format!("{n}").as_bytes(), b"v", Ttl::At(1));
    }
    // A millionth of a second in each run: at least sixteen steps are made, and not many more.
    let mut runs = 0;
    while !ks.db(0).is_empty() {
        ks.active_expire(ExpireCycle::Slow { hz: 250_000 }, 1);
        runs += 1;
    }
    assert!(runs > 10, "{runs}");
    assert!(ks.stats().expire_time_cap_reached > 10);
    assert!(ks.stats().expired_stale_share > 0.1);
}

#[test]
fn the_fast_cycle_does_nothing_while_there_is_nothing_to_do() {
    let mut ks = keyspace();
    ks.db_mut(0).set_str(b"k", b"v", Ttl::At(1));
    ks.active_expire(ExpireCycle::Fast, 1);
    assert_eq!(ks.db(0).len(), 1);
}
