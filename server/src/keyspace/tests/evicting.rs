use super::*;
use MaxmemoryPolicy as P;

/// Keys 0 to 99 in database 1, used longer ago and less often, and expiring sooner, the lower the number. Only even ones expire.
fn aged(policy: P) -> Keyspace {
    let mut ks = keyspace();
    ks.set_policy(policy, 10, 1);
    ks.set_now_ms(100_000_000);
    for n in 0..100u32 {
        let key = n.to_string().into_bytes();
        let ttl = if n % 2 == 0 { Ttl::At(200_000_000 + i64::from(n)) } else { Ttl::Clear };
        ks.db_mut(1).set_str(&key, b"v", ttl);
        ks.db_mut(1).set_access(&key, Access::Idle(1000 - n));
        ks.db_mut(1).set_access(&key, Access::Frequency(50 + n as u8));
    }
    ks
}

fn evicted(ks: &mut Keyspace, policy: P, count: usize) -> Vec<u32> {
    (0..count)
        .map(|_| {
            let (db, key) = ks.evict_candidate(policy, 10).unwrap();
            assert_eq!(db, 1);
            assert!(ks.evict(db, &key).is_some());
            String::from_utf8(key).unwrap().parse().unwrap()
        })
        .collect()
}

#[test]
fn the_keys_that_the_policy_values_least_go_first() {
    for (policy, volatile) in [
        (P::AllkeysLru, false),
        (P::AllkeysLfu, false),
        (P::VolatileLru, true),
        (P::VolatileLfu, true),
        (P::VolatileTtl, true),
    ] {
        let mut ks = aged(policy);
        let gone = evicted(&mut ks, policy, 20);
        assert!(!volatile || gone.iter().all(|n| n % 2 == 0), "{policy:?} {gone:?}");
        // Chosen at random, the mean would be near 50.
        let mean = gone.iter().sum::<u32>() / 20;
        assert!(mean < if volatile { 45 } else { 35 }, "{policy:?} {gone:?}");
        assert_eq!((ks.db(1).len(), ks.stats().evicted), (80, 20));
        check(&ks);
    }
}

#[test]
fn random_policies_take_any_key_that_they_may() {
    let mut ks = aged(P::AllkeysRandom);
    assert_eq!(evicted(&mut ks, P::VolatileRandom, 50).iter().filter(|n| *n % 2 == 0).count(), 50);
    assert_eq!(ks.evict_candidate(P::VolatileRandom, 5), None);
    assert_eq!(ks.evict_candidate(P::VolatileTtl, 5), None);
    evicted(&mut ks, P::AllkeysRandom, 50);
    assert_eq!(ks.evict_candidate(P::AllkeysRandom, 5), None);
    assert_eq!(ks.evict_candidate(P::AllkeysLru, 5), None);
}

#[test]
fn nothing_is_evicted_under_noeviction() {
    assert_eq!(aged(P::Noeviction).evict_candidate(P::Noeviction, 5), None);
}

#[test]
fn an_eviction_is_told_to_everybody() {
    let mut ks = keyspace();
    ks.set_notify(NotifyEvents::from_letters(b"Ee").unwrap());
    ks.db_mut(0).set_str(b"k", b"v", Ttl::Clear);
    ks.watch(0, b"k", 1);
    assert!(ks.evict(0, b"k").is_some() && ks.evict(0, b"k").is_none());
    let (class, key) = (NotifyEvents::EVICTED, b"k".to_vec());
    let notify = Effect::Notify { class, event: "evicted", db: 0, key: key.clone() };
    assert_eq!(ks.take_effects(), [notify, Effect::Evicted { db: 0, key }]);
    assert_eq!(ks.take_dirty_watchers(), [1]);
}

#[test]
fn a_use_is_noted_unless_that_is_switched_off() {
    let mut ks = aged(P::AllkeysLru);
    let idle = |ks: &mut Keyspace| {
        let access = ks.db(1).peek(b"1").unwrap().access();
        ks.db(1).idle_seconds(access)
    };
    ks.db_mut(1).read_with(b"1", Lookup::NO_TOUCH);
    ks.set_touch(false);
    ks.db_mut(1).read(b"1");
    assert_eq!(idle(&mut ks), 999);
    ks.set_touch(true);
    ks.db_mut(1).read(b"1");
    assert_eq!(idle(&mut ks), 0);
    ks.set_now_ms(100_007_000);
    assert_eq!(idle(&mut ks), 7);
}

#[test]
fn the_count_of_uses_grows_slowly_and_decays_by_the_minute() {
    let mut ks = aged(P::AllkeysLfu);
    let mut counts = HashMap::new();
    ks.db_mut(1).set_str(b"new", b"v", Ttl::Clear);
    for uses in 1..=10_000 {
        let access = ks.db_mut(1).read(b"new").unwrap().access();
        counts.insert(uses, ks.db(1).frequency(access));
    }
    // About the square root of a fifth of the uses, above the 5 of a new key.
    assert_eq!(counts[&1], 6);
    assert!((7..=16).contains(&counts[&100]), "{}", counts[&100]);
    assert!((40..=60).contains(&counts[&10_000]), "{}", counts[&10_000]);
    let access = ks.db(1).peek(b"new").unwrap().access();
    ks.set_now_ms(100_000_000 + 5 * 60_000);
    assert_eq!(ks.db(1).frequency(access), counts[&10_000] - 5);
    ks.set_policy(P::AllkeysLfu, 10, 0);
    assert_eq!(ks.db(1).frequency(access), counts[&10_000]);
}
