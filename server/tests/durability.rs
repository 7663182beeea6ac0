//! What an answer says of the disk: with `appendfsync always` that the write is there; else that it can be expected to get there.

mod support;

use std::time::Duration;
use support::{Client, Server, check};

const ALWAYS: [&str; 8] =
    ["--appendonly", "yes", "--appendfsync", "always", "--busy-reply-threshold", "50", "--enable-debug-command", "yes"];

/// The server appends to this device from now on.
fn append_to(device: &str, server: &Server, client: &mut Client) {
    std::os::unix::fs::symlink(device, server.path("appendonlydir/appendonly.aof.2.incr.aof")).unwrap();
    client.ask("BGREWRITEAOF");
    client.ask_until("INFO persistence", "aof_rewrite_in_progress:0");
}

#[test]
fn a_write_that_finds_no_room_is_not_answered() {
    let server = Server::start(&ALWAYS);
    let (mut writer, mut other) = (server.connect(), server.connect());
    check(&mut writer, &[("SET key 1", "OK")]);
    append_to("/dev/full", &server, &mut other);
    writer.send(&["SET", "key", "2"]);
    assert!(writer.is_closed());
    // Who wrote nothing, or long ago, is none the worse for it.
    assert!(other.ask("SET key 3").starts_with("-MISCONF"));
    check(&mut other, &[("PING", "PONG")]);
}

#[test]
fn a_write_that_the_disk_does_not_confirm_is_not_answered() {
    let mut server = Server::start(&ALWAYS);
    let mut writer = server.connect();
    // It takes what is written, and knows no flush.
    append_to("/dev/null", &server, &mut writer);
    writer.send(&["SET", "key", "2"]);
    assert!(writer.is_closed());
    server.wait();
}

#[test]
fn what_could_not_be_flushed_is_not_made_good_by_a_later_write() {
    let options = ["--appendonly", "yes", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
    let (primary, replica) = (Server::start(&options), Server::start(&[]));
    let mut client = primary.connect();
    append_to("/dev/null", &primary, &mut client);
    replica.connect().ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    replica.connect().ask_until("INFO replication", "master_link_status:up");
    client.ask_until("SET key value", "-MISCONF");
    // The primary writes to its replicas, and so to its file, on its own.
    for _ in 0..25 {
        std::thread::sleep(Duration::from_millis(100));
        assert!(client.ask("SET key value").starts_with("-MISCONF"));
    }
    check(&mut client, &[("CONFIG SET appendonly no", "OK"), ("SET key value", "OK")]);
}

#[test]
fn a_replica_that_cannot_write_ends_unless_it_is_told_to_go_on() {
    let primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let mut client = primary.connect();
    for (told, goes_on) in [("no", false), ("yes", true)] {
        let mut replica = Server::start(&["--appendonly", "yes", "--replica-ignore-disk-write-errors", told]);
        let mut follower = replica.connect();
        follower.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
        follower.ask_until("INFO replication", "master_link_status:up");
        follower.ask_until("INFO persistence", "aof_rewrite_in_progress:0");
        // Whatever its next file is called.
        for n in 2..9 {
            let file = replica.path(&format!("appendonlydir/appendonly.aof.{n}.incr.aof"));
            let _ = std::os::unix::fs::symlink("/dev/full", file);
        }
        follower.ask("BGREWRITEAOF");
        follower.ask_until("INFO persistence", "aof_rewrite_in_progress:0");
        client.ask("SET key 1");
        client.ask("SET key 2");
        if goes_on {
            follower.ask_until("GET key", "2");
        } else {
            replica.wait();
        }
    }
}

#[test]
fn a_file_whose_manifest_is_lost_is_left_as_it_is() {
    let mut server = Server::start(&ALWAYS);
    check(&mut server.connect(), &[("SET key value", "OK")]);
    let written = std::fs::read(server.path("appendonlydir/appendonly.aof.1.incr.aof")).unwrap();
    assert!(!written.is_empty());
    std::fs::remove_file(server.path("appendonlydir/appendonly.aof.manifest")).unwrap();
    server.restart();
    check(&mut server.connect(), &[("GET key", "nil"), ("SET key other", "OK")]);
    assert_eq!(std::fs::read(server.path("appendonlydir/appendonly.aof.1.incr.aof")).unwrap(), written);
    server.restart();
    check(&mut server.connect(), &[("GET key", "other")]);
}

#[test]
fn a_write_answered_while_a_script_keeps_the_server_busy_is_on_disk() {
    let server = Server::start(&ALWAYS);
    let (mut writer, mut script, mut other) = (server.connect(), server.connect(), server.connect());
    // Both are served in the turn after this one.
    other.send(&["DEBUG", "SLEEP", "0.3"]);
    std::thread::sleep(Duration::from_millis(100));
    writer.send(&["SET", "answered", "1"]);
    script.send(&["EVAL", "while true do end", "0"]);
    assert_eq!(writer.answer(), "OK");
    assert!(server.read("appendonlydir/appendonly.aof.1.incr.aof").contains("answered"));
    assert_eq!(other.answer(), "OK");
    check(&mut other, &[("SCRIPT KILL", "OK")]);
}

#[test]
fn a_primary_that_restarts_and_is_only_then_told_whom_to_follow_is_sent_what_it_lacks() {
    for persistence in [["--appendonly", "yes"], ["--save", "3600 1"]] {
        let mut old = Server::start(&persistence);
        let new = Server::start(&["--repl-diskless-sync-delay", "0"]);
        check(&mut old.connect(), &[("SET a 1", "OK"), ("SELECT 3", "OK"), ("SET b 1", "OK")]);
        let mut successor = new.connect();
        successor.ask(&format!("REPLICAOF 127.0.0.1 {}", old.port()));
        successor.ask_until("INFO replication", "master_link_status:up");
        check(&mut old.connect(), &[("SELECT 3", "OK"), ("SET c 1", "OK")]);
        check(&mut successor, &[("SELECT 3", "OK")]);
        successor.ask_until("GET c", "1");
        check(&mut successor, &[("REPLICAOF NO ONE", "OK"), ("SET d 1", "OK")]);
        old.restart();
        let mut follower = old.connect();
        follower.ask(&format!("REPLICAOF 127.0.0.1 {}", new.port()));
        follower.ask_until("INFO replication", "master_link_status:up");
        check(&mut follower, &[("SELECT 3", "OK")]);
        follower.ask_until("GET d", "1");
        check(&mut follower, &[("GET b", "1"), ("GET c", "1"), ("DBSIZE", ":3")]);
        let stats = successor.ask("INFO stats");
        assert!(stats.contains("sync_full:0") && stats.contains("sync_partial_ok:1"), "{persistence:?} {stats}");
    }
}
