//! What is promised to those who look for connections, or mark their own.

mod support;

use support::{Server, check};

#[test]
fn who_has_no_name_is_not_found_by_an_empty_one() {
    let server = Server::start(&[]);
    let (mut named, mut client) = (server.connect(), server.connect());
    check(&mut named, &[("CLIENT SETNAME bob", "OK"), ("CLIENT SETINFO LIB-NAME lib", "OK")]);
    for option in ["NAME", "LIB-NAME", "LIB-VER"] {
        assert_eq!(client.ask(&format!("CLIENT LIST {option} \"\"")), "", "{option}");
        assert_eq!(client.ask(&format!("CLIENT LIST NOT-{option} \"\"")).lines().count(), 2, "{option}");
    }
    check(&mut client, &[("CLIENT KILL NAME \"\"", ":0"), ("CLIENT KILL NOT-NAME \"\"", ":1")]);
}

#[test]
fn a_monitor_is_found_as_one_and_as_a_replica() {
    let server = Server::start(&[]);
    let (mut monitor, mut client) = (server.connect(), server.connect());
    monitor.ask("MONITOR");
    for (flags, found) in [("O", 1), ("S", 1), ("OS", 1), ("OSN", 0), ("E", 0), ("i", 0)] {
        assert_eq!(client.ask(&format!("CLIENT LIST FLAGS {flags}")).lines().count(), found, "{flags}");
    }
}

#[test]
fn a_filter_that_is_none_is_named_in_its_error() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("CLIENT LIST FLAGS Z", "-ERR Unknown flags found in the provided filter: Z"),
            ("CLIENT LIST NOT-FLAGS Z", "-ERR Unknown flags found in the NOT-FLAGS filter: Z"),
            ("CLIENT LIST NOT-CAPA x", "-ERR Unknown capa found in the NOT-CAPA filter: x"),
            ("CLIENT LIST DB 16", "-ERR DB number should be between 0 and 15"),
            ("CLIENT KILL NOT-DB 16", "-ERR NOT-DB number should be between 0 and 15"),
            ("CLIENT KILL NOT-DB x", "-ERR NOT-DB is not an integer or out of range"),
        ],
    );
}

#[test]
fn only_a_server_in_import_mode_is_told_of_a_source() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("CLIENT IMPORT-SOURCE ON", "-ERR Server is not in import mode"),
            ("CLIENT IMPORT-SOURCE what", "-ERR Server is not in import mode"),
            ("CLIENT IMPORT-SOURCE OFF", "OK"),
            ("CONFIG SET import-mode yes", "OK"),
            ("CLIENT IMPORT-SOURCE what", "-ERR syntax error"),
            ("CLIENT IMPORT-SOURCE ON", "OK"),
        ],
    );
}
