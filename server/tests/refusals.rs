//! Which words a call is refused with.

mod support;

use support::{Server, check};

#[test]
fn nobody_takes_over_where_no_cluster_is() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("SHUTDOWN FAILOVER ABORT", "-ERR syntax error"),
            ("SHUTDOWN FAILOVER", "-ERR SHUTDOWN FAILOVER is only supported in cluster mode."),
            ("PING", "PONG"),
        ],
    );
}

#[test]
fn of_two_mistakes_the_one_is_named_that_valkey_sees_first() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("COMMANDLOG GET x y", "-ERR count should be greater than or equal to -1"),
            ("COMMANDLOG GET 1 y", "-ERR type should be one of the following: slow, large-request, large-reply"),
            ("FAILOVER ABORT TIMEOUT x", "-ERR syntax error"),
            ("CLIENT UNBLOCK x y z", "-ERR value is not an integer or out of range"),
            ("CLIENT UNBLOCK 1 y z", ":0"),
            (
                "SCRIPT DEBUG YES lua z",
                "-ERR unknown subcommand or wrong number of arguments for 'DEBUG'. Try SCRIPT HELP.",
            ),
            ("SCRIPT DEBUG YES", "OK"),
            ("EVALSHA digest 0", "-NOSCRIPT No matching script."),
            ("SCRIPT DEBUG NO", "OK"),
            ("EXEC x", "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"),
        ],
    );
}
