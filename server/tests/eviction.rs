//! What is promised to those who limit the memory of a server, and to those who use its keys meanwhile.

mod support;

use support::{Server, check};

#[test]
fn nothing_is_evicted_of_what_is_being_imported() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lru"]);
    check(
        &mut server.connect(),
        &[
            ("SET k v", "OK"),
            ("CONFIG SET import-mode yes maxmemory 1", "OK"),
            ("DBSIZE", ":1"),
            ("SET more v", "-OOM command not allowed when used memory > 'maxmemory'."),
            ("CONFIG SET import-mode no", "OK"),
            ("DBSIZE", ":0"),
        ],
    );
}

#[test]
fn info_tells_for_how_long_memory_was_beyond_its_limit() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask_until("INFO stats", "total_eviction_exceeded_time:0\r\ncurrent_eviction_exceeded_time:0\r\n");
    check(&mut client, &[("CONFIG SET maxmemory 1", "OK"), ("GET k", "nil")]);
    while client.ask("INFO stats").contains("current_eviction_exceeded_time:0\r\n") {}
    check(&mut client, &[("CONFIG SET maxmemory 0", "OK")]);
    client.ask_until("INFO stats", "current_eviction_exceeded_time:0\r\n");
    assert!(!client.ask("INFO stats").contains("total_eviction_exceeded_time:0\r\n"));
}

#[test]
fn each_evicted_key_is_a_write_of_its_own() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-random", "--appendonly", "yes"]);
    let mut client = server.connect();
    check(&mut client, &[("MSET a 1 b 2 c 3", "OK"), ("CONFIG SET maxmemory 1", "OK")]);
    client.ask_until("DBSIZE", ":0");
    client.ask("CONFIG SET appendfsync always");
    let log = server.read("appendonlydir/appendonly.aof.1.incr.aof");
    assert_eq!(log.matches("UNLINK").count(), 3, "{log}");
    assert!(!log.contains("MULTI"), "{log}");
}

#[test]
fn a_lower_limit_is_kept_although_nobody_asks_for_anything() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-random", "--maxmemory-eviction-tenacity", "0"]);
    let (mut client, mut watcher) = (server.connect(), server.connect());
    client.ask("CONFIG SET notify-keyspace-events Ee");
    watcher.ask("SUBSCRIBE __keyevent@0__:evicted");
    check(&mut client, &[("MSET a 1 b 2 c 3", "OK"), ("CONFIG SET maxmemory 1", "OK")]);
    for _ in 0..3 {
        assert!(watcher.answer().starts_with("[message, __keyevent@0__:evicted, "));
    }
}

#[test]
fn touch_counts_as_a_use_also_in_a_script_of_a_client_that_leaves_no_traces() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lfu", "--lfu-log-factor", "0"]);
    check(
        &mut server.connect(),
        &[
            ("SET k v", "OK"),
            ("OBJECT FREQ k", ":5"),
            ("CLIENT NO-TOUCH ON", "OK"),
            ("EVAL \"return server.call('get', KEYS[1])\" 1 k", "v"),
            ("OBJECT FREQ k", ":5"),
            ("EVAL \"return server.call('touch', KEYS[1])\" 1 k", ":1"),
            ("OBJECT FREQ k", ":6"),
        ],
    );
}
