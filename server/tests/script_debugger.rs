//! What is promised of debugging sessions of scripts, beyond what they show.

mod support;

use support::{Client, Server, check};

/// Begins a session; returns what it says first.
fn begin(client: &mut Client, mode: &str, script: &str) -> String {
    assert_eq!(client.ask(&format!("SCRIPT DEBUG {mode}")), "OK");
    client.ask_words(&["EVAL", script, "0"])
}

#[test]
fn a_forked_session_serves_others_and_leaves_nothing_behind() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    let other = &mut server.connect();
    begin(client, "YES", "redis.call('SET', 'key', 'theirs')\nreturn redis.call('GET', 'key')");
    assert_eq!(other.ask("SET key ours"), "OK");
    client.ask("step");
    assert_eq!(other.ask("GET key"), "ours");
    assert_eq!(client.ask("continue"), "[<endsession>]");
    assert_eq!(client.answer(), "theirs");
    assert!(client.is_closed());
    assert_eq!(other.ask("GET key"), "ours");
    assert!(!other.ask("CLIENT LIST").contains("cmd=eval"), "the server has forgotten who debugged");
}

#[test]
fn a_forked_session_goes_on_while_others_come_and_ends_with_its_client() {
    let server = Server::start(&[]);
    let other = &mut server.connect();
    let mut sessions: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut sessions {
        assert!(begin(client, "YES", "local a = 1\nreturn a").contains("Stopped at 1"));
    }
    check(other, &[("PING", "PONG"), ("BGSAVE", "Background saving started")]);
    other.ask_until("INFO persistence", "rdb_bgsave_in_progress:0");
    assert!(other.ask("INFO persistence").contains("rdb_last_bgsave_status:ok"));
    for client in &mut sessions[1..] {
        assert!(client.ask("s").contains("Stopped at 2"));
    }
    drop(sessions);
    let children = || {
        let stat = |pid: String| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        pids.filter(|pid| pid.bytes().all(|c| c.is_ascii_digit()))
            .filter(|pid| stat(pid.clone()).split(' ').nth(3) == Some(&server.pid().to_string()))
            .count()
    };
    for _ in 0..1000 {
        if children() == 0 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("a session outlives its client");
}

#[test]
fn what_a_session_in_sync_changes_stays_and_is_told_to_others() {
    let server = Server::start(&["--appendonly", "yes"]);
    let client = &mut server.connect();
    begin(client, "SYNC", "redis.call('SET', 'key', 'value')\nreturn 1");
    client.ask("s");
    assert_eq!(client.ask("valkey SET other value"), "[<command> SET other value, <reply> \"+OK\"]");
    assert_eq!(client.ask("c"), "[<endsession>]");
    let mut server = server;
    server.restart();
    check(&mut server.connect(), &[("GET key", "value"), ("GET other", "value")]);
}

#[test]
fn abort_ends_a_script_that_catches_errors() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    begin(client, "SYNC", "while true do\npcall(function()\nlocal a = 1 end)\nend");
    client.ask("s");
    assert_eq!(client.ask("abort"), "[<endsession>]");
    assert!(client.answer().starts_with("-ERR script aborted for user request"));
}

#[test]
fn a_script_without_end_stops_after_a_while_and_ends_with_its_client() {
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    let mut client = server.connect();
    begin(&mut client, "SYNC", "while true do end");
    assert!(client.ask("c").contains("timeout reached, infinite loop?"));
    client.send(&["c"]);
    drop(client);
    assert_eq!(server.connect().ask("PING"), "PONG");
}

#[test]
fn scripts_are_as_before_after_a_session() {
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    let client = &mut server.connect();
    begin(client, "SYNC", "local a = 1\nreturn a");
    assert_eq!(client.ask("c"), "[<endsession>]");
    let client = &mut server.connect();
    check(
        client,
        &[
            ("EVAL \"local a = 1 return server.breakpoint()\" 0", "nil"),
            ("EVAL \"return redis.call('PING')\" 0", "PONG"),
            (
                "EVAL \"redis.call = nil\" 0",
                "-ERR user_script:1: Attempt to modify a readonly table script: on @user_script:1.",
            ),
        ],
    );
    let busy = &mut server.connect();
    busy.send(&["EVAL", "while true do end", "0"]);
    while !client.ask("PING").starts_with("-BUSY") {}
    assert_eq!(client.ask("SCRIPT KILL"), "OK");
}

#[test]
fn a_session_does_not_begin_in_a_pipeline_or_a_transaction() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    client.send_bytes(b"PING\r\nSCRIPT DEBUG YES\r\n");
    assert_eq!(client.answer(), "PONG");
    assert_eq!(client.answer(), "-ERR SCRIPT DEBUG must be called outside a pipeline");
    check(client, &[("SCRIPT DEBUG YES", "OK"), ("MULTI", "OK"), ("EVAL \"return 1\" 0", "QUEUED")]);
    assert_eq!(client.ask("EXEC"), "[-ERR A script is debugged outside of pipelines and transactions only]");
}

#[test]
fn what_is_no_command_ends_the_script() {
    let server = Server::start(&[]);
    let client = &mut server.connect();
    begin(client, "SYNC", "return 1");
    client.send_bytes(b"*1\r\n:1\r\n");
    assert_eq!(client.answer(), "[<endsession>]");
    assert_eq!(client.answer(), "-ERR protocol error script: on @user_script:1.");
}
