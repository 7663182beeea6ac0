use super::*;

#[test]
fn a_client_hears_once_of_a_change_to_a_key_that_it_watches() {
    let mut ks = keyspace();
    ks.watch(0, b"k", 1);
    ks.watch(0, b"k", 1);
    ks.watch(0, b"other", 1);
    ks.watch(0, b"k", 2);
    ks.watch(1, b"k", 3);
    assert_eq!(ks.watch_counts(), (3, 3));
    ks.db_mut(0).set_str(b"k", b"v", Ttl::Clear);
    assert!(ks.take_dirty_watchers().is_empty());
    ks.db_mut(0).modified(b"k", NotifyEvents::STRING, "set");
    ks.db_mut(0).modified(b"other", NotifyEvents::STRING, "set");
    assert_eq!(ks.take_dirty_watchers(), [1, 2]);
    assert_eq!(ks.watch_counts(), (1, 1));
    ks.unwatch(3);
    ks.db_mut(1).modified(b"k", NotifyEvents::STRING, "set");
    assert!(ks.take_dirty_watchers().is_empty());
}

#[test]
fn a_watched_key_that_expires_is_a_change_and_one_that_had_expired_before_is_not() {
    let mut ks = keyspace();
    ks.db_mut(0).set_str(b"k", b"v", Ttl::At(1_000_100));
    ks.watch(0, b"k", 1);
    assert!(!ks.watched_key_expired(1));
    ks.set_now_ms(1_000_101);
    assert!(ks.watched_key_expired(1));
    ks.watch(0, b"k", 2);
    assert!(!ks.watched_key_expired(2));
    ks.db_mut(0).read(b"k");
    assert_eq!(ks.take_dirty_watchers(), [1]);
    // Gone now, as it was for client 2 before. To be set again is a change.
    ks.db_mut(0).set_str(b"k", b"v", Ttl::Clear);
    ks.db_mut(0).touched(b"k");
    assert_eq!(ks.take_dirty_watchers(), [2]);
}

#[test]
fn flushing_and_swapping_are_changes_to_the_keys_that_are_there() {
    let mut ks = keyspace();
    ks.db_mut(0).set_str(b"here", b"v", Ttl::Clear);
    ks.watch(0, b"here", 1);
    ks.watch(0, b"not here", 2);
    drop(ks.flush(None));
    assert_eq!(ks.take_dirty_watchers(), [1]);
    ks.db_mut(1).set_str(b"not here", b"v", Ttl::Clear);
    ks.watch(1, b"nowhere", 3);
    ks.swap(0, 1);
    assert_eq!(ks.take_dirty_watchers(), [2]);
    // An expired key in place of none is no change.
    ks.db_mut(5).load(Entry::new_str(b"nowhere", b"v", Some(1))).unwrap();
    ks.swap(1, 5);
    assert!(ks.take_dirty_watchers().is_empty());
    assert!(!ks.watched_key_expired(3));
    drop(ks.flush(Some(1)));
    assert!(ks.take_dirty_watchers().is_empty());
}
