use super::round_trip::{options, saved};
use super::*;
use crate::data::test_util::TestRng;
use crate::persistence::rdb::check::{CheckOptions, check};
use crate::persistence::rdb::format::VERSION;

/// A file with a key of every layout that is written today, as short as that allows.
fn small_file() -> Vec<u8> {
    use crate::data::hash::{FieldExpiry, Hash};
    use crate::data::list::{End, List};
    use crate::data::set::Set;
    use crate::data::value::Value;
    use crate::data::zset::Zset;
    let tables = Limits {
        list_max_listpack_size: 2,
        hash_max_listpack_entries: 2,
        set_max_intset_entries: 2,
        set_max_listpack_entries: 2,
        zset_max_listpack_entries: 2,
        ..Limits::default()
    };
    let mut entries = vec![
        Entry::new_str(b"int", b"123456", None),
        Entry::new_str(b"text", b"some text", Some(5_000_000_000_000)),
        Entry::new_str(b"packed", &[b'z'; 100], None),
    ];
    for limits in [Limits::default(), tables] {
        let (mut list, mut ints, mut set, mut hash, mut zset) =
            (List::new(), Set::new(), Set::new(), Hash::new(), Zset::new());
        for i in 0..5 {
            let text = format!("element {i}").into_bytes();
            list.push(End::Back, &text, &limits);
            ints.add(i.to_string().as_bytes(), &limits);
            set.add(&text, &limits);
            hash.set(&text, b"value", &limits);
            zset.insert(&text, f64::from(i) / 2.0, &limits);
        }
        let mut timed = hash.clone();
        timed.set_with(b"element 3", b"timed", FieldExpiry::At(5_000_000_000_000), &limits);
        let values: [Value; 6] = [list.into(), ints.into(), set.into(), hash.into(), timed.into(), zset.into()];
        for value in values {
            entries.push(Entry::new(format!("key {}", entries.len()).as_bytes(), value, None));
        }
    }
    entries.push(Entry::new(b"stream", streams::sample(), None));
    saved(&entries, &options(VERSION)).unwrap()
}

/// The same with the checksum left out of account, so that damage gets past it.
fn load_unchecked(bytes: &[u8]) -> Result<Summary, RdbError> {
    let limits = Limits::default();
    for deep in [true, false] {
        let values = ValueOptions { deep, ..value_options(&limits) };
        let options = LoadOptions {
            version_check: VersionCheck::Relaxed,
            checksum: false,
            values,
            progress_interval: 0,
            size: None,
        };
        let result = load(bytes, &mut Collector::default(), &options);
        if !deep {
            return result;
        }
    }
    unreachable!("the second turn returns")
}

fn check_unchecked(bytes: &[u8]) -> bool {
    let options = CheckOptions { version_check: VersionCheck::Relaxed, checksum: false, now_ms: 0 };
    check(bytes, &options, |_, _| ()).1.is_ok()
}

#[test]
fn a_file_cut_short_anywhere_gives_an_error_at_its_end() {
    let good = small_file();
    assert!(load_unchecked(&good).is_ok() && check_unchecked(&good));
    for cut in 0..good.len() {
        let error = load_into(&good[..cut], &mut Collector::default()).unwrap_err();
        assert_eq!(error.offset(), cut as u64, "{error}");
        assert!(!check_unchecked(&good[..cut]));
    }
}

#[test]
fn a_flipped_bit_is_always_noticed_by_the_checksum() {
    let good = small_file();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        // In the checksum itself it is noticed as well, unless that becomes 0.
        assert!(load_into(&bad, &mut Collector::default()).is_err(), "byte {at}");
    }
}

#[test]
fn no_damage_makes_loading_or_checking_fail_otherwise_than_by_an_error() {
    let good = small_file();
    let mut rng = TestRng::new(1);
    let (mut loaded, mut refused) = (0, 0);
    for _ in 0..6000 {
        let mut bad = good.clone();
        for _ in 0..1 + rng.below(3) {
            let at = 9 + rng.below(bad.len() - 9);
            match rng.below(4) {
                0 => bad[at] = rng.next() as u8,
                1 => bad[at] = [0, 0x7f, 0x80, 0x81, 0xc3, 0xff][rng.below(6)],
                _ => bad[at] ^= 1 << rng.below(8),
            }
        }
        check_unchecked(&bad);
        match load_unchecked(&bad) {
            Ok(_) => loaded += 1,
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(loaded > 100 && refused > 1000, "{loaded} loaded, {refused} refused");
}

#[test]
fn damaged_files_of_real_servers_give_errors_too() {
    let good = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rdb/valkey-9.1-streams.rdb"));
    let mut rng = TestRng::new(2);
    for _ in 0..3000 {
        let mut bad = good.to_vec();
        let at = 9 + rng.below(bad.len() - 9);
        bad[at] ^= 1 << rng.below(8);
        check_unchecked(&bad);
        let _ = load_unchecked(&bad);
    }
}

#[test]
fn absurd_counts_cost_neither_time_nor_memory() {
    for value_type in [1u8, 2, 3, 4, 5, 14, 18, 22, 15, 19, 21] {
        let body = [value_type, 1, b'k', 0x81, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, b'x'];
        let bytes = [&b"VALKEY080"[..], &body].concat();
        assert!(load_unchecked(&bytes).is_err());
        assert!(!check_unchecked(&bytes));
    }
}

#[test]
fn all_databases_together_announce_no_more_keys_than_the_file_can_hold() {
    let announced = b"\xfe\x00\xfb\x80\xff\xff\xff\xff\x80\xff\xff\xff\xff";
    let bytes = file(&announced.repeat(100));
    let sizes = loaded(&bytes).sizes;
    assert_eq!(sizes.len(), 100);
    assert!(sizes.iter().map(|(keys, _)| keys).sum::<u64>() <= bytes.len() as u64 / 3);
}
