//! Synchronous replication, `min-replicas-to-ack`: an answered write is one that the replicas hold.

use std::io::ErrorKind;
use std::time::Duration;

use valkey_repl_e2e::resp::{Client, Reply};
use valkey_repl_e2e::server::{Program, Server, Signal};

/// Whether an answer is held back: it has not come while a later question of somebody else was answered.
fn unanswered(client: &mut Client, server: &Server) -> bool {
    server.line("PING").unwrap();
    client.set_timeout(Duration::from_millis(200)).unwrap();
    let silent = client.read().is_err_and(|e| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    client.set_timeout(Duration::from_secs(30)).unwrap();
    silent
}

#[test]
fn the_first_write_ever_is_not_answered_before_a_replica_holds_it() {
    for lines in [vec!["min-replicas-to-ack 1"], vec!["min-replicas-to-ack 1", "appendonly yes"]] {
        let primary = Server::start(Program::Ours, &lines).unwrap();
        let mut writer = primary.client().unwrap();
        writer.send(&["SET", "k", "v"]).unwrap();
        assert!(unanswered(&mut writer, &primary), "answered with no replica anywhere: {lines:?}");
        // Reads go on, also those of the same key.
        assert_eq!(primary.line("GET k").unwrap().text().unwrap(), "v");

        let replica = Server::start(Program::Ours, &[format!("replicaof 127.0.0.1 {}", primary.port())]).unwrap();
        assert!(writer.read().unwrap().is_ok());
        assert_eq!(replica.line("GET k").unwrap().text().unwrap(), "v");
    }
}

#[test]
fn a_write_waits_while_the_replica_does_and_each_answer_comes_in_its_order() {
    let primary = Server::start(Program::Ours, &["min-replicas-to-ack 1"]).unwrap();
    let replica = Server::start(Program::Ours, &[format!("replicaof 127.0.0.1 {}", primary.port())]).unwrap();
    replica.wait_info("master_link_status", "up").unwrap();
    let mut writer = primary.client().unwrap();
    assert!(writer.line("SET before 1").unwrap().is_ok());

    replica.signal(Signal::STOP).unwrap();
    writer.send(&["INCR", "n"]).unwrap();
    writer.send(&["GET", "n"]).unwrap();
    writer.send(&["INCR", "n"]).unwrap();
    assert!(unanswered(&mut writer, &primary));
    replica.signal(Signal::CONT).unwrap();
    for answer in ["1", "1", "2"] {
        assert_eq!(writer.read().unwrap().text().unwrap(), answer);
    }
    assert_eq!(replica.line("GET n").unwrap().text().unwrap(), "2");
}

#[test]
fn who_waits_for_replicas_has_them_asked_at_once() {
    for lines in [vec!["appendonly no"], vec!["appendonly yes"], vec!["min-replicas-to-ack 1"]] {
        let primary = Server::start(Program::Ours, &lines).unwrap();
        let replica = Server::start(Program::Ours, &[format!("replicaof 127.0.0.1 {}", primary.port())]).unwrap();
        replica.wait_info("master_link_status", "up").unwrap();
        let mut client = primary.client().unwrap();
        let asked = |client: &mut Client| client.info("commandstats").unwrap().contains_key("cmdstat_replconf");
        assert!(!asked(&mut replica.client().unwrap()));
        client.pipeline(&[vec!["SET", "k", "v"], vec!["WAIT", "1", "0"]]).unwrap();
        assert!(asked(&mut replica.client().unwrap()), "{lines:?}: the answer came with the replica's next heartbeat");
    }
}

/// A pair under an operator's word: nobody needs votes, the second follows the first.
fn governed_pair() -> ((Server, String), (Server, String)) {
    let primary = Server::start(Program::Ours, &["primary-quorum-timeout 60000"]).unwrap();
    let replica = Server::start(
        Program::Ours,
        &[format!("replicaof 127.0.0.1 {}", primary.port()), "primary-quorum-timeout 60000".into()],
    )
    .unwrap();
    replica.wait_info("master_link_status", "up").unwrap();
    let run_id = |server: &Server| server.client().unwrap().info("server").unwrap().remove("run_id").unwrap();
    let (first, second) = (run_id(&primary), run_id(&replica));
    tell(&primary, &format!("QUORUM PROMOTE {first} 1 1 0 0"));
    tell(&primary, &format!("QUORUM GUARD {first} 1 OFF"));
    // An earlier life of the operator had lifted its guard, too.
    tell(&replica, &format!("QUORUM GUARD {second} 1 OFF"));
    ((primary, first), (replica, second))
}

#[track_caller]
fn tell(server: &Server, line: &str) {
    let answer = server.line(line).unwrap();
    assert!(answer.is_ok(), "{line}: {answer:?}");
}

/// The move may be called off by an operator that never heard of what was written meanwhile.
#[test]
fn a_replica_that_is_handed_over_to_waits_for_the_operator_that_decides() {
    let ((primary, _), (replica, second)) = governed_pair();
    tell(&primary, "SET k 1");
    tell(&primary, "FAILOVER");
    replica.wait_info("role", "master").unwrap();
    // It waits for a second, should the word come.
    let refused = replica.line("SET k 2").unwrap();
    assert!(refused.error().is_some_and(|error| error.starts_with("NOQUORUM")), "{refused:?}");
    assert_eq!(replica.line("GET k").unwrap().text().unwrap(), "1");

    tell(&replica, &format!("QUORUM PROMOTE {second} 2 2 0 0"));
    tell(&replica, "SET k 2");
}

#[test]
fn a_write_during_a_move_is_refused_once_when_the_next_primary_serves_and_its_connection_ends() {
    let ((primary, first), (replica, second)) = governed_pair();
    let closed = 1_000_000;
    let mut writer = primary.client().unwrap();
    let mut transaction = primary.client().unwrap();
    let mut early = replica.client().unwrap();
    tell(&primary, "SET k 1");
    tell(&replica, &format!("QUORUM HOLD {second} 2"));
    early.send(&["SET", "early", "1"]).unwrap();
    tell(&primary, "FAILOVER");
    primary.wait_info("master_link_status", "up").unwrap();
    tell(&replica, &format!("QUORUM HOLD {second} 2"));
    writer.send(&["SET", "k", "2"]).unwrap();
    for words in [&["MULTI"][..], &["SET", "k", "3"], &["EXEC"]] {
        transaction.send(words).unwrap();
    }
    tell(&replica, &format!("QUORUM PROMOTE {second} 2 2 {closed} {closed}"));
    tell(&primary, &format!("QUORUM FOLLOW {first} 2 127.0.0.1 {}", replica.port()));
    tell(&replica, &format!("QUORUM GUARD {second} 3 OFF"));
    tell(&primary, &format!("QUORUM DISMISS {first} 3"));

    let refused = writer.read().unwrap();
    assert!(refused.error().is_some_and(|error| error.starts_with("READONLY")), "{refused:?}");
    assert!(writer.read().is_err(), "its connection goes on");
    // All that was sent is answered.
    assert!(transaction.read().unwrap().is_ok());
    for error in ["READONLY", "EXECABORT"] {
        let refused = transaction.read().unwrap();
        assert!(refused.error().is_some_and(|said| said.starts_with(error)), "{refused:?}");
    }
    assert!(transaction.read().is_err(), "its connection goes on");
    // Who came to the next primary early was only kept waiting.
    assert!(early.read().unwrap().is_ok());
    tell(&replica, "SET k 2");
    // Nodes may still lead here whoever connects anew.
    let mut late = primary.client().unwrap();
    let refused = late.cmd(&["SET", "k", "4"]).unwrap();
    assert!(refused.error().is_some_and(|error| error.starts_with("READONLY")), "{refused:?}");
    assert!(late.read().is_err(), "its connection goes on");
    // Who comes to read came to a replica, and stays.
    let mut reader = primary.client().unwrap();
    let wait = |reader: &mut Client| {
        let held = reader.ask(&["GET", "k"]).unwrap().text().unwrap();
        if held == "2" { Ok(()) } else { Err(held) }
    };
    valkey_repl_e2e::wait::until("the write at the replica", std::time::Duration::from_secs(10), || wait(&mut reader));
    tell(&primary, &format!("QUORUM DISMISS {first} 3"));
    wait(&mut reader).unwrap();
}

/// Of three instances the operator is no voter.
#[test]
fn a_write_during_a_move_waits_for_the_first_vote_of_a_replica() {
    let ((primary, first), (replica, second)) = governed_pair();
    let closed = 1_000_000;
    tell(&primary, "SET k 1");
    tell(&replica, &format!("QUORUM HOLD {second} 2"));
    tell(&primary, "FAILOVER");
    primary.wait_info("master_link_status", "up").unwrap();
    tell(&replica, &format!("QUORUM PROMOTE {second} 2 2 {closed} {closed}"));
    let mut early = replica.client().unwrap();
    early.send(&["SET", "k", "2"]).unwrap();
    tell(&primary, &format!("QUORUM FOLLOW {first} 2 127.0.0.1 {}", replica.port()));
    tell(&replica, &format!("QUORUM GUARD {second} 3 ON 1 1"));
    let answer = early.read().unwrap();
    assert!(answer.is_ok(), "{answer:?}");
}

/// A start that ends at a wrong line would be the last one.
#[test]
fn a_line_for_the_configuration_file_can_be_tried_before_it_stands_there() {
    let server = Server::start(Program::Ours, &["databases 8"]).unwrap();
    let mut client = server.client().unwrap();
    for (directive, value) in [
        ("databases", "4"),
        ("bind", "10.0.0.1 -::1"),
        ("save", "\"3600 1\""),
        ("latency-tracking-info-percentiles", "50 99"),
        ("locale-collate", "C"),
        ("locale-collate", "\"\""),
    ] {
        let answer = client.cmd(&["QUORUM", "TRY", directive, value]).unwrap();
        assert!(answer.is_ok(), "{directive} {value}: {answer:?}");
    }
    for (directive, value, says) in [
        ("databases", "abc", "couldn't be parsed into an integer"),
        ("databases", "0", "must be between"),
        ("databases", "1 2", "wrong number of arguments"),
        ("appendfilename", "\"a/b\"", "path"),
        ("nosuch", "1", "Bad directive"),
        ("include", "/etc/hostname", "Bad directive"),
        ("databases", "\"4", "Unbalanced quotes"),
        ("locale-collate", "xx_XX.nowhere", "invalid locale name"),
    ] {
        let answer = client.cmd(&["QUORUM", "TRY", directive, value]).unwrap();
        assert!(answer.error().is_some_and(|error| error.contains(says)), "{directive} {value}: {answer:?}");
    }
    let now = client.cmd(&["CONFIG", "GET", "databases"]).unwrap();
    assert_eq!(now.field("databases").and_then(Reply::text).as_deref(), Some("8"), "nothing changed");
}

/// The line is right, but the data could not be loaded with it.
#[test]
fn fewer_databases_than_the_data_are_in_are_refused_before_they_stand_in_the_file() {
    let server = Server::start(Program::Ours, &["databases 8"]).unwrap();
    let mut client = server.client().unwrap();
    assert!(client.line("SELECT 5").unwrap().is_ok());
    assert!(client.line("SET k v").unwrap().is_ok());
    let says = "ERR database 5 has keys: argument must be 6 or more";
    for databases in ["1", "5"] {
        assert_eq!(client.cmd(&["QUORUM", "TRY", "databases", databases]).unwrap().error(), Some(says));
    }
    assert!(client.line("QUORUM TRY databases 6").unwrap().is_ok());
    assert!(client.line("FLUSHDB").unwrap().is_ok());
    assert!(client.line("QUORUM TRY databases 5").unwrap().is_ok());
}

#[test]
fn databases_that_the_append_only_file_has_are_needed_until_it_is_rewritten() {
    let lines = |databases| [databases, "appendonly yes", "appendfsync always"];
    let mut server = Server::start(Program::Ours, &lines("databases 8")).unwrap();
    let mut client = server.client().unwrap();
    for line in ["SET k mine", "SELECT 5", "SET k theirs", "FLUSHDB"] {
        assert!(client.line(line).unwrap().is_ok(), "{line}");
    }
    let says = "ERR database 5 is in the append-only file until it is rewritten: argument must be 6 or more";
    assert_eq!(client.line("QUORUM TRY databases 4").unwrap().error(), Some(says));

    // Whoever does it nevertheless loses nothing of the other databases.
    server.kill().unwrap();
    server.configure(&lines("databases 4")).unwrap();
    let why = server.launch().unwrap_err().to_string();
    assert!(why.contains("it selects database 5, and this server has 4"), "{why}");
    server.configure(&lines("databases 8")).unwrap();
    server.launch().unwrap();
    assert_eq!(server.line("GET k").unwrap().text().as_deref(), Some("mine"));
    assert_eq!(server.line("QUORUM TRY databases 4").unwrap().error(), Some(says), "it is known from the file, too");

    assert_eq!(server.line("BGREWRITEAOF").unwrap().error(), None);
    server.wait_info("aof_rewrite_in_progress", "0").unwrap();
    assert!(server.line("QUORUM TRY databases 4").unwrap().is_ok());
    server.kill().unwrap();
    server.configure(&lines("databases 4")).unwrap();
    server.launch().unwrap();
    assert_eq!(server.line("GET k").unwrap().text().as_deref(), Some("mine"));
}
