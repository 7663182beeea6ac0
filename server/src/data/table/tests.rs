use super::*;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard};

/// An element that counts those alive, so that leaks and double drops show.
struct Item {
    key: Vec<u8>,
    value: u64,
    _alive: Rc<()>,
}

impl Keyed for Item {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

fn item(key: u64, value: u64, alive: &Rc<()>) -> Box<Item> {
    Box::new(Item { key: format!("key:{key}").into_bytes(), value, _alive: alive.clone() })
}

fn key(n: u64) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

/// The policy is the whole process's: tests that depend on it take turns.
fn policy(policy: Resize) -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(|broken| broken.into_inner());
    set_resize(policy);
    turn
}

const MANY: u64 = if cfg!(miri) { 300 } else { 100_000 };

#[test]
fn behaves_as_a_map_under_random_changes() {
    let _turn = policy(Resize::Allow);
    let mut rng = Rng::new(1);
    let alive = Rc::new(());
    for round in 0..if cfg!(miri) { 2 } else { 6 } {
        let (mut table, mut model) = (Table::new(), HashMap::new());
        let keys = [20, 300, 5000][round % 3];
        for step in 0..if cfg!(miri) { 1500 } else { 60_000 } {
            // Waves of growth and of shrinking.
            let inserting = if step / 10_000 % 2 == 0 { 3 } else { 1 };
            let n = rng.below(keys) as u64;
            match rng.below(5) {
                choice if choice < inserting => {
                    let value = rng.next_u64();
                    let old = table.insert(item(n, value, &alive)).map(|item| item.value);
                    assert_eq!(old, model.insert(n, value));
                }
                4 => {
                    let (found, made) = table.find_or_insert_with(&key(n), || item(n, 7, &alive));
                    assert_eq!(made, !model.contains_key(&n));
                    found.value += 1;
                    *model.entry(n).or_insert(7) += 1;
                    assert_eq!(found.value, model[&n]);
                }
                _ => assert_eq!(table.remove(&key(n)).map(|item| item.value), model.remove(&n)),
            }
            assert_eq!(table.len(), model.len());
            let n = rng.below(keys) as u64;
            assert_eq!(table.get(&key(n)).map(|item| item.value), model.get(&n).copied());
        }
        let all: HashMap<_, _> = table.iter().map(|item| (item.key.clone(), item.value)).collect();
        assert_eq!(all, model.iter().map(|(n, value)| (key(*n), *value)).collect());
        assert_eq!(Rc::strong_count(&alive), 1 + model.len());
        drop(table);
        assert_eq!(Rc::strong_count(&alive), 1);
    }
}

#[test]
fn a_scan_misses_nothing_that_was_there_throughout_however_the_table_changes_meanwhile() {
    let _turn = policy(Resize::Allow);
    let alive = Rc::new(());
    let mut rng = Rng::new(2);
    for round in 0..if cfg!(miri) { 4 } else { 60 } {
        let mut table = Table::new();
        let stable = rng.below(200) as u64;
        for n in 0..stable {
            table.insert(item(n, 0, &alive));
        }
        // Others come and go between the calls: the table grows, shrinks or both.
        let (mut others, mut cursor) = (stable, 0);
        for n in 0..rng.below(1000) as u64 * (round % 2) {
            table.insert(item(stable + n, 0, &alive));
            others += 1;
        }
        let mut seen = HashSet::new();
        loop {
            cursor = table.scan(cursor, |item| {
                seen.insert(item.key.clone());
            });
            if cursor == 0 {
                break;
            }
            for _ in 0..rng.below(40) {
                if round % 2 == 0 && others < 3000 {
                    table.insert(item(others, 0, &alive));
                    others += 1;
                } else if others > stable {
                    others -= 1;
                    table.remove(&key(others));
                }
            }
        }
        assert!((0..stable).all(|n| seen.contains(&key(n))), "round {round}");
    }
}

#[test]
fn a_scan_of_a_table_at_rest_gives_everything_once() {
    let _turn = policy(Resize::Allow);
    let alive = Rc::new(());
    let mut table = Table::new();
    for n in 0..300 {
        let (mut cursor, mut count) = (0, 0);
        loop {
            cursor = table.scan(cursor, |_| count += 1);
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(count, n);
        table.insert(item(n, 0, &alive));
    }
}

#[test]
fn any_number_may_be_passed_as_a_cursor() {
    let _turn = policy(Resize::Allow);
    let alive = Rc::new(());
    let mut table = Table::new();
    assert_eq!(Table::<Box<Item>>::new().scan(u64::MAX, |_| {}), 0);
    for n in 0..100 {
        table.insert(item(n, 0, &alive));
        for cursor in [u64::MAX, 1 << 63, 0x1234_5678_9abc_def0] {
            table.scan(cursor, |_| {});
        }
    }
}

#[test]
fn an_element_costs_the_table_thirteen_bytes_at_any_size() {
    let _turn = policy(Resize::Allow);
    let alive = Rc::new(());
    let mut table = Table::new();
    for n in 1..=MANY {
        table.insert(item(n, 0, &alive));
        if n > 30_000 && n % 5000 == 0 {
            let bytes = table.memory_usage() as f64 / n as f64;
            // The last segment of buckets is on average half used.
            let slack = 128.0 * 1024.0 / n as f64;
            assert!(bytes < 13.9 + slack, "{bytes} bytes an element of {n}");
        }
    }
}

#[test]
fn a_table_gives_memory_back_as_its_elements_go() {
    let _turn = policy(Resize::Allow);
    let alive = Rc::new(());
    let mut table = Table::new();
    for n in 0..MANY {
        table.insert(item(n, 0, &alive));
    }
    let full = table.memory_usage();
    for n in 0..MANY - MANY / 20 {
        table.remove(&key(n));
    }
    assert!(table.memory_usage() < full / 4, "{} of {full}", table.memory_usage());
    assert!((MANY - MANY / 20..MANY).all(|n| table.contains(&key(n))));
    for n in 0..MANY {
        table.remove(&key(n));
    }
    assert!(table.memory_usage() < 1024);
}

#[test]
fn a_reserved_table_does_not_grow_or_shrink_while_it_is_filled() {
    let _turn = policy(Resize::Allow);
    let alive = Rc::new(());
    let mut table = Table::with_capacity(1000);
    let (buckets, _) = table.bucket_counts();
    for n in 0..1000 {
        table.insert(item(n, 0, &alive));
        assert_eq!(table.bucket_counts().0, buckets);
    }
}

#[test]
fn while_resizing_is_to_be_avoided_a_table_fills_twice_as_much_and_catches_up_later() {
    let _turn = policy(Resize::Avoid);
    let alive = Rc::new(());
    let mut table = Table::with_capacity(700);
    for n in 0..1400 {
        table.insert(item(n, 0, &alive));
    }
    assert_eq!(table.bucket_counts().0, 100);
    for n in 1400..1500 {
        table.insert(item(n, 0, &alive));
    }
    assert!(table.bucket_counts().0 > 100);
    for n in 1000..1500 {
        table.remove(&key(n));
    }
    set_resize(Resize::Allow);
    assert!(table.is_rehashing());
    assert!(table.rehash_step(5));
    assert!(!table.rehash_step(1000));
    assert!((0..1000).all(|n| table.contains(&key(n))));
    set_resize(Resize::Forbid);
    let (buckets, _) = table.bucket_counts();
    for n in 0..3000 {
        table.insert(item(n, 0, &alive));
    }
    assert_eq!(table.bucket_counts().0, buckets);
    assert!((0..3000).all(|n| table.contains(&key(n))));
    assert_eq!(table.chain_lengths().iter().sum::<usize>(), buckets);
    set_resize(Resize::Allow);
}

#[test]
fn every_element_is_about_as_likely_to_be_drawn_as_another() {
    let _turn = policy(Resize::Allow);
    let alive = Rc::new(());
    for elements in [5u64, 100, 1000] {
        if cfg!(miri) && elements > 5 {
            break;
        }
        let mut table = Table::new();
        for n in 0..elements {
            table.insert(item(n, n, &alive));
        }
        let mut rng = Rng::new(3);
        let mut drawn = vec![0f64; elements as usize];
        let each = 200.0;
        for _ in 0..elements * each as u64 {
            drawn[table.random(&mut rng).unwrap().value as usize] += 1.0;
        }
        let chi_square: f64 = drawn.iter().map(|count| (count - each).powi(2) / each).sum();
        // Mean `elements`, standard deviation sqrt(2 * elements).
        assert!(chi_square < elements as f64 + 5.0 * (2.0 * elements as f64).sqrt(), "{chi_square} for {elements}");
    }
    assert!(Table::<Box<Item>>::new().random(&mut Rng::new(4)).is_none());
}

#[test]
fn a_sample_gives_as_many_as_asked_for_or_all() {
    let _turn = policy(Resize::Allow);
    let alive = Rc::new(());
    let mut table = Table::new();
    for n in 0..50 {
        let mut count = 0;
        table.sample(&mut Rng::new(n), 20, |_| count += 1);
        assert!(count >= n.min(20));
        table.insert(item(n, 0, &alive));
    }
}

#[test]
fn a_table_can_be_emptied_one_by_one() {
    let _turn = policy(Resize::Allow);
    let alive = Rc::new(());
    let mut table = Table::new();
    for n in 0..MANY {
        table.insert(item(n, 0, &alive));
    }
    let mut count = 0;
    while table.pop().is_some() {
        count += 1;
        assert_eq!(table.len() as u64, MANY - count);
    }
    assert_eq!(count, MANY);
    assert_eq!(Rc::strong_count(&alive), 1);
    assert!(table.memory_usage() < 1024);
}

#[test]
fn elements_of_one_hash_are_told_apart_by_the_caller() {
    struct Same(u64);
    impl Keyed for Same {
        fn key(&self) -> &[u8] {
            b""
        }

        fn hash(&self) -> u64 {
            99
        }
    }
    let _turn = policy(Resize::Allow);
    let mut table = Table::new();
    for n in 0..60 {
        table.insert_unique(99, Same(n));
    }
    for n in 0..60 {
        table.prefetch(99);
        table.prefetch_element(99);
        assert!(table.find(99, |same| same.0 == n).is_some());
        assert!(table.remove_where(99, |same| same.0 == n).is_some());
        assert!(table.find(99, |same| same.0 == n).is_none());
    }
    assert!(table.is_empty());
}
