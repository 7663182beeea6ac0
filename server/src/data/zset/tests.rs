use std::collections::BTreeMap;

use super::*;
use crate::data::test_util::{TestRng, some_text};

type Model = BTreeMap<Vec<u8>, f64>;

fn sorted(model: &Model) -> Vec<(Vec<u8>, f64)> {
    let mut pairs: Vec<_> = model.iter().map(|(m, s)| (m.clone(), *s)).collect();
    pairs.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    pairs
}

fn pairs<'a>(iter: impl Iterator<Item = (Elem<'a>, f64)>) -> Vec<(Vec<u8>, f64)> {
    iter.map(|(m, s)| (m.to_vec(), s)).collect()
}

fn some_score(rng: &mut TestRng) -> f64 {
    match rng.below(8) {
        0..=3 => rng.below(20) as f64,
        4 => rng.below(1000) as f64 / 8.0 - 50.0,
        5 => f64::INFINITY,
        6 => -1.5e300,
        _ => rng.below(1 << 40) as f64 * 1e-7,
    }
}

fn zset_of(n: usize) -> Zset {
    let mut set = Zset::new();
    for i in 0..n {
        set.insert(format!("m{i:06}").as_bytes(), i as f64, &Limits::default());
    }
    set
}

#[test]
fn random_changes_match_a_sorted_vector() {
    // Miri is some thousand times slower.
    for seed in if cfg!(miri) { 2..3 } else { 1..40 } {
        let mut rng = TestRng::new(seed);
        let limits = Limits {
            zset_max_listpack_entries: [128, 10, 0][seed as usize % 3],
            zset_max_listpack_value: [64, 400][seed as usize % 2],
            ..Limits::default()
        };
        let (mut set, mut model) = (Zset::new(), Model::new());
        for step in 0..if cfg!(miri) { 60 } else { 600 } {
            let member = some_text(&mut rng);
            let score = some_score(&mut rng);
            match rng.below(8) {
                0..=3 => {
                    let expected = match model.insert(member.clone(), score) {
                        None => Change::Added,
                        Some(old) if old == score => Change::None,
                        Some(_) => Change::Updated,
                    };
                    assert_eq!(set.insert(&member, score, &limits), expected);
                }
                4 => assert_eq!(set.remove(&member), model.remove(&member)),
                5 if step > 30 => {
                    let end = if rng.below(2) == 0 { End::Front } else { End::Back };
                    let all = sorted(&model);
                    let expected = if end == End::Front { all.first() } else { all.last() };
                    assert_eq!(set.pop(end).as_ref(), expected);
                    expected.and_then(|(m, _)| model.remove(m));
                }
                6 if step > 30 => {
                    let all = sorted(&model);
                    let ranks = rng.below(all.len() + 2)..rng.below(all.len() + 8);
                    let gone = all.get(ranks.start..ranks.end.min(all.len())).unwrap_or(&[]);
                    let mut taken = Vec::new();
                    if ranks.len() < 6 {
                        set.remove_range(ranks, |m, s| taken.push((m.to_vec(), s)));
                        assert_eq!(taken, gone);
                        gone.iter().for_each(|(m, _)| assert!(model.remove(m).is_some()));
                    }
                }
                _ => assert_eq!(set.score(&member), model.get(&member).copied()),
            }
            assert_eq!(set.len(), model.len());
            if rng.below(20) == 0 {
                let all = sorted(&model);
                let rank = all.iter().position(|(m, _)| *m == member);
                assert_eq!(set.rank(&member).map(|r| r.0), rank);
                let (min, max) = (some_score(&mut rng), some_score(&mut rng));
                let range = ScoreRange { min: ScoreBound::Excluded(min), max: ScoreBound::Included(max) };
                let expected: Vec<_> = all.iter().filter(|(_, s)| *s > min && *s <= max).cloned().collect();
                let ranks = set.score_ranks(&range);
                assert_eq!(ranks.len(), expected.len());
                assert_eq!(pairs(set.range(ranks.clone())), expected);
                let backwards: Vec<_> = expected.iter().rev().cloned().collect();
                assert_eq!(pairs(set.range(ranks).rev()), backwards);
            }
        }
        assert_eq!(pairs(set.iter()), sorted(&model));
        let mut copy = set.clone();
        copy.compact(&Limits {
            zset_max_listpack_entries: 10_000,
            zset_max_listpack_value: 10_000,
            ..Limits::default()
        });
        drop(set);
        assert_eq!(copy.encoding(), "listpack");
        assert_eq!(pairs(copy.iter()), sorted(&model));
        let again = Zset::from_listpack(copy.as_listpack().unwrap().clone(), true, &limits).unwrap();
        assert_eq!(pairs(again.iter()), sorted(&model));
    }
}

#[test]
fn score_ranges_have_open_and_closed_ends_in_both_encodings() {
    use ScoreBound::{Excluded, Included};
    for n in [100, 1000] {
        let set = zset_of(n);
        let count = |min, max| set.score_ranks(&ScoreRange { min, max });
        assert_eq!(count(Included(10.0), Included(20.0)), 10..21);
        assert_eq!(count(Excluded(10.0), Included(20.0)), 11..21);
        assert_eq!(count(Included(10.0), Excluded(20.0)), 10..20);
        assert_eq!(count(Excluded(10.0), Excluded(10.0)).len(), 0);
        assert_eq!(count(Included(20.0), Included(10.0)).len(), 0);
        assert_eq!(count(Included(f64::NEG_INFINITY), Included(f64::INFINITY)), 0..n);
        assert_eq!(count(Excluded(9.5), Excluded(10.5)), 10..11);
    }
}

#[test]
fn members_with_equal_scores_are_ordered_by_their_bytes() {
    use LexBound::{Excluded, Included, Max, Min};
    for limit in [128, 0] {
        let limits = Limits { zset_max_listpack_entries: limit, ..Limits::default() };
        let mut set = Zset::new();
        for member in ["b", "a", "10", "9", "", "aa", "c"] {
            set.insert(member.as_bytes(), 0.0, &limits);
        }
        let of = |min, max| pairs(set.range(set.lex_ranks(&LexRange { min, max })));
        let texts = |p: Vec<(Vec<u8>, f64)>| p.into_iter().map(|p| String::from_utf8(p.0).unwrap()).collect::<Vec<_>>();
        assert_eq!(texts(of(Min, Max)), ["", "10", "9", "a", "aa", "b", "c"]);
        assert_eq!(texts(of(Included(b"a"), Excluded(b"b"))), ["a", "aa"]);
        assert_eq!(texts(of(Excluded(b"a"), Included(b"b"))), ["aa", "b"]);
        assert_eq!(texts(of(Min, Included(b"10"))), ["", "10"]);
        assert!(of(Max, Min).is_empty());
        assert!(of(Included(b"c"), Included(b"a")).is_empty());
    }
}

#[test]
fn an_update_decides_knowing_the_present_score() {
    for n in [5, 500] {
        let mut set = zset_of(n);
        let limits = Limits::default();
        assert_eq!(set.update(b"m000003", &limits, |old| old.map(|s| s + 0.5)), Change::Updated);
        assert_eq!(set.rank(b"m000003"), Some((3, 3.5)));
        assert_eq!(set.update(b"m000003", &limits, |old| old.filter(|s| *s > 100.0)), Change::None);
        assert_eq!(set.update(b"new", &limits, |old| old), Change::None);
        assert_eq!(set.update(b"new", &limits, |_| Some(f64::NAN)), Change::None);
        assert_eq!(set.update(b"m000003", &limits, |_| Some(f64::NAN)), Change::None);
        assert_eq!(set.update(b"new", &limits, |_| Some(f64::NEG_INFINITY)), Change::Added);
        assert_eq!(set.at(0), Some((Elem::Bytes(b"new"), f64::NEG_INFINITY)));
        assert_eq!(set.update(b"new", &limits, |_| Some(f64::INFINITY)), Change::Updated);
        assert_eq!(set.rank(b"new"), Some((n, f64::INFINITY)));
    }
}

#[test]
fn encodings_change_where_valkey_changes_them() {
    let limits = Limits::default();
    assert_eq!(zset_of(128).encoding(), "listpack");
    assert_eq!(zset_of(129).encoding(), "skiplist");
    let mut set = zset_of(3);
    set.insert(&[b'x'; 65], 1.0, &limits);
    assert_eq!((set.encoding(), set.len()), ("skiplist", 4));
    set.compact(&limits);
    assert_eq!(set.encoding(), "skiplist");
    set.remove(&[b'x'; 65]);
    set.compact(&limits);
    assert_eq!((set.encoding(), set.len()), ("listpack", 3));
    assert_eq!(Zset::for_members(129, 0, &limits).encoding(), "skiplist");
    assert_eq!(Zset::for_members(1, 65, &limits).encoding(), "skiplist");
}

#[test]
fn scores_are_stored_in_a_listpack_as_valkey_stores_them() {
    let mut set = Zset::new();
    for (member, score) in [("a", 1.0), ("b", 1.5), ("c", f64::INFINITY), ("d", 1e20), ("e", -0.0)] {
        set.insert(member.as_bytes(), score, &Limits::default());
    }
    let texts: Vec<_> = set.as_listpack().unwrap().iter().map(|e| String::from_utf8(e.to_vec()).unwrap()).collect();
    assert_eq!(texts, ["e", "0", "a", "1", "b", "1.5", "d", "1e+20", "c", "inf"]);
}

#[test]
fn files_with_broken_sorted_sets_are_refused_or_stay_harmless() {
    let limits = Limits::default();
    let list = |elems: &[&'static [u8]]| elems.iter().map(|e| Elem::parse(e)).collect::<Listpack>();
    let good: &[&[u8]] = &[b"a", b"1", b"b", b"2"];
    assert!(Zset::from_listpack(list(good), true, &limits).is_some());
    assert!(Zset::from_listpack(list(&[b"a"]), false, &limits).is_none());
    let bad: [&[&[u8]]; 4] =
        [&[b"a", b"2", b"b", b"1"], &[b"a", b"x"], &[b"a", b"1", b"a", b"2"], &[b"a", b"nan", b"b", b"1"]];
    for elems in bad {
        assert!(Zset::from_listpack(list(elems), true, &limits).is_none());
        let mut set = Zset::from_listpack(list(elems), false, &limits).unwrap();
        set.reserve(1000, 0, &limits);
        assert!(
            set.score_ranks(&ScoreRange { min: ScoreBound::Included(0.0), max: ScoreBound::Included(9.0) }).len() < 3
        );
        while set.pop(End::Back).is_some() {}
    }
}

#[test]
fn random_members_are_all_reached_and_never_twice() {
    let mut rng = Rng::new(1);
    for n in [20, 1000] {
        let set = zset_of(n);
        let seen: std::collections::BTreeSet<_> =
            (0..n * 20).filter_map(|_| set.random(&mut rng).map(|(m, _)| m.to_vec())).collect();
        assert_eq!(seen.len(), n);
        for count in [0, 1, n / 10, n / 2, n, n + 1] {
            let mut chosen = Model::new();
            set.random_distinct(count, &mut rng, |m, s| assert!(chosen.insert(m.to_vec(), s).is_none()));
            assert_eq!(chosen.len(), count.min(n));
        }
    }
    assert!(Zset::new().random(&mut rng).is_none());
}

#[test]
fn a_scan_sees_every_member() {
    for n in [10, 3000] {
        let set = zset_of(n);
        let (mut seen, mut cursor) = (Model::new(), 0);
        loop {
            cursor = set.scan(cursor, |m, s| {
                seen.insert(m.to_vec(), s);
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(sorted(&seen), pairs(set.iter()));
        assert!(set.heap_size(5) > n * 9);
    }
}
