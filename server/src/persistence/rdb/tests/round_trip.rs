use super::*;
use crate::data::hash::{FieldExpiry, Hash};
use crate::data::list::{End, List};
use crate::data::set::Set;
use crate::data::stream::Stream;
use crate::data::value::{Str, Value};
use crate::data::zset::Zset;
use crate::persistence::rdb::format::{VERSION, VERSION_SHARED};
use crate::persistence::rdb::save::{Aux, Replication, SaveError, SaveOptions, Saver};
use crate::persistence::rdb::writer::WriterOptions;

pub(super) fn options(version: u32) -> SaveOptions {
    SaveOptions { version, writer: WriterOptions::default() }
}

/// The file that holds these entries in database 0.
pub(super) fn saved(entries: &[Entry], options: &SaveOptions) -> Result<Vec<u8>, SaveError> {
    let mut saver = Saver::begin(Vec::new(), options, &Aux::default())?;
    saver.database(0, entries.len() as u64, entries.iter().filter(|e| e.expire_at().is_some()).count() as u64)?;
    entries.iter().try_for_each(|entry| saver.entry(entry, None))?;
    assert_eq!(saver.keys(), entries.len() as u64);
    Ok(saver.finish()?)
}

fn list(elements: impl IntoIterator<Item = Vec<u8>>) -> Value {
    let (mut list, limits) = (List::new(), Limits::default());
    elements.into_iter().for_each(|e| list.push(End::Back, &e, &limits));
    Value::List(list)
}

fn set(members: impl IntoIterator<Item = Vec<u8>>) -> Value {
    let (mut set, limits) = (Set::new(), Limits::default());
    members.into_iter().for_each(|m| assert!(set.add(&m, &limits)));
    Value::Set(set)
}

fn hash(pairs: impl IntoIterator<Item = (Vec<u8>, Vec<u8>, FieldExpiry)>) -> Value {
    let (mut hash, limits) = (Hash::new(), Limits::default());
    pairs.into_iter().for_each(|(f, v, e)| assert!(hash.set_with(&f, &v, e, &limits)));
    Value::Hash(hash)
}

fn zset(pairs: impl IntoIterator<Item = (Vec<u8>, f64)>) -> Value {
    let (mut zset, limits) = (Zset::new(), Limits::default());
    for (member, score) in pairs {
        zset.insert(&member, score, &limits);
    }
    Value::Zset(zset)
}

fn member(i: usize) -> Vec<u8> {
    format!("member {i}").into_bytes()
}

/// Values at and around the limits of every encoding.
pub(super) fn samples() -> Vec<Entry> {
    let mut values = Vec::new();
    for number in [0, 1, -1, 127, -128, 32767, -32769, 2_147_483_647, -2_147_483_649, i64::MAX, i64::MIN] {
        values.push(Value::Str(Str::Int(number)));
    }
    for len in [0, 1, 20, 21, 63, 64, 16383, 16384, 200_000] {
        values.push(Value::Str(Str::Bytes(vec![b'x'; len])));
        values.push(Value::Str(Str::Bytes((0..len).map(|i| (i * i % 253) as u8).collect())));
    }
    for count in [1, 64, 127, 128, 129, 512, 513, 5000] {
        values.push(list((0..count).map(member)));
        values.push(set((0..count).map(member)));
        values.push(set((0..count).map(|i| (i * 1000).to_string().into_bytes())));
        values.push(hash((0..count).map(|i| (member(i), i.to_string().into_bytes(), FieldExpiry::Clear))));
        values.push(zset((0..count).map(|i| (member(i), i as f64 / 3.0))));
    }
    for len in [64, 65, 8192, 70_000] {
        let long = vec![b'y'; len];
        values.push(list([b"a".to_vec(), long.clone(), b"7".to_vec()]));
        values.push(set([b"a".to_vec(), long.clone(), b"7".to_vec()]));
        values.push(hash([
            (b"a".to_vec(), long.clone(), FieldExpiry::Clear),
            (long.clone(), vec![], FieldExpiry::Clear),
        ]));
        values.push(zset([
            (long, 1.0),
            (b"7".to_vec(), f64::NEG_INFINITY),
            (vec![], f64::INFINITY),
            (b"-0".to_vec(), -0.5),
        ]));
    }
    let with_expiry = |i: usize| {
        (member(i), member(i), if i.is_multiple_of(2) { FieldExpiry::At(i as i64 * 1000) } else { FieldExpiry::Clear })
    };
    values.push(hash((0..10).map(with_expiry)));
    values.extend([Value::Stream(Stream::new()), streams::sample()]);
    let key = |i: usize| format!("key:{i}").into_bytes();
    let expire = |i: usize| i.is_multiple_of(3).then_some(1_700_000_000_000 + i as i64);
    values.into_iter().enumerate().map(|(i, value)| Entry::new(&key(i), value, expire(i))).collect()
}

#[test]
fn values_of_every_type_and_encoding_come_back_as_they_were() {
    let entries = samples();
    for compression in [true, false] {
        let writer = WriterOptions { compression, checksum: true };
        let bytes = saved(&entries, &SaveOptions { version: VERSION, writer }).unwrap();
        let all = loaded(&bytes);
        assert_eq!(all.keys.len(), entries.len());
        for entry in &entries {
            let key = &all.keys[&(0, lossy(entry.key()))];
            assert_eq!(key.content, content(entry.value()));
            assert_eq!(key.encoding, entry.encoding(), "{}", lossy(entry.key()));
            assert_eq!(key.expire_at, entry.expire_at());
        }
    }
}

#[test]
fn narrower_limits_turn_compact_values_into_tables() {
    let limits = Limits {
        hash_max_listpack_entries: 4,
        set_max_intset_entries: 4,
        set_max_listpack_entries: 4,
        zset_max_listpack_entries: 4,
        ..Limits::default()
    };
    let bytes = saved(&samples(), &options(VERSION)).unwrap();
    let mut sink = Collector::default();
    let load_options = LoadOptions {
        version_check: VersionCheck::Strict,
        checksum: true,
        values: value_options(&limits),
        progress_interval: 0,
        size: None,
    };
    load(&bytes[..], &mut sink, &load_options).unwrap();
    for entry in samples() {
        let key = &sink.keys[&(0, lossy(entry.key()))];
        assert_eq!(key.content, content(entry.value()));
        let large = match &key.content {
            Content::Set(members) => members.len() > 4,
            Content::Hash(fields) => fields.len() > 4,
            Content::Zset(members) => members.len() > 4,
            _ => continue,
        };
        assert!(!large || ["hashtable", "skiplist"].contains(&key.encoding), "{}", lossy(entry.key()));
    }
}

#[test]
fn a_file_for_older_peers_has_their_version_and_no_value_that_they_cannot_read() {
    let plain = Entry::new_str(b"k", b"v", None);
    let bytes = saved(std::slice::from_ref(&plain), &options(VERSION_SHARED)).unwrap();
    assert!(bytes.starts_with(b"REDIS0011"));
    assert_eq!(loaded(&bytes).keys.len(), 1);
    let timed = Entry::new(b"h", hash([(b"f".to_vec(), b"v".to_vec(), FieldExpiry::At(1))]), None);
    let error = saved(&[plain, timed], &options(VERSION_SHARED)).unwrap_err();
    assert_eq!(error.to_string(), "Can't store key (db 0) in RDB version 11");
}

#[test]
fn what_a_file_says_of_itself_comes_back() {
    let aux = Aux {
        server_version: "9.1.2".into(),
        created: 1_700_000_000,
        used_memory: 123_456_789_012,
        replication: Some(Replication { stream_db: None, id: "a".repeat(40), offset: 99 }),
        aof_base: true,
    };
    let mut saver = Saver::begin(Vec::new(), &options(VERSION), &aux).unwrap();
    saver.function(b"#!lua name=x").unwrap();
    saver.database(9, 1, 0).unwrap();
    saver.entry(&Entry::new_str(b"a", b"b", None), Some(Access::Frequency(200))).unwrap();
    saver.entry(&Entry::new_str(b"c", b"d", Some(7)), Some(Access::Idle(100_000))).unwrap();
    let all = loaded(&saver.finish().unwrap());
    let expected = [
        ("valkey-ver", "9.1.2"),
        ("redis-bits", "64"),
        ("ctime", "1700000000"),
        ("used-mem", "123456789012"),
        ("repl-stream-db", "-1"),
        ("repl-id", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("repl-offset", "99"),
        ("aof-base", "1"),
    ];
    assert_eq!(all.aux, expected.map(|(name, value)| (name.to_string(), value.to_string())).into());
    assert_eq!(all.functions, ["#!lua name=x"]);
    assert_eq!(all.keys[&(9, "a".into())].access, Some(Access::Frequency(200)));
    assert_eq!(all.keys[&(9, "c".into())].access, Some(Access::Idle(100_000)));
}
