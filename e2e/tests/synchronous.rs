//! Synchronous replication, `min-replicas-to-ack`: an answered write is one that the replicas hold.

use std::io::ErrorKind;
use std::time::Duration;

use valkey_repl_e2e::resp::Client;
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

/// The move may be called off by an operator that never heard of what was written meanwhile.
#[test]
fn a_replica_that_is_handed_over_to_waits_for_the_operator_that_decides() {
    let primary = Server::start(Program::Ours, &["primary-quorum-timeout 60000"]).unwrap();
    let replica = Server::start(
        Program::Ours,
        &[format!("replicaof 127.0.0.1 {}", primary.port()), "primary-quorum-timeout 60000".into()],
    )
    .unwrap();
    replica.wait_info("master_link_status", "up").unwrap();
    let run_id = |server: &Server| server.client().unwrap().info("server").unwrap().remove("run_id").unwrap();
    let (first, second) = (run_id(&primary), run_id(&replica));
    assert!(primary.line(&format!("QUORUM PROMOTE {first} 1 1 0 0")).unwrap().is_ok());
    assert!(primary.line(&format!("QUORUM GUARD {first} 1 OFF")).unwrap().is_ok());
    // An earlier life of the operator had lifted its guard, too.
    assert!(replica.line(&format!("QUORUM GUARD {second} 1 OFF")).unwrap().is_ok());
    assert!(primary.line("SET k 1").unwrap().is_ok());

    assert!(primary.line("FAILOVER").unwrap().is_ok());
    replica.wait_info("role", "master").unwrap();
    let refused = replica.line("SET k 2").unwrap();
    assert!(refused.error().is_some_and(|error| error.starts_with("NOQUORUM")), "{refused:?}");
    assert_eq!(replica.line("GET k").unwrap().text().unwrap(), "1");

    assert!(replica.line(&format!("QUORUM PROMOTE {second} 2 2 0 0")).unwrap().is_ok());
    assert!(replica.line("SET k 2").unwrap().is_ok());
}
