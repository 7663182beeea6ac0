//! What is promised of the protocol itself: both versions, and requests of any length.

mod support;

use support::Server;

/// Sends requests in one piece, and expects exactly these bytes.
fn exchange(server: &Server, requests: &[&str], answers: &str) {
    let mut client = server.connect();
    client.send_bytes(requests.concat().as_bytes());
    assert_eq!(client.receive(answers.len()), answers);
}

#[test]
fn messages_come_as_pushes_from_the_very_request_on_that_asked_for_resp3() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let hello = client.ask("HELLO 3");
    let hello_again = |id: u32| {
        let id = hello.split("id: :").nth(1).unwrap().split(',').next().unwrap().parse::<u32>().unwrap() + id;
        format!(
            "%7\r\n$6\r\nserver\r\n$6\r\nvalkey\r\n$7\r\nversion\r\n$5\r\n9.1.2\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:{id}\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
        )
    };
    let subscribed = ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
    exchange(&server, &["HELLO 3\r\n", "SUBSCRIBE c\r\n", "PUBLISH c hi\r\n"], &(hello_again(1) + subscribed));
    let invalidated = "+OK\r\n_\r\n+OK\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n+OK\r\n";
    exchange(
        &server,
        &["HELLO 3\r\n", "CLIENT TRACKING ON\r\n", "GET k\r\n", "SET k v\r\n", "SET x y\r\n"],
        &(hello_again(2) + invalidated),
    );
    // And as arrays again from the request on that went back.
    let back = "+RESET\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nd\r\n:1\r\n";
    exchange(&server, &["HELLO 3\r\n", "RESET\r\n", "SUBSCRIBE d\r\n"], &(hello_again(3) + back));
}

#[test]
fn a_request_may_have_more_than_a_million_arguments() {
    const KEYS: usize = 700_000;
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut request = format!("*{}\r\n$4\r\nMSET\r\n", 1 + 2 * KEYS);
    (0..KEYS).for_each(|i| request.push_str(&format!("$7\r\n{i:07}\r\n$1\r\nv\r\n")));
    client.send_bytes(request.as_bytes());
    assert_eq!(client.answer(), "OK");
    assert_eq!(client.ask("DBSIZE"), format!(":{KEYS}"));
    assert_eq!(client.ask("GET 0699999"), "v");
}

#[test]
fn the_announcement_of_many_arguments_costs_nothing() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let memory = |client: &mut support::Client| -> usize {
        let list = client.ask("CLIENT LIST");
        let totals = list.lines().filter(|l| l.contains("name=many"));
        totals.map(|l| l.split("tot-mem=").nth(1).unwrap().split(' ').next().unwrap().parse::<usize>().unwrap()).sum()
    };
    let mut many = server.connect();
    assert_eq!(many.ask("CLIENT SETNAME many"), "OK");
    many.send_bytes(b"*2147483647\r\n$4\r\nMSET\r\n");
    client.ask_until("CLIENT LIST", "tot-net-in=62 ");
    let total = memory(&mut client);
    assert!((1..100_000).contains(&total), "{total}");
    let mut more = server.connect();
    more.send_bytes(b"*2147483648\r\n");
    assert_eq!(more.answer(), "-ERR Protocol error: invalid multibulk length");
}

#[test]
fn who_has_not_logged_in_may_send_ten_short_arguments() {
    let server = Server::start(&["--requirepass", "secret"]);
    let refused = |request: &str| {
        let mut client = server.connect();
        client.send_bytes(request.as_bytes());
        client.answer()
    };
    assert_eq!(refused("*1\r\n$4\r\nPING\r\n"), "-NOAUTH Authentication required.");
    assert_eq!(refused("*11\r\n"), "-ERR Protocol error: unauthenticated multibulk length");
    assert_eq!(refused("*10\r\n$16385\r\n"), "-ERR Protocol error: unauthenticated bulk length");
}
