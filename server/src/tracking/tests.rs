//! What clients that cache are promised.

use super::*;

fn tracked(mode: Mode) -> Tracked {
    Tracked { mode, redirect: None, broken: false, noloop: false, caching: false, prefixes: BTreeSet::new() }
}

fn prefixed(prefixes: &[&str]) -> Tracked {
    Tracked { prefixes: prefixes.iter().map(|prefix| prefix.as_bytes().into()).collect(), ..tracked(Mode::Broadcast) }
}

fn read(tracking: &mut Tracking, client: ClientId, key: &str) {
    tracking.note_read(client, [key.as_bytes()].into_iter());
}

#[test]
fn who_read_a_key_is_told_once_that_it_changed() {
    let mut tracking = Tracking::default();
    tracking.enable(1, tracked(Mode::All));
    tracking.enable(2, tracked(Mode::All));
    for client in [1, 2, 1, 3] {
        read(&mut tracking, client, "k");
    }
    assert_eq!((tracking.keys(), tracking.items()), (1, 2));
    assert_eq!(tracking.note_change(b"other", None), []);
    assert_eq!(tracking.note_change(b"k", None), [1, 2]);
    assert_eq!(tracking.note_change(b"k", None), []);
    assert_eq!((tracking.keys(), tracking.items()), (0, 0));
}

#[test]
fn who_asked_for_it_is_not_told_of_its_own_changes() {
    let mut tracking = Tracking::default();
    tracking.enable(1, Tracked { noloop: true, ..tracked(Mode::All) });
    tracking.enable(2, Tracked { noloop: true, ..tracked(Mode::All) });
    read(&mut tracking, 1, "k");
    read(&mut tracking, 2, "k");
    assert_eq!(tracking.note_change(b"k", Some(1)), [2]);
}

#[test]
fn opting_in_and_out_is_for_one_command() {
    let mut tracking = Tracking::default();
    for (mode, without, with) in [(Mode::OptIn, 0, 1), (Mode::OptOut, 1, 0)] {
        tracking.enable(1, tracked(mode));
        read(&mut tracking, 1, "k");
        assert_eq!(tracking.note_change(b"k", None).len(), without);
        tracking.get_mut(1).unwrap().caching = true;
        read(&mut tracking, 1, "k");
        assert_eq!(tracking.note_change(b"k", None).len(), with);
    }
}

#[test]
fn a_broadcast_tells_each_listener_of_the_keys_with_its_prefixes() {
    let mut tracking = Tracking::default();
    tracking.enable(1, prefixed(&["a", "b:"]));
    tracking.enable(2, Tracked { noloop: true, ..prefixed(&["a"]) });
    tracking.enable(3, prefixed(&[""]));
    for (key, by) in [("a1", Some(2)), ("a2", None), ("a2", None), ("b", None)] {
        assert_eq!(tracking.note_change(key.as_bytes(), by), []);
    }
    let mut told: Vec<(ClientId, String)> = Vec::new();
    for broadcast in tracking.take_broadcasts() {
        let keys: Vec<_> = broadcast.keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
        told.extend(broadcast.to.iter().map(|client| (*client, keys.join(" "))));
    }
    told.sort();
    assert_eq!(told, [(1, "a1 a2".to_owned()), (2, "a2".to_owned()), (3, "a1 a2 b".to_owned())]);
    assert_eq!(tracking.take_broadcasts(), []);
    tracking.disable(1);
    tracking.disable(3);
    assert_eq!(tracking.prefixes(), 1);
}

#[test]
fn beyond_the_limit_keys_are_forgotten_and_their_readers_told() {
    let mut tracking = Tracking::default();
    tracking.enable(1, tracked(Mode::All));
    for n in 0..10 {
        read(&mut tracking, 1, &format!("k{n}"));
    }
    let mut forgotten = BTreeSet::new();
    while let Some((key, clients)) = tracking.forget_beyond(3) {
        assert_eq!(clients, [1]);
        assert!(forgotten.insert(key));
    }
    assert_eq!((forgotten.len(), tracking.keys()), (7, 3));
}

#[test]
fn nothing_is_kept_when_nobody_caches() {
    let mut tracking = Tracking::default();
    tracking.enable(1, tracked(Mode::All));
    read(&mut tracking, 1, "k");
    tracking.disable(1);
    assert!(tracking.is_idle() && tracking.keys() == 0);
}
