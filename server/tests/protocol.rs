//! What is promised of the protocol itself.

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
