//! What is promised of the commands of sorted sets.

mod support;

use support::{Server, check};

#[test]
fn a_range_of_ranks_has_no_limit() {
    let server = Server::start(&[]);
    const LIMITED: &str = "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
    check(
        &mut server.connect(),
        &[
            ("ZADD z 1 a 2 b 3 c", ":3"),
            ("ZRANGE z 0 1 LIMIT 0 2", LIMITED),
            ("ZRANGE z 0 1 LIMIT 5 -1", "[a, b]"),
            ("ZRANGE z 0 1 REV LIMIT 2 -1", "[c, b]"),
            ("ZRANGESTORE to z 0 1 LIMIT 5 -1", ":2"),
            ("ZRANGE z 0 5 BYSCORE LIMIT 1 -1", "[b, c]"),
        ],
    );
}

#[test]
fn a_score_is_shown_in_the_digits_of_valkey_also_where_they_are_not_the_shortest() {
    let server = Server::start(&[]);
    check(
        &mut server.connect(),
        &[
            ("ZADD z 58192.09015 a 674309344592470.8 b 0.1 c", ":3"),
            ("ZSCORE z a", "5.8192090150000004e+4"),
            ("ZRANGE z 0 -1 WITHSCORES", "[c, 0.1, a, 5.8192090150000004e+4, b, 674309344592470.7]"),
            ("ZINCRBY z 0 a", "5.8192090150000004e+4"),
            ("ZRANGEBYSCORE z 58192.09015 58192.09015", "[a]"),
        ],
    );
}
