//! The helpers against the real servers: what later tests take for granted about them.

use valkey_repl_e2e::resp::Reply;
use valkey_repl_e2e::server::{Program, Server};

#[test]
fn a_valkey_peer_speaks_resp2_and_resp3_to_our_client() {
    let server = Server::start(Program::Valkey91, &["enable-debug-command yes"]).unwrap();
    let mut client = server.client().unwrap();
    assert!(client.line("SET key value").unwrap().is_ok());
    assert_eq!(client.line("GET key").unwrap(), Reply::Bulk(b"value".to_vec()));
    assert_eq!(client.line("GET none").unwrap(), Reply::Null);
    assert_eq!(client.line("HELLO 3").unwrap().field("proto"), Some(&Reply::Int(3)));
    assert!(matches!(client.line("DEBUG PROTOCOL double").unwrap(), Reply::Double(x) if x > 3.0 && x < 4.0));
    assert_eq!(client.line("DEBUG PROTOCOL verbatim").unwrap().text().unwrap(), "This is a verbatim\nstring");
    assert_eq!(client.line("DEBUG PROTOCOL null").unwrap(), Reply::Null);
    assert_eq!(client.line("DEBUG PROTOCOL true").unwrap(), Reply::Bool(true));
    assert!(matches!(client.line("DEBUG PROTOCOL set").unwrap(), Reply::Set(items) if items.len() == 3));
    assert!(client.line("NOSUCH").unwrap().error().unwrap().starts_with("ERR unknown command"));
    assert_eq!(client.info("server").unwrap()["valkey_version"], "9.1.2");
    let replies = client.pipeline(&[vec!["INCR", "n"], vec!["INCR", "n"]]).unwrap();
    assert_eq!(replies, [Reply::Int(1), Reply::Int(2)]);
}

#[test]
fn every_peer_keeps_its_port_and_its_data_over_a_kill_and_a_new_start() {
    for program in [Program::Valkey91, Program::Valkey81, Program::Redis70] {
        let mut server = Server::start(program.clone(), &["appendonly yes", "appendfsync always"]).unwrap();
        server.line("SET key value").unwrap();
        server.kill().unwrap();
        assert!(server.client().is_err());
        server.launch().unwrap();
        assert_eq!(server.line("GET key").unwrap(), Reply::Bulk(b"value".to_vec()), "{program:?}");
        assert!(server.terminate().unwrap().success());
    }
}

#[test]
fn a_server_with_a_password_lets_our_client_in() {
    let server = Server::start(Program::Valkey81, &["requirepass \"a secret\""]).unwrap();
    assert_eq!(server.line("ECHO hello").unwrap().text().unwrap(), "hello");
}

#[test]
fn a_server_that_refuses_its_configuration_is_reported_with_its_own_words() {
    let error = Server::start(Program::Valkey91, &["no-such-directive 1"]).unwrap_err().to_string();
    assert!(error.contains("FATAL CONFIG FILE ERROR"), "{error}");
}

#[test]
fn a_replica_of_a_peer_can_be_waited_for() {
    let primary = Server::start(Program::Valkey91, &["repl-diskless-sync-delay 0"]).unwrap();
    let follow = format!("replicaof 127.0.0.1 {}", primary.port());
    let replica = Server::start(Program::Valkey81, &[follow]).unwrap();
    replica.wait_info("master_link_status", "up").unwrap();
    assert_eq!(primary.info("connected_slaves").unwrap(), "1");
}
