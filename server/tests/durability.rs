//! With `appendfsync always` an answer says that the write is on disk. What can't be brought there is not answered.

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
