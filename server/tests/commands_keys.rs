//! What is promised of keys of any type: deleting, renaming, copying, expiring, walking, dumping.

mod support;

use std::collections::BTreeSet;
use support::{Server, check};

#[test]
fn keys_are_deleted_renamed_copied_and_moved() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("MSET a 1 b 2 c 3", "OK"),
            ("DEL a a nothing", ":1"),
            ("UNLINK b", ":1"),
            ("EXISTS c c a", ":2"),
            ("TYPE c", "string"),
            ("TYPE a", "none"),
            ("RENAME nothing x", "-ERR no such key"),
            ("EXPIRE c 100", ":1"),
            ("RENAME c d", "OK"),
            ("TTL d", ":100"),
            ("SET e 5", "OK"),
            ("RENAMENX d e", ":0"),
            ("COPY d e", ":0"),
            ("COPY d e REPLACE", ":1"),
            ("TTL e", ":100"),
            ("COPY d d", "-ERR source and destination objects are the same"),
            ("MOVE d 1", ":1"),
            ("MOVE d 1", ":0"),
            ("MOVE e 16", "-ERR DB index is out of range"),
            ("KEYS *", "[e]"),
            ("SELECT 1", "OK"),
            ("GET d", "3"),
            ("RANDOMKEY", "d"),
        ],
    );
}

#[test]
fn an_expiry_is_set_under_conditions_and_taken_away() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("SET a 1", "OK"),
            ("TTL a", ":-1"),
            ("TTL nothing", ":-2"),
            ("EXPIRE a 100 XX", ":0"),
            ("EXPIRE a 100 NX", ":1"),
            ("EXPIRE a 50 GT", ":0"),
            ("EXPIRE a 200 GT", ":1"),
            ("EXPIRE a 50 LT", ":1"),
            ("TTL a", ":50"),
            ("EXPIRE a 1 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
            ("PEXPIREAT a 33177117420000", ":1"),
            ("EXPIRETIME a", ":33177117420"),
            ("PERSIST a", ":1"),
            ("PERSIST a", ":0"),
            ("EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
            ("EXPIRE a -1", ":1"),
            ("EXISTS a", ":0"),
        ],
    );
}

#[test]
fn a_walk_with_a_cursor_meets_every_key() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let expected: BTreeSet<String> = (0..1000).map(|i| format!("key:{i}")).collect();
    for key in &expected {
        client.ask_words(&["SET", key, "v"]);
    }
    let (mut found, mut cursor) = (BTreeSet::new(), "0".to_owned());
    loop {
        let page = client.ask(&format!("SCAN {cursor} MATCH key:* COUNT 30 TYPE string"));
        let page = page.strip_prefix('[').and_then(|page| page.strip_suffix("]]")).unwrap();
        let (next, keys) = page.split_once(", [").unwrap();
        found.extend(keys.split(", ").filter(|key| !key.is_empty()).map(str::to_owned));
        cursor = next.to_owned();
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(found, expected);
    assert_eq!(client.ask("SCAN x"), "-ERR invalid cursor");
    assert_eq!(client.ask("SCAN 0 TYPE nonsense"), "-ERR unknown type name 'nonsense'");
}

#[test]
fn a_dumped_value_can_be_restored_under_another_key() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask_words(&["SET", "long", &"abc".repeat(1000)]);
    let payload = client.ask_bytes("DUMP long");
    assert_eq!(client.ask_words(&[b"RESTORE", &b"copy"[..], b"100000", &payload]), "OK");
    assert_eq!(client.ask("GET copy"), "abc".repeat(1000));
    assert_eq!(client.ask("TTL copy"), ":100");
    assert_eq!(
        client.ask_words(&[b"RESTORE", &b"copy"[..], b"0", &payload]),
        "-BUSYKEY Target key name already exists."
    );
    assert_eq!(client.ask_words(&[b"RESTORE", &b"copy"[..], b"0", &payload, b"REPLACE"]), "OK");
    assert_eq!(client.ask("TTL copy"), ":-1");
    let spoiled = [&payload[..payload.len() - 1], b"!"].concat();
    assert_eq!(
        client.ask_words(&[b"RESTORE", &b"other"[..], b"0", &spoiled]),
        "-ERR DUMP payload version or checksum are wrong"
    );
}

#[test]
fn a_key_that_was_looked_for_in_vain_is_told_of() {
    let server = Server::start(&["--notify-keyspace-events", "Em"]);
    let (mut client, mut watcher) = (server.connect(), server.connect());
    client.ask("SET string value");
    watcher.ask("SUBSCRIBE __keyevent@0__:keymiss told");
    watcher.answer();
    for (command, missed) in [
        ("GET a", "a"),
        ("XACK b group 1-1", "b"),
        ("XAUTOCLAIM j group consumer no number", "j"),
        ("LCS c d", "c d"),
        // Both strings are looked up first, but of sorted sets none after one of another type.
        ("SADD set x", ""),
        ("LCS set e", "e"),
        ("ZINTER 2 f string", "f"),
        ("ZINTER 2 string g", ""),
        // It is about to make the key.
        ("RESTORE h 0 payload", ""),
        ("SETNX i value", ""),
    ] {
        client.ask(command);
        client.ask("PUBLISH told all");
        let mut keys = Vec::new();
        loop {
            let message = watcher.answer();
            match message.strip_prefix("[message, __keyevent@0__:keymiss, ") {
                Some(key) => keys.push(key.trim_end_matches(']').to_owned()),
                None => break,
            }
        }
        assert_eq!(keys.join(" "), missed, "{command}");
    }
}

#[test]
fn a_value_tells_how_it_is_kept() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lfu"]);
    let mut client = server.connect();
    check(
        &mut client,
        &[
            ("MSET int 12 short abc", "OK"),
            ("OBJECT ENCODING int", "int"),
            ("OBJECT ENCODING short", "embstr"),
            ("OBJECT REFCOUNT short", ":1"),
            ("APPEND int 3", ":3"),
            ("OBJECT ENCODING int", "raw"),
            ("OBJECT ENCODING nothing", "nil"),
            ("OBJECT FREQ short", ":5"),
        ],
    );
    assert!(client.ask("OBJECT IDLETIME short").starts_with("-ERR An LFU maxmemory policy is selected"));
}

#[test]
fn keys_are_migrated_to_another_server_with_their_expiry() {
    let (server, target) = (Server::start(&[]), Server::start(&["--requirepass", "secret"]));
    let (mut client, mut there) = (server.connect(), target.connect());
    check(&mut there, &[("AUTH secret", "OK"), ("SELECT 3", "OK"), ("SET busy theirs", "OK")]);
    check(&mut client, &[("MSET a 1 b 2 busy ours", "OK"), ("EXPIRE a 100", ":1")]);
    let migrate = |rest: &str| format!("MIGRATE 127.0.0.1 {} {rest}", target.port());
    let mut told = |command: String, answer: &str| assert_eq!(client.ask(&command), answer, "{command}");
    told(migrate("nothing 3 5000"), "NOKEY");
    told(
        migrate("a 3 5000 AUTH wrong"),
        "-ERR Target instance replied with error: WRONGPASS invalid username-password pair or user is disabled.",
    );
    told(migrate("a 3 5000 COPY AUTH secret"), "OK");
    told("GET a".to_owned(), "1");
    told(
        migrate("\"\" 3 5000 AUTH secret KEYS b nothing busy"),
        "-ERR Target instance replied with error: BUSYKEY Target key name already exists.",
    );
    // Gone is only what arrived.
    told("EXISTS b".to_owned(), ":0");
    told("GET busy".to_owned(), "ours");
    told(migrate("busy 3 5000 REPLACE AUTH2 default secret"), "OK");
    check(&mut there, &[("MGET a b busy", "[1, 2, ours]"), ("TTL a", ":100"), ("TTL b", ":-1")]);
}
