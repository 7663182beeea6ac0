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

#[test]
fn a_database_that_no_number_of_c_can_name_is_refused_by_its_range() {
    const BEYOND: &str = "-ERR value is out of range, value must between -2147483648 and 2147483647";
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("SELECT 2147483648", BEYOND),
            ("SELECT 2147483647", "-ERR DB index is out of range"),
            ("SELECT -1", "-ERR DB index is out of range"),
            ("SELECT x", "-ERR value is not an integer or out of range"),
            ("SELECT 3", "OK"),
        ],
    );
}

#[test]
fn exceptions_from_client_side_caching_are_refused_by_the_mode_that_is_on() {
    const YES: &str = "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
    const NO: &str = "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
    const OFF: &str =
        "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("CLIENT CACHING YES", OFF),
            ("CLIENT TRACKING ON BCAST", "OK"),
            ("CLIENT CACHING YES", YES),
            ("CLIENT CACHING NO", NO),
            ("CLIENT CACHING MAYBE", "-ERR syntax error"),
        ],
    );
}

#[test]
fn a_filter_of_no_clients_at_all_finds_none() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("CLIENT LIST ID", "-ERR syntax error"),
            ("CLIENT LIST ID x", "-ERR syntax error"),
            ("CLIENT LIST ID TYPE normal", ""),
            ("CLIENT KILL ID SKIPME no", ":0"),
            ("CLIENT KILL SKIPME no ID", ":0"),
            ("CLIENT LIST ID USER nobody", "-ERR No such user 'nobody'"),
        ],
    );
}

#[test]
fn whoever_may_not_use_a_key_is_told_so_before_its_count_is_found_wrong() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("ACL SETUSER bob on nopass +@all ~mine");
    check(
        &mut client,
        &[
            ("COMMAND GETKEYS ZINTER 1.5 x", "[x]"),
            ("COMMAND GETKEYS EVAL script 2k a b", "[a, b]"),
            ("COMMAND GETKEYS ZINTER x 1", "-ERR Invalid arguments specified for command"),
            ("AUTH bob any", "OK"),
            ("ZINTER 1x other", "-NOPERM No permissions to access a key"),
            ("ZINTER 1x mine", "-ERR value is not an integer or out of range"),
        ],
    );
}
