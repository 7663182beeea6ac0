use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::data::test_util::{TestRng, some_text};

fn contents(hash: &Hash) -> BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)> {
    hash.iter().map(|f| (f.name.to_vec(), (f.value.to_vec(), f.expire_at))).collect()
}

fn hash_of(n: usize) -> Hash {
    let mut hash = Hash::new();
    for i in 0..n {
        hash.set(format!("f{i}").as_bytes(), i.to_string().as_bytes(), &Limits::default());
    }
    hash
}

#[test]
fn random_changes_match_a_tree() {
    for seed in 1..40 {
        let mut rng = TestRng::new(seed);
        let limits = Limits {
            hash_max_listpack_entries: [512, 30, 0][seed as usize % 3],
            hash_max_listpack_value: [64, 200][seed as usize % 2],
            ..Limits::default()
        };
        let mut hash = Hash::new();
        let mut model: BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)> = BTreeMap::new();
        for _ in 0..500 {
            let name = some_text(&mut rng);
            let value = some_text(&mut rng);
            match rng.below(9) {
                0..=3 => {
                    assert_eq!(hash.set(&name, &value, &limits), !model.contains_key(&name));
                    model.insert(name, (value, None));
                }
                4 => {
                    hash.set_with(&name, &value, FieldExpiry::Keep, &limits);
                    model.entry(name).or_default().0 = value;
                }
                5 if seed % 2 == 0 => {
                    let at = rng.next() as i64;
                    if rng.below(2) == 0 {
                        hash.set_with(&name, &value, FieldExpiry::At(at), &limits);
                        model.insert(name, (value, Some(at)));
                    } else {
                        let at = (at % 2 == 0).then_some(at);
                        assert_eq!(hash.set_expire(&name, at), model.contains_key(&name));
                        model.entry(name.clone()).and_modify(|v| v.1 = at);
                    }
                }
                6 | 7 => assert_eq!(hash.remove(&name), model.remove(&name).is_some()),
                _ => {
                    let expected = model.get(&name);
                    assert_eq!(hash.get(&name).map(Elem::to_vec).as_ref(), expected.map(|v| &v.0));
                    assert_eq!(hash.contains(&name), expected.is_some());
                    assert_eq!(hash.value_len(&name), expected.map_or(0, |v| v.0.len()));
                    assert_eq!(hash.expire_at(&name), expected.map(|v| v.1));
                }
            }
            assert_eq!(hash.len(), model.len());
            assert_eq!(hash.expiring(), model.values().filter(|v| v.1.is_some()).count());
        }
        assert_eq!(contents(&hash.clone()), model);
    }
}

#[test]
fn encodings_change_where_valkey_changes_them() {
    let limits = Limits::default();
    assert_eq!(hash_of(512).encoding(), "listpack");
    assert_eq!(hash_of(513).encoding(), "hashtable");
    for (name, value) in [(64, 64), (65, 1), (1, 65)] {
        let mut hash = hash_of(3);
        hash.set(&vec![b'n'; name], &vec![b'v'; value], &limits);
        assert_eq!(hash.encoding(), if name + value == 128 { "listpack" } else { "hashtable" });
        assert_eq!(hash.len(), 4);
    }
    let mut hash = hash_of(3);
    assert!(!hash.set_expire(b"none", Some(1)));
    assert!(hash.set_expire(b"f1", None));
    assert_eq!(hash.encoding(), "listpack");
    assert!(hash.set_expire(b"f1", Some(1)));
    assert_eq!((hash.encoding(), hash.expiring()), ("hashtable", 1));
    assert_eq!(Hash::for_loading(513, &limits).encoding(), "hashtable");
}

#[test]
fn saved_hashes_come_back() {
    let limits = Limits::default();
    let lp: Listpack = [Elem::Bytes(b"a"), Elem::Int(1), Elem::Int(2), Elem::Bytes(b"b")].into_iter().collect();
    let hash = Hash::from_listpack(lp.clone(), true, &limits).unwrap();
    assert_eq!((hash.len(), hash.as_listpack()), (2, Some(&lp)));
    let small = Limits { hash_max_listpack_entries: 1, ..Limits::default() };
    assert_eq!(contents(&Hash::from_listpack(lp, true, &small).unwrap()), contents(&hash));
    let odd: Listpack = [Elem::Int(1)].into_iter().collect();
    assert!(Hash::from_listpack(odd, false, &limits).is_none());
    let twice: Listpack = [1, 0, 1, 0].map(Elem::Int).into_iter().collect();
    assert!(Hash::from_listpack(twice.clone(), true, &limits).is_none());
    let mut hash = Hash::from_listpack(twice, false, &limits).unwrap();
    hash.reserve(1000, &limits);
    assert_eq!(hash.len(), 1);
}

#[test]
fn random_fields_are_all_reached_and_never_twice() {
    let mut rng = Rng::new(1);
    for n in [20, 1000] {
        let hash = hash_of(n);
        let seen: BTreeSet<_> = (0..n * 20).filter_map(|_| hash.random(&mut rng).map(|f| f.name.to_vec())).collect();
        assert_eq!(seen.len(), n);
        for count in [0, 1, n / 4, n / 2, n, n + 1] {
            let mut chosen = BTreeMap::new();
            hash.random_distinct(count, &mut rng, |f| {
                assert!(chosen.insert(f.name.to_vec(), f.value.to_vec()).is_none())
            });
            assert_eq!(chosen.len(), count.min(n));
            assert!(chosen.iter().all(|(k, v)| k[1..] == v[..]));
        }
    }
}

#[test]
fn a_scan_sees_every_field() {
    for n in [10, 5000] {
        let hash = hash_of(n);
        let (mut seen, mut cursor) = (BTreeSet::new(), 0);
        loop {
            cursor = hash.scan(cursor, |f| {
                seen.insert(f.name.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len(), n);
        assert!(hash.heap_size(5) > n * 6);
    }
}
