//! Functions, and what scripts write, between this server and real ones: in a full sync, in the stream, and as FUNCTION DUMP's bytes.

use std::time::Duration;

use valkey_repl_e2e::resp::Client;
use valkey_repl_e2e::server::{Program, Server};
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(30);

fn code(library: &str, function: &str) -> String {
    format!(
        "#!lua name={library}\nredis.register_function('{function}', function(keys, args) return redis.call('SET', keys[1], args[1]) end)"
    )
}

fn load(client: &mut Client, library: &str, function: &str) {
    let reply = client.cmd(&["FUNCTION", "LOAD", &code(library, function)]).unwrap();
    assert_eq!(reply.text().as_deref(), Some(library), "{reply:?}");
}

/// The names of the libraries that a server has.
fn libraries(server: &Server) -> Vec<String> {
    let list = server.line("FUNCTION LIST").unwrap();
    let mut names: Vec<String> = list.items().unwrap().iter().map(|l| l.items().unwrap()[1].text().unwrap()).collect();
    names.sort();
    names
}

fn reaches(replica: &Server, what: &str, reached: impl Fn() -> bool) {
    until(what, LIMIT, || if reached() { Ok(()) } else { Err(format!("{:?}", libraries(replica))) });
}

fn both_ways_of_reaching_a_replica(primary: Program, replica: Program) {
    let primary = Server::start(primary, &["save \"\"", "repl-diskless-sync-delay 0"]).unwrap();
    let replica = Server::start(replica, &["save \"\""]).unwrap();
    let client = &mut primary.client().unwrap();
    load(client, "first", "one");
    load(&mut replica.client().unwrap(), "stranger", "none");
    replica.follow(&primary).unwrap();
    assert_eq!(libraries(&replica), ["first"], "the full sync brings the primary's libraries and no other");

    load(client, "second", "two");
    assert!(client.cmd(&["FCALL", "two", "1", "key", "value"]).unwrap().is_ok());
    let script = "redis.call('SET', 'a', 1) redis.call('INCR', 'a') redis.call('SELECT', 3) redis.call('SET', 'b', 2)";
    client.cmd(&["EVAL", script, "0"]).unwrap();
    assert!(client.cmd(&["FUNCTION", "DELETE", "first"]).unwrap().is_ok());
    reaches(&replica, "the stream brings a library and takes one away", || libraries(&replica) == ["second"]);
    let reader = &mut replica.client().unwrap();
    let text = |reader: &mut Client, key: &str| reader.cmd(&["GET", key]).unwrap().text();
    assert_eq!((text(reader, "key"), text(reader, "a")), (Some("value".into()), Some("2".into())));
    reader.cmd(&["SELECT", "3"]).unwrap();
    assert_eq!(text(reader, "b").as_deref(), Some("2"));
}

#[test]
fn a_real_valkey_9_1_follows_us() {
    both_ways_of_reaching_a_replica(Program::Ours, Program::Valkey91);
}

#[test]
fn a_real_valkey_8_1_follows_us() {
    both_ways_of_reaching_a_replica(Program::Ours, Program::Valkey81);
}

#[test]
fn we_follow_a_real_valkey_9_1() {
    both_ways_of_reaching_a_replica(Program::Valkey91, Program::Ours);
}

#[test]
fn we_follow_a_real_redis_7_0() {
    both_ways_of_reaching_a_replica(Program::Redis70, Program::Ours);
}

#[test]
fn a_dump_of_functions_is_restored_by_the_other() {
    for (from, to) in [(Program::Ours, Program::Valkey91), (Program::Valkey91, Program::Ours)] {
        let (from, to) = (Server::start(from, &["save \"\""]).unwrap(), Server::start(to, &["save \"\""]).unwrap());
        load(&mut from.client().unwrap(), "lib", "f");
        let dump = from.line("FUNCTION DUMP").unwrap();
        let reply = to.client().unwrap().cmd(&[b"FUNCTION", &b"RESTORE"[..], dump.bytes().unwrap()]).unwrap();
        assert!(reply.is_ok(), "{reply:?}");
        assert!(to.line("FCALL f 1 key value").unwrap().is_ok());
    }
}
