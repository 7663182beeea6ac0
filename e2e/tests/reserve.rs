//! Places beyond `maxclients`: clients that take all there are keep neither replicas nor the operator out.

use std::time::Duration;

use valkey_repl_e2e::resp::{Client, Reply};
use valkey_repl_e2e::server::{Program, Server};
use valkey_repl_e2e::wait::until;

const LIMIT: Duration = Duration::from_secs(30);
const TOO_MANY: &str = "ERR max number of clients reached";
/// As the operator has it: a user of its own, which replicas log in as, too.
const OWN_USER: [&str; 5] = [
    "primary-quorum-timeout 60000",
    "requirepass ordinary",
    "user keeper on >own ~* &* +@all",
    "primaryuser keeper",
    "primaryauth own",
];

/// A server whose clients have taken all places.
fn full(lines: &[&str]) -> (Server, Vec<Client>) {
    let server = Server::start(Program::Ours, &[lines, &["maxclients 3"]].concat()).unwrap();
    let clients = (0..3).map(|_| client(&server, "PING")).collect();
    (server, clients)
}

/// A client that is served.
#[track_caller]
fn client(server: &Server, line: &str) -> Client {
    let mut client = server.client().unwrap();
    let answer = client.line(line).unwrap();
    assert_eq!(answer.error(), None, "{line}");
    client
}

#[track_caller]
fn assert_refused(mut client: Client, answer: &Reply) {
    assert_eq!(answer.error(), Some(TOO_MANY));
    assert!(client.read().is_err(), "its connection should have ended");
}

#[test]
fn the_operator_and_a_replica_come_in_where_clients_have_taken_all_places() {
    let (primary, mut clients) = full(&OWN_USER);
    // One of them may even make it worse.
    assert!(clients[0].line("CONFIG SET maxclients 1").unwrap().is_ok());
    // What the operator sends, before it has an answer to any of it.
    let mut operator = Client::connect(primary.address()).unwrap();
    let answers = operator
        .pipeline(&[vec!["AUTH", "keeper", "own"], vec!["INFO", "server"], vec!["QUORUM", "STATE"], vec!["PING"]])
        .unwrap();
    assert!(answers.iter().all(|answer| answer.error().is_none()), "{answers:?}");

    let follow = format!("replicaof 127.0.0.1 {}", primary.port());
    // The first directive is none of Valkey's.
    for (program, lines) in [(Program::Ours, &OWN_USER[..]), (Program::Valkey91, &OWN_USER[1..])] {
        let replica = Server::start(program, &[lines, &[&follow]].concat()).unwrap();
        replica.wait_info("master_link_status", "up").unwrap();
    }
    // And the operator puts right what kept the clients out.
    assert!(operator.line("CONFIG SET maxclients 100").unwrap().is_ok());
    client(&primary, "GET k");
}

#[test]
fn other_clients_are_refused_with_and_without_the_password() {
    let (server, _clients) = full(&OWN_USER);
    let mut operator = Client::connect(server.address()).unwrap();
    assert!(operator.line("AUTH keeper own").unwrap().is_ok());
    let rejected = |operator: &mut Client| operator.info("stats").unwrap()["rejected_connections"].clone();
    assert_eq!(rejected(&mut operator), "0");
    let mut stranger = Client::connect(server.address()).unwrap();
    let answer = stranger.line("GET k").unwrap();
    assert_refused(stranger, &answer);
    let mut ordinary = server.client().unwrap();
    let answer = ordinary.line("GET k").unwrap();
    assert_refused(ordinary, &answer);
    assert_eq!(rejected(&mut operator), "2");
}

#[test]
fn those_who_say_nothing_keep_nobody_out() {
    let (server, _clients) = full(&OWN_USER);
    let mut operator = Client::connect(server.address()).unwrap();
    assert!(operator.line("AUTH keeper own").unwrap().is_ok());
    let mut silent: Vec<Client> = (0..40).map(|_| Client::connect(server.address()).unwrap()).collect();
    let mut again = Client::connect(server.address()).unwrap();
    assert!(again.line("AUTH keeper own").unwrap().is_ok());
    assert!(operator.line("GET k").unwrap().error().is_none(), "the first is where it was");
    // Who came first had to leave.
    let mut first = silent.remove(0);
    let answer = first.read().unwrap();
    assert_refused(first, &answer);
}

#[test]
fn without_passwords_the_operator_is_known_by_its_question() {
    let (server, _clients) = full(&["primary-quorum-timeout 60000"]);
    let mut operator = client(&server, "QUORUM STATE");
    assert!(operator.line("CONFIG SET maxclients 3").unwrap().is_ok());
    let mut other = server.client().unwrap();
    let answer = other.line("CONFIG GET maxclients").unwrap();
    assert_refused(other, &answer);
}

#[test]
fn who_came_to_a_reserved_place_is_a_client_like_all_when_others_have_left() {
    let (server, mut clients) = full(&OWN_USER);
    let mut waiting = Client::connect(server.address()).unwrap();
    assert!(waiting.line("AUTH ordinary").unwrap().is_ok());
    drop(clients.pop());
    until("the other to be gone", LIMIT, || {
        let list = clients[0].line("CLIENT LIST").unwrap().text().unwrap_or_default();
        if list.lines().count() == 3 { Ok(()) } else { Err(list) }
    });
    assert_eq!(waiting.line("GET k").unwrap(), Reply::Null);
}

#[test]
fn a_server_without_an_operator_refuses_at_once() {
    let (server, _clients) = full(&[]);
    let mut other = Client::connect(server.address()).unwrap();
    let answer = other.read().unwrap();
    assert_refused(other, &answer);
}

/// As `CONFIG SET` by the operator does when the resource says less than it said.
#[test]
fn fewer_clients_than_there_are_close_nobody() {
    let server = Server::start(Program::Ours, &["maxclients 100"]).unwrap();
    let mut clients: Vec<Client> = (0..8).map(|_| client(&server, "PING")).collect();
    assert!(clients[0].line("CONFIG SET maxclients 2").unwrap().is_ok());
    for client in &mut clients {
        assert!(client.line("SET k v").unwrap().is_ok());
    }
    let mut other = server.client().unwrap();
    assert_eq!(other.read().unwrap().error(), Some(TOO_MANY));
}
