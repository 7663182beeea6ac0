use std::collections::BTreeSet;

use super::*;
use crate::data::test_util::{TestRng, some_text};

fn texts(set: &Set) -> BTreeSet<Vec<u8>> {
    set.iter().map(Elem::to_vec).collect()
}

fn set_of(members: &[&[u8]]) -> Set {
    let mut set = Set::new();
    for member in members {
        set.add(member, &Limits::default());
    }
    set
}

#[test]
fn random_changes_match_a_tree_of_texts() {
    for seed in 1..40 {
        let mut rng = TestRng::new(seed);
        let mut random = Rng::new(seed);
        let limits = Limits {
            set_max_intset_entries: [512, 8][seed as usize % 2],
            set_max_listpack_entries: [128, 20, 0][seed as usize % 3],
            set_max_listpack_value: [64, 10][seed as usize % 2],
            ..Limits::default()
        };
        let (mut set, mut model) = (Set::new(), BTreeSet::new());
        for step in 0..600 {
            let text = if step < 50 { rng.below(60).to_string().into_bytes() } else { some_text(&mut rng) };
            match rng.below(8) {
                0..=3 => assert_eq!(set.add(&text, &limits), model.insert(text)),
                4 | 5 => assert_eq!(set.remove(&text), model.remove(&text)),
                6 if rng.below(4) == 0 => match set.pop(&mut random) {
                    Some(member) => assert!(model.remove(&member)),
                    None => assert!(model.is_empty()),
                },
                _ => {
                    assert_eq!(set.contains(&text), model.contains(&text));
                    assert_eq!(set.contains_elem(Elem::parse(&text)), model.contains(&text));
                }
            }
            assert_eq!(set.len(), model.len());
        }
        assert_eq!(texts(&set.clone()), model);
        assert_eq!(set.iter().count(), model.len());
    }
}

#[test]
fn encodings_change_where_valkey_changes_them() {
    let limits = Limits::default();
    let mut set = Set::new();
    for i in 0..512 {
        set.add(i.to_string().as_bytes(), &limits);
    }
    assert_eq!(set.encoding(), "intset");
    set.add(b"512", &limits);
    assert_eq!(set.encoding(), "hashtable");
    assert_eq!(set.len(), 513);

    let mut set = set_of(&[b"1", b"2", b"a"]);
    assert_eq!(set.encoding(), "listpack");
    set.add(&[b'x'; 65], &limits);
    assert_eq!(set.encoding(), "hashtable");
    assert_eq!(set.len(), 4);

    let mut set = set_of(&[b"1"]);
    set.add(&[b'x'; 65], &limits);
    assert_eq!(set.encoding(), "hashtable");

    let mut set = set_of(&[b"a"]);
    for i in 0..127 {
        set.add(i.to_string().as_bytes(), &limits);
    }
    assert_eq!((set.len(), set.encoding()), (128, "listpack"));
    set.add(b"a", &limits);
    assert_eq!(set.encoding(), "listpack");
    set.add(b"b", &limits);
    assert_eq!(set.encoding(), "hashtable");

    let mut set = Set::new();
    for i in 0..200 {
        set.add(i.to_string().as_bytes(), &limits);
    }
    set.add(b"text", &limits);
    assert_eq!((set.len(), set.encoding()), (201, "hashtable"));
}

#[test]
fn a_new_set_is_encoded_for_what_will_come() {
    let limits = Limits::default();
    assert_eq!(Set::for_members(b"5", 512, &limits).encoding(), "intset");
    assert_eq!(Set::for_members(b"5", 513, &limits).encoding(), "hashtable");
    assert_eq!(Set::for_members(b"a", 128, &limits).encoding(), "listpack");
    assert_eq!(Set::for_members(b"a", 129, &limits).encoding(), "hashtable");
    let mut set = Set::table_for(10);
    set.add(b"3", &limits);
    set.compact_ints(&limits);
    assert_eq!((set.encoding(), set.len()), ("intset", 1));
    let mut set = set_of(&[b"3", b"x"]);
    set.compact_ints(&limits);
    assert_eq!(set.encoding(), "listpack");
    set.reserve(1000, &limits);
    assert_eq!((set.encoding(), set.len()), ("hashtable", 2));
}

#[test]
fn saved_sets_come_back() {
    let limits = Limits::default();
    let lp: Listpack = [Elem::Int(1), Elem::Bytes(b"a")].into_iter().collect();
    let set = Set::from_listpack(lp.clone(), true, &limits).unwrap();
    assert_eq!((set.encoding(), set.len()), ("listpack", 2));
    assert!(matches!(set.stored(), SetRef::Listpack(l) if *l == lp));
    let small = Limits { set_max_listpack_entries: 1, ..Limits::default() };
    assert_eq!(Set::from_listpack(lp, true, &small).unwrap().encoding(), "hashtable");
    let twice: Listpack = [Elem::Int(1), Elem::Int(1)].into_iter().collect();
    assert!(Set::from_listpack(twice.clone(), true, &limits).is_none());
    let mut set = Set::from_listpack(twice, false, &limits).unwrap();
    set.reserve(1000, &limits);
    assert_eq!(set.len(), 1);
    let mut ints = Intset::new();
    ints.insert(5);
    assert_eq!(Set::from_intset(ints, &limits).encoding(), "intset");
}

#[test]
fn random_members_are_all_reached_and_never_twice() {
    let limits = Limits::default();
    let mut rng = Rng::new(1);
    for (n, suffix) in [(20, ""), (20, "x"), (1000, "x")] {
        let mut set = Set::new();
        for i in 0..n {
            set.add(format!("{i}{suffix}").as_bytes(), &limits);
        }
        let seen: BTreeSet<_> = (0..n * 20).filter_map(|_| set.random(&mut rng).map(Elem::to_vec)).collect();
        assert_eq!(seen.len(), n);
        for count in [0, 1, 5, n / 4, n / 2, n, n + 1] {
            let mut chosen = Vec::new();
            set.random_distinct(count, &mut rng, |m| chosen.push(m.to_vec()));
            assert_eq!(chosen.len(), count.min(n));
            assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), chosen.len());
        }
        let mut popped = BTreeSet::new();
        while let Some(member) = set.pop(&mut rng) {
            assert!(popped.insert(member));
        }
        assert_eq!(popped.len(), n);
    }
}

#[test]
fn a_scan_sees_every_member() {
    let limits = Limits::default();
    for n in [10, 5000] {
        let mut set = Set::new();
        for i in 0..n {
            set.add(format!("m{i}").as_bytes(), &limits);
        }
        let (mut seen, mut cursor) = (BTreeSet::new(), 0);
        loop {
            cursor = set.scan(cursor, |m| {
                seen.insert(m.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen, texts(&set));
        assert!(set.heap_size(5) > n * 4);
    }
}
