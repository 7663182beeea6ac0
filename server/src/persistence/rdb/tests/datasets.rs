use super::round_trip::{options, samples};
use super::*;
use crate::config::MaxmemoryPolicy;
use crate::keyspace::Keyspace;
use crate::persistence::rdb::dataset::{AuxLog, DatasetOptions, FileInfo, KeyspaceSink, Place, save_keyspace};
use crate::persistence::rdb::format::VERSION;
use crate::persistence::rdb::save::Aux;

const POLICY: MaxmemoryPolicy = MaxmemoryPolicy::Noeviction;

fn full() -> Keyspace {
    let mut keyspace = Keyspace::new(16);
    for db in [0, 7] {
        samples().into_iter().for_each(|entry| keyspace.db_mut(db).load(entry).unwrap());
    }
    keyspace
}

fn saved(keyspace: &Keyspace, policy: MaxmemoryPolicy) -> Vec<u8> {
    let options = DatasetOptions { save: options(VERSION), policy, key_delay: 0 };
    save_keyspace(Vec::new(), keyspace.dbs(), [&b"#!lua name=f"[..]], &Aux::default(), &options, |_| ()).unwrap()
}

fn load_into_keyspace(bytes: &[u8], keyspace: &mut Keyspace, place: Place) -> Result<Summary, RdbError> {
    let limits = Limits::default();
    let options = LoadOptions {
        version_check: VersionCheck::Strict,
        checksum: true,
        values: value_options(&limits),
        progress_interval: 0,
        size: None,
    };
    KeyspaceSink::new(keyspace, place).load(bytes, &options)
}

fn contents(keyspace: &Keyspace, db: usize) -> BTreeMap<Vec<u8>, (Content, Option<i64>)> {
    let db = keyspace.db(db).iter();
    db.map(|entry| (entry.key().to_vec(), (content(entry.value()), entry.expire_at()))).collect()
}

#[test]
fn a_keyspace_is_the_same_after_saving_and_loading() {
    let before = full();
    let bytes = saved(&before, POLICY);
    let mut after = Keyspace::new(16);
    let summary = load_into_keyspace(&bytes, &mut after, Place::default()).unwrap();
    assert_eq!(summary.keys as usize, before.total_keys());
    for db in 0..16 {
        assert!(contents(&before, db) == contents(&after, db), "database {db}");
        assert_eq!(before.db(db).expires_len(), after.db(db).expires_len());
    }
}

#[test]
fn progress_is_reported_while_saving() {
    let mut keyspace = Keyspace::new(1);
    for i in 0..3000 {
        keyspace.db_mut(0).load(Entry::new_str(format!("{i}").as_bytes(), b"v", None)).unwrap();
    }
    let mut reports = Vec::new();
    for key_delay in [0, -100] {
        let options = DatasetOptions { save: options(VERSION), policy: POLICY, key_delay };
        let none: [&[u8]; 0] = [];
        save_keyspace(std::io::sink(), keyspace.dbs(), none, &Aux::default(), &options, |keys| reports.push(keys))
            .unwrap();
    }
    assert_eq!(reports, [1024, 2048, 1024, 2048]);
}

#[test]
fn what_the_eviction_policy_knows_survives_a_restart() {
    let mut keyspace = Keyspace::new(1);
    keyspace.set_policy(MaxmemoryPolicy::AllkeysLfu, 10, 1);
    keyspace.db_mut(0).load(Entry::new_str(b"k", b"v", None)).unwrap();
    keyspace.db_mut(0).set_access(b"k", Access::Frequency(77));
    let bytes = saved(&keyspace, MaxmemoryPolicy::AllkeysLfu);
    assert_eq!(loaded(&bytes).keys[&(0, "k".into())].access, Some(Access::Frequency(77)));
    let mut after = Keyspace::new(1);
    after.set_policy(MaxmemoryPolicy::AllkeysLfu, 10, 1);
    load_into_keyspace(&bytes, &mut after, Place::default()).unwrap();
    let db = after.db(0);
    assert_eq!(db.frequency(db.peek(b"k").unwrap().access()), 77);

    keyspace.set_policy(MaxmemoryPolicy::AllkeysLru, 10, 1);
    keyspace.set_now_ms(5_000_000);
    keyspace.db_mut(0).set_access(b"k", Access::Idle(123));
    let bytes = saved(&keyspace, MaxmemoryPolicy::AllkeysLru);
    assert_eq!(loaded(&bytes).keys[&(0, "k".into())].access, Some(Access::Idle(123)));
    assert_eq!(loaded(&saved(&keyspace, POLICY)).keys[&(0, "k".into())].access, None);
}

#[test]
fn a_primary_leaves_out_what_has_expired_and_a_replica_keeps_it() {
    let bytes = saved(&full(), POLICY);
    let expired = full().db(0).expires_len() as u64 * 2;
    let mut primary = Keyspace::new(16);
    let place = Place { drop_expired_before: Some(i64::MAX), ..Place::default() };
    let summary = load_into_keyspace(&bytes, &mut primary, place).unwrap();
    assert_eq!(summary.expired, expired);
    assert_eq!(primary.db(0).expires_len(), 0);
    let mut replica = Keyspace::new(16);
    assert_eq!(load_into_keyspace(&bytes, &mut replica, Place::default()).unwrap().expired, 0);
}

#[test]
fn a_primary_leaves_out_fields_that_have_expired_and_hashes_of_nothing_else() {
    let mut keyspace = Keyspace::new(16);
    for (key, expiries) in [(&b"some"[..], [Some(5), None]), (b"all", [Some(5), Some(0)]), (b"none", [Some(50), None])]
    {
        let hash = keyspace.db_mut(0).hash_or_new(key).unwrap();
        for (name, expire_at) in [b"a", b"b"].into_iter().zip(expiries) {
            hash.set(name, b"v", &Limits::default());
            hash.set_expire(name, expire_at);
        }
    }
    let bytes = saved(&keyspace, POLICY);
    for (now, [some, all], fate) in [(None, [2, 2], (3, 0)), (Some(6), [1, 0], (2, 1))] {
        let mut after = Keyspace::new(16);
        let place = Place { drop_expired_before: now, ..Place::default() };
        let summary = load_into_keyspace(&bytes, &mut after, place).unwrap();
        assert_eq!((summary.keys, summary.all_fields_expired), fate);
        let lens =
            [b"some", &b"all"[..], b"none"].map(|key| after.db_mut(0).read_hash(key).unwrap().map_or(0, |h| h.len()));
        assert_eq!(lens, [some, all, 2]);
        assert_eq!(after.db(0).fields_len(), if now.is_some() { 1 } else { 3 });
    }
}

#[test]
fn keys_that_are_there_already_are_refused_or_replaced_as_asked() {
    let bytes = saved(&full(), POLICY);
    let mut keyspace = full();
    let error = load_into_keyspace(&bytes, &mut keyspace, Place::default()).unwrap_err().to_string();
    assert!(error.starts_with("RDB has duplicated key 'key:"), "{error}");
    let replace = Place { replace: true, ..Place::default() };
    assert!(load_into_keyspace(&bytes, &mut keyspace, replace).is_ok());
    assert!(contents(&keyspace, 7) == contents(&full(), 7));
}

#[test]
fn a_database_that_is_not_there_is_refused() {
    let error = load_into_keyspace(&saved(&full(), POLICY), &mut Keyspace::new(7), Place::default()).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "FATAL: Data file was created with a Valkey server configured to handle more than 7 databases."
        )
    );
}

#[test]
fn what_a_file_says_of_itself_is_noted_and_logged() {
    let mut info = FileInfo::default();
    let notice = |text: &str| AuxLog::Notice(text.into());
    assert_eq!(info.note(b"valkey-ver", b"9.1.2", 0), notice("Loading RDB produced by Valkey version 9.1.2"));
    assert_eq!(info.note(b"redis-ver", b"7.0.15", 0), notice("Loading RDB produced by Redis version 7.0.15"));
    assert_eq!(info.note(b"ctime", b"1000", 1060), notice("RDB age 60 seconds"));
    assert_eq!(info.note(b"used-mem", b"1572864", 0), notice("RDB memory usage when created 1.50 Mb"));
    assert_eq!(info.note(b"%note", b"hello", 0), notice("RDB '%note': hello"));
    assert_eq!(info.note(b"aof-base", b"0", 0), AuxLog::Nothing);
    assert_eq!(info.note(b"aof-base", b"1", 0), notice("RDB is base AOF"));
    assert_eq!(info.note(b"repl-stream-db", b"-1", 0), AuxLog::Nothing);
    assert_eq!(info.note(b"repl-id", &[b'a'; 40], 0), AuxLog::Nothing);
    assert_eq!(info.note(b"repl-offset", b"12345", 0), AuxLog::Nothing);
    assert_eq!(info.note(b"other", b"x", 0), AuxLog::Debug("Unrecognized RDB AUX field: 'other'".into()));
    let expected = FileInfo {
        replication_id: Some("a".repeat(40)),
        replication_offset: Some(12345),
        stream_db: None,
        used_memory: Some(1_572_864),
        aof_base: true,
        aof_tail: false,
    };
    assert_eq!(info, expected);
}
