use super::*;
use crate::data::rng::Rng;

fn text(entry: &Entry) -> Vec<u8> {
    entry.as_str().unwrap().to_vec()
}

#[test]
fn an_entry_gives_back_what_was_put_in() {
    for key_len in [0, 1, 16, 31, 32, 100, 128, 300] {
        let key = vec![b'k'; key_len];
        for value in [&b""[..], b"x", b"12", b"-9223372036854775808", b"012", &[b'v'; 44], &[b'v'; 100], &[b'v'; 5000]]
        {
            for expire_at in [None, Some(0), Some(1_700_000_000_000), Some(-5)] {
                let entry = Entry::new_str(&key, value, expire_at);
                assert_eq!((entry.key(), text(&entry).as_slice(), entry.expire_at()), (&key[..], value, expire_at));
                let entry = Entry::new(&key, Value::Str(Str::from_vec(value.to_vec())), expire_at);
                assert_eq!((entry.key(), text(&entry).as_slice(), entry.expire_at()), (&key[..], value, expire_at));
            }
        }
    }
}

#[test]
fn a_string_is_encoded_as_valkey_says() {
    for (key, value, expire_at, encoding) in [
        (5, &b"1234"[..], None, "int"),
        (5, b"01234", None, "embstr"),
        (5, &[b'v'; 44], None, "embstr"),
        // 8 bytes of object, 1 + 5 + 2 of key, 3 + 108 + 1 of value: 128.
        (5, &[b'v'; 108], None, "embstr"),
        (5, &[b'v'; 109], None, "raw"),
        (5, &[b'v'; 100], Some(1), "embstr"),
        (5, &[b'v'; 101], Some(1), "raw"),
        (31, &[b'v'; 82], None, "embstr"),
        (32, &[b'v'; 80], None, "raw"),
        (200, b"v", None, "raw"),
    ] {
        let entry = Entry::new_str(&vec![b'k'; key], value, expire_at);
        assert_eq!(entry.encoding(), encoding, "{key} {value:?} {expire_at:?}");
    }
}

#[test]
fn sixteen_bytes_of_key_with_sixty_four_of_value_and_an_expiry_take_ninety_six() {
    assert_eq!(Entry::new_str(&[b'k'; 16], &[b'v'; 64], Some(1)).heap_size(0), 96);
    assert_eq!(Entry::new_str(&[b'k'; 16], &[b'v'; 64], None).heap_size(0), 96);
    assert_eq!(Entry::new_str(&[b'k'; 16], &[b'v'; 16], None).heap_size(0), 40);
    // An allocation of 32 with the key, and one of 128 with 4 bytes of length.
    assert_eq!(Entry::new_str(&[b'k'; 16], &[b'v'; 124], None).heap_size(0), 32 + 128);
    // The length would make it 1280.
    assert_eq!(Entry::new_str(&[b'k'; 16], &[b'v'; 1024], None).heap_size(0), 48 + 1024);
    assert_eq!(Entry::new_str(b"counter", b"1000000", None).heap_size(0), 24);
}

#[test]
fn a_long_string_may_be_set_changed_and_taken_out_at_any_length() {
    let mut entry = Entry::new_str(b"k", &[b'a'; 200], None);
    for len in [200, 201, 1024, 1023, 4000, 100_000, 90_000, 150, 10, 150] {
        let text = vec![len as u8; len];
        entry.set_str(&text);
        assert_eq!(entry.as_str(), Some(Elem::Bytes(&text)));
        assert_eq!(entry.encoding(), if len < 100 { "embstr" } else { "raw" });
        let copy = Entry::new(b"copy", Value::Str(Str::Bytes(text.clone())), Some(1));
        assert!(matches!(copy.into_value(), Value::Str(Str::Bytes(bytes)) if bytes == text));
        let mut changed = Entry::new(b"changed", entry.value().to_value(), None);
        changed.as_str_mut().unwrap().to_mut().push(b'!');
        assert_eq!(changed.as_str().map(Elem::len), Some(len + 1));
    }
}

#[test]
fn a_string_that_was_changed_in_place_is_raw_until_it_is_set() {
    let mut entry = Entry::new_str(b"k", b"1", Some(7));
    entry.set_access(0x00ab_cdef);
    let mut string = entry.as_str_mut().unwrap();
    string.to_mut().extend_from_slice(b"2");
    assert_eq!((text(&entry), entry.encoding()), (b"12".to_vec(), "raw"));
    let entry = entry.with_key(b"other");
    assert_eq!((entry.key(), entry.encoding(), entry.access()), (&b"other"[..], "raw", 0x00ab_cdef));
    let mut entry = entry;
    let copy = entry.copy(b"copy");
    assert_eq!((text(&copy), copy.key(), copy.encoding()), (b"12".to_vec(), &b"copy"[..], "raw"));
    entry.set_str(b"12");
    assert_eq!((text(&entry), entry.encoding(), entry.expire_at()), (b"12".to_vec(), "int", Some(7)));
}

#[test]
fn the_old_value_is_handed_back_if_it_may_be_much_to_free() {
    let mut entry = Entry::new_str(b"k", &[b'v'; 1000], None);
    entry.as_str_mut().unwrap().to_mut().push(b'v');
    let old = entry.set_value(Value::Str(Str::Int(5)));
    assert!(matches!(old, Some(Value::Str(Str::Bytes(bytes))) if bytes == [b'v'; 1001]));
    assert!(entry.set_value(Value::Str(Str::Bytes(b"short".to_vec()))).is_none());
    assert!(matches!(entry.into_value(), Value::Str(Str::Bytes(bytes)) if bytes == b"short"));
}

#[test]
fn key_value_expiry_and_access_are_independent_of_each_other() {
    let mut rng = Rng::new(5);
    for _ in 0..if cfg!(miri) { 20 } else { 500 } {
        let mut key = vec![b'a'; rng.below(200)];
        let mut entry = Entry::new_str(&key, b"", None);
        let (mut value, mut expire_at, mut access) = (Vec::new(), None, 0);
        for _ in 0..30 {
            match rng.below(8) {
                0 | 1 => {
                    value = vec![rng.next_u64() as u8; rng.below(150)];
                    entry.set_str(&value);
                }
                2 => {
                    value = (rng.next_u64() as i64 >> rng.below(64)).to_string().into_bytes();
                    entry.set_str(&value);
                }
                3 => {
                    expire_at = (rng.below(2) == 0).then(|| rng.next_u64() as i64 >> 1);
                    entry.set_expire_unindexed(expire_at);
                }
                4 => {
                    access = rng.next_u64() as u32 & ACCESS;
                    entry.set_access(access);
                }
                5 => {
                    let mut string = entry.as_str_mut().unwrap();
                    string.to_mut().push(b'1');
                    value.push(b'1');
                }
                6 => {
                    key = vec![b'b'; rng.below(200)];
                    entry = entry.with_key(&key);
                }
                _ => {
                    value = vec![b'z'; rng.below(150)];
                    entry.set_value(Value::Str(Str::Bytes(value.clone())));
                }
            }
            assert_eq!(entry.key(), key);
            assert_eq!(text(&entry), value);
            assert_eq!((entry.expire_at(), entry.access()), (expire_at, access));
        }
    }
}

#[test]
fn a_list_stays_the_same_through_renames_expiries_and_copies() {
    use crate::data::limits::Limits;
    use crate::data::list::{End, List};
    let mut list = List::new();
    list.push(End::Back, b"a", &Limits::default());
    list.push(End::Back, &[b'x'; 9000], &Limits::default());
    let mut entry = Entry::new(b"list", Value::List(list), None);
    assert_eq!((entry.kind().name(), entry.encoding()), ("list", "quicklist"));
    assert!(entry.heap_size(0) > 9000);
    entry.set_expire_unindexed(Some(3));
    let copy = entry.value().to_value();
    let mut entry = entry.with_key(b"renamed");
    let ValueMut::List(list) = entry.value_mut() else { panic!() };
    list.push(End::Front, b"0", &Limits::default());
    assert_eq!(list.len(), 3);
    assert!(matches!(entry.set_value(copy), Some(Value::List(old)) if old.len() == 3));
    assert_eq!(entry.expire_at(), Some(3));
    assert!(entry.as_str().is_none() && entry.as_str_mut().is_none());
    assert!(matches!(entry.set_value(Value::Str(Str::Int(1))), Some(Value::List(old)) if old.len() == 2));
    assert_eq!(entry.encoding(), "int");
}

#[test]
fn every_type_of_value_can_be_kept_copied_and_taken_out() {
    use crate::data::{hash::Hash, limits::Limits, list::List, set::Set, zset::Zset};
    let limits = Limits::default();
    let (mut set, mut hash) = (Set::new(), Hash::new());
    set.add(b"member", &limits);
    hash.set(b"field", &[b'v'; 3000], &limits);
    let values: [(Value, &str, &str); 5] = [
        (Value::Str(Str::Int(4)), "string", "int"),
        (List::new().into(), "list", "listpack"),
        (set.into(), "set", "listpack"),
        (hash.into(), "hash", "hashtable"),
        (Zset::new().into(), "zset", "listpack"),
    ];
    for (value, name, encoding) in values {
        let mut entry = Entry::new(b"key", value.clone(), None);
        entry.set_expire_unindexed(Some(5));
        assert_eq!((entry.kind().name(), entry.encoding()), (name, encoding));
        assert_eq!(entry.is_empty_collection(), matches!(name, "list" | "zset"));
        assert!(entry.heap_size(5) >= 24 && entry.free_effort() >= 1);
        let copy = Entry::new(b"copy", entry.value().to_value(), None);
        assert_eq!(entry.into_value().kind(), copy.into_value().kind());
        assert!(value.free_effort() >= 1);
    }
}
