//! What a session knows without a server, and with a scripted one.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::super::args::{self, Request};
use super::*;

fn session(line: &str) -> Session {
    let words: Vec<std::ffi::OsString> = line.split_whitespace().map(Into::into).collect();
    match args::parse(&words, false).unwrap() {
        Request::Run(options, _) => Session::new(*options),
        other => panic!("{other:?}"),
    }
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split_whitespace().map(Into::into).collect()
}

/// A server that, for each connection in turn, answers what it expects to be asked, and ends the connection after the last answer.
fn server(connections: Vec<Vec<(&'static str, &'static str)>>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        for dialogue in connections {
            let (mut stream, _) = listener.accept().unwrap();
            for (question, answer) in dialogue {
                let mut wire = format!("*{}\r\n", question.split(' ').count());
                for word in question.split(' ') {
                    wire += &format!("${}\r\n{word}\r\n", word.len());
                }
                let mut got = vec![0; wire.len()];
                stream.read_exact(&mut got).unwrap();
                assert_eq!(String::from_utf8_lossy(&got), wire);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    (port, thread)
}

#[test]
fn the_prompt_tells_where_commands_go() {
    let (port, server) = server(vec![vec![
        ("SELECT 2", "+OK\r\n"),
        ("multi", "+OK\r\n"),
        ("select 5", "+QUEUED\r\n"),
        ("discard", "+OK\r\n"),
        ("subscribe ch", "*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n"),
        ("reset", "+RESET\r\n"),
    ]]);
    let mut session = session(&format!("-p {port} -n 2"));
    session.interactive = true;
    assert_eq!(session.prompt(), "not connected> ");
    session.connect(false).unwrap();
    assert_eq!(session.prompt(), format!("127.0.0.1:{port}[2]> "));
    session.run(&words("multi"), 1).unwrap();
    assert_eq!(session.prompt(), format!("127.0.0.1:{port}[2](TX)> "));
    session.run(&words("select 5"), 1).unwrap();
    assert_eq!(session.prompt(), format!("127.0.0.1:{port}[5](TX)> "));
    session.run(&words("discard"), 1).unwrap();
    assert_eq!(session.prompt(), format!("127.0.0.1:{port}[2]> "));
    session.run(&words("subscribe ch"), 1).unwrap();
    assert_eq!(session.prompt(), format!("127.0.0.1:{port}[2](subscribed mode)> "));
    session.run(&words("reset"), 1).unwrap();
    assert_eq!(session.prompt(), format!("127.0.0.1:{port}> "));
    server.join().unwrap();
}

#[test]
fn a_new_connection_starts_where_the_lost_one_was() {
    let (port, server) = server(vec![
        vec![("AUTH u p", "+OK\r\n"), ("select 3", "+OK\r\n")],
        vec![("AUTH u p", "+OK\r\n"), ("SELECT 3", "+OK\r\n"), ("get k", "$1\r\nv\r\n")],
    ]);
    let mut session = session(&format!("--no-auth-warning -u valkey://u:p@127.0.0.1:{port}"));
    session.interactive = true;
    session.run(&words("select 3"), 1).unwrap();
    let lost = session.run(&words("get k"), 1).unwrap_err();
    assert!(matches!(&lost, Stop::Lost(_)), "{lost}");
    assert!(!session.is_connected());
    session.run(&words("get k"), 1).unwrap();
    server.join().unwrap();
}

#[test]
fn shutdown_succeeds_by_the_end_of_the_connection() {
    let (port, server) = server(vec![vec![("SHUTDOWN NOSAVE", "")]]);
    let mut session = session(&format!("-p {port}"));
    session.run(&words("SHUTDOWN NOSAVE"), 1).unwrap();
    assert!(!session.is_connected());
    server.join().unwrap();
}

#[test]
fn an_error_reply_ends_the_client_only_when_asked_to() {
    let (port, server) = server(vec![vec![("bad", "-ERR no\r\n"), ("bad", "-ERR no\r\n")]]);
    let mut session = session(&format!("-p {port}"));
    session.run(&words("bad"), 1).unwrap();
    session.options.fail_on_error = true;
    let stop = session.run(&words("bad"), 1).unwrap_err();
    assert_eq!(stop.to_string(), "ERR no");
    server.join().unwrap();
}

#[test]
fn redirections_of_a_cluster_are_followed() {
    let (second, second_server) = server(vec![vec![("ASKING", "+OK\r\n"), ("set k v", "+OK\r\n")]]);
    let answer: &'static str = Box::leak(format!("-ASK 12182 127.0.0.1:{second}\r\n").into_boxed_str());
    let (first, first_server) = server(vec![vec![("set k v", answer)]]);
    let mut session = session(&format!("-c -p {first}"));
    session.run(&words("set k v"), 1).unwrap();
    assert_eq!(session.prompt(), format!("127.0.0.1:{second}> "));
    first_server.join().unwrap();
    second_server.join().unwrap();
    assert_eq!(parse_redirect(b"MOVED 3999 :7001"), Some((false, "3999", ":7001")));
    assert_eq!(parse_redirect(b"ERR MOVED"), None);
}

#[test]
fn resp3_is_asked_for_and_json_does_without_it() {
    let hello = "%1\r\n$5\r\nproto\r\n:3\r\n";
    let (port, old) = server(vec![
        vec![("HELLO 3", hello)],
        vec![("HELLO 3", "-ERR unknown command\r\n"), ("ping", "+PONG\r\n")],
        vec![("HELLO 3", "-ERR unknown command\r\n")],
    ]);
    session(&format!("-3 -p {port}")).connect(false).unwrap();
    let mut json = session(&format!("--json -p {port}"));
    json.connect(false).unwrap();
    json.run(&words("ping"), 1).unwrap();
    assert!(session(&format!("-3 -p {port}")).connect(false).is_err());
    old.join().unwrap();
}
