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
