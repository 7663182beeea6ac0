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
fn a_negative_offset_counts_from_the_end_of_a_skiplist() {
    let server = Server::start(&["--zset-max-listpack-entries", "3"]);
    check(
        &mut server.connect(),
        &[
            ("ZADD small 1 a 2 b 3 c", ":3"),
            ("ZRANGEBYSCORE small 1 3 LIMIT -1 5", "[]"),
            ("ZADD large 1 a 2 b 3 c 4 d", ":4"),
            ("ZRANGEBYSCORE large 1 3 LIMIT -1 5", "[c]"),
            ("ZRANGEBYSCORE large 1 3 LIMIT -2 1", "[b]"),
            ("ZRANGEBYSCORE large 1 3 LIMIT -4 5", "[]"),
            ("ZREVRANGEBYSCORE large 3 1 LIMIT -2 5", "[b, a]"),
            ("ZRANGE large - + BYLEX LIMIT -3 -1", "[b, c, d]"),
            ("ZRANGESTORE to large 1 4 BYSCORE LIMIT -2 5", ":2"),
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
