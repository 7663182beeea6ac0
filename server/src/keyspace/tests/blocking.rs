use super::*;

#[test]
fn a_key_that_somebody_waits_for_is_ready_when_it_comes_to_be() {
    let mut ks = keyspace();
    let limits = ks.limits();
    ks.block(0, 7, &[b"a", b"b", b"a"], false);
    ks.block(0, 8, &[b"a"], false);
    ks.block(1, 9, &[b"a"], false);
    assert_eq!((ks.waiting(0, b"a"), ks.waiting(0, b"none")), (vec![7, 8], vec![]));
    ks.db_mut(0).set_str(b"unrelated", b"v", Ttl::Clear);
    assert!(!ks.has_ready());
    for _ in 0..2 {
        ks.db_mut(0).list_or_new(b"a").unwrap().push(End::Back, b"x", &limits);
        ks.db_mut(0).signal_ready(b"a");
    }
    assert!(ks.has_ready());
    assert_eq!(ks.take_ready(), [(0, b"a".to_vec())]);
    ks.unblock(7);
    assert_eq!((ks.waiting(0, b"a"), ks.waiting(0, b"b")), (vec![8], vec![]));
    ks.db_mut(0).set_str(b"b", b"v", Ttl::Clear);
    assert!(ks.take_ready().is_empty());
    assert_eq!(ks.blocking_key_counts(), (2, 0));
}

#[test]
fn renaming_moving_and_swapping_make_keys_ready() {
    let mut ks = keyspace();
    ks.block(0, 7, &[b"a"], false);
    ks.db_mut(0).set_str(b"x", b"v", Ttl::Clear);
    ks.db_mut(0).rename(b"x", b"a");
    assert_eq!(ks.take_ready(), [(0, b"a".to_vec())]);
    assert!(ks.move_key(b"a", 0, 1) && !ks.has_ready());
    assert!(ks.move_key(b"a", 1, 0));
    assert_eq!(ks.take_ready(), [(0, b"a".to_vec())]);
    drop(ks.flush(Some(0)));
    ks.db_mut(2).set_str(b"a", b"v", Ttl::Clear);
    ks.swap(2, 0);
    assert_eq!(ks.take_ready(), [(0, b"a".to_vec())]);
    ks.db_mut(0).set_str(b"a", b"overwritten", Ttl::Clear);
    assert_eq!(ks.take_ready(), [(0, b"a".to_vec())]);
}

#[test]
fn a_deleted_key_is_told_to_who_asked_for_it() {
    let mut ks = keyspace();
    ks.db_mut(0).set_str(b"stream", b"v", Ttl::Clear);
    ks.db_mut(0).set_str(b"list", b"v", Ttl::Clear);
    ks.block(0, 7, &[b"stream"], true);
    ks.block(0, 8, &[b"list"], false);
    assert_eq!(ks.blocking_key_counts(), (2, 1));
    ks.db_mut(0).del(b"stream", false);
    ks.db_mut(0).del(b"list", false);
    assert_eq!(ks.take_ready(), [(0, b"stream".to_vec())]);
    ks.db_mut(0).set_str(b"stream", b"v", Ttl::Clear);
    ks.take_ready();
    drop(ks.flush(None));
    assert_eq!(ks.take_ready(), [(0, b"stream".to_vec())]);
}
